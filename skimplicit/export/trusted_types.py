"""The types that a file of a rule or an estimator is made of, for loaders that take no others."""

from skimplicit.activations import (
    Activation,
    BlockActivation,
    Exponential,
    GroupActivation,
    hardtanh,
    leaky_relu,
    max_pool,
    softmax,
)
from skimplicit.estimators import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.estimators.intervals import HeldOutResiduals
from skimplicit.estimators.readout_covariance import InputAxes, ReadoutCovariance, StatesBesideInputs
from skimplicit.lifted import Lifted
from skimplicit.rows import InputRange, Samples, Units
from skimplicit.rule import ImplicitRule
from skimplicit.selection import ImplicitFeatureSelector, ImplicitPath
from skimplicit.training import BlockCoordinateDescent, StochasticGradient
from skimplicit.training.optimisers import OPTIMISERS

__all__ = ["TRUSTED_TYPES"]


def _name(thing):
    return f"{thing.__module__}.{thing.__qualname__}"


_ESTIMATORS = (
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
)
_OF_UNCERTAINTY = (HeldOutResiduals, ReadoutCovariance, InputAxes, StatesBesideInputs)
_RECORDS = (ImplicitRule, ImplicitPath, InputRange, Samples, Units, *_OF_UNCERTAINTY)
_METHODS = (BlockCoordinateDescent, StochasticGradient, Lifted, *OPTIMISERS.values())
_ACTIVATIONS = (Activation, BlockActivation, GroupActivation, Exponential)
# Records that stand for a function with a parameter, and the two functions of groups.
_PARAMETRIC = tuple(type(part) for phi in (leaky_relu(0.5), hardtanh()) for part in (phi.function, phi.derivative))
_OF_GROUPS = (max_pool(1).function, softmax(1).function)

#: Names of all types, and two functions, of this package that a file of a rule or an estimator can hold; loading one of
#: them computes nothing but arrays. For ``skops.io.load(file, trusted=TRUSTED_TYPES)``.
TRUSTED_TYPES = tuple(
    sorted(map(_name, (*_ESTIMATORS, *_RECORDS, *_METHODS, *_ACTIVATIONS, *_PARAMETRIC, *_OF_GROUPS)))
)
