"""scikit-learn's own checks of every estimator: none expected to fail, none skipped."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.training import StochasticGradient

EARLY_STOPPING = StochasticGradient(early_stopping=True, validation_fraction=0.3)
# Checks are of what goes in and what comes out: as few iterations, states, folds and budgets as let every step of a fit
# happen. What a fit with the defaults does, the other test files see.
QUICK = {"alpha": 0.03, "n_hidden": 2, "max_iter": 2}
AVERAGED = {"column_budget": 1.0, "n_members": 2, "clip": False, **QUICK, "max_iter": 1}
SEARCHED = {"n_hidden": 1, "kappa": 0.0, "cv": 2, "max_iter": 1}
CHOSEN = {"n_members": 2, **SEARCHED}
PATH = {"alphas": 2, **SEARCHED}
SELECTED = ImplicitRegressor(alpha=0.03, n_hidden=1, kappa=0.0, max_iter=1)
QUICKEST = [ImplicitRegressor(**QUICK)]
# Small data each, so that the defaults can be seen by some checks too.
AT_DEFAULTS = {
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_regressor_multioutput",
    "check_classifiers_one_label",
}
OTHERS = [
    ImplicitRegressor(**AVERAGED),
    ImplicitRegressor(**CHOSEN),
    ImplicitClassifier(**AVERAGED),
    ImplicitClassifier(direct=False, **CHOSEN),
    ImplicitClassifier(method=EARLY_STOPPING, **QUICK),
    ImplicitRegressor(method="lifted", **QUICK),
    ImplicitRegressorCV(**PATH),
    ImplicitClassifierCV(**PATH),
    ImplicitFeatureSelector(estimator=SELECTED, column_budgets=1, n_features_to_select=1, cv=2),
]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # True of some checks' data.
    pytest.mark.filterwarnings("ignore:No selection of inputs predicts better than a constant"),
]


@parametrize_with_checks(QUICKEST)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("shortest_paths", "short_ladder")
@parametrize_with_checks(OTHERS)
def test_scikit_learn_check_of_others(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{estimator}-{check.func.__name__}")
        for default in (ImplicitRegressor(), ImplicitClassifier())
        for estimator, check in estimator_checks_generator(default)
        if check.func.__name__ in AT_DEFAULTS
    ],
)
def test_scikit_learn_check_at_the_defaults(estimator, check):
    check(estimator)
