"""Readouts inside constraints of the user's own: CVXPY."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import cvxpy as cp
import numpy as np

from skimplicit.subproblems.attempts import SOLVERS, solve_by_any
from skimplicit.subproblems.matching.custom_constraints import CustomConstraints
from skimplicit.subproblems.row_sets import RowSet

__all__ = ["CustomRowSet"]

# The readout is asked for to full accuracy: the fast solver comes last.
_SOLVERS = (*SOLVERS[1:], SOLVERS[0])


class _Program:
    """``minimise sum_k 1/2 ||R_k v_k||^2 - t v`` in a set, a CVXPY problem with parameters R_k and t."""

    def __init__(self, row_set, shape, n_parts):
        self.V = cp.Variable(shape, name="V")
        self.custom = CustomConstraints(row_set.custom, self.V, row_set.n_states)
        size = self.V.size // n_parts
        self.roots, self.linear = [cp.Parameter((size, size)) for _ in range(n_parts)], cp.Parameter(shape)
        parts = cp.reshape(self.V, (n_parts, size), order="C")
        squares = [cp.sum_squares(root @ parts[k]) / 2 for k, root in enumerate(self.roots)]
        objective = sum(squares) - cp.sum(cp.multiply(self.linear, self.V))
        self.problem = cp.Problem(cp.Minimize(objective), [*row_set.to_cvxpy(self.V), *self.custom.bounds])

    def solve(self, row_set, H, T):
        """Return the minimiser, inside the set."""
        unit = max(np.einsum("kii->k", H).max() / H.shape[1], np.finfo(float).tiny)
        for root, each in zip(self.roots, H, strict=True):
            root.value = np.linalg.cholesky(each / unit).T
        self.linear.value = T / unit
        # The result is not to hang on what was solved before, which with threads side by side is anything.
        solve_by_any(self.problem, "readout block (C, D)", _SOLVERS, warm_start=False)
        inside = row_set.shrunk(self.V.value)
        free = np.ones(T.shape, dtype=bool) if row_set.signs is None else (row_set.signs == 0) | (inside != 0)
        return row_set.shrunk(self.custom.hold(inside, free, self.problem.solution.primal_vars))


class _Compiled:
    """The programs of a set once compiled, for one thread at a time; nothing of them is pickled."""

    def __init__(self):
        self.lock, self._programs = Lock(), {}

    def __reduce__(self):
        return _Compiled, ()

    def of(self, row_set, shape, n_parts):
        """Return the program for readouts of that shape whose curvature has so many matrices."""
        key = shape, n_parts
        if key not in self._programs:
            self._programs[key] = _Program(row_set, *key)
        return self._programs[key]


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
    _compiled: _Compiled = field(default_factory=_Compiled, init=False, repr=False, compare=False)

    is_custom = True

    def project(self, V, metric=1.0):
        """See :meth:`RowSet.project <skimplicit.subproblems.RowSet.project>`."""
        if np.ndim(metric):
            raise ValueError("Constraints of the user's own are only projected on in Euclid's metric.")
        return self.minimise(np.broadcast_to(np.eye(V.shape[1]), (len(V), V.shape[1], V.shape[1])), V)

    def minimise(self, H, T):
        """Minimise ``sum_k 1/2 v_k' H_k v_k - t v`` over V in the set, v being its rows one after the other.

        Parameters
        ----------
        H : ndarray of shape (q, N, N) or (1, q N, q N)
            Positive definite matrices: one for each row v_k of V, or one for all of v.
        T : ndarray of shape (q, N)
            Linear terms t, in rows.

        Returns
        -------
        ndarray of shape (q, N)
            The minimiser, the constraints held to rounding.

        Raises
        ------
        SubproblemError
            If no solver finds a solution; the message has the block's name and the status.
        """
        with self._compiled.lock:
            return self._compiled.of(self, T.shape, len(H)).solve(self, H, T)
