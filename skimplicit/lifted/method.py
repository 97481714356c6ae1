"""Lifted training: the states are variables, held to their equation by a Fenchel divergence."""

from dataclasses import replace

import numpy as np

from skimplicit.lifted.divergences import get_divergence
from skimplicit.lifted.states import StatesProblem, coupling_weights, solve_states
from skimplicit.lifted.weights import WeightsProblem, solve_weights
from skimplicit.linalg import block_triangular_order
from skimplicit.training import TrainingMethod, TrainingRun, next_momentum

__all__ = ["Lifted", "LiftedRun"]

# The coupling starts at this multiple of the loss's own curvature, doubles when a sweep raises J and gives way a
# little when one lowers it. On the synthetic set of the paper (two seeds, 200 sweeps) J is 9.9 and 8.2 from 3, 9.9 and
# 8.9 from 1, 12.6 and 8.5 from 10.
_COUPLING, _RISE, _FALL = 3.0, 2.0, 0.9
# Sweeps in a row that raise J and end a stage: the coupling is then a thousand times what it was.
_MAX_RISES = 10
# Iterations in a row with less progress than tol that end a stage.
_PATIENCE = 3
# Inputs are scaled: free states this much larger than those at equilibrium are no step towards anything.
_LARGEST_RISE = 1e8
# Tolerance of the states at equilibrium, and with it of J.
_TOL = 1e-7
# Least share of the loss's largest second derivative that its mean is taken for: that of a cross-entropy vanishes.
_LEAST_CURVATURE = 1e-6
# Iterations of the two blocks in a sweep: a good step will do, for the true objective judges it. No tolerance ends them
# sooner, for the larger the coupling, the smaller the moves that matter.
_STATES_MAX_ITER, _WEIGHTS_MAX_ITER = 30, 3


class Lifted(TrainingMethod):
    """Block coordinate descent on ``L(Y, X C' + U D' + c) + t sum_i w_i F(X_i, Z_i) + ridge`` with the states X free.

    ``F(x, z) = G(x) + G*(z) - x z >= 0`` vanishes where ``x = phi(z)``, and ``Z = X A' + U B' + b``. A sweep starts at
    the states at equilibrium with their optimal readout (the forward pass), and takes in turn

    1. the states, each sample by itself; layer by layer, from the last to the first, where the structure has layers;
    2. A, B and b, each row by itself unless there is a budget;
    3. the equilibrium and the readout C, D, c, which give the true objective J.

    A sweep that raises J is not accepted, and the coupling t doubles. As t grows, step 1 moves the states along the
    implicit gradient and step 2 becomes the matching program of block coordinate descent at equilibrium, so that
    points that no sweep improves are stationary points of J.

    The method has no options, and supports the activations that have a divergence.

    Notes
    -----
    Sweeps start at an extrapolated point (Nesterov), with a restart whenever J would rise. Source: F. Gu, A. Askari, L.
    El Ghaoui (2020), Fenchel Lifted Networks: A Lagrange Relaxation of Neural Network Training, AISTATS; L. El Ghaoui
    et al. (2021), Implicit Deep Learning, section 6.3.
    """

    def check(self, activation):
        """See :meth:`TrainingMethod.check <skimplicit.training.TrainingMethod.check>`."""
        super().check(activation)
        get_divergence(activation)

    def begin(self, task, callback=None):
        """See :meth:`TrainingMethod.begin <skimplicit.training.TrainingMethod.begin>`."""
        return LiftedRun(task, callback)


class LiftedRun(TrainingRun):
    """A run of :class:`Lifted`.

    Parameters
    ----------
    task, callback : object
        As for :class:`~skimplicit.training.TrainingRun`.

    Raises
    ------
    ValueError
        If no divergence is known for the activation.
    """

    def __init__(self, task, callback=None):
        super().__init__(task, callback)
        self.divergence = get_divergence(task.objective.activation)
        self.coupling = _COUPLING  # outlives a stage

    def run(self, position, stage, W, b, start):
        """See :meth:`TrainingRun.run <skimplicit.training.TrainingRun.run>`."""
        current = self.objective.evaluate(W, b, stage.alpha, start=start, tol=_TOL)
        previous, momentum, coupling, rises, idle = current, 1.0, self.coupling, 0, 0
        for _ in range(stage.max_iter):
            self.n_iter += 1
            W, b = self._extrapolate(stage, current, previous, momentum)
            swept = self._sweep(stage, current, W, b)
            new = swept and self.objective.evaluate(*swept, stage.alpha, start=current, tol=_TOL)
            if new is None or new.objective > current.objective:
                if momentum > 1.0:
                    previous, momentum = current, 1.0
                    continue
                rises += 1
                if rises == _MAX_RISES:
                    self.coupling = coupling
                    return current, True
                self.coupling *= _RISE
                continue
            if momentum == 1.0:
                self.coupling *= _FALL
                coupling, rises = self.coupling, 0
            decrease = current.decrease_to(new)
            previous, current = current, new
            if self.constraints.custom is None:  # an extrapolated point could leave the custom set
                momentum = next_momentum(momentum)
            self.record(position, current)
            idle = idle + 1 if decrease < stage.tol else 0
            if self.stopped or idle >= _PATIENCE:
                return current, not self.stopped
        return current, False

    def _extrapolate(self, stage, current, previous, momentum):
        """Return Nesterov's point, projected back."""
        if momentum == 1.0:
            return current.point.W, current.point.b
        weight, here, before = (momentum - 1.0) / next_momentum(momentum), current.point, previous.point
        W = self.problem(stage, *here.W.shape).project(here.W + weight * (here.W - before.W))
        return W, here.b + weight * (here.b - before.b)

    def _sweep(self, stage, current, W, b):
        """Return A, B and b after the blocks of the states, from those of ``current``, and of the weights from W, b.

        None if the states have left all bounds, as they do where the readout hardly sees them.
        """
        samples, readout, loss = self.objective.samples, current.point.readout, self.objective.sample_loss
        offset = readout.c - readout.C @ current.point.X_mean
        offset = offset + (0.0 if readout.D is None else samples.inputs_times(readout.D))
        curvature = samples.mean(loss.second_derivative(current.states @ readout.C.T + offset, samples.Y)).mean()
        curvature = max(float(curvature), _LEAST_CURVATURE * loss.curvature(samples.Y))
        weights = self.coupling * coupling_weights(W[:, : W.shape[0]], readout.C, curvature, self.divergence)
        X = self._lift(current, W, b, offset, weights)
        if not np.abs(X).max() <= _LARGEST_RISE * max(np.abs(current.states).max(), 1.0):
            return None
        matching = replace(self.problem(stage, *W.shape), ridge=stage.alpha)
        problem = WeightsProblem(self.divergence, samples, X, weights, matching)
        return solve_weights(problem, self.solver, W, b, 0.0, _WEIGHTS_MAX_ITER)

    def _lift(self, current, W, b, offset, weights):
        """Return the states after their block, layer by layer."""
        samples, C = self.objective.samples, current.point.readout.C
        n = W.shape[0]
        A = W[:, :n]
        drive = samples.inputs_times(W[:, n:]) + b
        X = current.states.copy()
        structure = self.constraints.structure
        layers = [block.states for block in block_triangular_order(np.ones((n, n)) if structure is None else structure)]
        for layer in reversed(layers):
            others = np.setdiff1d(np.arange(n), layer)
            fed = others[A[np.ix_(others, layer)].any(axis=1)]
            rest = np.delete(X, layer, axis=1)
            problem = StatesProblem(
                self.divergence,
                self.objective.sample_loss,
                samples.Y,
                C=C[:, layer],
                offset=offset + rest @ C[:, others].T,
                A=A[np.ix_(layer, layer)],
                drive=drive[:, layer] + rest @ A[np.ix_(layer, others)].T,
                weights=weights[layer],
                feed=A[np.ix_(fed, layer)],
                fed_drive=drive[:, fed] + rest @ A[np.ix_(fed, others)].T,
                fed_states=X[:, fed],
                fed_weights=weights[fed],
            )
            X[:, layer] = solve_states(problem, X[:, layer], 0.0, _STATES_MAX_ITER)
        return X
