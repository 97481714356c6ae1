"""Boxes of states: intervals pushed through the equation of a rule until they no longer shrink.

Each step takes a box that holds the states to a smaller one that holds them too, so a loop that stops early is loose,
never wrong. Steps follow the order that makes A block triangular: the layers of a network are done once each.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from skimplicit.activations import has_two_slopes, two_slopes
from skimplicit.linalg import block_triangular_order, to_dense, without_diagonal
from skimplicit.robustness.relaxations import activation_range
from skimplicit.wellposedness import amplification, moved_states

__all__ = ["SOLVER_ERROR", "Propagation", "StateBox"]

_EPS = np.finfo(float).eps
# Relative error of the states that ``predict`` allows, with a margin: bounds hold for what it returns.
SOLVER_ERROR = 4e-10
# A box has stopped shrinking when a sweep takes less than this share of its widest side, after at most so many sweeps.
_SHRINKING, _MOST_SWEEPS = 1e-7, 1000
# Above this share of non-zero entries a dense product is faster than a sparse one.
_DENSE_SHARE = 0.05
# Doubles of state in a block of rows, so that a sweep stays in cache.
_BLOCK = 1 << 15


@dataclass(frozen=True)
class StateBox:
    """States and pre-activations of each row lie in ``[lower, upper]`` and ``[drive_lower, drive_upper]``, (m, n).

    Parameters
    ----------
    lower, upper : ndarray of shape (m, n)
        Bounds on x.
    drive_lower, drive_upper : ndarray of shape (m, n) or None
        Bounds on z with ``x = phi(z)``; None where no method has asked for them.
    """

    lower: np.ndarray
    upper: np.ndarray
    drive_lower: np.ndarray | None = None
    drive_upper: np.ndarray | None = None

    @property
    def size(self):
        """Bounds on ``|x|``."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    @property
    def largest(self):
        """Bounds on ``max_i |x_i|``, (m, 1)."""
        return self.size.max(axis=1, keepdims=True, initial=0.0)


class Propagation:
    """The boxes of a rule, prepared for any number of rows.

    Parameters
    ----------
    rule : ImplicitRule
        A rule with a known amplification.
    """

    def __init__(self, rule):
        # Products with these; the rule as it is solves for the states.
        self.A, self.B = _fast(rule.A), _fast(rule.B)
        self.rule = rule
        self.amplification = amplification(rule)
        rows = np.asarray(abs(rule.A).sum(axis=1)).reshape(1, -1)
        # An approximate state with residual r is off by at most r + (I - M)^-1 G |A| r.
        self._residual_gain = 1.0 + self.amplification.states(rows)

    @cached_property
    def moved(self):
        """Bounds on how far each state moves with each input, (p, n)."""
        return moved_states(self.rule, self.amplification)

    @cached_property
    def _steps(self):
        return [_Step(self.rule, block) for block in block_triangular_order(self.rule.A, self.rule.activation.groups)]

    def centre(self, inputs):
        """Return states at the base of the sets and bounds on their errors, both (m, n)."""
        rule, A, B = self.rule, self.A, self.B
        X = rule.solve(inputs.base).states
        drive = X @ A.T + to_dense(inputs.base @ B.T) + rule.b
        size = np.abs(X) @ abs(A).T + to_dense(np.abs(inputs.base) @ abs(B).T) + np.abs(rule.b)
        residual = np.abs(rule.activation(drive) - X)
        # Rounding of a drive arrives as steeply as phi is, of which 1 allows for what phi rounds itself.
        size = size * np.maximum(rule.activation.lipschitz, 1.0)
        residual += (rule.n_hidden + rule.n_inputs + 8) * _EPS * (size + np.abs(X))
        return X, residual.max(axis=1, keepdims=True, initial=0.0) * self._residual_gain

    def by_sensitivity(self, inputs, centre):
        """Return ``|x - x_0| <= (I - M)^-1 G |B (u - u_0)|`` as a :class:`StateBox`, from what ``centre`` found."""
        X, error = centre
        spread = self.amplification.states(np.maximum(*map(np.abs, inputs.change(self.B)))) + error
        spread = spread + 2 * _EPS * np.abs(X)
        return StateBox(X - spread, X + spread)

    def by_intervals(self, inputs, start, *, solve_loops):
        """Shrink a box by ``x in phi(A x + B u + b)``.

        Parameters
        ----------
        inputs : InputSet
            The sets.
        start : StateBox
            A box that holds the states.
        solve_loops : bool
            Whether each state's own feedback is solved (the mixed-monotone embedding) or is an interval like others.

        Returns
        -------
        StateBox
            The box, with bounds on the pre-activations.
        """
        low, high = start.lower.copy(), start.upper.copy()
        drive_low, drive_high = inputs.values(self.B, self.rule.b)
        m, n = low.shape
        size = max(_BLOCK // max(n, 1), 16)
        for first in range(0, m, size):
            rows = slice(first, first + size)
            box = low[rows], high[rows], drive_low[rows], drive_high[rows]
            for step in self._steps:
                step.shrink(*box, solve_loops)
        return StateBox(low, high, drive_low, drive_high)


class _Step:
    """One step of the block triangular order: bounds on its states from those of the states before it."""

    def __init__(self, rule, block):
        rows = self.rows = block.states
        self.implicit = block.implicit
        A = sparse.csr_array(rule.A)[rows]
        own = np.isin(np.arange(rule.n_hidden), rows)
        self.before = np.unique(A.indices[~own[A.indices]])
        self.from_before = _dense_pair(A[:, self.before])
        self.activation = rule.activation.restricted(rows)
        if not block.implicit:
            return
        inner = A[:, rows]
        increasing = np.broadcast_to(np.asarray(self.activation.min_slope) >= 0, rows.size)
        slope = np.broadcast_to(np.asarray(self.activation.lipschitz, dtype=float), rows.size)
        loops = inner.diagonal()
        # A loop can be solved where phi increases and the loop does not make up for all of its argument.
        self.solvable = np.all(increasing & (slope * loops < 1)) and self.activation.groups is None
        self.plain = _dense_pair(inner)
        self.without_loops, self.loops = _dense_pair(without_diagonal(inner)), loops
        self.step = 1.0 / (1.0 - np.minimum(slope * loops, 0.0)) * (1 - 4 * _EPS)
        self.gains = None
        if self.solvable and has_two_slopes(self.activation):
            left, right = two_slopes(self.activation, rows.size)
            self.gains = left / (1 - left * loops), right / (1 - right * loops)

    def shrink(self, low, high, drive_low, drive_high, solve_loops):
        """Update the columns of this step in the bounds of states (m, n) and of pre-activations in place."""
        rows = self.rows
        below, above = drive_low[:, rows], drive_high[:, rows]
        if self.before.size:
            fall, rise = _times(self.from_before, low[:, self.before], high[:, self.before])
            below, above = below + fall, above + rise
        box = low[:, rows], high[:, rows]
        if self.implicit:
            box, (below, above) = self._iterate(box, below, above, solve_loops and self.solvable)
        else:
            box = _meet(box, activation_range(self.activation, below, above))
        low[:, rows], high[:, rows] = box
        drive_low[:, rows], drive_high[:, rows] = below, above

    def _iterate(self, box, below, above, solve_loops):
        """Sweep until the box stops shrinking; return it and the bounds on the pre-activations."""
        matrix = self.without_loops if solve_loops else self.plain
        for sweep in range(_MOST_SWEEPS):
            before = box
            fall, rise = _times(matrix, *box)
            argument = below + fall, above + rise
            if not solve_loops:
                new = activation_range(self.activation, *argument)
            elif self.gains is not None:
                new = _rounded([np.where(w > 0, self.gains[1] * w, self.gains[0] * w) for w in argument])
            else:
                new = self._relaxed(box, argument)
            box = _meet(box, new)
            if sweep % 4 == 3:
                width = (box[1] - box[0]).max(axis=1)
                shrunk = np.maximum(box[0] - before[0], before[1] - box[1]).max(axis=1)
                if np.all(shrunk <= _SHRINKING * width):
                    break
        drive = _times(self.plain, *box)
        drive = below + drive[0], above + drive[1]
        if solve_loops and self.gains is not None:
            # z = w + a psi(w) increases with w.
            closed = _rounded([w + self.loops * x for w, x in zip(argument, new, strict=True)], _size(argument, new))
            drive = _meet(drive, closed)
        return box, drive

    def _relaxed(self, box, argument):
        """Return ``(1 - alpha) x + alpha phi(a x + w)``, which increases with x, at both ends."""
        ends = [x * self.loops + w for x, w in zip(box, argument, strict=True)]
        ends = _rounded(ends, _size(box, argument))
        new = activation_range(self.activation, *ends)
        return _rounded([x + self.step * (t - x) for x, t in zip(box, new, strict=True)], _size(box, new))


def _dense_pair(M):
    """Return M' and |M|' for products with rows."""
    M = _fast(M)
    transposed = sparse.csr_array(M.T) if sparse.issparse(M) else np.ascontiguousarray(M.T)
    return transposed, abs(transposed)


def _fast(M):
    """Return M dense, unless so few entries are not zero that sparse products are faster."""
    return M if sparse.issparse(M) and M.nnz <= _DENSE_SHARE * M.shape[0] * M.shape[1] else to_dense(M)


def _times(pair, low, high):
    """Return bounds on ``M x`` for x in a box, rounded outwards."""
    matrix, absolute = pair
    centre, radius = (low + high) / 2, (high - low) / 2
    rounding = (matrix.shape[0] + 8) * _EPS * (np.abs(centre) + radius)
    middle, spread = centre @ matrix, (radius + rounding) @ absolute
    return middle - spread, middle + spread


def _size(*pairs):
    return sum(np.maximum(np.abs(low), np.abs(high)) for low, high in pairs)


def _rounded(ends, size=None):
    low, high = ends
    size = np.maximum(np.abs(low), np.abs(high)) if size is None else size
    return low - 8 * _EPS * size, high + 8 * _EPS * size


def _meet(first, second):
    """Return the intersection of two boxes that have a point in common."""
    low, high = np.maximum(first[0], second[0]), np.minimum(first[1], second[1])
    return low, np.maximum(low, high)
