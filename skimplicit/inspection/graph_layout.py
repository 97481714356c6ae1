"""Where the nodes of a rule go: inputs on the left, states in the order they are computed in, outputs on the right."""

from dataclasses import dataclass

import numpy as np

from skimplicit.linalg import block_triangular_order, strong_components

__all__ = ["GraphLayout"]

# In places of a column: those that a ring of k states takes, and half of its width, at most.
_RING_PLACES, _RING_WIDTH, _WIDEST_RING = 0.4, 0.12, 1.0
_RING_SHARE = 0.4  # half of the height of a ring, as a share of its places: the rest keeps two rings apart


@dataclass(frozen=True)
class GraphLayout:
    """Places of the nodes: the p inputs first, then the n states, then the q outputs.

    Parameters
    ----------
    places : ndarray of shape (p + n + q, 2)
        Across and down; a place of the fullest column has height 1.
    column : ndarray of int of shape (p + n + q,)
        The column of each node: 0 for inputs, the last for outputs.
    columns : list of ndarray of int
        Nodes of each column.
    outward : ndarray of shape (p + n + q, 2)
        Direction away from the other nodes of a ring, for a loop of one state; to the top where there is no ring.
    implicit : list of bool
        Whether a column has states in loops.
    height : float
        Places of the fullest column.
    """

    places: np.ndarray
    column: np.ndarray
    columns: list
    outward: np.ndarray
    implicit: list
    height: float

    @classmethod
    def of(cls, rule, pull):
        """Return the layout of a rule.

        Parameters
        ----------
        rule : ImplicitRule
            The rule.
        pull : sparse array of shape (p + n + q, p + n + q)
            How much node i wants to be at the height of node j: strengths of the edges from j to i.

        Returns
        -------
        GraphLayout
            The layout.
        """
        p, n, q = rule.n_inputs, rule.n_hidden, rule.n_outputs
        groups = rule.activation.groups
        blocks = block_triangular_order(rule.A, groups)
        parts = [[np.array([j]) for j in range(p)]]
        for block in blocks:
            loops = strong_components(rule.A, block.states, groups) if block.implicit else block.states[:, None]
            parts.append([p + states for states in loops])
        parts.append([np.array([p + n + k]) for k in range(q)])
        implicit = [False, *(block.implicit for block in blocks), False]
        height = max(1.0, *(sum(map(_places, column)) for column in parts))
        columns = [np.concatenate([np.zeros(0, dtype=int), *column]) for column in parts]
        layout = cls(
            np.zeros((p + n + q, 2)),
            np.zeros(p + n + q, dtype=int),
            columns,
            np.zeros((p + n + q, 2)),
            implicit,
            height,
        )
        edge = 0.0
        for k, column in enumerate(parts):
            half = max((_half_width(part) for part in column), default=0.0)
            edge += half
            layout.column[columns[k]] = k
            # Inputs and outputs stay in their order; states go where what feeds them is.
            layout._fill(column, edge, pull if 0 < k < len(parts) - 1 else None)
            edge += half + 1.0
        return layout

    def _fill(self, parts, across, pull):
        """Place the parts of a column, one below the other."""
        if pull is not None:
            parts = sorted(parts, key=lambda part: self._wanted(part, pull))
        sizes = np.array([_places(part) for part in parts])
        stretch = self.height / sizes.sum() if sizes.size else 1.0
        middles = (np.cumsum(sizes) - sizes / 2) * stretch
        for part, middle, size in zip(parts, middles, sizes, strict=True):
            self.outward[part] = [0.0, -1.0]
            self.places[part] = [across, middle]
            if part.size > 1:
                angle = 2 * np.pi * np.arange(part.size) / part.size
                self.outward[part] = np.column_stack([np.sin(angle), -np.cos(angle)])
                radii = [_half_width(part), _RING_SHARE * size * min(stretch, 1.6)]
                self.places[part] += self.outward[part] * radii

    def _wanted(self, part, pull):
        """Return the mean height of what feeds a part from columns before, the middle where nothing does."""
        before = self.column < self.column[part[0]]
        weights = np.asarray(pull[part].sum(axis=0)).ravel() * before
        return weights @ self.places[:, 1] / weights.sum() if weights.any() else self.height / 2


def _places(part):
    return 1.0 if part.size == 1 else 1.0 + _RING_PLACES * part.size


def _half_width(part):
    return 0.0 if part.size == 1 else min(_RING_WIDTH * part.size, _WIDEST_RING)
