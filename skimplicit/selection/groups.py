"""Groups of inputs that are selected together, as users give them."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from skimplicit.estimators.validation import is_missing
from skimplicit.feature_names import in_order_of_columns, position_of

__all__ = ["check_groups"]


def check_groups(groups, n_features, names=None):
    """Return the groups of the inputs, numbered from 0.

    Parameters
    ----------
    groups : array-like of shape (n_features,), dict, list of lists, or None
        A label for each input (of a Series of pandas, by the names in its index); or the columns of each group, by
        name or position, of which those that are in none are alone.
    n_features : int
        Number of inputs.
    names : ndarray of shape (n_features,) or None
        Their names, when they have names.

    Returns
    -------
    ndarray of int of shape (n_features,) or None
        The groups, in the order of their labels, or of their first columns.

    Raises
    ------
    ValueError
        If there is not one label for each input, or one is missing (None or NaN), or text beside others, a group is
        empty, or a column does not exist or is in two groups.
    """
    if groups is None:
        return None
    if isinstance(groups, dict):
        return _numbered(groups, n_features, names)
    if isinstance(groups, (list, tuple)) and any(map(_is_list, groups)):
        return _numbered({f"number {k}": group for k, group in enumerate(groups)}, n_features, names)
    groups = in_order_of_columns(groups, names, "groups")
    labels = np.asarray(groups)
    if labels.shape != (n_features,):
        raise ValueError(f"groups must have one label for each of the {n_features} inputs, got shape {labels.shape}.")
    # As they were given: beside text, NaN would be a label of its own, and beside numbers one of several inputs.
    given = np.asarray(groups, dtype=object).tolist()
    for j, label in enumerate(given):
        if is_missing(label):
            raise ValueError(f"groups has no label for input {j}, got {label!r}; an input that is alone has its own.")
    # Beside text a number would become text, and 1 and "1" one label.
    if labels.dtype.kind == "U" and not all(isinstance(label, str) for label in given):
        raise ValueError(f"groups must have labels that can be sorted, not text beside others, got {groups!r}.")
    try:
        return np.unique(labels, return_inverse=True)[1].ravel()
    except TypeError as error:
        raise ValueError(f"groups must have labels that can be sorted, got {groups!r}.") from error


def _numbered(columns_of, n_features, names):
    """Return the groups of columns that are listed group by group."""
    # A column that is alone has a number of its own, those of a group have that of its first one.
    first, owner = np.arange(n_features), {}
    for group, columns in columns_of.items():
        if not _is_list(columns):
            raise ValueError(f"groups must list the columns of each group, got {columns!r} for group {group!r}.")
        if len(columns) == 0:
            raise ValueError(f"groups has no columns for group {group!r}.")
        positions = [_position(column, n_features, names) for column in columns]
        for column, position in zip(columns, positions, strict=True):
            if owner.setdefault(position, group) != group:
                raise ValueError(f"groups has column {column!r} in two groups, {owner[position]!r} and {group!r}.")
        first[positions] = min(positions)
    return np.unique(first, return_inverse=True)[1].ravel()


def _is_list(columns):
    """Tell whether something is a list of columns: the columns of a data frame, an Index, are one too."""
    in_order = isinstance(columns, Sequence) or hasattr(columns, "__array__")
    return in_order and not isinstance(columns, (str, bytes, np.generic))


def _position(column, n_features, names):
    """Return the position of a column that is given by name or position."""
    if isinstance(column, Integral) and not isinstance(column, bool):
        if 0 <= column < n_features:
            return int(column)
        raise ValueError(f"groups has column {column}, but there are {n_features} inputs.")
    if names is None:
        raise ValueError(f"groups has column {column!r}, but the inputs have no names: give X as a data frame.")
    return position_of(column, names, "groups has column")
