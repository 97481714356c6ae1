"""Well-posedness: whether a rule has exactly one equilibrium, by which test, and how fast it is reached."""

from skimplicit.wellposedness.matrix_measures import (
    abscissa,
    block_norms,
    inf_norm,
    metzler,
    mu_inf,
    perron_frobenius,
    relaxation,
)
from skimplicit.wellposedness.monotone import diagonal_scaling, monotone_amplification, resolvent_rate
from skimplicit.wellposedness.report import Condition, WellPosedness, perron_certificate, well_posedness

__all__ = [
    "Condition",
    "WellPosedness",
    "abscissa",
    "block_norms",
    "diagonal_scaling",
    "inf_norm",
    "metzler",
    "monotone_amplification",
    "mu_inf",
    "perron_certificate",
    "perron_frobenius",
    "relaxation",
    "resolvent_rate",
    "well_posedness",
]
