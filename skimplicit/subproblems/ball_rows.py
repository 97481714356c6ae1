"""Small quadratic programs in l1 balls, many at once: rows of weights, such as those of A once B has been eliminated.

Once it is known which entries are zero, one linear system for each row gives its exact minimiser. What is known comes
from the start, from a few steps of accelerated projected gradient, or from the path of lasso solutions, in this order;
where a solution is not the minimiser, what it breaks of the optimality conditions says what to exchange.
"""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram

from skimplicit.projections import project_rows_l1
from skimplicit.quiet import without_warnings
from skimplicit.subproblems.fista import fista

__all__ = ["finish_in_balls", "minimise_in_balls", "minimise_within_balls", "safe_inverse"]

# Iterations of projected gradient before an attempt to finish exactly.
_ROUND = 12
# Guesses of the support at each attempt. What is wrong by the conditions is exchanged; every so many guesses, and where
# the bound does not hold a row back, a projected gradient step gives the next, which ends most cycles. Defaults on iris
# and 300 moons: 4, 8, 12, 20 guesses leave 72, 10, 4, 4 and 264, 54, 26, 12 of some 5,000 rows to the path below.
_GUESSES, _STEP_AT = 12, 4
# Where the path has not led to the minimiser either, H is all but singular and guesses are wasted.
_LATER_GUESSES = 2
# Power of two of the largest weight in the search of a path, and of one over the largest slope: its thresholds, 1e-7
# for columns that are nearly dependent, are absolute.
_PATH_EXPONENT = -64
# Relative slack in the optimality conditions that an exact minimiser must meet.
_SLACK = 1e-9


def minimise_within_balls(H, r, weights, radii, start, solve_bound_rows):
    """Minimise ``1/2 x' H_i x - r_i x`` subject to ``sum_j w_ij |x_j| <= radius_i``, active or not.

    Parameters
    ----------
    H, r, weights, radii : ndarray
        As for :func:`minimise_in_balls`, for k rows; a radius may be 0.
    start : ndarray of shape (k, n)
        Rows to start from.
    solve_bound_rows : callable
        Minimises over the rows whose free minimiser is outside the ball: of their H, r, weights, radii and starts,
        inside their balls, it makes those.

    Returns
    -------
    ndarray of shape (k, n)
        The minimisers.
    """
    X = _solve_each(H, r)
    X[radii == 0] = 0.0
    bound = np.flatnonzero((weights * np.abs(X)).sum(axis=1) > radii)
    if bound.size:
        inside = project_rows_l1(start[bound], radii[bound], weights[bound])
        X[bound] = solve_bound_rows(H[bound], r[bound], weights[bound], radii[bound], inside)
    return X


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
    moved = np.matmul(vectors.transpose(0, 2, 1), r[:, :, None]) * safe_inverse(values)[:, :, None]
    return np.matmul(vectors, moved)[:, :, 0]


def safe_inverse(values):
    """Return 1 / values, and 0 where a value is zero to rounding beside the largest (the minimum-norm choice).

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Values, at least 0; the last axis is compared.

    Returns
    -------
    ndarray of shape (..., n)
        Their inverses.
    """
    cutoff = values.max(axis=-1, keepdims=True, initial=0.0) * values.shape[-1] * np.finfo(float).eps
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > cutoff)


def minimise_in_balls(H, r, weights, radius, start, tol, max_iter):
    """Minimise ``1/2 x' H_i x - r_i x`` subject to ``sum_j w_ij |x_j| <= radius_i``, for rows whose bound is active.

    Parameters
    ----------
    H : ndarray of shape (k, n, n)
        Positive semidefinite matrices with ones on the diagonal.
    r : ndarray of shape (k, n)
        Linear terms.
    weights : ndarray of shape (k, n)
        Positive weights.
    radius : float or ndarray of shape (k,)
        Radii of the balls, positive.
    start : ndarray of shape (k, n)
        Feasible rows to start from.
    tol : float
        Rows that no attempt finishes stop when no entry moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations of projected gradient.

    Returns
    -------
    ndarray of shape (k, n)
        Feasible minimisers: exact where the optimality conditions could be verified.
    """
    # The first attempt is on the start itself: in training the support of most rows is that of the step before.
    X, radius = start.copy(), np.broadcast_to(np.asarray(radius, dtype=float), start.shape[:1])
    exact, optimal = finish_in_balls(H, r, weights, radius, X)
    X[optimal] = exact[optimal]
    if optimal.all():
        return X
    step = np.empty((len(X), 1))
    step[~optimal] = (1.0 / _largest_eigenvalue_bound(H[~optimal]))[:, None]

    def descend(rows, n_iter, guesses):
        """Run projected gradient on some rows, finish those that can be, and return which are left."""
        H_rows, r_rows, w_rows, radii = H[rows], r[rows], weights[rows], radius[rows]

        def gradient(Y):
            return np.matmul(H_rows, Y[:, :, None])[:, :, 0] - r_rows

        def project(Y):
            return project_rows_l1(Y, radii, w_rows)

        after = fista(gradient, project, step[rows], X[rows], tol, n_iter)
        exact, optimal = finish_in_balls(H_rows, r_rows, w_rows, radii, after, guesses)
        X[rows] = np.where(optimal[:, None], exact, after)
        return rows[~optimal]

    rows = descend(np.flatnonzero(~optimal), min(_ROUND, max_iter), _GUESSES)
    rows = np.array([i for i in rows if not _follow_path(H[i], r[i], weights[i], radius[i], X[i])], dtype=int)
    for _ in range(_ROUND, max_iter, _ROUND):
        if rows.size == 0:
            break
        before = X[rows]
        remaining = descend(rows, _ROUND, _LATER_GUESSES)
        moved = np.abs(X[rows] - before).max(axis=1) > tol * np.abs(X[rows]).max(axis=1)
        rows = np.intersect1d(remaining, rows[moved], assume_unique=True)
    return X


def _follow_path(H, r, weights, radius, x):
    """Find the minimiser of one row on the path of lasso solutions, write it to x, and tell whether it is verified."""
    # By powers of two: the search takes columns for dependent, and slopes for zero, below sizes that are not relative.
    exponent = _PATH_EXPONENT - int(np.frexp(weights.max())[1])
    scaled = np.ldexp(weights, exponent)
    with np.errstate(over="ignore"):
        linear, hessian = r / scaled, H / scaled / scaled[:, None]
    if not (np.isfinite(linear).all() and np.isfinite(hessian).all()):  # weights without squares
        return False
    unit = int(np.frexp(np.abs(linear).max())[1]) + _PATH_EXPONENT
    try:
        with without_warnings(ConvergenceWarning):  # the conditions are verified here
            path = lars_path_gram(np.ldexp(linear, -unit), hessian, n_samples=1, method="lasso")[2]
    except Exception:  # of LAPACK, without a name: where weights are many decades apart it may solve for no column
        return False
    norms, within = np.abs(path).sum(axis=0), np.ldexp(radius, exponent - unit)
    after = int(np.argmax(norms >= within))
    if not norms[after] >= within > norms[after - 1]:
        return False
    share = (within - norms[after - 1]) / (norms[after] - norms[after - 1])
    crossing = np.ldexp(path[:, after - 1] + share * (path[:, after] - path[:, after - 1]), unit) / scaled
    exact, optimal = finish_in_balls(H[None], r[None], weights[None], np.array([radius]), crossing[None])
    if optimal[0]:
        x[:] = exact[0]
    return bool(optimal[0])


def finish_in_balls(H, r, weights, radius, X, guesses=_GUESSES):
    """Return the exact minimisers of rows whose support, with signs, is that of X or can be read off nearby.

    Parameters
    ----------
    H, r, weights, radius : ndarray, ndarray, ndarray, ndarray of shape (k,)
        As for :func:`minimise_in_balls`.
    X : ndarray of shape (k, n)
        Feasible rows near the minimisers.
    guesses : int
        Most guesses of the support.

    Returns
    -------
    exact : ndarray of shape (k, n)
        The minimisers of the rows that are ``optimal``.
    optimal : ndarray of bool of shape (k,)
        Rows whose optimality conditions have been verified.
    """
    found, rows, guess = X.copy(), np.arange(X.shape[0]), X
    for number in range(1, guesses + 1):
        exact, slope, multiplier = _solve_on_support(H, r, weights, radius, guess)
        solved = _are_optimal(exact, slope, multiplier, r, weights, guess)
        found[rows[solved]] = exact[solved]
        left = ~solved
        rows = rows[left]
        if rows.size == 0:
            break
        H, r, weights, radius, guess = H[left], r[left], weights[left], radius[left], guess[left]
        exact, slope, multiplier = exact[left], slope[left], multiplier[left]
        exchanged = _exchanged(exact, slope, multiplier, weights, guess)
        cannot = ~((multiplier > 0) & np.isfinite(exact).all(axis=1, keepdims=True))
        step = cannot | (number % _STEP_AT == 0)
        if step.any():
            exact = np.where(cannot, guess, exact)  # NaN, or not what the bound holds back
            gradient = np.matmul(H, exact[:, :, None])[:, :, 0] - r
            exchanged = np.where(step, project_rows_l1(exact - gradient, radius, weights), exchanged)
        guess = exchanged
    optimal = np.ones(X.shape[0], dtype=bool)
    optimal[rows] = False
    return found, optimal


def _solve_on_support(H, r, weights, radius, X):
    """Solve ``H x - r + theta w sign = 0``, ``w |x| = radius`` on the supports of X; return x, ``H x - r`` and theta.

    All are NaN where a system is singular.
    """
    k, n = X.shape
    support = X != 0
    size = max(int(support.sum(axis=1).max(initial=0)), 1)
    columns = np.argsort(~support, axis=1, kind="stable")[:, :size]
    row = np.arange(k)[:, None]
    inside = support[row, columns]
    normal = np.where(inside, weights[row, columns] * np.sign(X[row, columns]), 0.0)
    system = np.zeros((k, size + 1, size + 1))
    pairs = inside[:, :, None] & inside[:, None, :]
    system[:, :size, :size] = np.where(pairs, H[row[:, :, None], columns[:, :, None], columns[:, None, :]], 0.0)
    system[:, np.arange(size), np.arange(size)] += ~inside
    system[:, :size, size] = system[:, size, :size] = normal
    target = np.concatenate([np.where(inside, r[row, columns], 0.0), radius[:, None]], axis=1)
    try:
        solution = np.linalg.solve(system, target[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        solution = np.full(target.shape, np.nan)
    exact = np.zeros_like(X)
    np.put_along_axis(exact, columns, np.where(inside, solution[:, :size], 0.0), axis=1)
    return exact, np.matmul(H, exact[:, :, None])[:, :, 0] - r, solution[:, size:]


def _are_optimal(exact, slope, multiplier, r, weights, guess):
    """Return which rows meet the optimality conditions: signs as guessed, no slope above what the bound pays."""
    same_signs = np.all(exact * guess >= 0, axis=1)
    stationary = np.all(np.abs(slope) <= multiplier * weights * (1 + _SLACK) + _SLACK * np.abs(r), axis=1)
    return np.isfinite(exact).all(axis=1) & same_signs & stationary


def _exchanged(exact, slope, multiplier, weights, guess):
    """Return the signs guessed next: entries of the wrong sign leave, zeros whose slope is above the bound's enter."""
    signs = np.where(exact * guess < 0, 0.0, np.sign(guess))
    entering = (guess == 0) & (np.abs(slope) > multiplier * weights)
    return np.where(entering, -np.sign(slope), signs)


def _largest_eigenvalue_bound(H):
    """Return upper bounds of the largest eigenvalues, ``||H^4||_F^(1/4)``: too large by n^(1/8) at the most."""
    fourth = np.matmul(H, H)
    fourth = np.matmul(fourth, fourth)
    return np.sqrt(np.sqrt(np.linalg.norm(fourth, axis=(1, 2))))
