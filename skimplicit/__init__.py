"""Implicit deep learning for scikit-learn: ``y = C x + D u``, ``x = phi(A x + B u)``."""

from importlib import import_module
from typing import TYPE_CHECKING

from skimplicit._version import __version__ as __version__
from skimplicit.activations import Activation
from skimplicit.estimators import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.rule import ImplicitRule
from skimplicit.selection import ImplicitFeatureSelector, ImplicitPath, implicit_path
from skimplicit.versions import show_versions

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
    "show_versions",
]

# Imported when they are first asked for: `import skimplicit` is enough for `skimplicit.networks`.
_LAZY = ("distill", "export", "inspection", "networks", "robustness")


if TYPE_CHECKING:
    from skimplicit import activations as activations
    from skimplicit import composition as composition
    from skimplicit import distill as distill
    from skimplicit import export as export
    from skimplicit import inspection as inspection
    from skimplicit import lifted as lifted
    from skimplicit import networks as networks
    from skimplicit import robustness as robustness
    from skimplicit import training as training
    from skimplicit import wellposedness as wellposedness
else:  # a checker takes a module with this function to have every name

    def __getattr__(name):
        if name in _LAZY:
            return import_module(f"skimplicit.{name}")
        raise AttributeError(f"module 'skimplicit' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY})
