"""Columns of inputs and targets: one layout for sparse ones, and spreads that neither overflow nor vanish."""

import numpy as np
from scipy import sparse

__all__ = [
    "are_plain",
    "canonical",
    "centred_products",
    "columns_times",
    "group_scales",
    "highest_and_lowest",
    "in_own_units",
    "largest_entries",
    "over_powers",
    "shares",
    "sparse_variance",
    "unit_exponents",
    "unit_of",
]

# Between these powers of two no input over- or underflows on the way to its scaled value.
_PLAIN_EXPONENT = 500


def canonical(U):
    """Store every non-zero entry of a sparse matrix once and in order; the caller's matrix keeps its layout.

    Parameters
    ----------
    U : ndarray or CSR matrix of shape (m, p)
        Inputs, of which a CSR matrix may have duplicate entries, which add up.

    Returns
    -------
    ndarray or CSR array of shape (m, p)
        The same numbers; a copy only where the layout has to change.
    """
    if not sparse.issparse(U):
        return U
    U = sparse.csr_array(U)
    # What a matrix remembers about its layout may be out of date: a new one looks for itself.
    U = sparse.csr_array((U.data, U.indices, U.indptr), shape=U.shape)
    if not (U.has_canonical_format and U.data.all()):
        U = U.copy()
        U.sum_duplicates()
        U.eliminate_zeros()
    return U


def largest_entries(M):
    """Return the largest absolute entry of each column.

    Parameters
    ----------
    M : ndarray or CSR array of shape (m, p)
        The columns.

    Returns
    -------
    ndarray of shape (p,)
        The entries; 0 without rows.
    """
    return np.maximum(highest_and_lowest(M).max(axis=1), 0.0)


def highest_and_lowest(M):
    """Return the highest and the lowest entry of each column.

    Parameters
    ----------
    M : ndarray or CSR array of shape (m, p)
        The columns.

    Returns
    -------
    ndarray of shape (p, 2)
        The highest, and the lowest with a minus: of several parts the larger ones count. Minus infinity without rows.
    """
    if not sparse.issparse(M):
        return np.column_stack([M.max(axis=0, initial=-np.inf), -M.min(axis=0, initial=np.inf)])
    # Zeros that are not stored count too: no copy in another format is made for them.
    stored = np.bincount(M.indices, minlength=M.shape[1])
    highest = np.where(stored < M.shape[0], 0.0, -np.inf)
    lowest = highest.copy()
    np.maximum.at(highest, M.indices, M.data)
    np.maximum.at(lowest, M.indices, -M.data)
    return np.column_stack([highest, lowest])


def unit_exponents(largest):
    """Return the exponents of the powers of two at or below some numbers.

    Parameters
    ----------
    largest : ndarray of shape (p,)
        Numbers of at least 0.

    Returns
    -------
    ndarray of int of shape (p,)
        The exponents; -1 for 0.
    """
    return np.frexp(largest)[1] - 1


def in_own_units(M):
    """Divide columns by powers of two near their largest entries: exact, and then no square overflows or vanishes.

    Parameters
    ----------
    M : ndarray or canonical CSR array of shape (m, p)
        The columns.

    Returns
    -------
    scaled : ndarray or CSR array of shape (m, p)
        A new matrix, the largest entry of each column in [1, 2) or 0.
    unit : ndarray of shape (p,)
        What the columns have been divided by; 0 for a column of zeros.
    """
    largest = largest_entries(M)
    exponent = unit_exponents(largest)
    unit = np.where(largest > 0, np.ldexp(1.0, exponent), 0.0)
    return over_powers(M, exponent), unit


def over_powers(M, exponent):
    """Divide columns by powers of two, which is exact.

    Parameters
    ----------
    M : ndarray or CSR array of shape (m, p)
        The columns.
    exponent : ndarray of int of shape (p,)
        The exponents.

    Returns
    -------
    ndarray or CSR array of shape (m, p)
        A new matrix.
    """
    if sparse.issparse(M):
        return sparse.csr_array((np.ldexp(M.data, -exponent[M.indices]), M.indices, M.indptr), shape=M.shape)
    # A product is several times as fast, but where the factor would be no number.
    return M * np.ldexp(1.0, -exponent) if are_plain(exponent) else np.ldexp(M, -exponent)


def are_plain(exponent):
    """Tell whether no column is so far from one that its products could over- or underflow.

    Parameters
    ----------
    exponent : ndarray of int of shape (p,)
        Powers of two near the columns' entries.

    Returns
    -------
    bool
        Whether it is so.
    """
    return bool(np.abs(exponent).max(initial=0) <= _PLAIN_EXPONENT)


def unit_of(M):
    """Return powers of two near the largest entries of columns, in which no square overflows or vanishes.

    Parameters
    ----------
    M : ndarray of shape (m, p)
        The columns.

    Returns
    -------
    ndarray of shape (p,)
        The units; 1 for a column of zeros.
    """
    unit = in_own_units(M)[1]
    return np.where(unit > 0, unit, 1.0)


def shares(weights):
    """Divide weights by their sum, which itself may be too large for a number.

    Parameters
    ----------
    weights : ndarray of shape (m,)
        Positive weights.

    Returns
    -------
    ndarray of shape (m,)
        The shares.
    """
    weights = in_own_units(weights[:, None])[0][:, 0]
    return weights / weights.sum()


def group_scales(spread, groups):
    """Return what columns are divided by, positive.

    Parameters
    ----------
    spread : ndarray of shape (p,)
        Their spreads.
    groups : ndarray of int of shape (p,) or None
        Columns of a group share the root mean square of their spreads.

    Returns
    -------
    ndarray of shape (p,)
        The scales, 1 where there is no spread.
    """
    if groups is not None:
        largest = np.zeros(int(groups.max()) + 1)
        np.maximum.at(largest, groups, spread)
        largest = np.where(largest > 0, largest, 1.0)
        mean = np.bincount(groups, (spread / largest[groups]) ** 2) / np.bincount(groups)
        spread = (largest * np.sqrt(mean))[groups]
    return np.where(spread > 0, spread, 1.0)


def columns_times(U, factors):
    """Multiply the columns of a sparse matrix.

    Parameters
    ----------
    U : CSR array of shape (m, p)
        The matrix.
    factors : ndarray of shape (p,)
        The factors.

    Returns
    -------
    CSR array of shape (m, p)
        A new matrix.
    """
    return sparse.csr_array((U.data * factors[U.indices], U.indices, U.indptr), shape=U.shape)


def sparse_variance(U, weights, mean):
    """Return ``sum_i w_i (U_ij - mean_j)^2``: entries and zeros apart, for one minus the other would cancel.

    Parameters
    ----------
    U : canonical CSR array of shape (m, p)
        The columns.
    weights : ndarray of shape (m,)
        The weights w.
    mean : ndarray of shape (p,)
        What the columns are taken about.

    Returns
    -------
    ndarray of shape (p,)
        The sums.
    """
    rows = np.repeat(np.arange(U.shape[0]), np.diff(U.indptr))
    columns = U.indices
    entries = np.bincount(columns, weights[rows] * (U.data - mean[columns]) ** 2, minlength=U.shape[1])
    filled = np.bincount(columns, minlength=U.shape[1])
    share = np.bincount(columns, weights[rows], minlength=U.shape[1])
    return entries + np.where(filled == U.shape[0], 0.0, np.maximum(weights.sum() - share, 0.0)) * mean**2


def centred_products(U, V, shift):
    """Return ``(U - 1 shift')(V - 1 shift')'`` of sparse rows, without these differences.

    Parameters
    ----------
    U, V : canonical CSR array of shape (k, p), of shape (m, p)
        The rows.
    shift : ndarray of shape (p,)
        What is subtracted from each.

    Returns
    -------
    ndarray of shape (k, m)
        The products.
    """
    # A column without zeros may be far from them: there the large would be subtracted from the large.
    full = np.all([np.bincount(M.indices, minlength=M.shape[1]) == M.shape[0] for M in (U, V)], axis=0)
    first, rest = np.where(full, shift, 0.0), np.where(full, 0.0, shift)
    U, V = (sparse.csr_array((M.data - first[M.indices], M.indices, M.indptr), shape=M.shape) for M in (U, V))
    return (U @ V.T).toarray() - (U @ rest)[:, None] - V @ rest + rest @ rest
