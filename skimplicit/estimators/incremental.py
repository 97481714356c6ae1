"""What ``method="gradient"`` needs from an estimator: its parameters, samples held out, and ``partial_fit``."""

from copy import deepcopy

import numpy as np
from sklearn.base import _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skimplicit.estimators.preparation import check_weights, unchanged_on_failure
from skimplicit.rows import Samples, merge_duplicates
from skimplicit.subproblems import Readout
from skimplicit.training import Adam, Momentum, Point, Stage, StochasticGradient
from skimplicit.training.continuation import random_weights

__all__ = ["IncrementalMixin", "choose_optimiser", "gradient_settings", "hold_out", "takes_batches"]

# Batches of "auto": at most this many samples.
_AUTO_BATCH = 200
# Tolerance of the states in partial_fit.
_PASS_TOL = 1e-3


def choose_optimiser(estimator):
    """Return the class of the optimiser for ``method="gradient"``.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    type
        :class:`~skimplicit.training.optimisers.Adam` or :class:`~skimplicit.training.optimisers.Momentum`.

    Raises
    ------
    ValueError
        If a parameter asks for what the method cannot do.
    """
    if estimator.constraints is not None:
        raise ValueError(
            "constraints cannot be used with method='gradient', which would have to solve a program after every step; "
            "use method='bcd'."
        )
    if estimator.solver in ("cvxpy", "projected"):
        raise ValueError(
            f"solver={estimator.solver!r} solves the equilibrium block, which method='gradient' does not have; use "
            "solver='adam', 'sgd' or 'auto'."
        )
    return Momentum if estimator.solver == "sgd" else Adam


def gradient_settings(estimator, n_samples, held_out=None):
    """Return what :class:`~skimplicit.training.StochasticGradient` takes beyond every method's parameters.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    n_samples : int
        Number of samples.
    held_out : Samples or None
        Samples held out.

    Returns
    -------
    dict
        Keyword arguments.
    """
    return dict(
        random_state=check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max),
        batch_size=min(_AUTO_BATCH, n_samples) if estimator.batch_size == "auto" else estimator.batch_size,
        learning_rate=estimator.learning_rate_init,
        n_iter_no_change=estimator.n_iter_no_change,
        held_out=held_out,
    )


def hold_out(estimator, U, Y, stratify):
    """Split the rows into those to train on and those to judge by.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct samples.
    stratify : bool
        Whether every class goes to both sides in its proportion.

    Returns
    -------
    train, test : ndarray of int
        The rows.

    Raises
    ------
    ValueError
        If a side would be empty, or would miss a class that has more than one sample.
    """
    rows = np.arange(U.shape[0])
    labels = Y @ np.arange(1, Y.shape[1] + 1) if stratify else np.zeros(U.shape[0])
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone = (counts[codes] == 1) & stratify  # the only sample of a class is one to train on
    try:
        train, test = train_test_split(
            rows[~alone],
            test_size=estimator.validation_fraction,
            random_state=check_random_state(estimator.random_state),
            stratify=codes[~alone],
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True cannot hold out validation_fraction={estimator.validation_fraction} of the distinct "
            f"samples, n_samples={U.shape[0]}: {error}"
        ) from error
    train = np.concatenate([train, rows[alone]])
    return np.sort(train), np.sort(test)


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
    if estimator.method != "gradient":
        raise AttributeError(f"partial_fit is only available with method='gradient', got {estimator.method!r}.")
    if estimator.early_stopping:
        raise AttributeError("partial_fit is not available with early_stopping=True, which holds out some of all data.")
    if not estimator._goes_on:
        raise AttributeError(f"{type(estimator).__name__} has no partial_fit: it needs all data to choose alpha.")
    return True


class IncrementalMixin:
    """``partial_fit`` of an :class:`~skimplicit.estimators.base.ImplicitEstimator`."""

    # Whether ``partial_fit`` can go on from a rule.
    _goes_on = True

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
        self._store(
            samples,
            {**targets.attributes, "_n_features_out": self.n_hidden, "rule_": rule},
            1 if first else self.n_iter_ + 1,
            np.append([] if first else self.objective_history_, value),
            np.append([] if first else self.objective_stages_, 0).astype(int),
            progress,
        )
        return self


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
    activation, mask, direct, optimiser_class = estimator._check_choices()
    n, p, q = estimator.n_hidden, U.shape[1], Y.shape[1]
    rule = getattr(estimator, "rule_", None)
    if rule is None:
        units = Samples(U, Y, weights, estimator.fit_intercept, scale_targets).open_units()
        made_for, optimiser, random_state = None, None, check_random_state(estimator.random_state)
    else:
        units = estimator._units
        if (rule.n_hidden, rule.n_outputs) != (n, q):
            raise ValueError(
                f"partial_fit goes on from a rule with n_hidden={rule.n_hidden} and {rule.n_outputs} outputs, got "
                f"n_hidden={n} and y with {q} outputs."
            )
        made_for, optimiser, random_state = deepcopy(estimator._progress)
        random_state = random_state or check_random_state(estimator.random_state)
    objective = estimator._make_objective(units.like(U, Y, weights), activation, direct)
    constraints = estimator._make_constraints(activation, mask, units)
    stage = Stage(estimator.alpha, estimator._make_budget(units), 1, estimator.tol)
    settings = {**gradient_settings(estimator, U.shape[0]), "random_state": random_state}
    method = StochasticGradient(objective, optimiser_class, constraints, **settings)
    if rule is None:
        W, b = random_weights(n, p, constraints.kappa, mask, random_state)
        b = b if estimator.fit_intercept else np.zeros_like(b)
        readout = Readout(np.zeros((q, n)), np.zeros((q, p)) if direct else None, np.zeros(q))
        point = Point(W, b, readout, np.zeros(n))
    else:
        point = objective.point_of(rule)
    # Parameters may have been changed since the last call: to the projection, and to what the optimiser remembers.
    point = Point(method.problem(stage, n, n + p).project(point.W), point.b, point.readout, point.X_mean)
    wanted = (optimiser_class, direct, stage.column_budget is None)
    optimiser = optimiser if made_for == wanted else method.optimiser(stage)
    memory = np.zeros((2, objective.samples.n_samples, n))
    point = method.one_pass(stage, point, estimator.learning_rate_init, optimiser, *memory, _PASS_TOL)
    if point is None:
        raise ValueError(
            f"partial_fit diverged with learning_rate_init={estimator.learning_rate_init}; the rule is as it was "
            "before. Lower learning_rate_init, or scale X and y as in the first call."
        )
    ridge = 0.5 * estimator.alpha * (np.sum(point.W**2) + point.readout.squared_norm())
    value = objective.loss_at(point, _PASS_TOL) + float(ridge)
    return objective.samples, objective.rule(point), value, (wanted, optimiser, random_state)
