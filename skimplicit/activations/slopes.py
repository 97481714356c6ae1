"""What the slopes of phi tell: whether it increases, and which are the only two of one that is linear beside zero."""

import numpy as np

__all__ = ["has_two_slopes", "is_increasing", "two_slopes"]


def is_increasing(activation):
    """Tell whether an activation takes every coordinate alone, with slopes of at least 0 that have a bound.

    Parameters
    ----------
    activation : BaseActivation
        phi.

    Returns
    -------
    bool
        True if it does.
    """
    bounded = np.all(np.isfinite(activation.lipschitz))
    return activation.groups is None and bool(bounded and np.min(activation.min_slope, initial=0.0) >= 0)


def has_two_slopes(activation):
    """Tell whether an activation takes every coordinate alone, with one slope left of 0 and one right of it.

    Parameters
    ----------
    activation : BaseActivation
        phi.

    Returns
    -------
    bool
        True if it does.
    """
    return activation.homogeneous and activation.groups is None


def two_slopes(activation, n):
    """Return the slopes of each coordinate left and right of 0, for an activation that :func:`has_two_slopes`.

    Parameters
    ----------
    activation : BaseActivation
        phi.
    n : int
        Number of coordinates.

    Returns
    -------
    left, right : ndarray of shape (n,)
        The slopes.
    """
    right, left = activation(np.array([[1.0], [-1.0]]) * np.ones(n)) * [[1.0], [-1.0]]
    return left, right
