"""The picture of the contributions of inputs to predictions."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.inspection._figure import COLOURS, GREY, Display, checked_names, more_room, names_to_draw, seen_names
from skimplicit.inspection.explanations import explain
from skimplicit.linalg import MatrixLike

__all__ = ["ContributionsDisplay"]

# Widest place of the points of an input, as a share of the distance between inputs, and cells that they are counted in.
_WIDTH, _CELLS = 0.8, 60


class ContributionsDisplay(Display):
    """Contributions of the inputs, largest on top: bars for one row, a swarm of points for many.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    contributions : ndarray of shape (m, p)
        Contributions to one output, those of :func:`~skimplicit.inspection.explain`.
    inputs : ndarray of shape (m, p) or None
        Values of the inputs, which colour the points of many rows from the least to the largest; None for one colour.
    feature_names : sequence of str or None
        Names of the inputs.
    max_inputs : int
        Most inputs to draw, those with the largest mean absolute contributions.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the contributions.
    axes_ : ndarray of matplotlib Axes
        All axes that were drawn in.
    figure_ : matplotlib Figure
        The figure.
    order_ : ndarray of int
        The inputs that were drawn, the largest first.

    See Also
    --------
    explain : The contributions.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import ContributionsDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    >>> ContributionsDisplay.from_estimator(rule, [[3.0, 1.0]]).order_
    array([0, 1])
    """

    order_: np.ndarray

    def __init__(
        self,
        contributions: ArrayLike,
        *,
        inputs: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        max_inputs: int = 20,
    ) -> None:
        self.contributions = contributions
        self.inputs = inputs
        self.feature_names = feature_names
        self.max_inputs = max_inputs

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        output: int = 0,
        reference: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        max_inputs: int = 20,
        ax: Any = None,
    ) -> Self:
        """Draw the contributions to the predictions of a fitted estimator or of a rule.

        Parameters
        ----------
        estimator : estimator with a ``rule_`` or ImplicitRule
            The model; of a classifier the logits are explained.
        X : array-like or sparse matrix of shape (m, p)
            Inputs.
        output : int
            The output to explain, from 0; of a classifier the place of the class in ``classes_``, 0 for the one logit
            of two.
        reference : array-like of shape (p,) or None
            As in :func:`~skimplicit.inspection.explain`.
        feature_names : sequence of str or None
            Names of the inputs; None for those seen in ``fit``.
        max_inputs : int
            Most inputs to draw.
        ax : matplotlib Axes or None
            Where to draw.

        Returns
        -------
        ContributionsDisplay
            The display, drawn.
        """
        if not isinstance(output, Integral):
            raise TypeError(f"output must be an integer, got {output!r}.")
        found = explain(estimator, X, reference=reference)
        contributions = found.contributions if found.contributions.ndim == 3 else found.contributions[..., None]
        if not 0 <= output < contributions.shape[2]:
            raise ValueError(f"output must be from 0 to {contributions.shape[2] - 1}, got {output}.")
        names = names_to_draw(feature_names, seen_names(estimator))
        shown = {"inputs": found.inputs, "feature_names": names, "max_inputs": max_inputs}
        return cls(contributions[..., output], **shown).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the bars or the points.

        Parameters
        ----------
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        ContributionsDisplay
            The display.
        """
        values = np.asarray(self.contributions, dtype=float)
        if values.ndim != 2 or values.size == 0:
            raise ValueError(f"contributions must be rows (m, p) with at least one entry, got {values.shape}.")
        if not isinstance(self.max_inputs, Integral) or self.max_inputs < 1:
            raise ValueError(f"max_inputs must be a positive integer, got {self.max_inputs!r}.")
        names = checked_names(self.feature_names, values.shape[1])
        inputs = None if self.inputs is None else np.asarray(self.inputs, dtype=float)
        if inputs is not None and inputs.shape != values.shape:
            raise ValueError(f"inputs must have shape {values.shape}, got {inputs.shape}.")
        self.order_ = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[: self.max_inputs]
        shown = [names[j] for j in self.order_]
        self._open(ax, size=(4.8 + more_room(shown), 0.8 + 0.3 * max(self.order_.size, 4)))
        if values.shape[0] == 1:
            bars = values[0, self.order_]
            self.ax_.barh(range(bars.size), bars, color=np.where(bars < 0, COLOURS[0], COLOURS[1]))
        else:
            for place, j in enumerate(self.order_):
                colours = (
                    {"color": COLOURS[0]}
                    if inputs is None
                    else {"c": _ranked(inputs[:, j]), "cmap": "cividis", "vmin": 0, "vmax": 1}
                )
                points = self.ax_.scatter(values[:, j], place + _swarm(values[:, j]), s=8, linewidths=0, **colours)
            if inputs is not None:
                bar = self.figure_.colorbar(points, ax=self.ax_, ticks=[0, 1], label="value of the input", aspect=30)
                bar.ax.set_yticklabels(["least", "largest"])
        self.ax_.axvline(0.0, color=GREY, zorder=0)
        self.ax_.set_yticks(range(self.order_.size), shown)
        self.ax_.set_ylim(self.order_.size - 0.5, -0.5)
        self.ax_.set_xlabel("contribution")
        return self


def _ranked(values):
    """Return values from 0 to 1 in the order of these, so that one far away does not hide the others."""
    least = np.searchsorted(np.sort(values), values)
    return least / max(least.max(), 1)


def _swarm(values):
    """Return how far each point is moved aside, so that equal ones lie side by side: a place in its cell's crowd."""
    low, high = values.min(), values.max()
    cell = np.zeros(values.size, dtype=int) if low == high else ((values - low) / (high - low) * _CELLS).astype(int)
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell)
    place = np.empty(values.size)
    place[order] = np.arange(values.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return (place - (counts[cell] - 1) / 2) * (_WIDTH / counts.max())
