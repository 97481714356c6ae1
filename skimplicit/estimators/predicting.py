"""Predictions for many rows: some of them at a time, so that a memory map stays one."""

import numpy as np

from skimplicit.rows import block_size, reads_rows, release_rows

__all__ = ["by_rows"]

# Blocks of rows that are predicted at a time: a rule takes them in chunks of its own.
_BLOCKS = 4


def by_rows(check, X, function):
    """Return a function of inputs, where there are many rows of some of them at a time.

    Parameters
    ----------
    check : callable
        ``check(X)`` validates inputs, converts them and cuts them at their range.
    X : array-like or SelectedColumns of shape (m, p)
        Inputs. What is a memory map, or a CSR matrix of memory maps, is not converted as a whole.
    function : callable
        Returns an array of a row for each row of what ``check`` returns.

    Returns
    -------
    ndarray of shape (m, ...)
        The values.
    """
    if not reads_rows(X):
        return function(check(X))
    m, size = X.shape[0], _BLOCKS * block_size(X.shape[1])
    out = None
    for first in range(0, max(m, 1), size):
        part = function(check(X[first : first + size]))
        if m <= size:
            return part
        out = np.empty((m, *part.shape[1:]), part.dtype) if out is None else out
        out[first : first + size] = part
        release_rows(X, slice(first, first + size))
    return out
