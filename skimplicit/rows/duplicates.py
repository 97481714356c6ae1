"""The training set as a set: every distinct sample once, in an order that neither the rows' own nor units change."""

import numpy as np
from scipy import sparse

from skimplicit.linalg import to_dense
from skimplicit.rows.columns import canonical

__all__ = ["group_sizes", "merge_duplicates"]

# Entries up to which a sparse matrix is made dense to order its rows.
_DENSE_SIZE = 10**7


def merge_duplicates(U, Y, weights=None, return_place=False):
    """Return the same weighted set of samples in a canonical order, every distinct sample once.

    Training is a long chain of steps on a non-convex objective, in which a difference in rounding grows. On the
    canonical set the order of the rows does not matter at all, and a weight of 2 is the same as a row given twice. The
    order is by the first input, then the second, and so on: batches, folds and parts of the rows do not depend on the
    units of the inputs either. That of a large sparse matrix is another one, which does not depend on units.

    Parameters
    ----------
    U : ndarray or CSR matrix of shape (m, p)
        Inputs.
    Y : ndarray of shape (m, q)
        Targets.
    weights : ndarray of shape (m,) or None
        Weights of the samples, at least 0; None for ones.
    return_place : bool
        Whether to tell where each sample has gone.

    Returns
    -------
    U, Y, weights
        Distinct samples of positive weight, and the sums of their weights.
    place : ndarray of int of shape (m,)
        With ``return_place``: the position of each sample among them, -1 for a sample of weight 0.
    """
    given, kept = U.shape[0], None
    U = canonical(U)
    if weights is not None and not np.all(weights > 0):
        kept = np.flatnonzero(weights > 0)
        U, Y, weights = U[kept], Y[kept], weights[kept]
    weights = np.ones(U.shape[0]) if weights is None else weights
    keys = _row_keys(U, Y)
    order = np.argsort(keys, kind="stable")
    new = np.ones(order.size, dtype=bool)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    first = np.flatnonzero(new)
    merged = U[order[first]], Y[order[first]], np.add.reduceat(weights[order], first)
    if not return_place:
        return merged
    place = np.full(given, -1)
    place[order if kept is None else kept[order]] = np.cumsum(new) - 1
    return *merged, place


def group_sizes(U):
    """Return how many rows are equal to each row.

    Parameters
    ----------
    U : ndarray or canonical CSR matrix of shape (m, p)
        The rows.

    Returns
    -------
    ndarray of int of shape (m,)
        Their numbers, at least 1.
    """
    _, group, sizes = np.unique(_row_keys(U, np.empty((U.shape[0], 0))), return_inverse=True, return_counts=True)
    return sizes[group.ravel()]


def _row_keys(U, Y):
    """Return one key for each row of [U Y], which compare as the rows do, number by number."""
    if sparse.issparse(U) and U.shape[0] * U.shape[1] > _DENSE_SIZE:
        data, Y = _ordered_bytes(U.data), _ordered_bytes(Y)
        keys = np.empty(U.shape[0], dtype=object)
        for i in range(U.shape[0]):
            row = slice(U.indptr[i], U.indptr[i + 1])
            keys[i] = U.indices[row].astype(np.int64).tobytes() + data[row].tobytes() + Y[i].tobytes()
        return keys
    rows = _ordered_bytes(np.hstack([to_dense(U), Y]))
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()


def _ordered_bytes(numbers):
    """Return floats as integers of the same shape whose bytes compare as the floats do."""
    bits = np.ascontiguousarray(numbers + 0.0).view(np.int64)  # turns -0.0 into 0.0: equal numbers have equal bytes
    # Larger bits are a larger number, but for the sign, and of negative numbers the other way round.
    return (bits ^ ((bits >> 63) | np.int64(-(2**63)))).astype(">i8")
