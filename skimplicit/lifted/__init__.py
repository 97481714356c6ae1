"""The Fenchel-lifted training method: the states are variables, held to their equation by a divergence."""

from skimplicit.lifted.divergences import DIVERGENCES, Divergence, get_divergence
from skimplicit.lifted.method import FenchelLifted

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "FenchelLifted",
    "get_divergence",
]
