"""Sensitivities: a bound on how far outputs move, zero exactly without a path, blind to the states' units."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitRule
from skimplicit.activations import ACTIVATIONS, Activation, BlockActivation, Exponential, max_pool, softmax
from skimplicit.composition import activate, affine_rule, cascade
from skimplicit.projections import project_rows_l1
from skimplicit.robustness import lipschitz_bound, output_bounds
from skimplicit.wellposedness import MetricAmplification, amplification, block_norms, moved_states, sensitivity

every_seed = pytest.mark.parametrize("seed", range(3))


def random_rule(seed, activation="relu", n=6, p=4, q=2, norm=0.9):
    rng = np.random.default_rng(seed)
    A = project_rows_l1(2 * rng.normal(size=(n, n)), norm / max(ACTIVATIONS[activation].lipschitz, 1.0))
    arrays = [rng.normal(size=shape) for shape in ((n, p), (q, n), (q, p), (n,), (q,))]
    return ImplicitRule(A, *arrays, activation=activation)


@every_seed
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bounds_the_change_of_the_outputs(seed, activation):
    rule = random_rule(seed, activation)
    rng = np.random.default_rng(seed + 100)
    U, V = rng.normal(size=(2, 300, 4)) * rng.choice([1e-3, 1.0, 100.0], size=(300, 1))
    S = sensitivity(rule)
    change, bound = np.abs(rule.predict(U) - rule.predict(V)), np.abs(U - V) @ S.T
    assert np.all(change <= bound * (1 + 1e-9) + 1e-9)


BLOCKS = {
    "fault 22": ([("relu", 1), ("sigmoid", 1)], 2),
    "componentwise": ([("relu", 2), ("sigmoid", 3), ("gelu", 2), ("tanh", 1)], 8),
    "groups": ([("sigmoid", 2), (softmax(3), 3), ("silu", 1), (max_pool(2), 4)], 10),
    "softmax": ([(softmax(4), 8)], 8),
    "max pooling": ([(max_pool(3), 6)], 6),
}


@pytest.mark.slow_cases
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("seed", range(6))
def test_bounds_the_change_when_each_state_has_its_own_activation(seed, blocks, as_sparse):
    parts, n = BLOCKS[blocks]
    rng, phi = np.random.default_rng(seed), BlockActivation(parts)
    matrices = [rng.normal(size=shape) * (rng.uniform(size=shape) < 0.6) for shape in ((n, n), (n, 3), (2, n), (2, 3))]
    matrices[0] *= 0.8 / max(1.0, block_norms(matrices[0], phi.lipschitz, phi.groups).sum(axis=1).max())
    matrices[3] *= seed % 2
    arrays = map(sparse.csr_array, matrices) if as_sparse else matrices
    rule = ImplicitRule(*arrays, b=rng.normal(size=n), activation=phi)
    S = sensitivity(rule)
    U = rng.normal(size=(400, 3)) * 10.0 ** rng.uniform(-1, 1, size=(400, 1))
    steps = rng.normal(size=(400, 3)) * (rng.uniform(size=(400, 3)) < 0.5) * 10.0 ** rng.uniform(-3, 1, size=(400, 1))
    change = np.abs(rule.predict(U + steps) - rule.predict(U))
    assert np.all(change <= np.abs(steps) @ S.T * (1 + 1e-9) + 1e-9)
    moved = [np.abs(rule.predict(U + e) - rule.predict(U)).max(axis=0) for e in np.eye(3)]
    assert np.all(np.array(moved).T[S == 0] == 0)


def assert_rounded_up(S, exact):
    assert np.all(S >= exact)
    np.testing.assert_allclose(S, exact, rtol=1e-13)


def test_lipschitz_constants_go_with_the_state_that_has_them():
    phi = BlockActivation([("relu", 1), ("sigmoid", 1)])
    rule = ImplicitRule(np.zeros((2, 2)), [[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0]], activation=phi)
    assert_rounded_up(sensitivity(rule), [[0.0, 1.0]])
    behind = ImplicitRule([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0]], activation=phi)
    assert_rounded_up(sensitivity(behind), [[0.25]])


def test_infinite_where_a_path_leads_through_a_rule_that_is_not_certified():
    A, B, C = np.zeros((4, 4)), np.zeros((4, 4)), np.array([[0.0, 1.0, 0.0, 0.0]])
    A[1, 0], A[0, 0], A[3, 2] = 1e-200, 2.0, 1.0
    B[0, 0] = B[2, 1] = 1e-200
    S = sensitivity(ImplicitRule(A, B, C, np.array([[0.0, 0.0, 5.0, 0.0]])))
    np.testing.assert_array_equal(S, [[np.inf, 0.0, 5.0, 0.0]])


@every_seed
def test_is_the_formula(seed):
    rule = random_rule(seed)
    inverse = np.linalg.inv(np.eye(6) - np.abs(rule.A))
    np.testing.assert_allclose(
        sensitivity(rule), np.abs(rule.C) @ inverse @ np.abs(rule.B) + np.abs(rule.D), rtol=1e-10
    )


@pytest.mark.parametrize("norm", [0.0, 0.5, 0.99, 1 - 1e-6])
def test_close_to_the_edge(norm):
    n = 5
    A = norm * np.roll(np.eye(n), 1, axis=0)
    rule = ImplicitRule(A, np.eye(n)[:, :1], np.ones((1, n)))
    # What is added for rounding grows with the number of terms of the series.
    exact = 1 / (1 - norm)
    assert exact <= sensitivity(rule)[0, 0] <= exact * (1 + 1e-11 * exact)


def test_zero_exactly_without_a_path():
    # Input 0 reaches state 0 -> state 1 -> output; input 1 reaches state 2, which nothing reads; input 2 goes direct.
    A = np.zeros((4, 4))
    A[1, 0], A[3, 2] = 0.3, 1e-200
    B = np.zeros((4, 4))
    B[0, 0] = B[2, 1] = 1e-100
    C = np.array([[0.0, 1.0, 0.0, 0.0]])
    D = np.array([[0.0, 0.0, 5.0, 0.0]])
    S = sensitivity(ImplicitRule(A, B, C, D))
    assert S[0, 0] > 0 and S[0, 2] == 5.0
    assert S[0, 1] == 0.0 and S[0, 3] == 0.0


@pytest.mark.parametrize("hidden", [False, True])
def test_nothing_bounds_the_slope_of_an_exponential(hidden):
    inner = affine_rule([[1.0, 0.0], [2.0, 0.0]])
    if hidden:
        inner = cascade(activate(inner, "relu"), affine_rule([[1.0, -1.0]]))
    rule = activate(inner, Exponential())
    np.testing.assert_array_equal(sensitivity(rule), np.broadcast_to([np.inf, 0.0], (rule.n_outputs, 2)))
    for bound in (lipschitz_bound, lambda rule: output_bounds(rule, np.ones((1, 2)), 0.1)):
        with pytest.raises(ValueError, match="No bound is known"):
            bound(rule)


@every_seed
def test_units_and_order_of_the_states_do_not_matter(seed):
    rule = random_rule(seed)
    rng = np.random.default_rng(seed)
    s, order = rng.uniform(0.1, 10, size=6), rng.permutation(6)
    scaled = replace(rule, A=rule.A / s[:, None] * s, B=rule.B / s[:, None], b=rule.b / s, C=rule.C * s)
    swapped = replace(rule, A=rule.A[np.ix_(order, order)], B=rule.B[order], b=rule.b[order], C=rule.C[:, order])
    for same in (scaled, swapped, rule.rescaled(0.95)):
        np.testing.assert_allclose(sensitivity(same), sensitivity(rule), rtol=1e-8)


def steep(Z, out=None):
    return np.multiply(2.0, np.maximum(Z, 0.0), out=out)


STEEP = Activation("steep", steep, lambda Z, X: 2.0 * (Z > 0), 0.0, 2.0)


@pytest.mark.parametrize("activation", ["relu", STEEP], ids=str)
@pytest.mark.parametrize("in_metric", [False, True])
def test_states_move_no_farther_than_a_proof_beyond_the_norm_says(in_metric, activation):
    slope = 2.0 if activation is STEEP else 1.0
    A = [[0.2, -16.0], [0.25, 0.2]] if in_metric else [[-3.0, 0.1], [0.1, 0.8]]
    rule = ImplicitRule(np.array(A) / slope, np.eye(2), [[1.0, -0.5]], activation=activation)
    found = amplification(rule)
    assert isinstance(found, MetricAmplification) == in_metric
    U = np.random.default_rng(0).normal(size=(200, 1, 2)) * [[3.0, 1.0]]
    step = np.random.default_rng(1).normal(size=(200, 1, 2)) * np.stack([np.eye(2)] * 100 + [np.ones((2, 2))] * 100)
    rows, moved = np.broadcast_to(U, step.shape).reshape(-1, 2), np.abs(step.reshape(-1, 2))
    change = np.abs(rule.states(rows + step.reshape(-1, 2)) - rule.states(rows))
    assert np.all(change <= moved @ moved_states(rule, found) * (1 + 1e-8))
    lengths = np.linalg.norm(moved, axis=1)
    outputs = np.abs(rule.predict(rows + step.reshape(-1, 2)) - rule.predict(rows)).ravel()
    assert np.all(outputs <= lipschitz_bound(rule, 2) * lengths * (1 + 1e-8))


LOOPS = [[0.5]], [[0.9, -0.2], [0.2, 0.9]]


@pytest.mark.parametrize("order, name", [(np.inf, "inf"), (1, 1), (2, 2)])
def test_lipschitz_bound_holds_for_all_of_a_linear_rule(order, name):
    rng = np.random.default_rng(0)
    A = np.triu(np.abs(rng.normal(size=(5, 5)))) + np.tril(np.ones((5, 5)), -1) * [1.0, 0.0, 1.0, 0.0, 0.0]
    A *= 0.3 / np.linalg.norm(A, 2)
    rule = ImplicitRule(A, np.eye(5)[:, :2], np.ones((1, 5)), activation="identity")
    # One loop, and one that is monotone without being bounded by its absolute values.
    others = (ImplicitRule(M, np.eye(len(M)), np.eye(len(M)), activation="identity") for M in LOOPS)
    for each in (rule, *others):
        slopes = each.C @ np.linalg.solve(np.eye(each.n_hidden) - each.A, each.B)
        assert lipschitz_bound(each, name) >= np.linalg.norm(slopes, order)
