"""The monotone test: ``I - A`` is strongly monotone in a diagonal metric, and the rate of its splitting method."""

import numpy as np

__all__ = ["diagonal_scaling", "monotone_amplification", "resolvent_rate"]

# A margin below this, relative to the size of A, may be an effect of rounding or of the solver's tolerance.
_MARGIN = 1e-9


def diagonal_scaling(A, *, lmi=True):
    """Return w > 0 such that ``2 W - W A - A' W`` is positive definite, ``W = diag(w)``, or None.

    Then ``x = phi(A x + z)`` is well posed for every phi that acts on each coordinate with slopes in [0, 1].

    Parameters
    ----------
    A : ndarray of shape (n, n)
        The matrix.
    lmi : bool
        Whether to search w by a semidefinite program if w = 1 fails.

    Returns
    -------
    ndarray of shape (n,) or None
        The metric, checked by eigenvalues whatever the solver says; None if none was found.

    Notes
    -----
    Sources: Winston and Kolter (2020) for w = 1, Revay, Wang and Manchester (2020) for any w. For ReLU it says that
    I - A is diagonally stable, hence a P-matrix.
    """
    ones = np.ones(A.shape[0])
    if _is_monotone(A, ones):
        return ones
    # By Lyapunov's theorem no metric does, diagonal or not, where an eigenvalue of I - A is not right of zero: numbers
    # that cost no program.
    w = _search(A) if lmi and np.linalg.eigvals(A).real.max() < 1.0 else None
    return w if w is not None and _is_monotone(A, w) else None


def resolvent_rate(A, w):
    """Return ``||S (2 I - S)^-1||_2`` with ``S = W^1/2 A W^-1/2``, below 1 when the metric w passes the test.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        The matrix.
    w : ndarray of shape (n,)
        The metric.

    Returns
    -------
    float
        Rate of the Peaceman-Rachford splitting with unit step: the norm of the Cayley transform of ``I - S``.
    """
    S = _scaled(A, w)
    return float(np.linalg.norm(np.linalg.solve((2 * np.eye(A.shape[0]) - S).T, S.T), 2))


def monotone_amplification(A, w):
    """Return c with ``max_i |x_i - x*_i| <= c max_i |x_i - phi(A x + z)_i|`` for slopes of phi in [0, 1].

    Parameters
    ----------
    A : ndarray of shape (n, n)
        The matrix.
    w : ndarray of shape (n,)
        A metric that passes the test.

    Returns
    -------
    float
        ``sqrt(sum w / min w) (1 + ||S||_2 / mu)`` with ``S = W^1/2 A W^-1/2`` and mu the least eigenvalue of
        ``I - (S + S') / 2``.

    Notes
    -----
    With the residual r, ``e = x - x*`` and ``d = e - r``: ``d = P A (d + r)`` for some diagonal P in [0, 1], so
    ``d' W (A (d + r) - d) >= 0``, hence ``mu |d|_W <= ||S||_2 |r|_W``.
    """
    S = _scaled(A, w)
    mu = 1.0 - np.linalg.eigvalsh((S + S.T) / 2).max(initial=-np.inf)
    norm = np.linalg.norm(S, 2) if S.size else 0.0
    return float(np.sqrt(w.sum() / w.min(initial=np.inf)) * (1.0 + norm / mu))


def _scaled(A, w):
    root = np.sqrt(w)
    return A * (root[:, None] / root)


def _is_monotone(A, w):
    if not np.all(w > 0):
        return False
    S = _scaled(A, w)
    largest = np.linalg.eigvalsh((S + S.T) / 2)[-1]
    return largest < 1 - _MARGIN * max(1.0, np.linalg.norm(S, 2))


def _search(A):
    """Maximise the least eigenvalue of ``2 W - W A - A' W`` over w with sum n."""
    import cvxpy as cp  # where it is used: predict never pays for it

    n = A.shape[0]
    w, margin = cp.Variable(n, nonneg=True), cp.Variable()
    M = cp.multiply(A, cp.reshape(w, (n, 1), order="C") @ np.ones((1, n)))
    problem = cp.Problem(cp.Maximize(margin), [2 * cp.diag(w) - M - M.T >> margin * np.eye(n), cp.sum(w) == n])
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return None
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or margin.value <= 0:
        return None
    return w.value
