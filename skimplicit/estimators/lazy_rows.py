"""Dask collections: their rows as blocks to train on, and lazy predictions."""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted

from skimplicit.estimators.training_rows import MANY_ROWS, bounds_classes, few_rows, has_free_folds, open_rows
from skimplicit.rows import block_size, blocks_of_chunk, is_lazy, open_store

__all__ = ["compute_few", "open_lazy_rows", "predict_lazily"]


def open_lazy_rows(estimator, chosen, X, y, sample_weight):
    """Validate Dask collections and return the :class:`TrainingRows`; see :func:`open_rows`.

    Few rows are computed and trained on in this process, as if they had been given in memory. Many stay in blocks that
    are cut where they would be in memory: on the workers of the active client, in this process without one.

    Parameters
    ----------
    estimator, chosen : ImplicitEstimator, Choices
        As for :func:`open_rows`.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (m, p)
        Inputs; sizes of chunks that are not known are computed.
    y, sample_weight : Dask collection or array-like of m rows
        Targets, and weights or None.

    Returns
    -------
    TrainingRows
        The rows.

    Raises
    ------
    ValueError
        If the data are not valid, or the method or ``cv`` cannot do with rows in blocks.
    """
    arrays = {"X": X, "y": y, "sample_weight": sample_weight}
    arrays = {name: _as_array(array, name) for name, array in arrays.items() if array is not None}
    m = arrays["X"].shape[0]
    for name, array in arrays.items():
        if array.shape[0] != m:
            raise ValueError(f"X and {name} must have as many rows, got {m} and {array.shape[0]}.")
    if m <= MANY_ROWS:
        return open_rows(
            estimator, chosen, *(array.compute() if is_lazy(array) else array for array in (X, y, sample_weight))
        )
    if not chosen.method.takes_blocks:
        raise ValueError(
            f"method={estimator.method!r} needs all rows in this process, and more than {MANY_ROWS} rows of a Dask "
            "collection stay where they are: use method='bcd', or partial_fit chunk by chunk."
        )
    if not has_free_folds(estimator):
        raise ValueError(
            f"cv={estimator.cv!r} needs the numbers of all rows; for Dask collections give the number of folds, or a "
            "number for alpha."
        )
    if bounds_classes(estimator):
        raise ValueError(
            "constraints, lipschitz and monotonic_cst of a classifier need the states of all rows at once; with more "
            f"than {MANY_ROWS} rows of a Dask collection, leave them out or compute X."
        )
    _check_columns(estimator, X, reset=True)
    chunks = _aligned(arrays)
    targets = _encode_lazily(estimator, chunks)
    prepare = _Chunk(targets.attributes.get("classes_"), targets.class_weights)
    nothing = [None] * len(chunks["X"])
    made = [
        _delayed(prepare)(*own)
        for own in zip(chunks["X"], chunks["y"], chunks.get("sample_weight", nothing), strict=True)
    ]
    store = open_store(made, arrays["X"].nbytes, estimator.n_jobs)
    # Their numbers among all rows are not of use to anybody who has the rows in chunks.
    return replace(few_rows(estimator, store, targets, (X, y, sample_weight), m), place=None)


def compute_few(estimator, X, y, sample_weight):
    """Return rows of Dask collections in memory: all of few, of many those that a fit looks at first.

    Parameters
    ----------
    estimator : ImplicitEstimator
        An estimator that could be fitted to them.
    X, y, sample_weight : Dask collection
        As for :func:`open_lazy_rows`.

    Returns
    -------
    X, y, sample_weight
        Arrays, the weights None for ones.
    """
    rows = open_lazy_rows(estimator, estimator._check_choices(), X, y, sample_weight)
    if rows.store is None:
        return rows.given
    classes = rows.targets.attributes.get("classes_")
    y = estimator._as_predictions(rows.targets.Y, rows.targets) if classes is None else classes[rows.targets.codes()]
    return rows.X, y, rows.sample_weight


def _check_columns(estimator, X, reset):
    """Check, or with ``reset`` set, the number and the names of the columns."""
    columns = X._meta if hasattr(X, "columns") else np.empty((1, X.shape[1]))
    _check_feature_names(estimator, columns, reset=reset)
    _check_n_features(estimator, columns, reset=reset)


def _delayed(function):
    import dask

    return dask.delayed(function, pure=False)


def _as_array(array, name):
    """Return a Dask array with known chunks, of a Dask collection or of an array."""
    import dask.array as da

    if not is_lazy(array):
        array = np.asarray(array)
        return da.from_array(array, chunks=(array.shape[0], *array.shape[1:]))
    if hasattr(array, "to_dask_array"):
        array = array.to_dask_array(lengths=True)
    elif np.isnan(array.shape[0]):
        array = array.compute_chunk_sizes()
    if name == "X" and array.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got {array.ndim}.")
    return array


def _aligned(arrays):
    """Return lists of the delayed chunks of all arrays, cut at the same rows, where blocks in memory are cut too."""
    X = arrays["X"]
    size = block_size(X.shape[1])
    size *= max(round(max(X.chunks[0]) / size), 1)
    return {
        name: array.rechunk({0: size, **({1: -1} if array.ndim > 1 else {})}).to_delayed().ravel().tolist()
        for name, array in arrays.items()
    }


def _encode_lazily(estimator, chunks):
    """Return the :class:`EncodedTargets` of targets of which only the kinds are known here.

    Numbers are represented by two of them, classes by a sample of each with the weight of all.
    """
    import dask

    weights = chunks.get("sample_weight", [None] * len(chunks["y"]))
    kinds = dask.compute(
        *(_delayed(_kinds)(*own, not estimator._target_checks) for own in zip(chunks["y"], weights, strict=True))
    )
    values = np.concatenate([some for some, _ in kinds])
    total = np.concatenate([weight for _, weight in kinds])
    if not total.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    if estimator._target_checks:
        return estimator._encode_targets(values[:2], None)
    classes, codes = np.unique(values, return_inverse=True)
    return estimator._encode_targets(classes, np.bincount(codes, total))


def _kinds(y, weights, classes):
    """Return the classes of a chunk and the weight of each; of numbers some of them, and the weight of all."""
    weights = _check_weights(weights, len(y))
    if not classes:
        return np.asarray(y)[:2], np.array([weights.sum()])
    labels, codes = np.unique(np.asarray(y).ravel() if np.ndim(y) == 2 and y.shape[1] == 1 else y, return_inverse=True)
    return labels, np.bincount(codes.ravel(), weights, minlength=labels.size)


def _check_weights(weights, size):
    if weights is None:
        return np.ones(size)
    checks = dict(ensure_2d=False, dtype=np.float64, ensure_min_samples=0, input_name="sample_weight")
    weights = check_array(weights, **checks).ravel()
    if np.any(weights < 0):
        raise ValueError("Negative values in data passed to `sample_weight`.")
    return weights


@dataclass(frozen=True)
class _Chunk:
    """Validates a chunk of rows and cuts it into blocks, on the worker that has it."""

    classes: np.ndarray | None
    class_weights: np.ndarray | None

    def __call__(self, X, y, weights):
        sizes = dict(ensure_min_samples=0)
        X = check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X", **sizes)
        weights = None if weights is None else _check_weights(weights, X.shape[0])
        if self.classes is None:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", **sizes)
            return blocks_of_chunk(X, y[:, None] if y.ndim == 1 else y, weights)
        codes = np.searchsorted(self.classes, np.asarray(y).ravel())
        if self.class_weights is not None:
            weights = self.class_weights[codes] * (1.0 if weights is None else weights)
        Y = codes[:, None].astype(np.float64) if self.classes.size == 2 else np.eye(self.classes.size)[codes]
        return blocks_of_chunk(X, Y, weights)


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
    _check_columns(estimator, X, reset=False)
    shape = () if n_columns is None else (n_columns,)
    call = _OfChunk(copy(estimator), name, shape, dtype)
    if hasattr(X, "columns"):
        parts = [da.from_delayed(_delayed(call)(part), (np.nan, *shape), dtype) for part in X.to_delayed()]
        return da.concatenate(parts, allow_unknown_chunksizes=True)
    X = X.rechunk({1: -1})
    axes = dict(drop_axis=1) if n_columns is None else dict(chunks=(X.chunks[0], (n_columns,)))
    return X.map_blocks(call, dtype=dtype, meta=np.empty((0,) * (1 + len(shape)), dtype), **axes)


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
