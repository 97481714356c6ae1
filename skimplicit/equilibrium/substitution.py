"""Substitution: the states of a rule block by block, in the order that makes A block triangular.

A feedforward network is computed in the time of its layers. Where some states need one another, the equation of these
states alone is solved, once those before them are known.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skimplicit.activations import BaseActivation
from skimplicit.equilibrium.fixed_point import FixedPoint, Status
from skimplicit.equilibrium.loop import Sweep
from skimplicit.equilibrium.methods import prepare_method
from skimplicit.equilibrium.safeguarded import Safeguarded
from skimplicit.equilibrium.sweeps import residual_amplification
from skimplicit.linalg import StateBlock, block_triangular_order, loops_apart, to_dense
from skimplicit.wellposedness import group_starts, perron_certificate

__all__ = ["CompressedColumns", "Substitution"]

# Above this share of non-zero entries a dense product is faster than a sparse one.
_DENSE_SHARE = 0.05
# Doubles of state in a chunk of rows. Layers are large products: larger chunks than in a loop, still in cache.
_CHUNK = 1 << 18
# A loop makes chunks of its own: give it more rows at once.
_LOOP_CHUNK = 1 << 22


@dataclass(frozen=True)
class CompressedColumns:
    """A matrix without its zero columns: ``M = entries`` in the columns ``columns``, zero elsewhere.

    Parameters
    ----------
    columns : slice or ndarray of int
        The columns that are not zero; a slice when they are consecutive.
    entries : ndarray or sparse array
        Their entries, dense unless few of them are non-zero.
    """

    columns: slice | np.ndarray
    entries: np.ndarray | sparse.csr_array

    @classmethod
    def compress(cls, M):
        """Drop the zero columns of a matrix.

        Parameters
        ----------
        M : ndarray or sparse array of shape (k, n)
            The matrix.

        Returns
        -------
        CompressedColumns or None
            None for a zero matrix.
        """
        columns = np.unique(M.indices) if sparse.issparse(M) else np.flatnonzero(M.any(axis=0))
        if columns.size == 0:
            return None
        entries = M[:, columns]
        if columns.size == columns[-1] - columns[0] + 1:
            columns = slice(columns[0], columns[-1] + 1)
        return cls(columns, _dense_if_full(entries))

    def add_product(self, X, out):
        """Add ``X M'`` to ``out``.

        Parameters
        ----------
        X : ndarray or sparse array of shape (m, n)
            Left factor.
        out : ndarray of shape (m, k)
            Where to add.
        """
        product = X[:, self.columns] @ self.entries.T
        out += product.toarray() if sparse.issparse(product) else product


def _dense_if_full(M):
    n_entries = M.nnz if sparse.issparse(M) else np.count_nonzero(M)
    return to_dense(M) if n_entries > _DENSE_SHARE * M.shape[0] * M.shape[1] else sparse.csr_array(M)


@dataclass(frozen=True)
class _PreparedBlock:
    """A block of states with the parts of the rule that it needs, and its method if it is implicit."""

    block: StateBlock
    place: slice
    inputs: CompressedColumns | None
    before: CompressedColumns | None
    intercept: np.ndarray
    activation: BaseActivation
    method: Sweep | Safeguarded | None

    def drive(self, V, X):
        """Return ``A x + B u + b`` for these states, from the states before them."""
        before = self.before
        if before is not None and not sparse.issparse(before.entries):
            Z = X[:, before.columns] @ before.entries.T
            Z += self.intercept
        else:
            Z = np.tile(self.intercept, (V.shape[0], 1))
            if before is not None:
                before.add_product(X, Z)
        if self.inputs is not None:
            self.inputs.add_product(V, Z)
        return Z


class Substitution:
    """``x = phi(A x + B u + b)`` and ``y = C x + D u + c``, prepared for any number of rows u.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    """

    def __init__(self, rule):
        A, B = rule.A, rule.B
        groups = rule.activation.groups
        order = loops_apart(block_triangular_order(A, groups), A, groups)
        self.n_inputs, self.n_hidden = rule.n_inputs, rule.n_hidden
        # States are kept in the order of the blocks: each block then fills consecutive columns.
        self.order = np.concatenate([block.states for block in order]) if order else np.empty(0, dtype=int)
        permuted, first = A[:, self.order], 0
        self.blocks, growth = [], np.zeros(rule.n_hidden)
        for block in order:
            rows, place = block.states, slice(first, first + block.states.size)
            before, activation = permuted[rows][:, : place.start], rule.activation.restricted(rows)
            own = _dense_if_full(permuted[rows][:, place]) if block.implicit else None
            method = prepare_method(own, activation) if block.implicit else None
            parts = CompressedColumns.compress(B[rows]), CompressedColumns.compress(before), rule.b[rows]
            self.blocks.append(_PreparedBlock(block, place, *parts, activation, method))
            if len(order) > 1:
                growth[place] = _error_growth(own, before, activation, growth[: place.start])
            first = place.stop
        self.readout = CompressedColumns.compress(rule.C[:, self.order])
        self.direct, self.intercept = CompressedColumns.compress(rule.D), rule.c
        self.is_explicit = not any(block.implicit for block in order)
        # Errors of 1 in the states of the implicit blocks become at most this on their way to any state.
        self.amplification = max(1.0, float(growth.max(initial=0.0)))
        if self.amplification > 1.0:
            self.amplification = min(self.amplification, _greatest_growth(A, rule.activation))

    def solve(self, U, *, stopping):
        """Compute the states of every row.

        Parameters
        ----------
        U : ndarray or sparse array of shape (m, p)
            Inputs.
        stopping : Stopping
            Errors allowed in the states of a row, and most iterations of each implicit block.

        Returns
        -------
        FixedPoint
            States with residual, error bound (rounding aside), total of the iterations of the implicit blocks, and
            status of each row. Without an implicit block, the states are exact after as many iterations as there are
            blocks.
        """
        states, report = np.empty((U.shape[0], self.n_hidden)), _empty_report(U.shape[0])
        for rows, X in self._chunks(U, stopping, report):
            states[rows, self.order] = X
        return FixedPoint(states, *report)

    def predict(self, U, *, stopping):
        """Compute the outputs of every row, keeping the states of a few rows at a time.

        Parameters
        ----------
        U : ndarray or sparse array of shape (m, p)
            Inputs.
        stopping : Stopping
            As in :meth:`solve`.

        Returns
        -------
        Y : ndarray of shape (m, q)
            The outputs.
        status_code : ndarray of int of shape (m,)
            How the states of each row ended, as in :class:`~skimplicit.equilibrium.FixedPoint`.
        """
        Y, report = np.tile(self.intercept, (U.shape[0], 1)), _empty_report(U.shape[0])
        for rows, X in self._chunks(U, stopping, report):
            if self.readout is not None:
                self.readout.add_product(X, Y[rows])
            if self.direct is not None:
                self.direct.add_product(U[rows], Y[rows])
        return Y, report[-1]

    def _chunks(self, U, stopping, report):
        """Yield rows and their states, in the order of the blocks, and fill in their report."""
        size = max((_CHUNK if self.is_explicit else _LOOP_CHUNK) // max(self.n_hidden, 1), 64)
        X = np.empty((min(size, U.shape[0]), self.n_hidden))
        sharp = stopping.tightened(self.amplification)
        for first in range(0, U.shape[0], size):
            rows = slice(first, min(first + size, U.shape[0]))
            V, X = U[rows], X[: rows.stop - rows.start]
            residual, error_bound, n_iter, codes = (column[rows] for column in report)
            for block in self.blocks:
                Z = block.drive(V, X)
                if block.method is None:
                    block.activation(Z, out=X[:, block.place])
                    n_iter += self.is_explicit
                    continue
                found = block.method.solve(Z, stopping=sharp)
                X[:, block.place] = found.states
                np.maximum(residual, found.residual, out=residual)
                np.maximum(error_bound, found.error_bound, out=error_bound)
                np.maximum(codes, found.status_code, out=codes)
                n_iter += found.n_iter
            if not self.is_explicit and len(self.blocks) > 1:
                self._propagate(X, error_bound, codes, stopping)
            yield rows, X

    def _propagate(self, X, error_bound, codes, stopping):
        """Turn the bounds and the status of implicit blocks into those of all states of a row."""
        if not np.isfinite(self.amplification):
            error_bound[:] = np.inf  # also where the residual of a block is exactly zero
            return
        error_bound *= self.amplification
        ends = np.where(error_bound <= stopping.allowed(Sweep.norm(X)), Status.CONVERGED.place, Status.PRECISION.place)
        judged = (codes <= Status.PRECISION.place) & np.isfinite(error_bound)
        codes[judged] = ends[judged]


def _error_growth(own, before, activation, growth):
    """Return how an error of 1 in every implicit block grows up to the states of a block, given that before it."""
    drive = abs(before) @ growth
    if activation.groups is not None:
        drive = np.maximum.reduceat(drive, group_starts(activation.groups))[activation.groups]
    arrived = np.where(drive > 0, activation.lipschitz, 0.0) * drive  # a slope without a bound still passes on no error
    if own is None:
        return arrived
    amplification = residual_amplification(own, activation)
    return 1.0 + (amplification * arrived.max(initial=0.0) if arrived.any() else 0.0)


def _greatest_growth(A, activation):
    """Return what an error of 1 in every implicit block grows to at most, by all weights at once; infinite if unknown.

    With ``M = Gamma |A|`` and K its implicit blocks, errors are at most ``g = (I - M)^-1 (I - K) 1 <= (I - M)^-1 1``.
    Block by block the worst state of each meets the worst of the next, which of many rings in a row asks for states
    that rounding does not allow.
    """
    certificate = perron_certificate(A, activation.lipschitz, activation.groups)
    return np.inf if certificate is None else float(certificate.max())


def _empty_report(m):
    """Return the columns of a :class:`FixedPoint` beside its states, for exact rows."""
    return np.zeros(m), np.zeros(m), np.zeros(m, dtype=int), np.zeros(m, dtype=np.int8)
