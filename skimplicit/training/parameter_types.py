"""The types of the options of training methods, for editors and type checkers, which do not run the tables."""

from typing import Literal, TypedDict

__all__ = ["BlockParameters", "GradientParameters"]


class BlockParameters(TypedDict, total=False):
    """Of :class:`~skimplicit.training.BlockCoordinateDescent`."""

    block: Literal["auto", "curvature", "matching"]


class GradientParameters(TypedDict, total=False):
    """Of :class:`~skimplicit.training.StochasticGradient`."""

    optimiser: Literal["adam", "sgd"]
    batch_size: int | Literal["auto"]
    learning_rate_init: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
