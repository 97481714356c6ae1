"""Fenchel divergences: laws that hold for each activation that has one."""

import cvxpy as cp
import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS, softmax
from skimplicit.lifted import DIVERGENCES, get_divergence

every_divergence = pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=lambda d: d.activation.name)


def points(divergence, seed=0, size=400):
    """Draw states inside the domain, and pre-activations of others."""
    rng = np.random.default_rng(seed)
    return divergence.activation(rng.normal(size=size)), rng.normal(scale=2.0, size=size)


@every_divergence
def test_at_least_zero_and_zero_where_the_equation_holds(divergence):
    X, Z = points(divergence)
    assert np.all(divergence.value(X, Z) >= -1e-14)
    np.testing.assert_allclose(divergence.value(divergence.activation(Z), Z), 0.0, atol=1e-13)


@every_divergence
def test_bounds_the_error_of_a_state(divergence):
    X, Z = points(divergence)
    error = X - divergence.activation(Z)
    gamma = divergence.activation.lipschitz
    assert np.all(error**2 <= 2 * gamma * divergence.value(X, Z) + 1e-14)
    assert np.linalg.norm(error) <= np.sqrt(2 * divergence.value(X, Z).sum()) + 1e-12


@every_divergence
def test_activation_is_the_derivative_of_the_conjugate(divergence):
    _, Z = points(divergence)
    h = 1e-6
    slopes = (divergence.conjugate(Z + h) - divergence.conjugate(Z - h)) / (2 * h)
    np.testing.assert_allclose(divergence.activation(Z), slopes, rtol=1e-6, atol=1e-6)


@every_divergence
def test_potential_is_infinite_outside_the_domain_only(divergence):
    Z = np.linspace(-20.0, 20.0, 101)
    assert np.isfinite(divergence.potential(divergence.activation(Z))).all()
    low, high = divergence.activation(np.array([-1e9, 1e9]))
    outside = np.array([x for x in (low - 0.1, high + 0.1) if abs(x) < 1e6])
    assert np.all(np.isinf(divergence.potential(outside)))


@every_divergence
def test_modulus_is_that_of_strong_convexity(divergence):
    rng = np.random.default_rng(0)
    X, Y = divergence.activation(rng.normal(scale=2.0, size=(2, 500)))
    middle = divergence.potential(0.5 * (X + Y))
    bound = 0.5 * (divergence.potential(X) + divergence.potential(Y)) - divergence.modulus / 8 * (X - Y) ** 2
    assert np.all(middle <= bound + 1e-12)


@every_divergence
@pytest.mark.parametrize("share", [1e-3, 0.1, 0.7, 1.0])
def test_proximal_point_is_a_minimiser(divergence, share):
    weight = share / divergence.modulus
    V = np.linspace(-6.0, 6.0, 61)
    X = divergence.proximal_point(V, weight)

    def value(X):
        return weight * (divergence.potential(X) - 0.5 * divergence.modulus * X**2) + 0.5 * (X - V) ** 2

    least = value(X)
    assert np.isfinite(least).all()
    for h in (-1e-2, -1e-4, 1e-4, 1e-2):
        assert np.all(least <= value(X + h) + 1e-14)


@every_divergence
def test_both_readings_agree(divergence):
    X, Z = points(divergence, size=20)
    symbol_X, symbol_Z = cp.Variable(X.size), cp.Variable(Z.size)
    potential, domain = divergence.potential_cvxpy(symbol_X)
    conjugate = divergence.conjugate_cvxpy(symbol_Z)
    assert potential.is_convex()
    assert conjugate.is_convex()
    symbol_X.value, symbol_Z.value = X, Z
    np.testing.assert_allclose(potential.value, divergence.potential(X), atol=1e-12)
    np.testing.assert_allclose(conjugate.value, divergence.conjugate(Z), atol=1e-12)
    assert all(constraint.violation().max() <= 1e-12 for constraint in domain)


@every_divergence
def test_large_pre_activations_do_not_overflow(divergence):
    Z = np.array([-1e3, 1e3])
    value = divergence.value(divergence.activation(Z), Z)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)


def test_known_by_their_activation():
    assert set(DIVERGENCES) == {ACTIVATIONS[n] for n in ("relu", "leaky_relu", "identity", "tanh", "sigmoid")}
    for activation, divergence in DIVERGENCES.items():
        assert get_divergence(activation) is divergence
        assert divergence.activation is activation


@pytest.mark.parametrize("activation", [ACTIVATIONS["silu"], ACTIVATIONS["softplus"], softmax(3)])
def test_others_are_refused_by_name(activation):
    with pytest.raises(ValueError, match=f"No Fenchel divergence is known for .*{activation.name}"):
        get_divergence(activation)
