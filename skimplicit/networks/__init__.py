"""Networks as implicit rules: constructors, converters and composition. Every function returns an ImplicitRule."""

from skimplicit.composition import activate, affine, affine_rule, cascade, concatenate, parallel
from skimplicit.networks.convolution import average_pooling, convolution, max_pooling
from skimplicit.networks.feedback import feedback
from skimplicit.networks.feedforward import batch_norm, feedforward, residual
from skimplicit.networks.recurrence import deep_equilibrium, neural_ode, recurrent
from skimplicit.networks.sklearn_converter import from_sklearn
from skimplicit.networks.torch_converter import from_torch

__all__ = [
    "activate",
    "affine",
    "affine_rule",
    "average_pooling",
    "batch_norm",
    "cascade",
    "concatenate",
    "convolution",
    "deep_equilibrium",
    "feedback",
    "feedforward",
    "from_sklearn",
    "from_torch",
    "max_pooling",
    "neural_ode",
    "parallel",
    "recurrent",
    "residual",
]
