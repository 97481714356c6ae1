"""The Fenchel-lifted training method: the states are variables, held to their equation by a divergence."""

from skimplicit.lifted.divergences import DIVERGENCES, Divergence, get_divergence
from skimplicit.lifted.method import Lifted

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "Lifted",
    "get_divergence",
]
