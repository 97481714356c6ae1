"""What the displays share: their colours, the axes they draw in, the rule they show and the names of its inputs."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.feature_names import in_order_of_columns
from skimplicit.rule import ImplicitRule
from skimplicit.selection import ImplicitFeatureSelector

__all__ = [
    "COLOURS",
    "DIVERGING",
    "GREY",
    "MOST_NAMES",
    "STYLE",
    "Display",
    "block_limits",
    "checked_names",
    "checked_output_names",
    "checked_per",
    "more_room",
    "names_to_draw",
    "rule_of",
    "seen_names",
    "selected_names",
    "without_selector",
]

# Okabe and Ito's colours, which are told apart with any kind of colour vision; without yellow, faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Blue to red through white: signs are told apart, and zero is not there.
DIVERGING = "RdBu_r"
GREY = "0.75"
# More names on an axis than this cannot be told apart.
MOST_NAMES = 40
# Letters of a name that a panel has room for beside what is drawn, inches of every further one, and the most letters.
_LETTERS, _LETTER, _MOST_LETTERS = 10, 0.08, 120
# What the examples are drawn in, as `plt.style.use(STYLE)`: the displays bring it with them.
STYLE = {
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.dpi": 100,
    "image.cmap": "viridis",
    "legend.frameon": False,
    "savefig.dpi": 110,
}


class Display:
    """Draws in axes of the caller or of a new figure; keeps them in ``axes_``, ``ax_`` (the first) and ``figure_``."""

    ax_: Any
    axes_: np.ndarray
    figure_: Any

    def _open(self, ax, n_panels=1, **layout):
        """Keep the axes to draw in: ``n_panels``, or one when the caller gives one; ``layout`` is for a new figure."""
        self.axes_ = _new_axes(n_panels, **layout) if ax is None else _given_axes(ax, n_panels)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure

    @staticmethod
    def _legend(ax, *, beside, **options):
        """Draw the legend beside the axes of a figure of ours; in those of a caller, where it covers least.

        ``options`` go before these places.
        """
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False} if beside else {"loc": "best"}
        ax.legend(**{"fontsize": "small", **place, **options})


def _new_axes(n_panels, *, size, widths=(1, 1), sharey=False):
    """Return an array of the axes of a new figure; ``size`` is that of its first panel."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Displays need matplotlib: pip install "skimplicit[plot]".') from error

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


def _given_axes(ax, n_panels):
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size not in (1, n_panels):
        raise ValueError(f"ax must be one Axes{' or two' if n_panels == 2 else ''}, got {axes.size}.")
    return axes


def rule_of(estimator):
    """Return the rule of a fitted estimator, or the rule itself."""
    if isinstance(estimator, ImplicitRule):
        return estimator
    if not isinstance(estimator, ImplicitEstimator):
        raise TypeError(f"estimator must be an estimator of this package or a rule, got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    return estimator.rule_


def without_selector(estimator):
    """Return the refitted estimator of a fitted selector; anything else as it is."""
    if not isinstance(estimator, ImplicitFeatureSelector):
        return estimator
    check_is_fitted(estimator)
    return estimator.estimator_


def block_limits(blocks, percentile):
    """Return the percentile of the sizes of the weights that are not zero of each block that is not empty, or 1."""
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile!r}.")
    limits = {}
    for name, block in blocks.items():
        weights = block.data if sparse.issparse(block) else block
        sizes = np.abs(weights[weights != 0])
        if min(block.shape) > 0:
            limits[name] = float(np.percentile(sizes, percentile)) if sizes.size else 1.0
    return limits


def checked_per(per, n_inputs, names=None):
    """Return how far each input moves as an array, 1 by default; of a Series by the names of the inputs, if any."""
    if per is None:
        return np.ones(n_inputs)
    values = np.asarray(per, dtype=float)
    if values.shape != (n_inputs,) or not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"per must be {n_inputs} finite numbers of at least 0, one for each input, got {values!r}.")
    return np.asarray(in_order_of_columns(per, names, "per"), dtype=float)


def seen_names(estimator):
    return getattr(estimator, "feature_names_in_", None)


def selected_names(estimator):
    """Return the names of the inputs of ``rule_of(without_selector(estimator))``, or None.

    The rule of a selector sees arrays, of which input 0 can be any column: it is called as the selector calls it.
    """
    if not isinstance(estimator, ImplicitFeatureSelector):
        return seen_names(estimator)
    check_is_fitted(estimator)
    # Of none the rule is a constant, of a column that is none of the inputs.
    return estimator.get_feature_names_out() if estimator.support_.any() else None


def names_to_draw(given, seen):
    """Return the names that are given, which may have formulas in dollars, or those of the data, which have none."""
    return given if given is not None or seen is None else [_verbatim(name) for name in seen]


def _verbatim(name):
    """Return the text that matplotlib draws as this name: of "$5-$9" it would draw a formula."""
    return str(name).replace("$", r"\$")


def checked_names(names, n_features):
    if names is None:
        return [f"x{j}" for j in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must have one name for each of the {n_features} inputs, got {len(names)}.")
    return list(names)


def more_room(names, spare=_LETTERS):
    """Return by how many inches a panel has to grow, along the longest name, that has room for some spare letters."""
    longest = max((len(str(name)) for name in names), default=0)
    return _LETTER * max(min(longest, _MOST_LETTERS) - spare, 0)


def checked_output_names(names, estimator, n_outputs):
    """Return the names given, or the classes of an estimator, the second alone for one logit; or y0, y1, ..."""
    if names is None:
        classes = getattr(estimator, "classes_", None)
        if classes is None:
            return [f"y{k}" for k in range(n_outputs)]
        return [_verbatim(name) for name in (classes if n_outputs > 1 else classes[1:])]
    if len(names) != n_outputs:
        raise ValueError(f"output_names must have one name for each of the {n_outputs} outputs, got {len(names)}.")
    return list(names)
