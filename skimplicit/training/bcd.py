"""Block coordinate descent on the true objective: fixed point, readout and equilibrium block in turn."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from skimplicit.blocks.matching import MatchingProblem
from skimplicit.training.objective import Evaluation

__all__ = ["Constraints", "Iteration", "Stage", "TrainingResult", "train"]

# Tolerance of the states in training: a share of the last relative decrease of J, inside these limits. Loose states at
# the beginning give the same descent for a fraction of the sweeps; the last ones must not drown the decrease in noise.
_LOOSE, _TIGHT = 1e-3, 1e-9
_TOL_SHARE = 0.1
# Tolerance of the rule that is stored.
_FINAL_TOL = 1e-11
# Relative size of the rounding in J.
_ROUNDING = 1e-13
# A step whose model promises less than this share of the states' tolerance, relative to J, is not worth a try: the
# error of the states would hide the descent.
_VISIBLE_SHARE = 0.1
# Proximal weights beyond this move nothing that rounding would not move: an objective of zero has no descent left.
_LARGEST_WEIGHT = 1e16
# Iterations in a row with less progress than tol that end a stage.
_PATIENCE = 3


@dataclass(frozen=True)
class Constraints:
    """What ``W = [A B]`` must satisfy, in the units of training; see :class:`MatchingProblem`.

    Parameters
    ----------
    kappa : float
        Bound on every absolute row sum of A.
    column_weights : ndarray of shape (p,) or None
        Weights of the columns (or groups) in the budget.
    groups : ndarray of int of shape (p,) or None
        Columns of a group share their place in the budget.
    structure : ndarray of bool of shape (n, n) or None
        Entries of A that may be non-zero.
    custom : callable or None
        Further CVXPY constraints ``custom(A, B)``.
    """

    kappa: float
    column_weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    structure: np.ndarray | None = None
    custom: Callable | None = None


@dataclass(frozen=True)
class Stage:
    """One step of the schedule: alpha and the budget are held for at most ``max_iter`` iterations.

    Parameters
    ----------
    alpha : float
        Ridge.
    column_budget : float or None
        Budget of the columns of B; None for no bound.
    max_iter : int
        Most iterations.
    tol : float
        Relative decrease of J that counts as progress.
    """

    alpha: float
    column_budget: float | None
    max_iter: int
    tol: float


@dataclass(frozen=True)
class Iteration:
    """What a callback gets after each accepted iteration.

    Parameters
    ----------
    number : int
        Counts from 1 over all stages.
    stage : int
        Position in the schedule, from 0.
    evaluation : Evaluation
        The accepted point.
    proximal_weight : float
        lambda of the accepted step.
    trials : int
        Matching programs solved for it.
    """

    number: int
    stage: int
    evaluation: Evaluation
    proximal_weight: float
    trials: int


@dataclass(frozen=True)
class TrainingResult:
    """End of a training run.

    Parameters
    ----------
    evaluation : Evaluation
        The final point, its states to full accuracy.
    objectives : ndarray of shape (n_iter,)
        The true objective after each accepted iteration.
    stages : ndarray of int of shape (n_iter,)
        Stage of each value; within a stage the objective never rises.
    n_iter : int
        Iterations, those that found no descent included.
    converged : bool
        Whether the last stage ended for lack of progress, not for lack of iterations.
    stopped : bool
        Whether a callback asked to stop.
    ends : tuple of Evaluation
        The point at which each stage ended.
    """

    evaluation: Evaluation
    objectives: np.ndarray
    stages: np.ndarray
    n_iter: int
    converged: bool
    stopped: bool
    ends: tuple


def train(objective, solver, constraints, schedule, W, b, *, callback=None):
    """Minimise the true objective over ``W = [A B]`` and b, stage by stage.

    Parameters
    ----------
    objective : ImplicitObjective
        J, with its gradient.
    solver : object with ``solve(matching, start)``
        Solves the equilibrium block.
    constraints : Constraints
        Constraints on W.
    schedule : list
        Stages to go through, each starting where the last one ended. In place of stages that depend on how the training
        went so far there can be a function of the last :class:`Evaluation` that returns a list of them.
    W : ndarray of shape (n, n + p)
        Where to start; made feasible first.
    b : ndarray of shape (n,)
        Where to start.
    callback : callable or None
        Called with an :class:`Iteration`; training ends when it returns True.

    Returns
    -------
    TrainingResult
        The final point and the course of the objective.
    """
    # The arrays of one step are small: threads inside a product cost more than they save, and several times as much
    # when other work shares the processor.
    with threadpool_limits(limits=1, user_api="blas"):
        return _run(_Descent(objective, solver, constraints, callback), objective, schedule, W, b)


def _run(descent, objective, schedule, W, b):
    """Go through the schedule."""
    evaluation, ends, converged = None, [], False
    pending = list(schedule)
    while pending:
        stage = pending.pop(0)
        if callable(stage):
            if evaluation is None:
                raise ValueError("The schedule must start with a Stage.")
            pending = [*stage(evaluation), *pending]
            continue
        W, b, scale = descent.enter(stage, W, b)
        start = None if evaluation is None else evaluation.scaled(scale)
        evaluation, converged = descent.run(len(ends), stage, W, b, start)
        ends.append(evaluation)
        W, b = evaluation.W, evaluation.b
        if descent.stopped:
            break
    final = objective.evaluate(W, b, evaluation.alpha, start=evaluation, tol=_FINAL_TOL)
    return TrainingResult(
        evaluation=final,
        objectives=np.array(descent.objectives),
        stages=np.array(descent.stages, dtype=int),
        n_iter=descent.n_iter,
        converged=converged,
        stopped=descent.stopped,
        ends=(*ends[:-1], final),
    )


class _Descent:
    """State of a run that outlives a stage: the proximal weight and the record."""

    def __init__(self, objective, solver, constraints, callback):
        self.objective = objective
        self.solver = solver
        self.constraints = constraints
        self.callback = callback
        self.weight = 1.0
        self.objectives, self.stages = [], []
        self.n_iter = 0
        self.stopped = False

    def enter(self, stage, W, b):
        """Make a point feasible for a stage; shrink (B, b) to a smaller budget exactly if the activation allows."""
        n = W.shape[0]
        problem = self._problem(stage, n, W.shape[1])
        scale = 1.0
        if stage.column_budget is not None and self.objective.activation.homogeneous:
            used = problem.budget_used(W)
            if used > stage.column_budget:
                scale = stage.column_budget / used
                W, b = np.hstack([W[:, :n], W[:, n:] * scale]), b * scale
        if self.constraints.custom is not None:
            # The nearest feasible point is a matching problem too: G = I.
            problem = replace(problem, G=np.eye(W.shape[1]), R=W, curvature=np.ones(n), ridge=0.0)
            return self.solver.solve(problem, W), b, scale
        return problem.project(W), b, scale

    def run(self, position, stage, W, b, start):
        """Run one stage and return its last evaluation and whether it converged."""
        tol = _LOOSE
        current = self.objective.evaluate(W, b, stage.alpha, start=start, tol=tol)
        previous, momentum, adjoint, idle = current, 1.0, None, 0
        for _ in range(stage.max_iter):
            self.n_iter += 1
            base = self._extrapolate(stage, current, previous, momentum, tol)
            if base is current:
                momentum = 1.0
            gradient = self.objective.gradient(base, adjoint)
            adjoint = gradient.adjoint
            new, trials = self._match(stage, base, gradient, tol)
            if new is None or new.objective > current.objective:
                if base is not current:
                    previous, momentum = current, 1.0
                    continue
                if tol > _TIGHT:
                    # Too little descent to see through the error of the states: look closer before giving up.
                    tol = max(tol * 1e-2, _TIGHT)
                    current = self._sharpen(current, stage, tol)
                    self._correct(position, current.objective)
                    previous = current
                    continue
                return current, True
            decrease = (current.objective - new.objective) / abs(current.objective) if current.objective else 0.0
            previous, current = current, new
            momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            tol = min(tol, max(_TOL_SHARE * decrease, _TIGHT))
            self._record(position, current, trials)
            idle = idle + 1 if decrease < stage.tol else 0
            if self.stopped or idle >= _PATIENCE:
                return current, not self.stopped
        return current, False

    def _extrapolate(self, stage, current, previous, momentum, tol):
        """Return the evaluation at Nesterov's point, projected back, or the current one if J is higher there."""
        if momentum == 1.0 or previous is current or self.constraints.custom is not None:
            return current
        weight = (momentum - 1.0) / (0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)))
        W = current.W + weight * (current.W - previous.W)
        W = self._problem(stage, *W.shape).project(W)
        b = current.b + weight * (current.b - previous.b)
        point = self.objective.evaluate(W, b, stage.alpha, start=current, tol=tol)
        return point if point.objective <= current.objective else current

    def _match(self, stage, base, gradient, tol):
        """Solve matching programs with growing proximal weight until the model is an upper bound at its minimiser.

        Return the evaluation there and the number of trials; no evaluation when the promised descent gets too small
        to see.
        """
        n = base.W.shape[0]
        moments, samples = base.moments, self.objective.samples
        G = np.block([[moments.XX, moments.XU], [moments.XU.T, samples.UU]])
        V, V_G, weight = base.W, base.W @ G, self.weight
        for trial in itertools.count(1):
            curvature = self.weight * gradient.curvature
            problem = self._problem(
                stage, *V.shape, G=G, R=curvature[:, None] * V_G - gradient.W, curvature=curvature, ridge=stage.alpha
            )
            W = self.solver.solve(problem, V)
            # b is eliminated: the mean pre-activation moves by -gradient / curvature, the rest follows the mean state.
            lift = -gradient.b / curvature
            promised = problem.value(V) - problem.value(W) - 0.5 * np.sum(lift * gradient.b)
            if self.weight > _LARGEST_WEIGHT or not promised > _VISIBLE_SHARE * tol * abs(base.objective):
                self.weight = min(weight, _LARGEST_WEIGHT)
                return None, trial
            b = base.b + lift - (W - V)[:, :n] @ moments.X_mean
            new = self.objective.evaluate(W, b, stage.alpha, start=base, tol=tol)
            if new.objective <= base.objective - promised + _ROUNDING * abs(base.objective):
                if trial == 1:
                    self.weight *= 0.8
                return new, trial
            self.weight *= 2.0

    def _sharpen(self, current, stage, tol):
        """Return the current point with its states to a smaller tolerance."""
        return self.objective.evaluate(current.W, current.b, stage.alpha, start=current, tol=tol)

    def _correct(self, position, objective):
        """Raise the last values of a stage that a closer look has shown to be too low."""
        for k in range(len(self.objectives) - 1, -1, -1):
            if self.stages[k] != position or self.objectives[k] >= objective:
                break
            self.objectives[k] = objective

    def _problem(self, stage, n, N, **numbers):
        numbers = numbers or dict(G=np.zeros((N, N)), R=np.zeros((n, N)), curvature=np.ones(n), ridge=0.0)
        c = self.constraints
        return MatchingProblem(
            **numbers,
            kappa=c.kappa,
            column_budget=stage.column_budget,
            column_weights=c.column_weights,
            groups=c.groups,
            structure=c.structure,
            constraints=c.custom,
        )

    def _record(self, position, evaluation, trials):
        self.objectives.append(evaluation.objective)
        self.stages.append(position)
        if self.callback is not None:
            iteration = Iteration(len(self.objectives), position, evaluation, self.weight, trials)
            self.stopped = bool(self.callback(iteration))
