"""Weighted second moments of states, inputs and targets, and the sums of blocks of rows that make them."""

from dataclasses import dataclass

import numpy as np

from skimplicit.linalg import Gram, InputMatrix, InputRows

__all__ = ["MomentSums", "Moments"]


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


@dataclass(frozen=True)
class MomentSums:
    """The same of a block of rows, its states about their own mean: no rounding of a far mean is summed.

    Parameters
    ----------
    weight : float
        Sum of the weights.
    X_mean : ndarray of shape (n,)
        Mean state of the block; zeros without intercepts.
    XX, XU, XY : ndarray
        Sums of products of the states about it with these, with inputs and with targets, of shapes (n, n), (n, p) and
        (n, q).
    U_sum, Y_sum : ndarray of shape (p,) and (q,)
        Sums of inputs and targets.
    """

    weight: float
    X_mean: np.ndarray
    XX: np.ndarray
    XU: np.ndarray
    XY: np.ndarray
    U_sum: np.ndarray
    Y_sum: np.ndarray

    def __add__(self, other):
        """Return the sums of two blocks."""
        # Chan, Golub and LeVeque (1983): what the means of the blocks differ by is added apart.
        weight = self.weight + other.weight
        mean = (self.weight * self.X_mean + other.weight * other.X_mean) / weight
        mine, yours = self.X_mean - mean, other.X_mean - mean
        return MomentSums(
            weight,
            mean,
            self.XX + other.XX + self.weight * np.outer(mine, mine) + other.weight * np.outer(yours, yours),
            self.XU + other.XU + np.outer(mine, self.U_sum) + np.outer(yours, other.U_sum),
            self.XY + other.XY + np.outer(mine, self.Y_sum) + np.outer(yours, other.Y_sum),
            self.U_sum + other.U_sum,
            self.Y_sum + other.Y_sum,
        )

    def moments(self, samples):
        """Return the :class:`Moments` of all rows, the :class:`Samples` or :class:`RowBlocks` that these are of."""
        Y_mean = samples.Y_moments[0]
        return Moments(self.X_mean, Y_mean, self.XX, self.XU, self.XY, samples.UY, samples.inputs)
