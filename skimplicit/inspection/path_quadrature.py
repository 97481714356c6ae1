"""Derivatives along a straight path of inputs, for any phi with a derivative: Gauss-Legendre, refined where it errs."""

import numpy as np

__all__ = ["mean_adjoint_by_quadrature"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
# The ends carry no weight: they tell how far the states really move.
_NODES, _WEIGHTS = np.concatenate([[0], (_NODES + 1) / 2, [1]]), np.concatenate([[0], _WEIGHTS / 2, [0]])
# Error allowed in the mean over the whole path, as a share of its largest entry; in the states over an interval, as a
# share of the largest; halvings, at a kink of phi.
_TOL, _STATE_TOL, _MOST_HALVINGS = 1e-12, 2e-12, 42
# What rounding leaves in a drive or a slope, as a share of what it is summed of, some times.
_ROUNDING = 16 * np.finfo(float).eps


def mean_adjoint_by_quadrature(states, A, C, activation, start, way):
    """Return the mean over t in [0, 1] of dy/dz at ``z = A x + start + t way``, ``x = phi(z)``, row by row.

    Parameters
    ----------
    states : callable
        ``states(drive)`` returns the x of rows of drives.
    A, C : ndarray of shape (n, n), (q, n)
        Weights of the states and of the outputs ``y = C x``.
    activation : BaseActivation
        phi, with a derivative.
    start, way : ndarray of shape (m, n)
        Drives at the reference, and what is added to them on the way.

    Returns
    -------
    ndarray of shape (m, q, n)
        The means. An interval is halved until its halves agree with it, to 1e-12 in the whole path, and the derivative
        of the states adds up to how far they move: a kink beside the nodes is seen by that alone.
    """

    def integral(rows, low, width):
        t = low[:, None] + width[:, None] * _NODES
        drive = start[rows][:, None] + t[..., None] * way[rows][:, None]
        flat = drive.reshape(-1, drive.shape[-1])
        X = states(flat)
        slopes = np.asarray(activation.derivative(X @ A.T + flat, X), dtype=float).reshape(drive.shape)
        X = X.reshape(drive.shape)
        by_drive = np.einsum("k,rkij,r->rij", _WEIGHTS, _pull_back(A, np.eye(A.shape[0]), slopes), width)
        missing = np.einsum("rij,rj->ri", by_drive, way[rows]) - (X[:, -1] - X[:, 0])
        size = np.abs(X).max(axis=1)
        # Where states are about zero they know no better than to the rounding of their drives, however short the way.
        drives = np.abs(start[rows]) + np.abs(way[rows]) + size @ np.abs(A).T
        rounding = _ROUNDING * np.einsum("rij,rj->ri", np.abs(by_drive), drives) / width[:, None]
        size = size.max(axis=1, initial=0.0)
        np.maximum.at(largest, rows, size)  # beside this, states of 1e-310, of which few digits are left, are nothing
        allowed = _STATE_TOL * size + rounding.max(axis=1, initial=0.0) + np.finfo(float).eps * largest[rows]
        return C @ by_drive, np.abs(missing).max(axis=1, initial=0.0) > allowed

    m = start.shape[0]
    total, largest = np.zeros((m, *C.shape)), np.zeros(m)
    rows, low, width = np.arange(m), np.zeros(m), np.ones(m)
    whole, _ = integral(rows, low, width)
    scale = np.abs(whole).max(axis=(1, 2), initial=0.0)
    for halving in range(_MOST_HALVINGS + 1):
        half = width / 2
        left, left_misses = integral(rows, low, half)
        right, right_misses = integral(rows, low + half, half)
        error = np.abs(left + right - whole).max(axis=(1, 2), initial=0.0)
        scale = np.maximum(scale, np.bincount(rows, error, minlength=m))
        # Rounding alone may keep short intervals from agreeing to their share, as it does where slopes are what is left
        # of saturated states, x (1 - x).
        rounding = _ROUNDING * np.abs(C).max(initial=0.0) * largest[rows] * width
        agree = error <= _TOL * scale[rows] * np.maximum(width, 0.01) + rounding
        done = (agree & ~left_misses & ~right_misses) | (halving == _MOST_HALVINGS)
        np.add.at(total, rows[done], (left + right)[done])
        again = ~done
        rows, low, width = np.tile(rows[again], 2), np.concatenate([low[again], (low + half)[again]]), half[again]
        width, whole = np.tile(width, 2), np.concatenate([left[again], right[again]])
        if rows.size == 0:
            break
    return total


def _pull_back(A, C, slopes):
    """Return ``C (I - S A)^-1 S``, the derivative of ``C x`` by the drives, (..., q, n), for slopes S, (..., n)."""
    system = np.eye(A.shape[0]) - A.T * slopes[..., None, :]
    right = np.broadcast_to(C.T, (*slopes.shape[:-1], *C.T.shape))
    return np.swapaxes(np.linalg.solve(system, right), -1, -2) * slopes[..., None, :]
