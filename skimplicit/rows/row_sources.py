"""What rows are read from: matrices in memory, memory maps, and some columns of either."""

import numpy as np
from scipy import sparse

from skimplicit.rows.spilling import release

__all__ = ["SelectedColumns", "reads_rows", "release_rows"]


class SelectedColumns:
    """``X[:, columns]``, of which nothing is there before some of its rows are asked for.

    A fit and a prediction take it in the place of X where there are many rows, which they read in blocks.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        All columns, also a memory map or a CSR matrix of memory maps.
    columns : ndarray of int of shape (k,)
        The columns.
    """

    ndim = 2

    def __init__(self, X, columns):
        self.X, self.columns = X, columns

    @property
    def shape(self):
        """Number of rows and number of the columns."""
        return self.X.shape[0], len(self.columns)

    @property
    def dtype(self):
        """Type of the entries."""
        return self.X.dtype

    def __getitem__(self, rows):
        """Return some rows, a slice or an ndarray of int: an ndarray or a CSR matrix of their selected columns."""
        return self.X[rows][:, self.columns]


def reads_rows(X):
    """Tell whether some rows of what was given for a matrix can be read without the others.

    Parameters
    ----------
    X : object
        What was given.

    Returns
    -------
    bool
        Whether it is a matrix of numbers: an ndarray, a CSR matrix, or :class:`SelectedColumns` of one.
    """
    in_rows = isinstance(X, (np.ndarray, SelectedColumns)) or (sparse.issparse(X) and X.format == "csr")
    return in_rows and X.ndim == 2 and X.dtype.kind in "fiub"


def release_rows(U, rows):
    """Give the pages of rows of a memory map, or of a CSR matrix of memory maps, back to the system.

    Parameters
    ----------
    U : ndarray, CSR matrix or SelectedColumns of shape (m, p)
        The matrix; nothing is done with one in memory.
    rows : slice
        Consecutive rows.
    """
    if isinstance(U, SelectedColumns):
        release_rows(U.X, rows)
    elif sparse.issparse(U):
        entries = slice(U.indptr[rows.start], U.indptr[min(rows.stop, U.shape[0])])
        release(U.data[entries])
        release(U.indices[entries])
    else:
        release(U[rows])
