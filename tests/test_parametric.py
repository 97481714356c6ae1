"""Activations with a parameter: they are what they declare, as those known by name are."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skimplicit import ImplicitRule
from skimplicit.activations import ACTIVATIONS, BlockActivation, Exponential, hardtanh, leaky_relu
from skimplicit.inspection import explain
from skimplicit.networks import activate, affine, max_pooling
from skimplicit.robustness import is_monotone, lipschitz_bound, output_bounds
from skimplicit.wellposedness import sensitivity

MAKES = {
    "leaky 0.3": (lambda: leaky_relu(0.3), lambda z: np.where(z > 0, z, 0.3 * z)),
    "leaky 2": (lambda: leaky_relu(2.0), lambda z: np.where(z > 0, z, 2.0 * z)),
    "leaky -0.5": (lambda: leaky_relu(-0.5), lambda z: np.where(z > 0, z, -0.5 * z)),
    "hardtanh": (hardtanh, lambda z: np.minimum(np.maximum(z, -1.0), 1.0)),
    "relu6": (lambda: hardtanh(0, 6), lambda z: np.minimum(np.maximum(z, 0.0), 6.0)),
    "one side": (lambda: hardtanh(-np.inf, 1), lambda z: np.minimum(z, 1.0)),
}
every = pytest.mark.parametrize(("make", "reference"), MAKES.values(), ids=MAKES)
Z = np.linspace(-9.05, 9.05, 182).reshape(14, 13)  # no kink is on the grid


@every
def test_value_slopes_and_declarations(make, reference):
    phi, step = make(), 1e-6
    X = phi(Z)
    assert_array_equal(X, reference(Z))
    inside = Z.copy()
    assert phi(inside, out=inside) is inside and (inside == X).all()
    difference = (phi(Z + step) - phi(Z - step)) / (2 * step)
    assert_allclose(phi.derivative(Z, X), difference, atol=1e-8)
    assert difference.min() == pytest.approx(phi.min_slope) and difference.max() == pytest.approx(phi.max_slope)
    if phi.homogeneous:
        assert_allclose(phi(3.0 * Z), 3.0 * X)


@every
def test_equal_and_pickled(make, reference):
    assert make() == make() and hash(make()) == hash(make()) and pickle.loads(pickle.dumps(make())) == make()
    assert all(make() != other for other in ACTIVATIONS.values())
    rule = ImplicitRule([[0.2]], [[1.0]], [[1.0]], activation=make())
    assert pickle.loads(pickle.dumps(rule)) == rule


def test_known_by_name():
    assert [leaky_relu(slope).name for slope in (0, 0.01, 1)] == ["relu", "leaky_relu", "identity"]


def test_exponential():
    phi = Exponential()
    assert_allclose(phi(Z), np.exp(Z))
    assert_array_equal(phi.derivative(Z, phi(Z)), phi(Z))
    assert phi == Exponential() and phi.lipschitz == np.inf
    fed_back = ImplicitRule([[0.1]], [[1.0]], [[1.0]], activation=phi)
    assert not fed_back.is_well_posed() and not fed_back.well_posedness()
    x = fed_back.predict([[0.0]])  # x = exp(0.1 x) has a solution, although nothing certifies it
    assert_allclose(x, np.exp(0.1 * x))
    explicit = ImplicitRule([[0.0, 3.0], [0.0, 0.0]], np.eye(2), np.eye(2), activation=phi)
    assert explicit.is_well_posed()
    assert_allclose(explicit.predict([[0.0, 0.0]]), [[np.exp(3.0), 1.0]])


def test_refused():
    for slope in (np.nan, np.inf):
        with pytest.raises(ValueError, match="leaky_relu"):
            leaky_relu(slope)
    for bounds in ((1.0, 1.0), (2.0, 1.0), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="low must be below high"):
            hardtanh(*bounds)


@pytest.mark.parametrize(
    "A", [np.zeros((2, 2)), [[0.0, 0.5], [0.0, 0.0]]], ids=["a generalised linear model", "behind a state"]
)
def test_what_is_known_of_a_slope_without_a_bound(A):
    phi = BlockActivation([(Exponential(), 1), ("relu", 1)])
    rule = ImplicitRule(A, [[1.0], [1.0]], [[1.0, 0.0], [0.0, 1.0]], activation=phi)
    assert_array_equal(sensitivity(rule)[0], np.inf)
    for refused in (lambda: output_bounds(rule, [[0.0]], 0.1), lambda: lipschitz_bound(rule)):
        with pytest.raises(ValueError, match="^No bound is known"):
            refused()
    assert is_monotone(rule, 0) == 1
    found = explain(rule, [[1.0]])
    assert_allclose(found.reference_value + found.contributions.sum(axis=1), rule.predict([[1.0]]))


def test_the_direction_behind_pooling_needs_no_bound_of_slopes():
    pooled = affine(max_pooling(2, input_shape=(1, 4)), G=[[0.5, -0.5]])
    rule = activate(pooled, Exponential())
    assert [is_monotone(rule, j) for j in range(4)] == [1, 1, -1, -1]
