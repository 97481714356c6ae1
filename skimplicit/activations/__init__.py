"""Activations: the function phi of an implicit rule, componentwise or in blocks and groups of states."""

from skimplicit.activations.blockwise import (
    BlockActivation,
    GroupActivation,
    activation_of,
    join_activations,
    max_pool,
    softmax,
)
from skimplicit.activations.checks import check_activation
from skimplicit.activations.componentwise import ACTIVATIONS, Activation, BaseActivation, get_activation
from skimplicit.activations.parametric import Exponential, hardtanh, leaky_relu
from skimplicit.activations.slopes import has_two_slopes, is_increasing, states_tell_slopes, two_slopes

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BaseActivation",
    "BlockActivation",
    "Exponential",
    "GroupActivation",
    "activation_of",
    "check_activation",
    "get_activation",
    "hardtanh",
    "has_two_slopes",
    "is_increasing",
    "join_activations",
    "leaky_relu",
    "max_pool",
    "softmax",
    "states_tell_slopes",
    "two_slopes",
]
