"""The reference solver of the matching block, and the door to custom constraints: CVXPY."""

import cvxpy as cp
import numpy as np

from skimplicit.subproblems.attempts import SOLVERS, SubproblemError, status_of
from skimplicit.subproblems.matching.custom_constraints import CustomConstraints
from skimplicit.subproblems.matching.elimination import RowPrograms

__all__ = ["CvxpyProgram", "CvxpySolver", "group_norms"]

# Iterations of OSQP from which on Clarabel goes first in the programs that follow: those of one training are alike.
_MANY_ITERATIONS = 500
# Largest weight of a column in a budget of one; what is held only to the solver's accuracy is projected afterwards.
_LARGEST_COLUMN_WEIGHT = 1e8
# Most alternations between the custom constraints and the bounds: a solver's solution is next to both.
_ALTERNATIONS = 5


class CvxpyProgram:
    """``minimise 1/2 sum_i h_i ||(W L)_i||^2 + ridge/2 ||W||^2 + sum_ij l1_ij |W_ij| - <R, W>``, a (DPP) CVXPY problem.

    Compiled at the first solve; every later problem of the same shape and constraints only sets parameters.

    Parameters
    ----------
    matching : MatchingProblem
        The problem that gives shapes and constraints.
    """

    def __init__(self, matching):
        n, N = matching.R.shape
        self.W = cp.Variable((n, N), name="W")
        rank = matching.G.factor.shape[1]
        self._aimed = cp.Variable((n, rank))
        self._factor = cp.Parameter((N, rank))
        self._root_curvature = cp.Parameter((n, 1), nonneg=True)
        self._ridge = cp.Parameter(nonneg=True)
        self._R = cp.Parameter((n, N))
        self._kappa = cp.Parameter(n, nonneg=True)
        A, B = self.W[:, :n], self.W[:, n:]
        bounds = [self._aimed == self.W @ self._factor, cp.sum(cp.abs(A), axis=1) <= self._kappa]
        if matching.structure is not None and not matching.structure.all():
            bounds.append(self.W[:, : matching.structure.shape[1]][~matching.structure] == 0)
        if matching.column_budget is not None:
            self._budget = cp.Parameter(nonneg=True)
            self._weights = cp.Parameter(matching.column_budget.n_groups(N - n), nonneg=True)
            bounds.append(self._weights @ group_norms(B, matching.column_budget.groups) <= self._budget)
        if matching.row_set is not None:
            bounds += matching.row_set.to_cvxpy(self.W)
        if matching.constraints is not None:
            self._custom = CustomConstraints(matching.constraints, self.W)
            bounds += self._custom.bounds
        scaled = cp.multiply(self._root_curvature @ np.ones((1, rank)), self._aimed)
        objective = cp.sum_squares(scaled) / 2 + self._ridge * cp.sum_squares(self.W) / 2
        objective -= cp.sum(cp.multiply(self._R, self.W))
        if matching.l1 is not None:
            self._l1 = cp.Parameter((n, N), nonneg=True)
            objective += cp.sum(cp.multiply(self._l1, cp.abs(self.W)))
        self.problem = cp.Problem(cp.Minimize(objective), bounds)
        self.set(matching)

    def set(self, matching):
        """Take the numbers of another problem with the same shape and constraints.

        Parameters
        ----------
        matching : MatchingProblem
            The problem.
        """
        self._factor.value = matching.G.factor
        self._root_curvature.value = np.sqrt(matching.curvature)[:, None]
        self._ridge.value = matching.ridge
        self._R.value = matching.R
        self._kappa.value = np.broadcast_to(matching.kappa, matching.R.shape[:1])
        if matching.l1 is not None:
            self._l1.value = matching.l1
        if matching.column_budget is not None:
            budget = matching.column_budget
            unit = budget.bound or 1.0
            weights = np.ones(self._weights.shape) if budget.weights is None else budget.weights
            self._budget.value = budget.bound / unit
            # Columns in units so small that none of the budget could be seen in them: numbers that a solver can take.
            self._weights.value = np.minimum(weights / unit, _LARGEST_COLUMN_WEIGHT)

    @property
    def n_iter(self):
        """Iterations of the last solver."""
        return self.problem.solver_stats.num_iters

    def held(self, matching, W):
        """Return a point near W of shape (n, N) that meets the custom constraints to rounding, the bounds exactly.

        Parameters
        ----------
        matching : MatchingProblem
            The problem.
        W : ndarray of shape (n, N)
            A point inside the bounds on A and B.

        Returns
        -------
        ndarray of shape (n, N)
            The point.
        """
        free = matching.masked(np.ones_like(W)) != 0
        if matching.row_set is not None:
            free &= (matching.balls()[2] == 0) | (W != 0)
        for _ in range(_ALTERNATIONS):
            moved = self._custom.hold(W, free, self.problem.solution.primal_vars)
            W = _inside(matching, moved)
            if np.array_equal(moved, W):
                break
        return W


class CvxpySolver:
    """Solve matching problems with CVXPY; OSQP first, Clarabel where OSQP fails or has needed many iterations.

    The program is compiled once and kept while the constraints stay the same.
    """

    def __init__(self):
        self._program = None
        self._signature = None
        self._solvers = SOLVERS

    def solve(self, matching, start):
        """Return the minimiser.

        Parameters
        ----------
        matching : MatchingProblem
            The problem.
        start : ndarray of shape (n, N)
            Not used: the solvers start from their previous solution.

        Returns
        -------
        ndarray of shape (n, N)
            The minimiser, exactly inside the bounds on A and B.

        Raises
        ------
        SubproblemError
            If no solver finds a solution; the message has the block's name and the status.
        """
        matching = matching.in_unit_size()
        budget = matching.column_budget
        signature = (
            matching.R.shape,
            matching.G.factor.shape,
            budget is None,
            None if matching.structure is None else matching.structure.tobytes(),
            None if budget is None or budget.groups is None else budget.groups.tobytes(),
            matching.constraints,
            matching.l1 is None,
            matching.row_set,
        )
        if signature != self._signature:
            self._program, self._signature = matching.to_cvxpy(), signature
        else:
            self._program.set(matching)
        statuses = []
        for solver, options in self._solvers:
            status = status_of(self._program.problem, solver, options)
            if solver == cp.OSQP and (status != cp.OPTIMAL or self._program.n_iter > _MANY_ITERATIONS):
                self._solvers = (*SOLVERS[1:], SOLVERS[0])
            if status == cp.OPTIMAL:
                W = _inside(matching, self._program.W.value)
                return self._polished(matching, W) if matching.constraints is None else self._program.held(matching, W)
            statuses.append(f"{solver}: {status}")
            if status in (cp.INFEASIBLE, cp.UNBOUNDED) and solver == cp.CLARABEL:
                break
        raise SubproblemError(
            f"The equilibrium block (A, B) could not be solved by CVXPY ({'; '.join(statuses)})."
            + (" The custom constraints contradict each other or the bound on A." if cp.INFEASIBLE in status else "")
        )

    def _polished(self, matching, W):
        """Solve the linear system of the constraints that are active at a solver's solution, where it has that form.

        A solver's 1e-8 is far from rounding, and training a rule with kinks amplifies what differs between two solvers.
        """
        rowwise = matching.splits_off_inputs or matching.has_whole_balls
        return RowPrograms(matching).polish(W) if rowwise else W


def _inside(matching, W):
    """Remove the solver's rounding from the bounds on A and B."""
    if matching.constraints is None:
        return matching.project(W)
    # A projection could leave the custom set; a tiny common shrinking of A or B is the least that can be done.
    n = matching.n_hidden
    W = matching.masked(W)
    if matching.row_set is not None:
        W = matching.row_set.shrunk(W)
    A, B = W[:, :n].copy(), W[:, n:].copy()
    norm = np.abs(A).sum(axis=1).max()
    if norm > matching.kappa:
        A *= matching.kappa * (1 - 1e-12) / norm
    if matching.column_budget is not None:
        total = matching.column_budget.norm(B)
        if total > matching.column_budget.bound:
            B *= matching.column_budget.bound * (1 - 1e-12) / total
    return np.hstack([A, B])


def group_norms(B, groups):
    """Return the largest absolute entry of each column, or of each group of columns, in symbols.

    Parameters
    ----------
    B : cvxpy.Expression of shape (n, p)
        The matrix.
    groups : ndarray of int of shape (p,) or None
        Group of each column, numbered from 0; None if each is on its own.

    Returns
    -------
    cvxpy.Expression of shape (n_groups,)
        The norms, in the units of a :class:`~skimplicit.projections.ColumnBudget` without weights.
    """
    columns = cp.max(cp.abs(B), axis=0)
    if groups is None:
        return columns
    return cp.hstack([cp.max(columns[np.flatnonzero(groups == g)]) for g in range(int(groups.max()) + 1)])
