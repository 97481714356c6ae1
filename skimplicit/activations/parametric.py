"""Activations with a parameter of their own, and the exponential: what converted networks need beyond the names.

Functions are frozen records rather than closures, so that rules with them pickle, and two that agree are equal.
"""

import math
from dataclasses import dataclass

import numpy as np

from skimplicit.activations.componentwise import ACTIVATIONS, Activation, BaseActivation

__all__ = ["Exponential", "hardtanh", "leaky_relu"]

_BY_NAME = {0.0: "relu", 0.01: "leaky_relu", 1.0: "identity"}


@dataclass(frozen=True)
class _Leaky:
    slope: float

    def __call__(self, Z, out=None):
        # Not a maximum: the slope may be above 1, or negative.
        return np.multiply(Z, np.where(Z > 0, 1.0, self.slope), out=out)


@dataclass(frozen=True)
class _LeakySlope:
    slope: float

    def __call__(self, Z, X):
        return np.where(Z > 0, 1.0, self.slope)


@dataclass(frozen=True)
class _Clip:
    low: float
    high: float

    def __call__(self, Z, out=None):
        return np.clip(Z, self.low, self.high, out=out)


@dataclass(frozen=True)
class _ClipSlope:
    low: float
    high: float

    def __call__(self, Z, X):
        return (Z > self.low) & (Z < self.high)


@dataclass(frozen=True)
class Exponential(BaseActivation):
    """``phi(z) = exp(z)``, for outputs: of a generalised linear model with a logarithmic link.

    Notes
    -----
    Its slope has no bound, so nothing certifies a state that it feeds back, and no estimator trains with it. A rule
    whose A is strictly triangular needs no bound: it is computed step by step.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import Exponential
    >>> Exponential()(np.array([0.0])), Exponential().lipschitz
    (array([1.]), inf)
    """

    name = "exp"
    homogeneous = False
    min_slope, max_slope, lipschitz = 0.0, np.inf, np.inf

    def __call__(self, Z, out=None):
        """Return ``exp(Z)``, in ``out`` if given."""
        return np.exp(Z, out=out)

    def derivative(self, Z, X):
        """Return ``exp(Z)``, which is X.

        Parameters
        ----------
        Z, X : ndarray
            Pre-activations, and X = phi(Z).

        Returns
        -------
        ndarray
            X itself.
        """
        return X


def leaky_relu(slope: float) -> Activation:
    """Return ``phi(z) = z`` where z > 0, ``slope z`` elsewhere.

    Parameters
    ----------
    slope : float
        Slope for negative values; any finite number.

    Returns
    -------
    Activation
        With slopes between 1 and ``slope``; the one known by name where that is the same.

    Raises
    ------
    ValueError
        If the slope is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import leaky_relu
    >>> leaky_relu(0.5)(np.array([-2.0, 2.0]))
    array([-1.,  2.])
    """
    slope = float(slope)
    if slope in _BY_NAME:
        return ACTIVATIONS[_BY_NAME[slope]]
    functions = _Leaky(slope), _LeakySlope(slope)
    slopes = {"min_slope": min(slope, 1.0), "max_slope": max(slope, 1.0), "homogeneous": True, "kinks": (0.0,)}
    return Activation(f"leaky_relu({slope:g})", *functions, **slopes)


def hardtanh(low: float = -1.0, high: float = 1.0) -> Activation:
    """Return ``phi(z) = min(max(z, low), high)``; with 0 and 6 it is known as ReLU6.

    Parameters
    ----------
    low, high : float
        Range of phi; infinite for no bound on that side.

    Returns
    -------
    Activation
        With slopes in [0, 1].

    Raises
    ------
    ValueError
        If not ``low < high``.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import hardtanh
    >>> hardtanh(0, 6)(np.array([-2.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """
    low, high = float(low), float(high)
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}.")
    functions = _Clip(low, high), _ClipSlope(low, high)
    kinks = tuple(filter(math.isfinite, (low, high)))
    return Activation(f"hardtanh({low:g}, {high:g})", *functions, 0.0, 1.0, kinks=kinks)
