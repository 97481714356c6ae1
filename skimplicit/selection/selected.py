"""What is selected, whichever way it was found."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Selected"]


@dataclass(frozen=True)
class Selected:
    """Inputs (groups) in order, and how many of them are selected.

    Parameters
    ----------
    ranking : ndarray of int of shape (n_units,)
        The inputs in order, the selected ones in front.
    rankings : list of ndarray of int
        Those of the paths that have decided, each in its own order.
    size : int
        How many are selected.
    n_voted : int
        How many inputs each of these paths has selected.
    scores : dict of int to ndarray of shape (n_rounds, n_folds)
        Held-out scores of sizes; none where the size was given, or comes from knockoffs.
    permutation_scores : ndarray of shape (n_units,) or None
        By how many standard errors held-out losses rise where each input is permuted; None where nobody asked.
    statistics : ndarray of shape (n_units,) or None
        The statistic W of every input beside its knockoff; None where none took part.
    threshold : float or None
        Inputs whose statistic reaches it are selected; infinity where there is none.
    """

    ranking: np.ndarray
    rankings: list
    size: int
    n_voted: int
    scores: dict = field(default_factory=dict)
    permutation_scores: np.ndarray | None = None
    statistics: np.ndarray | None = None
    threshold: float | None = None
