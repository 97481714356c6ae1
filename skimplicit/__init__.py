"""Implicit deep learning for scikit-learn: ``y = C x + D u``, ``x = phi(A x + B u)``."""

from skimplicit._version import __version__ as __version__
from skimplicit.activations import Activation
from skimplicit.estimators import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.rule import ImplicitRule
from skimplicit.selection import ImplicitFeatureSelector, ImplicitPath, implicit_path

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
