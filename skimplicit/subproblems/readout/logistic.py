"""The readout block for classes: multinomial logistic regression on the states, by warm-started Newton steps.

One column of logits is enough for two classes (the other class has logit 0); for more, every class has its own column.

Newton's system is solved by conjugate gradients, preconditioned by the same program for a constant curvature, which is
the ridge readout's: a factor of the size of one class, made from moments. Where that is far from the Hessian, as for
rare classes beside frequent ones, the Hessian itself takes its place as soon as the products with it have cost as much
as to make and factor it once. It is made at the point reached, and anew after as many products again. What to stop at
is for the caller to say: a training step needs little, the stored rule everything.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from skimplicit.linalg import CholeskyFactor
from skimplicit.losses import cross_entropy, prior_logits
from skimplicit.rows import Sums
from skimplicit.subproblems.readout.ridge import Readout, readout_preconditioner

__all__ = ["logistic_readout"]

# Newton steps and conjugate gradient steps of each; the next evaluation starts where this one stopped.
_MAX_NEWTON, _MAX_CG = 100, 50
# The Hessian is made after as many products with it as this times the variables of one class times one more than the
# classes, which is the ratio of their operations; and only up to so many entries.
_PRODUCTS, _MOST_ENTRIES = 0.25, 1 << 20
# Rows at a time where it is made.
_ROWS = 1024
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
    here, norm = problem.look(point), _penalised(point, point)
    for _ in range(_MAX_NEWTON):
        gradient = here.slope + problem.ridges * point
        step = problem.newton_step(here, gradient, max(tol * (here.loss + 0.5 * alpha * norm), _LEAST_DECREASE))
        if step is None:
            break
        slope, cross, square = np.vdot(gradient, step), _penalised(point, step), _penalised(step, step)
        length = 1.0
        while length > _SHORTEST:
            there = problem.look(point + length * step)
            new_norm = norm + length * (2.0 * cross + length * square)
            if there.loss - here.loss + 0.5 * alpha * (new_norm - norm) <= _ARMIJO * length * slope:
                break
            length *= 0.5
        else:
            break
        point, here, norm = point + length * step, there, new_norm
    return problem.readout_of(point), here.loss


def _penalised(first, second):
    """Return the inner product of two points without their intercepts."""
    return float(np.vdot(first[:, :-1], second[:, :-1]))


@dataclass(frozen=True)
class _LookSums(Sums):
    """Sums over rows of losses, slopes, uncertainties and squared residuals."""

    loss: float
    slope: np.ndarray
    uncertainty: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True)
class _Look:
    """The loss at a point, with what Newton's method asks of the rows there.

    Parameters
    ----------
    loss : float
        Mean cross-entropy.
    slope : ndarray of shape (q, k)
        Its derivative.
    typical : float
        Curvature of a typical sample.
    probabilities : ndarray of shape (m, q), or in blocks
        Of the classes for each sample.
    """

    loss: float
    slope: np.ndarray
    typical: float
    probabilities: object


@dataclass(frozen=True)
class _Features:
    """The products with ``[Xc Uc 1]`` over a block of rows.

    A point is a matrix ``[C D c]`` with a row for each logit, D (if any) times the root of its own ridge.
    """

    X_mean: np.ndarray
    direct: bool
    root: float

    def product(self, samples, states, point):
        """Return ``Xc C' + Uc D' + c``, shape (m, q)."""
        C, D, c = self.parts(point)
        logits = states @ C.T
        logits += c - C @ self.X_mean
        if self.direct:
            logits += samples.inputs_times(D / self.root)
        return logits

    def adjoint(self, samples, states, S):
        """Return ``S' diag(weights) [Xc Uc 1]`` for S of shape (m, q)."""
        parts = [samples.times_states(S, states, self.X_mean)]
        if self.direct:
            parts.append(samples.times_inputs(S) / self.root)
        parts.append((samples.mean(S) if samples.centre else np.zeros(S.shape[1]))[:, None])
        return np.hstack(parts)

    def parts(self, point):
        """Return C, D and c of a point."""
        n = self.X_mean.size
        return point[:, :n], point[:, n:-1], point[:, -1]

    def look(self, point, samples, states):
        """Return probabilities and :class:`_LookSums`."""
        losses, P = cross_entropy(self.product(samples, states, point), samples.Y)
        slope = self.adjoint(samples, states, P - samples.Y)
        uncertainty, squares = samples.mean(P * (1.0 - P)), samples.mean((P - samples.Y) ** 2)
        return P, _LookSums(float(samples.mean(losses)), slope, uncertainty, squares)

    def hessian_times(self, point, samples, states, P):
        """Return the product of the Hessian of the loss with a point."""
        V = self.product(samples, states, point)
        V *= P
        V -= P * V.sum(axis=1, keepdims=True)
        return None, self.adjoint(samples, states, V)

    def hessian(self, samples, states, P):
        """Return the Hessian of the loss, shape (qk, qk), the classes one after another."""
        roots = np.sqrt(samples.weights)[:, None]
        inputs = [samples.weighted_inputs() / self.root] if self.direct else []
        F = np.hstack([roots * (states - self.X_mean), *inputs, roots if samples.centre else np.zeros_like(roots)])
        q, k = P.shape[1], F.shape[1]
        total = np.zeros((q, k, q, k))
        for first in range(0, len(F), _ROWS):
            rows = slice(first, first + _ROWS)
            weighted = P[rows, :, None] * F[rows, None]
            for c in range(q):
                total[c, :, c] += F[rows].T @ weighted[:, c]
            weighted = weighted.reshape(-1, q * k)
            total -= (weighted.T @ weighted).reshape(total.shape)
        return None, total.reshape(q * k, q * k)


class _Problem:
    """Newton's method on the readout, over rows in whatever blocks they are."""

    def __init__(self, samples, states, moments, alpha, direct, direct_ridge):
        self.samples = samples
        self.states, self.moments = _from_safe_origin(samples, states, moments)
        self.alpha = alpha
        self.direct = direct
        self.root = np.sqrt(direct_ridge)
        self.features = _Features(self.moments.X_mean, direct, self.root)
        n, p = self.moments.XU.shape
        # Ridge of each column of a point: none of the intercept.
        self.ridges = np.append(np.full(n + p if direct else n, alpha), 0.0)
        q, k = samples.n_outputs, self.ridges.size
        #: Products with the Hessian before it is worth to make it, those that are left, and its factor once it is made.
        self._worth = _PRODUCTS * (q + 1) * k if (q * k) ** 2 <= _MOST_ENTRIES else np.inf
        self._left, self._factor = self._worth, None

    def point_of(self, readout):
        """Return the point of a :class:`Readout`."""
        D = [readout.D * self.root] if self.direct else []
        return np.hstack([readout.C, *D, readout.c[:, None]])

    def readout_of(self, point):
        """Return the :class:`Readout` of a point."""
        C, D, c = self.features.parts(point)
        return Readout(C, D / self.root if self.direct else None, c)

    def prior(self):
        """Return the readout that gives every sample the shares of the classes."""
        samples = self.samples
        point = np.zeros((samples.n_outputs, self.ridges.size))
        point[:, -1] = prior_logits(samples.Y_sum, samples.centre)
        return point

    def look(self, point):
        """Return the :class:`_Look` at a point."""
        P, sums = self.samples.run(partial(self.features.look, point), self.states)
        # The curvature of a typical sample; that of the classes together has rank one less than their number. Where
        # logits far off the mark hide it, the squared residual, which has the same mean under the model, shows it.
        typical = max(np.mean(sums.uncertainty), np.mean(sums.squares), np.finfo(float).eps)
        return _Look(sums.loss, sums.slope, float(typical), P)

    def newton_step(self, here, gradient, worthwhile):
        """Return a direction of descent, Newton's up to the forcing term; None if not ``worthwhile``."""
        damped = self.ridges + _DAMPING * here.typical
        precondition = self._preconditioner(here, damped)

        def hessian(point):
            self._left -= 1
            times = partial(self.features.hessian_times, point)
            return self.samples.run(times, self.states, here.probabilities)[1] + damped * point

        residual = gradient
        direction = precondition(residual)
        step, promised = None, np.vdot(residual, direction)
        if not promised > worthwhile:
            return None
        rho = promised
        for _ in range(_MAX_CG):
            product = hessian(direction)
            curvature = np.vdot(direction, product)
            if not curvature > 0:
                break
            length = rho / curvature
            step = -length * direction if step is None else step - length * direction
            residual = residual - length * product
            preconditioned = precondition(residual)
            rho, previous = np.vdot(residual, preconditioned), rho
            if not rho > _FORCING**2 * promised:
                break
            direction = preconditioned + (rho / previous) * direction
        return -gradient if step is None else step

    def _preconditioner(self, here, damped):
        """Return what nearly solves Newton's system at ``here``, with ``damped`` (k,) on the Hessian's diagonal."""
        if self._left <= 0:
            self._left = self._worth
            H = self.samples.run(self.features.hessian, self.states, here.probabilities)[1]
            H[np.diag_indices_from(H)] += np.tile(damped, self.samples.n_outputs)
            try:
                self._factor = CholeskyFactor(H)
            except np.linalg.LinAlgError:  # a ridge of nothing, and rounding
                pass
        if self._factor is not None:
            return lambda point: self._factor.solve(point.ravel()).reshape(point.shape)
        typical = here.typical
        system = readout_preconditioner(self.moments, self.alpha / typical, self.direct, self.root**2)

        def precondition(point):
            C, D, c = self.features.parts(point)
            C, D = system.solve(C / typical, D * (self.root / typical) if self.direct else None)
            return np.hstack([C, *([D * self.root] if self.direct else []), c[:, None] / typical])

        return precondition


def _from_safe_origin(samples, states, moments):
    """Return states and their moments: from the mean on, where it dwarfs the deviations.

    What cancels in a product would there be taken for a signal, of states that are the same in every row.
    """
    size, deviation = np.abs(moments.X_mean), np.sqrt(moments.XX.diagonal())
    if not np.any(size * _NEGLIGIBLE > deviation):
        return states, moments
    shift = partial(_shifted, moments.X_mean, deviation <= _ROUNDING * size)
    states, sums = samples.run(shift, states)
    return states, sums.moments(samples)


def _shifted(origin, nothing, samples, states):
    """Return states from an origin on, those that are nothing but rounding as zeros, and their moments' sums."""
    states = np.where(nothing, 0.0, states - origin)
    return states, samples.moment_sums(states)
