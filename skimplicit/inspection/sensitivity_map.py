"""The picture of how far each output can move with each input, with the signs that are proved."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.inspection._figure import (
    DIVERGING,
    MOST_NAMES,
    Display,
    checked_names,
    checked_output_names,
    checked_per,
    more_room,
    names_to_draw,
    rule_of,
    selected_names,
    without_selector,
)
from skimplicit.robustness import monotone_directions
from skimplicit.wellposedness import sensitivity

__all__ = ["SensitivityDisplay"]

# Inputs, and letters if every name had as many as the longest, that fit side by side; degrees of those that do not.
_MOST_LEVEL, _MOST_LETTERS, _TURN = 6, 20, 60


class SensitivityDisplay(Display):
    """The bound ``S = |C| (I - |A|)^-1 |B| + |D|`` on all derivatives as a heat map, outputs by inputs.

    Red where an output provably never falls with an input, blue where it never rises; grey where neither is proved.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    sensitivity : ndarray of shape (q, p)
        The bound.
    directions : ndarray of shape (q, p)
        1 and -1 where a direction is proved, 0 elsewhere.
    feature_names, output_names : sequence of str or None
        Names of the inputs and outputs, written at the axes when there are at most 40.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the heat map.
    axes_ : ndarray of matplotlib Axes
        All axes that were drawn in.
    figure_ : matplotlib Figure
        The figure.
    images_ : list of matplotlib AxesImage
        The cells without a direction, and those with one.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import SensitivityDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> display = SensitivityDisplay.from_estimator(rule)
    >>> display.sensitivity, display.directions
    (array([[4., 8.]]), array([[ 1, -1]]))
    """

    images_: list[Any]

    def __init__(
        self,
        sensitivity: np.ndarray,
        directions: np.ndarray,
        *,
        feature_names: ArrayLike | None = None,
        output_names: ArrayLike | None = None,
    ) -> None:
        self.sensitivity = sensitivity
        self.directions = directions
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        per: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        output_names: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the sensitivity of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator of this package or ImplicitRule
            What to show; of a classifier the logits, of a fitted ImplicitFeatureSelector the refitted rule, whose
            inputs are the selected ones.
        per : array-like of shape (p,) or None
            How far each input typically moves, such as its standard deviation: what is shown is S times that. In a
            Series of pandas by their names; None for 1.
        feature_names, output_names : sequence of str or None
            Names; None for those that the estimator has seen, and its classes, or else x0, x1, ... and y0, y1, ...
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        SensitivityDisplay
            The display, drawn.
        """
        seen = selected_names(estimator)
        names = names_to_draw(feature_names, seen)
        estimator = without_selector(estimator)
        rule = rule_of(estimator)
        p, q = rule.n_inputs, rule.n_outputs
        S = sensitivity(rule) * checked_per(per, p, seen)
        proofs = np.array([[monotone_directions(rule, j, output=k) for j in range(p)] for k in range(q)])
        proofs = proofs.reshape(q, p, 2)
        directions = proofs[..., 0].astype(int) - proofs[..., 1]
        output_names = checked_output_names(output_names, estimator, q)
        return cls(S, directions, feature_names=checked_names(names, p), output_names=output_names).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        SensitivityDisplay
            The display.
        """
        q, p = self.sensitivity.shape
        named = self.feature_names is not None and p <= MOST_NAMES
        letters = max(len(str(name)) for name in self.feature_names) if named and p else 0
        turned = named and (p > _MOST_LEVEL or p * letters > _MOST_LETTERS)
        below = np.sin(np.radians(_TURN)) * more_room(self.feature_names, spare=0) if turned else 0.0
        self._open(ax, size=(max(3.5, min(0.45 * p + 2.0, 12.0)), below + max(1.8, min(0.45 * q + 1.2, 8.0))))
        finite = self.sensitivity[np.isfinite(self.sensitivity)]
        largest = float(finite.max(initial=0.0)) or 1.0
        known = self.directions != 0
        layers = [
            (np.ma.masked_where(known, self.sensitivity), "Greys", 0.0),
            (np.ma.masked_where(~known, np.copysign(self.sensitivity, self.directions)), DIVERGING, -largest),
        ]
        self.images_ = [
            self.ax_.imshow(cells, cmap=cmap, vmin=low, vmax=largest, aspect="auto", interpolation="nearest")
            for cells, cmap, low in layers
        ]
        self.figure_.colorbar(self.images_[1], ax=self.ax_, label="bound, with the\nsign that is proved")
        for axis, names, length in (
            (self.ax_.xaxis, self.feature_names, p),
            (self.ax_.yaxis, self.output_names, q),
        ):
            if names is not None and length <= MOST_NAMES:
                axis.set_ticks(range(length), names)
        for label in self.ax_.get_xticklabels() if turned else ():
            # It ends at its column; turned about its middle it would end at another one.
            label.set(rotation=_TURN, ha="right", rotation_mode="anchor")
        self.ax_.set(xlabel="input", ylabel="output")
        return self
