"""What policy strings among an estimator's parameters stand for, and that its numbers are some."""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from skimplicit.activations import Activation
from skimplicit.parameters import is_finite
from skimplicit.training import TrainingMethod

__all__ = ["Choices", "check_numbers"]

_NUMBERS = ("n_hidden", "n_members", "n_init", "max_iter", "alpha", "tol", "kappa", "column_budget", "lipschitz")


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


def check_numbers(estimator):
    """Check what intervals let pass: truth values, infinity and what is not a number, also as weights of classes.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Raises
    ------
    TypeError
        If one is a truth value, or the weight of a class is no number.
    ValueError
        If one is not finite.
    """
    for name in _NUMBERS:
        value = getattr(estimator, name)
        if isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be a number, got {value!r}.")
        if isinstance(value, Real) and not is_finite(value):
            raise ValueError(f"{name} must be finite, got {value!r}.")
    weights = getattr(estimator, "class_weight", None)
    for label, weight in weights.items() if isinstance(weights, dict) else ():
        if not isinstance(weight, Real):
            raise TypeError(f"class_weight must be numbers, got {weight!r} for {label!r}.")
