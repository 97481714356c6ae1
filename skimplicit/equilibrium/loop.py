"""The loop that every fixed-point method shares, and what it asks of a method.

Rows are taken in chunks that stay in the processor's cache, and those that have converged leave the loop. What a method
prepares from the matrix is kept by its :class:`Sweep`; what it prepares from the rows is made anew for each chunk.
Convergence is always that of the states, whatever a method iterates on.

Inside the loop arrays are in Fortran order. The largest entry of each row, by which convergence is told, is then a
maximum of long columns instead of many short rows (20 states: a sixth of the time), and a product takes 3/4 of it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

import numpy as np

from skimplicit.equilibrium.fixed_point import FixedPoint, Status
from skimplicit.linalg import put_rows

__all__ = ["ROUNDING", "Stopping", "Sweep", "run_in_chunks"]

# Doubles of state in a chunk: few enough for a cache, and so many that threads side by side seldom meet at the lock
# (two threads on 1e5 rows: 1.42 times as fast as one, 1.31 with half of them, no more with twice as many).
_CHUNK = 1 << 17
# Rows are taken out of the loop once this share of them has converged; moving them costs about one sweep.
_LEAVING_SHARE = 0.25
# A look at the residuals costs more than a sweep of a small rule: look after sweeps 1 and 5, then when the last rows
# should have converged at the rate seen so far, but so often that rows can leave. With looks after 1, 2 and 4 fits take
# 5 % more time: there are more of them, and the first rate is that of too few sweeps (a seventh more sweeps).
_FIRST_LOOKS, _LONGEST_WAIT = (1, 5), 12
#: Relative residual that rounding alone can leave; no row is asked for less.
ROUNDING = 4 * np.finfo(float).eps


@dataclass(frozen=True)
class Stopping:
    """When a row has converged: its error bound is at most ``max(rtol * max_i |x_i|, atol)``.

    Parameters
    ----------
    rtol, atol : float
        Tolerances of at least 0. With ``atol=0`` the result of a row is independent of all other rows.
    max_iter : int
        Most sweeps, at least 1.

    Raises
    ------
    ValueError
        If one of them is out of range.
    """

    rtol: float = 1e-10
    atol: float = 0.0
    max_iter: int = 10_000

    def __post_init__(self):
        """Name what cannot be."""
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}.")
        if not isinstance(self.max_iter, Integral) or self.max_iter < 1:
            raise ValueError(f"max_iter must be an integer of at least 1, got {self.max_iter!r}.")

    def tightened(self, factor):
        """Return the same with both tolerances divided by a finite factor; nothing changes for an infinite one."""
        if not np.isfinite(factor):
            return self
        return Stopping(self.rtol / factor, self.atol / factor, self.max_iter)

    def allowed(self, size):
        """Return the error that is allowed in rows of that size, an array like ``size``."""
        return np.maximum(self.rtol * size, self.atol)


class Sweep(ABC):
    """One sweep T of an iteration; the constructor prepares what depends on the matrix.

    Attributes
    ----------
    amplification : float
        ``|x - x*| <= amplification * change`` for states x, with the change that :meth:`look` returns, both in
        :meth:`norm`; infinite without a certificate.
    rounding : float
        Change, relative to the states, that rounding alone can leave.
    """

    amplification = np.inf
    rounding = ROUNDING

    @abstractmethod
    def prepare(self, *rows):
        """Return what the sweeps over a chunk of rows need, arrays of shape (m, n), best in Fortran order."""

    @abstractmethod
    def start(self, *chunk):
        """Return the first iterate, given what :meth:`prepare` returned."""

    def resume(self, states, *chunk):
        """Return the iterate that has these states, of shape (m, n)."""
        return states

    @abstractmethod
    def step(self, iterate, out, *chunk):
        """Write the next iterate to ``out`` and return it."""

    def look(self, previous, iterate, spare, *chunk):
        """Return the states of an iterate and the change that its sweep made, of shapes (m, n) and (m,).

        ``spare`` is an array of their shape to work in, which may be ``previous``.
        """
        return iterate, self.norm(np.subtract(iterate, previous, out=spare), spare)

    @staticmethod
    def norm(X, spare=None):
        """Return the size of each row, ``max_i |x_i|`` unless said otherwise; ``spare`` is an array to work in."""
        return np.abs(X, out=spare).max(axis=1, initial=0.0)

    def solve(self, *rows, start=None, stopping):
        """Iterate until every row has converged.

        Parameters
        ----------
        *rows : ndarray of shape (m, n)
            What :meth:`prepare` takes.
        start : ndarray of shape (m, n) or None
            States to start from.
        stopping : Stopping
            When to stop.

        Returns
        -------
        FixedPoint
            States and report.
        """
        return run_in_chunks(partial(_iterate, self, _Spares()), self, rows, start, stopping)


def run_in_chunks(iterate, sweep, rows, start, stopping):
    """Run a loop over chunks of rows and report on each row.

    Parameters
    ----------
    iterate : callable
        ``iterate(rows, start, limits, max_iter, out)`` solves a chunk and writes states, residual, iterations and
        whether the limits were met to the arrays ``out``; ``limits`` are the relative and the absolute change of a row
        that has converged.
    sweep : Sweep
        Whose amplification, rounding and norm hold for it.
    rows : tuple of ndarray of shape (m, n)
        The data of the rows.
    start : ndarray of shape (m, n) or None
        States to start from.
    stopping : Stopping
        When to stop.

    Returns
    -------
    FixedPoint
        States and report.
    """
    m, n = rows[0].shape
    states, residual = np.empty((m, n)), np.zeros(m)
    n_iter, settled = np.zeros(m, dtype=int), np.full(m, n == 0)
    sharp = stopping.tightened(sweep.amplification)
    limits = max(sharp.rtol, sweep.rounding), sharp.atol
    most = max(_CHUNK // max(n, 1), 16)
    size = max(-(-m // max(-(-m // most), 1)), 1)  # chunks of about one size
    for first in range(0, m if n else 0, size):
        part = slice(first, first + size)
        out = states[part], residual[part], n_iter[part], settled[part]
        begin = None if start is None else start[part]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the status tells of divergence
            iterate(tuple(array[part] for array in rows), begin, limits, stopping.max_iter, out)
    certified = np.isfinite(sweep.amplification)
    # An infinite amplification says that nothing is certified, even where the residual is exactly zero.
    error_bound = residual * sweep.amplification if certified else np.full(m, np.inf)
    codes = np.zeros(m, dtype=np.int8)
    if certified and sharp.rtol < sweep.rounding:
        codes[error_bound > stopping.allowed(sweep.norm(states))] = Status.PRECISION.place
    if not settled.all():
        codes[~settled] = (Status.MAX_ITER if certified else Status.NOT_CERTIFIED).place
        codes[~settled & ~np.isfinite(residual)] = Status.DIVERGED.place
    return FixedPoint(states, residual, error_bound, n_iter, codes)


class _Spares:
    """Two arrays to work in, the same for all chunks: to ask the system for memory again and again takes its time."""

    def __init__(self):
        self._arrays = None

    def of(self, rows):
        """Return two arrays like rows, an ndarray of shape (k, n), that nothing is known of."""
        if self._arrays is None or len(self._arrays[0]) < len(rows):
            self._arrays = np.empty_like(rows), np.empty_like(rows)
        return (_shortened(array, len(rows)) for array in self._arrays)


def _shortened(array, k):
    """Return an array of k rows in the memory of one of more rows, both in Fortran order."""
    n = array.shape[1]
    return array.T.reshape(-1)[: k * n].reshape(n, k).T


def _taken(array, rows, out=None):
    """Return some rows of an array, both in Fortran order."""
    # mode="raise" would copy what is written to.
    return np.take(array.T, rows, axis=1, out=None if out is None else out.T, mode="clip").T


def _iterate(sweep, spares, rows, start, limits, max_iter, out):
    """Sweep one chunk until its rows have converged, writing each row's result when it leaves."""
    states, residual, n_iter, settled = out
    chunk = tuple(map(np.asfortranarray, sweep.prepare(*rows)))
    current = np.asfortranarray(sweep.start(*chunk) if start is None else sweep.resume(start, *chunk))
    active = np.arange(current.shape[0])
    spare, other = spares.of(current)
    next_look, before = _FIRST_LOOKS[0], None
    for iteration in range(1, max_iter + 1):
        previous, current = current, sweep.step(current, spare, *chunk)
        spare, other = other, current
        if iteration < next_look and iteration < max_iter:
            continue
        X, change = sweep.look(previous, current, spare, *chunk)
        limit = limits[1]
        if not change.max() <= limit:
            limit = np.maximum(limits[0] * sweep.norm(X, spare), limit)
        finite = np.isfinite(change)
        done = (change <= limit) & finite
        leaving = done | ~finite  # nothing comes back from beyond all numbers
        n_leaving = np.count_nonzero(leaving)
        if n_leaving == active.size or iteration == max_iter:
            put_rows(states, active, X)
            residual[active], n_iter[active], settled[active] = change, iteration, done
            return
        if n_leaving > _LEAVING_SHARE * active.size:
            left = np.flatnonzero(leaving)
            gone = active[left]
            put_rows(states, gone, _taken(X, left))
            residual[gone], n_iter[gone], settled[gone] = change[left], iteration, done[left]
            stay = np.flatnonzero(~leaving)
            active, chunk = active[stay], tuple(_taken(array, stay) for array in chunk)
            other = _taken(current, stay, out=_shortened(spare, len(stay)))
            current, spare = other, _shortened(current, len(stay))
        worst = float((change[~leaving] / limit[~leaving]).max())
        next_look, before = _next_look(iteration, worst, before), (iteration, worst)


def _next_look(iteration, worst, before):
    """Return the sweep after which to look again, when the worst change is ``worst`` times what is allowed."""
    for first in _FIRST_LOOKS:
        if first > iteration:
            return first
    # NaN and growth give the longest wait.
    rate = np.log(before[1] / worst) / (iteration - before[0])
    wait = np.log(worst) / rate if rate > 0 else _LONGEST_WAIT
    return iteration + int(np.ceil(min(max(wait, 1), _LONGEST_WAIT)))
