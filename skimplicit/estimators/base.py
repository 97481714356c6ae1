"""What the implicit regressor and classifier share: from parameters to a trained rule."""

from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context, is_classifier
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import _raise_for_params
from sklearn.utils.validation import check_is_fitted

from skimplicit.activations import get_activation
from skimplicit.composition import average, cascade
from skimplicit.estimators.automatic import HELD_OUT_ATTRIBUTES, fit_automatically
from skimplicit.estimators.budgets import budget_of, check_budget, members_within_budget
from skimplicit.estimators.callbacks import CallbackBridge
from skimplicit.estimators.choices import Choices, check_numbers
from skimplicit.estimators.clipping import clip_rule
from skimplicit.estimators.custom_constraints import of_readout, of_states
from skimplicit.estimators.documentation import DocumentedMixin
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.folds import FoldsMixin
from skimplicit.estimators.given_ridge import fit_at_given_ridge
from skimplicit.estimators.growing import Trained, fit_growing
from skimplicit.estimators.importance import bounded_sensitivity
from skimplicit.estimators.incremental import IncrementalMixin
from skimplicit.estimators.lazy_columns import check_lazy_output, predict_lazily
from skimplicit.estimators.lazy_rows import open_given_rows
from skimplicit.estimators.lipschitz import lipschitz_balls
from skimplicit.estimators.methods import get_method
from skimplicit.estimators.monotonic import check_monotonic_cst, monotone_signs
from skimplicit.estimators.predicting import by_rows
from skimplicit.estimators.rule_attributes import RULE_ATTRIBUTES
from skimplicit.estimators.rule_parameters import RULE_PARAMETERS
from skimplicit.estimators.structure import check_structure
from skimplicit.estimators.targets import check_weights
from skimplicit.estimators.validation import validate_named
from skimplicit.estimators.validation_split import validation_split
from skimplicit.estimators.warm_starting import can_warm_start, carry_on, rules_so_far
from skimplicit.linalg import MatrixLike
from skimplicit.parameters import Parametrised
from skimplicit.rows import InputRange, Samples, is_lazy, merge_duplicates
from skimplicit.subproblems import RowSet, make_curvature_solver, make_solver
from skimplicit.training import Constraints, TrainingTask

__all__ = ["ImplicitEstimator"]


class ImplicitEstimator(
    FoldsMixin,
    IncrementalMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DocumentedMixin,
    Parametrised,
    BaseEstimator,
):
    """Base of the estimators that train an implicit rule; they say what the targets and the objective are."""

    _parameters = RULE_PARAMETERS
    _attributes = RULE_ATTRIBUTES

    # Inputs are cut only where a fit has seen their range.
    _input_range = None
    # No input is left out: set by who has selected them.
    _keeps_inputs = False
    # What ``validate_named`` is told of y.
    _target_checks = {"multi_output": True, "y_numeric": True}

    def _make_objective(self, samples, activation, direct, direct_ridge=1.0, readout_set=None, recurrent=True):
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
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any) -> Self:
        """Train the rule.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs. Computation is in float64; CSR matrices are not made dense. Memory maps are not copied, and a
            Dask array or data frame of many rows stays on the workers of the active client.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, at least 0; a weight of 2 is a row given twice.
        **params : dict
            Passed to the ``split`` of the splitter ``cv``, for instance ``groups``; needs
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self
            The fitted estimator. If the fit fails, the estimator is as it was before.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` ends training while the objective still falls, or a KeyboardInterrupt (Ctrl-C) does: then
            the best rule so far is kept. An interrupt before the first iteration is done is not caught.
        """
        _raise_for_params(params, self, "fit")
        self._routed(params)  # also where no splitter is asked
        with unchanged_on_failure(self):
            if self.n_hidden == "auto":
                return fit_growing(self, X, y, sample_weight, params)
            return self._fit(X, y, sample_weight, params)

    def _encode(self, X, y, sample_weight):
        """Return the :class:`EncodedTargets` of data that have been validated."""
        return self._encode_targets(y, check_weights(sample_weight, X))

    def _make_task(self, X, targets, groups=None, direct_ridge=1.0, random_state=None):
        """Return the :class:`TrainingTask` of inputs and :class:`EncodedTargets`; without another seed by one's own."""
        chosen = self._check_choices()
        random_state = self.random_state if random_state is None else random_state
        held_out = seed = None
        if chosen.method.holds_out:
            fraction = chosen.method.validation_fraction
            (U, Y, weights), held_out = validation_split(X, targets, fraction, random_state)
        else:
            U, Y, weights = merge_duplicates(X, targets.Y, targets.weights)
        samples = Samples(U, Y, weights, self.fit_intercept, targets.scale, groups)
        if chosen.method.takes_batches:
            seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        held_out = None if held_out is None else samples.like(*held_out)
        return replace(self._task_over(samples, direct_ridge), held_out=held_out, random_state=seed)

    def _task_over(self, samples, direct_ridge=1.0):
        """Return the :class:`TrainingTask` over scaled samples."""
        chosen = self._check_choices()
        row_set, readout_set = self._make_sets(chosen, samples)
        recurrent = self.kappa > 0
        return TrainingTask(
            objective=self._make_objective(
                samples, chosen.activation, chosen.direct, direct_ridge, readout_set, recurrent
            ),
            constraints=self._make_constraints(chosen, samples, row_set),
            solver=chosen.solver,
            curvature_solver=chosen.solver and make_curvature_solver(self.solver, self.constraints is not None),
        )

    def _make_sets(self, chosen, samples):
        """Return the :class:`RowSet` of ``[A B]`` and that of ``[C D]``, in the units of training, None for none."""
        directions, signs, weights = self._directions(samples.given.constant.size), (None, None), (None, None)
        if directions is not None:
            directions = samples.of_given(directions)
            if is_classifier(self) and samples.n_outputs > 1:
                raise ValueError("monotonic_cst is for numbers and for two classes, got more classes.")
            signs = monotone_signs(directions, self.n_hidden, samples.n_outputs, chosen.direct)
        if self.lipschitz is not None:
            slope = chosen.activation.lipschitz
            kappa = self._kappa(chosen.activation)
            weights = lipschitz_balls(self.lipschitz, kappa, slope, samples, self.n_hidden, chosen.direct)
        row_set, readout_set = (
            None if own_signs is None and own_weights is None else RowSet(own_signs, own_weights)
            for own_signs, own_weights in zip(signs, weights, strict=True)
        )
        custom = self.constraints and of_readout(self.constraints, samples, chosen.direct, self.n_hidden)
        if custom is not None:
            from skimplicit.subproblems.readout.custom import CustomRowSet

            readout_set = CustomRowSet(signs[1], weights[1], custom=custom, n_states=self.n_hidden)
        return row_set, readout_set

    def _kappa(self, activation):
        """Return the bound on A that makes ``activation`` a contraction with kappa."""
        return self.kappa / max(activation.lipschitz, 1.0)

    def _directions(self, n_inputs):
        """Return the directions of ``monotonic_cst``, an ndarray of shape (n_inputs,), or None."""
        return check_monotonic_cst(self.monotonic_cst, n_inputs, getattr(self, "feature_names_in_", None))

    def _make_constraints(self, chosen, samples, row_set):
        """Return the constraints in the units of training."""
        return Constraints(
            kappa=self._kappa(chosen.activation),
            structure=chosen.structure,
            custom=None if self.constraints is None else of_states(self.constraints, samples, chosen.direct),
            row_set=row_set,
        )

    def _make_budget(self, samples):
        """Return the :class:`ColumnBudget` in the units of training, None for no bound."""
        return budget_of(self, samples)

    def _fit(self, X, y, sample_weight, params):
        chosen, names = self._check_choices(), getattr(self, "feature_names_in_", None)
        rows = open_given_rows(self, chosen, X, y, sample_weight)
        targets, limits = rows.targets, rows.limits
        bridge = self._open_bridge(targets, rows.given, None, limits, self.verbose)
        fitted, held_out, distinct = None, dict.fromkeys(HELD_OUT_ATTRIBUTES), None
        warm = can_warm_start(self, rows.X.shape[1], names)
        if not warm:
            self.alpha_ = self._direct_ridge = self.relevance_ = None
        if self.column_budget != "auto" or not warm:
            self.column_budget_ = None if self.column_budget == "auto" else self.column_budget
        if self.alpha == "auto" and not warm:
            fitted, held_out, distinct = fit_automatically(self, chosen, rows, params, bridge)
        if fitted is None:
            carry_on(self)
            fitted = fit_at_given_ridge(self, chosen, rows, rules_so_far(self) if warm else [], bridge)
        else:
            self._direct_ridge, self.relevance_ = fitted.choice.direct_ridge, fitted.relevance
        bridge.close(fitted.rules)
        self.validation_scores_ = fitted.scores if fitted.scores.size else None
        self.best_validation_score_ = float(fitted.scores.max()) if fitted.scores.size else None
        self._take(rows, fitted, held_out)
        if "_trained" in vars(self):  # somebody has asked for it
            self._trained = Trained(rows, fitted, held_out, distinct)
        return self

    def _take(self, rows, fitted, held_out):
        """Set the fitted attributes of members trained on all rows and of what held-out rows tell."""
        attributes = {**held_out, **self._fitted_attributes(rows.targets, rows.limits, fitted.rules)}
        samples = rows.judged(fitted.task.objective.samples)
        self._store(samples, attributes, fitted.n_iter, fitted.objectives, fitted.stages)

    def _fitted_attributes(self, targets, limits, rules):
        """Return what a copy of the estimator needs to predict as the mean of some rules does."""
        rules = members_within_budget(self, rules)
        attributes = {"rule_": average(*rules), "rules_": rules, "_input_range": limits}
        sizes = {"n_features_in_": rules[0].n_inputs, "_n_features_out": sum(rule.n_hidden for rule in rules)}
        return {**targets.attributes, **attributes, **sizes}

    def _limits(self, X, targets):
        """Return the :class:`InputRange` of the rows that are trained on, None where inputs are not cut."""
        if not self.clip:
            return None
        return InputRange.of(X if targets.weights is None else X[np.flatnonzero(targets.weights > 0)])

    def _open_bridge(self, targets, data, max_iter, limits=None, verbose=0):
        """Return the :class:`CallbackBridge` of a fit to data (X, y, weights) of at most ``max_iter`` iterations."""
        context = self._init_callback_context(max_subtasks=None if max_iter is None else max_iter + 1)
        return CallbackBridge(self, context, *data, partial(self._fitted_attributes, targets, limits), verbose)

    def _store(self, samples, attributes, n_iter, objectives, stages, progress=None):
        """Set the fitted attributes; ``progress`` is what each member goes on with in partial_fit, None in fit."""
        for name, value in attributes.items():
            setattr(self, name, value)
        self.n_iter_ = n_iter
        self.objective_history_ = objectives
        self.objective_stages_ = stages
        self.column_norms_ = np.abs(self.rule_.B).max(axis=0)
        self.sensitivity_ = bounded_sensitivity(self.rule_, samples)
        self._judge_by(samples, now=progress is None)
        self._units = samples.rows(np.arange(0))
        self._progress, self._beginning = progress, None

    def _check_choices(self):
        """Return the :class:`Choices`; check what parameter constraints cannot say, before any work."""
        activation, method = get_activation(self.activation), get_method(self.method)
        activation.check()
        method.check(activation)
        check_numbers(self)
        if self.monotonic_cst is not None and np.min(activation.min_slope) < 0:
            raise ValueError(f"monotonic_cst needs an activation that never falls, got activation={self.activation!r}.")
        mask = check_structure(self.structure, self.n_hidden)
        direct = self.column_budget is None if self.direct == "auto" else bool(self.direct)
        check_budget(self, direct)
        return Choices(activation, mask, direct, method, self._choose_solver(method))

    def _choose_solver(self, method):
        """Return the solver of the equilibrium block, None for a method without one."""
        if method.has_equilibrium_block:
            return make_solver(self.solver, self.constraints is not None)
        if self.constraints is not None:
            raise ValueError(
                f"constraints cannot be used with method={self.method!r}, which would have to solve a program after "
                "every step; use method='bcd'."
            )
        if self.solver != "auto":
            raise ValueError(
                f"solver={self.solver!r} solves the equilibrium block, which method={self.method!r} does not have; "
                "leave solver='auto'."
            )
        return None

    def _validate_data(self, X, y, reset=True, as_it_is=False):
        # What goes by blocks is converted and looked through by blocks: a memory map stays one, of whatever numbers.
        form = (
            dict(dtype="numeric", order=None, ensure_all_finite=False)
            if as_it_is
            else dict(dtype=np.float64, order="C")
        )
        return validate_named(self, X, y, **form, **self._target_checks, reset=reset, accept_sparse="csr")

    def _check_inputs(self, X, cut=True):
        check_is_fitted(self)
        X = validate_named(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return self._input_range.cut(X) if cut and self._input_range is not None else X

    def _by_rows(self, X, function):
        return by_rows(self._check_inputs, X, function)

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Return the states ``x = phi(A x + B u + b)``, the features the rule has learned.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_members * n_hidden)
            States, member by member, those of all ``rules_``; of a Dask collection a lazy Dask array.
        """
        check_is_fitted(self)
        if is_lazy(X):
            check_lazy_output(self)
            return predict_lazily(self, "transform", X, self._n_features_out)
        return self._by_rows(X, self.rule_.states)

    def clipped_rule(self):
        """Return the rule that cuts its inputs itself, ``u -> rule_(min(max(u, lower), upper))``.

        Returns
        -------
        ImplicitRule
            ``rule_`` after 2p relu states that cut, sparse above 2,000 inputs; ``rule_`` itself with ``clip=False``.
        """
        check_is_fitted(self)
        return self.rule_ if self._input_range is None else cascade(clip_rule(self._input_range), self.rule_)

    def __sklearn_tags__(self):
        """Declare sparse inputs."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags
