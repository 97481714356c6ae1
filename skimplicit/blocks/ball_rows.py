"""Small quadratic programs in l1 balls, many at once: the rows of A once B has been eliminated.

Accelerated projected gradient finds which entries are zero, then one linear system for each row gives its exact
minimiser.
"""

import numpy as np

from skimplicit.projections import project_rows_l1

__all__ = ["finish_in_balls", "fista", "minimise_in_balls"]

# Iterations of projected gradient between two attempts to finish exactly.
_ROUND = 12
# Guesses of the support at each attempt: a projected gradient step from the last solution gives the next.
_GUESSES = 4
# Relative slack in the optimality conditions that an exact minimiser must meet.
_SLACK = 1e-9


def minimise_in_balls(H, r, weights, radius, start, tol, max_iter):
    """Minimise ``1/2 x' H_i x - r_i x`` subject to ``sum_j w_ij |x_j| <= radius``, for rows whose bound is active.

    Parameters
    ----------
    H : ndarray of shape (k, n, n)
        Positive semidefinite matrices with ones on the diagonal.
    r : ndarray of shape (k, n)
        Linear terms.
    weights : ndarray of shape (k, n)
        Positive weights.
    radius : float
        Radius of the balls.
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
    X = start.copy()
    rows = np.arange(X.shape[0])
    step = None
    # The first attempt is on the start itself: in training the support of most rows is that of the step before.
    for attempt in range(1 + max(max_iter // _ROUND, 1)):
        H_rows, r_rows, w_rows = H[rows], r[rows], weights[rows]

        def gradient(Y, H=H_rows, r=r_rows):
            return np.matmul(H, Y[:, :, None])[:, :, 0] - r

        def project(Y, w=w_rows):
            return project_rows_l1(Y, radius, w)

        before = X[rows]
        if attempt == 0:
            after = before.copy()
        else:
            step = 1.0 / _largest_eigenvalue_bound(H) if step is None else step
            after = fista(gradient, project, step[rows, None], before, tol, _ROUND)
        exact, optimal = finish_in_balls(H_rows, r_rows, w_rows, radius, after)
        X[rows] = after = np.where(optimal[:, None], exact, after)
        moved = np.abs(after - before).max(axis=1) > tol * np.abs(after).max(axis=1)
        rows = rows[~optimal & (moved | (attempt == 0))]
        if rows.size == 0:
            break
    return X


def finish_in_balls(H, r, weights, radius, X):
    """Return the exact minimisers of rows whose support, with signs, is that of X or can be read off nearby.

    Parameters
    ----------
    H, r, weights, radius : ndarray, ndarray, ndarray, float
        As for :func:`minimise_in_balls`.
    X : ndarray of shape (k, n)
        Feasible rows near the minimisers.

    Returns
    -------
    exact : ndarray of shape (k, n)
        The minimisers of the rows that are ``optimal``.
    optimal : ndarray of bool of shape (k,)
        Rows whose optimality conditions have been verified.
    """
    found, optimal, guess = X.copy(), np.zeros(X.shape[0], dtype=bool), X
    for _ in range(_GUESSES):
        exact, solved = _solve_on_support(H, r, weights, radius, guess)
        found[solved & ~optimal] = exact[solved & ~optimal]
        optimal |= solved
        if optimal.all():
            break
        guess = project_rows_l1(exact - np.matmul(H, exact[:, :, None])[:, :, 0] + r, radius, weights)
    return found, optimal


def _solve_on_support(H, r, weights, radius, X):
    """Solve ``H x - r + theta w sign = 0``, ``w |x| = radius`` on the support of X; say which are optimal."""
    k, n = X.shape
    support = X != 0
    size = max(int(support.sum(axis=1).max(initial=0)), 1)
    columns = np.argsort(~support, axis=1, kind="stable")[:, :size]
    row = np.arange(k)[:, None]
    inside = support[row, columns]
    pull = np.where(inside, weights[row, columns] * np.sign(X[row, columns]), 0.0)
    system = np.zeros((k, size + 1, size + 1))
    pairs = inside[:, :, None] & inside[:, None, :]
    system[:, :size, :size] = np.where(pairs, H[row[:, :, None], columns[:, :, None], columns[:, None, :]], 0.0)
    system[:, np.arange(size), np.arange(size)] += ~inside
    system[:, :size, size] = system[:, size, :size] = pull
    target = np.concatenate([np.where(inside, r[row, columns], 0.0), np.full((k, 1), radius)], axis=1)
    try:
        solution = np.linalg.solve(system, target[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return X, np.zeros(k, dtype=bool)
    exact = np.zeros_like(X)
    np.put_along_axis(exact, columns, np.where(inside, solution[:, :size], 0.0), axis=1)
    multiplier = solution[:, size:]
    slope = np.abs(np.matmul(H, exact[:, :, None])[:, :, 0] - r)
    same_signs = np.all(exact * X >= 0, axis=1)
    stationary = np.all(slope <= multiplier * weights * (1 + _SLACK) + _SLACK * np.abs(r), axis=1)
    return exact, np.isfinite(exact).all(axis=1) & same_signs & stationary


def fista(gradient, project, step, X, tol, max_iter):
    """Minimise a smooth convex function over a set by accelerated projected gradient with restart.

    Parameters
    ----------
    gradient, project : callable
        Gradient of the function, and projection on the set, of an array of the shape of X.
    step : float or ndarray
        Step length, at most 1 over the Lipschitz constant of the gradient (for each row).
    X : ndarray
        Feasible start.
    tol : float
        Stop when no entry moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations.

    Returns
    -------
    ndarray
        The last iterate, feasible.

    Notes
    -----
    Gradient restart of O'Donoghue and Candes (2015).
    """
    Y, t = X, 1.0
    for _ in range(max_iter):
        new = project(Y - step * gradient(Y))
        move = new - X
        if np.sum((Y - new) * move) > 0:
            t, Y = 1.0, new
        else:
            following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
            Y, t = new + (t - 1.0) / following * move, following
        X = new
        if np.abs(move).max() <= tol * np.abs(X).max():
            break
    return X


def _largest_eigenvalue_bound(H):
    """Return upper bounds of the largest eigenvalues, ``||H^4||_F^(1/4)``: too large by n^(1/8) at the most."""
    fourth = np.matmul(H, H)
    fourth = np.matmul(fourth, fourth)
    return np.sqrt(np.sqrt(np.linalg.norm(fourth, axis=(1, 2))))
