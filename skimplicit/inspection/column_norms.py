"""The picture of the column norms of one rule."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skimplicit.feature_names import in_order_of_columns
from skimplicit.inspection._figure import COLOURS, Display, checked_names, more_room, names_to_draw, rule_of, seen_names
from skimplicit.linalg import to_dense
from skimplicit.selection import ImplicitFeatureSelector

__all__ = ["ColumnNormsDisplay"]

# More names on an axis than this cannot be told apart.
_MOST_NAMES = 30


class ColumnNormsDisplay(Display):
    """Column norms ``max_i |B_ij|`` as a stem plot, beside the true ones where these are known.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    column_norms : ndarray of shape (p,)
        Column norms.
    true_norms : array-like of shape (p,) or None
        Column norms of the rule that made the data. Both are then divided by their largest value.
    feature_names : sequence of str or None
        Names of the inputs, written at the axis when there are at most 30.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the column norms.
    axes_ : ndarray of matplotlib Axes
        All axes that were drawn in.
    figure_ : matplotlib Figure
        The figure.
    stems_ : list of matplotlib StemContainer
        The stems of the column norms and of the true ones.

    See Also
    --------
    ColumnPathDisplay : The norms along a path of budgets.
    RulePatternDisplay : All weights of a rule.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import ColumnNormsDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> ColumnNormsDisplay.from_estimator(rule).column_norms
    array([1., 2.])
    """

    stems_: list[Any]

    def __init__(
        self, column_norms: ArrayLike, *, true_norms: ArrayLike | None = None, feature_names: ArrayLike | None = None
    ) -> None:
        self.column_norms = column_norms
        self.true_norms = true_norms
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        true_norms: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the column norms of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator of this package or ImplicitRule
            Of a fitted ImplicitFeatureSelector, its ``column_norms_`` at its ``best_budget_``, for inputs of deviation
            one.
        true_norms : array-like of shape (p,) or None
            Column norms of the rule that made the data, in a Series of pandas by the names of the inputs; of a
            selector, for inputs of deviation one too.
        feature_names : sequence of str or None
            Names of the inputs; None for those seen in ``fit``.
        ax : matplotlib Axes, sequence of two, or None
            Where to draw; see :meth:`plot`.

        Returns
        -------
        ColumnNormsDisplay
            The display, drawn.
        """
        if isinstance(estimator, ImplicitFeatureSelector):
            check_is_fitted(estimator)
            # For inputs of deviation one, as they compete: of B as it is, that of the smallest numbers is the largest.
            norms = estimator.column_norms_[np.argmin(np.abs(estimator.column_budgets_ - estimator.best_budget_))]
        else:
            norms = np.abs(to_dense(rule_of(estimator).B)).max(axis=0, initial=0.0)
        seen = seen_names(estimator)
        names = names_to_draw(feature_names, seen)
        true_norms = in_order_of_columns(true_norms, seen, "true_norms")
        return cls(norms, true_norms=true_norms, feature_names=names).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the stems.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of two, or None
            Where to draw the column norms and the true ones; with one Axes both go there. None for a new figure.

        Returns
        -------
        ColumnNormsDisplay
            The display.
        """
        norms = np.asarray(self.column_norms, dtype=float)
        if norms.size == 0:
            raise ValueError("column_norms is empty: a rule without inputs has no column norms to draw.")
        names = None if self.feature_names is None else checked_names(self.feature_names, norms.size)
        drawn = [(norms, "learned", COLOURS[0], "o")]
        if self.true_norms is not None:
            true_norms = np.asarray(self.true_norms, dtype=float)
            if true_norms.shape != norms.shape:
                raise ValueError(f"true_norms must have shape {norms.shape}, got {true_norms.shape}.")
            drawn = [
                (_share_of_largest(norms), "learned", COLOURS[0], "o"),
                (_share_of_largest(true_norms), "true", COLOURS[1], "D"),
            ]
        below = 0.0 if names is None or norms.size > _MOST_NAMES else more_room(names)
        self._open(ax, len(drawn), size=(4.8, 3.2 + below), widths=(1, 1), sharey=True)
        self.stems_ = []
        for axes, (values, label, colour, marker) in zip(np.resize(self.axes_, len(drawn)), drawn, strict=True):
            stems = axes.stem(values, linefmt="-", markerfmt=marker, basefmt=" ", label=label)
            # Inputs that are out show as dots on the axis.
            stems.markerline.set(markersize=4, clip_on=False, color=colour)
            stems.stemlines.set(linewidth=1.4, color=colour)
            axes.set_xlim(-0.6, norms.size - 0.4)
            self._label_inputs(axes, names, norms.size)
            self.stems_.append(stems)
        for axes in self.axes_:  # once all are drawn: limits that are set do not grow with what comes
            axes.set_ylim(bottom=0)
        norm = r"$\max_i |B_{ij}|$"
        self.ax_.set_ylabel(f"column norm {norm}" + (" / largest" if len(drawn) == 2 else ""))
        if self.axes_.size == 2:
            for axes, (_, label, *_) in zip(self.axes_, drawn, strict=True):
                axes.set_title(label)
        elif len(drawn) == 2:
            self.stems_[1].markerline.set(markersize=7, markerfacecolor="none", zorder=1.5)
            self.ax_.legend()
        return self

    @staticmethod
    def _label_inputs(axes, names, n_inputs):
        if names is not None and n_inputs <= _MOST_NAMES:
            axes.set_xticks(range(n_inputs), names, rotation=90)
        else:
            axes.set_xlabel("input")


def _share_of_largest(values):
    largest = np.max(values, initial=0.0)
    return values / largest if largest > 0 else values
