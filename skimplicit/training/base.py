"""What all training methods share: the task, the schedule, the options, and what comes of a run."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import BaseEstimator

from skimplicit.parameters import Parametrised
from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import RowSet
from skimplicit.training.evaluation import Evaluation, Point
from skimplicit.training.objective import ImplicitObjective
from skimplicit.training.threads import one_blas_thread

__all__ = [
    "Constraints",
    "Iteration",
    "Stage",
    "StageEnd",
    "TrainingMethod",
    "TrainingResult",
    "TrainingTask",
]


@dataclass(frozen=True)
class Constraints:
    """What ``W = [A B]`` must satisfy in every stage, in the units of training; see :class:`MatchingProblem`.

    Parameters
    ----------
    kappa : float
        Bound on every absolute row sum of A.
    structure : ndarray of bool of shape (n, n) or None
        Entries of A that may be non-zero.
    custom : callable or None
        Further CVXPY constraints ``custom(A, B)``.
    row_set : RowSet or None
        Signs and balls of the rows of W; None for none.
    """

    kappa: float
    structure: np.ndarray | None = None
    custom: Callable | None = None
    row_set: RowSet | None = None


@dataclass(frozen=True)
class Stage:
    """Part of the schedule: alpha and the budget are held for at most ``max_iter`` iterations.

    Parameters
    ----------
    alpha : float
        Ridge.
    column_budget : ColumnBudget or None
        Budget of the columns of B; None for no bound.
    max_iter : int
        Most iterations.
    tol : float
        Relative decrease of J that counts as progress.
    """

    alpha: float
    column_budget: ColumnBudget | None
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
class StageEnd:
    """Where a stage ended.

    Parameters
    ----------
    stage : Stage
        The stage.
    point : Point
        The rule.
    loss, objective : float
        Its loss alone, and loss plus ridge.
    """

    stage: Stage
    point: Point
    loss: float
    objective: float


@dataclass(frozen=True)
class TrainingResult:
    """End of a training run.

    Parameters
    ----------
    evaluation : Evaluation
        The final point, its states to full accuracy; feasible for the last stage, also when the run was stopped on the
        way there. States in blocks are not kept.
    objectives : ndarray of shape (n_iter,)
        The objective after each accepted iteration, for states and readout as accurate as the iteration needed them;
        the last value, unless the final point is another one, to full accuracy.
    stages : ndarray of int of shape (n_iter,)
        Stage of each value; within a stage the objective never rises.
    n_iter : int
        Iterations, those that found no descent included.
    converged : bool
        Whether the last stage ended for lack of progress, not for lack of iterations.
    stopped : bool
        Whether a callback asked to stop.
    interrupted : bool
        Whether a KeyboardInterrupt ended the run.
    ends : tuple of StageEnd
        Where each stage ended.
    scores : ndarray
        Score on held-out samples after each iteration of the last stage; empty for a method that holds out none.
    """

    evaluation: Evaluation
    objectives: np.ndarray
    stages: np.ndarray
    n_iter: int
    converged: bool
    stopped: bool
    interrupted: bool
    ends: tuple
    scores: np.ndarray

    def with_end(self):
        """Return the result with the objective of its end as the last one, also if the last stage accepted nothing."""
        last = len(self.ends) - 1
        if self.stages.max(initial=-1) >= last:
            return self
        objectives = np.append(self.objectives, self.evaluation.objective)
        return replace(self, objectives=objectives, stages=np.append(self.stages, last))


@dataclass(frozen=True)
class TrainingTask:
    """What is to be trained.

    Parameters
    ----------
    objective : ImplicitObjective
        J, with its gradient.
    constraints : Constraints
        Constraints on W.
    solver : object or None
        Solves the matching block, by ``solve(matching, start)``; None for a method that has no such block.
    curvature_solver : object or None
        Solves the curvature block, by ``solve(problem)``; None for a method that has no such block.
    held_out : Samples or None
        Samples on which a method that holds out some judges a rule.
    random_state : int, RandomState instance or None
        Source of the order of the samples, for a method that takes them in batches.
    final_tol : float or None
        Tolerance of the states, and with it of the readout, of the rule that training ends with; None for that of a
        rule to be stored. Rules on the way to another one need less.
    """

    objective: ImplicitObjective
    constraints: Constraints
    solver: object = None
    curvature_solver: object = None
    held_out: Samples | None = None
    random_state: object = None
    final_tol: float | None = None


class TrainingMethod(Parametrised, BaseEstimator):
    """A way to train, with its options: what a run goes by and does not change.

    It has parameters as an estimator has them (``get_params``, ``set_params``, ``clone``), and can serve again and
    again: each :meth:`train` keeps its record in a :class:`TrainingRun` of its own.
    """

    #: Whether the method needs to be led to the wanted ridge from a smaller one.
    raises_alpha = True
    #: Whether the method solves equilibrium blocks, where a solver can be chosen and custom constraints can be met.
    has_equilibrium_block = True
    #: Whether the method goes through the samples in batches, so that a rule can be trained part by part.
    takes_batches = False

    #: Whether the method goes through the samples in passes alone, so that they can be in blocks.
    takes_blocks = False

    def path_iterations(self, n_hidden, task):
        """Return the most iterations at the first and at every later ridge of a path.

        Parameters
        ----------
        n_hidden : int
            Number n of states.
        task : TrainingTask
            What is to be trained.

        Returns
        -------
        first, later : int
            Most iterations.
        """
        return 60, 25

    @property
    def holds_out(self):
        """Whether rules are judged on samples held out."""
        return False

    def check(self, activation):
        """Check the options, and that the method can train rules with an activation.

        Parameters
        ----------
        activation : Activation
            The activation.

        Raises
        ------
        ValueError
            If an option is not valid, or the method does not know the activation.
        """
        self._validate_params()

    def begin(self, task, callback=None):
        """Return a new :class:`~skimplicit.training.TrainingRun`.

        Parameters
        ----------
        task : TrainingTask
            What is to be trained.
        callback : callable or None
            Called with an :class:`Iteration`; training ends when it returns True.

        Returns
        -------
        TrainingRun
            The run.
        """
        raise NotImplementedError

    def train(self, task, schedule, W, b, callback=None, *, keep_interrupted=False):
        """Go through a schedule.

        Parameters
        ----------
        task : TrainingTask
            What is to be trained.
        schedule : list
            Stages, each starting where the last one ended. In place of stages that depend on how the training went so
            far there can be a function of the last :class:`Evaluation` that returns a list of them.
        W : ndarray of shape (n, n + p)
            Where to start; made feasible first.
        b : ndarray of shape (n,)
            Where to start.
        callback : callable or None
            Called with an :class:`Iteration`; training ends when it returns True.
        keep_interrupted : bool
            Whether a KeyboardInterrupt ends training like a callback that asks to stop, at the last accepted iteration.
            Before the first one, and with False, it is not caught.

        Returns
        -------
        TrainingResult
            The final point and the course of the objective.
        """
        # The arrays of one step are small: threads inside a product cost more than they save, and several times as
        # much when other work shares the processor.
        with one_blas_thread():
            return self.begin(task, callback).train(schedule, W, b, keep_interrupted)
