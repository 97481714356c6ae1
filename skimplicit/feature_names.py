"""Whether a data frame has the columns that an estimator was fitted on."""

from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skimplicit.rows import is_lazy

__all__ = ["check_columns"]


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
