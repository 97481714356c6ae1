"""Eigenvectors that are some of the coordinates themselves: what products with such a matrix come to."""

import numpy as np

__all__ = ["OwnAxes"]


class OwnAxes:
    """``V = I[:, kept]``, shape (p, r): ``V.T @ M`` and ``M @ V`` pick, ``V @ M`` and ``M @ V.T`` put back.

    Products may be their other factor, or a view of it.

    Parameters
    ----------
    kept : ndarray of bool of shape (p,)
        Which coordinates.
    transposed : bool
        Whether this is ``V.T``.
    """

    __array_ufunc__ = None  # NumPy leaves ``M @ axes`` to __rmatmul__

    def __init__(self, kept, transposed=False):
        self._kept, self._transposed = kept, transposed
        self._places = slice(None) if kept.all() else np.flatnonzero(kept)

    @property
    def T(self):
        """The transpose."""
        return OwnAxes(self._kept, not self._transposed)

    def __matmul__(self, M):
        """Return the product with M, of as many rows as there are columns here."""
        return M[self._places] if self._transposed else self._put(M)

    def __rmatmul__(self, M):
        """Return the product of M, of as many columns as there are rows here, with this."""
        return self._put(M.T).T if self._transposed else M[:, self._places]

    def _put(self, M):
        if isinstance(self._places, slice):
            return M
        whole = np.zeros((self._kept.size, M.shape[1]))
        whole[self._places] = M
        return whole
