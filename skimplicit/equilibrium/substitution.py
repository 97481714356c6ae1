"""Substitution: the states of a rule step by step, in the order that makes A block triangular.

A feedforward network is computed in the time of its layers. Where some states need one another, the equation of these
states alone is solved, once those before them are known.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skimplicit.activations import BaseActivation
from skimplicit.equilibrium.fixed_point import FixedPoint
from skimplicit.equilibrium.methods import choose_method, error_amplification, solve_equilibrium
from skimplicit.linalg import StateBlock, block_triangular_order

__all__ = ["Block", "Substitution"]

# Above this share of non-zero entries a dense product is faster than a sparse one.
_DENSE_SHARE = 0.05
# Doubles of state in a block of rows. Layers are large products: larger blocks than in a loop, still in cache.
_BLOCK = 1 << 18
# A loop makes blocks of its own, and prepares its sweep for each call: give it more rows at once.
_LOOP_BLOCK = 1 << 22


@dataclass(frozen=True)
class Block:
    """A matrix without its zero columns: ``M = block`` in the columns ``columns``, zero elsewhere.

    Parameters
    ----------
    columns : slice or ndarray of int
        The columns that are not zero; a slice when they are consecutive.
    block : ndarray or sparse array
        Their entries, dense unless few of them are non-zero.
    """

    columns: slice | np.ndarray
    block: np.ndarray

    @classmethod
    def compress(cls, M):
        """Drop the zero columns of a matrix.

        Parameters
        ----------
        M : sparse array of shape (k, n)
            The matrix.

        Returns
        -------
        Block or None
            None for a zero matrix.
        """
        columns = np.unique(M.indices)
        if columns.size == 0:
            return None
        block = M[:, columns]
        if columns.size == columns[-1] - columns[0] + 1:
            columns = slice(columns[0], columns[-1] + 1)
        if block.nnz > _DENSE_SHARE * block.shape[0] * block.shape[1]:
            block = block.toarray()
        return cls(columns, block)

    def add_product(self, X, out):
        """Add ``X M'`` to ``out``.

        Parameters
        ----------
        X : ndarray or sparse array of shape (m, n)
            Left factor.
        out : ndarray of shape (m, k)
            Where to add.
        """
        product = X[:, self.columns] @ self.block.T
        out += product.toarray() if sparse.issparse(product) else product


@dataclass(frozen=True)
class _SolvedStep:
    """A step with the parts of the rule that it needs: own columns of A only if it is implicit."""

    step: StateBlock
    place: slice
    inputs: Block | None
    before: Block | None
    intercept: np.ndarray
    activation: BaseActivation
    own: np.ndarray | sparse.csr_array | None
    method: str | None


class Substitution:
    """``x = phi(A x + B u + b)`` and ``y = C x + D u + c``, prepared for any number of rows u.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    """

    def __init__(self, rule):
        A, B = sparse.csr_array(rule.A), sparse.csr_array(rule.B)
        order = block_triangular_order(A, rule.activation.groups)
        self.n_inputs, self.n_hidden = rule.n_inputs, rule.n_hidden
        # States are kept in the order of the steps: each step then fills consecutive columns.
        self.order = np.concatenate([step.states for step in order]) if order else np.empty(0, dtype=int)
        permuted, first = A[:, self.order], 0
        self.steps = []
        for step in order:
            rows, place = step.states, slice(first, first + step.states.size)
            before, activation = permuted[rows][:, : place.start], rule.activation.restricted(rows)
            own = method = None
            if step.implicit:
                own = permuted[rows][:, place]
                own = own.toarray() if own.nnz > _DENSE_SHARE * rows.size**2 else own
                method = choose_method(own, activation)
            parts = Block.compress(B[rows]), Block.compress(before), rule.b[rows], activation, own, method
            self.steps.append(_SolvedStep(step, place, *parts))
            first = place.stop
        self.readout = Block.compress(sparse.csr_array(rule.C)[:, self.order])
        self.direct, self.intercept = Block.compress(sparse.csr_array(rule.D)), rule.c
        self.is_explicit = not any(step.implicit for step in order)
        # The error that an implicit step leaves is amplified by at most this on its way to any state.
        self.amplification = 1.0
        if sum(step.implicit for step in order) and len(order) > 1:
            v = error_amplification(A, rule.activation)
            self.amplification = np.inf if v is None else float(v.max(initial=1.0))

    def solve(self, U, *, tol, max_iter):
        """Compute the states of every row.

        Parameters
        ----------
        U : ndarray or sparse array of shape (m, p)
            Inputs.
        tol : float
            Relative error allowed in the states of each implicit step.
        max_iter : int
            Most iterations of each implicit step.

        Returns
        -------
        FixedPoint
            States with residual, error bound (rounding aside), total of the iterations of the implicit steps, and
            convergence of each row. Without an implicit step, the states are exact after as many iterations as there
            are steps.
        """
        m = U.shape[0]
        states = np.empty((m, self.n_hidden))
        report = np.zeros(m), np.zeros(m), np.zeros(m, dtype=int), np.ones(m, dtype=bool)
        for rows, X in self._blocks(U, tol, max_iter, report):
            states[rows, self.order] = X
        return FixedPoint(states, *report)

    def predict(self, U, *, tol, max_iter):
        """Compute the outputs of every row, keeping the states of a few rows at a time.

        Parameters
        ----------
        U : ndarray or sparse array of shape (m, p)
            Inputs.
        tol, max_iter : float, int
            As in :meth:`solve`.

        Returns
        -------
        Y : ndarray of shape (m, q)
            The outputs.
        converged : ndarray of bool of shape (m,)
            Rows whose states converged.
        """
        m = U.shape[0]
        Y = np.tile(self.intercept, (m, 1))
        report = np.zeros(m), np.zeros(m), np.zeros(m, dtype=int), np.ones(m, dtype=bool)
        for rows, X in self._blocks(U, tol, max_iter, report):
            if self.readout is not None:
                self.readout.add_product(X, Y[rows])
            if self.direct is not None:
                self.direct.add_product(U[rows], Y[rows])
        return Y, report[3]

    def _blocks(self, U, tol, max_iter, report):
        """Yield rows and their states, in the order of the steps, and fill in their report."""
        residual, error_bound, n_iter, converged = report
        size = max((_BLOCK if self.is_explicit else _LOOP_BLOCK) // max(self.n_hidden, 1), 64)
        X = np.empty((min(size, U.shape[0]), self.n_hidden))
        for first in range(0, U.shape[0], size):
            rows = slice(first, min(first + size, U.shape[0]))
            V, X = U[rows], X[: rows.stop - rows.start]
            for step in self.steps:
                Z = self._drive(step, V, X)
                if step.own is None:
                    step.activation(Z, out=X[:, step.place])
                    n_iter[rows] += self.is_explicit
                    continue
                accuracy = tol / self.amplification if np.isfinite(self.amplification) else tol
                found = solve_equilibrium(
                    step.own, Z, step.activation, method=step.method, tol=accuracy, max_iter=max_iter
                )
                X[:, step.place] = found.states
                residual[rows] = np.maximum(residual[rows], found.residual)
                error_bound[rows] = np.maximum(error_bound[rows], found.error_bound)
                n_iter[rows] += found.n_iter
                converged[rows] &= found.converged
            yield rows, X
        if np.isfinite(self.amplification):
            error_bound *= self.amplification
        else:
            error_bound[:] = np.inf

    @staticmethod
    def _drive(step, V, X):
        """Return ``A x + B u + b`` for the states of a step, from the states before it."""
        if step.before is not None and not sparse.issparse(step.before.block):
            Z = X[:, step.before.columns] @ step.before.block.T
            Z += step.intercept
        else:
            Z = np.tile(step.intercept, (V.shape[0], 1))
            if step.before is not None:
                step.before.add_product(X, Z)
        if step.inputs is not None:
            step.inputs.add_product(V, Z)
        return Z
