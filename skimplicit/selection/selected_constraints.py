"""Constraints of one's own on all inputs, for a rule of a few of them."""

import numpy as np
from scipy import sparse

__all__ = ["SelectedConstraints"]


class SelectedConstraints:
    """``constraints(A, B E)`` for a rule of selected inputs: its B (n, k) with columns of zeros for the other inputs.

    Parameters
    ----------
    constraints : callable
        ``constraints(A, B)`` for B of all inputs, shape (n, p).
    support : ndarray of bool of shape (p,)
        The k selected inputs.
    """

    def __init__(self, constraints, support):
        self.constraints = constraints
        self.support = support

    def __call__(self, A, B):
        """Return the constraints on A and the columns of the selected inputs."""
        columns = np.flatnonzero(self.support)
        E = (np.ones(columns.size), (np.arange(columns.size), columns))
        return self.constraints(A, B @ sparse.csr_array(E, shape=(columns.size, self.support.size)))
