"""The arrays that a rule keeps: checked once, read-only, dense or sparse."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_array

__all__ = ["MatrixLike", "checked_array", "parts_of", "read_only", "same_values"]

#: What a matrix can be given as.
MatrixLike: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix


def checked_array(value, name, ndim=None):
    """Return a finite float64 copy, in C order or CSR format.

    Parameters
    ----------
    value : array-like or sparse
        Numbers.
    name : str
        What they are called, for messages.
    ndim : int or None
        Number of dimensions; None for any.

    Returns
    -------
    ndarray or CSR array
        The copy.

    Raises
    ------
    ValueError
        If it is not an array of finite numbers with so many dimensions.
    """
    options = {"ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0, "ensure_min_features": 0}
    try:
        if type(value) is np.ndarray and value.dtype == np.float64 and np.isfinite(value).all():
            array = value.copy()  # training makes rules by the thousand, and to look for frames costs most of a check
        else:
            if not sparse.issparse(value) and np.asarray(value).dtype.kind in "SU":
                raise TypeError("It holds text.")  # that of a number would be taken for one
            array = check_array(
                value, dtype=np.float64, order="C", copy=True, accept_sparse="csr", input_name=name, **options
            )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of finite numbers. {error}") from error
    if ndim not in (None, array.ndim):
        raise ValueError(f"{name} must have {ndim} dimension(s), got {array.ndim}.")
    if not sparse.issparse(array):
        return array
    if ndim == 1:
        raise ValueError(f"{name} must be a dense vector.")
    array = sparse.csr_array(array)
    array.check_format()  # indices out of range would be read outside of memory
    array.sum_duplicates()
    array.eliminate_zeros()
    return array


def parts_of(value):
    """Return what a sparse array is made of, so that who loads it needs no type of SciPy.

    Parameters
    ----------
    value : object
        A CSR array, or anything else.

    Returns
    -------
    tuple or object
        Data, indices, starts of the rows and shape; anything else as it is.
    """
    return (value.data, value.indices, value.indptr, value.shape) if sparse.issparse(value) else value


def read_only(array):
    """Make an array read-only.

    Parameters
    ----------
    array : ndarray or CSR array
        The array.

    Returns
    -------
    ndarray or CSR array
        The same.
    """
    for part in (array.data, array.indices, array.indptr) if sparse.issparse(array) else (array,):
        part.flags.writeable = False
    return array


def same_values(first, second):
    """Compare the values of two arrays, whether dense or sparse.

    Parameters
    ----------
    first, second : ndarray or sparse array
        The arrays.

    Returns
    -------
    bool
        Whether shapes and values are the same.
    """
    if sparse.issparse(first) or sparse.issparse(second):
        return first.shape == second.shape and abs(sparse.csr_array(first) - sparse.csr_array(second)).nnz == 0
    return np.array_equal(first, second)
