"""The reference solver of the curvature block, and its door to custom constraints: CVXPY."""

import cvxpy as cp
import numpy as np

from skimplicit.subproblems.attempts import solve_by_any
from skimplicit.subproblems.curvature.working_set import polished
from skimplicit.subproblems.matching.custom_constraints import CustomConstraints
from skimplicit.subproblems.matching.cvxpy_solver import group_norms

__all__ = ["CurvatureProgram", "CvxpyCurvatureSolver"]


class CurvatureProgram:
    """A :class:`~skimplicit.subproblems.CurvatureProblem` in symbols.

    Parameters
    ----------
    problem : CurvatureProblem
        The problem.
    """

    def __init__(self, problem):
        n, N = problem.V.shape
        rows, columns = problem.entries
        self.W, self.lift = cp.Variable((n, N), name="W"), cp.Variable(n, name="lift")
        moved = cp.reshape(self.W - problem.V, (n * N,), order="C")[rows * N + columns]
        d = cp.hstack([moved, self.lift])
        A, B = self.W[:, :n], self.W[:, n:]
        bounds = [cp.norm(A, "inf") <= problem.kappa]
        if not problem.moving.all():
            bounds.append(self.W[~problem.moving] == problem.V[~problem.moving])
        if problem.budget is not None:
            norms = group_norms(B, problem.budget.groups)
            weights = np.ones(norms.shape) if problem.budget.weights is None else problem.budget.weights
            bounds.append(weights @ norms <= problem.budget.bound)
        if problem.row_set is not None:
            bounds += problem.row_set.to_cvxpy(self.W)
        self.custom = None
        if problem.constraints is not None:
            self.custom = CustomConstraints(problem.constraints, self.W)
            bounds += self.custom.bounds
        Q, linear = problem.system()
        values, vectors = np.linalg.eigh(Q)
        root = vectors.T * np.sqrt(np.maximum(values, 0.0))[:, None]
        self.problem = cp.Problem(cp.Minimize(cp.sum_squares(root @ d) / 2 + linear @ d), bounds)


class CvxpyCurvatureSolver:
    """Solve curvature problems with CVXPY; OSQP first, Clarabel where OSQP fails."""

    def solve(self, problem):
        """Return the minimiser.

        Parameters
        ----------
        problem : CurvatureProblem
            The problem.

        Returns
        -------
        W : ndarray of shape (n, n + p)
            The minimiser, exactly inside the bounds on A and B.
        lift : ndarray of shape (n,)
            The lift of the mean pre-activations.

        Raises
        ------
        SubproblemError
            If no solver finds a solution; the message has the block's name and the status.
        """
        program = CurvatureProgram(problem)
        solve_by_any(program.problem, "curvature block (A, B, b)")
        W = np.where(problem.moving, program.W.value, problem.V)
        if program.custom is None:
            # A solver's 1e-8 is far from rounding, and training a rule with kinks amplifies what differs between two.
            return polished(problem, problem.project(W), program.lift.value)
        free = problem.moving
        if problem.row_set is not None:
            W = problem.row_set.clipped(W)
            free = free & ((W != 0) | (problem.signs == 0))
        W = program.custom.hold(W, free, program.problem.solution.primal_vars)
        return self._inside(problem, W), program.lift.value

    @staticmethod
    def _inside(problem, W):
        """Go back towards the current point, which is feasible, as far as the bounds ask for."""
        n, share = problem.n_hidden, 1.0
        while share > 0:
            inside = problem.V + share * (W - problem.V)
            fits = problem.budget is None or problem.budget.norm(inside[:, n:]) <= problem.budget.bound
            fits = fits and (problem.row_set is None or problem.row_set.contains(inside))
            if fits and np.abs(inside[:, :n]).sum(axis=1).max(initial=0.0) <= problem.kappa:
                return inside
            share = share * (1 - 1e-9) if share > 1 - 1e-6 else 0.5 * share
        return problem.V
