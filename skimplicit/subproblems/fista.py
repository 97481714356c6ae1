"""Accelerated projected gradient, for every subproblem that it takes."""

import numpy as np

__all__ = ["fista"]


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
        if np.vdot(Y - new, move) > 0:
            t, Y = 1.0, new
        else:
            following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t))
            Y, t = new + (t - 1.0) / following * move, following
        X = new
        if np.abs(move).max() <= tol * np.abs(X).max():
            break
    return X
