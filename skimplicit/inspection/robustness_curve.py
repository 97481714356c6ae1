"""The picture of certified and attacked accuracy against the radius."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.inspection._figure import Display
from skimplicit.linalg import MatrixLike, checked_array
from skimplicit.robustness import attack, certify
from skimplicit.robustness.models import open_model
from skimplicit.robustness.uncertainty import checked_radius

__all__ = ["RobustnessDisplay"]


class RobustnessDisplay(Display):
    """Share of rows that keep their label when inputs move: proved, and left by an attack, against the radius.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    radii : ndarray of shape (k,)
        The radii.
    certified : ndarray of shape (k,)
        Certified accuracy at each radius.
    attacked : ndarray of shape (k,)
        Accuracy under attack at each radius. The true one is between both.
    name : str or None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    axes_ : ndarray of matplotlib Axes
        The same, as an array.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Attacked and certified accuracy.

    See Also
    --------
    skimplicit.robustness.certify : What is proved.
    skimplicit.robustness.attack : What is found.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import RobustnessDisplay
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[-4.0])
    >>> display = RobustnessDisplay.from_estimator(rule, [[1.2], [0.5]], [1, 0], [0.1, 0.3], classes=[0, 1])
    >>> display.certified
    array([1. , 0.5])
    """

    lines_: list[Any]

    def __init__(self, radii: ArrayLike, certified: ArrayLike, attacked: ArrayLike, *, name: str | None = None) -> None:
        self.radii = radii
        self.certified = certified
        self.attacked = attacked
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        radii: ArrayLike,
        *,
        scale: ArrayLike = 1.0,
        method: str = "auto",
        classes: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Certify and attack rows at each radius, and draw the shares.

        Parameters
        ----------
        estimator : estimator or ImplicitRule
            As in :func:`skimplicit.robustness.certify`.
        X : array-like of shape (m, p)
            Inputs.
        y : array-like of shape (m,)
            Labels.
        radii : array-like of shape (k,)
            The radii, in multiples of ``scale``.
        scale : float or array-like of shape (p,)
            Radius of each input at 1, for instance its standard deviation; in a Series of pandas by their names.
        method : str
            As in :func:`skimplicit.robustness.certify`.
        classes : array-like or None
            Labels of the outputs of a rule; None for those of the estimator, or 0, 1, ...
        random_state : int, RandomState instance or None
            Of the attack.
        name : str or None
            Name of the model, for the legend.
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.

        Returns
        -------
        RobustnessDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator is no classifier, and no classes are given.
        ValueError
            If an argument is not as above.
        """
        opened = open_model(estimator, classes, labelled=True)
        sizes, classes = checked_array(radii, "radii", 1), opened.classes
        if np.any(sizes < 0):
            raise ValueError("radii must be at least 0.")
        unit = checked_radius(scale, opened.rule.n_inputs, "scale", estimator)
        certified, attacked = np.empty((2, sizes.size))
        for place, radius in enumerate(sizes):
            certified[place] = certify(estimator, X, y, radius * unit, method=method, classes=classes).mean()
            success = attack(estimator, X, y, radius * unit, random_state=random_state, classes=classes)[1]
            attacked[place] = np.mean(~success)
        return cls(sizes, certified, attacked, name=name).plot(ax=ax)

    def plot(self, ax: Any = None, *, color: str | None = None) -> Self:
        """Draw both curves and the gap between them.

        Parameters
        ----------
        ax : matplotlib Axes or None
            Where to draw; None for a new figure.
        color : str or None
            Colour of both; None for the next of the axes.

        Returns
        -------
        RobustnessDisplay
            The display.
        """
        self._open(ax, size=(5.2, 3.6))
        prefix = "" if self.name is None else f"{self.name}: "
        (upper,) = self.ax_.plot(self.radii, self.attacked, "--", color=color, label=f"{prefix}under attack")
        (lower,) = self.ax_.plot(self.radii, self.certified, color=upper.get_color(), label=f"{prefix}certified")
        self.ax_.fill_between(self.radii, self.certified, self.attacked, color=upper.get_color(), alpha=0.15, lw=0)
        self.lines_ = [upper, lower]
        self.ax_.set(xlabel="radius", ylabel="share of rows that keep their label", ylim=(0, 1.02))
        self._legend(self.ax_, beside=ax is None)
        return self
