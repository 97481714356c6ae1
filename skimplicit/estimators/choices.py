"""What policy strings among an estimator's parameters stand for."""

from dataclasses import dataclass

import numpy as np

from skimplicit.activations import Activation
from skimplicit.training import TrainingMethod

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """What policy strings among the parameters stand for.

    Parameters
    ----------
    activation : Activation
        phi.
    structure : ndarray of bool of shape (n, n) or None
        Entries of A that may be non-zero.
    direct : bool
        Whether there is a direct term D.
    method : TrainingMethod
        How to train.
    solver : object or None
        Solver of the equilibrium block; None for a method that has none.
    """

    activation: Activation
    structure: np.ndarray | None
    direct: bool
    method: TrainingMethod
    solver: object
