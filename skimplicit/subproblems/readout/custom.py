"""Readouts inside constraints of the user's own: CVXPY."""

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from skimplicit.subproblems.attempts import SOLVERS, solve_by_any
from skimplicit.subproblems.matching.custom_constraints import CustomConstraints
from skimplicit.subproblems.row_sets import RowSet

__all__ = ["CustomRowSet"]


@dataclass(frozen=True)
class CustomRowSet(RowSet):
    """A :class:`~skimplicit.subproblems.RowSet` of ``[C D]`` with further constraints, which may tie its rows.

    Parameters
    ----------
    signs, weights, radius : object
        As for a RowSet.
    custom : callable
        ``custom(C, D)`` returns CVXPY constraints.
    n_states : int
        Number n of columns of C.
    """

    custom: Callable | None = None
    n_states: int = 0

    is_custom = True

    def project(self, V, metric=1.0):
        """See :meth:`RowSet.project <skimplicit.subproblems.RowSet.project>`."""
        H = np.broadcast_to(np.diag(np.broadcast_to(1.0, V.shape[1])), (len(V), V.shape[1], V.shape[1]))
        if np.ndim(metric):
            raise ValueError("Constraints of the user's own are only projected on in Euclid's metric.")
        return self.minimise(H, V)

    def minimise(self, H, T):
        """Minimise ``sum_k 1/2 v_k' H_k v_k - t_k v_k`` over V with rows v_k in the set.

        Parameters
        ----------
        H : ndarray of shape (q, N, N)
            Positive definite matrices.
        T : ndarray of shape (q, N)
            Linear terms.

        Returns
        -------
        ndarray of shape (q, N)
            The minimiser, the constraints held to rounding.

        Raises
        ------
        SubproblemError
            If no solver finds a solution; the message has the block's name and the status.
        """
        V = cp.Variable(T.shape, name="V")
        custom = CustomConstraints(self.custom, V, self.n_states)
        # In the unit of each output's curvature.
        size = np.array([max(np.trace(each) / len(each), np.finfo(float).tiny) for each in H])
        roots = [np.linalg.cholesky(each / s).T for each, s in zip(H, size, strict=True)]
        share = size / size.max()
        terms = [w * cp.sum_squares(root @ V[k]) / 2 for k, (w, root) in enumerate(zip(share, roots, strict=True))]
        objective = sum(terms) - cp.sum(cp.multiply(T / size.max(), V))
        problem = cp.Problem(cp.Minimize(objective), [*self.to_cvxpy(V), *custom.bounds])
        # The readout is asked for to full accuracy: the fast solver comes last.
        solve_by_any(problem, "readout block (C, D)", (*SOLVERS[1:], SOLVERS[0]))
        inside = self.shrunk(V.value)
        free = np.ones(T.shape, dtype=bool) if self.signs is None else (self.signs == 0) | (inside != 0)
        return self.shrunk(custom.hold(inside, free, problem.solution.primal_vars))
