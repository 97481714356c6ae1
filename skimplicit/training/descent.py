"""A run of block coordinate descent with the matching block: fixed point, readout and equilibrium block in turn."""

import itertools

import numpy as np

from skimplicit.training.run import TrainingRun, next_momentum
from skimplicit.training.working_set import MATCHING_ENTRIES, working_set

__all__ = ["LOOSE", "TIGHT", "TOL_SHARE", "VISIBLE_SHARE", "DescentRun"]

# Tolerance of the states in training: a share of the last relative decrease of J, inside these limits. Loose states at
# the beginning give the same descent for a fraction of the sweeps; the last ones must not drown the decrease in noise.
LOOSE, TIGHT = 1e-3, 1e-9
TOL_SHARE = 0.1
# What the tolerance is multiplied by where no descent is seen.
_CLOSER = 1e-2
# Relative size of the rounding in J.
_ROUNDING = 1e-13
# A step whose model promises less than this share of the states' tolerance, relative to J, is not worth a try: the
# error of the states would hide the descent.
VISIBLE_SHARE = 0.1
# Proximal weights beyond this move nothing that rounding would not move: an objective of zero has no descent left.
_LARGEST_WEIGHT = 1e16
# What a proximal weight that was enough at first try is multiplied by, and one that was not.
_LESS, _MORE = 0.8, 2.0
# Iterations in a row with less progress than tol that end a stage.
_PATIENCE = 3


class DescentRun(TrainingRun):
    """States, readout and matching block in turn: each exact or convex, the true objective never rises in a stage.

    Parameters
    ----------
    task, callback : object
        As for :class:`~skimplicit.training.TrainingRun`.
    """

    def __init__(self, task, callback=None):
        super().__init__(task, callback)
        self.proximal_weight = 1.0  # outlives a stage

    def run(self, position, stage, W, b, start):
        """See :meth:`TrainingRun.run <skimplicit.training.TrainingRun.run>`."""
        tol = LOOSE
        current = self.objective.evaluate(W, b, stage.alpha, start=start, tol=tol)
        previous, momentum, adjoint, idle = current, 1.0, None, 0
        for _ in range(stage.max_iter):
            self.n_iter += 1
            base = self._extrapolate(stage, current, previous, momentum, tol)
            if base is current:
                momentum = 1.0
            gradient = self.objective.gradient(base, adjoint)
            adjoint = gradient.adjoint
            new = self._match(stage, base, gradient, tol)
            if new is None or new.objective > current.objective:
                if base is not current:
                    previous, momentum = current, 1.0
                    continue
                if tol > TIGHT:
                    current, tol = self.look_closer(position, stage, current, tol)
                    previous = current
                    continue
                return current, True
            decrease = current.decrease_to(new)
            previous, current = current.behind(), new
            momentum = next_momentum(momentum)
            tol = min(tol, max(TOL_SHARE * decrease, TIGHT))
            self.record(position, current)
            idle = idle + 1 if decrease < stage.tol else 0
            if self.stopped or idle >= _PATIENCE:
                return current, not self.stopped
        return current, False

    def _extrapolate(self, stage, current, previous, momentum, tol):
        """Return the evaluation at Nesterov's point, projected back, or the current one if J is higher there."""
        if momentum == 1.0 or previous is current or self.constraints.custom is not None:
            return current
        weight = (momentum - 1.0) / next_momentum(momentum)
        here, before = current.point, previous.point
        W = here.W + weight * (here.W - before.W)
        W = self.problem(stage, *W.shape).project(W)
        b = here.b + weight * (here.b - before.b)
        near = current.ahead(previous, weight) if self.objective.recurrent else current
        point = self.objective.evaluate(W, b, stage.alpha, start=near, tol=tol)
        return point if point.objective <= current.objective else current

    def _match(self, stage, base, gradient, tol):
        """Solve matching programs with growing proximal weight until the model is an upper bound at its minimiser.

        Return the evaluation there; None when the promised descent gets too small to see.
        """
        V, n = base.point.W, base.point.b.size
        moments, G = base.moments, base.moments.gram
        V_G, weight, moving = V @ G, self.proximal_weight, self._moving(stage, V, gradient)
        for trial in itertools.count(1):
            curvature = self.proximal_weight * gradient.curvature
            problem = self.problem(
                stage, *V.shape, G=G, R=curvature[:, None] * V_G - gradient.W, curvature=curvature, ridge=stage.alpha
            )
            W = self._solve(problem, V, moving)
            # b is eliminated: the mean pre-activation moves by -gradient / curvature, the rest follows the mean state.
            lift = -gradient.b / curvature
            promised = problem.value(V) - problem.value(W) - 0.5 * np.sum(lift * gradient.b)
            if self.proximal_weight > _LARGEST_WEIGHT or not promised > VISIBLE_SHARE * tol * abs(base.objective):
                self.proximal_weight = min(weight, _LARGEST_WEIGHT)
                return None
            b = base.point.b + lift - (W - V)[:, :n] @ moments.X_mean
            new = self.objective.evaluate(W, b, stage.alpha, start=base, tol=tol)
            if new.objective <= base.objective - promised + _ROUNDING * abs(base.objective):
                if trial == 1:
                    self.proximal_weight *= _LESS
                return new
            self.proximal_weight *= _MORE

    def _moving(self, stage, V, gradient):
        """Return the entries of A that move in a step, None for all: where there are many, most have little to gain."""
        n, c = V.shape[0], self.constraints
        if n <= MATCHING_ENTRIES or not self.problem(stage, *V.shape).splits_off_inputs or c.custom is not None:
            return None
        A = V[:, :n]
        slope = gradient.W[:, :n] + stage.alpha * A
        return working_set(A, slope, c.kappa, c.structure, None, MATCHING_ENTRIES, MATCHING_ENTRIES // 2)

    def _solve(self, problem, V, moving):
        """Return the minimiser of a matching program over the entries of A that move, and B."""
        if moving is None:
            return self.solver.solve(problem, V)
        part, held = problem.moving_only(V[:, : problem.n_hidden], moving)
        return problem.project(self.solver.solve(part, V - held) + held)

    def look_closer(self, position, stage, current, tol):
        """Return the current point with its states to a smaller tolerance, and that tolerance.

        A run does so before it gives up: a small descent does not show through the error of the states.
        """
        tol = max(tol * _CLOSER, TIGHT)
        current = self.objective.evaluate(current.point.W, current.point.b, stage.alpha, start=current, tol=tol)
        self.correct(position, current.objective)
        return current, tol
