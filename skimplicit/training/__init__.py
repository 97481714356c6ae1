"""Training methods: they alternate over subproblems, and own the true objective."""

from skimplicit.training.base import Constraints, Iteration, Stage, TrainingMethod, TrainingResult
from skimplicit.training.bcd import BlockCoordinateDescent
from skimplicit.training.cross_entropy import CrossEntropyObjective
from skimplicit.training.objective import Evaluation, ImplicitObjective, Point, SquaredObjective
from skimplicit.training.optimisers import Adam, Momentum
from skimplicit.training.stochastic_gradient import StochasticGradient

__all__ = [
    "Adam",
    "BlockCoordinateDescent",
    "Constraints",
    "CrossEntropyObjective",
    "Evaluation",
    "ImplicitObjective",
    "Iteration",
    "Momentum",
    "Point",
    "SquaredObjective",
    "Stage",
    "StochasticGradient",
    "TrainingMethod",
    "TrainingResult",
]
