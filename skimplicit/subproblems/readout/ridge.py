"""The readout block: the output weights C, D, c that are optimal for given states."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from skimplicit.linalg import CholeskyFactor

__all__ = ["Readout", "ReadoutSystem", "readout_preconditioner", "ridge_of_weights", "ridge_readout"]

# Conjugate gradients, for inputs whose eigenvectors would be too many: relative residual, and most steps.
_CG_TOL, _CG_MAX_ITER = 1e-9, 500


@dataclass(frozen=True)
class Readout:
    """``Yhat = Xc C' + Uc D'``, for centred states and inputs, plus the intercept.

    Parameters
    ----------
    C : ndarray of shape (q, n)
        Weights of the states.
    D : ndarray of shape (q, p) or None
        Weights of the inputs; None without a direct term.
    c : ndarray of shape (q,)
        Prediction at the mean state and the mean input.
    """

    C: np.ndarray
    D: np.ndarray | None
    c: np.ndarray

    @classmethod
    def of(cls, weights, n, direct, c):
        """Return the readout of ``[C D]``, C of n states, with the intercepts c; the inverse of :attr:`weights`."""
        return cls(weights[:, :n], weights[:, n:] if direct else None, c)

    @property
    def weights(self):
        """``[C D]``, an ndarray of shape (q, n + p); C alone without a direct term."""
        return self.C if self.D is None else np.hstack([self.C, self.D])

    def squared_norm(self, direct_ridge=1.0):
        """Return ``||C||_F^2 + direct_ridge ||D||_F^2``."""
        return float(np.sum(self.C**2) + (0.0 if self.D is None else direct_ridge * np.sum(self.D**2)))


def ridge_of_weights(alpha, direct_ridge, n, size):
    """Return the ridges of the weights of an output.

    Parameters
    ----------
    alpha, direct_ridge : float
        The ridge of the states, and that of the inputs as a multiple of it.
    n, size : int
        Number of states, and of all weights.

    Returns
    -------
    ndarray of shape (size,)
        The ridges.
    """
    ridge = np.full(size, alpha * direct_ridge)
    ridge[:n] = alpha
    return ridge


def ridge_readout(moments, alpha, direct, direct_ridge=1.0, start=None):
    """Minimise ``1/2m ||Y - Xc C' - Uc D'||_F^2 + alpha/2 (||C||_F^2 + direct_ridge ||D||_F^2)`` from the moments.

    Parameters
    ----------
    moments : Moments
        Second moments of states, inputs and targets.
    alpha : float
        Ridge, at least 0; where 0 leaves a choice, without D the minimum-norm solution.
    direct : bool
        Whether to have D.
    direct_ridge : float
        Ridge of D as a multiple of alpha.
    start : Readout or None
        A readout nearby, which saves time where the inputs are too many for a direct solution.

    Returns
    -------
    Readout
        The minimiser.
    """
    system = readout_preconditioner(moments, alpha, direct, direct_ridge)
    if isinstance(system, ReadoutSystem):
        C, D = system.solve(moments.XY.T, moments.UY.T)
    else:
        C, D = _conjugate_gradients(moments, alpha, system, start, direct_ridge)
    return Readout(C, D, moments.Y_mean)


def readout_preconditioner(moments, ridge, direct, direct_ridge=1.0):
    """Return what solves the readout's system: exactly, or nearly where the inputs' eigenvectors would be too many.

    Parameters
    ----------
    moments, ridge, direct, direct_ridge : Moments, float, bool, float
        As for :class:`ReadoutSystem`.

    Returns
    -------
    object with ``solve(C, D)``
        A :class:`ReadoutSystem` where the inputs can be decomposed.
    """
    if direct and not moments.inputs.decomposes:
        return _DiagonalSystem(moments, ridge, direct_ridge)
    return ReadoutSystem(moments, ridge, direct, direct_ridge)


def _conjugate_gradients(moments, alpha, preconditioner, start, direct_ridge):
    """Return C and D of the minimum by preconditioned conjugate gradients, all targets at once."""
    n, gram = moments.XX.shape[0], moments.gram
    ridge = ridge_of_weights(alpha, direct_ridge, n, gram.size)

    def precondition(V):
        return np.hstack(preconditioner.solve(V[:, :n], V[:, n:]))

    target = np.hstack([moments.XY.T, moments.UY.T])
    V = np.zeros_like(target) if start is None or start.D is None else start.weights
    residual = target - V @ gram - ridge * V
    preconditioned = precondition(residual)
    direction, rho = preconditioned, np.sum(residual * preconditioned, axis=1)
    enough = _CG_TOL * np.linalg.norm(target, axis=1)
    for _ in range(_CG_MAX_ITER):
        if np.all(np.linalg.norm(residual, axis=1) <= enough):
            break
        product = direction @ gram + ridge * direction
        curvature = np.sum(direction * product, axis=1)
        length = np.divide(rho, curvature, out=np.zeros_like(rho), where=curvature > 0)[:, None]
        V, residual = V + length * direction, residual - length * product
        preconditioned = precondition(residual)
        rho, before = np.sum(residual * preconditioned, axis=1), rho
        kept = np.divide(rho, before, out=np.zeros_like(rho), where=before > 0)[:, None]
        direction = preconditioned + kept * direction
    return V[:, :n], V[:, n:]


class _DiagonalSystem:
    """The readout's system without what couples inputs to one another and to the states."""

    def __init__(self, moments, ridge, direct_ridge):
        self._solve = _solver(moments.XX + ridge * np.eye(moments.XX.shape[0]))
        squares = moments.inputs.diagonal() + ridge * direct_ridge
        self._inverse = np.divide(1.0, squares, out=np.zeros_like(squares), where=squares > 0)

    def solve(self, C, D):
        """Return the solution for targets C of shape (q, n) and D of shape (q, p)."""
        return self._solve(C.T).T, D * self._inverse


class ReadoutSystem:
    """``([Xc Uc]' diag(weights) [Xc Uc] + ridge I) [C D]' = targets'``, set up once from the moments for many targets.

    Parameters
    ----------
    moments : Moments
        Second moments of states and inputs.
    ridge : float
        Ridge, at least 0.
    direct : bool
        Whether there are columns D.
    direct_ridge : float
        Ridge of D as a multiple of ``ridge``.
    """

    def __init__(self, moments, ridge, direct, direct_ridge=1.0):
        self.direct = direct
        gram = moments.XX + ridge * np.eye(moments.XX.shape[0])
        if direct:
            values, self._vectors = moments.inputs.eigen
            cutoff = values.max(initial=0.0) * values.size * np.finfo(float).eps
            damped = values + ridge * direct_ridge
            self._inverse = np.divide(1.0, damped, out=np.zeros_like(values), where=damped > cutoff)
            self._cross = moments.XU @ self._vectors
            gram = gram - (self._cross * self._inverse) @ self._cross.T
        self._solve = _solver(gram)

    def solve(self, C, D):
        """Return the solution for targets C of shape (q, n) and D of shape (q, p), which is ignored without D.

        Where the system is singular, the solution of smallest norm.
        """
        if not self.direct:
            return self._solve(C.T).T, None
        target = self._vectors.T @ D.T
        C = self._solve(C.T - (self._cross * self._inverse) @ target)
        D = self._vectors @ (self._inverse[:, None] * (target - self._cross.T @ C))
        return C.T, D.T


def _solver(gram):
    """Return the solver of a positive semidefinite system; of its least-squares problem where it is singular."""
    try:
        factor = CholeskyFactor(gram)
        diagonal = factor.diagonal
        if diagonal.min(initial=np.inf) > np.sqrt(gram.shape[0] * np.finfo(float).eps) * diagonal.max(initial=0.0):
            return factor.solve
    except linalg.LinAlgError:
        pass
    cond = gram.shape[0] * np.finfo(float).eps
    return lambda target: linalg.lstsq(gram, target, cond=cond, check_finite=False)[0]
