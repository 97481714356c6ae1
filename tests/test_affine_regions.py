"""``affine_forms``: inside the radius the rule is its affine form exactly, and just outside it is not."""

import warnings

import numpy as np
import pytest
from test_monotonic_cst import make_data, quietly

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.inspection import affine_forms


def random_rule(seed, n=5, p=3, activation="relu"):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= 0.8 / np.abs(A).sum(axis=1).max(initial=1e-9)
    B, C, D = rng.normal(size=(n, p)), rng.normal(size=(2, n)), rng.normal(size=(2, p))
    return ImplicitRule(A, B, C, D, rng.normal(size=n), rng.normal(size=2), activation=activation)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("seed", range(5))
def test_the_form_holds_inside_and_ends_at_the_radius(seed, activation):
    rule, rng = random_rule(seed, activation=activation), np.random.default_rng(seed)
    U = rng.normal(size=(6, 3))
    forms = affine_forms(rule, U)
    assert np.all(np.isfinite(forms.radius) & (forms.radius > 0))
    np.testing.assert_allclose(forms.value, rule.predict(U), rtol=1e-9, atol=1e-9)
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    for u, slopes, value, radius in zip(U, forms.slopes, forms.value, forms.radius, strict=True):
        directions = np.vstack([corners, rng.uniform(-1, 1, size=(20, 3))])
        inside = rule.predict(u + 0.999 * radius * directions)
        np.testing.assert_allclose(inside, value + 0.999 * radius * directions @ slopes.T, atol=1e-8)
        outside = affine_forms(rule, u + 1.001 * radius * corners).slopes
        assert np.abs(outside - slopes).max() > 1e-9  # another piece in some corner


def test_a_linear_rule_is_affine_everywhere():
    for rule in (random_rule(0, activation="identity"), random_rule(0, n=0)):
        forms = affine_forms(rule, np.ones((2, 3)))
        assert np.all(np.isinf(forms.radius))
        np.testing.assert_allclose(forms.slopes[0], forms.slopes[1])


def test_a_kink_has_no_room():
    rule = ImplicitRule(A=[[0.0]], B=[[1.0]], C=[[1.0]])
    np.testing.assert_array_equal(affine_forms(rule, [[0.0], [2.0]]).radius, [0.0, 2.0])


@pytest.mark.parametrize("seed", range(5))
def test_slopes_of_layers_of_any_size_do_not_cancel(seed):
    rng = np.random.default_rng(seed)
    A = np.triu(rng.normal(size=(7, 7)) * 10.0 ** rng.integers(-9, 9, size=(7, 7)), 1)
    B, b, U = rng.normal(size=(7, 2)), rng.normal(size=7), rng.normal(size=(1, 2))
    order = rng.permutation(7)
    rule = ImplicitRule(A[order][:, order], B[order], np.eye(7), b=b[order], activation="leaky_relu")
    slope = np.where(rule.states(U)[0] > 0, 1.0, 0.01)[np.argsort(order)]
    J, size = np.zeros((2, 7, 2))
    for i in range(6, -1, -1):
        J[i] = slope[i] * (A[i] @ J + B[i])
        size[i] = slope[i] * (np.abs(A[i]) @ size + np.abs(B[i]))
    assert np.all(np.abs(affine_forms(rule, U).slopes[0] - J[order]) <= 1e-12 * size[order])


def test_an_estimator():
    U, y = make_data()
    model = quietly(ImplicitRegressor(n_hidden=4, alpha=0.01, random_state=0), U, y)
    np.testing.assert_allclose(affine_forms(model, U).value.ravel(), model.predict(U), rtol=1e-8, atol=1e-8)
    with pytest.raises(ValueError, match="features"):
        affine_forms(model, U[:, :2])


def test_other_activations_are_refused():
    with pytest.raises(TypeError, match="piecewise linear"):
        affine_forms(random_rule(0, activation="tanh"), np.ones((1, 3)))
    with pytest.raises(ValueError, match="X has 2 columns"):
        affine_forms(random_rule(0), np.ones((1, 2)))


def test_states_as_exact_as_rounding_allows_are_exact_enough():
    rule = ImplicitRule([[0.4, 40.0], [0.004, 0.4]], [[1.0], [1.0]], [[1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as of predict
        form = affine_forms(rule, [[1.0], [0.3]])
    np.testing.assert_allclose(form.value, rule.predict([[1.0], [0.3]]))
