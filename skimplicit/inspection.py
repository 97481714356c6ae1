"""Pictures of paths, column norms and rules; matplotlib is imported when something is drawn."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators._base import ImplicitEstimator
from skimplicit.estimators.path import ImplicitPath
from skimplicit.estimators.selector import ImplicitFeatureSelector
from skimplicit.rule import ImplicitRule

__all__ = ["ColumnNormsDisplay", "ColumnPathDisplay", "RulePatternDisplay"]

# More coloured lines, or names on an axis, than this cannot be told apart.
_MOST_COLOURS, _MOST_NAMES = 10, 30
# A log axis of norms ends here, beside the largest norm: smaller columns are as good as gone.
_SMALLEST_SHOWN = 1e-4
_GREY = "0.75"


class ColumnPathDisplay:
    """Column norms ``max_i |B_ij|`` of the rules of a path against the budget.

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
        ``n_features``, ``mean_test_score`` and ``std_test_score``, for a second panel.
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

    def __init__(
        self, column_budgets, column_norms, *, support=None, best_budget=None, cv_results=None, feature_names=None
    ):
        self.column_budgets = column_budgets
        self.column_norms = column_norms
        self.support = support
        self.best_budget = best_budget
        self.cv_results = cv_results
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, estimator, *, support=None, feature_names=None, ax=None):
        """Draw the path of a selector, or a path by itself.

        Parameters
        ----------
        estimator : ImplicitFeatureSelector or ImplicitPath
            A fitted selector, or what :func:`~skimplicit.implicit_path` returned.
        support : array-like of bool of shape (p,) or None
            Inputs to draw in colour; None for those the selector has selected, and for all of a path.
        feature_names : sequence of str or None
            Names of the inputs; None for those seen in ``fit``.
        ax : matplotlib Axes, sequence of two, or None
            Where to draw; see :meth:`plot`.

        Returns
        -------
        ColumnPathDisplay
            The display, drawn.
        """
        if isinstance(estimator, ImplicitPath):
            display = cls(
                estimator.column_budgets, estimator.column_norms, support=support, feature_names=feature_names
            )
        elif isinstance(estimator, ImplicitFeatureSelector):
            check_is_fitted(estimator)
            display = cls(
                estimator.column_budgets_,
                estimator.column_norms_,
                support=estimator.support_ if support is None else support,
                best_budget=estimator.best_budget_,
                cv_results=estimator.cv_results_,
                feature_names=_seen_names(estimator) if feature_names is None else feature_names,
            )
        else:
            raise TypeError(
                "estimator must be a fitted ImplicitFeatureSelector or an ImplicitPath, "
                f"got {type(estimator).__name__}; a single rule has no path."
            )
        return display.plot(ax=ax)

    def plot(self, ax=None):
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
        names = _checked_names(self.feature_names, n_features)
        support = np.ones(n_features, dtype=bool) if self.support is None else np.asarray(self.support, dtype=bool)
        if support.shape != (n_features,):
            raise ValueError(f"support must have one entry for each of the {n_features} inputs, got {support.shape}.")
        has_scores = bool(self.cv_results) and len(self.cv_results["n_features"]) > 0
        self.axes_ = _make_axes(ax, 2 if has_scores else 1, size=(6.0, 4.0), widths=(6, 4))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
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
            (self.lines_[j],) = ax.plot(self.column_budgets, shown[:, j], color=_GREY, linewidth=0.9, zorder=1)
        # The legend has the order of the lines.
        for j in coloured[np.argsort(-np.nansum(shown[:, coloured], axis=0), kind="stable")]:
            style = {"label": names[j]} if few else {"color": "C0", "alpha": 0.7}
            (self.lines_[j],) = ax.plot(self.column_budgets, shown[:, j], linewidth=1.6, zorder=2, **style)
        handles = [] if not few else [line for line in ax.get_lines() if line.get_label()[0] != "_"]
        if few and coloured.size < norms.shape[1]:
            (self.lines_[np.flatnonzero(~support)[0]]).set_label(f"{np.sum(~support)} others")
            handles.append(self.lines_[np.flatnonzero(~support)[0]])
        if self.best_budget is not None:
            handles.append(
                ax.axvline(self.best_budget, color="0.2", linestyle="--", linewidth=1, label="clearest budget")
            )
        if handles:
            place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if legend_outside else {"loc": "lower left"}
            ax.legend(handles=handles, fontsize="small", frameon=not legend_outside, **place)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="column budget $k$ (dense to sparse)",
            ylabel=r"column norm $\max_i |B_{ij}|$",
        )
        ax.set_ylim(bottom=smallest)
        if np.size(self.column_budgets) > 1:
            ax.set_xlim(np.max(self.column_budgets), np.min(self.column_budgets))

    def _plot_scores(self, ax, chosen):
        sizes, mean = np.asarray(self.cv_results["n_features"]), np.asarray(self.cv_results["mean_test_score"])
        n_folds = sum(name.startswith("split") for name in self.cv_results)
        error = self.cv_results["std_test_score"] / np.sqrt(max(n_folds - 1, 1))
        ax.errorbar(sizes, mean, error, color="C0", marker="o", markersize=4, capsize=2, label="mean, standard error")
        best = np.argmax(mean)
        ax.axhline(mean[best] - error[best], color=_GREY, linewidth=1, label="best less one standard error", zorder=1)
        ax.axvline(chosen, color="0.2", linestyle="--", linewidth=1, label=f"{chosen} selected")
        ax.legend(fontsize="small", loc="lower right")
        ax.set(xscale="log", xlabel="number of inputs", ylabel="held-out score of the refitted rule")
        ax.set_xticks([t for e in range(9) for t in (10**e, 2 * 10**e, 5 * 10**e) if t <= sizes.max()])
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()


class ColumnNormsDisplay:
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

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import ColumnNormsDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> ColumnNormsDisplay.from_estimator(rule).column_norms
    array([1., 2.])
    """

    def __init__(self, column_norms, *, true_norms=None, feature_names=None):
        self.column_norms = column_norms
        self.true_norms = true_norms
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, estimator, *, true_norms=None, feature_names=None, ax=None):
        """Draw the column norms of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator of this package or ImplicitRule
            Of a fitted ImplicitFeatureSelector, the norms at its ``best_budget_``.
        true_norms : array-like of shape (p,) or None
            Column norms of the rule that made the data.
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
            best = np.argmin(np.abs(estimator.column_budgets_ - estimator.best_budget_))
            norms = estimator.column_norms_[best]
        else:
            norms = np.abs(_rule_of(estimator).B).max(axis=0)
        names = _seen_names(estimator) if feature_names is None else feature_names
        return cls(norms, true_norms=true_norms, feature_names=names).plot(ax=ax)

    def plot(self, ax=None):
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
        names = None if self.feature_names is None else _checked_names(self.feature_names, norms.size)
        drawn = [(norms, "learned", "C0o")]
        if self.true_norms is not None:
            true_norms = np.asarray(self.true_norms, dtype=float)
            if true_norms.shape != norms.shape:
                raise ValueError(f"true_norms must have shape {norms.shape}, got {true_norms.shape}.")
            drawn = [(_share_of_largest(norms), "learned", "C0o"), (_share_of_largest(true_norms), "true", "C1D")]
        self.axes_ = _make_axes(ax, len(drawn), size=(4.8, 3.2), widths=(1, 1), sharey=True)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.stems_ = []
        for axes, (values, label, style) in zip(np.resize(self.axes_, len(drawn)), drawn, strict=True):
            stems = axes.stem(values, linefmt=f"{style[:2]}-", markerfmt=style, basefmt=" ", label=label)
            # Inputs that are out show as dots on the axis.
            stems.markerline.set(markersize=4, clip_on=False)
            stems.stemlines.set_linewidth(1.4)
            axes.set_xlim(-0.6, norms.size - 0.4)
            axes.set_ylim(bottom=0)
            self._label_inputs(axes, names, norms.size)
            self.stems_.append(stems)
        norm = r"$\max_i |B_{ij}|$"
        self.ax_.set_ylabel(f"column norm {norm}" + (" / largest" if len(drawn) == 2 else ""))
        if self.axes_.size == 2:
            for axes, (_, label, _) in zip(self.axes_, drawn, strict=True):
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
        return cls(_rule_of(estimator)).plot(percentile=percentile, cmap=cmap, ax=ax)

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
        (self.ax_,) = _make_axes(ax, 1, size=(6.0, 4.5))
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


def _make_axes(ax, n_panels, *, size, widths=(1, 1), sharey=False):
    """Return an array of ``n_panels`` axes, or of one when the caller gives one."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Displays need matplotlib: pip install "skimplicit[plot]".') from error

    if ax is None:
        ratios = np.array(widths[:n_panels], dtype=float)
        width = size[0] * ratios.sum() / ratios[0]
        _, axes = plt.subplots(
            1,
            n_panels,
            figsize=(width, size[1]),
            layout="constrained",
            sharey=sharey,
            squeeze=False,
            gridspec_kw={"width_ratios": ratios},
        )
        return axes[0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size not in (1, n_panels):
        raise ValueError(f"ax must be one Axes{' or two' if n_panels == 2 else ''}, got {axes.size}.")
    return axes


def _rule_of(estimator):
    """Return the rule of a fitted estimator, or the rule itself."""
    if isinstance(estimator, ImplicitRule):
        return estimator
    if not isinstance(estimator, ImplicitEstimator):
        raise TypeError(f"estimator must be an estimator of this package or a rule, got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    return estimator.rule_


def _seen_names(estimator):
    return getattr(estimator, "feature_names_in_", None)


def _checked_names(names, n_features):
    if names is None:
        return [f"x{j}" for j in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must have one name for each of the {n_features} inputs, got {len(names)}.")
    return list(names)


def _share_of_largest(values):
    largest = np.max(values, initial=0.0)
    return values / largest if largest > 0 else values
