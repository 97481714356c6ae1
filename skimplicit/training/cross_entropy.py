"""The training objective for classes: cross-entropy, with a readout by logistic regression."""

from dataclasses import replace
from functools import partial

import numpy as np

from skimplicit.losses import CrossEntropyLoss, cross_entropy, prior_logits
from skimplicit.subproblems import constrained_logistic_readout, logistic_readout
from skimplicit.training.objective import ImplicitObjective

__all__ = ["CrossEntropyObjective"]

# Tolerance of the readout beside that of the states. Digits (n=40, 60 iterations), factors 1 and 10: 305 and 194 Newton
# steps, final J .0825 and .0863, up to 16 % apart on the way; one step an evaluation: 139 and .0917.
_READOUT_TOL = 10.0


class CrossEntropyObjective(ImplicitObjective):
    """``J(A, B, b) = min_{C, D, c} 1/m sum_i -log p_i[y_i] + alpha/2 (||A||^2 + ||B||^2 + ||C||^2 + ||D||^2)``.

    ``p_i = softmax(yhat_i)``; the targets are indicators of the classes, one column where there are two classes. The
    readout has no closed form: it starts from that of the point nearby and stops at the tolerance of the evaluation. J
    is the value at the readout held, so descent is descent of something real, and its gradient holds the readout.

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

    sample_loss = CrossEntropyLoss()

    @property
    def null_loss(self):
        """Entropy of the shares of the classes, a float (of equal shares, without intercepts)."""
        samples = self.samples
        logits = prior_logits(samples.Y_sum, samples.centre)
        return samples.run(partial(_constant_loss, logits))[1]

    def _read_out(self, states, moments, alpha, start, tol):
        near = None
        if start is not None:
            # The same function of the states: the mean that C is taken about has moved.
            readout = start.point.readout
            near = replace(readout, c=readout.c + readout.C @ (moments.X_mean - start.point.X_mean))
        tol = _READOUT_TOL * tol
        problem = self.samples, states, moments, alpha, self.direct, near, tol, self.direct_ridge
        if self.readout_set is None:
            return logistic_readout(*problem)
        return constrained_logistic_readout(*problem, self.readout_set)


def _constant_loss(logits, samples):
    """Return the sum of the losses of the same logits for every sample."""
    logits = np.tile(logits, (samples.n_samples, 1))
    return None, float(samples.mean(cross_entropy(logits, samples.Y)[0]))
