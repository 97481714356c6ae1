"""The units of training: what inputs and targets are centred at and divided by."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import sparse

from skimplicit.rows.columns import are_plain, columns_times, over_powers
from skimplicit.rows.coordinates import InTurn, RowSpace, SomeInputs, SparseRowSpace

__all__ = ["ROUNDING", "InUnits", "Units"]

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
    Y_constant : ndarray of bool of shape (q,)
        Targets that are to be scaled and are the same in every row, whose scale says nothing of them.
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
    Y_constant: np.ndarray
    weight_exponent: int
    total_weight: float
    given: Self | None = None
    coordinates: SomeInputs | RowSpace | SparseRowSpace | InTurn | None = None
    waiting: np.ndarray | None = None

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
        """Return these units with those of columns that first vary in samples whose own units are ``new``.

        Of inputs those that wait, of targets all. One that is constant there too, but another number, keeps its mean
        and is divided by the difference.
        """
        waiting = np.zeros_like(self.constant) if self.waiting is None else self.waiting
        found, means, scales = _first_varying(waiting, self.U_mean, new.constant, new.U_mean, new.U_std)
        parts = dict(U_mean=means, exponent=np.maximum(self.exponent, new.exponent), U_scale=scales, U_std=scales)
        inputs = {name: np.where(found, values, getattr(self, name)) for name, values in parts.items()}
        Y_found, Y_means, Y_scales = _first_varying(
            self.Y_constant, self.Y_mean, new.Y_constant, new.Y_mean, new.Y_scale
        )
        return replace(
            self,
            constant=self.constant & ~found,
            waiting=waiting & ~found,
            Y_mean=np.where(Y_found, Y_means, self.Y_mean),
            Y_scale=np.where(Y_found, Y_scales, self.Y_scale),
            Y_constant=self.Y_constant & ~Y_found,
            **inputs,
        )

    def smallest_scale(self, least):
        """Return the smallest deviation of an input that is at least ``least``; if none is, the largest one, or 1."""
        scales = self.U_scale[~self.constant]
        large = scales[scales >= least]
        return large.min() if large.size else scales.max(initial=0.0) or 1.0

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


def _first_varying(waiting, mean, still_constant, new_mean, new_spread):
    """Return which of the columns that wait vary in new samples, or are another constant there; means and scales."""
    away = np.where(still_constant, np.abs(new_mean - mean), new_spread)
    found = waiting & (away > ROUNDING * np.abs(mean))
    return found, np.where(still_constant, mean, new_mean), away


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

    def smallest_scale(self, least):
        """Return the smallest deviation of an input that is at least ``least``; if none is, the largest one, or 1."""
        return self.units.smallest_scale(least)

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
