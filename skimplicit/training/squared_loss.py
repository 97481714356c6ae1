"""The training objective for numbers: the squared loss, with a readout by ridge regression."""

import numpy as np

from skimplicit.losses import SquaredLoss
from skimplicit.subproblems import constrained_ridge_readout, ridge_readout
from skimplicit.training.objective import ImplicitObjective

__all__ = ["SquaredObjective"]

# Below this share of the targets' variance the loss is summed over samples: from moments, rounding would show.
_SMALL_LOSS = 1e-6


class SquaredObjective(ImplicitObjective):
    """``J(A, B, b) = min_{C, D, c} 1/2m ||Y - Yhat||_F^2 + alpha/2 (||A||^2 + ||B||^2 + ||C||^2 + ||D||^2)``.

    Parameters
    ----------
    samples : Samples
        The training set.
    activation : Activation
        phi.
    direct : bool
        Whether there is a direct term D.
    direct_ridge : float
        Ridge of D as a multiple of alpha.
    readout_set : RowSet or None
        Signs and balls of the rows of ``[C D]``; None for none.
    recurrent : bool
        Whether A may be other than zero.
    """

    sample_loss = SquaredLoss()

    @property
    def null_loss(self):
        """Half the variance of the targets, summed, a float (their second moment, without intercepts)."""
        return 0.5 * self.samples.Y_moments[1]

    def _read_out(self, states, moments, alpha, start, tol):
        near = None if start is None else start.point.readout
        problem = moments, alpha, self.direct, self.direct_ridge, near
        if self.readout_set is None:
            readout = ridge_readout(*problem)
        else:
            readout = constrained_ridge_readout(*problem, self.readout_set)
        return readout, self._loss(states, moments, readout)

    def _loss(self, states, moments, readout):
        """Return ``1/2m ||Y - Yhat||_F^2``."""
        C, D = readout.C, readout.D
        total = self.samples.Y_moments[1]
        fitted = 2 * np.sum(C.T * moments.XY) - np.sum((C @ moments.XX) * C)
        if D is not None:
            fitted += 2 * np.sum(D.T * moments.UY) - 2 * np.sum((C @ moments.XU) * D)
            fitted -= np.sum(moments.inputs.products(D) * D)
        if total - fitted > _SMALL_LOSS * total:
            return 0.5 * (total - fitted)
        return self._sweep("_sum_losses", states, X_mean=moments.X_mean, readout=readout)[1]
