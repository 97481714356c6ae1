"""Euclidean projections on the two sets that a trained rule must stay in.

- rows of A on the l1 ball: ``||A||_inf <= kappa``, the well-posedness constraint;
- columns of B on the column budget: ``sum_j w_j max_i |B_ij| <= k``, an l1,inf ball, which drops whole inputs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["ColumnBudget", "project_rows_l1"]

# Steps of Newton's method that are smaller than this, relative to where they start, are rounding.
_LEAST_STEP = 4 * np.finfo(float).eps
# An entry of a larger weight, relative to that of the entry that is the last to vanish, is zero in any ball.
_LARGEST_WEIGHT = 2.0**500


def project_rows_l1(A, radius, weights=None):
    """Project rows on l1 balls: ``argmin_P ||P - A||_F`` subject to ``sum_j w_ij |P_ij| <= radius_i`` for each i.

    Parameters
    ----------
    A : ndarray of shape (n, d)
        Rows to project.
    radius : float or ndarray of shape (n,)
        Radius of the ball, at least 0: one for all rows, or one for each.
    weights : ndarray of shape (n, d) or None
        Positive weights w_ij; None for ones.

    Returns
    -------
    ndarray of shape (n, d)
        A new array, each row inside the ball in whatever order its entries are added up; rows already so are unchanged.

    Notes
    -----
    Soft-thresholding at ``theta_i w_ij``, the level that makes the row meet the radius, found by sorting; O(n d log d).
    Source: Duchi et al. (2008); the bisection printed in El Ghaoui et al. (2021), appendix H, moves the wrong end.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.projections import project_rows_l1
    >>> project_rows_l1(np.array([[3.0, 1.0], [0.2, -0.3]]), 1.0)
    array([[ 1. ,  0. ],
           [ 0.2, -0.3]])
    """
    A = np.asarray(A, dtype=float)
    if not np.all(radius >= 0):
        raise ValueError(f"radius must be at least 0, got {radius!r}.")
    radius = np.broadcast_to(np.asarray(radius, dtype=float), A.shape[:1])
    P = A.copy(order="C")
    magnitude = np.abs(P)  # sums depend on the memory layout: take them in that of the result
    w = np.broadcast_to(1.0 if weights is None else weights, A.shape)
    outside = np.flatnonzero(~_is_inside(w * magnitude, radius))
    if outside.size == 0:
        return P
    magnitude, w, radius = magnitude[outside], w[outside], radius[outside]
    theta = np.maximum(_soft_threshold_levels(magnitude, w, radius), 0.0)  # of a row on the bound, rounding is all
    with np.errstate(over="ignore"):
        shrunk = np.maximum(magnitude - theta[:, None] * w, 0.0)
    over = ~_is_inside(w * shrunk, radius)
    total = (w * shrunk).sum(axis=1)[over]
    shrunk[over] *= (radius[over] * (1 - 4 * A.shape[1] * np.finfo(float).eps) / total)[:, None]
    P[outside] = np.copysign(shrunk, A[outside])
    return P


def _is_inside(terms, radius):
    """Tell which rows of terms, not negative, add up to at most their radius in whatever order they are added up.

    Rounding depends on the order, and on the zeros of a larger matrix between the terms.
    """
    margin = np.finfo(float).eps * np.maximum(np.count_nonzero(terms, axis=1) - 1, 0)
    return ~(terms.sum(axis=1) > radius * (1 - margin))  # a row that is not finite is left as it is


def _soft_threshold_levels(magnitude, w, radius):
    """Return theta with ``sum_j w_ij (magnitude_ij - theta_i w_ij)_+ = radius_i`` for rows that exceed it."""
    ratio = magnitude / w
    order = np.argsort(-ratio, axis=1)
    rows = np.arange(magnitude.shape[0])
    ratio, w = ratio[rows[:, None], order], w[rows[:, None], order]
    # In a power of two near the weight of the entry that is the last to vanish, so that squares are numbers.
    exponent = np.frexp(w[:, :1])[1]
    with np.errstate(over="ignore"):
        ratio, w = np.ldexp(ratio, exponent), np.minimum(np.ldexp(w, -exponent), _LARGEST_WEIGHT)
    square, radius = w**2, np.ldexp(radius, -exponent[:, 0])
    excess = np.cumsum(ratio * square, axis=1) - radius[:, None]
    mass = np.cumsum(square, axis=1)
    last = np.maximum((ratio * mass > excess).sum(axis=1) - 1, 0)
    return np.ldexp(excess[rows, last] / mass[rows, last], -exponent[:, 0])


@dataclass(frozen=True)
class ColumnBudget:
    """The matrices B with ``sum_j w_j max_i |B_ij| <= bound``; of each group of columns, the largest entry counts.

    Parameters
    ----------
    bound : float
        The bound k, at least 0; infinity for no bound, where only the norm is of interest.
    weights : ndarray of shape (p,) or (n_groups,), or None
        Positive weights w_j of the columns (of the groups, when there are groups); None for ones.
    groups : ndarray of int of shape (p,) or None
        Group of each column, numbered from 0 without gaps: a group counts once, by its largest entry.

    Raises
    ------
    ValueError
        If the bound is negative or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.projections import ColumnBudget
    >>> budget = ColumnBudget(2.0)
    >>> B = np.array([[3.0, 0.1], [1.0, 0.2]])
    >>> budget.norm(B)
    3.2
    >>> budget.project(B)
    array([[2., 0.],
           [1., 0.]])
    """

    bound: float = np.inf
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __post_init__(self):
        """Refuse a bound that bounds nothing."""
        if not self.bound >= 0:
            raise ValueError(f"bound must be at least 0, got {self.bound!r}.")

    def n_groups(self, n_columns):
        """Return the number of groups among ``n_columns`` columns, which are their own where there are no groups."""
        return n_columns if self.groups is None else int(np.max(self.groups, initial=-1)) + 1

    def group_maxima(self, columns):
        """Return the largest of each group, shape (n_groups,), of non-negative numbers of the columns, shape (p,)."""
        if self.groups is None:
            return columns
        maxima = np.zeros(self.n_groups(columns.size))
        np.maximum.at(maxima, self.groups, columns)
        return maxima

    def weighted_norms(self, B):
        """Return what each group of columns of B, an ndarray of shape (n, p), uses of the budget, shape (n_groups,)."""
        norms = self.group_maxima(np.abs(B).max(axis=0, initial=0.0))
        return norms if self.weights is None else self.weights * norms

    def norm(self, B):
        """Return what B, an ndarray of shape (n, p), uses of the budget, as a float."""
        return float(np.sum(self.weighted_norms(B)))

    def project(self, B):
        """Project on the set: ``argmin_P ||P - B||_F`` subject to ``norm(P) <= bound``.

        Parameters
        ----------
        B : ndarray of shape (n, p)
            Matrix to project.

        Returns
        -------
        ndarray of shape (n, p)
            A new array that meets the budget; many of its columns are exactly zero when the budget is small.

        Notes
        -----
        The result is B clipped to ``+-theta_j``. A column whose l1 norm is at most ``w_j t`` vanishes; the others have
        ``sum_i (|B_ij| - theta_j)_+ = w_j t``. The multiplier t solves ``sum_j w_j theta_j(t) = bound``, a decreasing
        convex piecewise-linear equation, by Newton's method from t = 0, exact after finitely many steps.
        """
        return self._projected(B, None)[0]

    def projector(self):
        """Return :meth:`project` for points that move little from call to call, a function.

        Newton's method starts from the multiplier of the call before, which saves the search for a start.
        """
        multiplier = None

        def project(B):
            nonlocal multiplier
            projected, multiplier = self._projected(B, multiplier)
            return projected

        return project

    def _projected(self, B, start):
        """Return the projection and its multiplier, given one to start from or None."""
        B = np.asarray(B, dtype=float)
        if self.norm(B) <= self.bound:
            return B.copy(), start
        stacked = np.abs(B).T if self.groups is None else _stack_groups(np.abs(B), np.asarray(self.groups))
        w, bound = self._in_unit if self.weights is not None else (np.ones(stacked.shape[0]), self.bound)
        theta, multiplier = _budget_levels(stacked, bound, w, start)
        # A few ulps inside, so that the promise holds in whichever order the sum is taken.
        inside = bound * (1 - 4 * w.size * np.finfo(float).eps)
        total = w @ theta
        if total > inside:
            theta *= inside / total
        cap = theta if self.groups is None else theta[self.groups]
        return np.minimum(np.maximum(B, -cap), cap), multiplier

    @cached_property
    def _in_unit(self):
        """Weights, in the units of the columns, and bound by a power of two, so that squares are numbers."""
        w = np.asarray(self.weights, dtype=float)
        exponent = np.frexp(w.max(initial=0.0))[1]
        return np.ldexp(w, -exponent), float(np.ldexp(self.bound, -exponent))


def _stack_groups(magnitude, groups):
    """Return one row for each group: the entries of all its columns, padded with zeros."""
    n = magnitude.shape[0]
    sizes = np.bincount(groups)
    stacked = np.zeros((sizes.size, n * sizes.max()))
    for g in range(sizes.size):
        entries = magnitude[:, groups == g].ravel()
        stacked[g, : entries.size] = entries
    return stacked


def _budget_levels(magnitude, budget, w, start):
    """Return the caps theta_j with ``sum_j w_j theta_j = budget``, and t; rows of ``magnitude`` are columns of B."""
    if budget == 0:
        return np.zeros(magnitude.shape[0]), start
    # In one memory layout, on which products with the largest entries depend.
    ascending = np.array(magnitude, order="C")
    ascending.sort(axis=1)
    descending = ascending[:, ::-1]
    sums = np.cumsum(descending, axis=1)
    counts = np.arange(1, magnitude.shape[1] + 1)
    # With r entries above the cap, w t ranges up to the value at which the cap reaches entry r + 1, or zero.
    breaks = sums.copy()
    breaks[:, :-1] -= counts[:-1] * descending[:, 1:]
    rows = np.arange(magnitude.shape[0])
    # A start that leaves nothing, of a much smaller matrix, has no slope to go on with.
    usable = start is not None and np.any(sums[:, -1] > w * start)
    t = start if usable else _budget_multiplier(descending[:, 0], breaks, counts, budget, w)
    first, within, squares = True, breaks[:, :-1], w * w
    while True:
        # Newton on a convex decreasing function: the first step may lead to the left of the root, from there t grows.
        taken = w * t
        above = (within <= taken[:, None]).sum(axis=1)
        r = counts[above]
        theta = np.maximum((sums[rows, above] - taken) / r, 0.0)
        slope = np.dot(squares / r, theta > 0)
        step = (w @ theta - budget) / slope if slope > 0 else 0.0
        if not (abs(step) if first else step) > _LEAST_STEP * t:  # NaN ends the loop too
            return theta, t
        t, first = max(t + step, 0.0), False


def _budget_multiplier(largest, breaks, counts, budget, w):
    """Return the multiplier t up to rounding, from all its breaks in order: between them the budget used is linear."""
    falls = 1.0 / (counts * (counts + 1.0))  # of the slope, where one more entry is cut
    falls[-1] = 1.0 / counts[-1]
    where = (breaks / w[:, None]).ravel()
    order = np.argsort(where)
    where = where[order]
    slopes = np.empty(where.size + 1)
    slopes[0] = w @ w
    slopes[1:] = slopes[0] - np.cumsum(np.multiply.outer(w * w, falls).ravel()[order])
    pieces = slopes[:-1] * where
    pieces[1:] -= slopes[1:-1] * where[:-1]
    used = w @ largest - np.cumsum(pieces)
    k = int(np.count_nonzero(used > budget))  # the root is in the piece before break k
    start, left = (where[k - 1], used[k - 1]) if k else (0.0, w @ largest)
    return start + max(left - budget, 0.0) / slopes[k] if slopes[k] > 0 else start
