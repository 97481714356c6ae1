"""Splits that are told to a selector or to its estimator serve both: no rows that depend are divided anywhere."""

from functools import cache

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, cross_validate

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("shortest_paths", "short_ladder"),
]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
GROUPS = np.arange(60) // 5
Y = 2 * X[:, 1] - 3 * np.abs(X[:, 3]) + 0.1 * RNG.standard_normal(60)
SMALL = {"n_hidden": 2, "max_iter": 3, "tol": 1e-2, "random_state": 0}
SPLITS = list(GroupKFold(3).split(X, Y, GROUPS))


def fit(cv=None, own=None, kind=ImplicitRegressor, groups=None, **parameters):
    estimator = kind(**SMALL, cv=own, **parameters)
    y = Y > 0 if kind is ImplicitClassifier else Y
    selector = ImplicitFeatureSelector(estimator, n_features_to_select=2, column_budgets=3, cv=cv, random_state=0)
    with sklearn.config_context(enable_metadata_routing=groups is not None):
        return selector.fit(X, y, **({} if groups is None else {"groups": groups}))


@cache
def by_hand(kind):
    """Return a selector with the splits of both given as a list, and its estimator alone on what it selects."""
    found = fit(cv=SPLITS, own=SPLITS, kind=kind)
    return found, kind(**SMALL, cv=SPLITS).fit(found.transform(X), Y > 0 if kind is ImplicitClassifier else Y)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ImplicitRegressor, {"cv": GroupKFold(3), "groups": GROUPS}),
        (ImplicitClassifier, {"cv": GroupKFold(3), "groups": GROUPS}),
        (ImplicitRegressor, {"own": GroupKFold(3), "groups": GROUPS}),
        (ImplicitRegressor, {"cv": GroupKFold(3), "own": GroupKFold(3), "groups": GROUPS}),
        (ImplicitRegressor, {"cv": SPLITS}),
        (ImplicitRegressor, {"cv": iter(SPLITS)}),
        (ImplicitRegressor, {"own": SPLITS}),
    ],
    ids=["selector", "classes", "estimator", "both", "list", "generator", "list of the estimator"],
)
def test_told_once_they_serve_both(kind, given):
    found, (expected, alone) = fit(kind=kind, **given), by_hand(kind)
    np.testing.assert_array_equal(found.selection_frequency_, expected.selection_frequency_)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    np.testing.assert_array_equal(found.predict(X), alone.predict(found.transform(X)))
    np.testing.assert_array_equal(found.estimator_.heldout_prediction_, alone.heldout_prediction_)


def test_each_may_have_its_own():
    found = fit(cv=GroupKFold(3), own=LeaveOneGroupOut(), groups=GROUPS // 3)
    splits = list(LeaveOneGroupOut().split(X, Y, GROUPS // 3))
    alone = ImplicitRegressor(**SMALL, cv=splits).fit(found.transform(X), Y)
    np.testing.assert_array_equal(found.estimator_.heldout_prediction_, alone.heldout_prediction_)
    listed = fit(cv=list(GroupKFold(3).split(X, Y, GROUPS // 3)), own=3)
    np.testing.assert_array_equal(found.selection_frequency_, listed.selection_frequency_)
    assert listed.estimator_.cv == 3


def test_numbers_of_folds_are_not_shared(monkeypatch):
    monkeypatch.setattr("skimplicit.selection.selection_folds.most_rounds", lambda *sizes: 1)
    assert fit(cv=3).estimator_.cv is None
    shuffled, three = fit(), fit(own=3)
    np.testing.assert_array_equal(shuffled.selection_frequency_, three.selection_frequency_)


def test_a_given_ridge_needs_no_splits():
    assert fit(cv=GroupKFold(3), groups=GROUPS, alpha=0.01).estimator_.cv is None


def test_groups_of_a_cross_validation():
    selector = ImplicitFeatureSelector(
        ImplicitRegressor(**SMALL), n_features_to_select=2, column_budgets=3, cv=GroupKFold(3), random_state=0
    )
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(
            selector, X, Y, cv=GroupKFold(2), params={"groups": GROUPS}, return_estimator=True, error_score="raise"
        )
    assert [found.estimator_.heldout_prediction_.shape for found in result["estimator"]] == [(30,), (30,)]


def test_groups_that_nobody_asks_for_are_named():
    with pytest.raises(TypeError, match="groups"):
        fit(cv=KFold(3), groups=GROUPS)
