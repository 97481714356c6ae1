"""The training methods, by the names that the estimators take."""

from skimplicit.training.bcd import BlockCoordinateDescent
from skimplicit.training.gradient import StochasticGradient
from skimplicit.training.lifted import FenchelLifted

__all__ = ["METHODS"]

#: Name to subclass of :class:`~skimplicit.training.method.TrainingMethod`.
METHODS = {"bcd": BlockCoordinateDescent, "gradient": StochasticGradient, "lifted": FenchelLifted}
