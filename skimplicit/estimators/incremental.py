"""``partial_fit``: one pass of batches at a time, for the methods that take them."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skimplicit.estimators.automatic import FALLBACK_ALPHA, HELD_OUT_ATTRIBUTES
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.methods import METHODS
from skimplicit.estimators.targets import check_weights
from skimplicit.rows import InputRange, Samples, merge_duplicates
from skimplicit.subproblems import Readout
from skimplicit.training import Point, Stage, TrainingTask
from skimplicit.training.continuation import random_weights

__all__ = ["IncrementalMixin", "takes_batches"]

# Tolerance of the states in partial_fit.
_PASS_TOL = 1e-3


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
    def partial_fit(self, X, y, sample_weight=None):
        """Take one pass of batches over the data, from the rule so far.

        The first call, unless it follows ``fit``, starts at random weights and fixes the units: later inputs and
        targets are centred and divided by the means and deviations of that first data. The readout moves with the
        batches like everything else, for the best one for these rows would forget those before.

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
        self._check_choices()
        first = not hasattr(self, "rule_")
        X, y = self._validate_data(X, y, reset=first)
        targets = self._encode_batch(y, check_weights(sample_weight, X))
        merged = merge_duplicates(X, targets.Y, targets.weights)
        samples, rule, value, progress = _pass_over(self, *merged, targets.scale)
        number = 1 if first else self.n_iter_ + 1
        if self.verbose:
            print(f"[{type(self).__name__}] pass {number}: objective {value:.6g}")
        limits = InputRange.of(merged[0]) if self.clip else None
        if limits is not None and not first and self._input_range is not None:
            limits = limits.joined(self._input_range)
        self.alpha_ = pass_alpha(self)
        self._store(
            samples,
            {**dict.fromkeys(HELD_OUT_ATTRIBUTES), **self._fitted_attributes(targets, limits, [rule])},
            number,
            np.append([] if first else self.objective_history_, value),
            np.append([] if first else self.objective_stages_, 0).astype(int),
            progress,
        )
        return self


def pass_alpha(estimator):
    """Return the ridge of a pass: the given one, that of the last fit, or where there was none a fixed one, a float."""
    return getattr(estimator, "alpha_", FALLBACK_ALPHA) if estimator.alpha == "auto" else estimator.alpha


def _pass_over(estimator, U, Y, weights, scale_targets):
    """Take one pass of batches from the estimator's rule, or from random weights before there is one.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, its choices checked.
    U, Y, weights : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q), ndarray of shape (m,)
        Distinct samples.
    scale_targets : bool
        Whether to centre and scale the targets.

    Returns
    -------
    samples : Samples
        The samples, in the units of training.
    rule : ImplicitRule
        The rule at the end of the pass.
    value : float
        The objective there, over the samples and with the readout as it is.
    progress : tuple
        What the optimiser was made for, the optimiser and the random state, to go on with.

    Raises
    ------
    ValueError
        If targets or size do not fit the rule, or the pass diverged.
    """
    chosen = estimator._check_choices()
    n, p, q = estimator.n_hidden, U.shape[1], Y.shape[1]
    rule = getattr(estimator, "rule_", None)
    if rule is None:
        units = Samples(U, Y, weights, estimator.fit_intercept, scale_targets).open_units()
    else:
        units = estimator._units
        if (rule.n_hidden, rule.n_outputs) != (n, q):
            raise ValueError(
                f"partial_fit goes on from a rule with n_hidden={rule.n_hidden} and {rule.n_outputs} outputs, got "
                f"n_hidden={n} and y with {q} outputs."
            )
    made_for, optimiser, random_state = _memory(estimator, rule)
    objective = estimator._make_objective(units.like(U, Y, weights), chosen.activation, chosen.direct)
    constraints = estimator._make_constraints(chosen, units)
    stage = Stage(pass_alpha(estimator), estimator._make_budget(units), 1, estimator.tol)
    run = chosen.method.begin(TrainingTask(objective, constraints, random_state=random_state))
    point = _random_point(n, objective, constraints, random_state) if rule is None else objective.point_of(rule)
    # Parameters may have been changed since the last call: to the projection, and to what the optimiser remembers.
    point = replace(point, W=run.problem(stage, n, n + p).project(point.W))
    wanted = (run.make_optimiser, chosen.direct, stage.column_budget is None)
    optimiser = optimiser if made_for == wanted else run.optimiser(stage)
    memory = np.zeros((2, objective.samples.n_samples, n))
    point = run.one_pass(stage, point, run.learning_rate, optimiser, *memory, _PASS_TOL)
    if point is None:
        raise ValueError(
            f"partial_fit diverged with learning_rate_init={run.learning_rate}; the rule is as it was before. "
            "Lower learning_rate_init, or scale X and y as in the first call."
        )
    ridge = 0.5 * stage.alpha * (np.sum(point.W**2) + point.readout.squared_norm())
    value = objective.loss_at(point, _PASS_TOL) + float(ridge)
    return objective.samples, objective.rule(point), value, (wanted, optimiser, random_state)


def _memory(estimator, rule):
    """Return what the optimiser was made for, the optimiser and the random state, as the last pass has left them."""
    made_for, optimiser, random_state = (None, None, None) if rule is None else deepcopy(estimator._progress)
    return made_for, optimiser, random_state or check_random_state(estimator.random_state)


def _random_point(n_hidden, objective, constraints, random_state):
    """Return random weights with a readout of zeros."""
    samples = objective.samples
    W, b = random_weights(n_hidden, samples, constraints, random_state)
    C, c = np.zeros((samples.n_outputs, n_hidden)), np.zeros(samples.n_outputs)
    D = np.zeros((samples.n_outputs, samples.n_inputs)) if objective.direct else None
    return Point(W, b, Readout(C, D, c), np.zeros(n_hidden))
