"""Rows that stand for several: drawn again and again, as in a table of counts, or copied."""

import numpy as np
from scipy import sparse

from skimplicit.linalg import to_dense
from skimplicit.rows import group_sizes

__all__ = ["labels_told", "natural_repeats", "parts"]

# Lines of a table of counts, at most: six inputs of two values. Of more, enough others are left when some are held out.
_MOST_LINES = 64
# Lines of one row of a table, in the mean, that are more than copies.
_MOST_COPIES = 4
# As many other rows of a table have the inputs of one by chance, at least, if their columns are drawn independently.
_LEAST_MEETINGS = 0.25
# Whole numbers that span at most so many times their number are levels: grades, months, answers, indicators. So are
# inputs that are such numbers of steps, but for rounding: levels in another unit, or standardised.
_GAPS, _ROUNDING = 2, 1e-4


def natural_repeats(U, Y, place, times):
    """Return how many rows each distinct one stands for, as far as it was drawn so often and not copied.

    Copies of a row must not stand on both sides of a fold. But where inputs and targets have few values (a table of
    counts), the same row is drawn again and again, and to hold all of these out would leave nothing of them but what
    contradicts them. What tells the two apart: the target comes with other inputs too, or is a level, as classes are,
    and the inputs come with other targets; or there are no more rows than a table may have, and every value of the
    inputs is in another one, or a level. Targets of a table that each inputs have for themselves, as those of a rule
    without noise, are not copied if lines are many: as lines, since the mean of a group has a weight. Where rows
    have inputs for themselves because these are so many, as persons have, only those are drawn that prove it: by other
    targets of the same inputs, of their own or of most of the others.

    Parameters
    ----------
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct rows.
    place : ndarray of int of shape (k,)
        Which of them each row is that was given; -1 for none.
    times : ndarray of shape (k,)
        How often each of these is given, whole numbers.

    Returns
    -------
    ndarray of int of shape (m,)
        How often each was drawn, 1 where it may be a copy.
    """
    times = _times(U.shape[0], place, times)
    if times.max() == 1:
        return times
    again = times > 1
    drawn = (group_sizes(U) > 1) & again
    if times.size <= _MOST_LINES:
        of_kinds = _of_kinds(U, again, in_any_unit=True)
        alike = bool(of_kinds.any()) and _would_be_alike(U[again])
        # A row that is given once is no copy: a slip of one line proves no noise.
        told = alike and group_sizes(U[again]).max() == 1
        if told and np.count_nonzero(place >= 0) > _MOST_COPIES * times.size:
            return np.where(of_kinds, times, 1)
        if alike or 2 * np.count_nonzero(drawn) >= np.count_nonzero(again):
            drawn |= of_kinds
    return np.where(_of_kinds(Y, drawn), times, 1)


def _would_be_alike(U):
    """Tell whether of rows (m, p) some would be alike if the values of each column were drawn for themselves."""
    U, m = to_dense(U), U.shape[0]
    first = np.zeros(U.shape, dtype=np.intp)  # of the rows with the same value in a column
    for i in reversed(range(m)):
        first[U == U[i]] = i
    first = np.unique(first, axis=1)  # what another column says as well is no second one
    sizes = np.array([np.count_nonzero(first == i, axis=0) for i in range(m)])
    return (m - 1) * np.prod(np.sum((sizes / m) ** 2, axis=0)) >= _LEAST_MEETINGS


def labels_told(U, place, times, repeats):
    """Return how many labels each distinct row tells of, for how certain labels can be.

    Where all rows of a kind have one label, each tells that it is certain, though folds must take them for copies. Rows
    are of a kind if they have no value of their own but levels: a measured number that comes again is one of a copy.

    Parameters
    ----------
    U, place, times : object
        As for :func:`natural_repeats`.
    repeats : ndarray of int of shape (m,)
        What that returns.

    Returns
    -------
    ndarray of int of shape (m,)
        The numbers, at least as many as repeats.
    """
    times = _times(U.shape[0], place, times)
    return np.where(_of_kinds(U, times > repeats, in_any_unit=True), times, repeats)


def _times(m, place, times):
    """Return how often each of m distinct rows is given, whole numbers."""
    kept = place >= 0
    return np.round(np.bincount(place[kept], times[kept], minlength=m)).astype(np.intp)


def _of_kinds(U, asked, in_any_unit=False):
    """Tell which rows (m,), of those that a mask asks for, have no value of their own, but for levels.

    Levels of targets are whole numbers: others may be means of groups, whose weights are no numbers of rows.
    A measured number tells it at once, so that further columns are looked at, twice as many at a time, only if need be.
    """
    of_kinds, first = asked.copy(), 0
    while first < U.shape[1] and of_kinds.any():
        end = 2 * first + 1
        of_kinds[_with_value_of_its_own(U[:, first:end], in_any_unit)] = False
        first = end
    return of_kinds


def _with_value_of_its_own(U, in_any_unit):
    """Return the rows (k,) with a value that no other row has in its column, but for levels; some may come again."""
    m, p = U.shape
    row, column, values = sparse.find(U)
    order, equal = np.lexsort((values, column)), np.zeros(row.size + 1, dtype=bool)
    left, right = order[:-1], order[1:]
    equal[1:-1] = (column[left] == column[right]) & (values[left] == values[right])
    n_zeros = m - np.bincount(column, minlength=p)
    # One of each number in a column: of those that are not zero, and of zeros.
    distinct, zeros = order[~equal[:-1]], np.flatnonzero(n_zeros)
    columns, numbers = np.append(column[distinct], zeros), np.append(values[distinct], np.zeros(zeros.size))
    levels = _have_levels(columns, numbers, p)
    if in_any_unit:
        levels |= _have_levels(columns, _in_steps(columns, numbers, p), p)
    measured = ~levels
    own = order[~(equal[1:] | equal[:-1])]
    # The only zero of a column is in the row that all others leave.
    only_zeros = m * (m - 1) // 2 - np.bincount(column, row, minlength=p)[measured & (n_zeros == 1)].astype(np.intp)
    return np.append(row[own[measured[column[own]]]], only_zeros)


def _have_levels(column, values, p):
    """Tell which of p columns have whole numbers with hardly a gap, from their distinct values with their columns."""
    low, high = np.full((2, p), [[np.inf], [-np.inf]])
    np.minimum.at(low, column, values)
    np.maximum.at(high, column, values)
    whole = np.bincount(column, values != np.floor(values), minlength=p) == 0
    n_values = np.bincount(column, minlength=p)
    return whole & (high < low + _GAPS * n_values)


def _in_steps(column, values, p):
    """Return distinct values, with their columns of p, counted from the least of each in its smallest differences.

    What is a whole number but for rounding is one; in place of any other, and of what is no number, there is a half.
    """
    order = np.lexsort((values, column))
    low, step = np.full((2, p), np.inf)
    np.minimum.at(low, column, values)
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(values[order])
        between = np.diff(column[order]) == 0
        np.minimum.at(step, column[order[1:]][between], gaps[between])
        steps = (values - low[column]) / step[column]
        whole = np.round(steps)
        return np.where(np.abs(steps - whole) <= _ROUNDING, whole, 0.5)


def parts(repeats, most):
    """Divide rows that stand for several into parts that stand for as many of them as can be.

    Parameters
    ----------
    repeats : ndarray of int of shape (m,)
        How many each row stands for.
    most : int
        Most parts of a row.

    Returns
    -------
    row : ndarray of int of shape (k,)
        The row that each part is of.
    number : ndarray of int of shape (k,)
        Its number among the parts of that row.
    share : ndarray of shape (k,)
        Share of the row that it has.
    """
    n_parts = np.minimum(repeats, max(most, 1))
    row = np.repeat(np.arange(repeats.size), n_parts)
    number = np.arange(row.size) - (np.cumsum(n_parts) - n_parts)[row]
    whole, more = np.divmod(repeats, n_parts)
    return row, number, (whole[row] + (number < more[row])) / repeats[row]
