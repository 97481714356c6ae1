"""One run of a training method: the walk through the stages of a schedule, and its record."""

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import replace

import numpy as np

from skimplicit.linalg import Gram
from skimplicit.subproblems import MatchingProblem
from skimplicit.training.base import Iteration, StageEnd, TrainingResult

__all__ = ["TrainingRun", "next_momentum"]

# Tolerance of the states of the rule that is stored; where rows are so many that they are in blocks, what it would
# change in the readout is far below what a few rows more or less do.
_FINAL_TOL, _FINAL_TOL_OF_BLOCKS = 1e-11, 1e-5


class TrainingRun(ABC):
    """One run of a method and its record: minimises the true objective over ``W = [A B]`` and b, stage by stage.

    A run says how to go through one stage, in :meth:`run`; schedule, feasible starts and the record are the same for
    all methods.

    Parameters
    ----------
    task : TrainingTask
        What is to be trained.
    callback : callable or None
        Called with an :class:`~skimplicit.training.Iteration`; training ends when it returns True.
    """

    def __init__(self, task, callback=None):
        self.objective = task.objective
        self.solver = copy(task.solver)  # which may keep what it compiled: other runs of the task go on side by side
        self.constraints = task.constraints
        self.final_tol = task.final_tol
        if self.final_tol is None:
            self.final_tol = _FINAL_TOL_OF_BLOCKS if task.objective.samples.in_blocks else _FINAL_TOL
        self.callback = callback
        self.objectives, self.stages, self.scores = [], [], []
        self.n_iter = 0
        self.stopped = self.interrupted = False
        # What an interrupt keeps, of which stage, and what was recorded last: where rows are held out these may be two
        # points.
        self.latest = self.latest_position = self.recorded = None

    @abstractmethod
    def run(self, position, stage, W, b, start):
        """Go through one stage from a feasible point.

        Every accepted iteration is reported with :meth:`record`, and ``n_iter`` counts the others too.

        Parameters
        ----------
        position : int
            Position of the stage in the schedule.
        stage : Stage
            The stage.
        W : ndarray of shape (n, n + p)
            Feasible weights to start from.
        b : ndarray of shape (n,)
            Intercept to start from.
        start : Evaluation or None
            Evaluation of a point nearby.

        Returns
        -------
        evaluation : Evaluation
            The last point of the stage, feasible.
        converged : bool
            Whether the stage ended for lack of progress.
        """

    def train(self, schedule, W, b, keep_interrupted=False):
        """Go through a schedule; see :meth:`TrainingMethod.train <skimplicit.training.TrainingMethod.train>`."""
        evaluation, ends, converged = None, [], False
        pending = list(schedule)
        while pending:
            stage = pending.pop(0)
            if callable(stage):
                if evaluation is None:
                    raise ValueError("The schedule must start with a Stage.")
                pending = [*stage(evaluation), *pending]
                continue
            try:
                W, b, scale = self._enter(stage, W, b)
                start = None if evaluation is None else evaluation.scaled(scale)
                evaluation, converged = self.run(len(ends), stage, W, b, start)
            except KeyboardInterrupt:
                if self.latest is None or not keep_interrupted:
                    raise
                evaluation, converged, self.interrupted = self._kept(len(ends), stage), False, True
            ends.append(_end(stage, evaluation))
            W, b = evaluation.point.W, evaluation.point.b
            if self.stopped or self.interrupted:
                break
        final = self._finish(pending, evaluation)
        # What an earlier stage recorded had another ridge.
        last = self.recorded.point if not pending and self.stages and self.stages[-1] == len(ends) - 1 else None
        if last is not None and np.array_equal(last.W, W) and np.array_equal(last.b, b):
            # What was recorded last is the final point, now seen to full accuracy.
            self.objectives[-1] = min(self.objectives[-1], final.objective)
            self.correct(self.stages[-1], final.objective)
        if not pending:
            ends[-1] = _end(ends[-1].stage, final)
        return TrainingResult(
            evaluation=final.behind(),
            objectives=np.array(self.objectives),
            stages=np.array(self.stages, dtype=int),
            n_iter=self.n_iter,
            converged=converged,
            stopped=self.stopped,
            interrupted=self.interrupted,
            ends=tuple(ends),
            scores=np.array(self.scores),
        )

    def _kept(self, position, stage):
        """Return what an interrupt of a stage keeps: where the stage begins if it has come to nothing better."""
        if self.latest_position == position:
            return self.latest
        W, b, scale = self._enter(stage, self.latest.point.W, self.latest.point.b)
        return self.objective.evaluate(W, b, stage.alpha, start=self.latest.scaled(scale), tol=self.latest.tol)

    def _finish(self, pending, evaluation):
        """Return the evaluation of the problem that was asked for, the last of the stages, where the run ended."""
        W, b, alpha, scale = evaluation.point.W, evaluation.point.b, evaluation.alpha, 1.0
        if pending:  # stopped on the way: nothing has met the last budget yet
            last = pending[-1]
            stages = [stage for stage in (last(evaluation) if callable(last) else [last]) if not callable(stage)]
            if stages:
                W, b, scale = self._enter(stages[-1], W, b)
                alpha = stages[-1].alpha
        if not pending and evaluation.tol <= self.final_tol:
            return evaluation
        return self.objective.evaluate(W, b, alpha, start=evaluation.scaled(scale), tol=self.final_tol)

    def _enter(self, stage, W, b):
        """Make a point feasible for a stage; shrink (B, b) to a smaller budget exactly if the activation allows."""
        n = W.shape[0]
        problem = self.problem(stage, n, W.shape[1])
        scale = 1.0
        if stage.column_budget is not None and self.objective.activation.homogeneous:
            used = stage.column_budget.norm(W[:, n:])
            if used > stage.column_budget.bound:
                scale = stage.column_budget.bound / used
                W, b = np.hstack([W[:, :n], W[:, n:] * scale]), b * scale
        if self.constraints.custom is not None:
            # The nearest feasible point is a matching problem too: the ridge alone.
            inputs = self.objective.samples.inputs
            G = Gram(np.zeros((n, n)), np.zeros((n, inputs.size)), inputs)
            problem = replace(problem, G=G, R=W, curvature=np.zeros(n), ridge=1.0)
            return self.solver.solve(problem, W), b, scale
        return problem.project(W), b, scale

    def problem(self, stage, n, N, **numbers):
        """Return the :class:`~skimplicit.subproblems.MatchingProblem` of a stage over W of shape (n, N).

        Parameters
        ----------
        stage : Stage
            The stage.
        n, N : int
            Shape of W.
        **numbers
            G, R, curvature and ridge; without them the problem serves to project and to measure the budget.

        Returns
        -------
        MatchingProblem
            The problem.
        """
        numbers = numbers or dict(G=None, R=np.zeros((n, N)), curvature=np.ones(n), ridge=0.0)
        c = self.constraints
        return MatchingProblem(
            **numbers,
            kappa=c.kappa,
            column_budget=stage.column_budget,
            structure=c.structure,
            constraints=c.custom,
            row_set=c.row_set,
        )

    def record(self, position, evaluation, keep=True):
        """Write down an accepted iteration and tell the callback.

        Parameters
        ----------
        position : int
            Position of the stage in the schedule.
        evaluation : Evaluation
            The accepted point.
        keep : bool
            Whether it is what an interrupt keeps from now on.
        """
        self.objectives.append(evaluation.objective)
        self.stages.append(position)
        self.recorded = evaluation
        if keep:
            self.keep(position, evaluation)
        if self.callback is not None:
            self.stopped = bool(self.callback(Iteration(len(self.objectives), position, evaluation)))

    def keep(self, position, evaluation):
        """Let an interrupt keep an evaluation from now on.

        Parameters
        ----------
        position : int
            Position of the stage in the schedule.
        evaluation : Evaluation
            The point.
        """
        self.latest, self.latest_position = evaluation, position

    def correct(self, position, objective):
        """Raise the last values of a stage that a closer look has shown to be too low.

        Parameters
        ----------
        position : int
            Position of the stage in the schedule.
        objective : float
            What the last value should have been.
        """
        for k in range(len(self.objectives) - 1, -1, -1):
            if self.stages[k] != position or self.objectives[k] >= objective:
                break
            self.objectives[k] = objective


def next_momentum(momentum):
    """Return the number that follows in Nesterov's sequence.

    Parameters
    ----------
    momentum : float
        One of its numbers, 1 at first.

    Returns
    -------
    float
        The next one: points are extrapolated by ``(momentum - 1) / next``.
    """
    return 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))


def _end(stage, evaluation):
    return StageEnd(stage, evaluation.point, evaluation.loss, evaluation.objective)
