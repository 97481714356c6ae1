"""The equilibrium block with full curvature: a quadratic model of the loss in all entries of A, B and b."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skimplicit.projections import ColumnBudget
from skimplicit.subproblems.row_sets import RowSet, project_weights

__all__ = ["CurvatureProblem"]


@dataclass(frozen=True)
class CurvatureProblem:
    """Minimise ``<g, d> + 1/2 d' (H + damping I) d + ridge/2 ||W||_F^2`` over ``W = [A B]`` and the lift of b.

    ``d`` has the moves ``W - V`` of the entries that are free to move, row by row, first those of A, then those of B,
    and after them the lift of the mean pre-activations, one for each state. W is subject to the constraints below.

    Parameters
    ----------
    V : ndarray of shape (n, n + p)
        The current weights, feasible.
    moving : ndarray of bool of shape (n, n + p)
        Entries of W that may move; the others stay as they are in V.
    gradient : ndarray of shape (P,)
        Gradient g of the loss by the P variables, the ridge not included.
    hessian : ndarray of shape (P, P) or None
        Curvature H of the loss, symmetric and positive semidefinite; None where it is given by its root.
    ridge : float
        Weight of the squared norm of W, at least 0.
    damping : float
        Added to the curvature of every variable, positive.
    kappa : float
        Bound on every absolute row sum of A.
    budget : ColumnBudget or None
        Bound on the columns of B.
    constraints : callable or None
        ``constraints(A, B)`` returns further CVXPY constraints.
    row_set : RowSet or None
        Signs and balls of the rows of W.
    root : ndarray of shape (P, N) or None
        K with ``H = K K'``: less to work with where rows N are fewer than variables.
    """

    V: np.ndarray
    moving: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray | None
    ridge: float
    damping: float
    kappa: float
    budget: ColumnBudget | None = None
    constraints: Callable | None = None
    row_set: RowSet | None = None
    root: np.ndarray | None = None

    @property
    def n_hidden(self):
        """Number of states n."""
        return self.V.shape[0]

    def damped(self, damping):
        """Return the same problem with another damping, a positive float."""
        return replace(self, damping=damping)

    @cached_property
    def entries(self):
        """Rows and columns in W of the variables that are entries of it, two ndarrays of int."""
        n = self.n_hidden
        (row_A, column_A), (row_B, column_B) = np.nonzero(self.moving[:, :n]), np.nonzero(self.moving[:, n:])
        return np.concatenate([row_A, row_B]), np.concatenate([column_A, column_B + n])

    def at(self, d):
        """Return W of shape (n, n + p) and the lift of shape (n,) after the moves d, an ndarray of shape (P,)."""
        rows, columns = self.entries
        W = self.V.copy()
        W[rows, columns] += d[: rows.size]
        return W, d[rows.size :]

    def moves(self, W, lift):
        """Return the moves d, shape (P,), that lead to W of shape (n, n + p) and ``lift`` of shape (n,)."""
        rows, columns = self.entries
        return np.concatenate([W[rows, columns] - self.V[rows, columns], lift])

    def value(self, W, lift):
        """Return the objective at W of shape (n, n + p) and ``lift`` of shape (n,), a float."""
        d = self.moves(W, lift)
        curvature = np.sum((d @ self.root) ** 2) if self.hessian is None else d @ (self.hessian @ d)
        quadratic = curvature + self.damping * (d @ d)
        return float(self.gradient @ d + 0.5 * quadratic + 0.5 * self.ridge * np.sum(W * W))

    def project(self, W):
        """Return the point of the set nearest to W, shape (n, n + p); not for custom constraints."""
        return project_weights(W, self.kappa, self.budget, self.row_set)

    @property
    def signs(self):
        """Signs of the entries of W, shape (n, n + p), 0 for an entry of either sign."""
        known = self.row_set is not None and self.row_set.signs is not None
        return self.row_set.signs if known else np.zeros(self.V.shape, dtype=int)

    def balls(self, rows, columns):
        """Return what :class:`~skimplicit.subproblems.faces.FaceProgram` needs to know of some entries of W.

        Parameters
        ----------
        rows, columns : ndarray of int of shape (k,)
            The entries.

        Returns
        -------
        rows : ndarray of int of shape (k,)
            Ball of each entry: those of A are in that of their row, and those of B too where the set has balls.
        radii : ndarray of shape (n + 1,)
            What entries that do not move leave of the radii; the last is infinite, for entries that are in no ball.
        weights, signs : ndarray of shape (k,) or None
            Weights in the balls, and signs.
        """
        n, set_ = self.n_hidden, self.row_set or RowSet()
        signs = None if set_.signs is None else set_.signs[rows, columns]
        held = np.where(self.moving, 0.0, np.abs(self.V))
        if set_.weights is None:
            return np.where(columns < n, rows, n), _radii(self.kappa, held[:, :n]), None, signs
        return rows, _radii(set_.radius, set_.weights * held), set_.weights[rows, columns], signs

    def system(self):
        """Return Q (P, P) and l (P,) of the same objective as ``1/2 d'Q d + l'd``, up to a constant."""
        added, linear = self.terms()
        Q = self.root @ self.root.T if self.hessian is None else self.hessian.copy()
        Q[np.diag_indices_from(Q)] += added
        return Q, linear

    def terms(self):
        """Return what the diagonal of Q has beside H, (P,), positive, and l (P,), both as in :meth:`system`."""
        rows, columns = self.entries
        ridge = np.zeros(self.gradient.size)
        ridge[: rows.size] = self.ridge
        entries = np.concatenate([self.V[rows, columns], np.zeros(self.n_hidden)])
        return ridge + self.damping, self.gradient + ridge * entries


def _radii(radius, held):
    """Return what held entries, of sizes (n, k), leave of the radius of each row, and an infinite radius after them."""
    return np.append(np.maximum(radius - held.sum(axis=1), 0.0), np.inf)
