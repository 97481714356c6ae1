"""Whether an activation is what it says of itself: slopes, derivative, homogeneity and kinks, at some points."""

from contextlib import contextmanager

import numpy as np

__all__ = ["check_activation"]

# Where it is looked at: away from round numbers, where the slope of a piecewise linear function may change.
_PROBES, _STEP = np.linspace(-6.03, 6.11, 41), 1e-6
_CALLS = {"function": "(Z, out=None)", "derivative": "(Z, X)"}


def check_activation(activation):
    """Refuse a function or a derivative that is not what an activation says of it.

    Both are evaluated at some points between -6 and 6, and the slopes there compared with difference quotients.

    Parameters
    ----------
    activation : Activation
        phi.

    Raises
    ------
    TypeError
        If the function or the derivative cannot be called as :class:`~skimplicit.Activation` says.
    ValueError
        If one of them does not return a finite number for each or changes what it is given, if the function is another
        one where it writes to its argument, if slopes leave ``[min_slope, max_slope]`` or change where there is no
        kink, if the derivative is not that of the function, or if it is homogeneous in name alone.
    """
    name, Z = f"Activation {activation.name!r}", _PROBES
    values = _evaluated(activation, "function", Z)
    found = _evaluated(activation, "derivative", Z, values)
    _check_in_place(activation, values)
    above, below = (_evaluated(activation, "function", Z + step) for step in (_STEP, -_STEP))
    slopes, margin = (above - below) / (2.0 * _STEP), 1e-4 * max(1.0, activation.lipschitz)
    if slopes.min() < activation.min_slope - margin or slopes.max() > activation.max_slope + margin:
        raise ValueError(
            f"{name}: the function has slopes from {slopes.min():.4g} to {slopes.max():.4g}, which are not between "
            f"min_slope={activation.min_slope:g} and max_slope={activation.max_slope:g}."
        )
    if activation.homogeneous:
        _check_homogeneous(activation, values, margin)
    if activation.kinks is not None:
        _check_kinks(activation, slopes, margin)
    worst = np.abs(found - slopes).argmax()
    if abs(found[worst] - slopes[worst]) > margin:
        raise ValueError(
            f"{name}: at z = {Z[worst]:.4g} the derivative is {found[worst]:.4g}, but the function has the slope "
            f"{slopes[worst]:.4g}."
        )


def _check_homogeneous(activation, values, margin):
    """Refuse a function that at twice the points is not twice its values there."""
    apart = np.abs(_evaluated(activation, "function", 2.0 * _PROBES) - 2.0 * values)
    worst = apart.argmax()
    if apart[worst] > margin:
        raise ValueError(
            f"Activation {activation.name!r}: homogeneous=True, but at z = {_PROBES[worst]:.4g} the function is "
            f"{values[worst]:.4g}, and at twice that it is not twice as much."
        )


def _check_kinks(activation, slopes, margin):
    """Refuse slopes at the points that differ where there is no kink between."""
    bends = (np.abs(np.diff(slopes)) > margin) & (np.diff(np.searchsorted(activation.kinks, _PROBES)) == 0)
    if bends.any():
        k = bends.argmax()
        raise ValueError(
            f"Activation {activation.name!r}: the slope changes from {slopes[k]:.4g} to {slopes[k + 1]:.4g} between "
            f"z = {_PROBES[k]:.4g} and {_PROBES[k + 1]:.4g}, where kinks={activation.kinks} has none."
        )


def _check_in_place(activation, values):
    """Refuse a function that has other values where it writes to its argument, because it reads that again."""
    Z = _PROBES.copy()
    with _named(activation, "function"):
        activation(Z, out=Z)
    if not np.allclose(Z, values, rtol=1e-9, atol=1e-12):
        worst = np.abs(Z - values).argmax()
        raise ValueError(
            f"Activation {activation.name!r}: at z = {_PROBES[worst]:.4g} function(Z, out=Z) gives {Z[worst]:.4g} and "
            f"function(Z) {values[worst]:.4g}: it writes to `out` before it has read all of Z."
        )


def _evaluated(activation, part, *points):
    """Return what ``function`` or ``derivative`` gives at arrays of points, which it is to leave as they are."""
    given = [each.copy() for each in points]
    with _named(activation, part):
        values = getattr(activation, part)(*given, **({"out": None} if part == "function" else {}))
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.shape == points[0].shape
    if not numbers or not np.isfinite(values).all():
        raise ValueError(
            f"Activation {activation.name!r}: {part} must return a finite number for each of {points[0].size} "
            f"given, in an array, got {values!r}."
        )
    if not all(map(np.array_equal, given, points)):
        raise ValueError(f"Activation {activation.name!r}: {part} must not change the arrays that it is given.")
    return np.asarray(values, dtype=np.float64)


@contextmanager
def _named(activation, part):
    """Say of which activation a call failed."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"Activation {activation.name!r}: {part}{_CALLS[part]} cannot be called: {error}") from error
