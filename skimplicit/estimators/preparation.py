"""What an estimator makes of its parameters and data before training, and what keeps it whole if that fails."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from skimplicit.training import Constraints

__all__ = ["EncodedTargets", "Preparation", "check_weights", "in_user_units", "unchanged_on_failure"]


@dataclass(frozen=True)
class EncodedTargets:
    """Targets and weights as training takes them.

    Parameters
    ----------
    Y : ndarray of shape (m, q)
        Targets; indicators of the classes.
    weights : ndarray of shape (m,) or None
        Weights of the samples, at least 0; None for ones.
    scale : bool
        Whether to centre and scale the targets.
    attributes : dict
        Attributes to store after the fit.
    """

    Y: np.ndarray
    weights: np.ndarray | None
    scale: bool
    attributes: dict

    def weighted(self, counts):
        """Return the same targets with the weights multiplied by ``counts``, an ndarray of shape (m,)."""
        return replace(self, weights=counts if self.weights is None else self.weights * counts)


@dataclass(frozen=True)
class Preparation:
    """What training needs, made from the parameters and the data.

    Parameters
    ----------
    objective : ImplicitObjective
        The objective over the samples.
    solver : object
        What the method needs for a solver.
    constraints : Constraints
        Constraints in the units of training.
    method : callable
        ``method(objective, solver, constraints, callback)`` returns a new
        :class:`~skimplicit.training.TrainingMethod`.
    attributes : dict
        Attributes to store after the fit.
    holds_out : bool
        Whether the method judges rules by samples held out.
    """

    objective: object
    solver: object
    constraints: Constraints
    method: Callable
    attributes: dict
    holds_out: bool

    def train(self, schedule, W, b, callback=None):
        """Run the training method; a new one each time, for it keeps a record.

        Parameters
        ----------
        schedule : list
            Stages, as for :meth:`TrainingMethod.train <skimplicit.training.TrainingMethod.train>`.
        W, b : ndarray of shape (n, n + p), ndarray of shape (n,)
            Where to start.
        callback : callable or None
            Called with each :class:`~skimplicit.training.Iteration`.

        Returns
        -------
        TrainingResult
            The final point and the course of the objective.
        """
        return self.method(self.objective, self.solver, self.constraints, callback).train(schedule, W, b)


@contextmanager
def unchanged_on_failure(estimator):
    """Put all attributes of an estimator back if the body raises.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.

    Yields
    ------
    None
        While the body runs.
    """
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        # What callbacks need for their teardown stays.
        kept = {name: value for name, value in estimator.__dict__.items() if name.startswith(("_callback", "_skl"))}
        estimator.__dict__.clear()
        estimator.__dict__.update({**before, **kept})
        raise


def check_weights(sample_weight, X):
    """Return the weights of the samples as floats, None if there are none.

    Parameters
    ----------
    sample_weight : array-like of shape (m,) or None
        The weights as given.
    X : array-like of shape (m, p)
        Inputs.

    Returns
    -------
    ndarray of shape (m,) or None
        The weights, at least 0.

    Raises
    ------
    ValueError
        If a weight is negative, or all are zero.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    return weights


def in_user_units(constraints, samples):
    """Let the user's constraints speak of B for the inputs as they are.

    Parameters
    ----------
    constraints : callable
        ``constraints(A, B)`` in the units of the data.
    samples : Samples
        The samples, which know the units of training.

    Returns
    -------
    callable
        The same in the units of training.
    """
    return _UserUnits(constraints, samples.per_unit)


class _UserUnits:
    def __init__(self, constraints, per_unit):
        self.constraints = constraints
        self.per_unit = per_unit

    def __call__(self, A, B):
        import cvxpy as cp

        return self.constraints(A, cp.multiply(np.broadcast_to(self.per_unit, B.shape), B))
