"""The training set as training sees it: every sum over samples is taken here and nowhere else."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

__all__ = ["Moments", "Samples", "merge_duplicates"]

# What samples in the same units share.
_UNITS = ("centre", "constant", "U_mean", "U_scale", "U_spread", "Y_mean", "Y_scale")


@dataclass(frozen=True)
class Moments:
    """Weighted second moments about the means: all that the convex blocks need to know of the samples.

    Parameters
    ----------
    X_mean : ndarray of shape (n,)
        Mean state; zeros without intercepts.
    Y_mean : ndarray of shape (q,)
        Mean target; zeros without intercepts.
    XX, XU, XY, UY : ndarray
        Moments of states, inputs and targets, of shapes (n, n), (n, p), (n, q) and (p, q).
    inputs : tuple of ndarray
        Eigenvalues (r,) and eigenvectors (p, r) of the inputs' second moment UU, zero eigenvalues left out.
    """

    X_mean: np.ndarray
    Y_mean: np.ndarray
    XX: np.ndarray
    XU: np.ndarray
    XY: np.ndarray
    UY: np.ndarray
    inputs: tuple


def merge_duplicates(U, Y, weights=None, return_place=False):
    """Return the same weighted set of samples in a canonical order, every distinct sample once.

    Training is a long chain of steps on a non-convex objective, in which a difference in rounding grows. On the
    canonical set the order of the rows does not matter at all, and a weight of 2 is the same as a row given twice.

    Parameters
    ----------
    U : ndarray or CSR matrix of shape (m, p)
        Inputs.
    Y : ndarray of shape (m, q)
        Targets.
    weights : ndarray of shape (m,) or None
        Weights of the samples, at least 0; None for ones.
    return_place : bool
        Whether to tell where each sample has gone.

    Returns
    -------
    U, Y, weights
        Distinct samples of positive weight, and the sums of their weights.
    place : ndarray of int of shape (m,)
        With ``return_place``: the position of each sample among them, -1 for a sample of weight 0.
    """
    given, kept = U.shape[0], None
    if weights is not None and not np.all(weights > 0):
        kept = np.flatnonzero(weights > 0)
        U, Y, weights = U[kept], Y[kept], weights[kept]
    weights = np.ones(U.shape[0]) if weights is None else weights
    keys = _row_keys(U, Y)
    order = np.argsort(keys, kind="stable")
    new = np.ones(order.size, dtype=bool)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    first = np.flatnonzero(new)
    merged = U[order[first]], Y[order[first]], np.add.reduceat(weights[order], first)
    if not return_place:
        return merged
    place = np.full(given, -1)
    place[order if kept is None else kept[order]] = np.cumsum(new) - 1
    return *merged, place


def _row_keys(U, Y):
    """Return one comparable key for each row of [U Y], equal for equal rows."""
    if sparse.issparse(U):
        U = sparse.csr_array(U, copy=True)  # the caller's matrix keeps its layout
        U.sum_duplicates()
        U.eliminate_zeros()
        Y = Y + 0.0
        keys = np.empty(U.shape[0], dtype=object)
        for i in range(U.shape[0]):
            row = slice(U.indptr[i], U.indptr[i + 1])
            keys[i] = U.indices[row].astype(np.int64).tobytes() + U.data[row].tobytes() + Y[i].tobytes()
        return keys
    rows = np.hstack([U, Y]) + 0.0  # turns -0.0 into 0.0: equal numbers must have equal bytes
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()


def _sparse_variance(U, weights, mean):
    """Return ``sum_i w_i (U_ij - mean_j)^2``: entries and zeros apart, for one minus the other would cancel."""
    rows = np.repeat(np.arange(U.shape[0]), np.diff(U.indptr))
    columns = U.indices
    entries = np.bincount(columns, weights[rows] * (U.data - mean[columns]) ** 2, minlength=U.shape[1])
    filled = np.bincount(columns, minlength=U.shape[1])
    share = np.bincount(columns, weights[rows], minlength=U.shape[1])
    return entries + np.where(filled == U.shape[0], 0.0, np.maximum(1.0 - share, 0.0)) * mean**2


class Samples:
    """Inputs U, targets Y and weights, centred and scaled for training.

    Every input is divided by its spread and, when there are intercepts, taken relative to its mean, without touching
    the zeros of a sparse U. Every target is centred and divided by its spread. So the ridge means the same in any unit.

    Parameters
    ----------
    U : ndarray or CSR matrix of shape (m, p)
        Inputs.
    Y : ndarray of shape (m, q)
        Targets.
    weights : ndarray of shape (m,) or None
        Positive weights of the samples; None for equal weights.
    centre : bool
        Whether the rule has intercepts.
    scale_targets : bool
        Whether to centre and scale the targets (classes are not).
    groups : ndarray of int of shape (p,) or None
        Columns of a group are divided by one common scale, so that their entries can be compared.
    """

    def __init__(self, U, Y, weights=None, centre=True, scale_targets=True, groups=None):
        m = U.shape[0]
        self.weights = np.full(m, 1.0 / m) if weights is None else weights / weights.sum()
        self.centre = centre
        mean = np.asarray(self.weights @ U).ravel()
        if sparse.issparse(U):
            size = np.sqrt(np.asarray(self.weights @ U.multiply(U)).ravel())
            variance = _sparse_variance(sparse.csr_array(U), self.weights, mean if centre else np.zeros_like(mean))
        else:
            size = np.abs(U).max(axis=0, initial=0.0)
            deviation = (U - mean if centre else U) / np.where(size > 0, size, 1.0)
            variance = self.weights @ deviation**2 * size**2
        spread = np.sqrt(np.maximum(variance, 0.0))
        # A spread at the level of rounding is that of a constant column, which carries nothing.
        self.constant = spread <= 16 * np.finfo(float).eps * size
        self.U_spread = np.where(self.constant, 0.0, spread)
        scale = self.U_spread
        if groups is not None:
            scale = np.sqrt(np.bincount(groups, scale**2) / np.bincount(groups))[groups]
        self.U_scale = np.where(scale > 0, scale, 1.0)
        self.U_mean = mean if centre else np.zeros_like(mean)
        if sparse.issparse(U):
            keep = sparse.diags_array(np.where(self.constant, 0.0, 1.0 / self.U_scale))
            self._U = sparse.csr_array(U @ keep)
            self._shift = np.where(self.constant, 0.0, self.U_mean / self.U_scale)
        else:
            self._U = deviation
            self._U *= np.where(self.constant, 0.0, size / self.U_scale)
            self._shift = None
        self.Y_mean, self.Y_scale = self._target_scale(Y, centre, scale_targets)
        self.Y = (Y - self.Y_mean) / self.Y_scale

    def _target_scale(self, Y, centre, scale_targets):
        q = Y.shape[1]
        if not scale_targets:
            return np.zeros(q), np.ones(q)
        mean = self.weights @ Y if centre else np.zeros(q)
        size = np.abs(Y).max(axis=0, initial=0.0)
        spread = size * np.sqrt(self.weights @ ((Y - mean) / np.where(size > 0, size, 1.0)) ** 2)
        constant = spread <= 16 * np.finfo(float).eps * size
        return mean, np.where(constant, 1.0, spread)

    def budget_weights(self, groups=None):
        """Return the weights that make a budget on B of the scaled inputs one on B of the inputs as given.

        Parameters
        ----------
        groups : ndarray of int of shape (p,) or None
            The groups.

        Returns
        -------
        ndarray of shape (p,) or (n_groups,)
            One over the scale of each column or group.
        """
        if groups is None:
            return 1.0 / self.U_scale
        weights = np.zeros(int(groups.max()) + 1)
        weights[groups] = 1.0 / self.U_scale
        return weights

    def rows(self, index):
        """Return some of the samples, scaled alike; their weighted sums estimate those over all samples.

        Parameters
        ----------
        index : ndarray of int of shape (k,)
            The rows; none of them for the units alone.

        Returns
        -------
        Samples
            A copy of these rows.
        """
        weights = self.weights[index]
        return self._alike(
            self._U[index], self._shift, self.Y[index], weights * (self.n_samples / max(weights.size, 1))
        )

    def like(self, U, Y, weights):
        """Return other samples in the units of these.

        Parameters
        ----------
        U : ndarray or CSR matrix of shape (k, p)
            Inputs.
        Y : ndarray of shape (k, q)
            Targets.
        weights : ndarray of shape (k,)
            Weights of the samples.

        Returns
        -------
        Samples
            The samples; their weights are divided by their sum.
        """
        per_unit = np.where(self.constant, 0.0, 1.0 / self.U_scale)
        if sparse.issparse(U):
            U, shift = sparse.csr_array(U @ sparse.diags_array(per_unit)), self.U_mean * per_unit
        else:
            U, shift = (U - self.U_mean) * per_unit, None
        return self._alike(U, shift, (Y - self.Y_mean) / self.Y_scale, weights / weights.sum())

    def open_units(self):
        """Return these units without samples, ready for more of them: an input constant so far need not stay so."""
        units = self.rows(np.arange(0))
        units.constant = np.zeros_like(self.constant)
        units.U_spread = self.U_scale
        return units

    def _alike(self, U, shift, Y, weights):
        """Return scaled samples with the units of these; nothing that has been computed from these comes along."""
        other = object.__new__(Samples)
        for name in _UNITS:
            setattr(other, name, getattr(self, name))
        other._U, other._shift, other.Y, other.weights = U, shift, Y, weights
        return other

    @property
    def n_samples(self):
        """Number of samples m."""
        return self._U.shape[0]

    @property
    def n_inputs(self):
        """Number of inputs p."""
        return self._U.shape[1]

    @property
    def n_outputs(self):
        """Number of targets q."""
        return self.Y.shape[1]

    def inputs_times(self, B):
        """Return ``Uc B'``, shape (m, k), for B of shape (k, p) and Uc the scaled, centred inputs."""
        product = np.asarray(self._U @ B.T)
        if self._shift is not None:
            product -= B @ self._shift
        return product

    def times_inputs(self, S):
        """Return ``S' diag(weights) Uc``, shape (k, p), for S of shape (m, k)."""
        weighted = S * self.weights[:, None]
        product = np.asarray((self._U.T @ weighted).T)
        if self._shift is not None:
            product -= np.outer(weighted.sum(axis=0), self._shift)
        return product

    def times_states(self, S, X, mean):
        """Return ``S' diag(weights) (X - mean)``, shape (k, n), for S of shape (m, k) and X of shape (m, n)."""
        weighted = S * self.weights[:, None]
        return weighted.T @ X - np.outer(weighted.sum(axis=0), mean)

    def mean(self, S):
        """Return the weighted mean of the rows of S, shape (k,)."""
        return self.weights @ S

    @cached_property
    def UU(self):
        """Second moment of the inputs, shape (p, p)."""
        if self._shift is None:
            root = self._U * np.sqrt(self.weights)[:, None]
            return root.T @ root
        root = self._U.multiply(np.sqrt(self.weights)[:, None]).tocsr()
        return (root.T @ root).toarray() - np.outer(self._shift, self._shift)

    @cached_property
    def inputs(self):
        """Non-zero eigenvalues (r,) and their eigenvectors (p, r) of ``UU``."""
        values, vectors = np.linalg.eigh(self.UU)
        keep = values > values.max(initial=0.0) * self.n_inputs * np.finfo(float).eps
        return values[keep], vectors[:, keep]

    @cached_property
    def UY(self):
        """Moment of inputs and targets, shape (p, q)."""
        return self.times_inputs(self.Y).T

    @cached_property
    def Y_moments(self):
        """Mean of the targets (q,), zeros without intercepts, and the sum of their second moments about it."""
        mean = self.mean(self.Y) if self.centre else np.zeros(self.n_outputs)
        return mean, float(np.sum(self.weights @ (self.Y - mean) ** 2))

    def moments(self, X):
        """Return the :class:`Moments` of states X, an ndarray of shape (m, n)."""
        mean = self.mean(X) if self.centre else np.zeros(X.shape[1])
        centred = X - mean
        weighted = centred * self.weights[:, None]
        XU = np.asarray((self._U.T @ weighted).T)
        if self._shift is not None:
            XU -= np.outer(weighted.sum(axis=0), self._shift)
        Y_mean = self.Y_moments[0]
        return Moments(mean, Y_mean, centred.T @ weighted, XU, weighted.T @ (self.Y - Y_mean), self.UY, self.inputs)
