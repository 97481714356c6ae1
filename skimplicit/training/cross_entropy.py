"""The training objective for classes: cross-entropy, with a readout by logistic regression."""

from dataclasses import replace

import numpy as np

from skimplicit.blocks.logistic import class_probabilities, curvatures, logistic_readout
from skimplicit.training.objective import ImplicitObjective

__all__ = ["CrossEntropyObjective"]


class CrossEntropyObjective(ImplicitObjective):
    """``J(A, B, b) = min_{C, D, c} sum_i w_i (logsumexp(yhat_i) - <y_i, yhat_i>) + alpha/2 (||A||^2 + ... + ||D||^2)``.

    The readout has no closed form: it starts from that of the point nearby and stops at the tolerance of the evaluation. J
    is the value at the readout held, so that descent is descent of something real, and its gradient holds the readout.

    See :class:`~skimplicit.training.objective.ImplicitObjective` for the parameters.
    """

    def _read_out(self, states, moments, alpha, start, tol):
        near = None
        if start is not None:
            # The same function of the states: the mean that C is taken about has moved.
            shift = start.readout.C @ (moments.X_mean - start.moments.X_mean)
            near = replace(start.readout, c=start.readout.c + shift)
        return logistic_readout(self.samples, states, moments, alpha, self.direct, near, tol)

    def _loss_derivatives(self, predictions):
        P = class_probabilities(predictions)
        return P - self.samples.Y, float(np.mean(self.samples.mean(curvatures(P))))
