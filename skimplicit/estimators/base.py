"""What the implicit regressor and classifier share: from parameters to a trained rule."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skimplicit.activations import ACTIVATIONS, Activation, get_activation
from skimplicit.estimators.callbacks import CallbackBridge
from skimplicit.estimators.importance import input_importances
from skimplicit.estimators.incremental import IncrementalMixin, choose_optimiser, gradient_settings, hold_out
from skimplicit.estimators.methods import METHODS
from skimplicit.estimators.preparation import Preparation, check_weights, in_user_units, unchanged_on_failure
from skimplicit.estimators.structure import check_structure
from skimplicit.rows import Samples, merge_duplicates
from skimplicit.subproblems import make_solver
from skimplicit.training import Constraints, Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["ImplicitEstimator"]


# A smaller budget, of inputs divided by their deviations, would put the squares of states out of the range of numbers.
_LEAST_BUDGET = 1e-60
# Training that runs out of iterations is worth a warning when the last ones still lowered the objective by this share.
_RECENT, _UNFINISHED = 10, 0.02


class ImplicitEstimator(
    IncrementalMixin, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Base of the estimators that train an implicit rule; they say what the targets and the objective are."""

    _parameter_constraints = {
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation],
        "kappa": [Interval(Real, 0, 1, closed="left")],
        "column_budget": [None, Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "direct": ["boolean", StrOptions({"auto"})],
        "fit_intercept": ["boolean"],
        "structure": [None, "array-like"],
        "constraints": [None, callable],
        "solver": [StrOptions({"auto", "cvxpy", "projected", "adam", "sgd"})],
        "method": [StrOptions(set(METHODS))],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    # What ``validate_data`` is told of y.
    _target_checks = {"multi_output": True, "y_numeric": True}

    def __init__(
        self,
        *,
        n_hidden,
        activation,
        kappa,
        column_budget,
        alpha,
        direct,
        fit_intercept,
        structure,
        constraints,
        solver,
        method,
        max_iter,
        tol,
        warm_start,
        random_state,
        verbose,
        n_init,
        batch_size,
        learning_rate_init,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
    ):
        self.n_hidden = n_hidden
        self.activation = activation
        self.kappa = kappa
        self.column_budget = column_budget
        self.alpha = alpha
        self.direct = direct
        self.fit_intercept = fit_intercept
        self.structure = structure
        self.constraints = constraints
        self.solver = solver
        self.method = method
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_init = n_init
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def _make_objective(self, samples, activation, direct):
        """Return the training objective over samples."""
        raise NotImplementedError

    def _encode_targets(self, y, sample_weight):
        """Return the :class:`EncodedTargets` of validated targets and weights."""
        raise NotImplementedError

    def _encode_batch(self, y, sample_weight):
        """Do the same for targets that are a part of all."""
        return self._encode_targets(y, sample_weight)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the rule.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs. Computation is in float64; CSR matrices are not made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, at least 0; a weight of 2 is a row given twice.

        Returns
        -------
        self
            The fitted estimator. If the fit fails, the estimator is as it was before.
        """
        with unchanged_on_failure(self):
            return self._fit(X, y, sample_weight)

    def _prepare(self, X, y, sample_weight, groups=None):
        """Return the :class:`Preparation` of training data that have been validated."""
        return self._prepare_encoded(X, self._encode(X, y, sample_weight), groups)

    def _encode(self, X, y, sample_weight):
        """Return the :class:`EncodedTargets` of data that have been validated."""
        return self._encode_targets(y, check_weights(sample_weight, X))

    def _prepare_encoded(self, X, targets, groups=None):
        """Return the :class:`Preparation` of inputs and :class:`EncodedTargets`."""
        activation, mask, direct, solver = self._check_choices()
        U, Y, weights = merge_duplicates(X, targets.Y, targets.weights)
        held_out = None
        if self.method == "gradient" and self.early_stopping:
            train, test = hold_out(self, U, Y, stratify=not targets.scale)
            held_out = U[test], Y[test], weights[test]
            U, Y, weights = U[train], Y[train], weights[train]
        samples = Samples(U, Y, weights, self.fit_intercept, targets.scale, groups)
        constraints = self._make_constraints(activation, mask, samples, groups)
        objective = self._make_objective(samples, activation, direct)
        attributes = {**targets.attributes, "_n_features_out": self.n_hidden}
        method = METHODS[self.method]
        if self.method == "gradient":
            held_out = None if held_out is None else samples.like(*held_out)
            method = partial(method, **gradient_settings(self, samples.n_samples, held_out))
        return Preparation(objective, solver, constraints, method, attributes, held_out is not None)

    def _make_constraints(self, activation, mask, samples, groups):
        """Return the constraints in the units of training."""
        if self.column_budget is not None and self.column_budget * samples.U_scale.max(initial=1.0) < _LEAST_BUDGET:
            raise ValueError(
                f"column_budget={self.column_budget!r} leaves nothing of B: it bounds weights of inputs whose standard "
                f"deviations are at most {samples.U_scale.max():.0e}; raise it in proportion to one over those."
            )
        return Constraints(
            kappa=self.kappa / max(activation.lipschitz, 1.0),
            column_weights=samples.budget_weights(groups),
            groups=groups,
            structure=mask,
            custom=None if self.constraints is None else in_user_units(self.constraints, samples),
        )

    def _fit(self, X, y, sample_weight):
        self._check_choices()
        X, y = self._validate_data(X, y)
        prepared = self._prepare(X, y, sample_weight)

        def fitted_attributes(evaluation):
            return {**prepared.attributes, "rule_": prepared.objective.rule(evaluation)}

        context = self._init_callback_context(max_subtasks=self.max_iter * self.n_init + 1)
        bridge = CallbackBridge(self, context, X, y, sample_weight, fitted_attributes, self.verbose)
        result = self._train(prepared, bridge)
        bridge.close(result.evaluation)
        if not (result.converged or result.stopped) and _still_falling(result):
            warnings.warn(
                f"Training stopped after max_iter={self.max_iter} iterations while the objective was still falling by "
                f"more than {_UNFINISHED:.0%} in {_RECENT} iterations. The rule is usable; raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._store(
            prepared.objective.samples,
            fitted_attributes(result.evaluation),
            result.n_iter,
            result.objectives,
            result.stages,
        )
        self.validation_scores_ = self.best_validation_score_ = None
        if prepared.holds_out:
            self.validation_scores_ = result.scores
            self.best_validation_score_ = float(result.scores.max())
        return self

    def _store(self, samples, attributes, n_iter, objectives, stages, progress=(None, None, None)):
        """Set the fitted attributes; ``progress`` is what partial_fit goes on with."""
        for name, value in attributes.items():
            setattr(self, name, value)
        self.n_iter_ = n_iter
        self.objective_history_ = objectives
        self.objective_stages_ = stages
        self.column_norms_ = np.abs(self.rule_.B).max(axis=0)
        self.feature_importances_ = input_importances(self.rule_, samples.U_spread, samples.Y_scale)
        self._units = samples.rows(np.arange(0))
        self._progress = progress

    def _train(self, prepared, bridge):
        """Return the best :class:`TrainingResult` over the starts."""
        objective, constraints = prepared.objective, prepared.constraints
        n_inputs = objective.samples.n_inputs
        random_state = check_random_state(self.random_state)
        best = None
        for start in range(self.n_init):
            if start == 0 and self._can_warm_start(n_inputs):
                W, b = objective.weights_of(self.rule_)
                schedule = [Stage(self.alpha, self.column_budget, self.max_iter, self.tol)]
            else:
                W, b = random_weights(self.n_hidden, n_inputs, constraints.kappa, constraints.structure, random_state)
                raise_alpha = METHODS[self.method].raises_alpha
                schedule = continuation(
                    self.alpha, self.column_budget, constraints, self.max_iter, self.tol, raise_alpha
                )
            b = b if self.fit_intercept else np.zeros_like(b)
            result = prepared.train(schedule, W, b, callback=bridge)
            if best is None or result.evaluation.objective < best.evaluation.objective:
                best = result
            if result.stopped:
                break
        return best

    def _can_warm_start(self, n_inputs):
        rule = getattr(self, "rule_", None)
        return self.warm_start and rule is not None and (rule.n_hidden, rule.n_inputs) == (self.n_hidden, n_inputs)

    def _check_choices(self):
        """Check what parameter constraints cannot say, before any work."""
        activation = get_activation(self.activation)
        METHODS[self.method].check(activation)
        for name in ("alpha", "tol", "column_budget"):
            if getattr(self, name) is not None and not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)!r}.")
        mask = check_structure(self.structure, self.n_hidden)
        direct = self.column_budget is None if self.direct == "auto" else bool(self.direct)
        if self.column_budget is not None and direct:
            raise ValueError(
                "column_budget needs direct=False (or 'auto'): it bounds the columns of B, and a direct term D would "
                "let an input that B drops reach the output all the same."
            )
        if self.column_budget is not None and self.alpha == 0:
            raise ValueError(
                "column_budget needs alpha > 0: without a ridge on C, B can shrink and C grow without changing the "
                "rule, so that the budget would mean nothing."
            )
        if self.method == "gradient":
            return activation, mask, direct, choose_optimiser(self)
        if self.solver in ("adam", "sgd"):
            raise ValueError(f"solver={self.solver!r} needs method='gradient', got method={self.method!r}.")
        return activation, mask, direct, make_solver(self.solver, self.constraints is not None)

    def _validate_data(self, X, y, reset=True):
        checks = dict(accept_sparse="csr", dtype=np.float64, order="C", **self._target_checks)
        return validate_data(self, X, y, reset=reset, **checks)

    def _check_inputs(self, X):
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)

    def transform(self, X):
        """Return the states ``x = phi(A x + B u + b)``, the features the rule has learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_hidden)
            States.
        """
        X = self._check_inputs(X)
        return self.rule_.states(X)

    def __sklearn_tags__(self):
        """Declare sparse inputs."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _still_falling(result):
    """Tell whether the last iterations of the last stage still lowered the objective noticeably."""
    last = result.objectives[result.stages == result.stages.max(initial=0)][-_RECENT:]
    return last.size < _RECENT or last[-1] < (1 - _UNFINISHED) * last[0]
