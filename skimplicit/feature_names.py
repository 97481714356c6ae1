"""Whether a data frame has the columns that an estimator was fitted on."""

from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

__all__ = ["check_columns"]


def check_columns(model, X):
    """Refuse a data frame with other columns than those, in their order, that an estimator was fitted on.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule knows no names.
    X : array-like, sparse matrix or data frame of shape (m, p)
        Inputs as they were given.

    Raises
    ------
    ValueError
        If the names are others, or in another order.
    """
    if isinstance(model, BaseEstimator):
        validate_data(model, X, reset=False, skip_check_array=True)
