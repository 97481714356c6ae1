"""What the implicit regressor and classifier share: from parameters to a trained rule."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.metadata_routing import _raise_for_params
from sklearn.utils.validation import check_is_fitted

from skimplicit.composition import average, cascade
from skimplicit.estimators.attribute_types import RuleAttributes
from skimplicit.estimators.automatic import HELD_OUT_ATTRIBUTES, fit_automatically
from skimplicit.estimators.budgets import members_within_budget
from skimplicit.estimators.callbacks import CallbackBridge
from skimplicit.estimators.clipping import clip_rule
from skimplicit.estimators.documentation import DocumentedMixin
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.fit_decorators import as_fit
from skimplicit.estimators.folds import FoldsMixin
from skimplicit.estimators.given_ridge import fit_at_given_ridge
from skimplicit.estimators.growing import Trained, fit_growing
from skimplicit.estimators.importance import bounded_sensitivity
from skimplicit.estimators.incremental import IncrementalMixin
from skimplicit.estimators.lazy_columns import check_lazy_output, predict_lazily
from skimplicit.estimators.lazy_rows import open_given_rows
from skimplicit.estimators.predicting import by_rows
from skimplicit.estimators.rule_attributes import RULE_ATTRIBUTES
from skimplicit.estimators.rule_parameters import RULE_PARAMETERS, elsewhere
from skimplicit.estimators.targets import check_weights
from skimplicit.estimators.tasks import TaskMixin
from skimplicit.estimators.validation import validate_named
from skimplicit.estimators.warm_starting import can_warm_start, carry_on, rules_so_far
from skimplicit.linalg import MatrixLike
from skimplicit.parameters import Parametrised
from skimplicit.rows import InputRange, is_lazy
from skimplicit.rule import ImplicitRule

__all__ = ["ImplicitEstimator"]


class ImplicitEstimator(
    TaskMixin,
    FoldsMixin,
    IncrementalMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DocumentedMixin,
    RuleAttributes,
    Parametrised,
    BaseEstimator,
):
    """Base of the estimators that train an implicit rule; they say what the targets and the objective are."""

    _parameters = RULE_PARAMETERS
    _attributes = RULE_ATTRIBUTES
    _elsewhere = staticmethod(elsewhere)

    # Inputs are cut only where a fit has seen their range.
    _input_range, _clip_margin = None, 0.0
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
        """Return the same of one batch of all targets, for ``partial_fit``."""
        return self._encode_targets(y, sample_weight)

    @as_fit(prefer_skip_nested_validation=True)
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

    def _fit(self, X, y, sample_weight, params):
        chosen, names = self._check_choices(), getattr(self, "feature_names_in_", None)
        rows = open_given_rows(self, chosen, X, y, sample_weight)
        targets, limits = rows.targets, rows.limits
        bridge = self._open_bridge(targets, rows.given, None, limits, self.verbose)
        fitted, held_out, distinct = None, dict.fromkeys(HELD_OUT_ATTRIBUTES), None
        warm = can_warm_start(self, rows.X.shape[1], names)
        if not warm:
            self.alpha_ = self._direct_ridge = self.relevance_ = None
        # Told, for one fit, by who has held out rows before it.
        self._clip_margin = vars(self).pop("_margin_given", self._clip_margin if warm else 0.0)
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
        limits = self._where_clipped(rows.limits)
        attributes = {**held_out, **self._fitted_attributes(rows.targets, limits, fitted.rules)}
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

    def _where_clipped(self, limits):
        """Return the :class:`InputRange` that inputs are cut at, from that of training rows; None for none."""
        return limits and limits.widened(self._clip_margin if self.clip == "auto" else 0.0)

    def _open_bridge(self, targets, data, max_iter, limits=None, verbose=0):
        """Return the :class:`CallbackBridge` of a fit to data (X, y, weights) of at most ``max_iter`` iterations."""
        context = self._init_callback_context(max_subtasks=None if max_iter is None else max_iter + 1)

        def fitted_attributes(rules):
            # Where inputs are cut may be chosen meanwhile.
            return self._fitted_attributes(targets, self._where_clipped(limits), rules)

        return CallbackBridge(self, context, *data, fitted_attributes, verbose)

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
        return self._within_range(X) if cut else X

    def _within_range(self, X):
        return X if self._input_range is None else self._input_range.cut(X)

    @property
    def clip_range_(self) -> np.ndarray | Any:
        """Least and largest value that each input is clipped to before a prediction, (2, p); None with ``clip=False``.

        Raises
        ------
        NotFittedError
            If there is no rule yet.
        """
        check_is_fitted(self)
        return None if self._input_range is None else np.stack([self._input_range.lower, self._input_range.upper])

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
            States of all ``rules_``, member after member; for a Dask collection a lazy Dask array.
        """
        check_is_fitted(self)
        if is_lazy(X):
            check_lazy_output(self)
            return predict_lazily(self, "transform", X, self._n_features_out)
        return self._by_rows(X, self.rule_.states)

    def clipped_rule(self) -> ImplicitRule:
        """Return the rule that clips its inputs itself, ``u -> rule_(min(max(u, lower), upper))``.

        Returns
        -------
        ImplicitRule
            ``rule_`` after 2p relu states that clip, sparse above 2,000 inputs; ``rule_`` itself with ``clip=False``.
        """
        check_is_fitted(self)
        return self.rule_ if self._input_range is None else cascade(clip_rule(self._input_range), self.rule_)

    def __sklearn_tags__(self):
        """Declare sparse inputs."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags
