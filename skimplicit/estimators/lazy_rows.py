"""Dask collections: their rows as blocks to train on."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_array

from skimplicit.estimators.lazy_columns import check_lazy_columns, delayed
from skimplicit.estimators.training_rows import MANY_ROWS, bounds_classes, few_rows, fixed_folds, open_rows
from skimplicit.quiet import without_warnings
from skimplicit.rows import block_size, blocks_of_chunk, is_lazy, open_store

__all__ = ["distinct_targets", "open_given_rows"]


def open_given_rows(estimator, chosen, X, y, sample_weight, cv=None):
    """Validate data, in memory or Dask collections, and return the :class:`TrainingRows`; see :func:`open_rows`.

    Parameters
    ----------
    estimator, chosen, X, y, sample_weight, cv : object
        As for :func:`open_rows`.

    Returns
    -------
    TrainingRows
        The rows.
    """
    return (_open_lazy_rows if is_lazy(X) else open_rows)(estimator, chosen, X, y, sample_weight, cv)


def _open_lazy_rows(estimator, chosen, X, y, sample_weight, cv):
    """Validate Dask collections and return the :class:`TrainingRows`; see :func:`open_rows`.

    Few rows are computed and trained on in this process, as if they had been given in memory. Many stay in blocks that
    are cut where they would be in memory: on the workers of the active client, in this process without one.

    Sizes of chunks that are not known are computed. A ValueError tells of data that are not valid, and of a method or
    folds that cannot do with rows in blocks.
    """
    arrays = {"X": X, "y": y, "sample_weight": sample_weight}
    arrays = {name: _as_array(array, name) for name, array in arrays.items() if array is not None}
    m = arrays["X"].shape[0]
    for name, array in arrays.items():
        if array.shape[0] != m:
            raise ValueError(f"X and {name} must have as many rows, got {m} and {array.shape[0]}.")
    _check_dimensions(arrays, classes=is_classifier(estimator))
    if m <= MANY_ROWS:
        return open_rows(
            estimator, chosen, *(array.compute() if is_lazy(array) else array for array in (X, y, sample_weight)), cv
        )
    if not chosen.method.takes_blocks:
        raise ValueError(
            f"method={estimator.method!r} needs all rows in this process, and more than {MANY_ROWS} rows of a Dask "
            "collection stay where they are: use method='bcd', or partial_fit chunk by chunk."
        )
    fixed = fixed_folds(estimator, cv)
    if fixed is not None:
        raise ValueError(
            f"cv={fixed!r} needs the numbers of all rows; for Dask collections give the number of folds, or a number "
            "for alpha."
        )
    if bounds_classes(estimator):
        raise ValueError(
            "constraints, lipschitz and monotonic_cst of a classifier need the states of all rows at once; with more "
            f"than {MANY_ROWS} rows of a Dask collection, leave them out or compute X."
        )
    check_lazy_columns(estimator, X, reset=True)
    chunks = _aligned(arrays)
    targets = _encode_lazily(estimator, chunks)
    prepare = _Chunk(targets.attributes.get("classes_"), targets.class_weights)
    nothing = [None] * len(chunks["X"])
    made = [
        delayed(prepare)(*own)
        for own in zip(chunks["X"], chunks["y"], chunks.get("sample_weight", nothing), strict=True)
    ]
    store = open_store(made, arrays["X"].nbytes, estimator.n_jobs)
    # Their numbers among all rows are not of use to anybody who has the rows in chunks.
    return replace(few_rows(estimator, store, targets, (X, y, sample_weight), m), place=None)


def _as_array(array, name):
    """Return a Dask array with known chunks, of a Dask collection or of an array."""
    import dask.array as da

    if not is_lazy(array):
        array = np.asarray(array)
        return da.from_array(array, chunks=(array.shape[0], *array.shape[1:]))
    if hasattr(array, "to_dask_array"):
        # Labels that are strings become objects, as they do in memory.
        with without_warnings(message="Dask currently has limited support"):
            array = array.to_dask_array(lengths=True)
    elif np.isnan(array.shape[0]):
        array = array.compute_chunk_sizes()
    if name == "X" and array.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got {array.ndim}.")
    return array


def _check_dimensions(arrays, classes):
    """Refuse weights, and labels of classes, of several columns; y of any number of them may be numbers."""
    weights, y = arrays.get("sample_weight"), arrays["y"]
    if weights is not None and weights.ndim > 1:
        raise ValueError(f"sample_weight must have one dimension, got an array of shape {weights.shape}.")
    if classes and y.ndim > 1 and y.shape[1] > 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {y.shape} instead.")


def _aligned(arrays):
    """Return lists of the delayed chunks of all arrays, cut at the same rows, where blocks in memory are cut too."""
    X = arrays["X"]
    size = block_size(X.shape[1])
    size *= max(round(max(X.chunks[0]) / size), 1)
    return {
        name: array.rechunk({0: size, **({1: -1} if array.ndim > 1 else {})}).to_delayed().ravel().tolist()
        for name, array in arrays.items()
    }


def distinct_targets(y, most):
    """Return some targets of a Dask collection that show what kind they are.

    Parameters
    ----------
    y : Dask collection of shape (m,) or (m, q)
        Targets.
    most : int
        Number of distinct values that are enough.

    Returns
    -------
    ndarray
        Distinct values, that many of each chunk; some rows where there are several columns.
    """
    import dask

    array = _as_array(y, "y")
    if array.ndim > 1 and array.shape[1] > 1:
        return array[:1].compute()
    return np.concatenate(dask.compute(*(delayed(_distinct)(part, most) for part in array.to_delayed().ravel())))


def _distinct(y, most):
    return np.unique(np.asarray(y).ravel())[:most]


def _encode_lazily(estimator, chunks):
    """Return the :class:`EncodedTargets` of targets of which only the kinds are known here.

    Numbers are represented by two of them, classes by a sample of each with the weight of all.
    """
    import dask

    weights = chunks.get("sample_weight", [None] * len(chunks["y"]))
    kinds = dask.compute(
        *(delayed(_kinds)(*own, is_classifier(estimator)) for own in zip(chunks["y"], weights, strict=True))
    )
    values = np.concatenate([some for some, _ in kinds])
    total = np.concatenate([weight for _, weight in kinds])
    if not total.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    if not is_classifier(estimator):
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
