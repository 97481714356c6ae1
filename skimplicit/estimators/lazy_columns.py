"""Dask collections: their columns, lazy predictions, and scores."""

from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted

from skimplicit.estimators.failed_fit import left_by_callbacks
from skimplicit.linalg import MatrixLike
from skimplicit.rows import is_lazy

__all__ = [
    "ScoreMixin",
    "array_of_frame",
    "check_lazy_columns",
    "check_lazy_output",
    "delayed",
    "lazy_columns",
    "lazy_meta",
    "plain_array",
    "predict_lazily",
]


def check_lazy_columns(estimator, X, reset=False):
    """Check, or with ``reset`` set, the number and the names of the columns.

    Parameters
    ----------
    estimator : estimator
        The estimator.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (m, p)
        The columns.
    reset : bool
        Whether to set them.

    Raises
    ------
    TypeError or ValueError
        If there are no columns, or others.
    """
    if lazy_meta(X, "X").ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got {X.ndim}.")
    if not hasattr(X, "columns") and np.isnan(X.shape[1]):
        raise ValueError("The number of columns of X is not known; give X.compute_chunk_sizes().")
    columns = X._meta if hasattr(X, "columns") else np.empty((1, X.shape[1]))
    _check_feature_names(estimator, columns, reset=reset)
    _check_n_features(estimator, columns, reset=reset)


def lazy_meta(array, name):
    """Return what an array or a data frame would be like without rows; of one in memory itself.

    Parameters
    ----------
    array : array-like or Dask collection
        The array.
    name : str
        What to call it.

    Returns
    -------
    array-like
        Kinds of columns and dimensions.

    Raises
    ------
    TypeError
        If it is another collection of Dask's.
    """
    if not is_lazy(array):
        return array
    if not hasattr(array, "_meta"):
        raise TypeError(f"{name} must be a Dask array or data frame, got a Dask {type(array).__name__}.")
    return array._meta


def check_lazy_output(estimator):
    """Refuse to put what is lazy into a container that would have to hold it all.

    Parameters
    ----------
    estimator : estimator
        A transformer.

    Raises
    ------
    ValueError
        If ``set_output`` asks for data frames.
    """
    container = _get_output_config("transform", estimator)["dense"]
    if container != "default":
        raise ValueError(
            f"set_output(transform={container!r}) is for data in memory: of a Dask collection transform returns a lazy "
            "Dask array. Compute X first, or set_output(transform='default')."
        )


def lazy_columns(X, columns):
    """Return some columns of a Dask collection.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame of shape (m, p)
        All columns.
    columns : ndarray of int of shape (k,)
        The columns.

    Returns
    -------
    dask.array.Array of shape (m, k)
        Lazy, without names; of a data frame the sizes of its chunks are not known.
    """
    return array_of_frame(X.iloc[:, columns.tolist()], "X") if hasattr(X, "columns") else X[:, columns]


def array_of_frame(frame, name):
    """Return a data frame or a series of Dask's as a Dask array.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame or dask.dataframe.Series
        The frame.
    name : str
        What to call it.

    Returns
    -------
    dask.array.Array
        Lazy; the sizes of its chunks are not known.
    """
    # By the kinds that the parts have: Dask would take numbers that can be missing, or are categories, for objects.
    return frame.map_partitions(plain_array, name, meta=plain_array(frame._meta, name))


def plain_array(array, name):
    """Return an array of the type that validation in memory makes of it.

    Parameters
    ----------
    array : array-like
        Targets, weights or, with "X" for a name, inputs, of which a frame may be sparse.
    name : str
        What to call them.

    Returns
    -------
    ndarray or CSR matrix
        The array.

    Raises
    ------
    TypeError or ValueError
        If it is none.
    """
    checks = dict(dtype=None, ensure_2d=False, allow_nd=True, ensure_all_finite=False, ensure_min_samples=0)
    accepts = "csr" if name == "X" else False
    array = check_array(array, **checks, accept_sparse=accepts, ensure_min_features=0, input_name=name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have a row for each sample, got {array}.")
    return array


def delayed(function):
    """Return a function that Dask calls later, each call by itself.

    Parameters
    ----------
    function : callable
        The function.

    Returns
    -------
    Delayed
        The function.
    """
    import dask

    return dask.delayed(function, pure=False)


def predict_lazily(estimator, name, X, n_columns, dtype=np.float64):
    """Return what a method predicts for the rows of a Dask collection, as a lazy Dask array.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The fitted estimator; what happens to it later does not matter.
    name : str
        Name of the method.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (m, p)
        Inputs.
    n_columns : int or None
        Columns that the method returns; None for one number for each row.
    dtype : dtype
        Type of what it returns.

    Returns
    -------
    dask.array.Array of shape (m,) or (m, n_columns)
        In chunks as X is.
    """
    import dask.array as da

    check_is_fitted(estimator)
    check_lazy_columns(estimator, X)
    shape = () if n_columns is None else (n_columns,)
    call = _OfChunk(_to_send(estimator), name, shape, dtype)
    if hasattr(X, "columns"):
        parts = [da.from_delayed(delayed(call)(part), (np.nan, *shape), dtype) for part in X.to_delayed()]
        return da.concatenate(parts, allow_unknown_chunksizes=True)
    X = X.rechunk({1: -1})
    axes = dict(drop_axis=1) if n_columns is None else dict(chunks=(X.chunks[0], (n_columns,)))
    return X.map_blocks(call, dtype=dtype, meta=np.empty((0,) * (1 + len(shape)), dtype), **axes)


def _to_send(estimator):
    """Return a copy that predicts as the estimator does now, without callbacks, which may not leave this process."""
    own = copy(estimator)
    for name in left_by_callbacks(own):
        delattr(own, name)
    own._sklearn_output_config = {"transform": "default"}  # an array, whatever set_output asks when it is computed
    return own


@dataclass(frozen=True)
class _OfChunk:
    """A method of an estimator, on a chunk that may have no rows."""

    estimator: object
    name: str
    shape: tuple
    dtype: np.dtype

    def __call__(self, X):
        if X.shape[0] == 0:
            return np.empty((0, *self.shape), self.dtype)
        X = sparse.csr_array(X) if sparse.issparse(X) else X
        return getattr(self.estimator, self.name)(X)


class ScoreMixin:
    """The score of scikit-learn's mixins, which come after this one, also where data are Dask collections.

    Those of scikit-learn compare lengths, which a lazy result does not know where the data are frames.
    """

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2 of the predictions, in the mean over outputs; of a classifier the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs.
        y : array-like or Dask collection of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like or Dask collection of shape (n_samples,) or None
            Weights of the samples.

        Returns
        -------
        float
            The score. Of Dask collections only predictions, targets and weights come into this process.
        """
        given = self.predict(X), y, sample_weight  # type: ignore[attr-defined]  # that of the estimator
        # One after the other: Dask takes arrays and frames together only with a warning.
        predicted, y, sample_weight = (array.compute() if is_lazy(array) else array for array in given)
        return float((accuracy_score if is_classifier(self) else r2_score)(y, predicted, sample_weight=sample_weight))
