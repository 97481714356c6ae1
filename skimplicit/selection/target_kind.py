"""What targets are, where no estimator says it: numbers or classes."""

from numbers import Integral, Number

import numpy as np

from skimplicit.estimators.lazy_rows import distinct_targets
from skimplicit.rows import is_lazy

__all__ = ["holds_classes", "natural_type"]

# Integer targets with more distinct values than this are taken for numbers.
_MOST_CLASSES = 20


def natural_type(y):
    """Return targets of dtype object that are all numbers, or all booleans, as an array of these.

    Parameters
    ----------
    y : array-like
        Targets.

    Returns
    -------
    array-like
        The array of numbers or booleans; otherwise y as it is.
    """
    values = np.asarray(y)
    if values.dtype != object or values.size == 0:
        return y
    entries = values.ravel().tolist()
    if all(isinstance(entry, (bool, np.bool_)) for entry in entries):
        return values.astype(bool)
    if any(isinstance(entry, (bool, np.bool_)) or not isinstance(entry, Number) for entry in entries):
        return y
    return values.astype(np.int64 if all(isinstance(entry, Integral) for entry in entries) else np.float64)


def holds_classes(y):
    """Tell whether targets are labels: strings, booleans, or few distinct integers, in one column.

    Parameters
    ----------
    y : array-like or Dask collection
        Targets, in their :func:`natural_type` if they are in memory.

    Returns
    -------
    bool
        Whether they are.
    """
    values = np.asarray(natural_type(distinct_targets(y, _MOST_CLASSES + 1)) if is_lazy(y) else y)
    if values.ndim > 1 and values.shape[1] > 1:
        return False
    return values.dtype.kind in "OUSb" or (values.dtype.kind in "iu" and np.unique(values).size <= _MOST_CLASSES)
