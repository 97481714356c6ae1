"""What an activation can do on an interval: its range, its slopes, and lines above and below its graph.

All of it rests on one table: the points between which the derivative of a known activation is monotone. Between them
the slopes of an interval are those at its ends, so ranges and lines are proved, not sampled. Of an activation that the
table does not have, the slopes it declares are used: looser, and as sound.
"""

from dataclasses import dataclass

import numpy as np

from skimplicit.activations import ACTIVATIONS, BlockActivation, has_two_slopes, max_pool, softmax, two_slopes

__all__ = ["Facets", "activation_range", "chord_facets", "parts"]

_EPS = np.finfo(float).eps
# Values of phi are right to a few units in the last place, and to this below the smallest normal numbers.
_ULPS, _TINY = 8 * _EPS, 1e-300
# The derivative is monotone between these points: where the second derivative changes sign, or the kink.
_TURNS = {
    "relu": (0.0,),
    "leaky_relu": (0.0,),
    "identity": (),
    "tanh": (0.0,),
    "sigmoid": (0.0,),
    "elu": (),
    "softplus": (),
    "silu": (-2.3993572805154, 2.3993572805154),
    "gelu": (-np.sqrt(2.0), np.sqrt(2.0)),
}
# Derivatives are evaluated, and turning points known, up to this: slopes are widened by it.
_SLOPE_ROUNDING = 1e-12
# Pieces of an interval on which phi minus a line is bounded, and places where the lines are compared.
_PIECES, _PLACES = 24, 17


def parts(activation, n):
    """Yield each activation of the blocks of n coordinates with the slice that it acts on.

    Parameters
    ----------
    activation : BaseActivation
        phi.
    n : int
        Number of coordinates.

    Yields
    ------
    tuple
        An activation and its slice.
    """
    if not isinstance(activation, BlockActivation):
        yield activation, slice(0, n)
        return
    first = 0
    for part, size in activation.blocks:
        yield part, slice(first, first + size)
        first += size


def activation_range(activation, lower, upper):
    """Return bounds on ``phi(z)`` for ``lower <= z <= upper``, rounded outwards.

    Parameters
    ----------
    activation : BaseActivation
        phi.
    lower, upper : ndarray of shape (m, n)
        Ends of the intervals.

    Returns
    -------
    lower, upper : ndarray of shape (m, n)
        Exact for increasing activations, silu, gelu, max pooling and softmax; else by the declared slopes.
    """
    low, high = np.empty_like(lower), np.empty_like(upper)
    for part, columns in parts(activation, lower.shape[1]):
        ends = lower[:, columns], upper[:, columns]
        low[:, columns], high[:, columns] = _range_of_part(part, *ends)
    low -= _ULPS * np.abs(low) + _TINY
    high += _ULPS * np.abs(high) + _TINY
    return low, high


def _range_of_part(part, lower, upper):
    if hasattr(part, "group_size"):
        return _range_of_groups(part, lower, upper)
    if part.min_slope >= 0:
        return part(lower), part(upper)
    turns = _known_turns(part)
    if turns is None:
        return _range_by_slopes(part, lower, upper)
    # silu and gelu: phi falls to the left of one point between the turns, and rises to its right.
    first, last = part(lower), part(upper)
    lowest = _lowest_point(part)
    inside = (lower < lowest) & (upper > lowest)
    least = part(np.array(lowest)) * (1 + _ULPS)
    return np.where(inside, least, np.minimum(first, last)), np.maximum(first, last)


def _lowest_point(part):
    """Return where silu or gelu are least: bisection on the derivative, increasing between its turns."""
    low, high = _known_turns(part)[0], 0.0
    for _ in range(80):
        middle = np.array((low + high) / 2)
        low, high = (float(middle), high) if part.derivative(middle, part(middle)) < 0 else (low, float(middle))
    return high


def _range_by_slopes(part, lower, upper):
    """Return the range that the values at both ends and the bounds of the slopes leave."""
    width, low, high = upper - lower, part.min_slope, part.max_slope
    first, last = part(lower), part(upper)
    rise = last - first
    steps = (high - low) or 1.0  # of a line, which has one slope, nothing is left of either
    fall = np.clip((high * width - rise) / steps, 0.0, width)
    climb = np.clip((rise - low * width) / steps, 0.0, width)
    rounding = _ULPS * (np.abs(first) + np.abs(last) + np.abs(part.lipschitz) * width)
    return np.minimum(np.minimum(first, last), first + low * fall) - rounding, np.maximum(
        np.maximum(first, last), first + high * climb
    ) + rounding


def _range_of_groups(part, lower, upper):
    shape = (*lower.shape[:-1], -1, part.group_size)
    low, high = lower.reshape(shape), upper.reshape(shape)
    if part == max_pool(part.group_size):
        low, high = part.function(low), part.function(high)
    elif part == softmax(part.group_size):
        low, high = _softmax_range(low, high)
    else:
        centre, radius = part.function((low + high) / 2), (high - low) / 2
        spread = part.lipschitz * radius.max(axis=-1, keepdims=True) * (1 + _ULPS) + _ULPS * np.abs(centre)
        low, high = centre - spread, centre + spread
    return low.reshape(lower.shape), high.reshape(lower.shape)


def _softmax_range(low, high):
    """Return the range of softmax: each share is least where its own z is least and all others are largest."""

    def share(own, others):
        # Each by differences from its own z: from the largest of all, those of a wide box are 0 by underflow.
        with np.errstate(over="ignore"):
            odds = np.exp(others[..., None, :] - own[..., :, None])
        odds[..., range(own.shape[-1]), range(own.shape[-1])] = 1.0
        return 1.0 / odds.sum(axis=-1)

    # exp of a rounded difference is wrong by its size times eps; exp(-745) and less is 0.
    size = np.abs(low).max(axis=-1, keepdims=True) + np.abs(high).max(axis=-1, keepdims=True) + 64.0
    error = size * _ULPS
    return share(low, high) * (1 - error), np.minimum(share(high, low) * (1 + error) + _TINY, 1.0)


def _known_turns(part):
    return _TURNS.get(part.name) if ACTIVATIONS.get(part.name) == part else None


def _slopes(part, lower, upper):
    """Return bounds on phi' on intervals that have no turning point inside."""
    if _known_turns(part) is None:
        return np.full_like(lower, part.min_slope), np.full_like(upper, part.max_slope)
    if has_two_slopes(part):
        # The interval is on one side of the kink: which one its middle tells.
        left, right = two_slopes(part, 1)
        slope = np.where(lower + upper > 0, right, left)
        return slope, slope
    first, last = (part.derivative(z, part(z)) + 0.0 for z in (lower, upper))
    low, high = np.minimum(first, last) - _SLOPE_ROUNDING, np.maximum(first, last) + _SLOPE_ROUNDING
    return np.maximum(low, part.min_slope), np.minimum(high, part.max_slope)


@dataclass(frozen=True)
class Facets:
    """Lines ``x >= slope z + low`` and ``x <= slope z + high`` that hold for ``x = phi(z)`` on an interval of z.

    Parameters
    ----------
    slope : ndarray of shape (n, k)
        Slopes.
    low, high : ndarray of shape (n, k)
        Intercepts.
    use_low, use_high : ndarray of bool of shape (n, k)
        Lines that are the tightest somewhere in the interval.
    """

    slope: np.ndarray
    low: np.ndarray
    high: np.ndarray
    use_low: np.ndarray
    use_high: np.ndarray


def chord_facets(part, lower, upper):
    """Return lines around the graph of an activation of single coordinates.

    Parameters
    ----------
    part : Activation
        phi.
    lower, upper : ndarray of shape (n,)
        Interval of each coordinate.

    Returns
    -------
    Facets
        With the slope of the chord, of the graph at both ends, in the middle and at the turning points. For relu these
        are the three sides of the triangle, or the equation of the line on one side of the kink.

    Notes
    -----
    The intercept of a line is bounded on pieces of the interval: on ``[a, b]`` with slopes of ``phi - line`` in
    ``[s, t]``, both values at the ends and both slopes leave a parallelogram.
    """
    turns = _known_turns(part) or ()
    grid = lower[:, None] + (upper - lower)[:, None] * np.linspace(0.0, 1.0, _PIECES + 1)
    grid[:, -1] = upper
    fixed = np.clip(np.tile(turns, (lower.size, 1)), lower[:, None], upper[:, None])
    grid = np.sort(np.hstack([grid, fixed]), axis=1)
    left, right = grid[:, :-1], grid[:, 1:]
    values = part(grid)
    low_slope, high_slope = _slopes(part, left, right)
    slope = _candidate_slopes(part, lower, upper, values, low_slope, high_slope)
    low, high = _intercepts(slope, grid, values, low_slope, high_slope)
    places = lower[:, None] + (upper - lower)[:, None] * np.linspace(0.0, 1.0, _PLACES)
    return Facets(slope, low, high, _tightest(slope, low, places, 1), _tightest(slope, high, places, -1))


def _candidate_slopes(part, lower, upper, values, low_slope, high_slope):
    width = upper - lower
    if _known_turns(part) is None:
        declared = np.tile([part.min_slope, part.max_slope], (lower.size, 1))
        middle = np.full((lower.size, 1), (part.min_slope + part.max_slope) / 2)
        return np.hstack([middle, declared])
    rise = values[:, -1] - values[:, 0]
    average = (low_slope[:, :1] + high_slope[:, :1]) / 2
    # Of an interval that is nearly a point, the difference of values is rounding.
    wide = width > 1e-9 * np.maximum(np.abs(lower), np.abs(upper))
    chord = np.divide(rise[:, None], width[:, None], out=average.copy(), where=wide[:, None])
    chord = np.clip(chord, low_slope.min(axis=1, keepdims=True), high_slope.max(axis=1, keepdims=True))
    middle = low_slope.shape[1] // 2
    sides = [(low_slope[:, k] + high_slope[:, k])[:, None] / 2 for k in (0, -1, middle)]
    return np.hstack([chord, *sides])


def _intercepts(slope, grid, values, low_slope, high_slope):
    """Return bounds on the least and the largest value of ``phi(z) - slope z``, rounded outwards."""
    width = np.diff(grid, axis=1)[:, None, :]
    rest = values[:, None, :] - slope[:, :, None] * grid[:, None, :]
    first, last = rest[:, :, :-1], rest[:, :, 1:]
    s, t = low_slope[:, None, :] - slope[:, :, None], high_slope[:, None, :] - slope[:, :, None]
    rise, span = last - first, np.where(t > s, t - s, 1.0)
    fall = np.clip((t * width - rise) / span, 0.0, width)
    climb = np.clip((rise - s * width) / span, 0.0, width)
    least = np.minimum(np.minimum(first, last), first + np.minimum(s, 0.0) * fall).min(axis=2)
    most = np.maximum(np.maximum(first, last), first + np.maximum(t, 0.0) * climb).max(axis=2)
    size = np.abs(values).max(axis=1) + np.abs(grid).max(axis=1) * (1 + np.abs(slope).max(axis=1))
    rounding = (_ULPS * size + _TINY)[:, None]
    return least - rounding, most + rounding


def _tightest(slope, intercept, places, sign):
    """Mark the lines that are the highest (sign 1) or the lowest (sign -1) of all at one of the places."""
    heights = sign * (slope[:, :, None] * places[:, None, :] + intercept[:, :, None])
    size = np.abs(heights).max(axis=(1, 2), keepdims=True)
    best = heights >= heights.max(axis=1, keepdims=True) - 16 * _EPS * size
    mask = np.zeros(intercept.shape, dtype=bool)
    np.put_along_axis(mask, best.argmax(axis=1), True, axis=1)
    return mask
