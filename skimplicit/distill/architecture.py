"""What a rule looks like as a graph: its size, its depth, its loops, and whether it is a feedforward network."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from skimplicit.composition import check_rule
from skimplicit.linalg import block_triangular_order, strong_components
from skimplicit.rule import ImplicitRule

__all__ = ["ArchitectureReport"]


@dataclass(frozen=True)
class ArchitectureReport:
    """The graph of a rule, whose edges are the weights that are not zero.

    Parameters
    ----------
    n_states : int
        Number n of states.
    n_edges : int
        Weights from state to state.
    n_weights : int
        Weights of A, B, C and D together: multiplications for one sweep over the states and the readout.
    depth : int
        Number of groups of states that have to be computed one after another, 0 without states: the layers of a
        feedforward network; states in a loop form one group.
    components : tuple of int
        Sizes of the loops, the largest first: strongly connected parts of more than one state, and states that depend
        on themselves. States that an activation takes together are in the same one.
    layers : tuple of int or None
        Sizes of the layers, the first one first, if there are no loops; None otherwise.
    has_skips : bool
        Whether an edge passes over a layer, or a state before the last layer, or an input, reaches an output directly.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.distill import ArchitectureReport
    >>> rule = ImplicitRule([[0.0, 0.5], [0.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0]])
    >>> report = ArchitectureReport.of(rule)
    >>> report.layers, report.has_skips, report.n_weights
    ((1, 1), False, 3)
    """

    n_states: int
    n_edges: int
    n_weights: int
    depth: int
    components: tuple
    layers: tuple | None
    has_skips: bool

    @classmethod
    def of(cls, rule: ImplicitRule) -> Self:
        """Return the report on a rule.

        Parameters
        ----------
        rule : ImplicitRule
            Any rule.

        Returns
        -------
        ArchitectureReport
            The report.

        Raises
        ------
        TypeError
            If it is no rule.
        """
        check_rule(rule)
        # Copies: what a rule keeps cannot be written to.
        A, B, C, D = (sparse.csr_array(M, copy=True) for M in (rule.A, rule.B, rule.C, rule.D))
        for M in (A, B, C, D):
            M.eliminate_zeros()
        blocks = block_triangular_order(A, rule.activation.groups)
        level = np.zeros(rule.n_hidden, dtype=int)
        for block in blocks:
            level[block.states] = block.level
        last = level.max(initial=-1)
        target, source = A.nonzero()
        fed, read = np.unique(B.nonzero()[0]), np.unique(C.nonzero()[1])
        skips = np.any(level[target] > level[source] + 1) or np.any(level[fed] > 0) or np.any(level[read] < last)
        return cls(
            n_states=rule.n_hidden,
            n_edges=A.nnz,
            n_weights=A.nnz + B.nnz + C.nnz + D.nnz,
            depth=int(last) + 1,
            components=_loops(A, blocks, rule.activation.groups),
            layers=None if any(block.implicit for block in blocks) else tuple(block.states.size for block in blocks),
            has_skips=bool(skips or D.nnz and rule.n_hidden),
        )

    @property
    def is_feedforward(self):
        """Whether no state needs itself, directly or through others."""
        return self.layers is not None

    def __str__(self):
        """Say it in a sentence."""
        if self.n_states == 0:
            return f"a linear rule of {self.n_weights} weights"
        if self.is_feedforward:
            skips = " with connections that skip layers" if self.has_skips else ""
            kind = f"feedforward, layers {'-'.join(map(str, self.layers))}{skips}"
        else:
            kind = f"with feedback, loops of {', '.join(map(str, self.components))} states"
        return f"{self.n_states} states, {self.n_edges} edges, {self.n_weights} weights, depth {self.depth}; {kind}"


def _loops(A, blocks, groups):
    """Return the sizes of the strongly connected parts inside the implicit blocks, the largest first."""
    parts = [part for block in blocks if block.implicit for part in strong_components(A, block.states, groups)]
    return tuple(sorted((part.size for part in parts), reverse=True))
