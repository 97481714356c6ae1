"""The range of the training rows, at which inputs are cut before a prediction."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skimplicit.rows.units import ROUNDING

__all__ = ["InputRange"]

# As far out as a range is made wider: its width is a number still.
_FARTHEST = np.finfo(float).max / 4


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
        """Return the range that is wider by ``margin`` times its width on either side, as far as there are numbers."""
        with np.errstate(over="ignore", invalid="ignore"):
            # 0 times infinity, which is none, is no margin of a width, or a margin of no width.
            more = np.nan_to_num(margin * (self.upper - self.lower), posinf=_FARTHEST)
            lower, upper = np.maximum(self.lower - more, -_FARTHEST), np.minimum(self.upper + more, _FARTHEST)
        return self.joined(InputRange(lower, upper))

    def excess(self, U):
        """Return by how much each row of U, an ndarray or CSR matrix (m, p), is outside at most, in widths, (m,).

        Inputs that do not vary within the range, but by rounding, have no width, and do not count.
        """
        # A quarter of the difference of two numbers is a number.
        width, largest = self.upper / 4 - self.lower / 4, np.maximum(np.abs(self.lower), np.abs(self.upper)) / 4
        width = np.where(width > ROUNDING * largest, width, np.inf)
        beyond = abs(U / 4 - self.cut(U) / 4)
        with np.errstate(over="ignore"):
            if sparse.issparse(U):
                beyond.data = beyond.data / width[beyond.indices]
                return beyond.max(axis=1).toarray().ravel()
            return np.max(beyond / width, axis=1, initial=0.0)

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
