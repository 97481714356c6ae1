"""Activations as ONNX nodes."""

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from skimplicit.activations import (
    ACTIVATIONS,
    Activation,
    BlockActivation,
    Exponential,
    GroupActivation,
    hardtanh,
    leaky_relu,
    max_pool,
    softmax,
)

__all__ = ["write_activation"]

# Degree at which the interpolation of _normal_cdf reaches double precision.
_DEGREE = 30


def write_activation(graph, activation, value, size):
    """Add the nodes of phi and return the name of its value.

    Parameters
    ----------
    graph : Graph
        Where to add.
    activation : BaseActivation
        phi.
    value : str
        Pre-activations, a matrix with ``size`` columns.
    size : int
        Number of states.

    Returns
    -------
    str
        phi of them.

    Raises
    ------
    ValueError
        If it is not an activation of this package: what another computes is known to Python alone.
    """
    if not isinstance(activation, BlockActivation):
        return _writer(activation, size)(graph, value)
    parts, start = [], 0
    for part, count in activation.blocks:
        columns = graph.columns(value, start, start + count) if count < size else value
        parts.append(write_activation(graph, part, columns, count))
        start += count
    return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)


def _writer(activation, size):
    """Return ``write(graph, value)`` of an activation, which is known by what it computes and not by its name."""
    if ACTIVATIONS.get(activation.name) == activation:
        return _BY_NAME[activation.name]
    if activation == Exponential():
        return lambda graph, value: graph.node("Exp", value)
    function = getattr(activation, "function", None)
    if isinstance(activation, GroupActivation):
        for make, write in ((max_pool, _max_pool), (softmax, _softmax)):
            if activation == make(activation.group_size):
                groups = size // activation.group_size, activation.group_size
                return lambda graph, value: write(graph, value, groups)
    if isinstance(activation, Activation):
        slope, range_ = getattr(function, "slope", None), (getattr(function, "low", 0), getattr(function, "high", 0))
        if slope is not None and activation == leaky_relu(slope):
            return lambda graph, value: _leaky(graph, value, slope)
        if range_[0] < range_[1] and activation == hardtanh(*range_):
            return lambda graph, value: _clip(graph, value, *range_)
    raise ValueError(
        f"The activation {activation.name!r} has no ONNX form. Those that have: {', '.join(sorted(ACTIVATIONS))}, "
        "leaky_relu(slope), hardtanh(low, high), Exponential(), max_pool(size), softmax(size) and blocks of these."
    )


def _node(operator, **attributes):
    return lambda graph, value: graph.node(operator, value, **attributes)


def _leaky(graph, value, slope):
    zero = graph.constant(0.0)
    above, below = graph.node("Max", value, zero), graph.node("Min", value, zero)
    return graph.node("Add", above, graph.node("Mul", below, graph.constant(slope)))


def _clip(graph, value, low, high):
    return graph.node("Min", graph.node("Max", value, graph.constant(low)), graph.constant(high))


def _elu(graph, value):
    zero, one = graph.constant(0.0), graph.constant(1.0)
    below = graph.node("Exp", graph.node("Min", value, zero))
    return graph.node("Add", graph.node("Max", value, zero), graph.node("Sub", below, one))


def _softplus(graph, value):
    # log(1 + exp(-|z|)) never overflows; as the runtime computes it, exp(z) would.
    small = graph.node("Exp", graph.node("Neg", graph.node("Abs", value)))
    rest = graph.node("Log", graph.node("Add", small, graph.constant(1.0)))
    return graph.node("Add", graph.node("Max", value, graph.constant(0.0)), rest)


def _silu(graph, value):
    # As a product with the sigmoid, some versions of onnxruntime fuse it to what they have in single precision only.
    exponential = graph.node("Exp", graph.node("Neg", value))
    return graph.node("Div", value, graph.node("Add", exponential, graph.constant(1.0)))


def _gelu(graph, value):
    return graph.node("Mul", value, _normal_cdf(graph, value))


def _normal_cdf(graph, value):
    """Add ``Phi(z)``: onnxruntime has the error function in single precision only.

    With ``s = |z| / sqrt(2)`` and ``t = 2 / (2 + s)``, ``Phi(-|z|) = t/2 exp(-s^2 + P(t))`` where
    ``P(t) = log(erfcx(s) / t)`` is smooth on (0, 1], so that its Chebyshev series is short.
    """
    if graph.dtype == np.float32:
        half = graph.constant(0.5)
        erf = graph.node("Erf", graph.node("Mul", value, graph.constant(np.sqrt(0.5))))
        return graph.node("Add", graph.node("Mul", erf, half), half)
    one, two = graph.constant(1.0), graph.constant(2.0)
    s = graph.node("Mul", graph.node("Abs", value), graph.constant(np.sqrt(0.5)))
    t = graph.node("Div", two, graph.node("Add", s, two))
    twice = graph.node("Mul", graph.node("Sub", graph.node("Mul", t, two), one), two)
    series = _clenshaw(graph, twice, chebyshev.chebinterpolate(_log_tail, _DEGREE))
    exponent = graph.node("Sub", series, graph.node("Mul", s, s))
    tail = graph.node("Mul", graph.node("Mul", t, graph.constant(0.5)), graph.node("Exp", exponent))
    positive = graph.node("Greater", value, graph.constant(0.0))
    return graph.node("Where", positive, graph.node("Sub", one, tail), tail)


def _log_tail(x):
    """Return ``log(erfcx(s) / t)`` for ``t = (1 + x) / 2`` in (0, 1) and ``s = 2 / t - 2``."""
    t = (1.0 + x) / 2
    return np.log(erfcx(2 / t - 2) / t)


def _clenshaw(graph, twice, coefficients):
    """Add the Chebyshev series at x, given the name of 2 x."""
    later, latest = None, graph.constant(coefficients[-1])
    for coefficient in coefficients[-2:0:-1]:
        following = graph.node("Add", graph.node("Mul", twice, latest), graph.constant(coefficient))
        later, latest = latest, following if later is None else graph.node("Sub", following, later)
    x = graph.node("Mul", twice, graph.constant(0.5))
    total = graph.node("Add", graph.node("Mul", x, latest), graph.constant(coefficients[0]))
    return graph.node("Sub", total, later)


def _in_groups(graph, value, groups):
    # The number of groups is not left to the runtime, which an empty batch does not tell.
    return graph.node("Reshape", value, graph.constant(np.array([0, *groups], dtype=np.int64)))


def _flat(graph, value, like):
    return graph.node("Reshape", value, graph.node("Shape", like))


def _max_pool(graph, value, groups):
    first = graph.largest(_in_groups(graph, value, groups))
    place = graph.constant(np.arange(groups[1]) == 0)
    return _flat(graph, graph.node("Where", place, first, graph.constant(0.0)), value)


def _softmax(graph, value, groups):
    return _flat(graph, graph.node("Softmax", _in_groups(graph, value, groups), axis=-1), value)


_BY_NAME = {
    "relu": _node("Relu"),
    "leaky_relu": lambda graph, value: _leaky(graph, value, ACTIVATIONS["leaky_relu"].min_slope),
    "tanh": _node("Tanh"),
    "sigmoid": _node("Sigmoid"),
    "identity": _node("Identity"),
    "elu": _elu,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
}
