"""The units of rows in blocks, measured in three passes: largest entries, sums, and squares about the means."""

from functools import reduce

import numpy as np
from scipy import sparse

from skimplicit.rows.columns import (
    group_scales,
    highest_and_lowest,
    largest_entries,
    over_powers,
    sparse_variance,
    unit_exponents,
)
from skimplicit.rows.units import ROUNDING, Units

__all__ = ["measured_units"]

# Decades between the units of an input and a target that a weight, a number between 1e-308 and 1e308, can bridge.
_MOST_DECADES = 301
# Least scale of a constant target, as a share of its size: what rounding leaves of it is then at most some 1e-6.
_CONSTANT_SCALE = 1e-9


def measured_units(sweep, centre=True, scale_targets=True, groups=None):
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
    U_exponent, Y_exponent, weight_exponent = exponents
    U_sum, U_squares, weight_sum, Y_sum = reduce(_added, sweep(_sums, exponents))
    total = float(weight_sum[0])
    U_centre, Y_centre = (part / total if centre else np.zeros_like(part) for part in (U_sum, Y_sum))
    squares = reduce(_added, sweep(_squares, exponents, U_centre, Y_centre))
    U_spread, Y_spread = (np.sqrt(np.maximum(part / total, 0.0)) for part in squares)
    # Of columns that are the same in every row, the mean is not, to more rounding the more rows there are.
    constant = (U_spread <= ROUNDING * np.sqrt(U_squares / total)) | (centre & _is_still(U_range, U_exponent))
    U_std = np.ldexp(np.where(constant, 0.0, U_spread), U_exponent)
    Y_mean, Y_scale, Y_constant = np.zeros(Y_sum.size), np.ones(Y_sum.size), np.zeros(Y_sum.size, dtype=bool)
    if scale_targets:
        Y_mean, unit = np.ldexp(Y_centre, Y_exponent), np.where(largest[1] > 0, np.ldexp(1.0, Y_exponent), 0.0)
        # A constant target keeps its unit, unless what rounding leaves of it would be much in it, or no number.
        kept = np.maximum(1.0, _CONSTANT_SCALE * unit)
        Y_constant = (Y_spread <= ROUNDING) | (centre & _is_still(Y_range, Y_exponent))
        Y_scale = np.where(Y_constant, kept, Y_spread * unit)
    units = Units(
        centre=centre,
        constant=constant,
        exponent=U_exponent,
        U_mean=np.ldexp(U_centre, U_exponent),
        U_scale=group_scales(U_std, groups),
        U_std=U_std,
        Y_mean=Y_mean,
        Y_scale=Y_scale,
        Y_constant=Y_constant,
        weight_exponent=int(weight_exponent[0]),
        total_weight=total,
    )
    _check_slopes(units)
    return units


def _check_slopes(units):
    """Refuse units so far apart that a weight from an input to a target would not be a number."""
    varying = np.flatnonzero(~units.constant)
    slopes = np.log10(units.Y_scale)[:, None] - np.log10(units.U_scale[varying])
    far = np.flatnonzero((np.abs(slopes) > _MOST_DECADES).any(axis=0))
    if far.size:
        j = varying[far[0]]
        raise ValueError(
            f"Column {j} of X and y have deviations {units.U_scale[j]:.0e} and {units.Y_scale.max():.0e}, so "
            "far apart that a weight between them exceeds the range of floating-point numbers; rescale X or y."
        )


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
