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
ESTIMATORS = [
    ImplicitRegressor(),
    ImplicitRegressor(column_budget=1.0, n_hidden=3, max_iter=10),
    ImplicitClassifier(),
    ImplicitClassifier(column_budget=1.0, n_hidden=3, max_iter=10),
    ImplicitRegressor(method="gradient", n_hidden=3, max_iter=20),
    ImplicitRegressor(method=StochasticGradient(optimiser="sgd"), n_hidden=3, max_iter=20),
    ImplicitRegressor(method=EARLY_STOPPING, n_hidden=3, max_iter=20),
    ImplicitClassifier(method="gradient", n_hidden=3, max_iter=20),
    ImplicitClassifier(method=EARLY_STOPPING, n_hidden=3, max_iter=20),
    ImplicitRegressor(method="lifted", n_hidden=3, max_iter=10),
    ImplicitClassifier(method="lifted", n_hidden=3, max_iter=10),
    ImplicitRegressorCV(n_hidden=3, max_iter=5, alphas=2, cv=2),
    ImplicitClassifierCV(n_hidden=3, max_iter=5, alphas=2, cv=2),
    ImplicitFeatureSelector(estimator=ImplicitRegressor(n_hidden=2, max_iter=5), column_budgets=3, cv=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings(
    "ignore:No selection of inputs predicts better than a constant"
)  # true of some checks' data
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_check(estimator, check):
    check(estimator)
