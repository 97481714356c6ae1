"""scikit-learn estimators: they translate between the user's data and units and the floors below."""

from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.estimators.classifier_cv import ImplicitClassifierCV
from skimplicit.estimators.regressor import ImplicitRegressor
from skimplicit.estimators.regressor_cv import ImplicitRegressorCV

__all__ = [
    "ImplicitClassifier",
    "ImplicitClassifierCV",
    "ImplicitRegressor",
    "ImplicitRegressorCV",
]
