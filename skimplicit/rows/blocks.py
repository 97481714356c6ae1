"""The training set in blocks of rows: one pass is a map over blocks and a sum, wherever the blocks are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skimplicit.linalg import InputMatrix, InputRows
from skimplicit.rows.columns import canonical, shares
from skimplicit.rows.measuring import measured_units
from skimplicit.rows.samples import LARGEST_MATRIX, Samples
from skimplicit.rows.stores import stacked_rows
from skimplicit.rows.units import InUnits, Units

__all__ = ["RowBlocks"]


class RowBlocks(InUnits):
    """Samples in blocks, each scaled when a pass comes to it: no copy of all inputs is ever made.

    It tells of all samples what :class:`Samples` does, but has none of their rows: a pass is mapped over the blocks by
    the store, which keeps what a pass leaves with the rows where they are, and the sums add up in the order of the
    blocks, so that the result does not depend on how many are worked on at a time.

    Parameters
    ----------
    store : LoadedStore or another with its methods
        Where the rows are.
    centre, scale_targets, groups : bool, bool, ndarray of int of shape (p,) or None
        As for :class:`Samples`.
    """

    in_blocks = True

    def __init__(self, store, centre=True, scale_targets=True, groups=None):
        self._set(store, measured_units(store.sweep, centre, scale_targets, groups))

    def _set(self, store, units):
        self._store, self.units = store, units
        self.n_inputs, self.n_outputs = units.U_mean.size, units.Y_mean.size

    def rescaled(self, factors):
        """Return the same samples with scaled inputs multiplied by factors (p,); one times 0 counts as constant."""
        blocks = object.__new__(type(self))
        blocks._set(self._store, self.units.rescaled(factors))
        return blocks

    @property
    def n_samples(self):
        """Number of samples m, those of weight zero aside."""
        return sum(self._counts)

    @cached_property
    def _counts(self):
        return list(self._store.sweep(_count))

    def run(self, function, *arrays):
        """Map a pass over the blocks; see :meth:`Samples.run`. Arrays are those of earlier passes, in blocks."""
        return self._store.run(_Scaled(function, self.units), *arrays)

    def like(self, U, Y, weights):
        """Return other samples in the units of these, as :meth:`Samples.like` does."""
        return Samples.scaled(self.units, canonical(U), Y, shares(weights))

    def rows(self, index):
        """Return some of the samples in memory, at a sorted index; see :meth:`Samples.rows`."""
        cuts = np.concatenate([[0], np.cumsum(self._counts)])
        places = np.searchsorted(index, cuts)
        own = [index[a:b] - cut for a, b, cut in zip(places[:-1], places[1:], cuts[:-1], strict=True)]
        U, Y, weights = stacked_rows(list(self._store.sweep_each(_some_rows, own)))
        weights = self.units.shares(weights) * (self.n_samples / max(len(weights), 1))
        return Samples.scaled(self.units, U, Y, weights)

    def _total(self, function):
        return self.run(function)[1]

    @cached_property
    def inputs(self):
        """Second moment of the inputs: a matrix where there are at least as many rows as inputs, rows otherwise."""
        if self.n_inputs <= min(self.n_samples, LARGEST_MATRIX):
            return InputMatrix(self._total(_second_moment))
        return InputRows(self)

    @cached_property
    def input_squares(self):
        """Diagonal of the second moment of the inputs, shape (p,)."""
        return self._total(_input_squares)

    def inputs_squared_times(self, B):
        """Return ``B UU``, shape (k, p), for B of shape (k, p)."""
        return self._total(_Products(B))

    @cached_property
    def UY(self):
        """Moment of inputs and targets, shape (p, q)."""
        return self._total(_moment_with_targets)

    @cached_property
    def Y_sum(self):
        """Weighted sum of the targets, shape (q,)."""
        return self._total(_sum_of_targets)

    @cached_property
    def Y_moments(self):
        """Mean of the targets (q,), zeros without intercepts, and the sum of their second moments about it."""
        mean = self.Y_sum if self.centre else np.zeros(self.n_outputs)
        return mean, self._total(_SquaresAbout(mean))


@dataclass(frozen=True)
class _Scaled:
    """A function of samples as one of rows as they are given."""

    function: object
    units: Units

    def __call__(self, U, Y, weights, *arrays):
        return self.function(Samples.scaled(self.units, U, Y, self.units.shares(weights)), *arrays)


@dataclass(frozen=True)
class _Products:
    B: np.ndarray

    def __call__(self, samples):
        return None, samples.inputs_squared_times(self.B)


@dataclass(frozen=True)
class _SquaresAbout:
    mean: np.ndarray

    def __call__(self, samples):
        return None, float(np.sum(samples.weights @ (samples.Y - self.mean) ** 2))


def _count(U, Y, weights):
    return U.shape[0]


def _some_rows(U, Y, weights, index):
    return U[index], Y[index], weights[index]


def _second_moment(samples):
    return None, samples.UU


def _input_squares(samples):
    return None, samples.input_squares


def _moment_with_targets(samples):
    return None, samples.UY


def _sum_of_targets(samples):
    return None, samples.Y_sum
