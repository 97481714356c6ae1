"""Bounds on the outputs of a rule over sets of inputs, by five methods that build on one another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.activations import has_two_slopes
from skimplicit.feature_names import check_columns
from skimplicit.linalg import MatrixLike, to_dense
from skimplicit.parameters import nearest
from skimplicit.robustness.linear_program import LinearRelaxation
from skimplicit.robustness.models import open_model
from skimplicit.robustness.propagation import SOLVER_ERROR, Propagation, StateBox
from skimplicit.robustness.semidefinite import SemidefiniteRelaxation
from skimplicit.robustness.uncertainty import InputSet, checked_n_changed, checked_radius
from skimplicit.wellposedness import sensitivity_of

__all__ = ["METHODS", "Readout", "RowPrograms", "cheap_bounds", "checked_method", "output_bounds", "row_blocks"]

#: From the fastest and loosest to the slowest and tightest.
METHODS = ("sensitivity", "interval", "mixed-monotone", "lp", "sdp")
_EPS = np.finfo(float).eps
# Doubles of inputs and states in a block of rows.
_BLOCK = 1 << 22


def output_bounds(
    model: Any,
    U: MatrixLike,
    radius: ArrayLike,
    *,
    norm: str = "inf",
    n_changed: int | None = None,
    method: str = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``l <= y(v) <= h`` for every v with ``|v_j - u_j| <= radius_j``, for each row u of U.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule (trained, converted from a network, composed), or a fitted estimator with a ``rule_``. The outputs of a
        classifier are its logits.
    U : array-like or sparse matrix of shape (m, p)
        Inputs.
    radius : float or array-like of shape (p,)
        How far each input may move: one number, or one for each input; a pandas Series has them by name.
    norm : {"inf"}
        The set of inputs is a box.
    n_changed : int or None
        At most so many inputs change at the same time, whichever they are; None for all.
    method : {"auto", "sensitivity", "interval", "mixed-monotone", "lp", "sdp"}
        Methods, roughly in the order of their cost. On every row, each is at least as tight as "sensitivity", "lp" at
        least as tight as "mixed-monotone", and "sdp" at least as tight as "lp".

        - "sensitivity": ``|y(v) - y(u)| <= S |v - u|`` with ``S = |C| (I - Gamma |A|)^-1 Gamma |B| + |D|``;
        - "interval": boxes of states, propagated through ``x = phi(A x + B u + b)`` until they no longer shrink;
        - "mixed-monotone" (and "auto"): the same with the feedback of each state on itself solved, so that negative
          feedback does not widen its box. Both process all rows at once, in some ten times the time of ``predict``,
          and the boxes of strong feedback shrink faster so;
        - "lp": two linear programs for each output of each row, with exact sides for piecewise linear activations;
        - "sdp": two semidefinite programs (CVXPY) for each, for relu, leaky relu and identity; n + p up to about 50.

    Returns
    -------
    lower, upper : ndarray of shape (m, q)
        Bounds on what ``predict`` returns, including its tolerance and all rounding.

    Raises
    ------
    ValueError
        If an argument is not as above, the columns of a data frame are not those that the estimator was fitted on, no
        test certifies how far the states of the rule can move, or the method does not support the activation.
    TypeError
        If the model has no rule.

    See Also
    --------
    certify : Labels that provably stay.
    lipschitz_bound : One number for all inputs.
    attack : Inputs that move outputs far.

    Notes
    -----
    Sources: El Ghaoui et al. (2021), section 4 (theorem 5.1 is not used; as printed it fails), Jafarpour et al. (2022)
    for the embedding. For groups of states (max pooling, softmax) the sensitivity is that of theorem 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import output_bounds
    >>> A, B = [[-0.25, -0.25], [0.75, -0.25]], [[0.5, 1.0], [1.0, 0.5]]
    >>> rule = ImplicitRule(A=A, B=B, C=np.eye(2))
    >>> for method in ("sensitivity", "interval", "mixed-monotone", "lp"):
    ...     lower, upper = output_bounds(rule, [[1 / 6, 1.5]], [1 / 6, 0.5], method=method)
    ...     print(f"{method:15}", lower.round(3) + 0.0, upper.round(3))
    sensitivity     [[-0.444 -0.667]] [[2.444 3.333]]
    interval        [[0. 0.]] [[2.167 2.958]]
    mixed-monotone  [[0.394 0.636]] [[1.606 2.03 ]]
    lp              [[0.643 0.786]] [[1.357 1.881]]
    """
    opened = open_model(model)
    method = checked_method(method, opened.rule)
    if norm != "inf":
        raise ValueError(f"norm must be 'inf', got {norm!r}.")
    n_changed = checked_n_changed(n_changed)
    given, U = U, opened.rule._check_inputs(U)
    check_columns(model, given)
    radius = checked_radius(radius, opened.rule.n_inputs, model=model)
    propagation, readout = Propagation(opened.rule), Readout.of(opened.rule)
    lower, upper = np.empty((2, U.shape[0], opened.rule.n_outputs))
    for rows in row_blocks(U.shape[0], opened.rule):
        inputs = InputSet.around(U[rows], radius, n_changed, opened.limits)
        lower[rows], upper[rows] = _bounds(propagation, inputs, readout, method)
    return lower, upper


def checked_method(method, rule):
    """Return the name of a method that supports the rule, a ValueError otherwise.

    Parameters
    ----------
    method : str
        A name in ``METHODS`` or "auto".
    rule : ImplicitRule
        The rule.

    Returns
    -------
    str
        The name.
    """
    if method == "auto":
        return "mixed-monotone"
    if method not in METHODS:
        names = ("auto", *METHODS)
        raise ValueError(f"method must be one of {names}, got {method!r}.{nearest(method, names)}")
    if method == "sdp" and not has_two_slopes(rule.activation):
        raise ValueError(f"method='sdp' needs relu, leaky_relu or identity states, not {rule.activation.name!r}.")
    return method


def row_blocks(n_samples, rule):
    """Yield slices of rows that keep the work space small.

    Parameters
    ----------
    n_samples : int
        Number m of rows.
    rule : ImplicitRule
        The rule.

    Yields
    ------
    slice
        The next rows.
    """
    size = max(_BLOCK // (rule.n_hidden + rule.n_inputs + 1), 16)
    for first in range(0, n_samples, size):
        yield slice(first, min(first + size, n_samples))


@dataclass(frozen=True)
class Readout:
    """Combinations ``G y = (G C) x + (G D) u + G c`` of the outputs, with what rounding and predict's tolerance add.

    Parameters
    ----------
    C, D : ndarray of shape (k, n) and (k, p)
        Weights.
    c : ndarray of shape (k,)
        Offsets.
    C_size, D_size, c_size : ndarray of shape (k, n), (k, p) and (k,)
        ``|G| |C|``, ``|G| |D|`` and ``|G| |c|``: how errors of what outputs are summed of reach a combination of them,
        whose own weights may be small where those of the outputs cancel.
    """

    C: np.ndarray
    D: np.ndarray
    c: np.ndarray
    C_size: np.ndarray
    D_size: np.ndarray
    c_size: np.ndarray

    @classmethod
    def of(cls, rule, G=None):
        """Return the readout of a rule, or of combinations of its outputs."""
        parts = (rule.C, rule.D, rule.c)
        sizes = [abs(part) for part in parts]
        if G is not None:
            parts, sizes = [G @ part for part in parts], [np.abs(G) @ size for size in sizes]
        return cls(*map(to_dense, (*parts, *sizes)))

    def rounding(self, inputs, box):
        """Return what to add on both sides, (m, k)."""
        size = box.size @ self.C_size.T + inputs.size @ self.D_size.T + self.c_size
        terms = self.C.shape[1] + self.D.shape[1] + 16
        return terms * _EPS * size + SOLVER_ERROR * box.largest * self.C_size.sum(axis=1)

    def by_sensitivity(self, propagation, inputs, centre, box):
        """Return bounds by the sensitivity matrix, (m, k)."""
        X, error = centre
        S = sensitivity_of(self.C, self.D, propagation.moved)
        middle = X @ self.C.T + inputs.base @ self.D.T + self.c
        spread = InputSet(inputs.base, -inputs.reach, inputs.reach, inputs.n_changed).change(S)[1]
        spread = spread + error @ abs(self.C).T + self.rounding(inputs, box)
        return middle - spread, middle + spread

    def by_box(self, inputs, box):
        """Return bounds by a box of states, (m, k)."""
        centre, radius = (box.lower + box.upper) / 2, (box.upper - box.lower) / 2
        middle, spread = centre @ self.C.T, radius @ abs(self.C).T + self.rounding(inputs, box)
        low, high = inputs.values(self.D, self.c)
        return middle - spread + low, middle + spread + high


def cheap_bounds(propagation, inputs, readout, method, centre=None):
    """Return bounds by a method that takes all rows at once, (m, k), and the box of the states.

    Parameters
    ----------
    propagation : Propagation
        The rule, prepared.
    inputs : InputSet
        The inputs.
    readout : Readout
        The outputs.
    method : str
        The method.
    centre : tuple of ndarray or None
        What ``propagation.centre(inputs)`` found, which is the same for every radius; None to find it.

    Returns
    -------
    tuple
        Lower and upper bounds (m, k), and the box of the states.
    """
    centre = propagation.centre(inputs) if centre is None else centre
    box = propagation.by_sensitivity(inputs, centre)
    lower, upper = readout.by_sensitivity(propagation, inputs, centre, box)
    if method == "sensitivity":
        return lower, upper, box
    box = propagation.by_intervals(inputs, box, solve_loops=method != "interval")
    low, high = readout.by_box(inputs, box)
    return np.maximum(lower, low), np.minimum(upper, high), box


def _bounds(propagation, inputs, readout, method):
    lower, upper, box = cheap_bounds(propagation, inputs, readout, method)
    if method not in ("lp", "sdp"):
        return lower, upper
    for row in range(lower.shape[0]):
        programs = RowPrograms(propagation.rule, inputs, box, readout, row, method)
        for k in range(lower.shape[1]):
            upper[row, k] = min(upper[row, k], programs.maximum(k))
            lower[row, k] = max(lower[row, k], -programs.maximum(k, -1.0))
    return lower, upper


class RowPrograms:
    """The convex programs of one row: the linear one and, by the method "sdp", the semidefinite one as well.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    inputs : InputSet
        Sets of all rows.
    box : StateBox
        Boxes of all rows.
    readout : Readout
        What to bound.
    row : int
        The row.
    method : {"lp", "sdp"}
        Which programs to solve.
    """

    def __init__(self, rule, inputs, box, readout, row, method):
        rows = slice(row, row + 1)
        ends = (box.lower, box.upper, box.drive_lower, box.drive_upper)
        one, inputs = StateBox(*(end[rows] for end in ends)), inputs.rows(rows)
        self.linear = LinearRelaxation(rule, inputs, one)
        self.semidefinite = SemidefiniteRelaxation(rule, inputs, one) if method == "sdp" else None
        self.C, self.D = readout.C, readout.D
        self.middle = self.D @ inputs.base[0] + readout.c
        self.rounding = readout.rounding(inputs, one)[0]

    def maximum(self, k, sign=1.0):
        """Return an upper bound on combination k of the outputs, or on its negative when ``sign`` is -1."""
        weights = sign * self.D[k], sign * self.C[k]
        bound = self.linear.maximum(*weights)[0]
        if self.semidefinite is not None:
            bound = min(bound, self.semidefinite.maximum(*weights))
        return sign * self.middle[k] + bound + self.rounding[k]
