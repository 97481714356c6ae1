"""The range of the training rows, at which inputs are cut before a prediction."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["InputRange"]


@dataclass(frozen=True)
class InputRange:
    """``cut(u) = min(max(u, lower), upper)``: the box of the rows that a rule was trained on.

    Parameters
    ----------
    lower, upper : ndarray of shape (p,)
        Least and largest value of each input.
    """

    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, U):
        """Return the range of the rows of U, an ndarray or sparse matrix of shape (m, p) with m at least 1."""
        if sparse.issparse(U):
            U = sparse.csc_array(U)
            return cls(U.min(axis=0).toarray().ravel(), U.max(axis=0).toarray().ravel())
        return cls(U.min(axis=0), U.max(axis=0))

    def joined(self, other):
        """Return the smallest range that holds this one and another."""
        return InputRange(np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper))

    def widened(self, margin):
        """Return the range that is wider by ``margin`` times its width on either side."""
        more = margin * (self.upper - self.lower)
        return InputRange(self.lower - more, self.upper + more)

    def excess(self, other):
        """Return by how much another range exceeds this one at most, in widths of this one, a float at least 0.

        Inputs that do not vary in this one have no width, and do not count.
        """
        width = self.upper - self.lower
        beyond = np.maximum(np.maximum(self.lower - other.lower, other.upper - self.upper), 0.0)
        return float(np.max(beyond[width > 0] / width[width > 0], initial=0.0))

    def cut(self, U):
        """Return U, an ndarray or CSR matrix of shape (m, p), cut at the range; U itself where it is inside."""
        if sparse.issparse(U):
            return self._cut_sparse(U)
        if np.all(U >= self.lower) and np.all(U <= self.upper):
            return U
        return np.clip(U, self.lower, self.upper)

    def _cut_sparse(self, U):
        # A zero that is not stored is an input like any other: where the range leaves it out, it is cut as well.
        nearest = np.clip(0.0, self.lower, self.upper)
        moved = np.flatnonzero(nearest)
        U = sparse.csr_array(U, copy=True)
        U.sum_duplicates()
        U.data = np.clip(U.data, self.lower[U.indices], self.upper[U.indices])
        if moved.size == 0:
            return U
        filled = sparse.lil_array(U)
        for j in moved:
            column = U[:, [j]].toarray().ravel()
            stored = np.zeros(U.shape[0], dtype=bool)
            stored[np.repeat(np.arange(U.shape[0]), np.diff(U.indptr))[U.indices == j]] = True
            filled[:, [j]] = np.where(stored, column, nearest[j])[:, None]
        return sparse.csr_array(filled)
