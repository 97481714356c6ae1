"""The true training objective, with the states at equilibrium: what every loss shares, and the squared loss."""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.blocks.losses import SquaredLoss
from skimplicit.blocks.readout import Readout, ridge_readout
from skimplicit.fixed_point import adjoint, equilibrium
from skimplicit.rule import ImplicitRule
from skimplicit.training.samples import Moments

__all__ = ["Evaluation", "Gradient", "ImplicitObjective", "SquaredObjective"]

# Below this share of the targets' variance the loss is summed over samples: from moments, rounding would show.
_SMALL_LOSS = 1e-6


@dataclass(frozen=True)
class Evaluation:
    """The objective at one ``W = [A B]``, b, and what was computed on the way.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        Weights ``[A B]`` for scaled inputs.
    b : ndarray of shape (n,)
        Intercept of the states, for centred inputs.
    states : ndarray of shape (m, n)
        Equilibrium states.
    moments : Moments
        Their moments.
    readout : Readout
        The readout: optimal, or as near to it as ``tol`` asks for.
    loss, objective : float
        Loss alone, and loss plus ridge.
    alpha : float
        The ridge.
    tol : float
        Tolerance of the states.
    """

    W: np.ndarray
    b: np.ndarray
    states: np.ndarray
    moments: Moments
    readout: Readout
    loss: float
    objective: float
    alpha: float
    tol: float

    def scaled(self, scale):
        """Return what to start from when B and b are multiplied by ``scale``, for a positively homogeneous phi."""
        if scale == 1.0:
            return self
        return replace(
            self,
            states=self.states * scale,
            moments=replace(self.moments, X_mean=self.moments.X_mean * scale),
            readout=replace(self.readout, C=self.readout.C / scale),
        )


@dataclass(frozen=True)
class Gradient:
    """Derivatives of the loss with respect to the pre-activations, summed over the samples.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        ``S' [Xc Uc]``, the derivative with respect to W when b moves so that the mean pre-activation stays.
    b : ndarray of shape (n,)
        Derivative with respect to b.
    curvature : ndarray of shape (n,)
        Estimate of the loss's curvature along each state's pre-activation, positive.
    adjoint : ndarray of shape (m, n)
        The rows S.
    """

    W: np.ndarray
    b: np.ndarray
    curvature: np.ndarray
    adjoint: np.ndarray


class ImplicitObjective:
    """``J(A, B, b) = min_{C, D, c} L(Y, Yhat) + alpha/2 (||A||^2 + ||B||^2 + ||C||^2 + ||D||^2)`` for a loss L.

    ``Yhat = X C' + U D' + c`` where X is the equilibrium of A, B and b; inputs and targets are those of ``samples``.
    The readout C, D, c is chosen anew for every A, B, b tried, so J is a function of these alone (variable projection).

    Parameters
    ----------
    samples : Samples
        The training set.
    activation : Activation
        phi.
    direct : bool
        Whether there is a direct term D.
    """

    #: The loss of one sample as a function of its prediction.
    sample_loss = None

    def __init__(self, samples, activation, direct):
        self.samples = samples
        self.activation = activation
        self.direct = direct

    def _read_out(self, states, moments, alpha, start, tol):
        """Return the readout for the states and its loss; ``start`` is the evaluation of a point nearby or None."""
        raise NotImplementedError

    def _loss_derivatives(self, predictions):
        """Return the derivative of every sample's loss by its predictions (m, q), and the mean second derivative."""
        raise NotImplementedError

    def evaluate(self, W, b, alpha, *, start=None, tol):
        """Return the :class:`Evaluation` at W of shape (n, n + p) and b of shape (n,), to the tolerance ``tol``.

        ``start`` is the evaluation of a point nearby.
        """
        n = W.shape[0]
        drive = self.samples.inputs_times(W[:, n:])
        drive += b
        near = None if start is None else start.states
        # A sample whose states are far below the typical size contributes as little to the objective.
        floor = 1.0 if near is None else float(np.sqrt(np.mean(near**2)))
        states = equilibrium(W[:, :n], drive, self.activation, start=near, tol=tol, floor=floor).states
        moments = self.samples.moments(states)
        readout, loss = self._read_out(states, moments, alpha, start, tol)
        ridge = 0.5 * alpha * (np.sum(W**2) + readout.squared_norm())
        return Evaluation(W, b, states, moments, readout, loss, float(loss + ridge), alpha, tol)

    def gradient(self, evaluation, start=None):
        """Return the :class:`Gradient` at an evaluation; ``start`` is the adjoint of a point nearby."""
        W, states, moments = evaluation.W, evaluation.states, evaluation.moments
        n = W.shape[0]
        residual, stiffness = self._loss_derivatives(self._predictions(states, moments, evaluation.readout))
        forcing = residual @ evaluation.readout.C
        if self.activation.homogeneous:
            slopes = self.activation.derivative(states, states)  # the sign of the state is that of its pre-activation
        else:
            drive = self.samples.inputs_times(W[:, n:])
            slopes = self.activation.derivative(states @ W[:, :n].T + drive + evaluation.b, states)
        floor = float(np.mean(np.abs(forcing).sum(axis=1)))
        S = adjoint(W[:, :n], slopes, forcing, start=start, tol=10 * evaluation.tol, floor=floor).states
        # S is the residual sent back through the rule; the curvature is the loss's own, sent back on the same way.
        noise = float(np.mean(self.samples.mean(residual**2)))
        curvature = self.samples.mean(S**2) * (stiffness / noise) if noise > 0 else np.ones(n)
        curvature = np.maximum(curvature, 1e-3 * curvature.mean())
        return Gradient(
            W=np.hstack([self.samples.times_states(S, states, moments.X_mean), self.samples.times_inputs(S)]),
            b=self.samples.mean(S) if self.samples.centre else np.zeros(n),
            curvature=np.where(curvature > 0, curvature, 1.0),
            adjoint=S,
        )

    def rule(self, evaluation):
        """Return the :class:`~skimplicit.ImplicitRule` of an evaluation, in the units of the data."""
        s, readout = self.samples, evaluation.readout
        n = evaluation.W.shape[0]
        per_unit = np.where(s.constant, 0.0, 1.0 / s.U_scale)
        B = evaluation.W[:, n:] * per_unit
        C = s.Y_scale[:, None] * readout.C
        D = None if readout.D is None else s.Y_scale[:, None] * readout.D * per_unit
        c = s.Y_mean + s.Y_scale * readout.c - C @ evaluation.moments.X_mean
        c = c if D is None else c - D @ s.U_mean
        return ImplicitRule(evaluation.W[:, :n], B, C, D, evaluation.b - B @ s.U_mean, c, activation=self.activation)

    @property
    def null_loss(self):
        """Loss of the best constant prediction, a float (of predicting zero, without intercepts)."""
        raise NotImplementedError

    def weights_of(self, rule):
        """Return ``W = [A B]`` and b of a rule in the units of training, to start from; the inverse of :meth:`rule`."""
        W = np.hstack([rule.A, rule.B * self.samples.U_scale])
        return W, rule.b + rule.B @ self.samples.U_mean

    def _predictions(self, states, moments, readout):
        """Return ``Yhat``, shape (m, q)."""
        predictions = states @ readout.C.T
        predictions += readout.c - readout.C @ moments.X_mean
        if readout.D is not None:
            predictions += self.samples.inputs_times(readout.D)
        return predictions


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
    """

    sample_loss = SquaredLoss()

    @property
    def null_loss(self):
        """Half the variance of the targets, summed, a float (their second moment, without intercepts)."""
        return 0.5 * self.samples.Y_moments[1]

    def _read_out(self, states, moments, alpha, start, tol):
        readout = ridge_readout(moments, alpha, self.direct)
        return readout, self._loss(states, moments, readout)

    def _loss_derivatives(self, predictions):
        predictions -= self.samples.Y
        return predictions, 1.0

    def _loss(self, states, moments, readout):
        """Return ``1/2m ||Y - Yhat||_F^2``."""
        C, D = readout.C, readout.D
        total = self.samples.Y_moments[1]
        fitted = 2 * np.sum(C.T * moments.XY) - np.sum((C @ moments.XX) * C)
        if D is not None:
            values, vectors = moments.inputs
            rotated = D @ vectors
            fitted += 2 * np.sum(D.T * moments.UY) - 2 * np.sum((C @ moments.XU) * D) - np.sum(rotated**2 * values)
        if total - fitted > _SMALL_LOSS * total:
            return 0.5 * (total - fitted)
        residual, _ = self._loss_derivatives(self._predictions(states, moments, readout))
        return 0.5 * float(np.sum(self.samples.mean(residual**2)))
