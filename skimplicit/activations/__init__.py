"""Activations: the function phi of an implicit rule, componentwise or in blocks and groups of states."""

from skimplicit.activations.blockwise import BlockActivation, GroupActivation, join_activations, max_pool, softmax
from skimplicit.activations.componentwise import ACTIVATIONS, Activation, BaseActivation, get_activation

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BaseActivation",
    "BlockActivation",
    "GroupActivation",
    "get_activation",
    "join_activations",
    "max_pool",
    "softmax",
]
