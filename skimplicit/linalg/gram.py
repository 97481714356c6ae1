"""The Gram matrix of states and inputs in parts: nothing of the size of inputs times inputs where there are fewer rows.

States are few, so their parts are dense. The inputs' part is a matrix where there are at least as many rows as inputs;
otherwise products go through the rows, and its eigenvectors are thin.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from skimplicit.linalg.own_axes import OwnAxes

__all__ = ["MOST_PAIRS", "Gram", "InputMatrix", "InputRows", "positive_scales"]

# Up to this size a whole matrix costs less: its product, and all its eigenvalues beside Lanczos' for the largest.
_DENSE_SIZE = 200
# Relative error of Lanczos' largest eigenvalue, which is from below, and what makes a bound from above of it.
_LANCZOS_TOL, _LANCZOS_MARGIN = 1e-4, 1.01
# A decomposition of inputs with a side or a number of entries above these is not made.
MOST_PAIRS, _MOST_ENTRIES = 3000, 1 << 25


class _Inputs:
    """Second moment UU of p inputs."""

    @property
    def decomposes(self):
        """Whether the eigenvectors are few enough to be worth their memory and time."""
        pairs = self.most_pairs
        return pairs <= MOST_PAIRS and pairs * self.size <= _MOST_ENTRIES

    @cached_property
    def largest_eigenvalue(self):
        """A bound of the largest eigenvalue of UU in the metric of its diagonal: the same for all states."""
        nothing = np.zeros((0, self.size))
        gram = Gram(nothing[:, :0], nothing, self)
        return gram.largest_eigenvalue(positive_scales(np.sqrt(np.maximum(gram.diagonal(), 0.0))))

    def principal(self, index):
        """Return the rows and columns ``index`` of UU."""
        values, vectors = self.eigen
        return (vectors[index] * values) @ vectors[index].T


class InputMatrix(_Inputs):
    """UU as a matrix.

    Parameters
    ----------
    matrix : ndarray of shape (p, p)
        UU, positive semidefinite.
    """

    def __init__(self, matrix):
        self.matrix = matrix
        self.size = self.most_pairs = matrix.shape[0]

    @cached_property
    def _is_diagonal(self):
        """Whether the inputs are along its eigenvectors, to the rounding of a decomposition."""
        rounding = self._rounding(self.diagonal())  # of most inputs the first row says no
        return all(np.abs(row[i + 1 :]).max(initial=0.0) <= rounding for i, row in enumerate(self.matrix))

    def _rounding(self, values):
        return values.max(initial=0.0) * self.size * np.finfo(float).eps

    def products(self, B):
        """Return ``B UU``, shape (k, p), for B of shape (k, p)."""
        return B * self.diagonal() if self._is_diagonal else B @ self.matrix

    def diagonal(self):
        """Return the diagonal of UU, shape (p,)."""
        return self.matrix.diagonal()

    def principal(self, index):
        """Return the rows and columns ``index`` of UU."""
        return self.matrix[np.ix_(index, index)]

    @cached_property
    def eigen(self):
        """Non-zero eigenvalues (r,) of UU and their eigenvectors (p, r), an ndarray or :class:`OwnAxes`."""
        if self._is_diagonal:
            values = self.diagonal()
            keep = values > self._rounding(values)
            return values[keep], OwnAxes(keep)
        values, vectors = np.linalg.eigh(self.matrix)
        keep = values > self._rounding(values)
        return (values, vectors) if keep.all() else (values[keep], vectors[:, keep])


class InputRows(_Inputs):
    """UU by its rows: ``UU = Uc' diag(weights) Uc``, never a matrix.

    Parameters
    ----------
    samples : Samples
        The rows.
    """

    def __init__(self, samples):
        self._samples = samples
        self.size = samples.n_inputs
        self.most_pairs = min(samples.n_samples, samples.n_inputs)

    def products(self, B):
        """Return ``B UU``, shape (k, p), for B of shape (k, p)."""
        return self._samples.inputs_squared_times(B)

    def diagonal(self):
        """Return the diagonal of UU, shape (p,)."""
        return self._samples.input_squares

    @property
    def decomposes(self):
        """Whether the eigenvectors are worth it; those of rows in blocks are never made."""
        return not self._samples.in_blocks and super().decomposes and not self._samples.by_products

    @property
    def matrix(self):
        """UU, shape (p, p)."""
        return self.principal(np.arange(self.size))

    def principal(self, index):
        """Return the rows and columns ``index`` of UU."""
        if self._samples.in_blocks:
            return self.products(np.eye(self.size)[index])[:, index]
        return super().principal(index)

    @cached_property
    def eigen(self):
        """Non-zero eigenvalues (r,) of UU and their eigenvectors (p, r), r at most the number of rows."""
        _, roots, vectors = np.linalg.svd(self._samples.weighted_inputs(), full_matrices=False)
        values = roots**2
        keep = values > values.max(initial=0.0) * self.size * np.finfo(float).eps
        return values[keep], np.ascontiguousarray(vectors[keep].T)


@dataclass(frozen=True)
class Gram:
    """``G = [[XX, XU], [XU', UU]]``, as an operator: ``W @ gram`` is the product.

    Parameters
    ----------
    XX : ndarray of shape (n, n)
        Second moment of the states.
    XU : ndarray of shape (n, p)
        Moment of states and inputs.
    inputs : InputMatrix or InputRows
        Second moment of the inputs.
    """

    XX: np.ndarray
    XU: np.ndarray
    inputs: InputMatrix | InputRows

    __array_ufunc__ = None  # NumPy leaves ``W @ gram`` to __rmatmul__

    @property
    def size(self):
        """Number of rows, n + p."""
        return sum(self.XU.shape)

    def __rmatmul__(self, W):
        """Return ``W G``, shape (k, n + p), for W of shape (k, n + p)."""
        if self._matrix is not None:
            return W @ self._matrix
        n = self.XX.shape[0]
        A, B = W[:, :n], W[:, n:]
        return np.hstack([A @ self.XX + B @ self.XU.T, A @ self.XU + self.inputs.products(B)])

    @cached_property
    def _matrix(self):
        """The whole of G where one small product is faster than four."""
        if self.size > _DENSE_SIZE:
            return None
        n, matrix = self.XX.shape[0], np.empty((self.size, self.size))
        matrix[:n, :n], matrix[:n, n:], matrix[n:, :n] = self.XX, self.XU, self.XU.T
        matrix[n:, n:] = self.inputs.matrix
        return matrix

    def diagonal(self):
        """Return the diagonal, shape (n + p,)."""
        return np.concatenate([self.XX.diagonal(), self.inputs.diagonal()])

    def principal(self, index):
        """Return the rows and columns of a sorted ``index`` of shape (k,), as a matrix of shape (k, k)."""
        n = self.XX.shape[0]
        states, inputs = index[index < n], index[index >= n] - n
        cross = self.XU[np.ix_(states, inputs)]
        return np.block([[self.XX[np.ix_(states, states)], cross], [cross.T, self.inputs.principal(inputs)]])

    @cached_property
    def factor(self):
        """Matrix L of shape (n + p, n + r) with ``L L' = G``, also when G is singular."""
        n = self.XX.shape[0]
        values, vectors = self.inputs.eigen
        cross = self.XU @ vectors
        squares, axes = np.linalg.eigh(np.block([[self.XX, cross], [cross.T, np.diag(values)]]))
        root = axes * np.sqrt(np.maximum(squares, 0.0))
        return np.vstack([root[:n], vectors @ root[n:]])

    def largest_eigenvalue(self, scale):
        """Return a bound of the largest eigenvalue of ``G_ij / (scale_i scale_j)``, for scales of shape (n + p,)."""
        if self.size <= _DENSE_SIZE:
            return np.linalg.eigvalsh(self._matrix / scale / scale[:, None])[-1]
        product = LinearOperator((self.size,) * 2, lambda v: ((v.ravel() / scale)[None] @ self)[0] / scale, dtype=float)
        start = np.sqrt(np.maximum(self.diagonal(), 0.0)) / scale
        if not start.any():
            return 0.0
        return _LANCZOS_MARGIN * float(eigsh(product, k=1, v0=start, tol=_LANCZOS_TOL, return_eigenvectors=False)[0])


def positive_scales(scales):
    """Lift scales that are zero or tiny beside the largest: a state that never varies must not break the metric.

    Parameters
    ----------
    scales : ndarray
        Non-negative scales; the last axis is compared.

    Returns
    -------
    ndarray
        Positive scales.
    """
    largest = scales.max(axis=-1, keepdims=True, initial=0.0)
    return np.maximum(scales, np.where(largest > 0, 1e-7 * largest, 1.0))
