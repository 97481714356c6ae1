"""Well-posedness: when ``x = phi(A x + z)`` has exactly one solution for every z, and how to certify it."""

import numpy as np

__all__ = ["inf_norm", "perron_certificate"]


def inf_norm(A):
    """Return ``||A||_inf = max_i sum_j |A_ij|``, the largest absolute row sum.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        The matrix.

    Returns
    -------
    float
        The norm; 0 for a matrix without rows.
    """
    sums = np.asarray(abs(A).sum(axis=1)).ravel()
    return float(sums.max(initial=0.0))


def perron_certificate(A, slope=1.0):
    """Return ``v > 0`` with ``(I - slope |A|) v = 1``, a proof that ``x = phi(A x + z)`` is well posed, or None.

    Such a v exists if and only if the Perron-Frobenius value of ``slope |A|`` is below 1. Then plain iteration
    contracts at a rate below 1 in the norm ``max_i |x_i| / v_i`` and, with r the residual ``x - phi(A x + z)``,
    ``|x - x*| <= (I - slope |A|)^-1 |r|``, hence ``||x - x*||_inf <= max(v) ||r||_inf``.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        The matrix.
    slope : float
        Lipschitz constant of phi.

    Returns
    -------
    ndarray of shape (n,) or None
        The certificate; None if there is none.

    Notes
    -----
    Also valid for reducible A, where the Perron vector itself need not be positive. Source: El Ghaoui et al. (2021),
    theorem 2.2; the certificate replaces their eigenvalue test.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.wellposedness import perron_certificate
    >>> perron_certificate(np.array([[0.0, 5.0], [0.0, 0.5]]))
    array([11.,  2.])
    >>> perron_certificate(np.array([[1.0]])) is None
    True
    """
    n = A.shape[0]
    M = np.eye(n) - slope * np.abs(A)
    try:
        v = np.linalg.solve(M, np.ones(n))
    except np.linalg.LinAlgError:
        return None
    # In exact arithmetic v >= 1. The second test refuses a v that rounding made up near a singular matrix.
    if not (np.all(v >= 0.5) and np.all(M @ v > 0.5)):
        return None
    return v
