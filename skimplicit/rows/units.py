"""The units of training: what inputs and targets are centred at and divided by, measured in passes over blocks."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np
from scipy import sparse

from skimplicit.rows.columns import (
    are_plain,
    columns_times,
    group_scales,
    highest_and_lowest,
    largest_entries,
    over_powers,
    sparse_variance,
    unit_exponents,
)
from skimplicit.rows.coordinates import InTurn, RowSpace, SomeInputs, SparseRowSpace

__all__ = ["ROUNDING", "InUnits", "Units"]

# Decades between the units of an input and a target that a weight, a number between 1e-308 and 1e308, can bridge.
_MOST_DECADES = 301
# Least scale of a constant target, as a share of its size: what rounding leaves of it is then at most some 1e-6.
_CONSTANT_SCALE = 1e-9
#: A spread of less than this share of a column's size is that of rounding, and the column constant.
ROUNDING = 16 * np.finfo(float).eps


@dataclass(frozen=True)
class Units:
    """``(u - U_mean) / U_scale`` and ``(y - Y_mean) / Y_scale``: inputs and targets as training sees them.

    Parameters
    ----------
    centre : bool
        Whether the rule has intercepts.
    constant : ndarray of bool of shape (p,)
        Inputs that are the same in every row, which carry nothing and are scaled to zero.
    exponent : ndarray of int of shape (p,)
        Powers of two near the largest entries.
    U_mean, U_scale, U_std : ndarray of shape (p,)
        Means (zeros without intercepts), scales and deviations of the inputs.
    Y_mean, Y_scale : ndarray of shape (q,)
        What targets are centred at and divided by.
    weight_exponent : int
        Power of two near the largest weight.
    total_weight : float
        Sum of the weights in that unit.
    given : Units or None
        The units of all inputs as given, where these p are made of them; None where these are all.
    coordinates : SomeInputs, RowSpace, SparseRowSpace, InTurn or None
        How they are made of the scaled inputs as given.
    waiting : ndarray of bool of shape (p,) or None
        Constant inputs that samples to come may show not to be; None for none.
    """

    centre: bool
    constant: np.ndarray
    exponent: np.ndarray
    U_mean: np.ndarray
    U_scale: np.ndarray
    U_std: np.ndarray
    Y_mean: np.ndarray
    Y_scale: np.ndarray
    weight_exponent: int
    total_weight: float
    given: Self | None = None
    coordinates: SomeInputs | RowSpace | SparseRowSpace | InTurn | None = None
    waiting: np.ndarray | None = None

    @classmethod
    def measure(cls, sweep, centre=True, scale_targets=True, groups=None):
        """Measure the units of rows in blocks.

        Parameters
        ----------
        sweep : callable
            ``sweep(function, *arguments)`` iterates over ``function(U, Y, weights, *arguments)`` of all blocks.
        centre, scale_targets, groups : bool, bool, ndarray of int of shape (p,) or None
            As for :class:`~skimplicit.rows.Samples`.

        Returns
        -------
        Units
            The units.

        Raises
        ------
        ValueError
            If an input and a target are so far apart that no weight can bridge them.
        """
        *largest, U_range, Y_range = reduce(_larger, sweep(_largest))
        exponents = [unit_exponents(parts) for parts in largest]
        sums = reduce(_added, sweep(_sums, exponents))
        total = float(sums[2][0])
        U_mean, U_size, Y_mean = sums[0] / total, np.sqrt(sums[1] / total), sums[3] / total
        U_centre, Y_centre = (mean if centre else np.zeros_like(mean) for mean in (U_mean, Y_mean))
        squares = reduce(_added, sweep(_squares, exponents, U_centre, Y_centre))
        U_spread, Y_spread = (np.sqrt(np.maximum(part / total, 0.0)) for part in squares)
        # Of columns that are the same in every row, the mean is not, to more rounding the more rows there are.
        still = [centre & _is_still(*ends) for ends in ((U_range, exponents[0]), (Y_range, exponents[1]))]
        constant = (U_spread <= ROUNDING * U_size) | still[0]
        U_std = np.ldexp(np.where(constant, 0.0, U_spread), exponents[0])
        Y_mean, Y_scale = np.zeros(Y_mean.size), np.ones(Y_mean.size)
        if scale_targets:
            Y_mean, unit = np.ldexp(Y_centre, exponents[1]), np.where(largest[1] > 0, np.ldexp(1.0, exponents[1]), 0.0)
            # A constant target keeps its unit, unless what rounding leaves of it would be much in it, or no number.
            kept = np.maximum(1.0, _CONSTANT_SCALE * unit)
            Y_scale = np.where((Y_spread <= ROUNDING) | still[1], kept, Y_spread * unit)
        units = cls(
            centre,
            constant,
            exponents[0],
            np.ldexp(U_centre, exponents[0]),
            group_scales(U_std, groups),
            U_std,
            Y_mean,
            Y_scale,
            int(exponents[2][0]),
            total,
        )
        units._check_slopes()
        return units

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

    @property
    def per_unit(self):
        """What an input is multiplied by, shape (p,): one over its scale, 0 if it is constant."""
        return np.where(self.constant, 0.0, 1.0 / self.U_scale)

    @property
    def scale(self):
        """What a weight of a scaled input is, as a multiple of that of the input, shape (p,): 0 if it is constant."""
        return np.where(self.constant, 0.0, self.U_scale)

    def opened(self, wait):
        """Return the same units for more samples: an input constant so far need not stay so.

        Those of such an input ``wait`` until it varies; if not, its scale stays one, and it has weights from now on.
        """
        if wait:
            return replace(self, waiting=self.constant)
        return replace(self, constant=np.zeros_like(self.constant), U_std=self.U_scale)

    def with_varying(self, new):
        """Return these units with those of the waiting inputs that vary in samples whose own units are ``new``.

        An input that is constant there too, but another number, keeps its mean and is divided by the difference.
        """
        away = np.where(new.constant, np.abs(new.U_mean - self.U_mean), new.U_std)
        found = self.waiting & (away > ROUNDING * np.abs(self.U_mean))
        means = np.where(new.constant, self.U_mean, new.U_mean)
        pairs = dict(U_mean=means, exponent=np.maximum(self.exponent, new.exponent), U_scale=away, U_std=away)
        parts = {name: np.where(found, values, getattr(self, name)) for name, values in pairs.items()}
        return replace(self, constant=self.constant & ~found, waiting=self.waiting & ~found, **parts)

    @property
    def largest_scale(self):
        """Largest deviation of an input; 1 where none varies."""
        return np.max(self.U_scale, initial=0.0, where=~self.constant) or 1.0

    def rescaled(self, factors):
        """Return units in which scaled inputs are multiplied by factors (p,); one times 0 counts as constant."""
        scales = np.divide(self.U_scale, factors, out=self.U_scale.copy(), where=factors > 0)
        return replace(self, U_scale=scales, constant=self.constant | (factors == 0))

    def as_before(self, factors):
        """Return the units that were :meth:`rescaled` by factors of shape (p,)."""
        scales = self.U_scale * np.where(factors > 0, factors, 1.0)
        return replace(self, U_scale=scales, constant=self.constant & (factors > 0))

    def of_varying(self):
        """Return the units of the inputs that vary alone."""
        varying = ~self.constant
        parts = {name: getattr(self, name)[varying] for name in ("constant", "exponent", "U_mean", "U_scale", "U_std")}
        return replace(self, given=self, coordinates=SomeInputs(varying), **parts)

    def in_row_space(self, space, size):
        """Return the units of ``size`` coordinates of scaled, centred inputs in their row space."""
        space = space if self.coordinates is None else InTurn(self.coordinates, space)
        parts = dict(constant=np.zeros(size, dtype=bool), exponent=np.zeros(size, dtype=int), U_mean=np.zeros(size))
        ones = np.ones(size)
        return replace(self, given=self.given or self, coordinates=space, U_scale=ones, U_std=ones, **parts)

    def inputs(self, U):
        """Return scaled inputs, a new matrix, and for a sparse U what is still to be subtracted from each row.

        Parameters
        ----------
        U : ndarray or canonical CSR array of shape (m, p)
            The inputs.

        Returns
        -------
        scaled : ndarray or CSR array of shape (m, p)
            Centred if dense.
        shift : ndarray of shape (p,) or None
            The scaled means; None if they have been subtracted.
        """
        mean, factor = self.U_mean, self.per_unit
        if not are_plain(self.exponent):
            # Powers of two are exact, so that this is the same number, wherever the one below is a number at all.
            mean = np.ldexp(mean, -self.exponent)
            factor = np.where(self.constant, 0.0, np.ldexp(1.0, self.exponent) / self.U_scale)
            U = over_powers(U, self.exponent)
        if sparse.issparse(U):
            return columns_times(U, factor), mean * factor
        U = U - mean
        U *= factor
        return U, None

    def targets(self, Y):
        """Return scaled targets of shape (m, q)."""
        return (Y - self.Y_mean) / self.Y_scale

    def shares(self, weights):
        """Return weights (m,) as shares of the sum of all."""
        return np.ldexp(weights, -self.weight_exponent) / self.total_weight


class InUnits:
    """What rows in :class:`Units`, their attribute ``units``, tell of these."""

    @property
    def centre(self):
        """Whether the rule has intercepts."""
        return self.units.centre

    @property
    def U_mean(self):
        """What inputs are centred at, shape (p,)."""
        return self.units.U_mean

    @property
    def U_scale(self):
        """What inputs are divided by, shape (p,)."""
        return self.units.U_scale

    @property
    def largest_scale(self):
        """Largest deviation of an input; 1 where none varies."""
        return self.units.largest_scale

    @property
    def U_std(self):
        """Deviations of the inputs, shape (p,); 0 for a constant one."""
        return self.units.U_std

    @property
    def Y_mean(self):
        """What targets are centred at, shape (q,)."""
        return self.units.Y_mean

    @property
    def Y_scale(self):
        """What targets are divided by, shape (q,)."""
        return self.units.Y_scale

    @property
    def per_unit(self):
        """What an input is multiplied by, shape (p,): one over its scale, 0 if it is constant."""
        return self.units.per_unit

    @property
    def constant(self):
        """Inputs that are the same in every row, shape (p,)."""
        return self.units.constant

    @property
    def given(self):
        """The :class:`Units` of all inputs as given."""
        return self.units.given or self.units

    def of_given(self, weights):
        """Return weights of the scaled inputs as given, shape (k, n_given), as those of these inputs, shape (k, p)."""
        return weights if self.units.coordinates is None else self.units.coordinates.of_given(weights)

    def as_given(self, weights):
        """Return weights of these inputs, shape (k, p), as those of the scaled inputs as given, shape (k, n_given)."""
        return weights if self.units.coordinates is None else self.units.coordinates.as_given(weights)

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


def _largest(U, Y, weights):
    """Return the largest entries of all columns, and the highest and lowest ones (k, 2), the latter with a minus."""
    counts = weights > 0
    ranges = [highest_and_lowest(M if counts.all() else M[np.flatnonzero(counts)]) for M in (U, Y)]
    return largest_entries(U), largest_entries(Y), largest_entries(weights[:, None]), *ranges


def _is_still(highest_lowest, exponents):
    """Tell which columns are the same in every row, up to rounding."""
    return np.ldexp(highest_lowest, -exponents[:, None]).sum(axis=1) <= ROUNDING


def _larger(some, others):
    return [np.maximum(*pair) for pair in zip(some, others, strict=True)]


def _added(some, others):
    return [np.add(*pair) for pair in zip(some, others, strict=True)]


def _sums(U, Y, weights, exponents):
    """Return the sums of inputs, their squares, weights and targets, all in units of powers of two."""
    weights = np.ldexp(weights, -exponents[2])
    U, Y = over_powers(U, exponents[0]), np.ldexp(Y, -exponents[1])
    squares = np.asarray(weights @ (U.multiply(U) if sparse.issparse(U) else U**2)).ravel()
    return np.asarray(weights @ U).ravel(), squares, np.array([weights.sum()]), weights @ Y


def _squares(U, Y, weights, exponents, U_centre, Y_centre):
    """Return the sums of the squares of inputs and targets about what they are centred at."""
    weights = np.ldexp(weights, -exponents[2])
    U, Y = over_powers(U, exponents[0]), np.ldexp(Y, -exponents[1])
    squares = sparse_variance(U, weights, U_centre) if sparse.issparse(U) else weights @ (U - U_centre) ** 2
    return squares, weights @ (Y - Y_centre) ** 2
