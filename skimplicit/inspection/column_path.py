"""The picture of a path of column budgets."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skimplicit.feature_names import in_order_of_columns
from skimplicit.inspection._figure import COLOURS, GREY, Display, checked_names, more_room, names_to_draw, seen_names
from skimplicit.selection import ImplicitFeatureSelector, ImplicitPath

__all__ = ["ColumnPathDisplay"]

# More coloured lines than this cannot be told apart.
_MOST_COLOURS = 10
# A log axis of norms ends here, beside the largest norm: smaller columns are as good as gone.
_SMALLEST_SHOWN = 1e-4


class ColumnPathDisplay(Display):
    """Column norms ``max_i |B_ij|`` of the rules of a path against the budget, of a selector as it compares them.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    column_budgets : ndarray of shape (n_budgets,)
        The budgets.
    column_norms : ndarray of shape (n_budgets, p)
        Column norms of the rule at each budget.
    support : ndarray of bool of shape (p,) or None
        Inputs to draw in colour, the others in grey; None for all in colour.
    best_budget : float or None
        Budget to mark.
    cv_results : dict or None
        ``n_features``, ``mean_test_score`` and, for bars, ``standard_error``, for a second panel.
    feature_names : sequence of str or None
        Names of the inputs, for the legend; None for x0, x1, ...

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the path.
    axes_ : ndarray of matplotlib Axes
        All axes that were drawn in.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        One line for each input.

    See Also
    --------
    ColumnNormsDisplay : The norms of one rule.
    skimplicit.implicit_path : The path.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from skimplicit import implicit_path
    >>> from skimplicit.inspection import ColumnPathDisplay
    >>> X, y = make_friedman1(100, n_features=8, random_state=0)
    >>> path = implicit_path(X, y, n_hidden=3, column_budgets=5, random_state=0)
    >>> display = ColumnPathDisplay.from_estimator(path)
    >>> len(display.lines_)
    8
    """

    lines_: list[Any]

    def __init__(
        self,
        column_budgets: ArrayLike,
        column_norms: ArrayLike,
        *,
        support: ArrayLike | None = None,
        best_budget: float | None = None,
        cv_results: dict | None = None,
        feature_names: ArrayLike | None = None,
    ) -> None:
        self.column_budgets = column_budgets
        self.column_norms = column_norms
        self.support = support
        self.best_budget = best_budget
        self.cv_results = cv_results
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, support: ArrayLike | None = None, feature_names: ArrayLike | None = None, ax: Any = None
    ) -> Self:
        """Draw the path of a selector, or a path by itself.

        Parameters
        ----------
        estimator : ImplicitFeatureSelector or ImplicitPath
            A fitted selector, or what :func:`~skimplicit.implicit_path` returned.
        support : array-like of bool of shape (p,) or None
            Inputs to draw in colour, in a Series of pandas by their names; None for those the selector has selected,
            and for all of a path.
        feature_names : sequence of str or None
            Names of the inputs; None for those of the data frame that it was made from.
        ax : matplotlib Axes, sequence of two, or None
            Where to draw; see :meth:`plot`.

        Returns
        -------
        ColumnPathDisplay
            The display, drawn.
        """
        seen = seen_names(estimator)
        support = in_order_of_columns(support, seen, "support")
        names = names_to_draw(feature_names, seen)
        if isinstance(estimator, ImplicitPath):
            display = cls(estimator.column_budgets, estimator.column_norms, support=support, feature_names=names)
        elif isinstance(estimator, ImplicitFeatureSelector):
            check_is_fitted(estimator)
            display = cls(
                estimator.column_budgets_,
                estimator.column_norms_,
                support=estimator.support_ if support is None else support,
                best_budget=estimator.best_budget_,
                cv_results=estimator.cv_results_,
                feature_names=names,
            )
        else:
            raise TypeError(
                "estimator must be a fitted ImplicitFeatureSelector or an ImplicitPath, "
                f"got {type(estimator).__name__}; a single rule has no path."
            )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the path and, if there are validation scores, a panel with the score against the number of inputs.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of two, or None
            Where to draw; with one Axes the scores are left out. None for a new figure.

        Returns
        -------
        ColumnPathDisplay
            The display.
        """
        n_features = np.shape(self.column_norms)[1]
        names = checked_names(self.feature_names, n_features)
        support = _checked_support(self.support, n_features)
        has_scores = bool(self.cv_results)
        coloured = [names[j] for j in np.flatnonzero(support)]
        legend = more_room(coloured) if len(coloured) <= _MOST_COLOURS else 0.0
        self._open(ax, 2 if has_scores else 1, size=(6.0 + legend, 4.0), widths=(6, 4))
        self._plot_path(self.ax_, names, support, legend_outside=ax is None)
        if self.axes_.size == 2:
            self._plot_scores(self.axes_[1], int(support.sum()))
        return self

    def _plot_path(self, ax, names, support, legend_outside):
        norms = np.asarray(self.column_norms, dtype=float)
        smallest = _SMALLEST_SHOWN * norms.max() if norms.any() else _SMALLEST_SHOWN
        # A line ends where its column leaves the picture.
        shown = np.where(norms > smallest, norms, np.nan)
        coloured = np.flatnonzero(support)
        few = coloured.size <= _MOST_COLOURS
        self.lines_ = [None] * norms.shape[1]
        for j in np.flatnonzero(~support):
            (self.lines_[j],) = ax.plot(self.column_budgets, shown[:, j], color=GREY, linewidth=0.9, zorder=1)
        # The legend has the order of the lines.
        for place, j in enumerate(coloured[np.argsort(-np.nansum(shown[:, coloured], axis=0), kind="stable")]):
            style = _line(place) | {"label": names[j]} if few else {"color": COLOURS[0], "alpha": 0.7}
            (self.lines_[j],) = ax.plot(self.column_budgets, shown[:, j], linewidth=1.6, zorder=2, **style)
        # Lines without a label of theirs have one that starts so, and an input may be called so.
        named = [self.lines_[j] for j in coloured]
        handles = [line for line in ax.get_lines() if line in named or line.get_label()[0] != "_"] if few else []
        if few and coloured.size < norms.shape[1]:
            (self.lines_[np.flatnonzero(~support)[0]]).set_label(f"{np.sum(~support)} others")
            handles.append(self.lines_[np.flatnonzero(~support)[0]])
        if self.best_budget is not None:
            handles.append(
                ax.axvline(self.best_budget, color="0.2", linestyle="--", linewidth=1, label="clearest budget")
            )
        if handles:
            self._legend(ax, beside=legend_outside, handles=handles)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="column budget $k$ (dense to sparse)",
            ylabel="column norm of $B$",
        )
        ax.set_ylim(bottom=smallest)
        if np.size(self.column_budgets) > 1:
            ax.set_xlim(np.max(self.column_budgets), np.min(self.column_budgets))

    def _plot_scores(self, ax, chosen):
        sizes, mean = np.asarray(self.cv_results["n_features"]), np.asarray(self.cv_results["mean_test_score"])
        error = self.cv_results.get("standard_error")
        style = {"color": COLOURS[0], "marker": "o", "markersize": 4, "capsize": 2}
        ax.errorbar(sizes, mean, error, label="mean, standard error", **style)
        ax.axhline(mean.max(), color=GREY, linewidth=1, label="best", zorder=1)
        ax.axvline(chosen, color="0.2", linestyle="--", linewidth=1, label=f"{chosen} selected")
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False)
        ax.set(xscale="log", xlabel="number of inputs", ylabel="held-out score of the refitted rule")
        ax.set_xticks([t for e in range(9) for t in (10**e, 2 * 10**e, 5 * 10**e) if t <= sizes.max()])
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()


def _checked_support(support, n_features):
    """Return a mask over the inputs as an array of bool; None for all of them."""
    support = np.ones(n_features, dtype=bool) if support is None else np.asarray(support)
    if support.shape != (n_features,):
        raise ValueError(f"support must have one entry for each of the {n_features} inputs, got {support.shape}.")
    mask = support.astype(bool)
    if not np.array_equal(mask, support):  # as many positions as there are inputs are no mask
        raise ValueError(f"support must be a mask of True and False, one for each input, not positions, got {support}.")
    return mask


def _line(place):
    """Return a style for each of ``_MOST_COLOURS`` lines: the colours, then the same dashed."""
    round_, colour = divmod(place, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": ("-", "--")[round_]}
