"""The true training objective, with the states at equilibrium and the readout at its optimum."""

from dataclasses import dataclass

import numpy as np

from skimplicit.blocks.readout import Readout, ridge_readout
from skimplicit.fixed_point import adjoint, equilibrium
from skimplicit.rule import ImplicitRule
from skimplicit.training.samples import Moments

__all__ = ["Evaluation", "Gradient", "SquaredObjective"]

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
        The optimal readout.
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


class SquaredObjective:
    """``J(A, B, b) = min_{C, D, c} 1/2m ||Y - Yhat||_F^2 + alpha/2 (||A||^2 + ||B||^2 + ||C||^2 + ||D||^2)``.

    ``Yhat = X C' + U D' + c`` where X is the equilibrium of A, B and b; inputs and targets are those of ``samples``.

    Parameters
    ----------
    samples : Samples
        The training set.
    activation : Activation
        phi.
    direct : bool
        Whether there is a direct term D.
    """

    def __init__(self, samples, activation, direct):
        self.samples = samples
        self.activation = activation
        self.direct = direct

    def evaluate(self, W, b, alpha, *, start=None, tol):
        """Return the :class:`Evaluation` at W of shape (n, n + p) and b of shape (n,), states to the tolerance ``tol``."""
        n = W.shape[0]
        drive = self.samples.inputs_times(W[:, n:])
        drive += b
        # A sample whose states are far below the typical size contributes as little to the objective.
        floor = 1.0 if start is None else float(np.sqrt(np.mean(start**2)))
        states = equilibrium(W[:, :n], drive, self.activation, start=start, tol=tol, floor=floor).states
        moments = self.samples.moments(states)
        readout = ridge_readout(moments, alpha, self.direct)
        loss = self._loss(states, moments, readout)
        ridge = 0.5 * alpha * (np.sum(W**2) + readout.squared_norm())
        return Evaluation(W, b, states, moments, readout, loss, float(loss + ridge), alpha, tol)

    def gradient(self, evaluation, start=None):
        """Return the :class:`Gradient` at an evaluation; ``start`` is the adjoint of a point nearby."""
        W, states, moments = evaluation.W, evaluation.states, evaluation.moments
        n = W.shape[0]
        residual = self._residual(states, moments, evaluation.readout)
        forcing = residual @ evaluation.readout.C
        if self.activation.homogeneous:
            slopes = self.activation.derivative(states, states)  # the sign of the state is that of its pre-activation
        else:
            drive = self.samples.inputs_times(W[:, n:])
            slopes = self.activation.derivative(states @ W[:, :n].T + drive + evaluation.b, states)
        floor = float(np.mean(np.abs(forcing).sum(axis=1)))
        S = adjoint(W[:, :n], slopes, forcing, start=start, tol=10 * evaluation.tol, floor=floor).states
        noise = float(np.mean(self.samples.mean(residual**2)))
        curvature = self.samples.mean(S**2) / noise if noise > 0 else np.ones(n)
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
        return 0.5 * self.samples.Y_moments[1]

    def weights_of(self, rule):
        """Return ``W = [A B]`` and b of a rule in the units of training, to start from; the inverse of :meth:`rule`."""
        W = np.hstack([rule.A, rule.B * self.samples.U_scale])
        return W, rule.b + rule.B @ self.samples.U_mean

    def _residual(self, states, moments, readout):
        """Return ``Yhat - Y``, shape (m, q)."""
        residual = states @ readout.C.T
        residual += readout.c - readout.C @ moments.X_mean
        if readout.D is not None:
            residual += self.samples.inputs_times(readout.D)
        residual -= self.samples.Y
        return residual

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
        return 0.5 * float(np.sum(self.samples.mean(self._residual(states, moments, readout) ** 2)))
