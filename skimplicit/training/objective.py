"""The true training objective, with the states at equilibrium: what every loss shares."""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.activations import states_tell_slopes
from skimplicit.equilibrium import adjoint, equilibrium, output_adjoints
from skimplicit.rows import Sums
from skimplicit.rule import ImplicitRule
from skimplicit.subproblems import Readout, ridge_of_weights
from skimplicit.training.evaluation import Evaluation, Gradient, JointGradient, Point

__all__ = ["ImplicitObjective"]


@dataclass(frozen=True)
class _OverBlock:
    """A method of an objective, to be called as that of the objective over a block of rows."""

    objective: object
    name: str
    numbers: dict

    def __call__(self, samples, *arrays):
        return getattr(self.objective.over(samples), self.name)(*arrays, **self.numbers)


@dataclass(frozen=True)
class AdjointSums(Sums):
    """Weighted sums over rows of the adjoint S: with states about their mean and with inputs, alone and squared.

    ``noise`` and ``stiffness`` are those of the squared first, and of the second derivatives of the loss.
    """

    states: np.ndarray
    inputs: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    noise: np.ndarray
    stiffness: np.ndarray | float


class ImplicitObjective:
    """``J(A, B, b) = min_{C, D, c} L(Y, Yhat) + alpha/2 (||A||^2 + ||B||^2 + ||C||^2 + rho ||D||^2)``, a loss L.

    rho is ``direct_ridge``. ``Yhat = X C' + U D' + c`` where X is the equilibrium of A, B and b; inputs and targets are
    those of ``samples``.
    The readout C, D, c is chosen anew for every A, B, b tried, so J is a function of these alone (variable projection).

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
        Whether A may be other than zero. Without it and without a direct term nobody asks for moments of states with
        inputs, which are zeros then, as is the derivative with respect to A.
    """

    #: The loss of one sample as a function of its prediction.
    sample_loss = None

    def __init__(self, samples, activation, direct, direct_ridge=1.0, readout_set=None, recurrent=True):
        self.samples = samples
        self.activation = activation
        self.direct = direct
        self.direct_ridge = direct_ridge
        self.readout_set = readout_set
        self.recurrent = recurrent

    def _read_out(self, states, moments, alpha, start, tol):
        """Return the readout for the states and its loss; ``start`` is the evaluation of a point nearby or None."""
        raise NotImplementedError

    def _sweep(self, name, *arrays, **numbers):
        """Run a method over every block of rows: what stays with the rows, and the sums over them.

        The method is called as that of the objective over the block alone, with the arrays' rows of that block and with
        the numbers, and returns a pair of what stays and sums.
        """
        return self.samples.run(_OverBlock(self.over(None), name, numbers), *arrays)

    def _find_states(self, near, *, W, b, tol):
        """Return the equilibrium states, started at others, and their :class:`MomentSums`."""
        # A sample whose states are far below the typical size contributes as little to the objective.
        floor = 1.0 if near is None or not self.recurrent else float(np.sqrt(np.mean(near**2)))
        states = self._equilibrium(W, self._drive(W, b), near, tol, floor)
        return states, self.samples.moment_sums(states, self.recurrent or self.direct)

    def over(self, samples):
        """Return the same objective over other :class:`Samples`."""
        return type(self)(samples, self.activation, self.direct, self.direct_ridge, self.readout_set, self.recurrent)

    def with_direct_ridge(self, direct_ridge):
        """Return the same objective with another ridge of the direct term, a multiple of alpha."""
        return type(self)(self.samples, self.activation, self.direct, direct_ridge, self.readout_set, self.recurrent)

    def evaluate(self, W, b, alpha, *, start=None, tol):
        """Return the :class:`Evaluation` at W of shape (n, n + p) and b of shape (n,), to the tolerance ``tol``.

        ``start`` is the evaluation of a point nearby.
        """
        near = None if start is None else start.states
        states, sums = self._sweep("_find_states", near, W=W, b=b, tol=tol)
        return self._at(W, b, states, sums.moments(self.samples), alpha, start, tol)

    def at_ridge(self, evaluation, alpha):
        """Return the :class:`Evaluation` of the same W and b at another ridge, with another readout of its states."""
        point, tol = evaluation.point, evaluation.tol
        return self._at(point.W, point.b, evaluation.states, evaluation.moments, alpha, evaluation, tol)

    def _at(self, W, b, states, moments, alpha, start, tol):
        readout, loss = self._read_out(states, moments, alpha, start, tol)
        ridge = 0.5 * alpha * (np.sum(W**2) + readout.squared_norm(self.direct_ridge))
        point = Point(W, b, readout, moments.X_mean)
        return Evaluation(point, states, moments, loss, float(loss + ridge), alpha, tol)

    def gradient(self, evaluation, start=None, sensitivities=None):
        """Return the :class:`Gradient` at an evaluation.

        ``start`` is the adjoint of a point nearby; neither it nor another loop is needed where the
        :meth:`sensitivities` of all rows are given.
        """
        point = evaluation.point
        numbers = dict(point=point, tol=10 * evaluation.tol)
        S, total = self._sweep("_send_back", evaluation.states, start, sensitivities, **numbers)
        # S is the residual sent back through the rule; the curvature is the loss's own, sent back on the same way.
        noise, stiffness = float(np.mean(total.noise)), float(np.mean(total.stiffness))
        curvature = total.squares * (stiffness / noise) if noise > 0 else np.ones(point.b.size)
        curvature = np.maximum(curvature, 1e-3 * curvature.mean())
        return Gradient(
            W=np.hstack([total.states, total.inputs]),
            b=total.mean if self.samples.centre else np.zeros_like(total.mean),
            curvature=np.where(curvature > 0, curvature, 1.0),
            adjoint=S,
        )

    def _send_back(self, states, start, sensitivities, *, point, tol):
        """Return the residuals sent back to the pre-activations, and their :class:`AdjointSums`."""
        samples = self.samples
        predictions = self._predictions(states, point.X_mean, point.readout)
        residual, second = self.sample_loss.derivatives(predictions, samples.Y)
        if sensitivities is None:
            S = self._pull_back(self._slopes(point, states), point, residual @ point.readout.C, start, tol)
        else:
            S = np.einsum("mq,mqn->mn", residual, sensitivities)
        return S, AdjointSums(
            samples.times_states(S, states, point.X_mean) if self.recurrent else np.zeros((S.shape[1],) * 2),
            samples.times_inputs(S),
            samples.mean(S),
            samples.mean(S**2),
            samples.mean(residual**2),
            samples.mean(second) if np.ndim(second) else second * samples.weights.sum(),
        )

    def on_rows(self, evaluation, index, near=None):
        """Return an evaluation with the states of some rows, those that this objective is over.

        ``index`` says where they are; where the states are in blocks they are found again, started at ``near``.
        """
        if isinstance(evaluation.states, np.ndarray):
            return replace(evaluation, states=evaluation.states[index])
        point = evaluation.point
        return replace(evaluation, states=self._find_states(near, W=point.W, b=point.b, tol=evaluation.tol)[0])

    def sensitivities(self, evaluation, start=None, rows=slice(None)):
        """Return the derivatives of some rows' predictions by their pre-activations, shape (k, q, n).

        ``start`` has the same of a point nearby.
        """
        point, slopes = evaluation.point, self.slopes(evaluation)[rows]
        A, C = point.W[:, : slopes.shape[1]], point.readout.C
        if not A.any():
            return slopes[:, None] * C
        tol, floor = 10 * evaluation.tol, float(np.mean(np.abs(C).sum(axis=1)))
        return output_adjoints(A, slopes, C, start=start, rtol=tol, atol=tol * floor)

    def joint_gradient(self, point, start, adjoint, tol):
        """Return the :class:`JointGradient` of the loss at a :class:`Point`.

        ``start`` and ``adjoint`` are states and adjoint, both (m, n), at a point nearby; ``tol`` is their tolerance.
        """
        samples, X_mean, direct = self.samples, point.X_mean, point.readout.D is not None
        drive = self._drive(point.W, point.b)
        states = self._equilibrium(point.W, drive, start, tol, 1.0)
        residual, _ = self.sample_loss.derivatives(self._predictions(states, X_mean, point.readout), samples.Y)
        S = self._pull_back(self._slopes(point, states, drive), point, residual @ point.readout.C, adjoint, tol)
        return JointGradient(
            W=np.hstack([samples.times_states(S, states, X_mean), samples.times_inputs(S)]),
            b=self._intercept_gradient(S),
            C=samples.times_states(residual, states, X_mean),
            D=samples.times_inputs(residual) if direct else None,
            c=self._intercept_gradient(residual),
            states=states,
            adjoint=S,
        )

    def loss_at(self, point, tol):
        """Return the mean loss at a :class:`Point`, its readout as it is, a float; states to the tolerance ``tol``."""
        return self._mean_loss(self.predictions_at(point, tol))

    def predictions_at(self, point, tol):
        """Return the predictions at a :class:`Point`, shape (m, q), for scaled targets; states to that tolerance."""
        states = self._equilibrium(point.W, self._drive(point.W, point.b), None, tol, 1.0)
        return self._predictions(states, point.X_mean, point.readout)

    def _drive(self, W, b):
        """Return the rows ``B u + b``, shape (m, n)."""
        drive = self.samples.inputs_times(W[:, W.shape[0] :])
        drive += b
        return drive

    def _equilibrium(self, W, drive, start, tol, floor):
        A = W[:, : W.shape[0]]
        if not A.any():
            return self.activation(drive)
        return equilibrium(A, drive, self.activation, start=start, rtol=tol, atol=tol * floor).states

    def _pull_back(self, slopes, point, forcing, start, tol):
        """Return derivatives by the pre-activations from those by the states, the rows ``forcing``."""
        A = point.W[:, : slopes.shape[1]]
        if not A.any():
            return slopes * forcing
        floor = float(np.mean(np.abs(forcing).sum(axis=1)))
        return adjoint(A, slopes, forcing, start=start, rtol=tol, atol=tol * floor).states

    def slopes(self, evaluation):
        """Return ``phi'`` at the pre-activations of an evaluation, shape (m, n)."""
        return self._slopes(evaluation.point, evaluation.states)

    def _slopes(self, point, states, drive=None):
        """Return ``phi'``; ``drive`` has the rows ``B u + b`` where they are at hand."""
        n = states.shape[1]
        if states_tell_slopes(self.activation, n):
            return self.activation.derivative(states, states)
        drive = self._drive(point.W, point.b) if drive is None else drive
        return self.activation.derivative(states @ point.W[:, :n].T + drive, states)

    def predictions(self, evaluation):
        """Return the predictions at an evaluation, shape (m, q), for scaled targets."""
        return self._predictions(evaluation.states, evaluation.point.X_mean, evaluation.point.readout)

    def admitted(self, readout):
        """Return the :class:`Readout` inside the set of readouts that is nearest to one."""
        if self.readout_set is None:
            return readout
        weights = self.readout_set.project(readout.weights)
        return Readout.of(weights, readout.C.shape[1], readout.D is not None, readout.c)

    def readout_ridge(self, alpha, size, n):
        """Return the ridges of the ``size`` readout weights of an output: of n states, inputs, intercept."""
        ridge = ridge_of_weights(alpha, self.direct_ridge, n, size)
        if self.samples.centre:
            ridge[-1] = 0.0
        return ridge

    def _sum_losses(self, states, *, X_mean, readout):
        """Return the sum of the losses of a readout for states."""
        return None, self._mean_loss(self._predictions(states, X_mean, readout))

    def _mean_loss(self, predictions):
        return float(self.samples.mean(self.sample_loss.value(predictions, self.samples.Y)))

    def _intercept_gradient(self, S):
        """Return the mean of the rows S; zeros when there are no intercepts."""
        return self.samples.mean(S) if self.samples.centre else np.zeros(S.shape[1])

    def rule(self, point):
        """Return the :class:`~skimplicit.ImplicitRule` of a :class:`Point`, in the units of the data."""
        s, readout = self.samples, point.readout
        n = point.b.size
        mean, per_unit = s.given.U_mean, s.given.per_unit
        B = s.as_given(point.W[:, n:]) * per_unit
        C = s.Y_scale[:, None] * readout.C
        D = None if readout.D is None else s.Y_scale[:, None] * s.as_given(readout.D) * per_unit
        c = s.Y_mean + s.Y_scale * readout.c - C @ point.X_mean
        c = c if D is None else c - D @ mean
        return ImplicitRule(point.W[:, :n], B, C, D, point.b - B @ mean, c, activation=self.activation)

    @property
    def null_loss(self):
        """Loss of the best constant prediction, a float (of predicting zero, without intercepts)."""
        raise NotImplementedError

    def weights_of(self, rule):
        """Return ``W = [A B]`` and b of a rule in the units of training, to start from; the inverse of :meth:`rule`.

        Without intercepts, b is zero.
        """
        s = self.samples
        W = np.hstack([rule.A, s.of_given(rule.B * s.given.scale)])
        return W, rule.b + rule.B @ s.given.U_mean if s.centre else np.zeros_like(rule.b)

    def point_of(self, rule):
        """Return the :class:`Point` of a rule; the inverse of :meth:`rule`. Without intercepts, b and c are zero."""
        s = self.samples
        W, b = self.weights_of(rule)
        D = s.of_given(rule.D * s.given.scale) / s.Y_scale[:, None] if self.direct else None
        c = (rule.c + (rule.D @ s.given.U_mean if self.direct else 0.0) - s.Y_mean) / s.Y_scale
        c = c if s.centre else np.zeros_like(c)
        return Point(W, b, Readout(rule.C / s.Y_scale[:, None], D, c), np.zeros_like(b))

    def _predictions(self, states, X_mean, readout):
        """Return ``Yhat``, shape (m, q)."""
        predictions = states @ readout.C.T
        predictions += readout.c - readout.C @ X_mean
        if readout.D is not None:
            predictions += self.samples.inputs_times(readout.D)
        return predictions
