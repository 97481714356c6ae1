"""Predictions for many rows: some of them at a time, so that a memory map stays one."""

import numpy as np
from scipy import sparse

from skimplicit.rows import block_size, release_rows

__all__ = ["by_rows"]

# Blocks of rows that are predicted at a time: a rule takes them in chunks of its own.
_BLOCKS = 4


def by_rows(check, X, function):
    """Return a function of inputs, where there are many rows of some of them at a time.

    Parameters
    ----------
    check : callable
        ``check(X)`` validates inputs, converts them and cuts them at their range.
    X : array-like of shape (m, p)
        Inputs. What is a memory map, or a CSR matrix of memory maps, is not converted as a whole.
    function : callable
        Returns an array of a row for each row of what ``check`` returns.

    Returns
    -------
    ndarray of shape (m, ...)
        The values.
    """
    of_rows = (isinstance(X, np.ndarray) or sparse.issparse(X)) and X.ndim == 2
    size = _BLOCKS * block_size(X.shape[1]) if of_rows else 0
    if not of_rows or X.shape[0] <= size:
        return function(check(X))
    out = None
    for first in range(0, X.shape[0], size):
        part = function(check(X[first : first + size]))
        out = np.empty((X.shape[0], *part.shape[1:]), part.dtype) if out is None else out
        out[first : first + size] = part
        release_rows(X, slice(first, first + size))
    return out
