"""The picture of the weights of a rule."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skimplicit.inspection._figure import make_axes, rule_of
from skimplicit.selection import ImplicitFeatureSelector

__all__ = ["RulePatternDisplay"]


class RulePatternDisplay:
    """Heat map of the weights ``[[A, B], [C, D]]`` of a rule.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    image_ : matplotlib AxesImage
        The heat map.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import RulePatternDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> RulePatternDisplay.from_estimator(rule).image_.get_array().shape
    (2, 3)
    """

    def __init__(self, rule):
        self.rule = rule

    @classmethod
    def from_estimator(cls, estimator, *, percentile=99, cmap="RdBu_r", ax=None):
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
        if isinstance(estimator, ImplicitFeatureSelector):
            check_is_fitted(estimator)
            estimator = estimator.estimator_
        return cls(rule_of(estimator)).plot(percentile=percentile, cmap=cmap, ax=ax)

    def plot(self, ax=None, *, percentile=99, cmap="RdBu_r"):
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
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be in (0, 100], got {percentile!r}.")
        rule = self.rule
        weights = np.block([[rule.A, rule.B], [rule.C, rule.D]])
        sizes = np.abs(weights[weights != 0])
        limit = float(np.percentile(sizes, percentile)) if sizes.size else 1.0
        (self.ax_,) = make_axes(ax, 1, size=(6.0, 4.5))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.imshow(
            weights, cmap=cmap, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
        )
        clipped = "both" if sizes.size and sizes.max() > limit else "neither"
        self.figure_.colorbar(self.image_, ax=self.ax_, label="weight", extend=clipped)
        n, (rows, columns) = rule.n_hidden, weights.shape
        self.ax_.axvline(n - 0.5, color="0.2", linewidth=1.2)
        self.ax_.axhline(n - 0.5, color="0.2", linewidth=1.2)
        for letter, row, column in (("A", 0, 0), ("B", 0, n), ("C", n, 0), ("D", n, n)):
            self.ax_.annotate(
                letter,
                (column - 0.5, row - 0.5),
                xytext=(3, -3),
                textcoords="offset points",
                ha="left",
                va="top",
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            )
        self.ax_.set_xticks([(n - 1) / 2, (n + columns - 1) / 2], [f"state $x$ ({n})", f"input $u$ ({columns - n})"])
        self.ax_.set_yticks(
            [(n - 1) / 2, (n + rows - 1) / 2],
            [f"state $x$ ({n})", f"output $y$ ({rows - n})"],
            rotation=90,
            va="center",
        )
        self.ax_.tick_params(length=0)
        return self
