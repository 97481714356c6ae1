"""The own solver of the curvature block: what is free is eliminated, the rows of A are solved by their active sets."""

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from skimplicit.projections import project_rows_l1

__all__ = ["WorkingSetSolver"]

# Rounds of the active-set iteration; it settles in three to six or cycles, and then the splitting takes over.
_ROUNDS = 20
# Slack in the optimality conditions that an exact minimiser must meet, relative to the slopes at zero.
_SLACK = 1e-9


class WorkingSetSolver:
    """Solve curvature problems without custom constraints.

    Without a budget, B and b are free: they are eliminated by a Schur complement. What is left is a program in the
    moving entries of A, whose rows are in l1 balls. An active-set iteration finds which balls bind and which entries
    are zero; its end is the exact minimiser, for its optimality conditions have been verified. Where it cycles, and
    under a budget, alternating directions (ADMM) with one factorisation give a feasible point near the minimiser.

    Parameters
    ----------
    tol : float
        The splitting stops when no entry moves by more than ``tol`` times the bound.
    max_iter : int
        Most iterations of the splitting.
    """

    def __init__(self, tol=1e-9, max_iter=2000):
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, problem):
        """Return the minimiser.

        Parameters
        ----------
        problem : CurvatureProblem
            The problem.

        Returns
        -------
        W : ndarray of shape (n, n + p)
            The minimiser, exactly inside the bounds.
        lift : ndarray of shape (n,)
            The lift of the mean pre-activations.

        Raises
        ------
        ValueError
            If the problem has custom constraints.
        """
        if problem.constraints is not None:
            raise ValueError("The working-set solver cannot take custom constraints; use solver='cvxpy'.")
        Q, linear = problem.system()
        bounded = self._n_bounded(problem)
        eliminated = _Eliminated(Q, linear, bounded)
        rows, columns = (index[:bounded] for index in problem.entries)
        start = problem.V[rows, columns]
        if problem.budget is None:
            found = _active_sets(eliminated, start, rows, problem)
        else:
            found = None
        if found is None:
            found = self._split(eliminated, start, rows, columns, problem)
        W, lift = problem.at(eliminated.complete(found - start))
        return problem.project(W), lift

    @staticmethod
    def _n_bounded(problem):
        """Return how many of the first variables are subject to bounds."""
        n = problem.n_hidden
        in_A = int(np.count_nonzero(problem.moving[:, :n]))
        return in_A if problem.budget is None else in_A + int(np.count_nonzero(problem.moving[:, n:]))

    def _split(self, eliminated, start, rows, columns, problem):
        """Minimise over the bounded entries by ADMM; return them, a feasible ndarray."""
        if start.size == 0:
            return start
        Q, linear = eliminated.Q, eliminated.linear
        weight = float(np.trace(Q)) / start.size
        inverse = np.linalg.inv(Q + weight * np.eye(start.size))
        fixed = Q @ start - linear
        inside, dual = start, np.zeros_like(start)
        W = problem.V.copy()
        # Entries of A that do not move take their part of the ball; they are zero in every working set of training.
        for _ in range(self.max_iter):
            free = inverse @ (fixed + weight * (inside - dual))
            before = inside
            W[rows, columns] = free + dual
            inside = problem.project(W)[rows, columns]
            dual = dual + free - inside
            largest = max(np.abs(free - inside).max(), np.abs(inside - before).max())
            if largest <= self.tol * max(np.abs(inside).max(), problem.kappa):
                break
        return inside


class _Eliminated:
    """The quadratic program in its first variables alone, the others at their best (Schur complement).

    Parameters
    ----------
    Q : ndarray of shape (P, P)
        Positive definite matrix.
    linear : ndarray of shape (P,)
        Linear term.
    kept : int
        Number of variables that stay.
    """

    def __init__(self, Q, linear, kept):
        self._factor = cholesky(Q[kept:, kept:], lower=True, check_finite=False)
        right = np.column_stack([Q[kept:, :kept], linear[kept:]])
        self._half = solve_triangular(self._factor, right, lower=True, check_finite=False)
        cross, constant = self._half[:, :-1], self._half[:, -1]
        self.Q = Q[:kept, :kept] - cross.T @ cross
        self.linear = linear[:kept] - cross.T @ constant

    def complete(self, d):
        """Return all variables, shape (P,), for the first ones d."""
        target = -(self._half[:, -1] + self._half[:, :-1] @ d)
        rest = solve_triangular(self._factor, target, lower=True, trans="T", check_finite=False)
        return np.concatenate([d, rest])


def _active_sets(eliminated, start, rows, problem):
    """Return the exact minimiser over the entries of A, or None where the iteration does not settle.

    Parameters
    ----------
    eliminated : _Eliminated
        ``1/2 d'Q d + linear'd``, d the moves of the entries.
    start : ndarray of shape (k,)
        Entries before the move.
    rows : ndarray of int of shape (k,)
        Row of each entry.
    problem : CurvatureProblem
        The problem; gives the bound.
    """
    n, kappa, k = problem.n_hidden, problem.kappa, start.size
    if k == 0 or kappa == 0:
        return np.zeros(k)
    Q, linear = eliminated.Q, eliminated.linear - eliminated.Q @ start  # in the entries themselves
    size = np.abs(linear).max()  # slopes are small or large with the unit of the objective
    try:
        free = -cho_solve((cholesky(Q, lower=True, check_finite=False), True), linear, check_finite=False)
    except LinAlgError:
        return None
    binding = np.bincount(rows, np.abs(free), minlength=n) > kappa
    if not binding.any():
        return free
    # A row that binds starts from the zeros it has, or else from those of the projection of its free minimiser.
    was_binding = np.bincount(rows, np.abs(start), minlength=n) >= kappa * (1 - 1e-9)
    shrunk = _projected(free, rows, n, kappa)
    signs = np.where(binding[rows], np.sign(np.where(was_binding[rows], start, shrunk)), np.nan)
    for _ in range(_ROUNDS):
        point, multiplier = _on_face(Q, linear, rows, signs, binding, kappa)
        if point is None:
            return None
        slope = Q @ point + linear
        scale = _SLACK * (size + np.abs(multiplier))
        bound_entry = binding[rows]
        total = np.bincount(rows, np.abs(point), minlength=n)
        newly = ~binding & (total > kappa * (1 + 1e-12))
        released = binding & (multiplier < -scale)
        flipped = bound_entry & (signs != 0) & (signs * point < 0)
        entering = bound_entry & (signs == 0) & (np.abs(slope) > multiplier[rows] + scale[rows])
        if not (newly.any() or released.any() or flipped.any() or entering.any()):
            return point
        signs = np.where(flipped, 0.0, signs)
        signs = np.where(entering, -np.sign(slope), signs)
        binding = (binding | newly) & ~released
        if newly.any():
            fresh = newly[rows]
            signs[fresh] = np.sign(_projected(point, rows, n, kappa)[fresh])
        signs[released[rows]] = np.nan
    return None


def _on_face(Q, linear, rows, signs, binding, kappa):
    """Minimise with the signs held: ``sum_j sign_j a_j = kappa`` in every row that binds, zeros where the sign is 0."""
    free = np.flatnonzero(signs != 0)  # NaN, an entry of a row that does not bind, is free too
    active = np.flatnonzero(binding)
    face = np.where((rows[free][:, None] == active) & binding[rows[free]][:, None], signs[free][:, None], 0.0)
    multiplier = np.zeros(binding.size)
    try:
        factor = cholesky(Q[np.ix_(free, free)], lower=True, check_finite=False)
        half = solve_triangular(factor, np.column_stack([face, linear[free]]), lower=True, check_finite=False)
        cross, constant = half[:, :-1], half[:, -1]
        multiplier[active] = np.linalg.solve(cross.T @ cross, -kappa - cross.T @ constant)
    except (LinAlgError, np.linalg.LinAlgError):
        return None, multiplier
    inside = -(constant + cross @ multiplier[active])
    point = np.zeros(signs.size)
    point[free] = solve_triangular(factor, inside, lower=True, trans="T", check_finite=False)
    return (point if np.isfinite(point).all() else None), multiplier


def _projected(entries, rows, n, kappa):
    """Return the entries of the rows projected on their l1 balls."""
    counts = np.bincount(rows, minlength=n)
    place = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.zeros((n, counts.max(initial=1)))
    padded[rows, place] = entries
    return project_rows_l1(padded, kappa)[rows, place]
