"""What a member of a cross-fit is trained on, and its way along the ridges."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Fold", "FoldPath"]


@dataclass(frozen=True)
class Fold:
    """The rows that train a member, those that judge it, and the seed of its start.

    Parameters
    ----------
    train, test : ndarray of int
        Rows.
    seed : int
        Seed of the starting weights.
    """

    train: np.ndarray
    test: np.ndarray
    seed: int


@dataclass(frozen=True)
class FoldPath:
    """A member along its ridges.

    Parameters
    ----------
    rungs : tuple of int
        The ridges, as rungs of the ladder.
    points : tuple of Point
        The rule at each, in the units of training.
    predictions : tuple of ndarray of shape (m, q)
        What each predicts for all rows.
    n_iter : int
        Iterations.
    """

    rungs: tuple
    points: tuple
    predictions: tuple
    n_iter: int

    def reversed(self):
        """Return the same path with its ridges the other way round."""
        return FoldPath(self.rungs[::-1], self.points[::-1], self.predictions[::-1], self.n_iter)

    def at(self, rung):
        """Return point and predictions at a rung, an int."""
        k = self.rungs.index(rung)
        return self.points[k], self.predictions[k]

    def upto(self, rung):
        """Return the part of the path up to a rung, an int, and the part after it."""
        k = self.rungs.index(rung) + 1
        return (
            FoldPath(self.rungs[:k], self.points[:k], self.predictions[:k], self.n_iter),
            FoldPath(self.rungs[k:], self.points[k:], self.predictions[k:], 0),
        )

    def joined(self, before):
        """Return this path with another one in front of it."""
        return FoldPath(
            before.rungs + self.rungs,
            before.points + self.points,
            before.predictions + self.predictions,
            before.n_iter + self.n_iter,
        )
