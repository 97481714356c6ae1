"""``partial_fit``: one pass of batches at a time, for the methods that take them."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skimplicit.estimators.automatic import HELD_OUT_ATTRIBUTES
from skimplicit.estimators.budgets import budget_of
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.from_rule import to_start_from
from skimplicit.estimators.methods import METHODS
from skimplicit.estimators.targets import check_weights
from skimplicit.estimators.warm_starting import carry_on, rules_so_far
from skimplicit.linalg import MatrixLike, parts_of
from skimplicit.rows import InputRange, Samples, merge_duplicates
from skimplicit.subproblems import Readout
from skimplicit.training import Point, Stage, TrainingTask
from skimplicit.training.continuation import random_weights

__all__ = ["IncrementalMixin", "takes_batches"]

# Tolerance of the states in partial_fit.
_PASS_TOL = 1e-3
# Rows on which the units of a stream are measured, at least: fewer say little of a deviation, and one nothing.
_FIRST_ROWS = 10


def takes_batches(estimator):
    """Tell whether an estimator has ``partial_fit``.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AttributeError
        If it has not; the message says why.
    """
    method = METHODS.get(estimator.method) if isinstance(estimator.method, str) else estimator.method
    if not getattr(method, "takes_batches", False):
        raise AttributeError(f"partial_fit is only available with method='gradient', got {estimator.method!r}.")
    if method.holds_out:
        raise AttributeError("partial_fit is not available with early_stopping=True, which holds out some of all data.")
    if not estimator._supports_partial_fit:
        raise AttributeError(f"{type(estimator).__name__} has no partial_fit: it needs all data to choose alpha.")
    return True


class IncrementalMixin:
    """``partial_fit`` of an :class:`~skimplicit.estimators.base.ImplicitEstimator`."""

    # Whether ``partial_fit`` can go on from a rule.
    _supports_partial_fit = True

    @available_if(takes_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass of batches over the data, starting from the current rule.

        Only with ``method="gradient"``, without ``early_stopping``.

        The first call, unless it follows ``fit``, starts at random weights and fixes the units: later inputs and
        targets are standardised by the means and deviations of that first data. While fewer than 10 rows have been
        given in all, each call starts anew, with the rows of all calls. An input that is constant in the first data is
        not used until a call in which it varies, which fixes its unit and starts it at random weights; a target that is
        constant there gets its unit by the first call in which it varies, and the rule meets its mean. After ``fit``,
        an input that was left out (``relevance_``) or constant is never used. The readout is trained by batches like
        the other weights, since solving it for the last rows would forget those before. The existing members are
        trained further, at most ``n_members`` of them; none is added later.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, at least 0.

        Returns
        -------
        self
            The estimator. If the call fails, the estimator is as it was before.
        """
        with unchanged_on_failure(self):
            return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X, y, sample_weight):
        self._validate_params()  # scikit-learn does in the first call alone, but parameters may have been set since
        self._check_choices()
        if self.column_budget != "auto":
            self.column_budget_ = self.column_budget
        elif getattr(self, "column_budget_", None) is None:
            raise ValueError("column_budget='auto' is chosen by fit: before partial_fit call fit, or give a number.")
        first = not hasattr(self, "rule_")
        X, y = self._validate_data(X, y, reset=first)
        targets = self._encode_batch(y, check_weights(sample_weight, X))
        merged = merge_duplicates(X, targets.Y, targets.weights)
        if not merged[0].shape[0]:
            raise ValueError("partial_fit got no sample with a positive weight: the class_weight of its classes is 0.")
        _check_size(self, targets.Y.shape[1])
        n_given = X.shape[0] if targets.weights is None else np.count_nonzero(targets.weights)
        merged, beginning = _begun(self, merged, int(n_given))
        carry_on(self)
        passes = [_pass_over(self, *start, *merged, targets.scale) for start in _starts(self)]
        value = float(np.mean([result.value for result in passes]))
        number = 1 if first else self.n_iter_ + 1
        if self.verbose:
            print(f"[{type(self).__name__}] pass {number}: objective {value:.6g}")
        limits = InputRange.of(merged[0]) if self.clip else None
        if limits is not None and not first:
            # Without the range of the rows before, that of these few would cut almost anything.
            limits = None if self._input_range is None else limits.joined(self._input_range)
        # Both are of a fit that holds rows out.
        self.validation_scores_ = self.best_validation_score_ = None
        self._store(
            passes[0].samples,
            {
                **dict.fromkeys(HELD_OUT_ATTRIBUTES),
                **self._fitted_attributes(targets, limits, [result.rule for result in passes]),
            },
            number,
            np.append([] if first else self.objective_history_, value),
            np.append([] if first else self.objective_stages_, 0).astype(int),
            [result.progress for result in passes],
        )
        self._beginning = beginning
        return self


def _check_size(estimator, n_outputs):
    """Raise if the rules so far have another number of states than the estimator, or of outputs."""
    for rule in rules_so_far(estimator):
        if (rule.n_hidden, rule.n_outputs) != (estimator.n_hidden, n_outputs):
            raise ValueError(
                f"partial_fit goes on from a rule with n_hidden={rule.n_hidden} and {rule.n_outputs} outputs, got "
                f"n_hidden={estimator.n_hidden} and y with {n_outputs} outputs."
            )


def _begun(estimator, rows, n_given):
    """Take an estimator that has seen only few rows back to its start, and return what it has seen with these.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    rows : tuple of ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q), ndarray of shape (m,)
        Distinct samples and their weights.
    n_given : int
        The number of rows of positive weight that they were given as.

    Returns
    -------
    rows : tuple
        The distinct samples of all calls, if there were few until now; else those given.
    beginning : tuple or None
        What the next call needs to do this again: the parts of ``rows``, the number of rows, and the rules at the
        start. None where there are enough rows.
    """
    before = getattr(estimator, "_beginning", None)
    if before is None and getattr(estimator, "_units", None) is not None:
        return rows, None
    rules = list(getattr(estimator, "rules_", None) or [])
    if before is not None:
        U, *others, number, rules = before
        U = sparse.csr_array(U[:3], shape=U[3]) if isinstance(U, tuple) else U
        mixed = sparse.issparse(U) or sparse.issparse(rows[0])
        U = sparse.csr_array(sparse.vstack([U, rows[0]])) if mixed else np.vstack([U, rows[0]])
        rows = merge_duplicates(U, *map(np.concatenate, zip(others, rows[1:], strict=True)))
        n_given += number
        estimator.rules_, estimator._units, estimator._progress = rules, None, None
    return rows, None if n_given >= _FIRST_ROWS else (parts_of(rows[0]), *rows[1:], n_given, rules)


@dataclass(frozen=True)
class _Pass:
    """One pass of a member.

    Parameters
    ----------
    samples : Samples
        The samples, in the units of training.
    rule : ImplicitRule
        The rule at the end of the pass.
    value : float
        The objective there, over the samples and with the readout as it is.
    progress : tuple
        What the optimiser was made for, the optimiser and the random state, to go on with.
    """

    samples: Samples
    rule: object
    value: float
    progress: tuple


def _starts(estimator):
    """Return for each member the rule to go on from, None for random weights, and what its optimiser remembers."""
    rules = rules_so_far(estimator) or [None] * (1 if estimator.n_members == "auto" else estimator.n_members)
    memories = (getattr(estimator, "_progress", None) or [(None, None, None)] * len(rules))[: len(rules)]
    source = check_random_state(estimator.random_state)
    # Members must not go through the batches, or start, alike; a single one has the source to itself.
    seeds = source.randint(np.iinfo(np.int32).max, size=len(rules)) if len(rules) > 1 else []
    sources = [np.random.RandomState(seed) for seed in seeds] or [source]
    return [
        (rule, (made_for, optimiser, random_state or own))
        for rule, (made_for, optimiser, random_state), own in zip(rules, deepcopy(memories), sources, strict=True)
    ]


def _pass_over(estimator, rule, memory, U, Y, weights, scale_targets):
    """Take one pass of batches from a rule, or from random weights before there is one.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, its choices checked.
    rule : ImplicitRule or None
        The rule.
    memory : tuple
        What the optimiser was made for, the optimiser and the random state.
    U, Y, weights : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q), ndarray of shape (m,)
        Distinct samples.
    scale_targets : bool
        Whether to centre and scale the targets.

    Returns
    -------
    _Pass
        The pass.

    Raises
    ------
    ValueError
        If the intercepts do not fit the rule, or the pass diverged.
    """
    chosen = estimator._check_choices()
    n, p = estimator.n_hidden, U.shape[1]
    units = _units_of(estimator, rule, U, Y, weights, scale_targets)
    made_for, optimiser, random_state = memory
    row_set, readout_set = estimator._make_sets(chosen, units)
    samples = units.like(U, Y, weights)
    direct_ridge = estimator._direct_ridge
    objective = estimator._make_objective(samples, chosen.activation, chosen.direct, direct_ridge, readout_set)
    constraints = estimator._make_constraints(chosen, units, row_set)
    stage = Stage(estimator.alpha_, budget_of(estimator, units), 1, estimator.tol)
    run = chosen.method.begin(TrainingTask(objective, constraints, random_state=random_state))
    if rule is None:
        point = _random_point(n, objective, constraints, random_state)
    else:
        point = objective.point_of(to_start_from(rule, constraints))
        point = replace(point, W=_with_new(estimator, point.W, objective.samples, constraints, random_state))
        point = _at_new_means(estimator, point, objective)
    # Parameters may have been changed since the last call: to the projection, and to what the optimiser remembers, of
    # inputs in the units of then.
    W = run.problem(stage, n, n + p).project(point.W)
    point = replace(point, W=W, readout=objective.admitted(point.readout))
    wanted = (run.make_optimiser, chosen.direct, stage.column_budget is None, estimator.relevance_ is None)
    optimiser = optimiser if made_for == wanted else run.optimiser(stage)
    near = np.zeros((2, objective.samples.n_samples, n))
    point = run.one_pass(stage, point, run.learning_rate, optimiser, *near, _PASS_TOL)
    if point is None:
        raise ValueError(
            f"partial_fit diverged with learning_rate_init={run.learning_rate}; the rule is as it was before. "
            "Lower learning_rate_init, or scale X and y as in the first call."
        )
    ridge = 0.5 * stage.alpha * (np.sum(point.W**2) + point.readout.squared_norm(direct_ridge))
    value = objective.loss_at(point, _PASS_TOL) + float(ridge)
    return _Pass(objective.samples, objective.rule(point), value, (wanted, optimiser, random_state))


def _units_of(estimator, rule, U, Y, weights, scale_targets):
    """Return the units of a pass: those so far, with what these samples tell of columns that have not varied before."""
    units = getattr(estimator, "_units", None)  # a rule that was not trained here has none yet
    if units is None:
        samples = Samples(U, Y, weights, estimator.fit_intercept, scale_targets)
        units = samples.open_units(wait=rule is None)  # a rule that is given has weights of all inputs
        return units if estimator.relevance_ is None else units.rescaled(estimator.relevance_)
    if units.centre != estimator.fit_intercept:
        raise ValueError(
            f"partial_fit goes on from a rule with fit_intercept={units.centre}, got {estimator.fit_intercept}."
        )
    return units.units_with(U, Y, weights)


def _with_new(estimator, W, samples, constraints, random_state):
    """Return weights with random ones of the inputs that first vary in some samples.

    Zeros would be a saddle for an input whose effect is even, such as its size, which no sign of a weight lowers.
    """
    before = getattr(estimator, "_units", None)
    waiting = None if before is None else before.units.waiting
    new = np.zeros(samples.n_inputs, dtype=bool) if waiting is None else waiting & ~samples.constant
    if not new.any():
        return W
    drawn, _ = random_weights(W.shape[0], samples, constraints, random_state)
    return np.where(np.r_[np.zeros(W.shape[0], dtype=bool), new], drawn, W)


def _at_new_means(estimator, point, objective):
    """Return a point that predicts targets which first vary in the samples of an objective right in the mean.

    The constant of before may be many deviations from what they are now, and each batch makes but a small step.
    """
    before, samples = getattr(estimator, "_units", None), objective.samples
    moved = np.zeros(samples.n_outputs, dtype=bool) if before is None else samples.Y_mean != before.Y_mean
    if not moved.any():
        return point
    missed = samples.weights @ (samples.Y - objective.predictions_at(point, _PASS_TOL))
    return replace(point, readout=replace(point.readout, c=point.readout.c + np.where(moved, missed, 0.0)))


def _random_point(n_hidden, objective, constraints, random_state):
    """Return random weights with a readout of zeros."""
    samples = objective.samples
    W, b = random_weights(n_hidden, samples, constraints, random_state)
    C, c = np.zeros((samples.n_outputs, n_hidden)), np.zeros(samples.n_outputs)
    D = np.zeros((samples.n_outputs, samples.n_inputs)) if objective.direct else None
    return Point(W, b, Readout(C, D, c), np.zeros(n_hidden))
