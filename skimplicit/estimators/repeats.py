"""Rows that stand for several: drawn again and again, as in a table of counts, or copied."""

import numpy as np

from skimplicit.rows import group_sizes

__all__ = ["natural_repeats", "parts"]


def natural_repeats(U, Y, times):
    """Return how many rows each distinct one stands for, as far as it was drawn so often and not copied.

    Copies of a row must not stand on both sides of a fold. But where inputs and targets have few values (a table of
    counts), the same row is drawn again and again, and to hold all of these out would leave nothing of them but what
    contradicts them. What tells the two apart: rows with the same inputs have other targets too, and the target comes
    with other inputs.

    Parameters
    ----------
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct rows.
    times : ndarray of shape (m,)
        How often each is there, whole numbers.

    Returns
    -------
    ndarray of int of shape (m,)
        ``times`` divided by their greatest common divisor where a row was drawn so often, 1 where it may be a copy.
    """
    times = np.round(times).astype(np.intp)
    times = times // np.gcd.reduce(times)
    if times.max() == 1:
        return times
    return np.where((group_sizes(U) > 1) & (group_sizes(Y) > 1), times, 1)


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
    n_parts = np.clip(repeats, 1, max(most, 1))
    row = np.repeat(np.arange(repeats.size), n_parts)
    number = np.arange(row.size) - (np.cumsum(n_parts) - n_parts)[row]
    whole, more = np.divmod(repeats, n_parts)
    return row, number, (whole[row] + (number < more[row])) / repeats[row]
