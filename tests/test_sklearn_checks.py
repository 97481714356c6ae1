"""scikit-learn's own checks of every estimator: none expected to fail, none skipped."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.training import StochasticGradient

EARLY_STOPPING = StochasticGradient(early_stopping=True, validation_fraction=0.3)
QUICK = {"alpha": 0.03, "n_hidden": 2, "max_iter": 8}
PATH = {"alphas": 2, "cv": 2, "n_hidden": 2, "max_iter": 4}
SMALL = [
    ImplicitRegressor(**QUICK),
    ImplicitRegressor(column_budget=1.0, **QUICK),
    ImplicitRegressor(n_members=2, clip=False, **QUICK),
    ImplicitRegressor(n_hidden=2, cv=2, max_iter=4),
    ImplicitClassifier(**QUICK),
    ImplicitClassifier(column_budget=1.0, **QUICK),
    ImplicitClassifier(n_members=2, clip=False, **QUICK),
    ImplicitClassifier(n_hidden=2, cv=2, max_iter=4),
    ImplicitRegressor(method="gradient", **QUICK),
    ImplicitRegressor(method=StochasticGradient(optimiser="sgd"), **QUICK),
    ImplicitRegressor(method=EARLY_STOPPING, **QUICK),
    ImplicitClassifier(method="gradient", **QUICK),
    ImplicitClassifier(method=EARLY_STOPPING, **QUICK),
    ImplicitRegressor(method="lifted", **QUICK),
    ImplicitClassifier(method="lifted", **QUICK),
    ImplicitRegressorCV(**PATH),
    ImplicitClassifierCV(**PATH),
    ImplicitFeatureSelector(estimator=ImplicitRegressor(**QUICK), column_budgets=3, cv=2),
]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # True of some checks' data.
    pytest.mark.filterwarnings("ignore:No selection of inputs predicts better than a constant"),
]


@parametrize_with_checks(SMALL)
def test_scikit_learn_check(estimator, check):
    check(estimator)
