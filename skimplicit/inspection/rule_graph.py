"""The picture of a rule as a graph: what feeds what, in the order of computation, and what feeds back."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.inspection._figure import (
    COLOURS,
    GREY,
    MOST_NAMES,
    Display,
    block_limits,
    checked_names,
    checked_output_names,
    checked_per,
    more_room,
    names_to_draw,
    rule_of,
    selected_names,
    without_selector,
)
from skimplicit.inspection.graph_layout import GraphLayout
from skimplicit.rule import ImplicitRule

__all__ = ["RuleGraphDisplay"]

# Widths of an edge in points: of one without weight, and what the limit of its block adds.
_THIN, _WIDE = 0.3, 2.2
# Most and least diameter of a node in points, and the least that has room for a number inside.
_LARGEST, _SMALLEST, _NUMBERED = 15.0, 2.0, 9.0
# How far an edge goes around the columns that it passes over, as a share of the height and for each column.
_DETOUR = 0.15
# Points from the axes to the legend: two lines of labels.
_BELOW = 32.0
_STEPS = np.linspace(0.0, 1.0, 25)[:, None]


class RuleGraphDisplay(Display):
    """A rule as a graph: ``x_j`` to ``x_i`` where ``A_ij != 0``, inputs by B and D, outputs by C and D.

    Inputs are on the left, outputs on the right, and between them states in the order that makes A block triangular:
    a column for each layer that can be computed at once, a ring for states that need one another. Edges between
    columns go to the right; those of feedback, in a ring or from a state to itself, are dashed, with an arrow. Width
    is the size of a weight over the limit of its block, as A and B are as large as the inputs make them, C and D as
    the targets do.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    rule : ImplicitRule
        The rule, dense or sparse.
    per : array-like of shape (p,) or None
        How far each input typically moves, such as its standard deviation: its weights count that many times. None
        for 1.
    feature_names, output_names, state_names : sequence of str or None
        Names, written where a column has at most 40 nodes. None for x0, x1, ..., for y0, y1, ... and for the numbers of
        the states.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    axes_ : ndarray of matplotlib Axes
        The same, as an array.
    figure_ : matplotlib Figure
        The figure.
    edges_ : ndarray of int of shape (k, 2)
        From and to of the edges that were drawn, the strongest last: inputs are numbered from 0, states go on from p,
        outputs from p + n.
    feedback_ : ndarray of bool of shape (k,)
        Which of them lead back.
    layers_ : list of ndarray of int
        States of each column, in the order of computation.
    limits_ : dict of str to float
        The absolute weight at which width ends, for each of the blocks "A", "B", "C" and "D" that is not empty.
    n_left_out_ : int
        Weights that are not zero and were not drawn, the smallest over the limits of their blocks.
    weights_ : ndarray of shape (k,)
        Weights of the edges that were drawn, those of inputs times ``per``.

    See Also
    --------
    RulePatternDisplay : All weights of a rule.
    skimplicit.distill.ArchitectureReport : The same graph in numbers.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import RuleGraphDisplay
    >>> rule = ImplicitRule(A=[[0.0, 0.5], [0.0, 0.5]], B=[[0.0], [1.0]], C=[[2.0, 0.0]])
    >>> display = RuleGraphDisplay.from_estimator(rule)
    >>> display.layers_, int(display.feedback_.sum())
    ([array([1]), array([0])], 1)
    """

    edges_: np.ndarray
    feedback_: np.ndarray
    layers_: list[np.ndarray]
    limits_: dict[str, float]
    n_left_out_: int
    weights_: np.ndarray

    def __init__(
        self,
        rule: ImplicitRule,
        *,
        per: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        output_names: ArrayLike | None = None,
        state_names: ArrayLike | None = None,
    ) -> None:
        self.rule = rule
        self.per = per
        self.feature_names = feature_names
        self.output_names = output_names
        self.state_names = state_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        per: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        output_names: ArrayLike | None = None,
        state_names: ArrayLike | None = None,
        max_edges: int = 100,
        percentile: float = 99,
        ax: Any = None,
    ) -> Self:
        """Draw the graph of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator of this package or ImplicitRule
            Of a classifier the outputs are logits; of a fitted ImplicitFeatureSelector, the refitted rule, whose inputs
            are the selected ones.
        per : array-like of shape (p,) or None
            How far each input typically moves, in a Series of pandas by their names; None for 1.
        feature_names, output_names : sequence of str or None
            Names; None for those that the estimator has seen, and its classes, or else x0, x1, ... and y0, y1, ...
        state_names : sequence of str or None
            Names of the states; None for their numbers.
        max_edges : int
            Most edges to draw, the strongest.
        percentile : float
            Percentile of the absolute non-zero weights of a block at which width ends.
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        RuleGraphDisplay
            The display, drawn.
        """
        seen = selected_names(estimator)
        names = names_to_draw(feature_names, seen)
        estimator = without_selector(estimator)
        rule = rule_of(estimator)
        outputs = checked_output_names(output_names, estimator, rule.n_outputs)
        per = checked_per(per, rule.n_inputs, seen)
        display = cls(rule, per=per, feature_names=names, output_names=outputs, state_names=state_names)
        return display.plot(max_edges=max_edges, percentile=percentile, ax=ax)

    def plot(self, ax: Any = None, *, max_edges: int = 100, percentile: float = 99) -> Self:
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.
        max_edges : int
            Most edges to draw, the strongest.
        percentile : float
            Percentile of the absolute non-zero weights of a block at which width ends.

        Returns
        -------
        RuleGraphDisplay
            The display.
        """
        if isinstance(max_edges, bool) or not isinstance(max_edges, Integral) or max_edges < 0:
            raise ValueError(f"max_edges must be an integer of at least 0, got {max_edges!r}.")
        names = self._names()
        edges, weights, strengths = self._weighted_edges(percentile)
        n_nodes = len(names)
        pull = sparse.coo_array((strengths, (edges[:, 1], edges[:, 0])), shape=(n_nodes, n_nodes)).tocsr()
        layout = GraphLayout.of(self.rule, pull)
        shown = np.argsort(strengths, kind="stable")[max(strengths.size - max_edges, 0) :]
        self.edges_, self.weights_, self.n_left_out_ = edges[shown], weights[shown], strengths.size - shown.size
        self.feedback_ = layout.column[self.edges_[:, 0]] == layout.column[self.edges_[:, 1]]
        self.layers_ = [np.sort(nodes) - self.rule.n_inputs for nodes in layout.columns[1:-1]]
        across = np.ptp(layout.places[:, 0]) if n_nodes else 0.0
        ends = [[names[node] for node in layout.columns[k]] for k in (0, -1)]
        width = np.clip(2.0 + 1.6 * across, 4.0, 14.0) + sum(more_room(end) for end in ends if len(end) <= MOST_NAMES)
        self._open(ax, size=(width, np.clip(0.36 * layout.height + 0.8, 2.6, 9.0)))
        diameter = self._diameter(layout)
        widths = _THIN + _WIDE * np.minimum(strengths[shown], 1.0)
        self._draw_forward(layout, widths)
        self._draw_feedback(layout, widths, diameter)
        self._draw_nodes(layout, names, diameter)
        self._finish(layout, strengths[shown], beside=ax is None)
        return self

    def _names(self):
        """Return the names of all nodes."""
        n = self.rule.n_hidden
        states = range(n) if self.state_names is None else self.state_names
        if len(states) != n:
            raise ValueError(f"state_names must have one name for each of the {n} states, got {len(states)}.")
        inputs = checked_names(self.feature_names, self.rule.n_inputs)
        outputs = checked_output_names(self.output_names, self.rule, self.rule.n_outputs)
        return [*map(str, inputs), *map(str, states), *map(str, outputs)]

    def _weighted_edges(self, percentile):
        """Return from and to (k, 2), weights and, over the limits of their blocks, sizes of all weights."""
        rule, p = self.rule, self.rule.n_inputs
        per = sparse.diags_array(checked_per(self.per, p), shape=(p, p))
        blocks = {name: sparse.coo_array(getattr(rule, name)) for name in "ABCD"}
        blocks |= {name: sparse.coo_array(blocks[name] @ per) for name in "BD"}
        self.limits_ = block_limits(blocks, percentile)
        states, outputs = p, p + rule.n_hidden
        starts = {"A": (states, states), "B": (0, states), "C": (states, outputs), "D": (0, outputs)}
        edges, weights, strengths = [], [], []
        for name, block in blocks.items():
            some = block.data != 0
            target, source = (place[some] for place in block.coords)
            edges.append(np.column_stack([source + starts[name][0], target + starts[name][1]]))
            weights.append(block.data[some])
            strengths.append(np.abs(block.data[some]) / self.limits_.get(name, 1.0))
        return np.concatenate(edges), np.concatenate(weights), np.concatenate(strengths)

    def _diameter(self, layout):
        """Return that of a node in points: what the fullest column has room for."""
        height = self.ax_.get_window_extent().height * 72 / self.figure_.dpi
        return float(np.clip(0.6 * height / layout.height, _SMALLEST, _LARGEST))

    def _draw_forward(self, layout, widths):
        """Draw the edges to later columns as curves that leave and arrive level, around what they pass over."""
        from matplotlib.collections import LineCollection

        forward = ~self.feedback_
        source, target = self.edges_[forward].T
        begin, end = layout.places[source], layout.places[target]
        passed = layout.column[target] - layout.column[source] - 1
        down = np.where(begin[:, 1] + end[:, 1] > layout.height, 1.0, -1.0)
        level = (end - begin) * [0.4, 0.0]
        aside = np.column_stack([np.zeros(passed.size), _DETOUR * layout.height * passed * down])
        corners = [begin, begin + level + aside, end - level + aside, end]
        bernstein = [(1 - _STEPS) ** 3, 3 * _STEPS * (1 - _STEPS) ** 2, 3 * _STEPS**2 * (1 - _STEPS), _STEPS**3]
        curves = sum(corner[:, None] * b for corner, b in zip(corners, bernstein, strict=True))
        lines = LineCollection(curves, linewidths=widths[forward], colors=_colours(self.weights_[forward]), alpha=0.7)
        self.ax_.add_collection(lines)

    def _draw_feedback(self, layout, widths, diameter):
        """Draw the edges inside a column: bent arrows, and loops of states that need themselves."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.transforms import ScaledTranslation

        colours = _colours(self.weights_)
        for place in np.flatnonzero(self.feedback_):
            source, target = self.edges_[place]
            style = {"linewidth": widths[place], "linestyle": "--", "alpha": 0.7}
            if source == target:
                # A circle behind the node, moved outward by points so that it is one at any size of the axes.
                aside = ScaledTranslation(
                    *(layout.outward[source] * [1.0, -1.0] * 0.65 * diameter / 72), self.figure_.dpi_scale_trans
                )
                style |= {"s": (0.9 * diameter) ** 2, "facecolors": "none", "edgecolors": colours[place]}
                circle = self.ax_.scatter(*layout.places[source], **style)
                circle.set_offset_transform(self.ax_.transData + aside)
                continue
            arrow = FancyArrowPatch(
                posA=layout.places[source],
                posB=layout.places[target],
                connectionstyle="arc3,rad=0.2",
                arrowstyle="-|>",
                mutation_scale=4.0 + 2.0 * widths[place],
                shrinkA=diameter / 2 + 1.0,
                shrinkB=diameter / 2 + 1.0,
                color=colours[place],
                **style,
            )
            self.ax_.add_patch(arrow)

    def _draw_nodes(self, layout, names, diameter):
        """Draw the nodes, those without an edge in the picture faint, and their names where there is room."""
        touched = np.zeros(len(names), dtype=bool)
        touched[self.edges_] = True
        edge = np.where(touched, "black", GREY)
        last = len(layout.columns) - 1
        for k, nodes in enumerate(layout.columns):
            x, y = layout.places[nodes].T
            self.ax_.scatter(
                x, y, s=diameter**2, c="white", edgecolors=edge[nodes], linewidths=0.9, zorder=3, clip_on=False
            )
            if nodes.size > MOST_NAMES or (0 < k < last and diameter < _NUMBERED):
                continue
            aside = {0: (-1, "right"), last: (1, "left")}.get(k)
            for node in nodes:
                self.ax_.annotate(
                    names[node],
                    layout.places[node],
                    xytext=(0, 0) if aside is None else (aside[0] * (diameter / 2 + 3), 0),
                    textcoords="offset points",
                    ha="center" if aside is None else aside[1],
                    va="center_baseline" if aside is None else "center",
                    fontsize=0.5 * diameter if aside is None else "small",
                    color=edge[node] if touched[node] else "0.5",
                    zorder=4,
                )

    def _finish(self, layout, strengths, beside):
        """Say what the columns are, what the lines mean and what was left out."""
        from matplotlib.lines import Line2D
        from matplotlib.transforms import ScaledTranslation

        kinds = [f"{'loop' if implicit else 'layer'} {k}" for k, implicit in enumerate(layout.implicit)]
        kinds[0], kinds[-1] = "inputs", "outputs"
        labels = [f"{kind}\n({nodes.size})" for kind, nodes in zip(kinds, layout.columns, strict=True)]
        middles = [layout.places[nodes, 0].mean() if nodes.size else np.nan for nodes in layout.columns]
        there = np.isfinite(middles)
        self.ax_.set_xticks(np.array(middles)[there], np.array(labels)[there])
        self.ax_.set_yticks([])
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.update_datalim([[0.0, 0.0], [0.0, layout.height]])  # a place is as high for a node at the edge
        self.ax_.margins(x=0.05, y=0.05)
        self.ax_.autoscale_view()
        self.ax_.invert_yaxis()
        if self.n_left_out_:
            least = f", at least {strengths[0]:.2g} times their block's limit" if strengths.size else ""
            self.ax_.set_title(f"{strengths.size} of {strengths.size + self.n_left_out_} weights{least}")
        styles = {"positive": (COLOURS[1], "-", self.weights_ > 0), "negative": (COLOURS[0], "-", self.weights_ < 0)}
        styles["feedback"] = ("0.4", "--", self.feedback_)
        handles = [Line2D([], [], color=c, linestyle=s, label=k) for k, (c, s, some) in styles.items() if some.any()]
        if handles:
            # Names of outputs are where legends are in other displays: below what the columns are called.
            down = self.ax_.transAxes + ScaledTranslation(0.0, -_BELOW / 72, self.figure_.dpi_scale_trans)
            below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": down, "ncols": 3}
            self._legend(self.ax_, beside=beside, handles=handles, **(below if beside else {}))


def _colours(weights):
    return np.where(weights < 0, COLOURS[0], COLOURS[1])
