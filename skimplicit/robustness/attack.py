"""Attacks: inputs inside a set that make a model fail, found by the exact gradient through the equilibrium.

Bounds say what cannot happen, attacks show what does; the truth is between them.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skimplicit.equilibrium import adjoint
from skimplicit.feature_names import check_columns
from skimplicit.linalg import MatrixLike, checked_array, to_dense
from skimplicit.parameters import check_truths
from skimplicit.robustness.bounds import Readout, RowPrograms, cheap_bounds
from skimplicit.robustness.models import OpenedModel, open_model
from skimplicit.robustness.propagation import Propagation
from skimplicit.robustness.uncertainty import InputSet, checked_n_changed, checked_radius

__all__ = ["attack"]

# Steps of finite differences, relative to the reach of an input, for activations of groups of states.
_DIFFERENCE = 1e-4


def attack(
    model: Any,
    X: MatrixLike,
    y: ArrayLike,
    radius: ArrayLike,
    *,
    n_changed: int | None = None,
    n_starts: int = 5,
    max_iter: int = 30,
    relaxation: bool = False,
    classes: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Look for ``|v_j - u_j| <= radius_j`` that a classifier labels otherwise than y, or that moves y farthest away.

    Projected gradient with steps of falling length towards the corner that the gradient shows, from the row itself and
    from random points. The gradient of the outputs is exact, ``C (I - phi' A)^-1 phi' B + D``, by the adjoint.

    Parameters
    ----------
    model : estimator or ImplicitRule
        A fitted classifier or regressor with a ``rule_``, or a rule.
    X : array-like or sparse matrix of shape (m, p)
        Inputs.
    y : array-like of shape (m,) or (m, q)
        Labels; or targets, of a regressor or a rule without ``classes``: the attack then makes
        ``sum_i (y_i(v) - y_i)^2`` large.
    radius : float or array-like of shape (p,)
        How far each input may move; in a Series of pandas by their names.
    n_changed : int or None
        Only so many inputs change at the same time; None for all.
    n_starts : int
        Number of starts, the first at the row itself.
    max_iter : int
        Steps from each start.
    relaxation : bool
        Whether to start from the maximum of the linear program of each row as well; labels only.
    classes : array-like or None
        Labels of the outputs of a rule whose outputs are logits.
    random_state : int, RandomState instance or None
        Of the random starts.

    Returns
    -------
    inputs : ndarray of shape (m, p)
        The worst inputs found, inside the set.
    success : ndarray of bool of shape (m,)
        Rows whose label there is not y; for targets, rows whose error there is larger than at the row itself.

    Raises
    ------
    ValueError
        If an argument is not as above, or the columns of a data frame are not those that the estimator was fitted on.
    TypeError
        If the model has no rule.

    See Also
    --------
    certify : Prove that a label stays.
    output_bounds : Bounds that no attack can leave.

    Notes
    -----
    Where phi acts on groups of states (max pooling, softmax), which have no componentwise derivative, the gradient is
    by differences. The vertex of the semidefinite program is not used: its first moment returns the row itself.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import attack
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[-4.0])  # 1 where 4 relu(u) > 4
    >>> inputs, success = attack(rule, [[1.2], [1.05]], [1, 1], radius=0.1, classes=[0, 1])
    >>> inputs.round(6).ravel(), success
    (array([1.1 , 0.95]), array([False,  True]))
    """
    opened = open_model(model, classes)
    rule = opened.rule
    for name, value in (("n_starts", n_starts), ("max_iter", max_iter)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    check_truths(relaxation=relaxation)
    n_changed, radius = checked_n_changed(n_changed), checked_radius(radius, rule.n_inputs, model=model)
    given, X = X, to_dense(rule._check_inputs(X)).astype(float)
    check_columns(model, given)
    loss = _SquaredError.of(rule, y, X.shape[0]) if opened.classes is None else _Margin.of(opened, y, X.shape[0])
    if relaxation and opened.classes is None:
        raise ValueError("relaxation=True needs labels: a classifier, or a rule with classes.")
    inputs = InputSet.around(X, radius, n_changed, opened.limits)
    rng = check_random_state(random_state)
    starts = [inputs.base] + [inputs.sample(rng) for _ in range(n_starts - 1)]
    if relaxation:
        starts.append(_relaxed_maximum(rule, inputs, loss))
    at_rows = loss.value(rule.predict(inputs.base))
    best = _worst(rule, inputs, loss, starts, max_iter)
    worst = _back(best, inputs, X, radius)
    outputs = rule.predict(opened.cut(worst))
    return worst, loss.succeeded(outputs, at_rows)


def _back(found, inputs, X, radius):
    """Return inputs of the box around X that a model which cuts its inputs sees as the ones found."""
    kept = found == inputs.base
    return np.where(kept, X, np.clip(found, X - radius, X + radius))


def _worst(rule, inputs, loss, starts, max_iter):
    """Return for each row the inputs with the largest loss on all ways, which are walked side by side."""
    m = inputs.base.shape[0]
    rows = np.tile(np.arange(m), len(starts))
    many, losses = inputs.rows(rows), loss.rows(rows)
    best, value = np.vstack(starts), np.full(rows.size, -np.inf)
    for found, reached in _ascend(rule, many, losses, best.copy(), max_iter):
        better = reached > value
        best[better], value[better] = found[better], reached[better]
    start = value.reshape(len(starts), m).argmax(axis=0)
    return best.reshape(len(starts), *inputs.base.shape)[start, np.arange(m)]


def _ascend(rule, inputs, loss, V, max_iter):
    """Yield the inputs of each step with their losses."""
    V = inputs.project(V)
    for step in range(max_iter):
        X = rule.states(V)
        outputs = to_dense(X @ rule.C.T) + to_dense(V @ rule.D.T) + rule.c
        yield V, loss.value(outputs)
        gradient = _input_gradient(rule, inputs, V, X, loss.weights(outputs))
        # The first steps reach the corner of the linearised loss, later ones settle between corners.
        length = 1.0 / (1 + step // 3)
        V = inputs.project(V + length * (inputs.vertex(gradient) - V))
    yield V, loss.value(rule.predict(V))


def _input_gradient(rule, inputs, V, X, weights):
    """Return the gradient of ``weights · y`` with respect to the inputs, row by row, (m, p)."""
    direct = to_dense(weights @ rule.D)
    if rule.activation.groups is not None:
        return _by_differences(rule, inputs, V, weights)
    Z = to_dense(X @ rule.A.T) + to_dense(V @ rule.B.T) + rule.b
    slopes = np.asarray(rule.activation.derivative(Z, X), dtype=float)
    drives = adjoint(rule.A, slopes, to_dense(weights @ rule.C)).states
    # Where the loop of the adjoint does not converge, any direction does.
    return np.nan_to_num(to_dense(drives @ rule.B) + direct)


def _by_differences(rule, inputs, V, weights):
    gradient = np.zeros_like(V)
    reach = np.broadcast_to(inputs.reach, V.shape)
    for j in np.flatnonzero(reach.max(axis=0, initial=0.0)):
        ends = []
        for sign in (1, -1):
            moved = V.copy()
            moved[:, j] += sign * _DIFFERENCE * reach[:, j]
            ends.append(np.sum(weights * rule.predict(moved), axis=1))
        gradient[:, j] = ends[0] - ends[1]
    return np.divide(gradient, 2 * _DIFFERENCE * reach, out=gradient, where=reach > 0)


def _relaxed_maximum(rule, inputs, loss):
    """Return the inputs at the maximum of the linear program for the nearest other label, row by row."""
    propagation = Propagation(rule)
    outputs = rule.predict(inputs.base)
    weights = loss.weights(outputs)
    found = inputs.base.copy()
    for row in range(found.shape[0]):
        one, readout = inputs.rows(slice(row, row + 1)), Readout.of(rule, weights[row : row + 1])
        box = cheap_bounds(propagation, one, readout, "lp")[2]
        program = RowPrograms(rule, one, box, readout, 0, "lp")
        suggestion = program.linear.maximum(program.D[0], program.C[0])[1]
        if suggestion is not None:
            found[row] = suggestion
    return found


@dataclass(frozen=True)
class _Margin:
    """``max_{k != y} (y_k - y_label)``: positive where another label wins."""

    opened: OpenedModel
    codes: np.ndarray

    @classmethod
    def of(cls, opened, y, n_samples):
        return cls(opened, opened.label_codes(y, n_samples))

    def rows(self, rows):
        return _Margin(self.opened, self.codes[rows])

    def _others(self, outputs):
        others = outputs.copy()
        others[np.arange(self.codes.size), self.codes] = -np.inf
        return others.argmax(axis=1)

    def value(self, outputs):
        if self.opened.rule.n_outputs == 1:
            return np.where(self.codes, -1.0, 1.0) * outputs[:, 0]
        rows = np.arange(self.codes.size)
        return outputs[rows, self._others(outputs)] - outputs[rows, self.codes]

    def weights(self, outputs):
        if self.opened.rule.n_outputs == 1:
            return np.where(self.codes, -1.0, 1.0)[:, None]
        weights, rows = np.zeros_like(outputs), np.arange(self.codes.size)
        weights[rows, self._others(outputs)] = 1.0
        weights[rows, self.codes] = -1.0
        return weights

    def succeeded(self, outputs, at_rows):
        return self.opened.labels(outputs) != self.codes


@dataclass(frozen=True)
class _SquaredError:
    """``sum_i (y_i(v) - y_i)^2``."""

    targets: np.ndarray

    @classmethod
    def of(cls, rule, y, n_samples):
        targets = to_dense(checked_array(y, "y"))
        targets = targets[:, None] if targets.ndim == 1 else targets
        if targets.shape != (n_samples, rule.n_outputs):
            raise ValueError(f"y must be finite and of shape ({n_samples}, {rule.n_outputs}), got {np.shape(y)}.")
        return cls(targets)

    def rows(self, rows):
        return _SquaredError(self.targets[rows])

    def value(self, outputs):
        return np.sum((outputs - self.targets) ** 2, axis=1)

    def weights(self, outputs):
        return 2 * (outputs - self.targets)

    def succeeded(self, outputs, at_rows):
        return self.value(outputs) > at_rows
