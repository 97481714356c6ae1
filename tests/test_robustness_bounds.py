"""Bounds hold for every input of the set, tighten from method to method, and refuse what they cannot prove."""

from importlib.metadata import version
from itertools import product

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRule
from skimplicit.activations import ACTIVATIONS, Activation, BlockActivation, leaky_relu, max_pool, softmax
from skimplicit.networks import feedforward, from_sklearn
from skimplicit.robustness import attack, lipschitz_bound, output_bounds
from skimplicit.robustness.propagation import Propagation
from skimplicit.robustness.relaxations import activation_range
from skimplicit.robustness.uncertainty import InputSet
from skimplicit.wellposedness import block_norms, perron_frobenius

METHODS = ("sensitivity", "interval", "mixed-monotone", "lp")
CUSTOM = Activation("own", np.sin, lambda Z, X: np.cos(Z), -1.0, 1.0)
semidefinite = pytest.mark.skipif(
    tuple(map(int, version("clarabel").split(".")[:2])) < (0, 6),
    reason="Clarabel 0.5 can panic in an eigenvalue decomposition of its own.",
)
PHIS = [*ACTIVATIONS.values(), CUSTOM, BlockActivation([("relu", 2), (max_pool(2), 2), ("silu", 1), (softmax(3), 3)])]


def random_rule(phi, seed=0, kind="full", rate=0.9, n=8, p=3, q=2):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    if kind == "reducible":
        A = np.triu(A)
    A *= rate / perron_frobenius(block_norms(A, phi.lipschitz, phi.groups))
    if kind == "sparse":
        A = sparse.csr_array(A * (rng.random(A.shape) < 0.3))
    B, C, D = (rng.normal(size=s) for s in ((n, p), (q, n), (q, p)))
    return ImplicitRule(A, B, C, D, b=rng.normal(size=n), c=rng.normal(size=q), activation=phi)


def outputs_in_set(rule, U, radius, n_changed, rng):
    inputs = InputSet.around(U, np.broadcast_to(radius, rule.n_inputs), n_changed)
    found = [inputs.base] + [inputs.sample(rng) for _ in range(60)]
    for _ in range(2):
        target = rule.predict(U) + rng.normal(size=(U.shape[0], rule.n_outputs)) * 1e3
        found.append(attack(rule, U, target, radius, n_changed=n_changed, n_starts=2, max_iter=4, random_state=0)[0])
    return rule.predict(np.vstack(found)).reshape(len(found), U.shape[0], -1)


@pytest.mark.slow_cases
@pytest.mark.parametrize(  # each activation with two of three kinds
    "phi, kind, n_changed",
    [
        pytest.param(phi, *case, id=f"{phi.name}-{case[0]}")
        for i, phi in enumerate(PHIS)
        for j, case in enumerate([("full", None), ("reducible", 1), ("sparse", 2)])
        if (i + j) % 3
    ],
)
def test_sound_and_ordered(phi, n_changed, kind):
    rule = random_rule(phi, kind=kind)
    rng = np.random.default_rng(1)
    U, radius = rng.normal(size=(1, 3)), np.array([0.5, 0.0, 2.0])
    Y = outputs_in_set(rule, U, radius, n_changed, rng)
    bounds = [output_bounds(rule, U, radius, n_changed=n_changed, method=method) for method in METHODS]
    for lower, upper in bounds:
        assert np.all(lower <= Y) and np.all(Y <= upper)
    for loose, tight in ((0, 1), (0, 2), (2, 3)):
        assert np.all(bounds[tight][0] >= bounds[loose][0]) and np.all(bounds[tight][1] <= bounds[loose][1])


@pytest.mark.slow_cases
@pytest.mark.parametrize("rate", [0.3, 0.999])
def test_negative_loops_far_outside_the_norm_ball(rate):
    for name in ("relu", "tanh", "softplus"):
        rule = random_rule(ACTIVATIONS[name], rate=rate)
        A = rule.A.copy()
        A[np.diag_indices(8)] = np.minimum(A.diagonal(), 0) - np.arange(1, 9)
        rule = ImplicitRule(A, rule.B, rule.C, rule.D, activation=name)
        assert not rule.is_well_posed() and rule.inf_norm > 8
        U = np.random.default_rng(0).normal(size=(2, 3))
        Y = outputs_in_set(rule, U, 0.5, None, np.random.default_rng(0))
        for method in METHODS:
            lower, upper = output_bounds(rule, U, 0.5, method=method)
            assert np.all(lower <= Y) and np.all(Y <= upper)


@pytest.mark.parametrize("loop", [-0.8, 0.8])
@pytest.mark.parametrize("phi", ["silu", "gelu", CUSTOM, "tanh", "leaky_relu"], ids=str)
def test_one_state_that_feeds_itself_falling_or_rising(phi, loop):
    rule = ImplicitRule([[loop]], [[1.0]], [[1.0]], activation=phi)
    U, moves = np.linspace(-6.0, 6.0, 25)[:, None], np.linspace(-0.05, 0.05, 9)
    Y = rule.predict((U + moves).reshape(-1, 1)).reshape(25, 9)
    for method in METHODS[:3]:
        lower, upper = output_bounds(rule, U, 0.05, method=method)
        assert np.all(lower <= Y) and np.all(Y <= upper)


@pytest.mark.parametrize("phi", ["identity", "relu"])
def test_states_are_as_near_to_the_exact_ones_as_their_bounds_say(phi):
    rng = np.random.default_rng(0)
    rule = ImplicitRule(0.99 * np.roll(np.eye(6), 1, axis=1), rng.normal(size=(6, 3)), np.eye(6), activation=phi)
    U = rng.normal(size=(50, 3))
    states, error = Propagation(rule).centre(InputSet.around(U, np.zeros(3)))
    assert np.all(np.abs(states - rule.solve(U, rtol=1e-15).states) <= error)


def test_monotone_in_a_metric_only():
    rng = np.random.default_rng(0)
    skew = np.triu(rng.normal(size=(6, 6)), 1) * 2
    rule = ImplicitRule(skew - skew.T, rng.normal(size=(6, 2)), rng.normal(size=(1, 6)), activation="relu")
    assert rule.well_posedness().condition.name == "MONOTONE"
    U = rng.normal(size=(2, 2))
    Y = outputs_in_set(rule, U, 0.1, None, rng)
    for method in METHODS:
        lower, upper = output_bounds(rule, U, 0.1, method=method)
        assert np.all(lower <= Y) and np.all(Y <= upper)
    step = rng.normal(size=(50, 2))
    moved = np.linalg.norm(rule.predict(step) - rule.predict(0 * step), axis=1) / np.linalg.norm(step, axis=1)
    assert moved.max() <= lipschitz_bound(rule, 2)


def test_two_dimensional_example():
    A, B = [[-0.25, -0.25], [0.75, -0.25]], [[0.5, 1.0], [1.0, 0.5]]
    rule, centre, radius = ImplicitRule(A=A, B=B, C=np.eye(2)), [[1 / 6, 1.5]], [1 / 6, 0.5]
    lower, upper = output_bounds(rule, centre, radius, method="mixed-monotone")
    assert lower == pytest.approx(np.array([[0.3939, 0.6364]]), abs=5e-5)
    assert upper == pytest.approx(np.array([[1.6061, 2.0303]]), abs=5e-5)
    lower, upper = output_bounds(rule, centre, radius, method="interval")
    assert lower == pytest.approx(np.array([[0.0, 0.0]]), abs=5e-5)
    assert upper == pytest.approx(np.array([[2.1667, 2.9583]]), abs=5e-5)
    lower, upper = output_bounds(rule, centre, radius, method="sensitivity")
    assert lower == pytest.approx(np.array([[-0.4444, -0.6667]]), abs=5e-5)
    assert upper == pytest.approx(np.array([[2.4444, 3.3333]]), abs=5e-5)


@pytest.mark.parametrize("method", METHODS)
def test_zero_radius_is_the_prediction(method):
    rule = random_rule(ACTIVATIONS["tanh"])
    U = np.random.default_rng(0).normal(size=(3, 3))
    for options in ({"radius": 0.0}, {"radius": 1.0, "n_changed": 0}):
        lower, upper = output_bounds(rule, U, method=method, **options)
        assert np.allclose(lower, rule.predict(U), atol=1e-7) and np.allclose(upper, rule.predict(U), atol=1e-7)


@pytest.mark.parametrize("method", METHODS[:3])
@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_zero_radius_leaves_room_for_what_the_solver_leaves(phi, method):
    rule, U = random_rule(ACTIVATIONS[phi]), np.random.default_rng(0).normal(size=(50, 3))
    lower, upper = output_bounds(rule, U, 0.0, method=method)
    assert np.all(lower <= rule.predict(U)) and np.all(rule.predict(U) <= upper)


def test_linear_program_is_exact_where_every_state_is_settled():
    rule = random_rule(ACTIVATIONS["identity"])
    A, B, C, D = rule.A, rule.B, rule.C, rule.D
    J = C @ np.linalg.solve(np.eye(8) - A, B) + D
    U = np.random.default_rng(0).normal(size=(2, 3))
    lower, upper = output_bounds(rule, U, 0.7, method="lp")
    assert np.allclose(upper - rule.predict(U), 0.7 * np.abs(J).sum(axis=1), rtol=1e-6)
    lower, upper = output_bounds(rule, U, 0.7, method="lp", n_changed=1)
    assert np.allclose(rule.predict(U) - lower, 0.7 * np.abs(J).max(axis=1), rtol=1e-6)


@semidefinite
@pytest.mark.slow_cases
@pytest.mark.parametrize("phi", ["relu", "leaky_relu", BlockActivation([("relu", 2), ("identity", 2)])], ids=str)
@pytest.mark.parametrize("n_changed", [None, 1])
def test_semidefinite_program(phi, n_changed):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(4, 4))
    A *= 0.8 / np.abs(A).sum(axis=1).max()
    rule = ImplicitRule(A, rng.normal(size=(4, 2)), rng.normal(size=(1, 4)), b=rng.normal(size=4), activation=phi)
    U = rng.normal(size=(2, 2))
    Y = outputs_in_set(rule, U, 0.5, n_changed, rng)
    lower, upper = output_bounds(rule, U, 0.5, method="sdp", n_changed=n_changed)
    low, high = output_bounds(rule, U, 0.5, method="lp", n_changed=n_changed)
    assert np.all(lower <= Y) and np.all(Y <= upper)
    assert np.all(lower >= low) and np.all(upper <= high)


@pytest.mark.slow_cases
@pytest.mark.parametrize("inputs, states", [(1.0, 1e-9), (1.0, 1e-12), (1.0, 1e9), (1e12, 1.0), (1e-12, 1.0)])
@pytest.mark.parametrize("method", ["lp", "sdp"])
def test_programs_do_not_depend_on_units(method, inputs, states):
    rng = np.random.default_rng(0)
    A, B, C, D = (rng.normal(size=s) for s in ((6, 6), (6, 3), (1, 6), (1, 3)))
    A, b, U = A / (1.2 * np.abs(A).sum(axis=1).max()), rng.normal(size=6), rng.normal(size=(1, 3))
    expected = output_bounds(ImplicitRule(A, B, C, D, b), U, 0.5, method=method)
    rule = ImplicitRule(A, B * states / inputs, C / states, D / inputs, b * states)
    bounds = output_bounds(rule, U * inputs, 0.5 * inputs, method=method)
    np.testing.assert_allclose(bounds, expected, rtol=1e-5)


@semidefinite
def test_semidefinite_program_of_settled_states_is_tighter_than_the_linear_one():
    rng = np.random.default_rng(0)
    A, B, C = (rng.normal(size=s) for s in ((6, 6), (6, 3), (2, 6)))
    rule = ImplicitRule(A / (1.2 * np.abs(A).sum(axis=1).max()), B, C, rng.normal(size=(2, 3)), b=rng.normal(size=6))
    U = rng.normal(size=(1, 3))
    assert np.any(rule.states(U) == 0)
    linear, semidefinite = (np.subtract(*output_bounds(rule, U, 0.5, method=m)[::-1]) for m in ("lp", "sdp"))
    assert semidefinite[0, 0] < 0.9 * linear[0, 0]


def test_deep_network_with_norms_above_one():
    rng = np.random.default_rng(0)
    rule = feedforward([rng.normal(size=s) * 2 for s in ((6, 3), (6, 6), (6, 6), (2, 6))])
    assert rule.inf_norm > 5
    U = rng.normal(size=(3, 3))
    Y = outputs_in_set(rule, U, 0.1, None, rng)
    for method in METHODS:
        lower, upper = output_bounds(rule, U, 0.1, method=method)
        assert np.all(lower <= Y) and np.all(Y <= upper)


@pytest.mark.slow
def test_pipeline_estimator_and_rule_agree():
    X, y = make_classification(40, 6, random_state=0)
    network = make_pipeline(StandardScaler(), MLPClassifier((8,), alpha=1.0, max_iter=2000, random_state=0)).fit(X, y)
    lower, upper = output_bounds(from_sklearn(network), X, 0.05)
    logits = np.log(network.predict_proba(X)[:, 1] / network.predict_proba(X)[:, 0])
    assert np.all(lower[:, 0] <= logits + 1e-9) and np.all(logits <= upper[:, 0] + 1e-9)
    model = ImplicitClassifier(n_hidden=4, alpha=0.1, clip=False, random_state=0).fit(X, y)
    assert np.array_equal(output_bounds(model, X, 0.1), output_bounds(model.rule_, X, 0.1))


class Cutting:
    """An estimator that cuts its inputs."""

    class Range:
        lower, upper = np.zeros(3), np.ones(3)

    def __init__(self, rule):
        self.rule_, self._input_range = rule, self.Range

    def clipped_rule(self):
        raise AssertionError("not needed where the range is known")

    def predict(self, U):
        return self.rule_.predict(np.clip(U, 0.0, 1.0))


@pytest.mark.slow
def test_box_is_cut_where_the_model_cuts():
    model = Cutting(random_rule(ACTIVATIONS["relu"]))
    U = np.array([[0.5, -0.5, 3.0], [0.0, 1.0, 0.5]])
    rng = np.random.default_rng(0)
    for n_changed in (None, 2):
        V = InputSet.around(U, np.full(3, 0.8), n_changed)
        Y = np.stack([model.predict(V.sample(rng)) for _ in range(100)])
        for method in METHODS:
            lower, upper = output_bounds(model, U, 0.8, n_changed=n_changed, method=method)
            assert np.all(lower <= Y) and np.all(Y <= upper)
        free_lower, free_upper = output_bounds(model.rule_, np.clip(U, 0, 1), 0.8, n_changed=n_changed)
        assert np.all(lower >= free_lower) and np.all(upper <= free_upper)
        found, _ = attack(model, U, model.predict(U) + 10.0, 0.8, n_changed=n_changed, random_state=0)
        assert np.all(np.abs(found - U) <= 0.8 + 1e-12)
        assert n_changed is None or np.all(np.count_nonzero(found != U, axis=1) <= n_changed)


@pytest.mark.parametrize("n_changed", [None, 1, 2])
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_box_around_a_row_at_an_end_of_the_range(end, n_changed):
    rng = np.random.default_rng(0)
    model, U, radius, W = Cutting(random_rule(ACTIVATIONS["relu"])), np.full((1, 3), end), 0.4, rng.normal(size=(5, 3))
    inputs = InputSet.around(U, np.full(3, radius), n_changed, (np.zeros(3), np.ones(3)))
    moves = np.array([move for move in product([0.0, radius], repeat=3) if np.count_nonzero(move) <= (n_changed or 3)])
    moves *= 1.0 - 2.0 * end  # inwards
    np.testing.assert_allclose(inputs.reach, np.full((1, 3), radius), rtol=1e-12)
    extremes = (moves @ W.T).min(axis=0), (moves @ W.T).max(axis=0)
    np.testing.assert_allclose(np.vstack(inputs.change(W)), extremes, atol=1e-12)
    Y = model.predict(U + moves)
    for method in METHODS:
        lower, upper = output_bounds(model, U, radius, n_changed=n_changed, method=method)
        assert np.all(lower <= Y) and np.all(Y <= upper)


def test_few_changes_are_those_of_the_largest_shares_whatever_the_units():
    inputs = InputSet.around(np.zeros((1, 3)), np.array([1.0, 8.0, 8.0]), 1)
    np.testing.assert_array_equal(inputs.project(np.array([[0.5, 2.0, -1.0]])), [[0.5, 0.0, 0.0]])
    np.testing.assert_array_equal(inputs.vertex(np.array([[1.0, 0.25, -0.5]])), [[0.0, 0.0, -8.0]])


@pytest.mark.parametrize("norm, order", [("inf", np.inf), (1, 1), (2, 2)])
@pytest.mark.parametrize("phi", PHIS, ids=lambda phi: phi.name)
def test_lipschitz_bound(norm, order, phi):
    rule = random_rule(phi)
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(2, 300, 3))
    V = U + (V - U) * rng.choice([1e-3, 1.0], size=(300, 1))
    moved = np.linalg.norm(rule.predict(U) - rule.predict(V), order, axis=1)
    assert np.all(moved <= lipschitz_bound(rule, norm) * np.linalg.norm(U - V, order, axis=1) + 1e-8)


def test_lipschitz_bound_of_layers_is_at_most_the_product_of_their_norms():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in ((5, 3), (4, 5), (2, 4))]
    product = np.prod([np.linalg.norm(W, 2) for W in weights])
    assert lipschitz_bound(feedforward(weights), 2) <= product * (1 + 1e-9)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"radius": -1.0}, ValueError, "radius"),
        ({"radius": [1.0, 2.0]}, ValueError, "radius"),
        ({"radius": np.nan}, ValueError, "radius"),
        ({"radius": "a"}, ValueError, "radius"),
        ({"radius": "0.1"}, ValueError, "radius"),
        ({"n_changed": -1}, ValueError, "n_changed"),
        ({"n_changed": 1.5}, TypeError, "n_changed"),
        ({"norm": 2}, ValueError, "norm"),
        ({"method": "magic"}, ValueError, "method"),
        ({"method": "sdp"}, ValueError, "tanh"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    rule = random_rule(ACTIVATIONS["tanh"])
    with pytest.raises(error, match=message):
        output_bounds(rule, np.zeros((1, 3)), **{"radius": 1.0, **options})


def test_models_without_a_bound_are_refused():
    with pytest.raises(ValueError, match="No bound is known"):
        output_bounds(ImplicitRule([[2.0]], [[1.0]], [[1.0]]), [[0.0]], 1.0)
    with pytest.raises(TypeError, match="MLPClassifier"):
        output_bounds(MLPClassifier(), [[0.0]], 1.0)
    with pytest.raises(NotFittedError):
        output_bounds(ImplicitRegressor(), [[0.0]], 1.0)
    with pytest.raises(ValueError, match="norm"):
        lipschitz_bound(random_rule(ACTIVATIONS["relu"]), 3)


def test_softmax_of_a_wide_box_reaches_what_single_states_can():
    # Each share can be almost all: its z at its largest, the others at their least. Seen from the largest z of all the
    # exponentials of the others underflow.
    low, high = np.full((1, 3), -4000.0), np.array([[4000.0, 2000.0, 0.0]])
    lower, upper = activation_range(BlockActivation([(softmax(3), 3)]), low, high)
    np.testing.assert_allclose(upper, 1.0)
    np.testing.assert_allclose(lower, 0.0, atol=1e-299)
    rng = np.random.default_rng(0)
    inside = low + (high - low) * rng.random((200, 3))
    states = BlockActivation([(softmax(3), 3)])(inside)
    assert np.all((states >= lower) & (states <= upper))


@pytest.mark.parametrize("classes", [None, [0, 1]])
def test_no_rows(classes):
    rule = random_rule(ACTIVATIONS["relu"])
    y = np.empty((0, 2)) if classes is None else []
    inputs, success = attack(rule, np.empty((0, 3)), y, 0.1, classes=classes, random_state=0)
    assert inputs.shape == (0, 3) and success.shape == (0,)
    assert output_bounds(rule, np.empty((0, 3)), 0.1)[0].shape == (0, 2)


def test_an_activation_of_one_negative_slope():
    phi = Activation("minus", lambda Z, out=None: np.negative(Z, out=out), lambda Z, X: -np.ones_like(Z), -1.0, -1.0)
    rule = ImplicitRule([[0.0]], [[1.0]], [[1.0]], activation=phi)
    for method in METHODS:
        np.testing.assert_allclose(output_bounds(rule, [[1.0]], 0.5, method=method), [[[-1.5]], [[-0.5]]], rtol=1e-6)


@pytest.mark.parametrize("slope", [1e3, 1e8])
def test_rounding_that_a_steep_activation_amplifies(slope):
    rng = np.random.default_rng(0)
    phi = leaky_relu(slope)
    for _ in range(10):
        B, u = rng.normal(size=(2, 1, 6))
        rule = ImplicitRule([[0.0]], B, [[1.0]], b=-(B @ u.T)[0], activation=phi)
        computed = np.vstack([rule.predict(U) for U in (np.repeat(u, 7, axis=0), sparse.csr_array(u))])
        for method in METHODS:
            lower, upper = output_bounds(rule, u, 0.0, method=method)
            assert np.all((lower <= computed) & (computed <= upper))


def test_one_activation_of_groups_for_all_states():
    # The first state is the maximum, which the input moves by way of the second.
    rule = ImplicitRule(np.zeros((2, 2)), [[0.0], [1.0]], [[1.0, 0.0]], activation=max_pool(2))
    lower, upper = output_bounds(rule, [[1.0]], 0.5)
    np.testing.assert_allclose([lower, upper], [[[0.5]], [[1.5]]])
    assert lipschitz_bound(rule) >= 1.0
    assert attack(rule, [[1.0]], [1.0], 0.5)[1].all()
    assert not ImplicitRule([[0.0, 0.0], [1.5, 0.0]], rule.B, rule.C, activation=max_pool(2)).is_well_posed()
    with pytest.raises(ValueError, match="cannot act on 3"):
        ImplicitRule(np.zeros((3, 3)), np.zeros((3, 1)), np.zeros((1, 3)), activation=max_pool(2))
