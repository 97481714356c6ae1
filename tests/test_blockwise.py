"""Activations that differ from block to block, and activations of groups."""

import pickle
from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax as scipy_softmax

from skimplicit import ImplicitRule
from skimplicit.activations import (
    ACTIVATIONS,
    BlockActivation,
    GroupActivation,
    get_activation,
    join_activations,
    max_pool,
    softmax,
)
from skimplicit.composition import average
from skimplicit.distill import drift_bound, from_states
from skimplicit.equilibrium import adjoint, equilibrium, solve_equilibrium
from skimplicit.robustness import is_monotone, output_bounds
from skimplicit.wellposedness import well_posedness

Z = np.random.default_rng(0).normal(size=(6, 9))


def test_each_block_has_its_own_activation():
    phi = BlockActivation([("relu", 2), ("tanh", 1), (max_pool(2), 4), (softmax(2), 2)])
    X = phi(Z)
    assert_allclose(X[:, :2], np.maximum(Z[:, :2], 0))
    assert_allclose(X[:, 2], np.tanh(Z[:, 2]))
    assert_allclose(X[:, [3, 5]], np.stack([Z[:, 3:5].max(axis=1), Z[:, 5:7].max(axis=1)], axis=1))
    assert_allclose(X[:, [4, 6]], 0)
    assert_allclose(X[:, 7:], scipy_softmax(Z[:, 7:], axis=1))
    out = Z.copy()
    assert phi(out, out=out) is out
    assert_allclose(out, X)
    assert phi.lipschitz.tolist() == [1] * 7 + [0.5] * 2
    assert phi.size == 9 and not phi.homogeneous
    assert BlockActivation([("relu", 2), (max_pool(2), 2)]).homogeneous


def test_derivative_and_slopes():
    parts = list(ACTIVATIONS)
    phi = BlockActivation([(name, 1) for name in parts])
    X = phi(Z)
    slopes = phi.derivative(Z, X)
    for i, name in enumerate(parts):
        assert_allclose(slopes[:, i], ACTIVATIONS[name].derivative(Z[:, i], X[:, i]))
        assert (phi.min_slope[i], phi.max_slope[i]) == (ACTIVATIONS[name].min_slope, ACTIVATIONS[name].max_slope)


def test_groups_have_no_componentwise_derivative():
    phi = BlockActivation([("relu", 1), (max_pool(2), 8)])
    with pytest.raises(TypeError, match="'max_pool' has no componentwise derivative"):
        phi.derivative(Z, phi(Z))
    rule = ImplicitRule(np.zeros((9, 9)), np.eye(9), np.eye(9), activation=phi)
    for method in ("newton", "diagonal_newton", "peaceman_rachford"):
        with pytest.raises(ValueError, match="needs a componentwise activation"):
            rule.states(Z, method=method)


@pytest.mark.parametrize("make", [max_pool, softmax])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_group_activation_of_all_states_has_its_groups(make, size):
    eye = np.eye(4)
    rule, blocks = (
        ImplicitRule(0 * eye, eye, eye, activation=phi) for phi in (make(size), BlockActivation([(make(size), 4)]))
    )
    assert rule == blocks and rule.activation.groups.tolist() == (np.arange(4) // size).tolist()
    U, radius = np.zeros((1, 4)), np.array([0.0, 1.0, 0.0, 0.0])
    lower, upper = output_bounds(rule, U, radius)
    Y = rule.predict(U + np.linspace(-1, 1, 21)[:, None] * radius)
    assert np.all((lower <= Y) & (Y <= upper))
    assert is_monotone(rule, 1) == is_monotone(blocks, 1)
    with pytest.raises(ValueError, match="needs a componentwise activation"):
        rule.states(U, method="newton")
    with pytest.raises(ValueError, match="each state"):
        drift_bound(0 * eye, make(size), U)
    with pytest.raises(ValueError, match="takes states together"):
        from_states(eye, eye, eye, activation=make(size))
    with pytest.raises(ValueError, match="cannot act on 5 coordinates") if size > 1 else nullcontext():
        ImplicitRule(np.zeros((5, 5)), np.zeros((5, 1)), np.zeros((1, 5)), activation=make(size))


@pytest.mark.parametrize(("make", "gamma"), [(max_pool, 1.0), (softmax, 0.5)])
def test_lipschitz_constant_of_groups_is_tight(make, gamma):
    phi = make(3)
    rng = np.random.default_rng(0)
    S, T = rng.normal(size=(2, 500, 3))
    change = np.abs(phi(S) - phi(T)).max(axis=1)
    assert np.all(change <= phi.lipschitz * np.abs(S - T).max(axis=1))
    assert phi.lipschitz == gamma
    steep = np.array([[0.0, 0.0, -50.0]])  # softmax at (1/2, 1/2, 0)
    step = 1e-4 * np.array([[1.0, -1.0, 0.0]])
    assert np.abs(phi(steep + step) - phi(steep)).max() == pytest.approx(gamma * 1e-4, rel=1e-3)


def test_blocks_are_opened_merged_and_restricted():
    inner = BlockActivation([("relu", 2), ("tanh", 1)])
    phi = BlockActivation([("relu", 1), (inner, 3), ("tanh", 2), ("relu", 0), (max_pool(2), 4)])
    assert phi.blocks == BlockActivation([("relu", 3), ("tanh", 3), (max_pool(2), 4)]).blocks
    assert phi.restricted(np.array([0, 4, 6, 7])) == BlockActivation([("relu", 1), ("tanh", 1), (max_pool(2), 2)])
    assert phi.restricted(np.array([0, 2])) == get_activation("relu")
    assert join_activations([("relu", 2), ("relu", 3)]) is get_activation("relu")
    assert join_activations([]) is get_activation("identity")
    assert repr(phi) == "BlockActivation('relu': 3, 'tanh': 3, 'max_pool': 4)"
    assert phi.name == "blocks of relu, tanh, max_pool"
    assert repr(max_pool(2)) == "GroupActivation('max_pool', group_size=2)"


def test_pickles_and_compares():
    phi = BlockActivation([("relu", 3), (max_pool(2), 4), (softmax(2), 2)])
    assert phi.lipschitz is not None  # computed values do not matter for equality
    assert pickle.loads(pickle.dumps(phi)) == phi
    assert phi != BlockActivation([("relu", 3), (max_pool(4), 4), (softmax(2), 2)])


def test_a_part_of_many_is_found_without_the_others(monkeypatch):
    phi, asked = BlockActivation([("relu", 1), ("tanh", 1)] * 50), []
    monkeypatch.setattr(
        "skimplicit.activations.blockwise.get_activation", lambda part: asked.append(part) or get_activation(part)
    )
    assert phi.restricted(np.array([7])) == get_activation("tanh")
    assert len(asked) < 5


@pytest.mark.parametrize("blocks", [[("relu", -1)], [(max_pool(2), 3)], [(BlockActivation([("relu", 2)]), 3)]])
def test_refuses_sizes_that_do_not_fit(blocks):
    with pytest.raises(ValueError, match="cannot act on"):
        BlockActivation(blocks)


def test_other_refusals():
    with pytest.raises(ValueError, match="group_size"):
        GroupActivation("none", None, 0, 1.0)
    with pytest.raises(ValueError, match="acts on 2 states, but the rule has 1"):
        ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation=BlockActivation([("relu", 2)]))


def test_gradient_through_blocks():
    rng = np.random.default_rng(0)
    phi = BlockActivation([("relu", 3), ("tanh", 3), ("identity", 3)])
    A, C = rng.normal(size=(9, 9)) / 20, rng.normal(size=9)
    rule = ImplicitRule(A, np.eye(9), C[None], activation=phi)
    X = rule.states(Z)
    gradient = adjoint(A, phi.derivative(X @ A.T + Z, X), np.tile(C, (6, 1))).states
    step = 1e-6 * rng.normal(size=Z.shape)
    numeric = (rule.predict(Z + step) - rule.predict(Z - step))[:, 0] / 2
    assert_allclose((gradient * step).sum(axis=1), numeric, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("make", [max_pool, softmax])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside tanh"])
@pytest.mark.parametrize("order", [np.array, np.triu], ids=["loops", "triangular"])
def test_a_rule_takes_the_coordinates_of_a_group_together(make, size, alone, order):
    rng = np.random.default_rng(size)
    phi = make(size) if alone else BlockActivation([(make(size), 2), ("tanh", 2)])
    A, B = order(rng.uniform(-0.1, 0.1, size=(4, 4))), rng.normal(size=(4, 3))
    np.fill_diagonal(A, -0.9)  # of states on their own, Newton's method
    rule = ImplicitRule(A, B, np.eye(4), activation=phi)
    U = 10 * rng.normal(size=(6, 3))
    X = np.zeros((6, 4))
    for _ in range(200):
        X = 0.5 * X + 0.5 * BlockActivation([(phi, 4)])(X @ A.T + U @ B.T)
    assert_allclose(rule.predict(U), X, atol=1e-8)
    assert_allclose(average(rule, rule).predict(U), X, atol=1e-8)


@pytest.mark.parametrize("given", [max_pool(2), BlockActivation([(max_pool(2), 2)])], ids=["alone", "blocks"])
def test_nothing_is_certified_of_groups_as_if_their_states_were_alone(given):
    A = np.array([[0.0, 1.2], [0.0, 0.0]])  # each state alone would follow from the other
    assert not well_posedness(A, given)
    assert_array_equal(solve_equilibrium(A, np.ones((1, 2)), given).error_bound, np.inf)
    assert_array_equal(equilibrium(A, np.ones((1, 2)), given).error_bound, np.inf)
    with pytest.raises(ValueError, match="acts on each state alone"):
        drift_bound(0.5 * A, given, np.ones((1, 2)))
    with pytest.raises(ValueError, match="takes each alone"):
        from_states(np.ones((3, 1)), np.ones((3, 2)), np.ones(3), activation=given)
