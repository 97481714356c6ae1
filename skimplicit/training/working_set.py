"""Which entries of A take part in a step: a step costs what they cost, and most entries have little to gain."""

import numpy as np

__all__ = ["ENTRIES_PER_ROW", "MATCHING_ENTRIES", "working_set"]

# Entries that each row of A may take up in a step. One is slow to find a dense row, all of them cost as much as a full
# matrix: friedman1, 40 steps, J .0313, .0297, .0295 and .0296 for 1, 2, 4 and 20.
_ENTERING = 2
#: Entries of each row of A that move in a step where there may be more: rows fill up, but most of their entries have
#: little to gain. Measured in ``benchmarks/README.md``, "States, and entries of A in a step".
ENTRIES_PER_ROW = 6
#: The same of a step with the matching block, whose programs are one for each row: their systems are no larger.
MATCHING_ENTRIES = 32


def working_set(A, slope, kappa, structure=None, signs=None, most=None, entering=_ENTERING):
    """Return which entries of A take part in a step: those in use, and the few that would lower the objective most.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Weights of the state, rows inside the l1 ball of radius kappa.
    slope : ndarray of shape (n, n)
        Gradient of the objective by A.
    kappa : float
        Radius of the balls.
    structure : ndarray of bool of shape (n, n) or None
        Entries that may be non-zero.
    signs : ndarray of shape (n, n) or None
        1 or -1 for entries of one sign, 0 for others.
    most : int or None
        Most entries of a row, more than ``entering``: those that are the furthest from their optimality conditions.
        None for all.
    entering : int
        Most entries of a row that are zero so far.

    Returns
    -------
    ndarray of bool of shape (n, n)
        The working set.
    """
    used = A != 0
    if kappa == 0:
        return used
    magnitude = np.abs(slope)
    binding = np.abs(A).sum(axis=1) >= kappa * (1 - 1e-9)
    # In a row at its bound an entry comes in only if its slope exceeds the multiplier of the bound.
    multiplier = np.where(binding, np.where(used, magnitude, 0.0).max(axis=1, initial=0.0), 0.0)
    gain = np.where(used, 0.0, magnitude - multiplier[:, None])
    if structure is not None:
        gain = np.where(structure, gain, 0.0)
    if signs is not None:
        gain = np.where(slope * signs > 0, 0.0, gain)
    k = min(entering, A.shape[0])
    strongest = np.argpartition(-gain, k - 1, axis=1)[:, :k]
    rows = np.arange(A.shape[0])[:, None]
    working = used.copy()
    working[rows, strongest] |= gain[rows, strongest] > 0
    if most is None or most >= A.shape[0]:
        return working
    # In a row at its bound the descent along every entry in use is the multiplier at the optimum.
    descent = -slope * np.sign(A)
    common = np.maximum(descent.sum(axis=1) / np.maximum(np.count_nonzero(used, axis=1), 1), 0.0)
    excess = np.abs(descent - np.where(binding, common, 0.0)[:, None])
    urgency = np.where(working, np.where(used, excess, gain), -1.0)
    kept = np.zeros_like(working)
    kept[rows, np.argpartition(-urgency, most - 1, axis=1)[:, :most]] = True
    return working & kept
