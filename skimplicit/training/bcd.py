"""Block coordinate descent: the method, with the choice of its equilibrium block."""

from typing import TYPE_CHECKING, Literal, Unpack

from skimplicit.losses import SquaredLoss
from skimplicit.parameters import Names, Parameter
from skimplicit.training.base import TrainingMethod
from skimplicit.training.curvature_descent import (
    MOST_READOUT,
    MOST_VARIABLES,
    MOST_VARIABLES_OF_FEW_ROWS,
    CurvatureRun,
    is_small,
)
from skimplicit.training.descent import DescentRun
from skimplicit.training.parameter_types import BlockParameters
from skimplicit.training.working_set import ENTRIES_PER_ROW

__all__ = ["BlockCoordinateDescent"]

# Most iterations at the first and at every later ridge of a path: with the curvature block, and for classes with the
# matching block, for what has not converged predicts better there.
_CURVATURE, _CLASSES = (12, 4), (10, 4)
# Rows from which on the curvature block is the better choice for classes. With fewer, the lower objective is not the
# better rule: log-loss on new rows of ionosphere (280 rows) .305 and .263 with the curvature and the matching block, of
# segment (1,200) .080 with both, in a third and a quarter of the time; of phoneme (4,300) .297 and .300.
_MANY_ROWS = 2500


class BlockCoordinateDescent(TrainingMethod):
    """States, readout and equilibrium block in turn: each exact or convex, the true objective never rises in a stage.

    The equilibrium block minimises a convex model of the objective in A, B and b inside all constraints. The matching
    block has one metric for all states, ``1/2 sum_i h_i (w_i - v_i)' G (w_i - v_i)``, which splits by rows; the
    curvature block has the Gauss-Newton matrix of the fit, which couples all of them, takes a fifth of the iterations
    and ends lower.

    {parameters}

    Examples
    --------
    >>> from skimplicit import ImplicitRegressor
    >>> from skimplicit.training import BlockCoordinateDescent
    >>> ImplicitRegressor(method=BlockCoordinateDescent(block="matching"))
    ImplicitRegressor(method=BlockCoordinateDescent(block='matching'))
    """

    _parameters = {
        "block": Parameter(
            "auto",
            '{"auto", "curvature", "matching"}',
            "The equilibrium block. Auto takes the curvature block if it has at most "
            f"{MOST_VARIABLES} variables, n (p + 1) and up to {ENTRIES_PER_ROW} entries in each row of A (up to "
            f"{MOST_VARIABLES_OF_FEW_ROWS} if samples are so few that a step costs no more), if the "
            f"readout has at most {MOST_READOUT} weights, and if there are neither a column budget nor custom "
            f"constraints; for classes, where there are more than {_MANY_ROWS} samples besides.",
            [Names({"auto", "curvature", "matching"})],
        )
    }

    takes_blocks = True

    block: Literal["auto", "curvature", "matching"]

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[BlockParameters]) -> None: ...

    def begin(self, task, callback=None):
        """See :meth:`TrainingMethod.begin <skimplicit.training.TrainingMethod.begin>`."""
        if self.block == "matching" or (self.block == "auto" and _has_few_rows(task)):
            return DescentRun(task, callback)
        return CurvatureRun(task, callback, everywhere=self.block == "curvature")

    def path_iterations(self, n_hidden, task):
        """See :meth:`TrainingMethod.path_iterations <skimplicit.training.TrainingMethod.path_iterations>`."""
        constraints = task.constraints
        small = constraints.custom is None and is_small(n_hidden, task.objective.samples, constraints.row_set)
        if self.block == "curvature" or (self.block == "auto" and small and not _has_few_rows(task)):
            return _CURVATURE
        return _CLASSES if _has_classes(task) else super().path_iterations(n_hidden, task)


def _has_classes(task):
    return not isinstance(task.objective.sample_loss, SquaredLoss)


def _has_few_rows(task):
    """Tell whether there are too few rows for the curvature block to be the better choice."""
    return _has_classes(task) and task.objective.samples.n_samples <= _MANY_ROWS
