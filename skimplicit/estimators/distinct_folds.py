"""The folds of a cross-fit, drawn from the distinct rows."""

from contextlib import nullcontext

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from skimplicit.estimators.repeats import parts
from skimplicit.quiet import without_warnings

__all__ = ["shuffled_folds"]

# Folds of the default; ten are no better where rows are few (benchmarks/README.md, "Folds of few rows"). With many rows
# two of the five are held out: they tell enough, and the others cost as much. So with many rows times outputs times
# states, which is what an iteration costs.
_N_FOLDS, _MANY_ROWS, _MUCH_WORK, _FEW_FOLDS = 5, 2500, 500_000, 2
# Rows that stand for so many times the folds are dealt evenly but for the rest: chance hardly changes their shares.
_MANY_TIMES = 100
# Of up to so many none are dealt: all in one fold, they would leave nothing of their kind for members to learn from.
_FEW_TIMES = 2


def shuffled_folds(Y, labels, n_folds, random_state, n_hidden=1, repeats=None):
    """Return folds of distinct rows, shuffled, and stratified where there are labels.

    A row that stands for several is divided into parts: of two, each in a fold of its own; of more, dealt at random.
    Dealt evenly, the same inputs would have the same targets in every fold, as new rows have not.

    Parameters
    ----------
    Y : ndarray of shape (m, q)
        Targets of distinct rows, which are in an order that does not depend on how they are given, nor on their units.
    labels : ndarray of shape (m,) or None
        Classes.
    n_folds : int or None
        Number of folds; None for five, of which two are used where there are more than 2,500 rows, or where rows times
        outputs times states exceed 500,000.
    random_state : int
        Seed.
    n_hidden : int
        Number of states of what is trained.
    repeats : ndarray of int of shape (m,) or None
        How many rows each stands for (:func:`~skimplicit.estimators.repeats.natural_repeats`); None for one.

    Returns
    -------
    folds : list of tuple of ndarray
        Training and held-out parts, by their numbers; none where there are fewer than four, or all are of one row. The
        only row of a class is not held out.
    row : ndarray of int of shape (k,)
        The row that each part is of: its own number, where no row stands for several.
    share : ndarray of shape (k,)
        Share of the row's weight that it has.
    """
    m = Y.shape[0]
    much = n_folds is None and (m > _MANY_ROWS or n_hidden * Y.size > _MUCH_WORK)
    repeats, n_folds = np.ones(m, dtype=int) if repeats is None else repeats, n_folds or _N_FOLDS
    n_folds = min(n_folds, int(np.minimum(repeats, n_folds).sum()) // 2, m)
    if n_folds < 2:
        row, _, share = parts(repeats, n_folds)
        return [], row, share
    held_out = np.flatnonzero(~_only_ones(labels, repeats, n_folds))
    counts = [held_out.size] if labels is None else np.unique(labels[held_out], return_counts=True)[1]
    kind = KFold if labels is None or max(counts) < n_folds else StratifiedKFold
    splitter = kind(n_folds, shuffle=True, random_state=random_state)
    # A class with fewer rows than folds is in some of them only.
    with without_warnings(message="The least populated class") if min(counts) < n_folds else nullcontext():
        splits = list(splitter.split(held_out, None if labels is None else labels[held_out]))
    first = np.full(m, -1)
    for k, (_, test) in enumerate(splits):
        first[held_out[test]] = k
    # One column more in front, for what is never held out.
    in_fold = np.zeros((m, 1 + n_folds), dtype=np.intp)
    in_fold[first < 0, 0] = 1
    few = np.flatnonzero((first >= 0) & (repeats <= _FEW_TIMES))
    row, number, _ = parts(repeats[few], n_folds)
    in_fold[few[row], 1 + (first[few[row]] + number) % n_folds] = 1
    many = np.flatnonzero((first >= 0) & (repeats > _FEW_TIMES))
    in_fold[many, 1:] = _dealt(repeats[many], None if labels is None else labels[many], n_folds, random_state)
    row, fold = np.nonzero(in_fold)
    # Where few rows are dealt, a fold may have got none.
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold[fold > 0])]
    return folds[: _FEW_FOLDS if much else n_folds], row, in_fold[row, fold] / repeats[row]


def _dealt(repeats, labels, n_folds, random_state):
    """Return how many of those that each row stands for chance puts into each fold, (m, n_folds)."""
    random = np.random.RandomState(random_state)
    even, rest = np.divmod(repeats, n_folds * _MANY_TIMES)
    counts = np.tile(_MANY_TIMES * even[:, None], n_folds)
    dealt = random.permutation(np.repeat(np.arange(repeats.size), rest))
    if labels is not None:
        dealt = dealt[np.argsort(labels[dealt], kind="stable")]
    np.add.at(counts, (dealt, (random.randint(n_folds) + np.arange(dealt.size)) % n_folds), 1)
    return counts


def _only_ones(labels, repeats, fewest):
    """Return the mask over rows that are the only one of their class, as long as enough others are there to hold out.

    Members that have not seen a class tell nothing of the ridge but that a larger one makes them less certain.
    """
    if labels is None:
        return np.zeros(repeats.size, dtype=bool)
    _, codes = np.unique(labels, return_inverse=True)
    alone = np.bincount(codes, repeats)[codes] == 1
    return alone & (np.count_nonzero(~alone) >= fewest)
