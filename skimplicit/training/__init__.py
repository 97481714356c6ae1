"""Training methods, as objects with the options of each: they alternate over subproblems of the true objective."""

from skimplicit.training.base import (
    Constraints,
    Iteration,
    Stage,
    StageEnd,
    TrainingMethod,
    TrainingResult,
    TrainingTask,
)
from skimplicit.training.bcd import BlockCoordinateDescent
from skimplicit.training.cross_entropy import CrossEntropyObjective
from skimplicit.training.evaluation import Evaluation, Point
from skimplicit.training.objective import ImplicitObjective
from skimplicit.training.run import TrainingRun, next_momentum
from skimplicit.training.squared_loss import SquaredObjective
from skimplicit.training.stochastic_gradient import StochasticGradient

__all__ = [
    "BlockCoordinateDescent",
    "Constraints",
    "CrossEntropyObjective",
    "Evaluation",
    "ImplicitObjective",
    "Iteration",
    "Point",
    "SquaredObjective",
    "Stage",
    "StageEnd",
    "StochasticGradient",
    "TrainingMethod",
    "TrainingResult",
    "TrainingRun",
    "TrainingTask",
    "next_momentum",
]
