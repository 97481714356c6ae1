"""Dask collections: their rows as blocks to train on."""

from dataclasses import dataclass, replace
from numbers import Number

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.multiclass import check_classification_targets

from skimplicit.estimators.lazy_columns import array_of_frame, check_lazy_columns, delayed, lazy_meta, plain_array
from skimplicit.estimators.training_rows import MANY_ROWS, bounds_classes, few_rows, fixed_folds, open_rows
from skimplicit.estimators.validation import (
    is_missing,
    refuse_dates,
    refuse_missing,
    refuse_several_kinds,
    refuse_text,
)
from skimplicit.losses import class_indicators
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
    arrays = _as_arrays({"X": X, "y": y, "sample_weight": sample_weight}, is_classifier(estimator))
    m = arrays["X"].shape[0]
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
    X = X if hasattr(X, "columns") else arrays["X"]  # of which the number of columns is known
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


def _as_arrays(given, classes):
    """Return Dask arrays with known chunks and as many rows each, by name; y need not be numbers for ``classes``."""
    metas = {name: lazy_meta(array, name) for name, array in given.items()}
    if metas["X"].ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got {metas['X'].ndim}.")
    for name in ("X",) if classes else ("X", "y"):
        refuse_dates(metas[name], name)
    arrays = {"X": _as_array(given["X"], "X"), "y": _as_array(given["y"], "y")}
    m, weights = arrays["X"].shape[0], given["sample_weight"]
    if weights is not None:
        weights = np.full(m, weights) if isinstance(weights, Number) else weights
        arrays["sample_weight"] = _as_array(weights, "sample_weight")
    for name, array in arrays.items():
        if array.shape[0] != m:
            raise ValueError(f"X and {name} must have as many rows, got {m} and {array.shape[0]}.")
    _check_dimensions(arrays, classes)
    return arrays


def _as_array(array, name):
    """Return a Dask array with known chunks, of a Dask collection or of an array."""
    import dask.array as da

    if not is_lazy(array):
        array = plain_array(array, name)
        return da.from_array(array, chunks=array.shape)
    if hasattr(array, "columns") or hasattr(array, "to_frame"):
        array = array_of_frame(array, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have a row for each sample, got {array}.")
    # Of a copy, for Dask writes the sizes into the array at hand, which is the user's.
    return array.copy().compute_chunk_sizes() if np.isnan(array.shape).any() else array


def _check_dimensions(arrays, classes):
    """Refuse weights, and labels of classes, of several columns; y of any number of them may be numbers."""
    weights, y = arrays.get("sample_weight"), arrays["y"]
    if y.ndim > 2:
        raise ValueError(f"y must have one or two dimensions, got an array of shape {y.shape}.")
    if weights is not None and weights.ndim > 1:
        raise ValueError(f"sample_weight must have one dimension, got an array of shape {weights.shape}.")
    if classes and y.ndim > 1 and y.shape[1] != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {y.shape} instead.")


def _aligned(arrays):
    """Return lists of the delayed chunks of all arrays, cut at the same rows, where blocks in memory are cut too.

    "first" are the numbers of their first rows.
    """
    X = arrays["X"]
    size = block_size(X.shape[1])
    size *= max(round(max(X.chunks[0]) / size), 1)
    return {"first": range(0, X.shape[0], size)} | {
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

    Raises
    ------
    TypeError
        If it is another collection than an array or a data frame.
    """
    import dask

    lazy_meta(y, "y")
    array = _as_array(y, "y")
    if array.ndim > 1 and array.shape[1] > 1:
        return array[:1].compute()
    return np.concatenate(dask.compute(*(delayed(_distinct)(part, most) for part in array.to_delayed().ravel())))


def _distinct(y, most):
    y = np.asarray(y).ravel()
    if y.dtype == object:  # what is missing cannot be sorted among labels; the fit names it
        y = y[[not is_missing(label) for label in y]]
    return _distinct_labels(y)[0][:most]


def _encode_lazily(estimator, chunks):
    """Return the :class:`EncodedTargets` of targets of which only the kinds are known here.

    Numbers are represented by two of them, classes by a sample of each with the weight of all.
    """
    import dask

    weights = chunks.get("sample_weight", [None] * len(chunks["y"]))
    classes = is_classifier(estimator)
    kinds = dask.compute(
        *(delayed(_kinds)(*own, classes) for own in zip(chunks["y"], weights, chunks["first"], strict=True))
    )
    values = np.concatenate([some for some, _ in kinds])
    total = np.concatenate([weight for _, weight in kinds])
    if not total.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    if not classes:
        return estimator._encode_targets(values[:2], None)
    classes, codes = _distinct_labels(values)
    # With one row of each class there seem to be as many classes as rows.
    with without_warnings(message="The number of unique classes"):
        return estimator._encode_targets(classes, np.bincount(codes, total))


def _distinct_labels(y):
    """Return the distinct labels, and the number of each row's; those that have no order are refused as in memory."""
    try:
        return np.unique(y, return_inverse=True)
    except TypeError:
        refuse_several_kinds(y)
        check_classification_targets(y)
        raise


def _kinds(y, weights, first, classes):
    """Return the classes of a chunk and the weight of each; of numbers some of them, and the weight of all."""
    weights = _check_weights(weights, len(y))
    if not classes:
        return _check_numbers(y[:2], "y", ensure_2d=False), np.array([weights.sum()])
    refuse_missing(y, first)
    y = np.asarray(y).ravel()
    assert_all_finite(y, input_name="y")
    labels, codes = _distinct_labels(y)
    return labels, np.bincount(codes, weights, minlength=labels.size)


def _check_weights(weights, size):
    if weights is None:
        return np.ones(size)
    weights = _check_numbers(weights, "sample_weight", ensure_2d=False).ravel()
    if np.any(weights < 0):
        raise ValueError("Negative values in data passed to `sample_weight`.")
    return weights


def _check_numbers(array, name, **checks):
    """Return a chunk as numbers; the column that holds something else is named."""
    try:
        return check_array(array, dtype=np.float64, ensure_min_samples=0, input_name=name, **checks)
    except (TypeError, ValueError) as error:
        refuse_text(array, name, error)
        raise


@dataclass(frozen=True)
class _Chunk:
    """Validates a chunk of rows and cuts it into blocks, on the worker that has it."""

    classes: np.ndarray | None
    class_weights: np.ndarray | None

    def __call__(self, X, y, weights):
        X = _check_numbers(X, "X", accept_sparse="csr")
        weights = None if weights is None else _check_weights(weights, X.shape[0])
        if self.classes is None:
            y = _check_numbers(y, "y", ensure_2d=False)
            return blocks_of_chunk(X, y[:, None] if y.ndim == 1 else y, weights)
        codes = np.searchsorted(self.classes, np.asarray(y).ravel())
        if self.class_weights is not None:
            weights = self.class_weights[codes] * (1.0 if weights is None else weights)
        return blocks_of_chunk(X, class_indicators(codes, self.classes.size), weights)
