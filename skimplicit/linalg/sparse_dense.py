"""Products and parts of matrices that may be dense or sparse: the same code for both."""

import numpy as np
from scipy import sparse

__all__ = ["multiply", "row_scaled", "to_dense", "without_diagonal"]


def multiply(X, M, out):
    """Write ``X M`` to ``out``.

    Parameters
    ----------
    X : ndarray of shape (m, k)
        Left factor.
    M : ndarray or sparse array of shape (k, n)
        Right factor.
    out : ndarray of shape (m, n)
        Where to write.
    """
    if isinstance(M, np.ndarray):
        np.matmul(X, M, out=out)
    else:
        out[...] = X @ M


def row_scaled(A, factors):
    """Return ``diag(factors) A``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, k)
        Matrix.
    factors : float or ndarray of shape (n,)
        Factor of each row; one that is infinite leaves zeros as they are.

    Returns
    -------
    ndarray or sparse array of shape (n, k)
        A new matrix, sparse if A is.
    """
    if sparse.issparse(A):
        return factors * A if np.ndim(factors) == 0 else sparse.csr_array(sparse.diags_array(factors) @ A)
    factors = factors if np.ndim(factors) == 0 else np.asarray(factors)[:, None]
    if np.all(np.isfinite(factors)):
        return factors * A
    return np.multiply(factors, A, out=np.zeros(A.shape), where=A != 0)


def without_diagonal(A):
    """Return A with zeros on its diagonal.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Matrix.

    Returns
    -------
    ndarray or sparse array of shape (n, n)
        A new matrix, sparse if A is.
    """
    if sparse.issparse(A):
        return sparse.csr_array(A - sparse.diags_array(A.diagonal(), shape=A.shape))
    return A - np.diag(A.diagonal())


def to_dense(A):
    """Return A as an ndarray.

    Parameters
    ----------
    A : ndarray or sparse array
        Matrix.

    Returns
    -------
    ndarray
        A itself if it is one.
    """
    return A.toarray() if sparse.issparse(A) else A
