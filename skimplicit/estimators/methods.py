"""The training methods, by the names that the estimators take."""

from skimplicit.lifted import FenchelLifted
from skimplicit.training import BlockCoordinateDescent, StochasticGradient

__all__ = ["METHODS"]

#: Name to subclass of :class:`~skimplicit.training.TrainingMethod`.
METHODS = {"bcd": BlockCoordinateDescent, "gradient": StochasticGradient, "lifted": FenchelLifted}
