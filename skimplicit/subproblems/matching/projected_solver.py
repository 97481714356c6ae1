"""The fast solver of the matching block, for sets with a closed-form projection: active sets and FISTA with restart.

Without a budget the columns of B are free: they are eliminated (Schur complement of G), and the problem splits into one
small program over each row of A. Rows whose free minimiser is inside the ball are done at once. Where A has to be zero,
nothing of it takes part.
"""

from dataclasses import replace

import numpy as np

from skimplicit.linalg import positive_scales
from skimplicit.projections import ColumnBudget
from skimplicit.subproblems.fista import fista
from skimplicit.subproblems.matching.elimination import RowPrograms
from skimplicit.subproblems.matching.lasso_rows import minimise_lasso_rows, soft_threshold
from skimplicit.subproblems.row_sets import project_weights

__all__ = ["ProjectedSolver"]

# Most rounds of ``budget_max_iter`` iterations in the joint problem.
_ROUNDS = 20


class ProjectedSolver:
    """Solve matching problems without custom constraints by FISTA with restart in a diagonal metric.

    Parameters
    ----------
    tol : float
        Stop when no entry, in the units of the metric, moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations; the last iterate is feasible whatever happens.
    budget_max_iter : int or None
        Most iterations under a column budget; None for ``max_iter``.
    """

    def __init__(self, tol=1e-9, max_iter=5000, budget_max_iter=None):
        self.tol = tol
        self.max_iter = max_iter
        self.budget_max_iter = max_iter if budget_max_iter is None else budget_max_iter

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
        if matching.needs_no_states:
            A, B = np.split(start, [matching.n_hidden], axis=1)
            return np.hstack([np.zeros_like(A), self.solve(matching.inputs_alone(), B)])
        if matching.column_budget is not None:
            return self._solve_jointly(matching, start)
        if matching.splits_off_inputs and not matching.G.inputs.decomposes:
            # Eigenvectors of very many inputs would be larger than all else: a budget that does not bind, instead.
            return self._solve_jointly(replace(matching, column_budget=ColumnBudget(np.inf)), start)
        if matching.splits_off_inputs or matching.has_whole_balls:
            return RowPrograms(matching).minimise(start, self.tol, self.max_iter)
        return self._solve_lasso_rows(matching, start)

    def _solve_lasso_rows(self, matching, start):
        """Keep A and B together in each row, for a penalty or a pattern that is on both."""
        diagonal = np.maximum(matching.G.diagonal(), 0.0)
        metric = positive_scales(np.sqrt(matching.curvature[:, None] * diagonal + matching.ridge))
        bound = _curvature_bound(matching.G, (matching.ridge / metric**2).max())
        start = matching.project(start)
        return matching.project(minimise_lasso_rows(matching, metric, 1.0 / bound, start, self.tol, self.max_iter))

    def _solve_jointly(self, matching, start):
        """FISTA over A and B together, for the budget couples the rows."""
        h, k, G = matching.curvature, matching.n_recurrent, matching.G
        diagonal = G.diagonal()
        # The budget compares entries of a column, so the metric of B may depend on the column, not on the row.
        metric_A = positive_scales(np.sqrt(h[:, None] * np.maximum(diagonal[:k], 0.0) + matching.ridge))
        metric_B = positive_scales(np.sqrt(h.max() * np.maximum(diagonal[k:], 0.0) + matching.ridge))
        metric = np.hstack([metric_A, np.tile(metric_B, (h.size, 1))])
        budget, caps = matching.column_budget, metric[0, k:]
        if budget.groups is not None:
            # Within a group one scale must serve all columns.
            caps = budget.group_maxima(caps)
            metric[:, k:] = caps[budget.groups]
        budget = replace(budget, weights=(1.0 if budget.weights is None else budget.weights) / caps)
        project_inputs = budget.projector()
        bound = _curvature_bound(G, (matching.ridge / metric**2).max())
        R = matching.R / metric
        ridge = matching.ridge / metric**2
        level = None if matching.l1 is None else matching.l1 / metric / bound

        def gradient(X):
            return h[:, None] * ((X / metric) @ G) / metric + ridge * X - R

        def project(X):
            # Soft-thresholding before the projection is the proximal operator of the penalty within the set.
            X = X if level is None else soft_threshold(X, level)
            if k == 0:
                return project_inputs(X)
            return project_weights(matching.masked(X), matching.kappa, budget, matching.row_set, metric)

        X = project(start * metric)
        before = matching.value(X / metric)
        for _ in range(_ROUNDS):
            X = fista(gradient, project, 1.0 / bound, X, self.tol, self.budget_max_iter)
            # Few iterations from a point far from the minimum can end above it: go on until something is gained.
            if matching.value(X / metric) < before:
                break
        return matching.project(X / metric)


def _curvature_bound(G, ridge):
    """Return the largest eigenvalue of G in the metric of its diagonal, plus the ridge; 1 where nothing has curvature.

    On constant states and inputs G is zero and every step is as good as any other.
    """
    if G.XX.size:
        largest = G.largest_eigenvalue(positive_scales(np.sqrt(np.maximum(G.diagonal(), 0.0))))
    else:
        largest = G.inputs.largest_eigenvalue
    bound = largest + ridge
    return bound if bound > 0 else 1.0
