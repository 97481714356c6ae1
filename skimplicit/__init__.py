"""Implicit deep learning for scikit-learn: ``y = C x + D u``, ``x = phi(A x + B u)``."""

from skimplicit.activations import Activation
from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.estimators.classifier_cv import ImplicitClassifierCV
from skimplicit.estimators.path import ImplicitPath, implicit_path
from skimplicit.estimators.regressor import ImplicitRegressor
from skimplicit.estimators.regressor_cv import ImplicitRegressorCV
from skimplicit.estimators.selector import ImplicitFeatureSelector
from skimplicit.rule import ImplicitRule

__version__ = "0.1.0.dev0"

__all__ = [
    "Activation",
    "ImplicitClassifier",
    "ImplicitClassifierCV",
    "ImplicitFeatureSelector",
    "ImplicitPath",
    "ImplicitRegressor",
    "ImplicitRegressorCV",
    "ImplicitRule",
    "implicit_path",
]
