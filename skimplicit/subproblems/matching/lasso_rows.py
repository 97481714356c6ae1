"""The rows of a matching program with a penalty, a pattern or a row set on all of ``[A B]``: a lasso each, in a ball.

One small linear system for each row, of the size of its support, gives its exact minimiser. Which entries are not zero
is tried as it was at the start, and then found by accelerated proximal gradient, over all rows at once.
"""

import numpy as np
from scipy.linalg import LinAlgError

from skimplicit.linalg import CholeskyFactor
from skimplicit.projections import project_rows_l1
from skimplicit.subproblems.faces import FaceProgram, minimise_on_faces
from skimplicit.subproblems.fista import fista
from skimplicit.subproblems.quadratic_forms import MatrixForm

__all__ = ["minimise_lasso_rows", "soft_threshold"]

# Iterations of proximal gradient before the second attempt to finish exactly; each attempt after that doubles them.
_FIRST_ROUND = 64
# Most guesses of the support at each attempt: a proximal gradient step from the last solution gives the next, as long
# as fewer entries are wrong each time.
_GUESSES = 10
# Longest rows whose whole matrix is made; of longer ones, and with a penalty, that of the entries that are not zero.
_LONGEST = 1500
# Relative slack in the optimality conditions that an exact minimiser must meet.
_SLACK = 1e-9
# Ridge, as a share of the curvature of each entry, that makes a singular system definite: what rounding adds anyway.
_LEAST_RIDGE = 1e-13


def soft_threshold(V, level):
    """Return ``sign(v) max(|v| - level, 0)`` of every entry: the proximal operator of ``level |v|``.

    Parameters
    ----------
    V : ndarray
        The entries.
    level : float or ndarray
        Thresholds, at least 0, that broadcast with V.

    Returns
    -------
    ndarray
        A new array.
    """
    return np.copysign(np.maximum(np.abs(V) - level, 0.0), V)


def minimise_lasso_rows(matching, metric, step, start, tol, max_iter):
    """Minimise a matching program without a column budget, row by row.

    Parameters
    ----------
    matching : MatchingProblem
        The program.
    metric : ndarray of shape (n, N)
        Positive scales d; iterations are on ``W d``.
    step : float
        Step length in that metric.
    start : ndarray of shape (n, N)
        Where to start.
    tol : float
        Rows that no attempt finishes stop when no entry, in the metric, moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations of proximal gradient.

    Returns
    -------
    ndarray of shape (n, N)
        The minimiser: exact in the rows where the optimality conditions could be verified.

    Notes
    -----
    With S the support and s the signs of a row w, and theta >= 0 the multiplier of the bound on its part a in A,
    ``(h G + ridge I)_SS w_S = r_S - s (l1 + theta [in A])_S`` and ``theta = 0`` or ``||a||_1 = kappa``: that is
    linear. Balls of a row set take the place of that bound.
    Tsai, Gao and El Ghaoui (2025), algorithm 1, search theta by bisection over lasso programs instead.
    """
    allowed = matching.allowed()
    W, rows = start.copy(), np.arange(matching.n_hidden)
    done, size = 0, 0
    while rows.size and done < max_iter:
        program = _Rows(matching, rows, metric[rows], step, allowed[rows])
        before = W[rows] * program.metric
        X = fista(program.gradient, program.prox, step, before, tol, min(size, max_iter - done)) if size else before
        open_ = np.zeros(rows.size, dtype=bool)
        for k in range(rows.size):
            exact = program.finish(k, X[k])
            open_[k] = exact is None
            W[rows[k]] = X[k] / program.metric[k] if exact is None else exact
        moved = np.abs(X - before).max(axis=1) > tol * np.abs(X).max(axis=1)
        rows = rows[open_ & (moved | (size == 0))]
        done, size = done + size, 2 * size or _FIRST_ROUND
    return W


class _Rows:
    """Some rows of the program in the metric."""

    def __init__(self, matching, rows, metric, step, allowed):
        self.matching, self.metric, self.step, self.allowed = matching, metric, step, allowed
        self.h, self.R = matching.curvature[rows, None], matching.R[rows]
        self.l1 = np.zeros_like(metric) if matching.l1 is None else matching.l1[rows]
        self.level = step * self.l1 / metric
        weights, radius, signs = matching.balls()
        self.radius = np.broadcast_to(np.asarray(radius, dtype=float), len(signs))[rows]
        self.weights, self.signs = weights[rows], signs[rows]

    def gradient(self, X):
        W = X / self.metric
        return (self.h * (W @ self.matching.G) + self.matching.ridge * W - self.R) / self.metric

    def prox(self, V, rows=slice(None)):
        """Soft-threshold, then project on the ball: together they are the proximal operator of penalty and bound."""
        X = np.where(self.allowed[rows], soft_threshold(V, self.level[rows]), 0.0)
        X = np.where(self.signs[rows] * X < 0, 0.0, X)
        k = self.matching.n_in_balls
        X[:, :k] = project_rows_l1(X[:, :k], self.radius[rows], self.weights[rows, :k] / self.metric[rows, :k])
        return X

    def finish(self, k, x):
        """Return the exact minimiser of row k, from a guess x of its support and signs in the metric, or None."""
        by_faces = self.matching.l1 is None and x.size <= _LONGEST
        return self._on_face(k, x) if by_faces else self._on_support(k, x)

    def _hessian(self, k, entries):
        """Return the curvature of some entries of row k; definite, also where there are fewer samples than entries."""
        hessian = self.h[k, 0] * self.matching.G.principal(entries)
        ridge = np.maximum(self.matching.ridge, _LEAST_RIDGE * self.metric[k, entries] ** 2)
        hessian[np.diag_indices(entries.size)] += ridge
        return hessian

    def _on_face(self, k, x):
        """Exchange active sets, from the face that x is in."""
        on, inside = np.flatnonzero(self.allowed[k]), self.allowed[k, : self.matching.n_in_balls].sum()
        hessian = self._hessian(k, on)
        ball, weights = np.arange(on.size) >= inside, self.weights[k, on]
        weights[ball] = 1.0  # of entries in no ball: one without an end
        radii = np.array([self.radius[k], np.inf])
        program = FaceProgram(MatrixForm(hessian), -self.R[k, on], ball.astype(int), radii, weights, self.signs[k, on])
        exact = minimise_on_faces(program, x[on] / self.metric[k, on])
        if exact is None:
            return None
        w = np.zeros(x.size)
        w[on] = exact
        return w

    def _on_support(self, k, x):
        """Solve on the support, as long as a proximal gradient step from the solution leaves less of it wrong."""
        matching, h, r, l1 = self.matching, self.h[k, 0], self.R[k], self.l1[k]
        weights, signs = self.weights[k], self.signs[k]
        # In the metric: slopes by states and by inputs are in other units.
        smallest, fewest = _SLACK * self.metric[k] * np.abs(r / self.metric[k]).max(initial=0.0), np.inf
        for _ in range(_GUESSES):
            support = np.flatnonzero(x)
            sign = np.sign(x[support])
            normal = weights[support] * sign
            try:
                factor = CholeskyFactor(self._hessian(k, support))
            except LinAlgError:
                return None
            targets = np.column_stack([r[support] - l1[support] * sign, normal])
            free, response = factor.solve(targets).T
            theta = max(normal @ free - self.radius[k], 0.0) / (normal @ response) if normal.any() else 0.0
            w = np.zeros_like(x)
            w[support] = free - theta * response
            slope = h * (w[None] @ matching.G)[0] + matching.ridge * w - r
            price = l1 + theta * weights
            slack = _SLACK * price + smallest
            wrong = (np.where(signs == 0, np.abs(slope), -slope * signs) > price + slack) & self.allowed[k] & (w == 0)
            wrong[support] |= np.abs(slope[support] + price[support] * sign) > slack[support]
            held = ((l1 + weights)[support] > 0) | (signs[support] != 0)
            n_wrong = np.count_nonzero(wrong) + np.count_nonzero(held & (w[support] * sign < 0))
            if n_wrong == 0:
                return w
            if n_wrong >= fewest:
                return None
            fewest = n_wrong
            x = self.prox((w * self.metric[k] - self.step * slope / self.metric[k])[None], slice(k, k + 1))[0]
        return None
