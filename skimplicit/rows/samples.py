"""The training set as training sees it: every sum over samples is taken here and nowhere else."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from skimplicit.linalg import Gram, InputMatrix, InputRows
from skimplicit.rows.columns import canonical, columns_times, group_scales, in_own_units, shares, sparse_variance

__all__ = ["Moments", "Samples"]

# What samples in the same units share.
_UNITS = ("centre", "constant", "U_mean", "U_scale", "U_std", "Y_mean", "Y_scale")
# Decades between the units of an input and a target that a weight, a number between 1e-308 and 1e308, can bridge.
_MOST_DECADES = 301
# Least scale of a constant target, as a share of its size: what rounding leaves of it is then at most some 1e-6.
_CONSTANT_SCALE = 1e-9
# Inputs beyond this number have no second moment as a matrix, however many rows there are.
_LARGEST_MATRIX = 4000


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
    inputs : InputMatrix or InputRows
        The inputs' second moment UU, in the form that its size allows.
    """

    X_mean: np.ndarray
    Y_mean: np.ndarray
    XX: np.ndarray
    XU: np.ndarray
    XY: np.ndarray
    UY: np.ndarray
    inputs: InputMatrix | InputRows

    @property
    def gram(self):
        """Second moment of states and inputs together, a :class:`~skimplicit.linalg.gram.Gram`."""
        return Gram(self.XX, self.XU, self.inputs)


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
        self.weights = np.full(m, 1.0 / m) if weights is None else shares(weights)
        self.centre = centre
        # In units of the largest entries, powers of two: exact, and no square can overflow or vanish.
        U, unit = in_own_units(canonical(U))
        mean = np.asarray(self.weights @ U).ravel()
        centred_at = mean if centre else np.zeros_like(mean)
        if sparse.issparse(U):
            size = np.sqrt(np.asarray(self.weights @ U.multiply(U)).ravel())
            variance = sparse_variance(U, self.weights, centred_at)
        else:
            U = U - centred_at
            size = np.where(unit > 0, 1.0, 0.0)
            variance = self.weights @ U**2
        spread = np.sqrt(np.maximum(variance, 0.0))
        # A spread at the level of rounding is that of a constant column, which carries nothing.
        self.constant = spread <= 16 * np.finfo(float).eps * size
        spread = np.where(self.constant, 0.0, spread)
        self.U_std = spread * unit
        self.U_scale = group_scales(self.U_std, groups)
        self.U_mean = centred_at * unit
        per_unit = np.where(self.constant, 0.0, unit / self.U_scale)
        if sparse.issparse(U):
            self._U = columns_times(U, per_unit)
            self._shift = centred_at * per_unit
        else:
            self._U = U
            self._U *= per_unit
            self._shift = None
        self.Y_mean, self.Y_scale = self._target_scale(Y, centre, scale_targets)
        self.Y = (Y - self.Y_mean) / self.Y_scale
        self._check_slopes()

    def _check_slopes(self):
        """Refuse units so far apart that a weight from an input to a target would not be a number."""
        varying = np.flatnonzero(~self.constant)
        slopes = np.log10(self.Y_scale)[:, None] - np.log10(self.U_scale[varying])
        far = np.flatnonzero((np.abs(slopes) > _MOST_DECADES).any(axis=0))
        if far.size:
            j = varying[far[0]]
            raise ValueError(
                f"Column {j} of X and y have deviations {self.U_scale[j]:.0e} and {self.Y_scale.max():.0e}, so "
                "far apart that a weight between them exceeds the range of floating-point numbers; rescale X or y."
            )

    def _target_scale(self, Y, centre, scale_targets):
        q = Y.shape[1]
        if not scale_targets:
            return np.zeros(q), np.ones(q)
        Y, unit = in_own_units(Y)
        mean = self.weights @ Y if centre else np.zeros(q)
        spread = np.sqrt(self.weights @ (Y - mean) ** 2)
        constant = spread <= 16 * np.finfo(float).eps
        # A constant target keeps its unit, unless what rounding leaves of it would be much in that unit, or no number.
        return mean * unit, np.where(constant, np.maximum(1.0, _CONSTANT_SCALE * unit), spread * unit)

    @property
    def per_unit(self):
        """What an input is multiplied by, shape (p,): one over its scale, 0 if it is constant."""
        return np.where(self.constant, 0.0, 1.0 / self.U_scale)

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
        # Without rows there is nothing to be sparse, and units are stored with estimators: as an array like the others.
        U, shift = (self._U[index], self._shift) if index.size else (np.empty((0, self.n_inputs)), None)
        return self._alike(U, shift, self.Y[index], weights * (self.n_samples / max(weights.size, 1)))

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
        if sparse.issparse(U):
            U, shift = columns_times(canonical(U), self.per_unit), self.U_mean * self.per_unit
        else:
            U, shift = (U - self.U_mean) * self.per_unit, None
        return self._alike(U, shift, (Y - self.Y_mean) / self.Y_scale, shares(weights))

    def open_units(self):
        """Return these units without samples, ready for more of them: an input constant so far need not stay so."""
        units = self.rows(np.arange(0))
        units.constant = np.zeros_like(self.constant)
        units.U_std = self.U_scale
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
        """Second moment of the inputs: a matrix where there are at least as many rows as inputs, rows otherwise."""
        if self.n_inputs <= min(self.n_samples, _LARGEST_MATRIX):
            return InputMatrix(self.UU)
        return InputRows(self)

    @property
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
