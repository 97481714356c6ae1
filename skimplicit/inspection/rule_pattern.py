"""The picture of the weights of a rule."""

from itertools import product
from typing import Any, Self

import numpy as np
from scipy import sparse

from skimplicit.inspection._figure import DIVERGING, Display, block_limits, rule_of, without_selector
from skimplicit.linalg import to_dense
from skimplicit.rule import ImplicitRule

__all__ = ["RulePatternDisplay"]

# More cells along an axis than this are neither seen nor kept in memory one by one.
_MOST_CELLS = 2000


class RulePatternDisplay(Display):
    """Heat map of the weights ``[[A, B], [C, D]]`` of a rule, dense or sparse, each block by a scale of its own.

    A and B are as large as the inputs make them, C and D as the targets do: colours therefore end at another weight in
    each block, which is written at its edge. Use :meth:`from_estimator` to make one. Beyond 2000 rows or columns a cell
    shows the weight of several that is largest in its scale.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    axes_ : ndarray of matplotlib Axes
        The same, as an array.
    figure_ : matplotlib Figure
        The figure.
    image_ : matplotlib AxesImage
        The heat map, of weights divided by the limit of their block.
    limits_ : dict of str to float
        The absolute weight at which colours end, for each of the blocks "A", "B", "C" and "D" that is not empty.

    See Also
    --------
    ColumnNormsDisplay : The columns of B, each by one number.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import RulePatternDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> RulePatternDisplay.from_estimator(rule).image_.get_array().shape
    (2, 3)
    """

    image_: Any
    limits_: dict[str, float]

    def __init__(self, rule: ImplicitRule) -> None:
        self.rule = rule

    @classmethod
    def from_estimator(cls, estimator: Any, *, percentile: float = 99, cmap: Any = DIVERGING, ax: Any = None) -> Self:
        """Draw the weights of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator of this package or ImplicitRule
            Of a fitted ImplicitFeatureSelector, the refitted rule.
        percentile : float
            Percentile of the absolute non-zero weights at which colours end.
        cmap : str or matplotlib Colormap
            A diverging colour map; its centre is at 0.
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        RulePatternDisplay
            The display, drawn.
        """
        return cls(rule_of(without_selector(estimator))).plot(percentile=percentile, cmap=cmap, ax=ax)

    def plot(self, ax: Any = None, *, percentile: float = 99, cmap: Any = DIVERGING) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.
        percentile : float
            Percentile of the absolute non-zero weights at which colours end.
        cmap : str or matplotlib Colormap
            A diverging colour map; its centre is at 0.

        Returns
        -------
        RulePatternDisplay
            The display.
        """
        rule = self.rule
        rows, columns = rule.n_hidden + rule.n_outputs, rule.n_hidden + rule.n_inputs
        blocks = {name: getattr(rule, name) for name in "ABCD"}
        self.limits_ = block_limits(blocks, percentile)
        weights = _cells({name: block / self.limits_.get(name, 1.0) for name, block in blocks.items()})
        self._open(ax, size=(6.0, 4.8))
        self.image_ = self.ax_.imshow(
            weights,
            cmap=cmap,
            vmin=-1.0,
            vmax=1.0,
            aspect="auto",
            interpolation="nearest",
            # In units of the weights, whatever the cells; a rule without rows or columns is an empty picture.
            extent=(-0.5, max(columns, 1) - 0.5, max(rows, 1) - 0.5, -0.5),
        )
        clipped = "both" if np.abs(weights).max() > 1 else "neither"
        self.figure_.colorbar(self.image_, ax=self.ax_, label="weight / limit of its block", extend=clipped)
        self._label_blocks(rows, columns)
        return self

    def _label_blocks(self, rows, columns):
        """Write the letter of each block that is there, and what its rows and columns are."""
        n = self.rule.n_hidden
        self.ax_.axvline(n - 0.5, color="0.2", linewidth=1.2)
        self.ax_.axhline(n - 0.5, color="0.2", linewidth=1.2)
        across = [(0, n, "state $x$"), (n, columns, "input $u$")]
        down = [(0, n, "state $x$"), (n, rows, "output $y$")]
        for letter, ((top, bottom, _), (left, right, _)) in zip("ABCD", product(down, across), strict=True):
            if top == bottom or left == right:
                continue
            # Beside the data, since a readout may be a single row: those of A and B above, those of C and D below.
            above = letter in "AB"
            self.ax_.annotate(
                rf"$\mathbf{{{letter}}}$, limit {self.limits_[letter]:.3g}",
                ((left + right - 1) / 2, 1 if above else 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4 if above else -4),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
            )
        self.ax_.set_xticks(*_ticks(across))
        self.ax_.set_yticks(*_ticks(down), rotation=90, va="center")
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(True)  # a matrix is closed on all sides, in any style
        self.ax_.tick_params(axis="x", pad=18)


def _ticks(spans):
    """Return places and labels of the spans that are not empty."""
    spans = [span for span in spans if span[0] < span[1]]
    return [(start + end - 1) / 2 for start, end, _ in spans], [f"{name} ({end - start})" for start, end, name in spans]


def _cells(blocks):
    """Return ``[[A, B], [C, D]]`` as an ndarray with at most ``_MOST_CELLS`` rows and columns, and at least one."""
    shape = tuple(sum(blocks[name].shape[axis] for name in names) for axis, names in enumerate(("AC", "AB")))
    if max(shape) <= _MOST_CELLS:
        weights = np.zeros(tuple(max(length, 1) for length in shape))
        A, B, C, D = map(to_dense, blocks.values())
        weights[: shape[0], : shape[1]] = np.block([[A, B], [C, D]])
        return weights
    A, B, C, D = map(sparse.coo_array, blocks.values())
    weights = sparse.coo_array(sparse.block_array([[A, B], [C, D]]))
    steps = [max(-(-length // _MOST_CELLS), 1) for length in shape]
    cells = np.zeros(tuple(max(-(-length // step), 1) for length, step in zip(shape, steps, strict=True)))
    order = np.argsort(np.abs(weights.data), kind="stable")  # the largest is written last
    row, column = (place[order] // step for place, step in zip(weights.coords, steps, strict=True))
    cells[row, column] = weights.data[order]
    return cells
