"""Some of many rows: drawn within classes, the same rows however these are cut into blocks."""

from dataclasses import dataclass

import numpy as np

from skimplicit.losses import class_codes
from skimplicit.rows.stores import stacked_rows

__all__ = ["draw_rows", "evenly_spaced"]

# Rows of a class that are drawn in any case, if there are as many.
_LEAST_OF_A_CLASS = 50


def draw_rows(store, size, seed, classes=False):
    """Draw rows uniformly, for targets that are indicators of classes in each class by itself.

    Every row has a random number that only depends on the seed and its position, and the rows with the smallest ones
    are drawn: so they do not depend on the blocks, and fewer rows are some of more rows. A weighted sum over rows
    estimates that over all.

    Parameters
    ----------
    store : LoadedStore or another with its methods
        The rows.
    size : int
        Rows to draw, at least 1: all of them if there are fewer; classes with few rows may add some.
    seed : int
        Seed.
    classes : bool
        Whether the targets are indicators of classes.

    Returns
    -------
    U, Y, weights
        The rows in their order. A weight is multiplied by how many rows of its class there are for one that is drawn,
        up to a common factor.
    place : ndarray of int
        Positions of the rows among all of positive weight.
    """
    by_block = np.array(list(store.sweep(_Counts(classes))))
    counts = by_block.sum(axis=0)
    wanted = np.maximum(np.ceil(counts * (size / counts.sum())).astype(int), _LEAST_OF_A_CLASS if classes else 0)
    wanted = np.minimum(wanted, counts)
    offsets = np.cumsum([0, *by_block.sum(axis=1)[:-1]])
    keys = list(store.sweep_each(_Keys(seed, wanted, classes), offsets))
    # The largest key that is drawn in each class, over all blocks.
    limits = []
    for k, number in enumerate(wanted):
        own = np.concatenate([block[k] for block in keys])
        limits.append(np.partition(own, number - 1)[number - 1] if number else -1.0)
    parts = list(store.sweep_each(_Drawn(seed, np.array(limits), classes), offsets))
    U, Y, weights = stacked_rows([part[:3] for part in parts])
    strata = _strata(Y, classes)
    factors = counts / np.maximum(wanted, 1)
    return U, Y, weights * (factors / factors.max())[strata], np.concatenate([part[3] for part in parts])


@dataclass(frozen=True)
class _Counts:
    """Counts the rows of each class."""

    classes: bool

    def __call__(self, U, Y, weights):
        n_strata = max(Y.shape[1], 2) if self.classes else 1
        return np.bincount(_strata(Y, self.classes), minlength=n_strata)


@dataclass(frozen=True)
class _Keys:
    """Finds the smallest random numbers of each class in a block, as many as are wanted of all blocks."""

    seed: int
    wanted: np.ndarray
    classes: bool

    def __call__(self, U, Y, weights, offset):
        keys, strata = _random(self.seed, offset, len(Y)), _strata(Y, self.classes)
        own = (keys[strata == k] for k in range(self.wanted.size))
        return [
            part if part.size <= number else np.partition(part, number - 1)[:number]
            for part, number in zip(own, self.wanted, strict=True)
        ]


@dataclass(frozen=True)
class _Drawn:
    """Takes the rows of a block with random numbers up to the limit of their class."""

    seed: int
    limits: np.ndarray
    classes: bool

    def __call__(self, U, Y, weights, offset):
        limits = self.limits[_strata(Y, self.classes)]
        index = np.flatnonzero(_random(self.seed, offset, len(Y)) <= limits)
        return U[index], Y[index], weights[index], offset + index


def _strata(Y, classes):
    """Return a number for each row: its class, or zero."""
    if not classes:
        return np.zeros(len(Y), dtype=np.intp)
    return class_codes(Y)


def _random(seed, first, count):
    """Return the random numbers of rows at positions ``first`` and on, shape (count,)."""
    source = np.random.Philox(seed)
    first = int(first)
    source.advance(first // 4)  # four numbers a step
    return np.random.Generator(source).random(first % 4 + count)[first % 4 :]


def evenly_spaced(n_samples, most):
    """Return the numbers of rows that are spread over all of them, the first and the last among them.

    Parameters
    ----------
    n_samples : int
        How many rows there are.
    most : int
        How many to take at most.

    Returns
    -------
    ndarray of int
        The numbers, increasing; all of them where they are no more.
    """
    return np.linspace(0, n_samples - 1, min(n_samples, most)).astype(int)
