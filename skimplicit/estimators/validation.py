"""scikit-learn's validation of data, and the name of the column or the row where it says only what was wrong."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite, validate_data

from skimplicit.rows import is_lazy

__all__ = [
    "as_labels",
    "is_missing",
    "refuse_dates",
    "refuse_masked",
    "refuse_missing",
    "refuse_several_kinds",
    "refuse_text",
    "validate_named",
]

_NOTHING = "no_validation"


def validate_named(estimator, X=_NOTHING, y=_NOTHING, *, classes=False, **checks):
    """Validate data as ``validate_data`` of scikit-learn does; what is refused for its kind is named.

    Parameters
    ----------
    estimator : estimator
        What keeps the number of columns and their names.
    X, y : array-like or Dask collection
        The data. A Dask collection is brought into memory: scikit-learn does not see the names of its columns.
    classes : bool
        Whether y are labels, of whatever kind.
    **checks : dict
        For ``validate_data``.

    Returns
    -------
    ndarray, sparse matrix or tuple
        What ``validate_data`` returns.

    Raises
    ------
    TypeError
        If targets are sparse, or data are a lazy frame of polars.
    ValueError
        If the data are not valid: a column of dates or text, a masked entry, a missing label, or what ``validate_data``
        refuses.
    """
    X, y = (values.compute() if is_lazy(values) else values for values in (X, y))
    parts = [("X", X)] if classes else [("X", X), ("y", y)]
    for name, values in (("X", X), ("y", y)):
        _refuse_lazy_frame(values, name)
        refuse_masked(values, name)
    for name, values in parts:
        refuse_dates(values, name)
    if _is_frame(X) and not len(X.columns):  # scikit-learn looks for the type that its columns have in common
        raise ValueError(f"X has no columns, while at least one is required by {type(estimator).__name__}.")
    if classes:
        refuse_missing(y)
        refuse_several_kinds(y)
    elif issparse(y):  # which scikit-learn lets pass where targets may have several columns
        raise TypeError("y is sparse, but targets have to be dense; use y.toarray().")
    try:
        validated = validate_data(estimator, X, y, **checks)
        return _with_numbers(validated) if checks.get("y_numeric") else validated
    except (TypeError, ValueError) as error:
        for name, values in parts:
            refuse_text(values, name, error)
            _locate(values, name, error)
        raise


def _locate(values, name, error):
    """Raise the error again with the columns, or for one column the first row, that it is about."""
    if issparse(values) or not str(error).startswith(f"Input {name} contains "):
        return
    wrong = np.isnan if "contains NaN" in str(error) else np.isinf
    found = [(label, rows) for label, column in _columns(values, name) if (rows := _rows_where(wrong, column)).size]
    if not found:
        return
    labels = [label.removesuffix(f" of {name}").removeprefix("Column ") for label, _ in found]
    rest = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    where = "" if labels == [name] else f"column{'s'[: len(labels) - 1]} {', '.join(labels[:5])}{rest}, "
    message, *advice = str(error).split("\n", 1)
    message = f"{message.rstrip('.')}: {where}first in row {min(rows[0] for _, rows in found)}."
    raise ValueError("\n".join([message, *advice])) from error


def _rows_where(wrong, column):
    """Return the numbers of the rows whose entry is not a number, or not finite, as ``wrong`` tells."""
    try:
        return np.flatnonzero(wrong(np.asarray(column, dtype=np.float64)))
    except (TypeError, ValueError):
        return np.flatnonzero([is_missing(entry) for entry in np.asarray(column, dtype=object).ravel()])


def _refuse_lazy_frame(values, name):
    """Raise for a frame of polars without rows yet: it has the columns and kinds of one, but no values to look at."""
    if type(values).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a lazy frame, which has no rows yet; use {name}.collect().")


def _with_numbers(validated):
    """Return validated X and y, or y alone, with numbers for targets that are spelt out, which validation lets pass.

    It also lets None pass among objects, which it has made NaN.
    """
    *inputs, y = validated if isinstance(validated, tuple) else (validated,)
    y = np.asarray(y, dtype=np.float64) if y.dtype.kind in "US" else y
    assert_all_finite(y, input_name="y")
    return (*inputs, y) if inputs else y


def _columns(values, name):
    """Yield the columns of data and what to call them."""
    if _is_frame(values):
        yield from ((f"Column {str(label)!r} of {name}", values[label]) for label in values.columns)
    elif getattr(values, "ndim", 1) == 2 and isinstance(values, np.ndarray):
        yield from ((f"Column {j} of {name}", values[:, j]) for j in range(values.shape[1]))
    elif hasattr(values, "dtype") and len(values.shape) == 1:
        yield name, values
    elif isinstance(values, (list, tuple, dict)) or (isinstance(values, str) and values is not _NOTHING):
        yield from _columns(np.atleast_1d(np.asarray(values, dtype=object)), name)


def refuse_dates(values, name):
    """Raise if a column holds dates or times: as numbers they would be nanoseconds, of some calendar's first day.

    Parameters
    ----------
    values : array-like or Dask collection
        The data.
    name : str
        What to call them.

    Raises
    ------
    ValueError
        With the name of the column.
    """
    kinds = values.dtypes if _is_frame(values) else [getattr(values, "dtype", None)]
    if not any(map(_is_time, kinds)):
        return
    dated = (label for label, column in _columns(values, name) if _is_time(getattr(column, "dtype", None)))
    label = next(dated, name)
    raise ValueError(f"{label} holds dates or times, not numbers; turn them into numbers, such as days since a date.")


def _is_frame(values):
    """Tell whether data are a frame of pandas or polars."""
    return hasattr(values, "columns") and hasattr(values, "dtypes")


def _is_time(dtype):
    temporal = getattr(dtype, "is_temporal", None)
    return temporal() if callable(temporal) else getattr(dtype, "kind", "") in ("M", "m")


def refuse_masked(values, name):
    """Raise if an entry is masked: as an array it would be the number under the mask.

    Parameters
    ----------
    values : array-like or Dask collection
        The data.
    name : str
        What to call them.

    Raises
    ------
    ValueError
        With the number of the first row.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        row = np.argwhere(np.ma.getmaskarray(values))[0][0]
        raise ValueError(f"Input {name} contains masked entries, which are missing: first in row {row}.")


def refuse_missing(labels, first=0):
    """Raise if a label is missing, which would be a class of its own or an error about something else.

    Parameters
    ----------
    labels : array-like
        Labels of consecutive rows.
    first : int
        The number of the first of them.

    Raises
    ------
    ValueError
        With the number of the row.
    """
    if labels is None or getattr(getattr(labels, "dtype", None), "kind", "O") not in "OUT":
        return  # Of numbers, and of no labels at all, validation says so itself.
    for row, label in enumerate(np.asarray(labels, dtype=object).ravel(), first):
        if is_missing(label):
            raise ValueError(f"Input y contains NaN: the label of row {row} is missing.")


def refuse_several_kinds(labels):
    """Raise if some labels are text and others are not: they have no order, and of a list all would become text.

    Parameters
    ----------
    labels : array-like
        The labels, none of them missing.

    Raises
    ------
    ValueError
        With a label of either kind.
    """
    if labels is None or getattr(getattr(labels, "dtype", None), "kind", "O") != "O":
        return
    entries = np.asarray(labels, dtype=object).ravel()
    is_text = np.array([isinstance(label, str) for label in entries], dtype=bool)
    if is_text.any() and not is_text.all():
        text, other = entries[is_text.argmax()], entries[is_text.argmin()]
        raise ValueError(
            f"Unknown label type: the label {text!r} is text and {other!r} is not; make all of them text, as "
            "y.astype(str) does."
        )


def as_labels(classes):
    """Return labels that are given as all that there are.

    Parameters
    ----------
    classes : array-like
        The labels.

    Returns
    -------
    ndarray
        The same.

    Raises
    ------
    ValueError
        If one of them is missing, or some are text and others are not.
    """
    for label in np.asarray(classes, dtype=object).ravel():  # beside text NaN would become text
        if is_missing(label):
            raise ValueError(f"classes must be labels, got {label} among them.")
    refuse_several_kinds(classes)
    return np.asarray(classes)


def refuse_text(values, name, error):
    """Raise the same kind of error with the name of the column that holds what is no number, if one does.

    Parameters
    ----------
    values : array-like
        The data.
    name : str
        What to call them.
    error : TypeError or ValueError
        What was raised without a name.

    Raises
    ------
    TypeError or ValueError
        With the name.
    """
    kind = TypeError if isinstance(error, TypeError) else ValueError
    if isinstance(values, str) and values is not _NOTHING:
        raise kind(f"{name} is the string {values!r}; read a file first, for instance by pandas.read_csv.") from error
    if isinstance(values, dict) and name == "X":
        raise kind("X is a dict; give a data frame, such as pandas.DataFrame(X), or an array.") from error
    if "inhomogeneous" in str(error):
        raise kind(f"{name} must be a table of numbers: its rows differ in length, or entries are lists.") from error
    advice = {
        "X": " Encode categories, for instance by OneHotEncoder in a ColumnTransformer.",
        "y": " For labels use ImplicitClassifier.",
    }.get(name, "")
    for label, column in _columns(values, name):
        entries = np.asarray(column).ravel()
        if entries.dtype.kind in "OUST" and not all(map(_is_number, entries)):
            raise kind(f"{label} holds values that are not numbers: {str(error).rstrip('.')}.{advice}") from error
    if values is not None and values is not _NOTHING and np.ndim(values) == 0:
        raise kind(f"{name} must be an array or a list, got {values!r:.100}, which is none.") from error


def is_missing(entry):
    """Tell whether an entry is None, NaN, or what pandas has for them, which need not be installed.

    Parameters
    ----------
    entry : object
        The entry.

    Returns
    -------
    bool
        Whether it is.
    """
    if isinstance(entry, float):
        return bool(np.isnan(entry))
    return entry is None or type(entry).__name__ in ("NAType", "NaTType")


def _is_number(entry):
    if is_missing(entry):
        return True  # Validation has its own message about it.
    try:
        float(entry)
    except (TypeError, ValueError):
        return False
    return True
