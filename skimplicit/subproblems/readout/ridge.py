"""The readout block: the output weights C, D, c that are optimal for given states."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

__all__ = ["Readout", "ReadoutSystem", "ridge_readout"]


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

    def squared_norm(self, direct_ridge=1.0):
        """Return ``||C||_F^2 + direct_ridge ||D||_F^2``."""
        return float(np.sum(self.C**2) + (0.0 if self.D is None else direct_ridge * np.sum(self.D**2)))


def ridge_readout(moments, alpha, direct, direct_ridge=1.0):
    """Minimise ``1/2m ||Y - Xc C' - Uc D'||_F^2 + alpha/2 (||C||_F^2 + direct_ridge ||D||_F^2)`` from the moments.

    Parameters
    ----------
    moments : Moments
        Second moments of states, inputs and targets.
    alpha : float
        Ridge, at least 0; the minimum-norm solution where 0 leaves a choice.
    direct : bool
        Whether to have D.
    direct_ridge : float
        Ridge of D as a multiple of alpha.

    Returns
    -------
    Readout
        The minimiser.
    """
    C, D = ReadoutSystem(moments, alpha, direct, direct_ridge).solve(moments.XY.T, moments.UY.T)
    return Readout(C, D, moments.Y_mean)


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
            values, self._vectors = moments.inputs
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
        factor = linalg.cho_factor(gram, check_finite=False)
        diagonal = np.abs(np.diag(factor[0]))
        if diagonal.min(initial=np.inf) > np.sqrt(gram.shape[0] * np.finfo(float).eps) * diagonal.max(initial=0.0):
            return lambda target: linalg.cho_solve(factor, target, check_finite=False)
    except linalg.LinAlgError:
        pass
    cond = gram.shape[0] * np.finfo(float).eps
    return lambda target: linalg.lstsq(gram, target, cond=cond, check_finite=False)[0]
