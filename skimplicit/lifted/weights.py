"""The block of A, B and b in lifted training: a smooth convex program, by matching programs that lie above it."""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.lifted.divergences import Divergence
from skimplicit.subproblems import MatchingProblem

__all__ = ["WeightsProblem", "solve_weights"]


@dataclass(frozen=True)
class WeightsProblem:
    """``min_{A, B, b} sum_s p_s sum_i w_i F(x_si, (A x_s + B u_s + b)_i) + ridge/2 (||A||_F^2 + ||B||_F^2)``.

    The states x_s are held, p_s are the weights of the samples. The set of W = [A B] is that of ``matching``: rows of A
    in the l1 ball, the column budget, the structure, further constraints. Without a budget the rows are independent.

    Parameters
    ----------
    divergence : Divergence
        F.
    samples : Samples
        Inputs u and weights p.
    X : ndarray of shape (m, n)
        States.
    weights : ndarray of shape (n,)
        The weights w, positive.
    matching : MatchingProblem
        Gives the set and the ridge; its other numbers are not used.

    Notes
    -----
    Source: Gu, Askari, El Ghaoui (2020); El Ghaoui et al. (2021), section 6.3.
    """

    divergence: Divergence
    samples: object
    X: np.ndarray
    weights: np.ndarray
    matching: MatchingProblem

    def pre_activations(self, W, b):
        """Return ``X A' + U B' + b``, shape (m, n), for W of shape (n, n + p) and b of shape (n,)."""
        n = W.shape[0]
        return self.X @ W[:, :n].T + self.samples.inputs_times(W[:, n:]) + b

    def value(self, W, b):
        """Return the objective at W of shape (n, n + p) and b of shape (n,), a float."""
        divergences = self.samples.mean(self.divergence.value(self.X, self.pre_activations(W, b)))
        return float(divergences @ self.weights + 0.5 * self.matching.ridge * np.sum(W * W))

    def to_cvxpy(self):
        """Return the program in symbols.

        Returns
        -------
        problem : cvxpy.Problem
            The program.
        W, b : cvxpy.Variable
            Its variables, of shapes (n, n + p) and (n,).
        """
        import cvxpy as cp

        program = self.matching.to_cvxpy()
        W, n = program.W, self.X.shape[1]
        b = cp.Variable(n)
        inputs = self.samples.inputs_times(np.eye(self.samples.n_inputs))
        Z = self.X @ W[:, :n].T + inputs @ W[:, n:].T + np.ones((self.X.shape[0], 1)) @ cp.reshape(b, (1, n), order="C")
        terms = self.divergence.conjugate_cvxpy(Z) - cp.multiply(self.X, Z)
        objective = self.samples.weights @ terms @ self.weights + self.matching.ridge * cp.sum_squares(W) / 2
        objective += self.samples.mean(self.divergence.potential(self.X)) @ self.weights
        bounds = list(program.problem.constraints) + ([] if self.samples.centre else [b == 0])
        return cp.Problem(cp.Minimize(objective), bounds), W, b


def solve_weights(problem, solver, W, b, tol, max_iter):
    """Minimise a :class:`WeightsProblem` from a feasible point.

    Slopes of phi are at most gamma, so the second derivative in W is at most ``gamma w_i`` times the Gram matrix of
    states and inputs. The quadratic with that curvature lies above the objective, and its minimiser is the solution of
    a matching program, whose size does not depend on the number of samples.

    Parameters
    ----------
    problem : WeightsProblem
        The problem.
    solver : object with ``solve(matching, start)``
        Solves the matching programs.
    W : ndarray of shape (n, n + p)
        Where to start; feasible.
    b : ndarray of shape (n,)
        Where to start.
    tol : float
        Stop when no entry of W moves by more than ``tol`` times the largest.
    max_iter : int
        Most matching programs.

    Returns
    -------
    W, b : ndarray
        The minimiser up to the tolerance, feasible.
    """
    samples, X, phi = problem.samples, problem.X, problem.divergence.activation
    n = W.shape[0]
    moments = samples.moments(X)
    G = moments.gram
    curvature = phi.lipschitz * problem.weights
    for _ in range(max_iter):
        S = (phi(problem.pre_activations(W, b)) - X) * problem.weights
        slope = np.hstack([samples.times_states(S, X, moments.X_mean), samples.times_inputs(S)])
        majoriser = replace(problem.matching, G=G, R=curvature[:, None] * (W @ G) - slope, curvature=curvature)
        new = solver.solve(majoriser, W)
        if samples.centre:
            # b is eliminated: the mean pre-activation moves by -slope / curvature, the rest follows the mean state.
            b = b - samples.mean(S) / curvature - (new - W)[:, :n] @ moments.X_mean
        move, W = np.abs(new - W).max(initial=0.0), new
        if move <= tol * np.abs(W).max(initial=0.0):
            break
    return W, b
