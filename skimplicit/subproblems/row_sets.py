"""Closed sets of rows beyond the bound on A: signs of entries, and weighted l1 balls of whole rows."""

from dataclasses import dataclass

import numpy as np

from skimplicit.projections import project_rows_l1

__all__ = ["RowSet", "project_weights"]

# Most alternations between balls of rows and a column budget, which have no projection in common in closed form.
_ALTERNATIONS = 50


@dataclass(frozen=True)
class RowSet:
    """The matrices V with ``signs_ij V_ij >= 0`` and ``sum_j weights_ij |V_ij| <= radius`` in every row.

    Parameters
    ----------
    signs : ndarray of shape (k, N) or None
        1 for entries that are at least 0, -1 for entries that are at most 0, 0 for free ones; None for none.
    weights : ndarray of shape (k, N) or None
        Positive weights of the balls; None for no balls.
    radius : float
        Radius of the balls.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.subproblems import RowSet
    >>> RowSet(signs=np.array([[1, 0]]), weights=np.ones((1, 2))).project(np.array([[-1.0, 3.0]]))
    array([[0., 1.]])
    """

    signs: np.ndarray | None = None
    weights: np.ndarray | None = None
    radius: float = 1.0

    #: Whether there are constraints of the user's own besides.
    is_custom = False

    def clipped(self, V):
        """Return V of shape (k, N) with zeros where an entry has the wrong sign."""
        return V if self.signs is None else np.where(V * self.signs < 0, 0.0, V)

    def contains(self, V):
        """Tell whether V of shape (k, N) is in the set."""
        if self.signs is not None and np.any(V * self.signs < 0):
            return False
        return self.weights is None or bool(np.all((self.weights * np.abs(V)).sum(axis=1) <= self.radius))

    def turned(self, V):
        """Return V of shape (k, N) with every entry turned to its sign."""
        return V if self.signs is None else np.where(self.signs == 0, V, self.signs * np.abs(V))

    def project(self, V, metric=1.0):
        """Return ``argmin_P ||P - V||_F`` over the P whose entries are ``metric`` times those of a matrix in the set.

        Parameters
        ----------
        V : ndarray of shape (k, N)
            The entries in the metric.
        metric : float or ndarray of shape (k, N)
            Positive scales.

        Returns
        -------
        ndarray of shape (k, N)
            The nearest point, in the metric.

        Notes
        -----
        The ball is the same in every orthant and shrinks no entry across zero: clipping first and projecting on it
        then is the projection on both.
        """
        V = self.clipped(V)
        return V if self.weights is None else project_rows_l1(V, self.radius, self.weights / metric)

    def shrunk(self, V):
        """Return V of shape (k, N) clipped to its signs, and each row that is outside its ball scaled down into it."""
        V = self.clipped(V)
        if self.weights is None:
            return V
        size = (self.weights * np.abs(V)).sum(axis=1, keepdims=True)
        factor = self.radius * (1 - 1e-12) / np.where(size > 0, size, 1.0)
        return np.where(size > self.radius, V * factor, V)

    def at(self, rows):
        """Return the set of some rows."""
        signs, weights = (None if part is None else part[rows] for part in (self.signs, self.weights))
        return RowSet(signs, weights, self.radius)

    def to_cvxpy(self, V):
        """Return the same constraints on a CVXPY expression V of shape (k, N), in a list."""
        import cvxpy as cp

        bounds = []
        if self.signs is not None and self.signs.any():
            bounds.append(cp.multiply(self.signs, V) >= 0)
        if self.weights is not None:
            bounds.append(cp.sum(cp.multiply(self.weights, cp.abs(V)), axis=1) <= self.radius)
        return bounds


def project_weights(W, kappa, budget=None, row_set=None, metric=None):
    """Return the point nearest to ``W = [A B]`` with ``||A||_inf <= kappa``, inside a column budget and a row set.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        The point.
    kappa : float or ndarray of shape (n,)
        Bound on every absolute row sum of A, one for all rows or one for each; where the row set has balls they imply
        it, but for kappa = 0.
    budget : ColumnBudget or None
        Bound on the columns of B.
    row_set : RowSet or None
        Signs and balls.
    metric : ndarray of shape (n, n + p) or None
        Scales of the entries, W has ``metric`` times them; the budget is one for W as it is.

    Returns
    -------
    ndarray of shape (n, n + p)
        The projection (Euclidean); with balls and a budget, which have none in closed form, by Dykstra's alternations,
        the last point shrunk into both.
    """
    n, unit = W.shape[0], metric is None

    def inside_rows(W):
        if not np.any(kappa):
            W = np.hstack([np.zeros((n, n)), W[:, n:]])
            if row_set is None:
                return W
        if row_set is None or row_set.weights is None:
            W = W if row_set is None else row_set.clipped(W)
            return np.hstack([project_rows_l1(W[:, :n], kappa, None if unit else 1.0 / metric[:, :n]), W[:, n:]])
        return row_set.project(W, 1.0 if unit else metric)

    def inside_budget(W):
        return W if budget is None else np.hstack([W[:, :n], budget.project(W[:, n:])])

    if budget is None or row_set is None or row_set.weights is None:
        return inside_budget(inside_rows(W))
    rest_of_rows = rest_of_budget = np.zeros_like(W)
    for _ in range(_ALTERNATIONS):
        rows = inside_rows(W + rest_of_rows)
        rest_of_rows = W + rest_of_rows - rows
        W = inside_budget(rows + rest_of_budget)
        rest_of_budget = rows + rest_of_budget - W
        if np.array_equal(W, rows):
            break
    # Shrinking the largest columns leaves every ball.
    return inside_budget(inside_rows(W))
