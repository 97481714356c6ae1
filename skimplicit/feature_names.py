"""Whether a data frame has the columns that an estimator was fitted on, a Series a value for each; and where one is."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skimplicit.parameters import nearest
from skimplicit.rows import is_lazy

__all__ = ["check_columns", "in_order_of_columns", "position_of"]


def check_columns(model, X):
    """Refuse a data frame with other columns than those, in their order, that an estimator was fitted on.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule knows no names.
    X : array-like, sparse matrix, data frame or Dask collection of shape (m, p)
        Inputs as they were given.

    Raises
    ------
    ValueError
        If the names are others, or in another order.
    """
    if isinstance(model, BaseEstimator):
        # scikit-learn sees no names in a frame of Dask's, but in what such a frame says that it is like.
        X = X._meta if is_lazy(X) and hasattr(X, "columns") else X
        validate_data(model, X, reset=False, skip_check_array=True)


def in_order_of_columns(values, names, what):
    """Return what a Series of pandas has for each column, in the order of the columns; all else as it is.

    As an array it would be taken in its own order, and what is for one column would be for another.

    Parameters
    ----------
    values : object
        A value for each column.
    names : array-like of str of shape (p,) or None
        Names of the columns; None where they have none.
    what : str
        What to call the values.

    Returns
    -------
    object
        The same; of a Series whose index is text the values, where columns have names.

    Raises
    ------
    ValueError
        If the index of such a Series has other names than the columns.
    """
    labels = list(values.index) if hasattr(values, "iloc") and getattr(values, "ndim", 0) == 1 else []
    if names is None or not labels or not all(isinstance(label, str) for label in labels):
        return values
    if sorted(labels) != sorted(names):
        other = next((label for label in labels if label not in set(names)), None)
        wrong = "not every column of X once" if other is None else f"{other!r}, which is no column of X"
        raise ValueError(f"{what} is a Series whose index has {wrong}; what it has for each column goes by name.")
    return values.loc[list(names)]


def position_of(name, names, said):
    """Return the position of a column that is given by its name.

    Parameters
    ----------
    name : object
        What was given.
    names : array-like of str of shape (p,)
        Names of the columns.
    said : str
        What is said of it, to begin the message.

    Returns
    -------
    int
        The position.

    Raises
    ------
    ValueError
        If no column has that name.

    Examples
    --------
    >>> from skimplicit.feature_names import position_of
    >>> position_of("b", ["a", "b"], "groups has column")
    1
    """
    found = np.flatnonzero(np.asarray(names) == name) if isinstance(name, str) else np.empty(0)
    if found.size == 0:
        raise ValueError(f"{said} {name!r}, which is no column of X.{nearest(name, names)}")
    return int(found[0])
