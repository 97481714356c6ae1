"""Importances: derivatives at the training rows in deviations of inputs and targets, and the bound on them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import rankdata
from sklearn.base import clone

from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRule
from skimplicit.activations import ACTIVATIONS
from skimplicit.composition import average
from skimplicit.estimators.importance import bounded_sensitivity, input_importances
from skimplicit.projections import project_rows_l1
from skimplicit.rows import Samples
from skimplicit.wellposedness import sensitivity


def random_rule(rng, n=6, p=4, q=2, activation="relu"):
    A = project_rows_l1(2 * rng.normal(size=(n, n)), 0.8)
    return ImplicitRule(
        A, *(rng.normal(size=shape) for shape in ((n, p), (q, n), (q, p), (n,), (q,))), activation=activation
    )


def by_differences(rule, U, step=1e-6):
    """dy/du by central differences, (m, q, p)."""
    ends = [rule.predict(U + step * e) - rule.predict(U - step * e) for e in np.eye(U.shape[1])]
    return np.stack(ends, axis=-1) / (2 * step)


def importances(rules, samples):
    return input_importances(rules, samples, bounded_sensitivity(average(*rules), samples) > 0)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("n_members", [1, 3])
def test_they_are_mean_absolute_derivatives(activation, n_members):
    rng = np.random.default_rng(0)
    rules = [random_rule(rng, activation=activation) for _ in range(n_members)]
    rule = average(*rules)
    U, Y, weights = rng.normal(size=(30, 4)) * [1, 5, 0.2, 1], rng.normal(size=(30, 2)), rng.uniform(1, 2, size=30)
    samples = Samples(U, Y, weights)
    derivatives = by_differences(rule, U)
    share = weights / weights.sum()
    in_deviations = np.abs(derivatives) * samples.U_std / samples.Y_scale[:, None]
    expected = np.einsum("m,mqp->p", share, in_deviations) / 2
    np.testing.assert_allclose(importances(rules, samples), expected, rtol=1e-5)
    np.testing.assert_allclose(importances(rules, Samples(sparse.csr_matrix(U), Y, weights)), expected, rtol=1e-5)
    bound = bounded_sensitivity(rule, samples)
    np.testing.assert_allclose(bound, sensitivity(rule), rtol=1e-9)
    assert np.all(np.abs(derivatives) <= bound + 1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_without_intercepts_deviations_are_those_from_zero(fit_intercept):
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(40, 3)) + [0, 3, 0], rng.uniform(1, 2, size=40)
    y = X @ [1.0, 0.5, 0.0] + np.abs(X[:, 0])
    parameters = {"n_hidden": 3, "alpha": 0.01, "tol": 1e-1, "random_state": 0}
    model = ImplicitRegressor(fit_intercept=fit_intercept, **parameters).fit(X, y, weights)
    share = weights / weights.sum()
    sizes = [np.sqrt(share @ (Z - fit_intercept * (share @ Z)) ** 2) for Z in (X, y)]
    expected = share @ np.abs(by_differences(model.rule_, X)[:, 0]) * sizes[0] / sizes[1]
    np.testing.assert_allclose(model.feature_importances_, expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_importances_do_not_depend_on_units(seed):
    rng = np.random.default_rng(seed)
    rule = random_rule(rng)
    U, Y = rng.normal(size=(25, 4)), rng.normal(size=(25, 2))
    unit, target_unit = rng.uniform(0.01, 100, size=4), rng.uniform(0.01, 100, size=2)
    same = replace(rule, B=rule.B / unit, D=target_unit[:, None] * rule.D / unit, C=target_unit[:, None] * rule.C)
    expected = importances([rule], Samples(U, Y))
    np.testing.assert_allclose(importances([same], Samples(U * unit, Y * target_unit)), expected)


def test_rows_in_pieces(monkeypatch):
    rng = np.random.default_rng(1)
    rules, samples = [random_rule(rng)], Samples(rng.normal(size=(25, 4)), rng.normal(size=(25, 2)))
    expected = importances(rules, samples)
    monkeypatch.setattr("skimplicit.estimators.importance._MOST_NUMBERS", 50)
    np.testing.assert_allclose(importances(rules, samples), expected)


def test_members_that_cancel_do_not_count():
    rng = np.random.default_rng(2)
    rule = random_rule(rng)
    opposite = replace(rule, C=-rule.C, D=-rule.D)
    samples = Samples(rng.normal(size=(25, 4)), rng.normal(size=(25, 2)))
    np.testing.assert_allclose(importances([rule, opposite], samples), 0.0, atol=1e-12)


def test_zero_without_a_path():
    rng = np.random.default_rng(3)
    A = np.kron(np.eye(2), project_rows_l1(rng.normal(size=(3, 3)), 0.8))
    B, C = rng.normal(size=(6, 3)), rng.normal(size=(2, 6))
    B[:3, 2], C[:, 3:] = 0.0, 0.0  # input 2 feeds states alone that no output reads
    found = importances([ImplicitRule(A, B, C)], Samples(rng.normal(size=(40, 3)), rng.normal(size=(40, 2))))
    assert found[2] == 0.0 < found[:2].min()


@pytest.mark.slow_cases
@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
def test_fitted(cls):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(120, 4)) * [1, 10, 1, 1] + 3
    y = np.abs(X[:, 0] - 3) + 0.05 * X[:, 1]
    if cls is ImplicitClassifier:
        y = y > np.median(y)
    weights = rng.integers(1, 3, size=120)
    model = cls(n_hidden=4, alpha=0.01, max_iter=20, tol=1e-2, random_state=0).fit(X, y, weights)
    scale = 1.0 if cls is ImplicitClassifier else np.sqrt(np.cov(y, fweights=weights, ddof=0))
    deviation = np.sqrt(np.diag(np.cov(X.T, fweights=weights, ddof=0)))
    mean = np.average(np.abs(by_differences(model.rule_, X))[:, 0], axis=0, weights=weights)
    np.testing.assert_allclose(model.feature_importances_, mean * deviation / scale, rtol=1e-4)
    np.testing.assert_allclose(model.sensitivity_, sensitivity(model.rule_), rtol=1e-9)
    assert set(np.argsort(rankdata(model.feature_importances_))[2:]) == {0, 1}


def test_partial_fit_takes_the_last_rows():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(80, 3))
    y = np.abs(X[:, 0]) + X[:, 1]
    model = ImplicitRegressor(n_hidden=3, alpha=0.01, method="gradient", random_state=0).partial_fit(X[:50], y[:50])
    model.partial_fit(X[50:], y[50:])
    mean = np.abs(by_differences(model.rule_, X[50:]))[:, 0].mean(axis=0)
    np.testing.assert_allclose(model.feature_importances_, mean * X[:50].std(axis=0) / y[:50].std(), rtol=1e-4)


def test_without_rows_the_bound_of_deviation_one():
    rule = random_rule(np.random.default_rng(5))
    model = ImplicitRegressor.from_rule(rule)
    np.testing.assert_array_equal(model.sensitivity_, sensitivity(rule))
    np.testing.assert_array_equal(model.feature_importances_, sensitivity(rule).mean(axis=0))
    assert not hasattr(ImplicitRegressor(), "sensitivity_")


def test_a_look_that_is_interrupted_changes_nothing(monkeypatch):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(80, 3))
    y = np.abs(X[:, 0]) + X[:, 1]
    model = ImplicitRegressor(n_hidden=3, alpha=0.01, method="gradient", random_state=0).partial_fit(X, y)
    wanted = clone(model).partial_fit(X, y).feature_importances_

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("skimplicit.estimators.from_rule.input_importances", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.feature_importances_  # noqa: B018
    np.testing.assert_array_equal(model.feature_importances_, wanted)
