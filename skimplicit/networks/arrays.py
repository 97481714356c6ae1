"""The weights that constructors of networks are given: finite numbers in the shape that the others want."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skimplicit.linalg import checked_array, to_dense

__all__ = ["shaped_array"]


def shaped_array(value: Any, name: str, shape: Sequence[int | None], default: float = 0.0) -> np.ndarray:
    """Return an array of finite numbers, or say which argument is none of this shape.

    Parameters
    ----------
    value : array-like, sparse or None
        The numbers. Fewer dimensions than wanted are taken for a single row.
    name : str
        What they are called, for messages.
    shape : tuple of int or None
        The wanted shape; None for any size.
    default : float
        What None stands for, where the shape is one of numbers.

    Returns
    -------
    ndarray
        A copy, of float64.

    Raises
    ------
    ValueError
        If they are no finite numbers or have another shape.
    """
    if value is None and None not in shape:
        return np.full(shape, default)
    array = to_dense(checked_array(value, name))
    array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if array.ndim != len(shape) or any(
        wanted not in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}.".replace("None", "any"))
    return array
