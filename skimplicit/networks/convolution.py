"""Convolutions and pooling on signals and images, as structured sparse matrices.

A signal with k channels of length l is a row of k * l numbers, an image one of k * height * width, channels first: what
``reshape(m, -1)`` makes of an array (m, k, l) or (m, k, height, width). One function serves any number of dimensions.
"""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.activations import BlockActivation, max_pool
from skimplicit.composition import activate, affine_rule
from skimplicit.networks.arrays import shaped_array
from skimplicit.parameters import check_truths, checked_number
from skimplicit.rule import ImplicitRule

__all__ = ["average_pooling", "convolution", "max_pooling"]


def convolution(
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    input_shape: tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    n_groups: int = 1,
    activation: Any = None,
) -> ImplicitRule:
    """Return ``y[o, t] = sum_{k, s} kernel[o, k, s] u[k, stride t + dilation s - padding] + bias[o]``.

    Parameters
    ----------
    kernel : array-like of shape (outputs, channels / n_groups, ...)
        Weights, not flipped (what deep learning calls a convolution).
    bias : array-like of shape (outputs,) or None
        Intercept of each output channel; None for zeros.
    input_shape : tuple of int
        ``(channels, length)`` or ``(channels, height, width)``.
    stride, padding, dilation : int or tuple of int
        One for all dimensions or one for each; u is 0 outside.
    n_groups : int
        Groups of channels that do not see one another.
    activation : str, BaseActivation or None
        Applied to the outputs; None for none.

    Returns
    -------
    ImplicitRule
        D is the sparse Toeplitz matrix of the kernel; with an activation, it is B.

    Raises
    ------
    TypeError
        If ``n_groups`` is no integer.
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 3.3.

    Examples
    --------
    >>> from skimplicit.networks import convolution
    >>> rule = convolution([[[1.0, -1.0]]], input_shape=(1, 4))
    >>> rule.predict([[1.0, 3.0, 6.0, 10.0]])
    array([[-2., -3., -4.]])
    """
    n_channels, sides = _channels_and_sides(input_shape)
    checked_number(n_groups, "n_groups", least=1, integer=True)
    if np.ndim(kernel) != 2 + len(sides):
        raise ValueError(
            f"kernel must have {2 + len(sides)} dimensions for input_shape={input_shape}, got {np.ndim(kernel)}."
        )
    kernel = shaped_array(kernel, "kernel", (None,) * (2 + len(sides)))
    n_outputs = kernel.shape[0]
    if kernel.shape[1] * n_groups != n_channels or n_outputs % n_groups:
        raise ValueError(f"kernel of shape {kernel.shape} does not fit {n_channels} channels in {n_groups} group(s).")
    position, inside = _windows(sides, kernel.shape[2:], stride, padding, dilation)
    n_places, n_pixels = position.shape[0], int(np.prod(sides))
    output, channel, place, offset = np.ogrid[:n_outputs, : kernel.shape[1], :n_places, : position.shape[1]]
    source = channel + output // (n_outputs // n_groups) * kernel.shape[1]
    shape = n_outputs, kernel.shape[1], n_places, position.shape[1]
    rows = np.broadcast_to(output * n_places + place, shape)
    columns = np.broadcast_to(source * n_pixels + position, shape)
    values = np.broadcast_to(kernel.reshape(n_outputs, kernel.shape[1], 1, -1), shape)
    kept = np.broadcast_to(inside, shape)
    D = sparse.csr_array(
        (values[kept], (rows[kept], columns[kept])), shape=(n_outputs * n_places, n_channels * n_pixels)
    )
    rule = affine_rule(D, np.repeat(shaped_array(bias, "bias", (n_outputs,)), n_places))
    return rule if activation is None else activate(rule, activation)


def average_pooling(
    window: int | tuple[int, ...],
    *,
    input_shape: tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    count_padding: bool = True,
) -> ImplicitRule:
    """Return the mean of every window, channel by channel.

    Parameters
    ----------
    window : int or tuple of int
        Size of the window.
    input_shape : tuple of int
        ``(channels, length)`` or ``(channels, height, width)``.
    stride : int, tuple of int or None
        Step between windows; None for the size of the window.
    padding : int or tuple of int
        Zeros around the input.
    count_padding : bool
        Whether they count in the mean.

    Returns
    -------
    ImplicitRule
        A rule without states.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a window has nothing but padding that does not count.
    """
    check_truths(count_padding=count_padding)
    n_channels, sides = _channels_and_sides(input_shape)
    window = _each("window", window, sides, least=1)
    position, inside = _windows(sides, window, window if stride is None else stride, padding, 1)
    counts = np.full(position.shape[0], position.shape[1]) if count_padding else inside.sum(axis=1)
    if not counts.all():
        raise ValueError(f"padding must leave an input in each window with count_padding=False, got {padding}.")
    place = np.broadcast_to(np.arange(position.shape[0])[:, None], position.shape)[inside]
    one = sparse.csr_array(
        (1.0 / counts[place], (place, position[inside])), shape=(position.shape[0], int(np.prod(sides)))
    )
    return affine_rule(sparse.csr_array(sparse.kron(sparse.eye_array(n_channels), one)))


def max_pooling(
    window: int | tuple[int, ...],
    *,
    input_shape: tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
) -> ImplicitRule:
    """Return the maximum of every window, channel by channel.

    Parameters
    ----------
    window : int or tuple of int
        Size of the window.
    input_shape : tuple of int
        ``(channels, length)`` or ``(channels, height, width)``.
    stride : int, tuple of int or None
        Step between windows; None for the size of the window.
    padding : int or tuple of int
        Places around the input that windows may reach, and that never are the maximum. At most half of the window.

    Returns
    -------
    ImplicitRule
        B selects the inputs of each window, phi is :func:`~skimplicit.activations.max_pool`, C keeps one state
        for each window.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 3.3.
    """
    n_channels, sides = _channels_and_sides(input_shape)
    window = _each("window", window, sides, least=1)
    if np.any(2 * np.array(_each("padding", padding, sides, least=0)) > window):
        raise ValueError(f"padding must be at most half of the window, got {padding} for {tuple(window)}.")
    position, inside = _windows(sides, window, window if stride is None else stride, padding, 1)
    # Where a window leaves the input, one of its inputs counts twice, which changes no maximum.
    first = position[np.arange(len(position)), inside.argmax(axis=1)]
    position = np.where(inside, position, first[:, None])
    n_pixels, size = int(np.prod(sides)), position.shape[1]
    source = (np.arange(n_channels)[:, None, None] * n_pixels + position).ravel()
    n = source.size
    B = sparse.csr_array((np.ones(n), (np.arange(n), source)), shape=(n, n_channels * n_pixels))
    kept = np.arange(0, n, size)
    C = sparse.csr_array((np.ones(kept.size), (np.arange(kept.size), kept)), shape=(kept.size, n))
    return ImplicitRule(sparse.csr_array((n, n)), B, C, activation=BlockActivation([(max_pool(size), n)]))


def _channels_and_sides(input_shape):
    """Return the number of channels and the sizes of the other dimensions, of which there is at least one."""
    sizes = tuple(input_shape) if np.ndim(input_shape) == 1 else ()
    if len(sizes) < 2 or not all(isinstance(size, Integral) and size >= 1 for size in sizes):
        raise ValueError(
            "input_shape must be positive integers, (channels, length) or (channels, height, width), "
            f"got {input_shape!r}."
        )
    return sizes[0], list(sizes[1:])


def _each(name, value, sides, least):
    """Return one number for each dimension."""
    values = (value,) * len(sides) if np.ndim(value) == 0 else tuple(value)
    if len(values) != len(sides) or not all(isinstance(number, Integral) and number >= least for number in values):
        raise ValueError(
            f"{name} must be an integer of at least {least}, or one for each of {len(sides)} dimensions, got {value!r}."
        )
    return values


def _windows(sides, window, stride, padding, dilation):
    """Return the flat index of each input of each window, (places, window), and whether it is inside the input."""
    position, inside = np.zeros((1, 1), dtype=int), np.ones((1, 1), dtype=bool)
    strides, paddings = _each("stride", stride, sides, least=1), _each("padding", padding, sides, least=0)
    dilations = _each("dilation", dilation, sides, least=1)
    for side, size, step, pad, spread in zip(sides, window, strides, paddings, dilations, strict=True):
        n_places = (side + 2 * pad - spread * (size - 1) - 1) // step + 1
        if n_places < 1:
            raise ValueError(f"A window of {spread * (size - 1) + 1} does not fit a side of {side} padded by {pad}.")
        along = step * np.arange(n_places)[:, None] + spread * np.arange(size) - pad
        # The last dimension varies fastest, in places as in the window.
        shape = position.shape[0] * n_places, position.shape[1] * size
        position = (position[:, None, :, None] * side + along[None, :, None, :]).reshape(shape)
        fits = (along >= 0) & (along < side)
        inside = (inside[:, None, :, None] & fits[None, :, None, :]).reshape(shape)
    return position, inside
