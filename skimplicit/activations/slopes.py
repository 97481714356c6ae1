"""What the slopes of phi tell: whether it increases, which are the two of one that is linear beside zero, and where."""

import numpy as np

__all__ = ["has_two_slopes", "is_increasing", "states_tell_slopes", "two_slopes"]


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


def states_tell_slopes(activation, n):
    """Tell whether the derivative at a state is that at its pre-activation, so that training need not keep the latter.

    It is not where a state that is positive may come from a negative number, as of the absolute value, nor where the
    derivative counts 0 to the side on which a state is not 0.

    Parameters
    ----------
    activation : BaseActivation
        phi.
    n : int
        Number of coordinates.

    Returns
    -------
    bool
        True if it is.
    """
    if not has_two_slopes(activation):
        return False
    Z = np.array([[1.0], [-1.0]]) * np.ones(n)
    X = activation(Z)
    return np.array_equal(activation.derivative(X, X), activation.derivative(Z, X))
