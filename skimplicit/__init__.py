"""Implicit deep learning for scikit-learn: ``y = C x + D u``, ``x = phi(A x + B u)``."""

from skimplicit.activations import Activation
from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.estimators.regressor import ImplicitRegressor
from skimplicit.rule import ImplicitRule

__version__ = "0.1.0.dev0"

__all__ = ["Activation", "ImplicitClassifier", "ImplicitRegressor", "ImplicitRule"]
