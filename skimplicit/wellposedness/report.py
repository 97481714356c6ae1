"""Well-posedness: when ``x = phi(A x + z)`` has exactly one solution for every z, and how to certify it.

Every test here is sufficient and none is necessary: deciding it for ReLU is co-NP-complete (I - A must be a P-matrix).
:func:`well_posedness` runs the tests from the cheapest to the widest and reports on the first that holds.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import bicgstab, splu

from skimplicit.activations import BaseActivation, activation_of, is_increasing
from skimplicit.linalg import MatrixLike, block_triangular_order, checked_array, row_scaled, to_dense
from skimplicit.parameters import check_truths
from skimplicit.wellposedness.matrix_measures import (
    abscissa,
    block_norms,
    inf_norm,
    metzler,
    relaxation,
    square_matrix,
)
from skimplicit.wellposedness.monotone import diagonal_scaling, resolvent_rate

__all__ = ["Condition", "WellPosedness", "perron_certificate", "well_posedness"]

# Rates closer to 1 than this may be an effect of rounding: such a rule is not certified.
_ROUNDING = 1e-12
# Up to so many states a sparse factorisation takes no time. More that need one another at random fill it up, to the
# cube of their number, where some 40 steps of an iteration do (20,000 states, five entries in a row: .03 seconds).
_FACTORED, _STEPS = 500, 200
# Where its error is beyond this share, it is not taken: a bound by it is off by no more.
_SOLVED = 1e-9
# Where between the Perron-Frobenius value and 1 to put the rate of a certificate: near the value, weights degenerate.
_RATE_SHARE = 0.1


class Condition(Enum):
    """Which test certifies a rule; the value is the sentence for the user."""

    EXPLICIT = "A is strictly triangular after a permutation: the states follow one from another"
    INF_NORM = "gamma ||A||_inf < 1"
    PERRON_FROBENIUS = "the Perron-Frobenius value of Gamma |A| is below 1"
    MU_INF = "a weighted matrix measure mu_inf of Gamma A is below 1"
    MONOTONE = "I - Gamma A is strongly monotone in a diagonal metric"
    NONE = "no test certifies the rule, which does not prove that it is ill posed"


@dataclass(frozen=True)
class WellPosedness:
    """What is certified about ``x = phi(A x + z)``.

    Parameters
    ----------
    condition : Condition
        The first test that holds.
    rate : float
        Factor by which each iteration of ``method`` shrinks the error; 0 for an explicit rule, infinite if none is
        certified. In the norm ``max_i |x_i| / weights_i``; for the monotone test, of the iterate u of the splitting, in
        the norm ``sqrt(sum_i weights_i u_i^2)``.
    weights : ndarray of shape (n,) or None
        The weights of that norm.
    method : {"direct", "picard", "averaged", "peaceman_rachford", None}
        The iteration that the certificate is about.
    relaxation : float
        Step alpha of the averaged iteration ``(1 - alpha) x + alpha phi(A x + z)``; 1 for all others.
    n_steps : int
        Number of steps of the order that makes A block triangular.
    inf_norm, perron_frobenius, mu_inf : float
        ``max_i gamma_i sum_j |A_ij|``; Perron-Frobenius value of ``Gamma |A|`` (of its block norms when phi acts on
        groups); least weighted mu_inf of ``Gamma A`` (infinite when phi is not increasing in each coordinate, or its
        slope has no bound).
    """

    condition: Condition
    rate: float
    weights: np.ndarray | None = field(repr=False)
    method: str | None
    relaxation: float
    n_steps: int
    inf_norm: float
    perron_frobenius: float
    mu_inf: float

    def __bool__(self):
        """Whether some test holds."""
        return self.condition is not Condition.NONE

    def n_iterations(self, tol: float) -> int:
        """Return how many iterations surely shrink the error, in the certificate's norm, by the factor ``tol``.

        Parameters
        ----------
        tol : float
            Between 0 and 1, both excluded.

        Returns
        -------
        int
            ``ceil(log(tol) / log(rate))``; the number of steps for an explicit rule.

        Raises
        ------
        ValueError
            If tol is not in (0, 1) or nothing is certified.
        """
        if not 0 < tol < 1:
            raise ValueError(f"tol must be in (0, 1), got {tol!r}.")
        if not self:
            raise ValueError(f"No number of iterations is certified: {self.condition.value}.")
        if self.condition is Condition.EXPLICIT:
            return self.n_steps
        return max(1, int(np.ceil(np.log(tol) / np.log(self.rate)))) if self.rate > 0 else 1


def well_posedness(rule: Any, activation: str | BaseActivation = "relu", *, lmi: bool = True) -> WellPosedness:
    """Test whether ``x = phi(A x + z)`` has exactly one solution for every z.

    Parameters
    ----------
    rule : ImplicitRule, or array-like or sparse matrix of shape (n, n)
        A rule, or the matrix A.
    activation : str or BaseActivation
        phi, when ``rule`` is a matrix.
    lmi : bool
        Whether to search, when all else fails, the diagonal metric of the monotone test by a semidefinite program
        (CVXPY; minutes when n is several hundreds). If not, only the Euclidean metric is tried.

    Returns
    -------
    WellPosedness
        The first condition that holds, with its rate.

    Raises
    ------
    ValueError
        If the matrix is not square or not finite, or ``lmi`` is neither true nor false.

    Notes
    -----
    Sources: El Ghaoui et al. (2021), theorems 2.2, 2.7 and 2.8; Jafarpour et al. (2021) for mu_inf; Winston and Kolter
    (2020) for the monotone test, whose diagonal metric is that of Revay et al. (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.wellposedness import well_posedness
    >>> report = well_posedness(np.array([[0.0, 4.0], [0.1, 0.0]]))
    >>> report.condition.name, round(report.perron_frobenius, 3), report.n_iterations(1e-6)
    ('PERRON_FROBENIUS', 0.632, 34)
    >>> well_posedness(np.array([[2.0]])).condition.name
    'NONE'
    """
    check_truths(lmi=lmi)
    A, phi = (rule.A, rule.activation) if hasattr(rule, "A") else (checked_array(rule, "A", 2), activation)
    A = square_matrix(A)
    phi = activation_of(phi, A.shape[0])
    order = block_triangular_order(A, phi.groups)
    norms = block_norms(A, phi.lipschitz, phi.groups)
    increasing = is_increasing(phi)
    signed = metzler(A, phi.lipschitz) if increasing else None
    numbers = {
        "n_steps": len(order),
        "inf_norm": inf_norm(row_scaled(A, phi.lipschitz)),
        "perron_frobenius": abscissa(norms),
        "mu_inf": abscissa(signed) if increasing else np.inf,
    }
    ones = np.ones(A.shape[0])
    if not any(block.implicit for block in order):
        return WellPosedness(Condition.EXPLICIT, 0.0, ones, "direct", 1.0, **numbers)
    if numbers["inf_norm"] < 1 - _ROUNDING:
        return WellPosedness(Condition.INF_NORM, numbers["inf_norm"], ones, "picard", 1.0, **numbers)
    rate, v = _weighted_rate(norms, numbers["perron_frobenius"])
    if v is not None:
        v = v if phi.groups is None else v[phi.groups]
        return WellPosedness(Condition.PERRON_FROBENIUS, rate, v, "picard", 1.0, **numbers)
    if increasing:
        mu, v = _weighted_rate(signed, numbers["mu_inf"])
        if v is not None:
            alpha = relaxation(A, phi.lipschitz)
            rate = 1 - alpha * (1 - max(mu, 0.0))
            return WellPosedness(Condition.MU_INF, rate, v, "averaged", alpha, **numbers)
        scaled = to_dense(row_scaled(A, phi.lipschitz))
        metric = diagonal_scaling(scaled, lmi=lmi)
        if metric is not None:
            rate = resolvent_rate(scaled, metric)
            return WellPosedness(Condition.MONOTONE, rate, metric, "peaceman_rachford", 1.0, **numbers)
    return WellPosedness(Condition.NONE, np.inf, None, None, 1.0, **numbers)


def perron_certificate(A: MatrixLike, slope: ArrayLike = 1.0, groups: ArrayLike | None = None) -> np.ndarray | None:
    """Return ``v > 0`` with ``(I - slope |A|) v = 1``, a proof that ``x = phi(A x + z)`` is well posed, or None.

    Such a v exists if and only if the Perron-Frobenius value of ``slope |A|`` is below 1. Then plain iteration
    contracts at a rate below 1 in the norm ``max_i |x_i| / v_i`` and, with r the residual ``x - phi(A x + z)``,
    ``|x - x*| <= (I - slope |A|)^-1 |r|``, hence ``||x - x*||_inf <= max(v) ||r||_inf``.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, n)
        The matrix.
    slope : float or ndarray of shape (n,)
        Lipschitz constants of phi.
    groups : ndarray of int of shape (n,) or None
        Groups of coordinates that phi takes together; ``|A|`` is then :func:`block_norms`, v constant in each group.

    Returns
    -------
    ndarray of shape (n,) or None
        The certificate; None if there is none, nor ever where a slope has no bound.

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
    A = square_matrix(A)
    if not np.all(np.isfinite(slope)):
        return None
    M = block_norms(A, slope, groups)
    v = None if sparse.issparse(M) else _checked(M, _solve(M, 1.0))
    if v is None:
        v = _substituted(M, 1.0, _checked)
    return v if v is None or groups is None else v[groups]


def _checked(M, v):
    """Return v, unless it is no proof that the Perron-Frobenius value of M is below 1."""
    # In exact arithmetic v >= 1. The second test refuses a v that rounding made up near a singular matrix.
    return v if v is not None and np.all(v >= 0.5) and np.all(v - M @ v > 0.5) else None


def _solve(M, kappa, right=1.0):
    """Return v with ``(kappa I - M) v = right``, or None if the matrix is singular."""
    n = M.shape[0]
    right = np.broadcast_to(right, n)
    try:
        if sparse.issparse(M):
            matrix, right = sparse.csr_array(kappa * sparse.eye_array(n) - M), np.array(right, dtype=float)
            v = _iterated(matrix, right) if n > _FACTORED else None
            return splu(sparse.csc_array(matrix)).solve(right) if v is None else v
        return np.linalg.solve(kappa * np.eye(n) - M, right)
    except (np.linalg.LinAlgError, RuntimeError):  # dense, sparse
        return None


def _iterated(matrix, right):
    """Return v with ``matrix v = right``, positive numbers, or None where some steps of BiCGSTAB do not lead there."""
    with np.errstate(all="ignore"):  # it may break down
        v, _ = bicgstab(matrix, right, rtol=1e-13, maxiter=_STEPS)
        return v if np.all(np.abs(right - matrix @ v) <= _SOLVED * right) else None


def _substituted(M, kappa, check):
    """Return v with ``(kappa I - M) v = 1``, solved block by block, or None if ``check(M, v)`` refuses a block's v.

    In a deep network v grows by a factor from layer to layer, up to where the sum over a row of ``(I - M) v`` drowns in
    rounding; the blocks without an equation need no check.
    """
    v = np.zeros(M.shape[0])
    order = block_triangular_order(M)
    for block in order:
        rows = block.states
        right = 1.0 + M[rows] @ v
        if not block.implicit:
            v[rows] = right / kappa
            continue
        diagonal = M[rows][:, rows]
        if check(diagonal, _solve(diagonal, kappa)) is None:
            return None
        v[rows] = _solve(diagonal, kappa, right)
    return v if np.all(np.isfinite(v)) else None


def _weighted_rate(M, value):
    """Return ``max_i (M v)_i / v_i``, between ``value``, the least there is, and 1, and v; or (inf, None)."""
    if not value < 1 or not np.isfinite(M.sum()):  # a slope without a bound leaves no v
        return np.inf, None
    kappa = max(value + _RATE_SHARE * (1 - value), 1e-3)
    v = _substituted(M, kappa, lambda block, v: v) if sparse.issparse(M) else _solve(M, kappa)
    if v is None or not np.all(v > 0):
        return np.inf, None
    rate = float(np.max((M @ v) / v))
    return (rate, v) if rate < 1 - _ROUNDING else (np.inf, None)
