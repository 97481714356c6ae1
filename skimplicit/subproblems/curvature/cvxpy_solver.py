"""The reference solver of the curvature block, and its door to custom constraints: CVXPY."""

import cvxpy as cp
import numpy as np
from scipy import sparse

from skimplicit.subproblems.matching.cvxpy_solver import (
    SOLVERS,
    SubproblemError,
    custom_constraints,
    group_norms,
    status_of,
)

__all__ = ["CvxpyCurvatureSolver", "curvature_program"]


def curvature_program(problem):
    """Return a :class:`~skimplicit.subproblems.CurvatureProblem` in symbols.

    Parameters
    ----------
    problem : CurvatureProblem
        The problem.

    Returns
    -------
    program : cvxpy.Problem
        The program.
    d : cvxpy.Variable of shape (P,)
        The moves.
    """
    n, N = problem.V.shape
    rows, columns = problem.entries
    d = cp.Variable(problem.gradient.size, name="d")
    place = sparse.csc_array((np.ones(rows.size), (rows * N + columns, np.arange(rows.size))), shape=(n * N, rows.size))
    flat = place @ d[: rows.size] + problem.V.ravel()
    W = cp.reshape(flat, (n, N), order="C")
    A, B = W[:, :n], W[:, n:]
    bounds = [cp.norm(A, "inf") <= problem.kappa]
    if problem.budget is not None:
        weights = problem.budget.weights
        norms = group_norms(B, problem.budget.groups)
        bounds.append((cp.sum(norms) if weights is None else weights @ norms) <= problem.budget.bound)
    if problem.constraints is not None:
        bounds += custom_constraints(problem.constraints, A, B)
    Q, linear = problem.system()
    values, vectors = np.linalg.eigh(Q)
    root = vectors.T * np.sqrt(np.maximum(values, 0.0))[:, None]
    return cp.Problem(cp.Minimize(cp.sum_squares(root @ d) / 2 + linear @ d), bounds), d


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
        program, d = curvature_program(problem)
        statuses = []
        for solver, options in SOLVERS:
            status = status_of(program, solver, options)
            if status == cp.OPTIMAL:
                W, lift = problem.at(d.value)
                return problem.project(W) if problem.constraints is None else self._inside(problem, W), lift
            statuses.append(f"{solver}: {status}")
        raise SubproblemError(f"The curvature block (A, B, b) could not be solved by CVXPY ({'; '.join(statuses)}).")

    @staticmethod
    def _inside(problem, W):
        """Go back towards the current point, which is feasible, as far as the bounds ask for."""
        n, share = problem.n_hidden, 1.0
        while share > 0:
            inside = problem.V + share * (W - problem.V)
            fits = problem.budget is None or problem.budget.norm(inside[:, n:]) <= problem.budget.bound
            if fits and np.abs(inside[:, :n]).sum(axis=1).max(initial=0.0) <= problem.kappa:
                return inside
            share = share * (1 - 1e-9) if share > 1 - 1e-6 else 0.5 * share
        return problem.V
