"""The readout block for classes: multinomial logistic regression on the states, by warm-started Newton steps.

One column of logits is enough for two classes (the other class has logit 0); for more, every class has its own column.

Newton's system is solved by conjugate gradients, preconditioned by the same program for a constant curvature, which is
the ridge readout's: a factor of the size of one class, made from moments. What to stop at is for the caller to say: a
training step needs little, the stored rule everything.
"""

from dataclasses import dataclass

import numpy as np

from skimplicit.losses import cross_entropy, prior_logits
from skimplicit.subproblems.readout.ridge import Readout, readout_preconditioner

__all__ = ["logistic_readout"]

# Newton steps and conjugate gradient steps of each; the next evaluation starts where this one stopped.
_MAX_NEWTON, _MAX_CG = 100, 50
# Relative residual at which the conjugate gradients of a Newton step stop.
_FORCING = 0.3
# A smaller decrease, in nats, is not worth a step: the intercept of a class without a sample would fall for ever.
_LEAST_DECREASE = np.finfo(float).eps
# Damping of Newton's step, beside the typical curvature: where all probabilities are 0 or 1 it would have no bound.
_DAMPING = 1e-8
# Deviations of states beside their mean: those that products would drown in rounding, and those that are rounding.
_NEGLIGIBLE, _ROUNDING = 1e-7, 1e-14
# Share of the predicted decrease that a step has to bring, and the smallest step tried.
_ARMIJO, _SHORTEST = 1e-4, 1e-10


def logistic_readout(samples, states, moments, alpha, direct, start=None, tol=1e-12, direct_ridge=1.0):
    """Minimise ``sum_i w_i cross_entropy(Yhat_i, Y_i) + alpha/2 (||C||_F^2 + direct_ridge ||D||_F^2)`` over C, D, c.

    Parameters
    ----------
    samples : Samples
        Inputs, class indicators and weights.
    states : ndarray of shape (m, n)
        States.
    moments : Moments
        Their moments.
    alpha : float
        Ridge, at least 0.
    direct : bool
        Whether to have D.
    start : Readout or None
        Where to start.
    tol : float
        Stop when the preconditioned gradient promises to lower the objective by less than this share of it, or by less
        than rounding changes a loss of one.
    direct_ridge : float
        Ridge of D as a multiple of alpha.

    Returns
    -------
    readout : Readout
        The readout; its objective is never above that of ``start``.
    loss : float
        Its cross-entropy.
    """
    problem = _Problem(samples, states, moments, alpha, direct, direct_ridge)
    point = problem.prior() if start is None else problem.point_of(start)
    logits = problem.product(point)
    (loss, P), norm = problem.loss(logits), point.dot(point, ridge=True)
    for _ in range(_MAX_NEWTON):
        gradient = problem.adjoint(P - samples.Y).plus(point.without_intercept(), alpha)
        step = problem.newton_step(P, gradient, max(tol * (loss + 0.5 * alpha * norm), _LEAST_DECREASE))
        if step is None:
            break
        slope = gradient.dot(step)
        step_logits = problem.product(step)
        cross, square = point.dot(step, ridge=True), step.dot(step, ridge=True)
        length = 1.0
        while length > _SHORTEST:
            new_logits = logits + length * step_logits
            new_loss, new_P = problem.loss(new_logits)
            new_norm = norm + length * (2.0 * cross + length * square)
            if new_loss - loss + 0.5 * alpha * (new_norm - norm) <= _ARMIJO * length * slope:
                break
            length *= 0.5
        else:
            break
        point, logits, loss, P, norm = point.plus(step, length), new_logits, new_loss, new_P, new_norm
    return problem.readout_of(point), loss


@dataclass(frozen=True)
class _Point:
    """A readout as a vector."""

    C: np.ndarray
    D: np.ndarray | None
    c: np.ndarray

    def dot(self, other, ridge=False):
        """Return the inner product, that of the penalised part alone if ``ridge``."""
        total = np.vdot(self.C, other.C) + (0.0 if self.D is None else np.vdot(self.D, other.D))
        return float(total if ridge else total + self.c @ other.c)

    def plus(self, other, factor):
        D = None if self.D is None else self.D + factor * other.D
        return _Point(self.C + factor * other.C, D, self.c + factor * other.c)

    def without_intercept(self):
        return _Point(self.C, self.D, np.zeros_like(self.c))


class _Problem:
    """The products with ``[Xc Uc 1]`` that Newton's method needs; a point has D times the root of its own ridge."""

    def __init__(self, samples, states, moments, alpha, direct, direct_ridge):
        self.samples = samples
        self.states, self.moments = _from_safe_origin(samples, states, moments)
        self.alpha = alpha
        self.direct = direct
        self.root = np.sqrt(direct_ridge)

    def point_of(self, readout):
        """Return the vector of a :class:`Readout`."""
        return _Point(readout.C, None if readout.D is None else readout.D * self.root, readout.c)

    def readout_of(self, point):
        """Return the :class:`Readout` of a vector."""
        return Readout(point.C, None if point.D is None else point.D / self.root, point.c)

    def prior(self):
        """Return the readout that gives every sample the shares of the classes."""
        samples = self.samples
        q, n, p = samples.n_outputs, self.states.shape[1], samples.n_inputs
        c = prior_logits(samples.mean(samples.Y), samples.centre)
        return _Point(np.zeros((q, n)), np.zeros((q, p)) if self.direct else None, c)

    def product(self, point):
        """Return ``Xc C' + Uc D' + c``, shape (m, q)."""
        logits = self.states @ point.C.T
        logits += point.c - point.C @ self.moments.X_mean
        if point.D is not None:
            logits += self.samples.inputs_times(point.D / self.root)
        return logits

    def adjoint(self, S):
        """Return ``S' diag(weights) [Xc Uc 1]`` for S of shape (m, q)."""
        samples = self.samples
        return _Point(
            samples.times_states(S, self.states, self.moments.X_mean),
            samples.times_inputs(S) / self.root if self.direct else None,
            samples.mean(S) if samples.centre else np.zeros(S.shape[1]),
        )

    def loss(self, logits):
        """Return the mean cross-entropy and the probabilities."""
        losses, P = cross_entropy(logits, self.samples.Y)
        return float(self.samples.mean(losses)), P

    def newton_step(self, P, gradient, worthwhile):
        """Return a direction of descent, Newton's up to the forcing term; None if not ``worthwhile``."""
        # The curvature of a typical sample; that of the classes together has rank one less than their number. Where
        # logits far off the mark hide it, the squared residual, which has the same mean under the model, shows it.
        samples = self.samples
        uncertainty = np.mean(samples.mean(P * (1.0 - P)))
        squared_residual = np.mean(samples.mean((P - samples.Y) ** 2))
        typical = float(max(uncertainty, squared_residual, np.finfo(float).eps))
        system = readout_preconditioner(self.moments, self.alpha / typical, self.direct, self.root**2)

        def precondition(point):
            D = None if point.D is None else point.D * (self.root / typical)
            C, D = system.solve(point.C / typical, D)
            return _Point(C, None if D is None else D * self.root, point.c / typical)

        def hessian(point):
            V = self.product(point)
            V *= P
            V -= P * V.sum(axis=1, keepdims=True)
            product = self.adjoint(V).plus(point.without_intercept(), self.alpha)
            return product.plus(point, _DAMPING * typical)

        residual = gradient
        direction = precondition(residual)
        step, promised = None, residual.dot(direction)
        if not promised > worthwhile:
            return None
        rho = promised
        for _ in range(_MAX_CG):
            product = hessian(direction)
            curvature = direction.dot(product)
            if not curvature > 0:
                break
            length = rho / curvature
            step = direction.plus(direction, -1.0 - length) if step is None else step.plus(direction, -length)
            residual = residual.plus(product, -length)
            preconditioned = precondition(residual)
            rho, previous = residual.dot(preconditioned), rho
            if not rho > _FORCING**2 * promised:
                break
            direction = preconditioned.plus(direction, rho / previous)
        return gradient.plus(gradient, -1.0) if step is None else step


def _from_safe_origin(samples, states, moments):
    """Return states and their moments: from the mean on, where it dwarfs the deviations.

    What cancels in a product would there be taken for a signal, of states that are the same in every row.
    """
    size, deviation = np.abs(moments.X_mean), np.sqrt(moments.XX.diagonal())
    if not np.any(size * _NEGLIGIBLE > deviation):
        return states, moments
    states = np.where(deviation <= _ROUNDING * size, 0.0, states - moments.X_mean)
    return states, samples.moments(states)
