"""Positive definite systems, without what SciPy checks around them and without holding up other threads.

SciPy's wrappers of LAPACK keep the interpreter's lock while they work, NumPy's factorisation gives it back. What is
left to SciPy are triangular systems of a few equations, or with few right-hand sides.
"""

import numpy as np
from scipy.linalg.lapack import dpotrs, dtrtrs

__all__ = ["CholeskyFactor"]

# Equations that are solved at a time: few, for the lock is held meanwhile, and enough for products to do the rest fast.
_BLOCK = 64


class CholeskyFactor:
    """The factor L of a positive definite matrix ``L L'``.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        The matrix; only its lower triangle is read.

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite.
    """

    def __init__(self, matrix):
        self._factor = np.linalg.cholesky(matrix)

    @property
    def diagonal(self):
        """Diagonal of the factor, shape (n,), positive."""
        return np.diagonal(self._factor)

    def solve(self, target):
        """Return the solution for targets of shape (n,) or (n, k)."""
        return dpotrs(self._factor.T, target)[0] if target.size else target.copy()

    def forward(self, target):
        """Return ``L^-1 target`` for targets of shape (n,) or (n, k)."""
        L, solution = self._factor, np.array(target, order="C")
        for first in range(0, len(L) if target.size else 0, _BLOCK):
            rows = slice(first, first + _BLOCK)
            if first:
                solution[rows] -= L[rows, :first] @ solution[:first]
            # In C order a lower triangle is the transpose of LAPACK's upper one.
            solution[rows] = dtrtrs(L[rows, rows].T, solution[rows], trans=1)[0]
        return solution

    def backward(self, target):
        """Return ``L'^-1 target`` for targets of shape (n,) or (n, k)."""
        return dtrtrs(self._factor.T, target)[0] if target.size else target.copy()
