"""What a fixed-point loop returns: the states of every row, how exact they are, and how each row ended."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

__all__ = ["FixedPoint", "Status"]


class Status(Enum):
    """How a row ended, from the best to the worst; the value is the sentence for the user."""

    CONVERGED = "the tolerance was reached"
    PRECISION = "the rule amplifies rounding errors beyond the tolerance; the states are as exact as rounding allows"
    MAX_ITER = "the tolerance was not reached within max_iter iterations; raise max_iter or rtol"
    NOT_CERTIFIED = (
        "no solution was found within max_iter iterations, and no test certifies that there is one; "
        "well_posedness() reports on the rule"
    )
    DIVERGED = "the states grew beyond all numbers; unless a test certifies the rule, there may be no solution"

    @property
    def place(self):
        """Place in the order from the best to the worst, an int."""
        return _STATUSES.index(self)


_STATUSES = tuple(Status)


@dataclass(frozen=True)
class FixedPoint:
    """Solution of ``x = phi(A x + z)`` for m rows z.

    Parameters
    ----------
    states : ndarray of shape (m, n)
        The states.
    residual : ndarray of shape (m,)
        ``max_i |x_i - T(x)_i|`` of the states x, at the last look at each row, T being the sweep of the method.
    error_bound : ndarray of shape (m,)
        Bound on ``max_i |x_i - x*_i|``, rounding aside; infinite without a certificate of well-posedness.
    n_iter : ndarray of int of shape (m,)
        Sweeps each row took (residuals are not looked at after every sweep).
    status_code : ndarray of int of shape (m,)
        ``Status.place`` of each row, see ``row_status``.
    """

    states: np.ndarray
    residual: np.ndarray
    error_bound: np.ndarray
    n_iter: np.ndarray
    status_code: np.ndarray

    @property
    def converged(self):
        """Rows that reached the tolerance, booleans of shape (m,)."""
        return self.status_code == Status.CONVERGED.place

    @property
    def row_status(self):
        """The :class:`Status` of each row, an array of objects of shape (m,)."""
        return np.array(_STATUSES, dtype=object)[self.status_code]

    @property
    def status(self):
        """Worst :class:`Status` of the rows."""
        return _STATUSES[self.status_code.max(initial=0)]


def describe(codes):
    """Say in one sentence for each status how many rows ended so, those that converged aside.

    Parameters
    ----------
    codes : ndarray of int of shape (m,)
        As ``FixedPoint.status_code``.

    Returns
    -------
    str
        Empty if all rows converged.
    """
    counts = np.bincount(codes, minlength=len(_STATUSES))
    ends = [(count, status) for count, status in zip(counts, _STATUSES, strict=True) if count]
    return " ".join(
        f"{count} of {codes.size} rows: {status.value}." for count, status in ends if status is not Status.CONVERGED
    )
