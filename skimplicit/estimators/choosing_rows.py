"""Rows that something is chosen by before a fit: all of them where they are few."""

from sklearn.utils.validation import _num_samples

from skimplicit.estimators import training_rows
from skimplicit.estimators.lazy_rows import open_given_rows
from skimplicit.rows import is_lazy

__all__ = ["rows_to_choose_by"]


def rows_to_choose_by(estimator, X, y, sample_weight, cv):
    """Return rows in memory that something is chosen by before a fit: of many those that a fit looks at first.

    Parameters
    ----------
    estimator : ImplicitEstimator
        What will be fitted; knows the names of the columns afterwards, where what is returned does not have them.
    X, y, sample_weight : array-like or Dask collection
        The data; the weights may be None.
    cv : object
        Folds that the choice is made by.

    Returns
    -------
    few : tuple
        X, y and weights, None for ones: as they are given where they are few, and in memory.
    everything : tuple or None
        The same of all rows, for the fit; None if they are those of ``few``.
    """
    given = X, y, sample_weight
    if not is_lazy(X) and _num_samples(X) <= training_rows.MANY_ROWS:
        return given, None
    rows = open_given_rows(estimator, estimator._check_choices(), *given, cv)
    if rows.store is None:
        return rows.given if is_lazy(X) else given, None
    return rows.drawn(estimator), rows.given
