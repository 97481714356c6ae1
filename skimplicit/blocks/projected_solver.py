"""The fast solver of the matching block, for sets with a closed-form projection: active sets and FISTA with restart.

Without a budget the columns of B are free: they are eliminated (Schur complement of G), and the problem splits into one
small program over each row of A. Rows whose free minimiser is inside the ball are done at once.
"""

import numpy as np

from skimplicit.blocks.ball_rows import fista, minimise_in_balls
from skimplicit.blocks.lasso_rows import minimise_lasso_rows, soft_threshold
from skimplicit.projections import project_column_budget, project_rows_l1

__all__ = ["ProjectedSolver"]

# Most rounds of ``max_iter`` iterations in the joint problem.
_ROUNDS = 20


class ProjectedSolver:
    """Solve matching problems without custom constraints by FISTA with restart in a diagonal metric.

    Parameters
    ----------
    tol : float
        Stop when no entry, in the units of the metric, moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations; the last iterate is feasible whatever happens.
    """

    def __init__(self, tol=1e-9, max_iter=5000):
        self.tol = tol
        self.max_iter = max_iter
        self._inputs = None

    def solve(self, matching, start):
        """Return the minimiser.

        Parameters
        ----------
        matching : MatchingProblem
            The problem.
        start : ndarray of shape (n, N)
            A feasible point to start from.

        Returns
        -------
        ndarray of shape (n, N)
            The minimiser up to the tolerance, exactly inside the bounds.

        Raises
        ------
        ValueError
            If the problem has custom constraints.
        """
        if matching.constraints is not None:
            raise ValueError("The projected solver cannot take custom constraints; use solver='cvxpy'.")
        if matching.column_budget is not None:
            return self._solve_jointly(matching, start)
        if matching.splits_off_inputs:
            return self._solve_rows(matching, start)
        return self._solve_lasso_rows(matching, start)

    def _solve_rows(self, matching, start):
        """Eliminate B, then solve for the rows of A."""
        n = matching.n_hidden
        h, G, R = matching.curvature, matching.G, matching.R
        values, vectors = self._decompose(G[n:, n:])
        cross = G[:n, n:] @ vectors
        inverse = _safe_inverse(h[:, None] * values + matching.ridge)
        R_B = R[:, n:] @ vectors
        explained = np.matmul(cross * (h[:, None] ** 2 * inverse)[:, None, :], cross.T)
        hessian = h[:, None, None] * G[:n, :n] - explained
        hessian[:, np.arange(n), np.arange(n)] += matching.ridge
        linear = R[:, :n] - h[:, None] * ((R_B * inverse) @ cross.T)
        A = self._rows_in_ball(hessian, linear, start[:, :n], matching.kappa, matching.structure)
        B = ((R_B - h[:, None] * (A @ cross)) * inverse) @ vectors.T
        return np.hstack([A, B])

    def _decompose(self, inputs):
        """Return the eigendecomposition of the inputs' Gram matrix, which stays the same during a fit."""
        if self._inputs is None or not np.array_equal(self._inputs[0], inputs):
            values, vectors = np.linalg.eigh(inputs)
            self._inputs = inputs.copy(), np.maximum(values, 0.0), vectors
        return self._inputs[1:]

    def _rows_in_ball(self, hessian, linear, start, kappa, structure):
        """Minimise ``1/2 a' H_i a - r_i a`` over each row a in the l1 ball (and inside its structure)."""
        n = linear.shape[0]
        diagonal = np.einsum("ijj->ij", hessian)
        metric = _positive(np.sqrt(np.maximum(diagonal, 0.0)))
        scaled = hessian / metric[:, :, None] / metric[:, None, :]
        linear = linear / metric
        if structure is not None:
            outside = ~structure
            scaled[np.broadcast_to(outside[:, :, None], scaled.shape)] = 0.0
            scaled[np.broadcast_to(outside[:, None, :], scaled.shape)] = 0.0
            scaled[:, np.arange(n), np.arange(n)] += outside
            linear = np.where(structure, linear, 0.0)
        A = _solve_each(scaled, linear) / metric
        bound = np.flatnonzero(np.abs(A).sum(axis=1) > kappa)
        if bound.size:
            weights = 1.0 / metric[bound]
            inside = project_rows_l1(start[bound] * metric[bound], kappa, weights)
            X = minimise_in_balls(scaled[bound], linear[bound], weights, kappa, inside, self.tol, self.max_iter)
            A[bound] = project_rows_l1(X * weights, kappa)
        return A

    def _solve_lasso_rows(self, matching, start):
        """Keep A and B together in each row, for a penalty or a pattern that is on both."""
        diagonal = np.maximum(np.diag(matching.G), 0.0)
        metric = _positive(np.sqrt(matching.curvature[:, None] * diagonal + matching.ridge))
        bound = _lipschitz(matching.G, _positive(np.sqrt(diagonal))) + (matching.ridge / metric**2).max()
        start = matching.project(start)
        return matching.project(minimise_lasso_rows(matching, metric, 1.0 / bound, start, self.tol, self.max_iter))

    def _solve_jointly(self, matching, start):
        """FISTA over A and B together, for the budget couples the rows."""
        n = matching.n_hidden
        h, G = matching.curvature, matching.G
        diagonal = np.diag(G)
        spread = _positive(np.sqrt(np.maximum(diagonal, 0.0)))
        # The budget compares entries of a column, so the metric of B may depend on the column, not on the row.
        metric_A = _positive(np.sqrt(h[:, None] * np.maximum(diagonal[:n], 0.0) + matching.ridge))
        metric_B = _positive(np.sqrt(h.max() * np.maximum(diagonal[n:], 0.0) + matching.ridge))
        metric = np.hstack([metric_A, np.tile(metric_B, (n, 1))])
        weights_A = 1.0 / metric[:, :n]
        weights_B = matching.column_weights
        caps = metric[0, n:]
        if matching.groups is not None:
            # Within a group one scale must serve all columns.
            largest = np.zeros(int(matching.groups.max()) + 1)
            np.maximum.at(largest, matching.groups, caps)
            metric[:, n:], caps = largest[matching.groups], largest
        weights_B = (1.0 if weights_B is None else weights_B) / caps
        bound = _lipschitz(G, spread) + (matching.ridge / metric**2).max()
        R = matching.R / metric
        ridge = matching.ridge / metric**2
        level = None if matching.l1 is None else matching.l1 / metric / bound

        def gradient(X):
            return h[:, None] * ((X / metric) @ G) / metric + ridge * X - R

        def project(X):
            # Soft-thresholding before the projection is the proximal operator of the penalty within the set.
            X = matching.masked(X if level is None else soft_threshold(X, level))
            A, B = X[:, :n], X[:, n:]
            A = project_rows_l1(A, matching.kappa, weights_A)
            B = project_column_budget(B, matching.column_budget, weights_B, matching.groups)
            return np.hstack([A, B])

        X = project(start * metric)
        before = matching.value(X / metric)
        for _ in range(_ROUNDS):
            X = fista(gradient, project, 1.0 / bound, X, self.tol, self.max_iter)
            # Few iterations from a point far from the minimum can end above it: go on until something is gained.
            if matching.value(X / metric) < before:
                break
        return matching.project(X / metric)


def _lipschitz(G, spread):
    """Return the largest eigenvalue of G in the metric of its diagonal."""
    return np.linalg.eigvalsh(G / spread / spread[:, None])[-1]


def _solve_each(H, r):
    """Return the minimisers of ``1/2 a' H_i a - r_i a``, the smallest ones where H_i is singular."""
    try:
        factor = np.linalg.cholesky(H)
        pivots = np.einsum("ijj->ij", factor)
        if pivots.min(initial=np.inf) > np.sqrt(H.shape[-1] * np.finfo(float).eps):  # the diagonal of H is 1
            return np.linalg.solve(H, r[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(H)
    moved = np.matmul(vectors.transpose(0, 2, 1), r[:, :, None]) * _safe_inverse(values)[:, :, None]
    return np.matmul(vectors, moved)[:, :, 0]


def _positive(scales):
    """Lift scales that are zero or tiny beside the largest: a state that never varies must not break the metric."""
    largest = scales.max(axis=-1, keepdims=True, initial=0.0)
    return np.maximum(scales, np.where(largest > 0, 1e-7 * largest, 1.0))


def _safe_inverse(values):
    """Return 1 / values, and 0 where a value is zero to rounding beside the largest (the minimum-norm choice)."""
    cutoff = values.max(axis=-1, keepdims=True, initial=0.0) * values.shape[-1] * np.finfo(float).eps
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > cutoff)
