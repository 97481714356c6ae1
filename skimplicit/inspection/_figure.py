"""What the displays share: the axes they draw in, the rule they show and the names of its inputs."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.rule import ImplicitRule

__all__ = ["GREY", "Display", "checked_names", "rule_of", "seen_names"]

GREY = "0.75"


class Display:
    """Draws in axes of the caller or of a new figure; keeps them in ``axes_``, ``ax_`` (the first) and ``figure_``."""

    def _open(self, ax, n_panels=1, **layout):
        """Keep the axes to draw in: ``n_panels``, or one when the caller gives one; ``layout`` is for a new figure."""
        self.axes_ = _new_axes(n_panels, **layout) if ax is None else _given_axes(ax, n_panels)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure


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


def seen_names(estimator):
    return getattr(estimator, "feature_names_in_", None)


def checked_names(names, n_features):
    if names is None:
        return [f"x{j}" for j in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must have one name for each of the {n_features} inputs, got {len(names)}.")
    return list(names)
