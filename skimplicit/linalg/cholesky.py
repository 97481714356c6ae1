"""Small positive definite systems by LAPACK itself: what SciPy checks around it costs several times the solution."""

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

__all__ = ["CholeskyFactor"]


class CholeskyFactor:
    """The factor L of a positive definite matrix ``L L'``.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        The matrix; only one triangle is read.

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite.
    """

    def __init__(self, matrix):
        # Rows of a symmetric matrix are its columns: its transpose is in the order that LAPACK wants.
        self._factor, info = dpotrf(matrix.T, clean=False) if matrix.size else (matrix, 0)
        if info != 0:
            raise LinAlgError(f"{info}-th leading minor is not positive definite")

    @property
    def diagonal(self):
        """Diagonal of the factor, shape (n,), positive."""
        return np.diagonal(self._factor)

    def solve(self, target):
        """Return the solution for targets of shape (n,) or (n, k)."""
        return dpotrs(self._factor, target)[0] if target.size else target.copy()

    def forward(self, target):
        """Return ``L^-1 target`` for targets of shape (n,) or (n, k)."""
        return dtrtrs(self._factor, target, trans=1)[0] if target.size else target.copy()

    def backward(self, target):
        """Return ``L'^-1 target`` for targets of shape (n,) or (n, k)."""
        return dtrtrs(self._factor, target)[0] if target.size else target.copy()
