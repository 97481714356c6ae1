"""Well-posedness: whether a rule has exactly one equilibrium, how fast it is reached, how far it can move."""

from skimplicit.wellposedness.amplification import (
    Amplification,
    MetricAmplification,
    amplification,
    moved_states,
    sensitivity,
    sensitivity_of,
)
from skimplicit.wellposedness.matrix_measures import (
    abscissa,
    block_norms,
    group_starts,
    inf_norm,
    metzler,
    mu_inf,
    perron_frobenius,
    relaxation,
)
from skimplicit.wellposedness.monotone import diagonal_scaling, monotone_amplification, resolvent_rate
from skimplicit.wellposedness.report import Condition, WellPosedness, perron_certificate, well_posedness

__all__ = [
    "Amplification",
    "Condition",
    "MetricAmplification",
    "WellPosedness",
    "abscissa",
    "amplification",
    "block_norms",
    "diagonal_scaling",
    "group_starts",
    "inf_norm",
    "metzler",
    "monotone_amplification",
    "moved_states",
    "mu_inf",
    "perron_certificate",
    "perron_frobenius",
    "relaxation",
    "resolvent_rate",
    "sensitivity",
    "sensitivity_of",
    "well_posedness",
]
