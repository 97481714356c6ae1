"""Rows that stand for several: drawn again and again, as in a table of counts, or copied."""

import numpy as np

from skimplicit.linalg import to_dense
from skimplicit.rows import group_sizes

__all__ = ["natural_repeats", "parts"]

# Lines of a table of counts, at most: six inputs of two values. Of more, enough others are left when some are held out.
_MOST_LINES = 64


def natural_repeats(U, Y, place, times):
    """Return how many rows each distinct one stands for, as far as it was drawn so often and not copied.

    Copies of a row must not stand on both sides of a fold. But where inputs and targets have few values (a table of
    counts), the same row is drawn again and again, and to hold all of these out would leave nothing of them but what
    contradicts them. What tells the two apart: the target comes with other inputs too, and the inputs with other
    targets; or there are no more rows than a table may have, and every value of the inputs is in another one.

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
    kept = place >= 0
    times = np.round(np.bincount(place[kept], times[kept], minlength=U.shape[0])).astype(np.intp)
    if times.max() == 1:
        return times
    drawn = group_sizes(U) > 1
    if times.size <= _MOST_LINES:
        drawn |= _in_common(to_dense(U)).all(axis=1)
    return np.where(drawn & (group_sizes(Y) > 1), times, 1)


def _in_common(U):
    """Tell which values (m, p) another row has in the same column."""
    order = np.argsort(U, axis=0)
    values = np.take_along_axis(U, order, axis=0)
    equal = values[1:] == values[:-1]
    none = np.zeros((1, U.shape[1]), dtype=bool)
    in_common = np.empty(U.shape, dtype=bool)
    np.put_along_axis(in_common, order, np.vstack([none, equal]) | np.vstack([equal, none]), axis=0)
    return in_common


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
