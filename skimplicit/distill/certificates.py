"""How far the states of a rule can be from given states that meet its equation up to a residual."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from skimplicit.structure import row_scaled
from skimplicit.wellposedness import perron_certificate

__all__ = ["drift_bound"]


def drift_bound(A, activation, residual):
    """Return ``(I - Gamma |A|)^-1 Gamma |r|``, a bound on ``|x~ - x|`` for every row r of ``residual``.

    Here ``x = phi(z)`` are given states, ``r = z - (A x + B u + b)`` is how far they are from the equation, and
    ``x~ = phi(A x~ + B u + b)`` are the states of the rule. Gamma has the Lipschitz constants of phi on its diagonal.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi; each state has its own (no max pooling or softmax).
    residual : ndarray of shape (m, n)
        The rows r, or bounds on their absolute values.

    Returns
    -------
    ndarray of shape (m, n)
        The bound, entry by entry.

    Raises
    ------
    ValueError
        If the Perron-Frobenius value of ``Gamma |A|`` is not certified below 1, or phi takes states together.

    Notes
    -----
    ``|x~ - x| <= Gamma |A x~ + B u + b - z| <= Gamma (|A| |x~ - x| + |r|)``. With ``x`` the states of a rule and
    ``r = (A0 - A) x + (B0 - B) u``, this is the corrected theorem 5.1 of El Ghaoui et al. (2021): as printed it has
    ``|A0 + E|`` for ``|A0| + |E|`` and fails.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import get_activation
    >>> from skimplicit.distill import drift_bound
    >>> drift_bound(np.array([[0.0, 0.5], [0.0, 0.5]]), get_activation("relu"), np.array([[0.1, -0.2]]))
    array([[0.3, 0.4]])
    """
    gamma = activation.lipschitz
    if activation.groups is not None:
        raise ValueError("A bound on each state needs an activation that acts on each state alone.")
    if perron_certificate(A, gamma) is None:
        raise ValueError("No bound: the Perron-Frobenius value of Gamma |A| is not certified below 1.")
    M = row_scaled(abs(A), gamma)
    right = np.abs(residual).T * np.broadcast_to(gamma, A.shape[0])[:, None]
    if sparse.issparse(M):
        bound = splu(sparse.csc_array(sparse.eye_array(A.shape[0]) - M)).solve(right)
    else:
        bound = np.linalg.solve(np.eye(A.shape[0]) - M, right)
    return np.maximum(bound, 0.0).T
