"""The matching program row by row, each in its ball; where B is free it is eliminated, and the rows are those of A."""

import numpy as np

from skimplicit.linalg import positive_scales
from skimplicit.projections import project_rows_l1
from skimplicit.subproblems.ball_rows import finish_in_balls, minimise_in_balls, minimise_within_balls, safe_inverse

__all__ = ["RowPrograms"]


class RowPrograms:
    """Minimise ``1/2 a' H_i a - r_i a`` over every row a of A, ``||a||_1 <= kappa_i``: the Schur complement of G.

    For a given A the best B has a closed form, :meth:`complete`. The rows do not depend on one another, and a row's
    program is in the entries that may be non-zero alone. With balls of whole rows, A stands for all of W in what
    follows, and nothing is eliminated.

    Parameters
    ----------
    matching : MatchingProblem
        A program whose B is free or in balls, without custom constraints, and whose R comes from states and inputs as G
        does: it has nothing where the inputs never vary.
    """

    def __init__(self, matching):
        h, G, R = matching.curvature, matching.G, matching.R
        k, structure = matching.n_recurrent, matching.structure
        if matching.has_whole_balls:
            k, allowed = R.shape[1], matching.allowed()
            structure = None if allowed.all() else allowed
            values, self._vectors, cross = np.zeros(0), np.zeros((0, 0)), np.zeros((k, 0))
            XX, self._weights, radii = G.principal(np.arange(k)), matching.row_set.weights, matching.row_set.radius
        else:
            values, self._vectors = G.inputs.eigen
            cross = G.XU
            XX, self._weights, radii = G.XX, np.ones((h.size, k)), 0.0 if k == 0 else matching.kappa
        self._curvature = h
        self._cross = cross @ self._vectors
        self._inverse = safe_inverse(h[:, None] * values + matching.ridge)
        self._R_B = R[:, k:] @ self._vectors
        self._radii = np.broadcast_to(np.asarray(radii, dtype=float), h.shape)
        self._columns = self._inside = None
        if structure is not None:
            n_inside = structure.sum(axis=1)
            self._columns = np.argsort(~structure, axis=1, kind="stable")[:, : max(n_inside.max(initial=0), 1)]
            self._inside = np.take_along_axis(structure, self._columns, axis=1)
            self._weights = np.take_along_axis(self._weights, self._columns, axis=1)
        if self._radii.any():
            self._hessian, self._linear, self._metric = self._programs(matching, XX)

    def _programs(self, matching, XX):
        """Return Hessians (n, k, k), linear terms (n, k) and the metric (n, k) that they are in, k <= n entries."""
        h, cross, columns, inside = matching.curvature, self._cross, self._columns, self._inside
        linear = matching.R[:, : cross.shape[0]] - h[:, None] * ((self._R_B * self._inverse) @ cross.T)
        if columns is not None:
            XX, cross = XX[columns[:, :, None], columns[:, None, :]], cross[columns]
            linear = np.where(inside, np.take_along_axis(linear, columns, axis=1), 0.0)
        explained = np.matmul(cross * (h[:, None] ** 2 * self._inverse)[:, None, :], np.swapaxes(cross, -1, -2))
        hessian = h[:, None, None] * XX - explained
        diagonal = np.arange(hessian.shape[1])
        hessian[:, diagonal, diagonal] += matching.ridge
        # In this metric the diagonal of every Hessian is 1.
        metric = positive_scales(np.sqrt(np.maximum(np.einsum("ijj->ij", hessian), 0.0)))
        hessian = hessian / metric[:, :, None] / metric[:, None, :]
        if inside is not None and not inside.all():  # rows with fewer entries than others
            hessian[~(inside[:, :, None] & inside[:, None, :])] = 0.0
            hessian[:, diagonal, diagonal] += ~inside
        return hessian, linear / metric, metric

    def minimise(self, start, tol, max_iter):
        """Return the best ``W = [A B]``, of shape (n, n + p) as ``start``; the rows exactly where they can be verified.

        ``tol`` and ``max_iter`` are those of :func:`~skimplicit.subproblems.ball_rows.minimise_in_balls`.
        """

        def solve(H, r, weights, radii, inside):
            return minimise_in_balls(H, r, weights, radii, inside, tol, max_iter)

        return self._solve(start, solve)

    def polish(self, W):
        """Return W with every row that is near enough to its minimiser replaced by it, shape (n, n + p)."""

        def solve(H, r, weights, radii, inside):
            # A step along the projected gradient drops entries that are zero but for the solver's rounding.
            slope = np.matmul(H, inside[:, :, None])[:, :, 0] - r
            near = project_rows_l1(inside - slope, radii, weights)
            exact, optimal = finish_in_balls(H, r, weights, radii, near)
            return np.where(optimal[:, None], exact, inside)

        return self._solve(W, solve)

    def _solve(self, start, solve_bound_rows):
        return self.complete(self._minimised(start[:, : self._cross.shape[0]], solve_bound_rows))

    def _minimised(self, start, solve_bound_rows):
        """Return the best A, shape (n, n) as ``start``; rows at their bound are solved for by ``solve_bound_rows``."""
        if not self._radii.any():
            return np.zeros_like(start)
        if self._columns is not None:
            start = np.take_along_axis(start, self._columns, axis=1)
        weights, start = self._weights / self._metric, start * self._metric
        A = minimise_within_balls(self._hessian, self._linear, weights, self._radii, start, solve_bound_rows)
        if self._inside is not None:
            A[~self._inside] = 0.0  # the eigenvectors of a singular program mix in rounding
        A = project_rows_l1(A / self._metric, self._radii, self._weights)
        if self._columns is None:
            return A
        whole = np.zeros((A.shape[0], self._cross.shape[0]))
        np.put_along_axis(whole, self._columns, A, axis=1)
        return whole

    def complete(self, A):
        """Return ``[A B]`` of shape (n, n + p) with the best B for A."""
        B = ((self._R_B - self._curvature[:, None] * (A @ self._cross)) * self._inverse) @ self._vectors.T
        return np.hstack([A, B])
