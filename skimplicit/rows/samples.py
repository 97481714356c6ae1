"""The training set as training sees it: every sum over samples is taken here and nowhere else."""

from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from skimplicit.linalg import MOST_PAIRS, InputMatrix, InputRows
from skimplicit.rows.columns import canonical, centred_products, columns_times, shares, sparse_variance
from skimplicit.rows.coordinates import RowSpace, SparseRowSpace
from skimplicit.rows.measuring import measured_units
from skimplicit.rows.moments import MomentSums
from skimplicit.rows.units import InUnits

__all__ = ["LARGEST_MATRIX", "Samples"]

# Squared length of an axis of sparse rows, as a share of the largest, below which it is rounding.
_LEAST_SQUARE = 1e-12
# How many entries of whole rows take as long in a fit as one of a sparse row, products and all else that has no axes.
_SHORT_ROWS = 20
#: Inputs beyond this number have no second moment as a matrix, however many rows there are.
LARGEST_MATRIX = 4000
# First rows that tell of most states that they are not the same in all.
_PROBED = 64


class Samples(InUnits):
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

    #: Whether arrays of a row for each sample are in blocks, wherever these are.
    in_blocks = False
    #: Whether products with the rows are all that is taken of inputs that are more than rows: no eigenvectors.
    by_products = False

    def __init__(self, U, Y, weights=None, centre=True, scale_targets=True, groups=None):
        U = canonical(U)
        weights = np.ones(U.shape[0]) if weights is None else weights
        units = measured_units(lambda f, *arguments: [f(U, Y, weights, *arguments)], centre, scale_targets, groups)
        self._set(units, *units.inputs(U), units.targets(Y), units.shares(weights))

    def _set(self, units, U, shift, Y, weights):
        self.units, self._U, self._shift, self.Y, self.weights = units, U, shift, Y, weights

    @classmethod
    def scaled(cls, units, U, Y, weights):
        """Return samples in given units.

        Parameters
        ----------
        units : Units
            The units.
        U : ndarray or canonical CSR array of shape (m, p)
            Inputs.
        Y : ndarray of shape (m, q)
            Targets.
        weights : ndarray of shape (m,)
            Shares of the samples, which need not sum to one: of a block of rows, or of a choice of them.

        Returns
        -------
        Samples
            The samples.
        """
        return cls._of(units, *units.inputs(U), units.targets(Y), weights)

    @classmethod
    def _of(cls, *parts):
        """Return samples that are scaled already; nothing that has been computed from others comes along."""
        samples = object.__new__(cls)
        samples._set(*parts)
        return samples

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
        if index.size == 0:
            return self._without_rows(self.units)
        weights = self.weights[index] * (self.n_samples / index.size)
        return self._of(self.units, self._U[index], self._shift, self.Y[index], weights)

    def _without_rows(self, units):
        """Return no samples, in some units of these inputs, as estimators store them: never sparse, and no views."""
        return self._of(units, np.empty((0, self.n_inputs)), None, np.empty((0, self.n_outputs)), np.empty(0))

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
        return self.scaled(self.units, canonical(U), Y, shares(weights))

    def rescaled(self, factors):
        """Return the same samples with scaled inputs multiplied by factors (p,); one times 0 counts as constant."""
        shift = None if self._shift is None else self._shift * factors
        U = columns_times(self._U, factors) if issparse(self._U) else self._U * factors
        return self._of(self.units.rescaled(factors), U, shift, self.Y, self.weights)

    def of_varying(self):
        """Return the same samples with the inputs that vary alone; these themselves where all do."""
        varying = ~self.constant
        if varying.all():
            return self
        shift = None if self._shift is None else self._shift[varying]
        return self._of(self.units.of_varying(), self._U[:, varying], shift, self.Y, self.weights)

    @property
    def is_wide(self):
        """Whether there are more inputs than rows, and axes of all rows are worth their time."""
        return self.n_inputs > self.n_samples <= MOST_PAIRS

    @property
    def has_short_rows(self):
        """Whether rows have so few entries that products with them cost less than with as many whole axes."""
        return self._shift is not None and self.n_samples**2 > _SHORT_ROWS * self._U.nnz

    def in_products(self):
        """Return the same samples, taken :attr:`by_products`."""
        samples = self._of(self.units, self._U, self._shift, self.Y, self.weights)
        samples.by_products = True
        return samples

    def row_space(self):
        """Return the :class:`RowSpace` or :class:`SparseRowSpace` of all centred rows, at most as many axes as rows.

        The axes are principal: the second moment of these samples in them is diagonal.
        """
        if self._shift is None:
            axes, root = np.linalg.qr(self.weighted_inputs().T)
            return RowSpace(axes @ np.linalg.eigh(root @ root.T)[1])
        roots = np.sqrt(self.weights)[:, None]
        values, vectors = np.linalg.eigh(roots * centred_products(self._U, self._U, self._shift) * roots.T)
        kept = values > _LEAST_SQUARE * values[-1]
        return SparseRowSpace(self._U, self._shift, roots * vectors[:, kept] / np.sqrt(values[kept]))

    def in_row_space(self, space):
        """Return the same samples in coordinates of a :class:`RowSpace` or :class:`SparseRowSpace`."""
        U = space.of_given(self._U) if self._shift is None else space.of_rows(self._U)
        return self._of(self.units.in_row_space(space, U.shape[1]), U, None, self.Y, self.weights)

    def open_units(self, wait):
        """Return these units without samples, ready for more of them: an input constant so far need not stay so.

        ``wait`` is that of :meth:`Units.opened`.
        """
        return self._without_rows(self.units.opened(wait))

    def units_with(self, U, Y, weights):
        """Return these units without samples, with those of columns that first vary in new ones (see :meth:`like`)."""
        units, still = self.units, self.units.Y_constant.any()
        if still or (units.waiting is not None and units.waiting.any()):
            units = units.with_varying(Samples(U, Y, weights, self.centre, scale_targets=still).units)
        return self._without_rows(units)

    def units_before(self, factors):
        """Return the units that were :meth:`rescaled` by factors of shape (p,), without samples."""
        return self._without_rows(self.units.as_before(factors))

    def run(self, function, *arrays):
        """Return ``function(samples, *arrays)``: what stays with the rows, and sums over them.

        Parameters
        ----------
        function : callable
            The function.
        *arrays : ndarray of shape (m, k) or None
            What an earlier pass has left with the rows.

        Returns
        -------
        kept : ndarray of shape (m, k) or None
            What stays.
        sums : object
            What the function sums, in numbers, arrays or :class:`Sums`.
        """
        return function(self, *arrays)

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

    @property
    def uncentred(self):
        """The scaled inputs (m, p) as they are stored, and where sparse ones are still to be centred, (p,) or None."""
        return self._U, self._shift

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

    def inputs_squared_times(self, B):
        """Return ``B UU``, shape (k, p), for B of shape (k, p), without the matrix UU."""
        return self.times_inputs(self.inputs_times(B))

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
        # Of some of the samples: their mean is not that of all.
        shift, total = self._shift, np.asarray(self.weights @ self._U).ravel()
        cross = np.outer(total - 0.5 * self.weights.sum() * shift, shift)
        return (root.T @ root).toarray() - (cross + cross.T)

    @cached_property
    def inputs(self):
        """Second moment of the inputs: a matrix where there are at least as many rows as inputs, rows otherwise."""
        if self.n_inputs <= min(self.n_samples, LARGEST_MATRIX):
            return InputMatrix(self.UU)
        return InputRows(self)

    @cached_property
    def input_squares(self):
        """Diagonal of ``UU``, shape (p,), without the rest of it."""
        if self._shift is None:
            return np.einsum("i,ij,ij->j", self.weights, self._U, self._U)
        return sparse_variance(self._U, self.weights, self._shift)

    def weighted_inputs(self):
        """Return the rows ``sqrt(w_i) u_i`` of the inputs, shape (m, p), whose Gram matrix is ``UU``."""
        U = self._U if self._shift is None else self._U.toarray() - self._shift
        return U * np.sqrt(self.weights)[:, None]

    @cached_property
    def UY(self):
        """Moment of inputs and targets, shape (p, q)."""
        return self.times_inputs(self.Y).T

    @cached_property
    def Y_sum(self):
        """Weighted sum of the targets, shape (q,)."""
        return self.mean(self.Y)

    @cached_property
    def Y_moments(self):
        """Mean of the targets (q,), zeros without intercepts, and the sum of their second moments about it."""
        mean = self.Y_sum if self.centre else np.zeros(self.n_outputs)
        return mean, float(np.sum(self.weights @ (self.Y - mean) ** 2))

    @cached_property
    def _sums(self):
        """Sums of the weights, and with them of inputs (p,) and targets (q,)."""
        return float(self.weights.sum()), self.times_inputs(np.ones((self.n_samples, 1)))[0], self.Y_sum

    def moment_sums(self, X, crossed=True):
        """Return the :class:`MomentSums` of states X, an ndarray of shape (m, n), about their mean.

        Those of states with inputs are zeros unless ``crossed``.
        """
        weight, U_sum, Y_sum = self._sums
        mean = self.mean(X) / weight if self.centre else np.zeros(X.shape[1])
        if self.centre:
            # What rounding leaves of a state that is the same in all rows would be taken for a signal.
            constant = np.flatnonzero((X[:_PROBED] == X[:1]).all(axis=0))
            constant = constant[(X[:, constant] == X[:1, constant]).all(axis=0)]
            mean[constant] = X[:1, constant]
        centred = X - mean
        weighted = centred * self.weights[:, None]
        if crossed:
            XU = np.asarray((self._U.T @ weighted).T)
            if self._shift is not None:
                XU -= np.outer(self.weights @ centred, self._shift)
        else:
            XU = np.zeros((X.shape[1], self.n_inputs))
        return MomentSums(weight, mean, centred.T @ weighted, XU, weighted.T @ self.Y, U_sum, Y_sum)

    def moments(self, X):
        """Return the :class:`Moments` of states X, an ndarray of shape (m, n)."""
        return self.moment_sums(X).moments(self)
