"""The rows of a selection: those that the search goes by, and all of them for the rule of the selected inputs."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import _safe_indexing

from skimplicit.estimators.choosing_rows import rows_to_choose_by
from skimplicit.estimators.lazy_columns import lazy_columns
from skimplicit.estimators.monotonic import check_monotonic_cst
from skimplicit.estimators.targets import EncodedTargets, check_weights
from skimplicit.estimators.validation import validate_named
from skimplicit.rows import SelectedColumns, is_lazy

__all__ = ["SelectionData", "open_selection", "selected_columns"]


@dataclass(frozen=True)
class SelectionData:
    """Data of a selection that have been validated.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (m, p)
        Inputs.
    y : ndarray
        Targets.
    sample_weight : ndarray of shape (m,) or None
        Weights of the samples as given.
    targets : EncodedTargets
        Targets and weights (those of the classes included) as training takes them.
    everything : tuple or None
        X, y and weights of all rows, in memory or lazy, where these are some of many; None where they are all.
    """

    X: object
    y: np.ndarray
    sample_weight: np.ndarray | None
    targets: EncodedTargets
    everything: tuple | None = None

    @property
    def counted(self):
        """Rows with a positive weight, an ndarray of int."""
        weights = self.targets.weights
        return np.arange(self.X.shape[0]) if weights is None else np.flatnonzero(weights)

    @property
    def n_counted(self):
        """Number of rows with a positive weight."""
        return self.counted.size

    def rows(self, rows):
        """Return X, y and the weights as given of some rows."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return self.X[rows], self.y[rows], weights

    def of_columns(self, columns):
        """Return data whose X has some of the columns, an ndarray of int."""
        return replace(self, X=_safe_indexing(self.X, columns, axis=1))

    def to_refit(self, support):
        """Return the columns in a mask (p,), y and weights of all rows: many rows stay where they are.

        For a constant, of no columns, these rows do.
        """
        if self.everything is None or not support.any():
            return selected_columns(self.X, support), self.y, self.sample_weight
        (X, *others), columns = self.everything, np.flatnonzero(support)
        return lazy_columns(X, columns) if is_lazy(X) else SelectedColumns(X, columns), *others


def open_selection(selector, estimator, X, y, sample_weight):
    """Validate data and return the :class:`SelectionData`.

    Parameters
    ----------
    selector : ImplicitFeatureSelector
        Gets the number of columns and their names.
    estimator : ImplicitEstimator
        What will be refitted, validated; directions of its inputs by name become those of the columns.
    X, y, sample_weight : array-like or Dask collection
        The data; the weights may be None.

    Returns
    -------
    SelectionData
        All rows; of many, where folds do not need them, those that a fit looks at first.
    """
    (X, y, weights), everything = rows_to_choose_by(estimator, X, y, sample_weight, selector._splits)
    checks = {"accept_sparse": "csr", "dtype": np.float64, "order": "C"}
    X, y = validate_named(selector, X, y, **estimator._target_checks, **checks)
    if hasattr(estimator, "feature_names_in_"):
        selector.feature_names_in_ = estimator.feature_names_in_
    weights = check_weights(weights, X)
    names = getattr(selector, "feature_names_in_", None)
    estimator.set_params(monotonic_cst=check_monotonic_cst(estimator.monotonic_cst, X.shape[1], names))
    return SelectionData(X, y, weights, estimator._encode_targets(y, weights), everything)


def selected_columns(X, support):
    """Return the selected columns; of none, a column of zeros, for which a rule is a constant.

    Parameters
    ----------
    X : ndarray, sparse matrix or Dask collection of shape (m, p)
        Inputs.
    support : ndarray of bool of shape (p,)
        The k selected ones.

    Returns
    -------
    ndarray, sparse matrix or dask.array.Array of shape (m, max(k, 1))
        Their columns.
    """
    columns = np.flatnonzero(support)
    if is_lazy(X):
        return lazy_columns(X, columns) if columns.size else 0.0 * lazy_columns(X, np.array([0]))
    return _safe_indexing(X, columns, axis=1) if columns.size else np.zeros((X.shape[0], 1))
