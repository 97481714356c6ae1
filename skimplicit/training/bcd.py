"""Block coordinate descent: the method, with the choice of its equilibrium block."""

from skimplicit.parameters import Names, Parameter
from skimplicit.training.base import TrainingMethod
from skimplicit.training.curvature_descent import ENTRIES_PER_ROW, MOST_READOUT, MOST_VARIABLES, CurvatureRun, is_small
from skimplicit.training.descent import DescentRun

__all__ = ["BlockCoordinateDescent"]


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
            "The equilibrium block. Auto takes the curvature block where it has at most "
            f"{MOST_VARIABLES} variables, n (p + 1) and up to {ENTRIES_PER_ROW} entries in each row of A, where the "
            f"readout has at most {MOST_READOUT} weights, and where there are neither a column budget nor custom "
            "constraints.",
            [Names({"auto", "curvature", "matching"})],
        )
    }

    def begin(self, task, callback=None):
        """See :meth:`TrainingMethod.begin <skimplicit.training.TrainingMethod.begin>`."""
        if self.block == "matching":
            return DescentRun(task, callback)
        return CurvatureRun(task, callback, everywhere=self.block == "curvature")

    def path_iterations(self, n_hidden, n_inputs, task):
        """See :meth:`TrainingMethod.path_iterations <skimplicit.training.TrainingMethod.path_iterations>`."""
        small = is_small(n_hidden, n_inputs, task.objective.samples.n_outputs) and task.constraints.custom is None
        curvature = self.block == "curvature" or (self.block == "auto" and small)
        return (12, 4) if curvature else super().path_iterations(n_hidden, n_inputs, task)
