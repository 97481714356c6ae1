"""The matching program without a budget: B is free and is eliminated, what is left are programs over the rows of A."""

import numpy as np

from skimplicit.linalg import positive_scales
from skimplicit.projections import project_rows_l1
from skimplicit.subproblems.matching.ball_rows import finish_in_balls, minimise_in_balls

__all__ = ["RowPrograms"]


class RowPrograms:
    """Minimise ``1/2 a' H_i a - r_i a`` over every row a of A, ``||a||_1 <= kappa_i``: the Schur complement of G.

    For a given A the best B has a closed form, :meth:`complete`. The rows do not depend on one another, and a row's
    program is in the entries that may be non-zero alone.

    Parameters
    ----------
    matching : MatchingProblem
        A program whose B is free, without custom constraints, and whose R comes from states and inputs as G does: it
        has nothing where the inputs never vary.
    """

    def __init__(self, matching):
        h, G, R = matching.curvature, matching.G, matching.R
        k = matching.n_recurrent
        values, self._vectors = G.inputs.eigen
        self._curvature = h
        self._cross = G.XU @ self._vectors
        self._inverse = _safe_inverse(h[:, None] * values + matching.ridge)
        self._R_B = R[:, k:] @ self._vectors
        self.kappa = np.broadcast_to(np.asarray(0.0 if k == 0 else matching.kappa, dtype=float), h.shape)
        self._columns = self._inside = None
        if matching.structure is not None:
            n_inside = matching.structure.sum(axis=1)
            self._columns = np.argsort(~matching.structure, axis=1, kind="stable")[:, : max(n_inside.max(initial=0), 1)]
            self._inside = np.take_along_axis(matching.structure, self._columns, axis=1)
        if self.kappa.any():
            self._hessian, self._linear, self._metric = self._programs(matching)

    def _programs(self, matching):
        """Return Hessians (n, k, k), linear terms (n, k) and the metric (n, k) that they are in, k <= n entries."""
        h, XX, cross, columns, inside = matching.curvature, matching.G.XX, self._cross, self._columns, self._inside
        linear = matching.R[:, : h.size] - h[:, None] * ((self._R_B * self._inverse) @ cross.T)
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
        """Return the best A, of shape (n, n) as ``start``; the rows exactly where they can be verified.

        ``tol`` and ``max_iter`` are those of :func:`~skimplicit.subproblems.matching.ball_rows.minimise_in_balls`.
        """
        if not self.kappa.any():
            return np.zeros_like(start)

        def solve(H, r, weights, radii, inside):
            return minimise_in_balls(H, r, weights, radii, inside, tol, max_iter)

        return self._solve(start, solve)

    def polish(self, A):
        """Return A with every row that is near enough to its minimiser replaced by it, shape (n, n)."""
        if not self.kappa.any():
            return np.zeros_like(A)

        def solve(H, r, weights, radii, inside):
            # A step along the projected gradient drops entries that are zero but for the solver's rounding.
            slope = np.matmul(H, inside[:, :, None])[:, :, 0] - r
            near = project_rows_l1(inside - slope, radii, weights)
            exact, optimal = finish_in_balls(H, r, weights, radii, near)
            return np.where(optimal[:, None], exact, inside)

        return self._solve(A, solve)

    def _solve(self, start, solve_bound_rows):
        if self._columns is not None:
            start = np.take_along_axis(start, self._columns, axis=1)
        A = _solve_each(self._hessian, self._linear) / self._metric
        if self._inside is not None:
            A[~self._inside] = 0.0  # the eigenvectors of a singular program mix in rounding
        A[self.kappa == 0] = 0.0
        bound = np.flatnonzero(np.abs(A).sum(axis=1) > self.kappa)
        if bound.size:
            weights, radii = 1.0 / self._metric[bound], self.kappa[bound]
            inside = project_rows_l1(start[bound] * self._metric[bound], radii, weights)
            X = solve_bound_rows(self._hessian[bound], self._linear[bound], weights, radii, inside)
            A[bound] = project_rows_l1(X * weights, radii)
        if self._columns is None:
            return A
        whole = np.zeros((A.shape[0], self._cross.shape[0]))
        np.put_along_axis(whole, self._columns, A, axis=1)
        return whole

    def complete(self, A):
        """Return ``[A B]`` of shape (n, n + p) with the best B for A."""
        B = ((self._R_B - self._curvature[:, None] * (A @ self._cross)) * self._inverse) @ self._vectors.T
        return np.hstack([A, B])


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


def _safe_inverse(values):
    """Return 1 / values, and 0 where a value is zero to rounding beside the largest (the minimum-norm choice)."""
    cutoff = values.max(axis=-1, keepdims=True, initial=0.0) * values.shape[-1] * np.finfo(float).eps
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > cutoff)
