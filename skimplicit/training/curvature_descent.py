"""A run of block coordinate descent with the curvature block: damped Gauss-Newton steps inside the constraints."""

import numpy as np

from skimplicit.subproblems.curvature import CurvatureProblem, WorkingSetSolver
from skimplicit.training.descent import TIGHT, TOL_SHARE, VISIBLE_SHARE, DescentRun
from skimplicit.training.gauss_newton import GaussNewton
from skimplicit.training.working_set import ENTRIES_PER_ROW, working_set

__all__ = ["MOST_READOUT", "MOST_VARIABLES", "MOST_VARIABLES_OF_FEW_ROWS", "CurvatureRun", "is_small"]

# Variables of the curvature block up to which it is the better choice; measured in ``benchmarks/README.md``, "States,
# and entries of A in a step". Beyond, a step costs more than it saves, but where rows are few: then the matrix is known
# by its root, and a step takes as many operations as variables times squared rows.
MOST_VARIABLES, MOST_VARIABLES_OF_FEW_ROWS = 1600, 2400
# Weights of the readout, q (n + p + 1), up to which they are eliminated from it in a step.
MOST_READOUT = 600

# Damping of the first step, the least and the largest factor after an accepted step, that after a refused one, and
# its limits. With .3 after every step accepted at first try, a third of the programs were solved in vain (friedman1,
# concrete; here 5 to 13 %).
_DAMPING, _LESS, _LARGER, _MORE = 1e-3, 0.1, 2.0, 5.0
_SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-7, 1e10
# Tolerance of the states at the start of a stage: a loose readout of a warm start would hide that J rises.
_FIRST_TOL = 1e-5


def is_small(n_hidden, samples, row_set):
    """Tell whether a step with the curvature block costs less than it saves.

    Parameters
    ----------
    n_hidden : int
        Number n of states.
    samples : Samples
        What is trained on: m rows of p inputs and q outputs.
    row_set : RowSet or None
        Signs and balls of the rows of ``[A B]``.

    Returns
    -------
    bool
        Whether it has at most ``MOST_VARIABLES`` variables (at most ``MOST_VARIABLES_OF_FEW_ROWS`` where rows are so
        few that it costs no more), and the readout at most ``MOST_READOUT`` weights.
    """
    n_inputs, n_outputs = np.count_nonzero(~samples.constant), samples.n_outputs
    if n_outputs * (n_hidden + n_inputs + 1) > MOST_READOUT:
        return False
    variables = n_hidden * (n_inputs + 1 + min(n_hidden, ENTRIES_PER_ROW))
    if variables <= MOST_VARIABLES:
        return True
    rows = n_outputs * samples.n_samples
    by_root = row_set is None and rows < n_hidden * (n_inputs + 1)
    return by_root and variables <= MOST_VARIABLES_OF_FEW_ROWS and variables * rows**2 <= MOST_VARIABLES**3


class CurvatureRun(DescentRun):
    """States, readout and curvature block in turn; a step is taken if the true objective falls, else damped more.

    Parameters
    ----------
    task, callback : object
        As for :class:`~skimplicit.training.TrainingRun`.
    everywhere : bool
        Whether also stages where the matching block is the better choice are run with the curvature block.
    """

    def __init__(self, task, callback=None, everywhere=True):
        super().__init__(task, callback)
        self.curvature = None
        self.curvature_solver = task.curvature_solver or WorkingSetSolver()
        self.everywhere = everywhere
        self.damping = _DAMPING  # outlives a stage

    def run(self, position, stage, W, b, start):
        """See :meth:`TrainingRun.run <skimplicit.training.TrainingRun.run>`."""
        n = len(W)
        bounded = stage.column_budget is not None or self.constraints.custom is not None
        if not self.everywhere and (bounded or not is_small(n, self.objective.samples, self.constraints.row_set)):
            return super().run(position, stage, W, b, start)
        if self.curvature is None:
            self.curvature = GaussNewton(self.objective)
        tol = _FIRST_TOL
        current = self.objective.evaluate(W, b, stage.alpha, start=start, tol=tol)
        adjoint = sensitivities = None
        for _ in range(stage.max_iter):
            self.n_iter += 1
            sensitivities = self.curvature.sensitivities(current, sensitivities)
            shared = sensitivities if self.curvature.needs_all_rows else None
            gradient = self.objective.gradient(current, adjoint, shared)
            adjoint = gradient.adjoint
            new = self._step(stage, current, gradient, sensitivities, tol)
            if new is None:
                if tol > TIGHT:
                    current, tol = self.look_closer(position, stage, current, tol)
                    continue
                return current, True
            decrease = current.decrease_to(new)
            current = new
            tol = min(tol, max(TOL_SHARE * decrease, TIGHT))
            self.record(position, current)
            # Steps of second order: one that brings little is the last that brings anything.
            if self.stopped or decrease < stage.tol:
                return current, not self.stopped
        return current, False

    def _step(self, stage, current, gradient, sensitivities, tol):
        """Solve curvature problems with growing damping until the true objective falls.

        Return the evaluation there; None when the promised descent gets too small to see.
        """
        point, n = current.point, current.point.b.size
        A = point.W[:, :n]
        slope = gradient.W[:, :n] + stage.alpha * A
        row_set = self.constraints.row_set
        signs = None if row_set is None or row_set.signs is None else row_set.signs[:, :n]
        # Where more than the balls of the rows couples entries, all of those in use move.
        coupled = stage.column_budget is not None or self.constraints.custom is not None
        most = None if coupled else ENTRIES_PER_ROW
        moving = working_set(A, slope, self.constraints.kappa, self.constraints.structure, signs, most)
        # Where rows are fewer than what is free, B and b, the matrix is best known by its root.
        varying = np.broadcast_to(self.curvature.varying, (n, self.curvature.varying.size))
        n_free = np.count_nonzero(varying) + n
        by_rows = not coupled and row_set is None and self.curvature.has_fewer_rows_than(n_free)
        problem = CurvatureProblem(
            V=point.W,
            moving=np.hstack([moving, varying]),
            gradient=np.concatenate([gradient.W[:, :n][moving], gradient.W[:, n:][varying], gradient.b]),
            hessian=None if by_rows else self.curvature(current, moving, sensitivities),
            ridge=stage.alpha,
            damping=self.damping,
            kappa=self.constraints.kappa,
            budget=stage.column_budget,
            constraints=self.constraints.custom,
            row_set=row_set,
            root=self.curvature.root(current, moving, sensitivities) if by_rows else None,
        )
        here = 0.5 * stage.alpha * np.sum(point.W**2)  # the model at no move
        while True:
            W, lift = self.curvature_solver.solve(problem)
            promised = here - problem.value(W, lift)
            if self.damping > _LARGEST_DAMPING or not promised > VISIBLE_SHARE * tol * abs(current.objective):
                self.damping = min(self.damping, _LARGEST_DAMPING)
                return None
            # b moves along with W, so that the pre-activation at the mean state rises by the lift alone.
            b = point.b + lift - (W - point.W)[:, :n] @ point.X_mean
            new = self.objective.evaluate(W, b, stage.alpha, start=current, tol=tol)
            if new.objective < current.objective:
                # Nielsen's rule: by how well the model has foretold the descent.
                gain = (current.objective - new.objective) / promised
                factor = min(max(1.0 - (2.0 * gain - 1.0) ** 3, _LESS), _LARGER)
                self.damping = max(factor * self.damping, _SMALLEST_DAMPING)
                return new
            self.damping *= _MORE
            problem = problem.damped(self.damping)
