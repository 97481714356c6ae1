"""The ``constraints`` parameter of the estimators: from the units of the data to those of training."""

import numpy as np

__all__ = ["in_user_units"]


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
