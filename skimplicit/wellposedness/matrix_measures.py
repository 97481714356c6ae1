"""Numbers that say how much a matrix amplifies: norms, the Perron-Frobenius value, the matrix measure mu_inf."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import ArpackError, eigs

from skimplicit.linalg import MatrixLike, block_triangular_order, row_scaled, to_dense

__all__ = [
    "abscissa",
    "block_norms",
    "group_starts",
    "inf_norm",
    "metzler",
    "mu_inf",
    "perron_frobenius",
    "relaxation",
    "square_matrix",
]

# Above so many states that need one another all eigenvalues of a sparse matrix take seconds, as the cube of the states.
_ALL_EIGENVALUES = 500
# How often an iteration for the largest starts anew, at most, and how near to one another bounds on it must be.
_MOST_STARTS, _SHARP = 100, 1e-9


def square_matrix(A):
    """Return a square matrix, in CSR format where it is sparse.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, n)
        The matrix.

    Returns
    -------
    ndarray or CSR array of shape (n, n)
        The same numbers.

    Raises
    ------
    ValueError
        If it is not square.
    """
    A = sparse.csr_array(A) if sparse.issparse(A) else np.asarray(A)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"A must be a square matrix, got an array of shape {A.shape}.")
    return A


def inf_norm(A: MatrixLike) -> float:
    """Return ``||A||_inf = max_i sum_j |A_ij|``, the largest absolute row sum.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, n)
        The matrix.

    Returns
    -------
    float
        The norm; 0 for a matrix without rows.
    """
    A = A if sparse.issparse(A) else np.asarray(A)
    sums = np.asarray(abs(A).sum(axis=1)).ravel()
    return float(sums.max(initial=0.0))


def perron_frobenius(A: MatrixLike) -> float:
    """Return the Perron-Frobenius value of ``|A|``, its largest eigenvalue.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, n)
        The matrix.

    Returns
    -------
    float
        The value, exactly 0 for a matrix that is strictly triangular after a permutation. Computed on each strongly
        connected component: the eigenvalues of a nilpotent matrix as a whole come out wrong by powers of rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.wellposedness import perron_frobenius
    >>> perron_frobenius(np.array([[0.0, 100.0], [0.0, 0.5]]))
    0.5
    """
    return abscissa(abs(square_matrix(A)))


def mu_inf(A: MatrixLike, weights: ArrayLike | None = None) -> float:
    """Return the matrix measure ``max_i (A_ii + sum_{j != i} |A_ij| v_j / v_i)``.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, n)
        The matrix.
    weights : array-like of shape (n,) or None
        Positive weights v; None for those that make the measure least.

    Returns
    -------
    float
        The measure. Below 1, the rule is well posed for every phi with slopes in [0, 1].

    Raises
    ------
    ValueError
        If the matrix is not square, or weights are not positive numbers, one for each row.

    Notes
    -----
    Source: Jafarpour et al. (2021). The least measure is the largest eigenvalue of A with off-diagonal entries
    replaced by their absolute values.
    """
    M = metzler(square_matrix(A), 1.0)
    if weights is None:
        return abscissa(M)
    weights = np.asarray(weights)
    if weights.shape != M.shape[:1] or not np.all(weights > 0):
        raise ValueError(f"weights must be {M.shape[0]} positive numbers, got {weights!r}.")
    return float(np.max((M @ weights) / weights, initial=-np.inf))


def relaxation(A, slope=1.0):
    """Return the step ``1 / (1 - min_i min(gamma_i A_ii, 0))`` of the averaged iteration.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        The matrix.
    slope : float or ndarray of shape (n,)
        Largest slopes gamma of phi.

    Returns
    -------
    float
        The largest step for which the iteration contracts whenever ``mu_inf(Gamma A) < 1``.
    """
    return float(1.0 / (1.0 - np.min(slope * A.diagonal(), initial=0.0)))


def group_starts(groups):
    """Return the first coordinate of each group.

    Parameters
    ----------
    groups : ndarray of int of shape (n,)
        Consecutive groups, numbered from 0.

    Returns
    -------
    ndarray of int of shape (n_groups,)
        The coordinates.
    """
    return np.flatnonzero(np.diff(groups, prepend=-1))


def block_norms(A, slope=1.0, groups=None):
    """Return ``gamma_k max_{i in k} sum_{j in l} |A_ij|``: how strongly group l drives group k.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        The matrix.
    slope : float or ndarray of shape (n,)
        Lipschitz constants gamma, equal in each group.
    groups : ndarray of int of shape (n,) or None
        Consecutive groups, numbered from 0; None if each coordinate is on its own.

    Returns
    -------
    ndarray or sparse array of shape (n_groups, n_groups)
        ``Gamma N(A)`` of El Ghaoui et al. (2021), theorem 2.7, with the norm l-infinity in every block; ``Gamma |A|``
        without groups.
    """
    M = row_scaled(abs(A), slope)
    if groups is None:
        return M
    starts = group_starts(groups)
    if not sparse.issparse(M):
        return np.maximum.reduceat(np.add.reduceat(M, starts, axis=1), starts, axis=0)
    n = groups.size
    summed = (M @ sparse.csr_array((np.ones(n), (np.arange(n), groups)))).tocoo()
    row, column = groups[summed.row], summed.col
    order = np.lexsort((summed.data, column, row))
    row, column, data = row[order], column[order], summed.data[order]
    last = np.flatnonzero(np.append((np.diff(row) != 0) | (np.diff(column) != 0), True))[: row.size]
    return sparse.csr_array((data[last], (row[last], column[last])), shape=(starts.size, starts.size))


def abscissa(M):
    """Return the largest real part of the eigenvalues of a matrix whose off-diagonal entries are not negative.

    Parameters
    ----------
    M : ndarray or sparse array of shape (n, n)
        The matrix.

    Returns
    -------
    float
        The spectral abscissa, which is an eigenvalue; 0 for a matrix without rows.
    """
    largest = -np.inf
    for block in block_triangular_order(M):
        if not block.implicit:
            largest = max(largest, 0.0)
            continue
        diagonal = M[np.ix_(block.states, block.states)]
        entries = diagonal.data if sparse.issparse(diagonal) else diagonal
        if not np.all(np.isfinite(entries)):  # a slope without a bound, on a cycle
            return np.inf
        largest = max(largest, _largest_real_part(diagonal))
    return largest if largest > -np.inf else 0.0


def _largest_real_part(M):
    """Return the largest real part of the eigenvalues of such a matrix, whose states need one another."""
    if sparse.issparse(M) and M.shape[0] > _ALL_EIGENVALUES:
        try:
            _, v = eigs(M, k=1, which="LR", v0=np.ones(M.shape[0]), maxiter=_MOST_STARTS)
        except ArpackError:
            v = np.zeros((M.shape[0], 1))
        v = np.abs(v[:, 0])
        if np.all(v > 0):  # the value is between the least and the largest of these (Collatz and Wielandt)
            ratios = (M @ v) / v
            low, high = float(ratios.min()), float(ratios.max())
            if high - low <= _SHARP * abs(high):
                return high
    return float(np.linalg.eigvals(to_dense(M)).real.max())


def metzler(A, slope):
    """Return ``Gamma A`` with the absolute values of its off-diagonal entries.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        The matrix.
    slope : float or ndarray of shape (n,)
        Diagonal of Gamma.

    Returns
    -------
    ndarray or sparse array of shape (n, n)
        A new matrix, sparse if A is.
    """
    scaled = row_scaled(A, slope)
    diagonal = scaled.diagonal()
    if sparse.issparse(scaled):
        return (abs(scaled) + sparse.diags_array(diagonal - np.abs(diagonal))).tocsr()
    return np.abs(scaled) + np.diag(diagonal - np.abs(diagonal))
