"""What all training methods share: constraints, schedule, record, and the walk through the stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skimplicit.linalg import Gram
from skimplicit.subproblems import MatchingProblem
from skimplicit.training.objective import Evaluation
from skimplicit.training.threads import one_blas_thread

__all__ = ["Constraints", "Iteration", "Stage", "TrainingMethod", "TrainingResult"]

# Tolerance of the states of the rule that is stored.
_FINAL_TOL = 1e-11


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
    """

    number: int
    stage: int
    evaluation: Evaluation


@dataclass(frozen=True)
class TrainingResult:
    """End of a training run.

    Parameters
    ----------
    evaluation : Evaluation
        The final point, its states to full accuracy.
    objectives : ndarray of shape (n_iter,)
        The objective after each accepted iteration, for states and readout as accurate as the iteration needed them;
        the last value, unless the final point is an earlier one, to full accuracy.
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
    scores : ndarray
        Score on held-out samples after each iteration of the last stage; empty for a method that holds out none.
    """

    evaluation: Evaluation
    objectives: np.ndarray
    stages: np.ndarray
    n_iter: int
    converged: bool
    stopped: bool
    ends: tuple
    scores: np.ndarray


class TrainingMethod(ABC):
    """A way to minimise the true objective over ``W = [A B]`` and b, stage by stage.

    A method says how to go through one stage, in :meth:`run`; schedule, feasible starts and the record are the same for
    all of them.

    Parameters
    ----------
    objective : ImplicitObjective
        J, with its gradient.
    solver : object
        Solves what the method makes of the problem: the equilibrium block, by ``solve(matching, start)``, or else what
        the method says.
    constraints : Constraints
        Constraints on W.
    callback : callable or None
        Called with an :class:`Iteration`; training ends when it returns True.
    """

    #: Whether the method needs to be led to the wanted ridge from a smaller one.
    raises_alpha = True

    def __init__(self, objective, solver, constraints, callback=None):
        self.objective = objective
        self.solver = solver
        self.constraints = constraints
        self.callback = callback
        self.objectives, self.stages, self.scores = [], [], []
        self._recorded = None
        self.n_iter = 0
        self.stopped = False

    @staticmethod  # noqa: B027 - most methods take any activation
    def check(activation):
        """Raise a ValueError if the method cannot train rules with an activation."""

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

    def train(self, schedule, W, b):
        """Go through a schedule.

        Parameters
        ----------
        schedule : list
            Stages, each starting where the last one ended. In place of stages that depend on how the training went so
            far there can be a function of the last :class:`Evaluation` that returns a list of them.
        W : ndarray of shape (n, n + p)
            Where to start; made feasible first.
        b : ndarray of shape (n,)
            Where to start.

        Returns
        -------
        TrainingResult
            The final point and the course of the objective.
        """
        # The arrays of one step are small: threads inside a product cost more than they save, and several times as
        # much when other work shares the processor.
        with one_blas_thread():
            return self._train(schedule, W, b)

    def _train(self, schedule, W, b):
        evaluation, ends, converged = None, [], False
        pending = list(schedule)
        while pending:
            stage = pending.pop(0)
            if callable(stage):
                if evaluation is None:
                    raise ValueError("The schedule must start with a Stage.")
                pending = [*stage(evaluation), *pending]
                continue
            W, b, scale = self._enter(stage, W, b)
            start = None if evaluation is None else evaluation.scaled(scale)
            evaluation, converged = self.run(len(ends), stage, W, b, start)
            ends.append(evaluation)
            W, b = evaluation.W, evaluation.b
            if self.stopped:
                break
        final = self.objective.evaluate(W, b, evaluation.alpha, start=evaluation, tol=_FINAL_TOL)
        if self._recorded is not None and self._recorded.W is W and self._recorded.b is b:
            self.objectives[-1] = min(self.objectives[-1], final.objective)
            self.correct(self.stages[-1], final.objective)
        return TrainingResult(
            evaluation=final,
            objectives=np.array(self.objectives),
            stages=np.array(self.stages, dtype=int),
            n_iter=self.n_iter,
            converged=converged,
            stopped=self.stopped,
            ends=(*ends[:-1], final),
            scores=np.array(self.scores),
        )

    def _enter(self, stage, W, b):
        """Make a point feasible for a stage; shrink (B, b) to a smaller budget exactly if the activation allows."""
        n = W.shape[0]
        problem = self.problem(stage, n, W.shape[1])
        scale = 1.0
        if stage.column_budget is not None and self.objective.activation.homogeneous:
            used = problem.budget_used(W)
            if used > stage.column_budget:
                scale = stage.column_budget / used
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
            column_weights=c.column_weights,
            groups=c.groups,
            structure=c.structure,
            constraints=c.custom,
        )

    def record(self, position, evaluation):
        """Write down an accepted iteration and tell the callback.

        Parameters
        ----------
        position : int
            Position of the stage in the schedule.
        evaluation : Evaluation
            The accepted point.
        """
        self._recorded = evaluation
        self.objectives.append(evaluation.objective)
        self.stages.append(position)
        if self.callback is not None:
            self.stopped = bool(self.callback(Iteration(len(self.objectives), position, evaluation)))

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
