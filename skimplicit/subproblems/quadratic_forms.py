"""Positive definite quadratic forms ``x' Q x`` and their restrictions to some of the variables, the others at zero."""

from functools import cached_property

import numpy as np

from skimplicit.linalg import CholeskyFactor

__all__ = ["LowRankForm", "MatrixForm"]


class MatrixForm:
    """The form of a matrix.

    Parameters
    ----------
    matrix : ndarray of shape (k, k)
        Q, positive definite.
    """

    def __init__(self, matrix):
        self.matrix = matrix

    def times(self, x):
        """Return ``Q x`` for x of shape (k,)."""
        return self.matrix @ x

    def scales(self):
        """Return the roots of the diagonal of Q, shape (k,), positive: units of the slopes by the variables."""
        return _positive_roots(self.matrix.diagonal())

    def solved(self, free, targets):
        """Solve for some of the variables.

        Parameters
        ----------
        free : ndarray of int of shape (f,)
            The variables.
        targets : ndarray of shape (f, t)
            Right-hand sides T.

        Returns
        -------
        products : ndarray of shape (t, t)
            ``T' Q_ff^-1 T``.
        combined : callable
            ``combined(c)`` returns ``Q_ff^-1 T c``, shape (f,), for c of shape (t,).

        Raises
        ------
        LinAlgError
            If the matrix is not positive definite.
        """
        factor = CholeskyFactor(self.matrix.take(free, axis=0).take(free, axis=1))
        half = factor.forward(targets)
        return half.T @ half, lambda c: factor.backward(half @ c)


class LowRankForm:
    """The form of ``Q = R M^-1 R' + diag(d)``, R with fewer columns than rows, by matrices of the size of M.

    Parameters
    ----------
    root : ndarray of shape (k, N)
        R.
    inner : ndarray of shape (N, N)
        M, positive definite.
    factor : CholeskyFactor
        Its factor.
    added : ndarray of shape (k,)
        The positive diagonal d.

    Notes
    -----
    Woodbury's formula: ``Q_ff^-1 = D^-1 - D^-1 R_f (M + R_f' D^-1 R_f)^-1 R_f' D^-1``.
    """

    def __init__(self, root, inner, factor, added):
        self._root, self._inner, self._factor, self._added = root, inner, factor, added
        self._scale = 1.0 / np.sqrt(added)
        self._scaled = root * self._scale[:, None]

    @cached_property
    def matrix(self):
        """Q, shape (k, k)."""
        half = self._factor.forward(self._root.T)
        return half.T @ half + np.diag(self._added)

    def times(self, x):
        """See :meth:`MatrixForm.times`."""
        return self._root @ self._factor.solve(x @ self._root) + self._added * x

    def scales(self):
        """Return what is in the units of :meth:`MatrixForm.scales`, shape (k,), positive, from R and d alone."""
        return _positive_roots(np.einsum("ij,ij->i", self._root, self._root) + self._added)

    def solved(self, free, targets):
        """See :meth:`MatrixForm.solved`."""
        scale, R = self._scale[free], self._scaled.take(free, axis=0)
        factor = CholeskyFactor(self._inner + R.T @ R)
        T = targets * scale[:, None]
        half = factor.forward(R.T @ T)
        return T.T @ T - half.T @ half, lambda c: scale * (T @ c - R @ factor.backward(half @ c))


def _positive_roots(squares):
    return np.sqrt(np.where(squares > 0, squares, 1.0))
