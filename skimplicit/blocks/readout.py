"""The readout block: the output weights C, D, c that are optimal for given states."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

__all__ = ["Readout", "ridge_readout"]


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

    def squared_norm(self):
        """Return ``||C||_F^2 + ||D||_F^2``."""
        return float(np.sum(self.C**2) + (0.0 if self.D is None else np.sum(self.D**2)))


def ridge_readout(moments, alpha, direct):
    """Minimise ``1/2m ||Y - Xc C' - Uc D'||_F^2 + alpha/2 (||C||_F^2 + ||D||_F^2)`` from the moments alone.

    Parameters
    ----------
    moments : Moments
        Second moments of states, inputs and targets.
    alpha : float
        Ridge, at least 0; the minimum-norm solution where 0 leaves a choice.
    direct : bool
        Whether to have D.

    Returns
    -------
    Readout
        The minimiser.
    """
    XX, XY = moments.XX + alpha * np.eye(moments.XX.shape[0]), moments.XY
    if not direct:
        return Readout(_solve(XX, XY).T, None, moments.Y_mean)
    values, vectors = moments.inputs
    cutoff = values.max(initial=0.0) * values.size * np.finfo(float).eps
    inverse = np.divide(1.0, values + alpha, out=np.zeros_like(values), where=values + alpha > cutoff)
    cross, UY = moments.XU @ vectors, vectors.T @ moments.UY
    C = _solve(XX - (cross * inverse) @ cross.T, XY - (cross * inverse) @ UY)
    D = vectors @ (inverse[:, None] * (UY - cross.T @ C))
    return Readout(C.T, D.T, moments.Y_mean)


def _solve(gram, target):
    """Solve a positive semidefinite system; the minimum-norm least-squares solution where it is singular."""
    try:
        factor = linalg.cho_factor(gram, check_finite=False)
        diagonal = np.abs(np.diag(factor[0]))
        if diagonal.min(initial=np.inf) > np.sqrt(gram.shape[0] * np.finfo(float).eps) * diagonal.max(initial=0.0):
            return linalg.cho_solve(factor, target, check_finite=False)
    except linalg.LinAlgError:
        pass
    return linalg.lstsq(gram, target, cond=gram.shape[0] * np.finfo(float).eps, check_finite=False)[0]
