"""The equilibrium block: match wanted pre-activations in Gram form, inside the constraints on A and B."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skimplicit.linalg import Gram
from skimplicit.projections import ColumnBudget
from skimplicit.subproblems.row_sets import RowSet, project_weights

__all__ = ["MatchingProblem"]

# Longest rows whose balls are minimised all at once; of longer ones each has less to do alone.
_LONGEST = 256


@dataclass(frozen=True)
class MatchingProblem:
    """Minimise ``1/2 tr(H W G W') + ridge/2 ||W||_F^2 + sum_ij l1_ij |W_ij| - <R, W>`` over ``W = [A B]``.

    With F (m, N) the states and inputs, T (m, n) wanted pre-activations and weights H on the states, this is
    ``1/2m ||(T - F W') H^(1/2)||_F^2 + ridge/2 ||W||_F^2`` and the penalty for ``G = F'F / m`` and ``R = H T'F / m``:
    its size does not depend on the number of samples m. W is subject to the constraints below.

    Parameters
    ----------
    G : Gram or None
        Gram matrix of n states and p inputs, N = n + p; None where only the set matters.
    R : ndarray of shape (n, N)
        Linear term.
    curvature : ndarray of shape (n,)
        Diagonal of H, positive.
    ridge : float
        Weight of the squared norm, at least 0.
    kappa : float, ndarray of shape (n,) or None
        Bound on every absolute row sum of A, one for all rows or one for each; None where there is no A, and W = B.
    column_budget : ColumnBudget or None
        Bound on ``sum_j w_j max_i |B_ij|``; None for no bound.
    structure : ndarray of bool of shape (n, n) or (n, N), or None
        Entries of A, or of W, that may be non-zero; None for all.
    constraints : callable or None
        ``constraints(A, B)`` returns further CVXPY constraints, for CVXPY expressions A and B.
    l1 : ndarray of shape (n, N) or None
        Weights, at least 0, of the absolute values of W, which make it sparse; None for zeros.
    row_set : RowSet or None
        Signs and balls of the rows of W; None for none.
    """

    G: Gram | None
    R: np.ndarray
    curvature: np.ndarray
    ridge: float
    kappa: float | np.ndarray | None
    column_budget: ColumnBudget | None = None
    structure: np.ndarray | None = None
    constraints: Callable | None = None
    l1: np.ndarray | None = None
    row_set: RowSet | None = None

    @property
    def n_hidden(self):
        """Number of states n."""
        return self.R.shape[0]

    @property
    def n_recurrent(self):
        """Number of columns of A in W: that of the states, or none."""
        return 0 if self.kappa is None else self.n_hidden

    def value(self, W):
        """Return the objective at W, an ndarray of shape (n, N), as a float."""
        quadratic = np.dot(self.curvature, np.einsum("ij,ij->i", W @ self.G, W))
        smooth = float(0.5 * quadratic + 0.5 * self.ridge * np.vdot(W, W) - np.vdot(self.R, W))
        return smooth if self.l1 is None else smooth + float(np.sum(self.l1 * np.abs(W)))

    def gradient(self, W):
        """Return the gradient ``H W G + ridge W - R`` of the smooth part at W, an ndarray of shape (n, N)."""
        return self.curvature[:, None] * (W @ self.G) + self.ridge * W - self.R

    def in_unit_size(self):
        """Return the same problem, its objective divided by a power of two that makes its curvature about one."""
        size = max(float(self.curvature.max() * self.G.diagonal().max(initial=0.0)), self.ridge)
        exponent = -int(np.frexp(size)[1]) if size > 0 else 0
        return replace(
            self,
            R=np.ldexp(self.R, exponent),
            curvature=np.ldexp(self.curvature, exponent),
            ridge=float(np.ldexp(self.ridge, exponent)),
            l1=None if self.l1 is None else np.ldexp(self.l1, exponent),
        )

    def inputs_alone(self):
        """Return the same problem over B alone, that of a rule with A = 0."""
        nothing = self.G.XU[:0]
        G = replace(self.G, XX=nothing[:, :0], XU=nothing)
        return replace(self, G=G, R=self.R[:, self.n_hidden :], kappa=None, structure=None)

    def moving_only(self, A, entries):
        """Return the same problem in some entries of A alone, with B: the others stay as they are.

        Parameters
        ----------
        A : ndarray of shape (n, n)
            Feasible weights of the state.
        entries : ndarray of bool of shape (n, n)
            The entries that move.

        Returns
        -------
        problem : MatchingProblem
            The problem in W without what stays, up to a constant.
        held : ndarray of shape (n, N)
            What stays: its minimiser is to be added to it.
        """
        held = np.zeros_like(self.R)
        held[:, : self.n_hidden] = np.where(entries, 0.0, A)
        kappa = np.maximum(self.kappa - np.abs(held).sum(axis=1), 0.0)
        return replace(self, R=-self.gradient(held), kappa=kappa, structure=entries), held

    def project(self, W):
        """Return the point of the set nearest to W (Euclidean), shape (n, N); not for custom constraints."""
        if self.kappa is None:
            return W if self.column_budget is None else self.column_budget.project(W)
        return project_weights(self.masked(W), self.kappa, self.column_budget, self.row_set)

    def masked(self, W):
        """Return W with zeros where ``structure`` wants them, shape (n, N)."""
        if self.structure is None:
            return W
        k = self.structure.shape[1]
        return np.hstack([np.where(self.structure, W[:, :k], 0.0), W[:, k:]])

    @property
    def masks_inputs(self):
        """Whether ``structure`` is a pattern of B too."""
        return self.structure is not None and self.structure.shape[1] > self.n_hidden

    @property
    def needs_no_states(self):
        """Whether A has to be zero and nothing is asked of a row of W, so that B is all there is."""
        if self.kappa is None or self.l1 is not None:
            return False
        return self.row_set is None and not self.masks_inputs and not np.any(self.kappa)

    @property
    def splits_off_inputs(self):
        """Whether B is free, without a bound, a penalty, signs or a pattern, so that it can be eliminated."""
        free = self.row_set is None and not self.masks_inputs
        return free and self.l1 is None and self.column_budget is None

    @property
    def has_whole_balls(self):
        """Whether each row of W is in a ball as a whole, nothing else but zeros holds it, and none is long."""
        balls = self.row_set is not None and self.row_set.weights is not None and self.row_set.signs is None
        short = self.R.shape[1] <= _LONGEST
        return balls and short and self.l1 is None and self.column_budget is None and self.constraints is None

    def allowed(self):
        """Return which entries of W may be non-zero, an ndarray of bool of shape (n, N)."""
        allowed = self.masked(np.ones(self.R.shape)) != 0
        allowed[:, : self.n_recurrent] &= np.reshape(self.kappa, (-1, 1)) > 0
        return allowed

    @property
    def n_in_balls(self):
        """How many of the first entries of each row are in its ball: those of A, or all where the row set has balls."""
        return self.n_hidden if self.row_set is None or self.row_set.weights is None else self.R.shape[1]

    def balls(self):
        """Return the ball of each row, ``sum_j w_ij |W_ij| <= radius``, and the signs of the entries.

        Returns
        -------
        weights : ndarray of shape (n, N)
            Zeros beside A where only that is bounded.
        radius : float
            The radius.
        signs : ndarray of shape (n, N)
            1, -1, or 0 for an entry of either sign.
        """
        set_ = self.row_set or RowSet()
        signs = np.zeros(self.R.shape, dtype=int) if set_.signs is None else set_.signs
        if set_.weights is not None:
            return set_.weights, set_.radius, signs
        return np.where(np.arange(self.R.shape[1]) < self.n_hidden, np.ones(self.R.shape), 0.0), self.kappa, signs

    def to_cvxpy(self):
        """Return the same program in symbols.

        Returns
        -------
        CvxpyProgram
            A compiled-once parametrised (DPP) problem over a variable W.
        """
        from skimplicit.subproblems.matching.cvxpy_solver import CvxpyProgram

        return CvxpyProgram(self)
