"""The selection does not depend on where the inputs have their zero, nor on rows that do not count."""

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.model_selection import GroupKFold

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRegressorCV

# Each law holds whatever is selected, or of inputs that are clear.
pytestmark = [
    pytest.mark.usefixtures("shortest_paths"),
    pytest.mark.filterwarnings("ignore:Training stopped after max_iter"),
]
SMALL = dict(n_hidden=3, alpha=0.01, max_iter=4, tol=1e-2)
SMALLEST = {**SMALL, "n_hidden": 2, "max_iter": 2}


def make_data(m=90):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, 6))
    return X, np.abs(X[:, 0]) + X[:, 1] - X[:, 2] + 0.3 * rng.normal(size=m)


def selector(estimator=None, **parameters):
    estimator = ImplicitRegressor(**SMALL) if estimator is None else estimator
    return ImplicitFeatureSelector(estimator, **{"column_budgets": 2, "cv": 3, "random_state": 0, **parameters})


def scores(found):
    names = [name for name in found.cv_results_ if name.startswith("split")]
    return np.array([found.cv_results_[name] for name in names])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("groups", [None, [0, 0, 1, 2, 3, 3]])
def test_inputs_may_have_any_mean(container, groups):
    X, y = make_data()
    found = selector(groups=groups).fit(X, y)
    shifted = selector(groups=groups).fit(container(X + 1024.0), y)
    assert np.array_equal(found.support_, shifted.support_)
    np.testing.assert_allclose(scores(shifted), scores(found), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_inputs_of_classes_may_have_any_mean():
    X, y = make_data()
    found, shifted = (selector(ImplicitClassifier(**SMALL)).fit(each, y > 0.5) for each in (X, X - 300.0))
    assert np.array_equal(found.support_, shifted.support_)
    np.testing.assert_allclose(scores(shifted), scores(found), rtol=1e-4, atol=1e-4)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    "parameters", [{}, {"cv": None, "column_budgets": 1}, {"rule": "all_relevant"}, {"fdr": 0.5, "cv": None}]
)
def test_rows_without_weight_are_as_good_as_left_out(parameters):
    X, y = make_data()
    weights = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    there = weights > 0
    X[~there], y[~there] = 1e200, -1e200  # a value that says so
    with_them = selector(ImplicitRegressor(**SMALLEST), **parameters).fit(X, y, weights)
    without = selector(ImplicitRegressor(**SMALLEST), **parameters).fit(X[there], y[there], weights[there])
    assert np.array_equal(with_them.support_, without.support_)
    np.testing.assert_allclose(with_them.selection_frequency_, without.selection_frequency_)
    if with_them.permutation_scores_ is not None:
        np.testing.assert_allclose(with_them.permutation_scores_, without.permutation_scores_, rtol=1e-6)
    np.testing.assert_allclose(scores(with_them), scores(without), rtol=1e-6)


@pytest.mark.slow
def test_rows_without_weight_choose_no_ridge():
    X, y = make_data()
    weights = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    there = weights > 0
    X[~there], y[~there] = 1e200, -1e200
    cv = ImplicitRegressorCV(n_hidden=2, alphas=3, cv=2, max_iter=3, tol=1e-1, random_state=0)
    path = cv.fit(X, y, weights).mse_path_
    np.testing.assert_allclose(path, cv.fit(X[there], y[there], weights[there]).mse_path_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_classes_of_rows_without_weight_stay_known():
    X, y = make_data()
    labels, weights = np.digitize(y, [0, 1]), np.where(np.arange(len(X)) < 80, 1.0, 0.0)
    weights[labels == 2] = 0
    assert selector(ImplicitClassifier(**SMALL)).fit(X, labels, weights).classes_.tolist() == [0, 1, 2]


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better", "ignore:The least populated class")
@pytest.mark.parametrize(
    "kind, m", [*((ImplicitRegressor, m) for m in (1, 2, 3, 6)), *((ImplicitClassifier, m) for m in (2, 3, 6))]
)
def test_a_few_rows_are_enough(kind, m):
    X, y = make_data()
    y = y[:m] if kind is ImplicitRegressor else np.arange(m) % 3
    found = ImplicitFeatureSelector(kind(**SMALLEST), column_budgets=1, random_state=0).fit(X[:m], y)
    assert 1 <= found.n_features_ <= 6


@pytest.mark.parametrize(
    "estimator",
    [
        ImplicitRegressor(**SMALL),
        ImplicitRegressor(n_hidden=3, cv=3),
        ImplicitClassifier(n_hidden=3),
        ImplicitRegressorCV(n_hidden=2),
        selector(),
        selector(cv=None),
    ],
)
def test_metadata_that_go_nowhere_are_named(estimator):
    X, y = make_data(30)
    y = y > 0 if isinstance(estimator, ImplicitClassifier) else y
    with sklearn.config_context(enable_metadata_routing=True):
        for name in ("groups", "sample_weights"):
            with pytest.raises(TypeError, match=name):
                estimator.fit(X, y, **{name: np.arange(30) // 3})
    assert not hasattr(estimator, "n_features_in_")


def test_metadata_that_go_to_the_splitter_are_taken():
    X, y = make_data(30)
    groups = np.arange(30) // 3
    model = ImplicitRegressor(n_hidden=2, max_iter=2, cv=GroupKFold(3))
    with sklearn.config_context(enable_metadata_routing=True):
        assert model.fit(X, y, groups=groups).heldout_score_ is not None
        with pytest.raises(TypeError, match="sample_weights"):
            model.fit(X, y, groups=groups, sample_weights=np.ones(30))


@pytest.mark.slow_cases
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("parameters", [{}, {"rule": "all_relevant"}, {"groups": [0, 0, 1, 2, 3, 3]}])
def test_inputs_may_be_in_any_units(container, parameters):
    X, y = make_data()
    units = 2.0 ** np.array([20, -9, -3, 7, -30, 12])
    found, other = (
        selector(ImplicitRegressor(**SMALLEST), **parameters).fit(container(inputs), y) for inputs in (X, X * units)
    )
    assert np.array_equal(found.support_, other.support_)
    np.testing.assert_allclose(scores(other), scores(found), rtol=1e-6)
    np.testing.assert_allclose(other.column_norms_, found.column_norms_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.best_budget_, found.best_budget_, rtol=1e-6)
    labels = parameters.get("groups", np.arange(6))
    largest = np.zeros((len(other.column_budgets_), 6))
    np.maximum.at(largest.T, labels, other.column_norms_.T)
    assert np.all(largest.sum(axis=1) <= other.column_budgets_ * (1 + 1e-9))
    norms = [np.abs(rule.B).max(axis=0) for rule in other.path_.rules]
    np.testing.assert_allclose(other.column_norms_, norms * (X * units).std(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [None, [0, 0, 1, 2, 3, 3]])
def test_knockoffs_may_be_in_any_units(groups):
    X, y = make_data()
    units = 10.0 ** np.arange(-6, 6, 2)
    found, other = (selector(fdr=0.5, cv=None, groups=groups).fit(inputs, y) for inputs in (X, X * units))
    assert np.array_equal(found.support_, other.support_)
    np.testing.assert_allclose(other.knockoff_statistics_, found.knockoff_statistics_, rtol=1e-3, atol=1e-6)


def test_wide_inputs_may_be_in_any_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 250))
    y = 2 * X[:, 3] - 2 * X[:, 200] + 0.1 * rng.normal(size=60)
    found, other = (selector().fit(inputs, y) for inputs in (X, X * 2.0 ** rng.integers(-20, 20, 250)))
    assert np.array_equal(found.support_, other.support_) and found.support_[[3, 200]].all()


def test_units_are_those_of_the_rows_that_count():
    X, y = make_data()
    X[:10] *= 1e6
    weights = np.r_[np.zeros(10), np.ones(80)]
    with_them, without = selector().fit(X, y, weights), selector().fit(X[10:], y[10:])
    np.testing.assert_allclose(with_them.column_norms_, without.column_norms_, rtol=1e-6, atol=1e-9)


def test_a_noisy_column_in_a_large_unit_does_not_hide_its_group():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6))
    y = 3 * X[:, 0] + X[:, 4] + 0.1 * rng.normal(size=150)
    groups, found = [0, 0, 1, 1, 2, 3], []
    for unit in (1.0, 1e4):
        X[:, 1] *= unit
        found.append(selector(groups=groups).fit(X, y).support_)
    assert np.array_equal(*found) and found[0][[0, 1, 4]].all() and not found[0][[2, 3, 5]].any()


def test_dummies_that_are_constant_in_a_fold_have_a_place_in_their_group():
    X, y = make_data()
    colours = np.zeros((len(X), 3))
    colours[np.arange(len(X)), np.arange(len(X)) % 2] = 1.0
    colours[0] = [0.0, 0.0, 1.0]  # in one fold alone
    found = selector(groups=[0, 1, 2, 3, 4, 5, 6, 6, 6]).fit(np.hstack([X, colours]), y)
    assert found.support_[[0, 1, 2]].all()
