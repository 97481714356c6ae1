"""Certificates of labels: which rows no allowed change can move to another class, and how far that holds."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.feature_names import check_columns
from skimplicit.linalg import MatrixLike
from skimplicit.robustness.bounds import Readout, RowPrograms, cheap_bounds, checked_method, row_blocks
from skimplicit.robustness.models import open_model
from skimplicit.robustness.propagation import Propagation
from skimplicit.robustness.uncertainty import InputSet, checked_n_changed, checked_radius

__all__ = ["certified_radius", "certify"]

# Radii are looked for between these powers of two: beyond, products with weights need not be numbers any more.
_EXPONENT = 700


def certify(
    classifier: Any,
    X: MatrixLike,
    y: ArrayLike,
    radius: ArrayLike,
    *,
    n_changed: int | None = None,
    method: str = "auto",
    classes: ArrayLike | None = None,
) -> np.ndarray:
    """Tell which rows keep the label y for every ``|v_j - u_j| <= radius_j``: the margins have positive lower bounds.

    The differences of logits, ``(C_y - C_k) x + (D_y - D_k) u``, are bounded directly, which is tighter than comparing
    bounds on both logits.

    Parameters
    ----------
    classifier : estimator or ImplicitRule
        A fitted classifier with a ``rule_``, or a rule whose outputs are logits, such as
        ``skimplicit.networks.from_sklearn`` makes of a perceptron.
    X : array-like or sparse matrix of shape (m, p)
        Inputs.
    y : array-like of shape (m,)
        Their labels.
    radius : float or array-like of shape (p,)
        How far each input may move; in a Series of pandas by their names.
    n_changed : int or None
        Only so many inputs change at the same time; None for all.
    method : {"auto", "sensitivity", "interval", "mixed-monotone", "lp", "sdp"}
        As in :func:`output_bounds`. Programs are solved only for rows that "mixed-monotone" does not certify.
    classes : array-like or None
        Labels of the outputs of a rule; None for 0, 1, ... A single output is the logit of the second of two classes.

    Returns
    -------
    ndarray of bool of shape (m,)
        True: proved, including the tolerance and rounding of ``predict``. False: not proved, or the label predicted at
        the row itself is not y.

    Raises
    ------
    ValueError
        If an argument is not as above, the columns of a data frame are not those that the estimator was fitted on, or
        nothing is certified about the rule.
    TypeError
        If the model is not a classifier.

    See Also
    --------
    certified_radius : The largest radius that is certified.
    attack : Look for inputs that change a label.
    output_bounds : Bounds of the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import certify
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[-4.0])  # 1 where 4 relu(u) > 4
    >>> certify(rule, [[1.2], [1.05], [0.0]], [1, 1, 0], radius=0.1)
    array([ True, False,  True])
    """
    labelled = _Labelled(classifier, X, y, n_changed, method, classes)
    radii = checked_radius(radius, labelled.opened.rule.n_inputs, model=classifier)
    return labelled.certified(radii[None], np.arange(labelled.m))


def certified_radius(
    classifier: Any,
    X: MatrixLike,
    y: ArrayLike,
    *,
    scale: ArrayLike | None = None,
    start: float = 1.0,
    rtol: float = 1e-3,
    n_changed: int | None = None,
    method: str = "auto",
    classes: ArrayLike | None = None,
) -> np.ndarray:
    """Return the largest r, by bisection, for which each row is certified at the radius ``r scale_j``.

    Parameters
    ----------
    classifier, X, y : estimator or ImplicitRule, array-like (m, p), array-like (m,)
        As in :func:`certify`.
    scale : float or array-like of shape (p,) or None
        The radius of each input at r = 1, in a Series of pandas by their names; None for ones.
    start : float
        First radius to try.
    rtol : float
        Relative accuracy of r.
    n_changed : int or None
        Only so many inputs change at the same time; None for all.
    method : {"auto", "sensitivity", "interval", "mixed-monotone", "lp", "sdp"}
        As in :func:`output_bounds`.
    classes : array-like or None
        Labels of the outputs of a rule.

    Returns
    -------
    ndarray of shape (m,)
        A radius at which the row was certified; 0 where its label is not y or nothing is certified. Rows still
        certified where inputs move by 1e210 (nothing leads to another label) get infinity.

    Raises
    ------
    ValueError
        As :func:`certify`; if ``start`` or ``rtol`` is no positive number.

    See Also
    --------
    certify : The same for one radius.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import certified_radius
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[-4.0])  # 1 where 4 relu(u) > 4
    >>> certified_radius(rule, [[1.25], [0.0]], [1, 1]).round(3)
    array([0.25, 0.  ])
    """
    for name, value in (("start", start), ("rtol", rtol)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}.")
    labelled = _Labelled(classifier, X, y, n_changed, method, classes)
    scale = checked_radius(1.0 if scale is None else scale, labelled.opened.rule.n_inputs, "scale", classifier)
    correct = labelled.certified(np.zeros((1, scale.size)), np.arange(labelled.m))  # by more than rounding
    low, high = _powers_of_two(labelled, np.flatnonzero(correct), float(start), scale)
    active = np.flatnonzero((low > 0) & np.isfinite(high))
    while active.size:
        middle = (low[active] + high[active]) / 2
        held = labelled.certified(middle[:, None] * scale, active)
        low[active[held]], high[active[~held]] = middle[held], middle[~held]
        active = active[high[active] - low[active] > rtol * high[active]]
    return np.where(np.isinf(high), np.inf, low)


def _powers_of_two(labelled, rows, start, scale):
    """Return two neighbours among the numbers ``start 2^k`` for each row, (m,): the first is certified, the other not.

    Those of other rows than the given ones are 0. The first is 0 where none is certified, the second infinite where all
    are. Steps grow, so that radii in any unit are found in some tests.
    """
    lowest = -_EXPONENT - np.frexp(start)[1]
    highest = _EXPONENT - np.frexp(start * (scale.max(initial=0.0) or 1.0))[1]
    held, failed = np.full(labelled.m, lowest - 1), np.full(labelled.m, highest + 1)
    failed[np.setdiff1d(np.arange(labelled.m), rows)] = lowest
    tried, step = np.full(labelled.m, np.clip(0, lowest, highest)), 1
    while rows.size:
        with np.errstate(over="ignore", invalid="ignore"):  # bounds that are no numbers certify nothing
            certified = labelled.certified(np.ldexp(start, tried[rows])[:, None] * scale, rows)
        held[rows[certified]], failed[rows[~certified]] = tried[rows[certified]], tried[rows[~certified]]
        rows = rows[failed[rows] - held[rows] > 1]
        between = np.where(held < lowest, np.maximum(failed - step, lowest), np.minimum(held + step, highest))
        tried = np.where((held >= lowest) & (failed <= highest), (held + failed) // 2, between)
        step *= 2
    low, high = np.ldexp(start, np.maximum(held, lowest)), np.ldexp(start, np.minimum(failed, highest))
    return np.where(held < lowest, 0.0, low), np.where(failed > highest, np.inf, high)


class _Labelled:
    """Rows with labels, prepared to be certified at one radius after another."""

    def __init__(self, classifier, X, y, n_changed, method, classes):
        self.opened = open_model(classifier, classes, labelled=True)
        rule = self.opened.rule
        self.method, self.n_changed = checked_method(method, rule), checked_n_changed(n_changed)
        self.X = rule._check_inputs(X)
        check_columns(classifier, X)
        self.m = self.X.shape[0]
        self.codes = self.opened.label_codes(y, self.m)
        # A row that has another label already needs no bound.
        self.correct = self.opened.labels(rule.predict(self.opened.cut(self.X))) == self.codes
        self.propagation = Propagation(rule)
        self.centre = self._centre()
        self.readouts = {code: Readout.of(rule, self.opened.margins_of(code)) for code in np.unique(self.codes)}

    def _centre(self):
        """Return the states of all rows and bounds on their errors, (m, n), which every radius asks for."""
        blocks = (self.X[block] for block in row_blocks(self.m, self.opened.rule))
        none = np.zeros((1, self.opened.rule.n_inputs))
        found = [self.propagation.centre(InputSet.around(X, none, limits=self.opened.limits)) for X in blocks]
        return tuple(map(np.concatenate, zip(*found, strict=True)))

    def certified(self, radius, rows):
        """Return the mask of the given rows that are certified at a radius, (1, p) or one for each of them."""
        mask = np.zeros(rows.size, dtype=bool)
        for code, readout in self.readouts.items():
            places = np.flatnonzero((self.codes[rows] == code) & self.correct[rows])
            for block in row_blocks(places.size, self.opened.rule):
                chosen = places[block]
                reach = radius if radius.shape[0] == 1 else radius[chosen]
                inputs = InputSet.around(self.X[rows[chosen]], reach, self.n_changed, self.opened.limits)
                centre = tuple(part[rows[chosen]] for part in self.centre)
                mask[chosen] = self._positive(inputs, readout, centre)
        return mask

    def _positive(self, inputs, readout, centre):
        """Tell for which rows all combinations of the readout are proved to be positive."""
        lower, _, box = cheap_bounds(self.propagation, inputs, readout, self.method, centre)
        mask = np.all(lower > 0, axis=1)
        if self.method not in ("lp", "sdp"):
            return mask
        for row in np.flatnonzero(~mask):
            programs = RowPrograms(self.opened.rule, inputs, box, readout, row, self.method)
            mask[row] = all(programs.maximum(k, -1.0) < 0 for k in np.flatnonzero(lower[row] <= 0))
        return mask
