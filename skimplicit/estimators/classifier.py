"""ImplicitClassifier: cross-entropy."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.class_targets import check_present, class_targets
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.from_rule import FromRuleMixin, rule_of_classes
from skimplicit.estimators.incremental import takes_batches
from skimplicit.estimators.lazy_columns import ScoreMixin, predict_lazily
from skimplicit.estimators.parameter_types import ClassifierParameters
from skimplicit.estimators.rule_attributes import RULE_ATTRIBUTES
from skimplicit.estimators.rule_parameters import RULE_PARAMETERS
from skimplicit.estimators.validation import as_labels
from skimplicit.linalg import MatrixLike
from skimplicit.losses import class_codes
from skimplicit.parameters import Attribute, Names, Parameter
from skimplicit.rows import is_lazy
from skimplicit.rule import ImplicitRule
from skimplicit.training import CrossEntropyObjective

__all__ = ["ImplicitClassifier"]


class ImplicitClassifier(ScoreMixin, ClassifierMixin, FromRuleMixin, ImplicitEstimator):
    """Classification by an implicit rule: ``p = softmax(C x + D u + c)`` where ``x = phi(A x + B u + b)``.

    Trained, by default by block coordinate descent, on ::

        min  -1/m sum_i log p_i[y_i] + alpha/2 (||A||_F^2 + ||B||_F^2 + ||C||_F^2 + ||D||_F^2)
        s.t. X = phi(X A' + U B' + 1 b'),   ||A||_inf <= kappa,   sum_j max_i |B_ij| <= column_budget,

    where the ridge (not the budget) applies to inputs divided by their standard deviations (without intercepts, by
    their root mean squares), so that ``alpha`` means the same in any unit. With ``alpha="auto"``, columns j of B and D
    end with the ridge ``alpha_ / relevance_[j]**2`` where ``relevance_`` is not None. For two classes there is a single
    logit, that of the second class, whose probability is ``1 / (1 + exp(-logit))``.

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitRegressor : The same model for numbers.
    ImplicitClassifierCV : Alpha chosen from a grid by cross-validation, for a single rule.
    ImplicitFeatureSelector : Select the inputs that a rule needs.
    skimplicit.inspection.explain : Contributions of the inputs to predictions.
    sklearn.neural_network.MLPClassifier : Layers in place of an equilibrium.

    References
    ----------
    L. El Ghaoui, F. Gu, B. Travacca, A. Askari, A. Tsai (2021). Implicit Deep Learning. SIAM Journal on Mathematics of
    Data Science 3(3), 930-958.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skimplicit import ImplicitClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> y = y.map(dict(enumerate(["setosa", "versicolor", "virginica"])))
    >>> model = ImplicitClassifier(n_hidden=3, alpha=0.01, tol=1e-2, random_state=0).fit(X, y)
    >>> model.predict(X[:2])
    array(['setosa', 'setosa'], dtype=object)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    class_weight: dict[Any, float] | Literal["balanced"] | None
    classes_: np.ndarray

    _parameters = {
        "kappa": replace(
            RULE_PARAMETERS["kappa"],
            default=0.5,
            text=RULE_PARAMETERS["kappa"].text + " The default is lower than for regression: classes that a rule "
            "nearly separates need no strong feedback.",
        ),
        "class_weight": Parameter(
            None,
            'dict, "balanced" or None',
            'Weights of the classes, as ``{label: weight}``; they multiply ``sample_weight``. ``"balanced"`` gives '
            "every class the same total weight. None: all weights are 1.",
            [dict, Names({"balanced"}), None],
        ),
    }
    _attributes = {
        "classes_": Attribute("ndarray of shape (n_classes,)", "The labels."),
        "rule_": replace(
            RULE_ATTRIBUTES["rule_"],
            text="The trained rule, in the units of the data: ``rule_.predict(X)`` are the logits within "
            "``clip_range_``, and ``clipped_rule().predict(X)`` are beyond it too.",
        ),
        "heldout_scores_": replace(
            RULE_ATTRIBUTES["heldout_scores_"],
            text="Negative log-loss on held-out rows at each ridge in ``alphas_``, of the mean of the members, as if "
            "one more row were of another class. None with a number for alpha.",
        ),
        "heldout_score_": replace(
            RULE_ATTRIBUTES["heldout_score_"],
            text="Estimate of ``score`` (accuracy) on new rows of the classes that have a weight above zero, from the "
            "held-out rows. None with a number for alpha.",
        ),
        "heldout_prediction_": Attribute(
            "ndarray of shape (n_samples, n_classes), or None",
            "Class probabilities of each row, by members that were not trained on it; NaN where there is no such "
            "member. None with a number for alpha, and for a Dask collection of more than 40,000 rows.",
        ),
        "objective_history_": replace(
            RULE_ATTRIBUTES["objective_history_"],
            text="Objective after each accepted iteration, with the readout at that point: up to a few percent above "
            "that of the best readout, except for the last value, which is that of ``rule_`` to 1e-6. It never rises "
            "within a stage of the schedule.",
        ),
    }
    _target_checks = {"classes": True}

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[ClassifierParameters]) -> None: ...

    @classmethod
    def from_rule(cls, rule: ImplicitRule, classes: ArrayLike, **parameters: Any) -> Self:
        """Return a fitted classifier around a rule whose outputs are logits.

        See :meth:`ImplicitRegressor.from_rule <skimplicit.ImplicitRegressor.from_rule>` for the attributes that are
        None and for ``warm_start=True``.

        Parameters
        ----------
        rule : ImplicitRule
            Any rule with one logit for each class or, for two classes, that of the second alone.
        classes : array-like of shape (n_classes,)
            Labels, in the order of the outputs.
        **parameters
            Parameters of the estimator, except ``n_hidden`` and ``activation``.

        Returns
        -------
        ImplicitClassifier
            The fitted estimator. ``classes_`` are sorted, and so are the outputs of ``rule_``; two logits for two
            classes are replaced by their difference.

        Raises
        ------
        TypeError
            If ``rule`` is not a rule, or ``n_hidden`` or ``activation`` are among the parameters.
        ValueError
            If a label is repeated or missing, or the number of labels does not fit the outputs.

        Examples
        --------
        >>> from skimplicit import ImplicitClassifier, ImplicitRule
        >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[-1.0])
        >>> ImplicitClassifier.from_rule(rule, ["low", "high"]).predict([[3.0], [-1.0]])
        array(['high', 'low'], dtype='<U4')
        """
        rule, classes = rule_of_classes(rule, classes)
        return cls._around(rule, {"classes_": classes}, parameters)

    @available_if(takes_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one pass of batches over the data, starting from the current rule.

        Only with ``method="gradient"``, without ``early_stopping``.

        The first call, unless it follows ``fit``, starts at random weights and fixes the units: later inputs are
        standardised by the means and deviations of that first data (an input that is constant there, once it varies).
        Until 10 rows have come, each call starts anew with all rows so far. The readout is trained by batches too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Labels; each must be one of the classes.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, at least 0.
        classes : array-like of shape (n_classes,) or None
            All labels that can occur in any call; required in the first one.

        Returns
        -------
        self
            The estimator. If the call fails, the estimator is as it was before.
        """
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all samples at once; give partial_fit a dict.")
        known = getattr(self, "classes_", None)
        if classes is not None:
            classes = np.unique(as_labels(classes))
            if classes.size < 2:
                raise ValueError(f"classes must have at least 2 labels, got {classes.tolist()}.")
            if known is not None and not np.array_equal(classes, known):
                raise ValueError(f"classes must stay the same: they were {known.tolist()}, got {classes.tolist()}.")
        elif known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with unchanged_on_failure(self):
            self.classes_ = known if classes is None else classes
            return self._partial_fit(X, y, sample_weight)

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return the logits ``C x + D u + c`` for every row u of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs; for a Dask collection the result is a lazy Dask array.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits of the classes; for two classes that of the second, positive where it is predicted.
        """
        check_is_fitted(self)
        if is_lazy(X):
            n_classes = len(self.classes_)
            return predict_lazily(self, "decision_function", X, None if n_classes == 2 else n_classes)
        logits = self._by_rows(X, self.rule_.predict)
        return logits.ravel() if len(self.classes_) == 2 else logits

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the most probable class of every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs; for a Dask collection the result is a lazy Dask array.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return predict_lazily(self, "predict", X, None, self.classes_.dtype)
        logits = self.decision_function(X)
        return self.classes_[(logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)]

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probability of each class for every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs; for a Dask collection the result is a lazy Dask array.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return predict_lazily(self, "predict_proba", X, len(self.classes_))
        return softmax(_all_logits(self.decision_function(X)), axis=1)

    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the logarithm of the probability of each class for every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs; for a Dask collection the result is a lazy Dask array.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms, finite also where a probability rounds to zero.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return predict_lazily(self, "predict_log_proba", X, len(self.classes_))
        return log_softmax(_all_logits(self.decision_function(X)), axis=1)

    def _make_objective(self, samples, activation, direct, direct_ridge=1.0, readout_set=None, recurrent=True):
        return CrossEntropyObjective(samples, activation, direct, direct_ridge, readout_set, recurrent)

    def _path_scores(self, choice):
        return -choice.losses

    def _held_out_score(self, choice, Y, seen, weights):
        """Return the accuracy on rows that were held out."""
        logits = choice.predictions[seen]
        predicted = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
        return float(np.average(predicted == class_codes(Y[seen]), weights=weights[seen]))

    def _as_predictions(self, Y, targets):
        """Return the probabilities of the classes for logits."""
        return softmax(_all_logits(Y), axis=1)

    def _encode_batch(self, y, sample_weight):
        check_classification_targets(y)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"y has labels that are not in classes: {unknown.tolist()}.")
        codes = np.searchsorted(self.classes_, y)
        return class_targets(y, codes, self.classes_, self.class_weight, sample_weight)

    def _encode_targets(self, y, sample_weight):
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        check_present(self, classes, codes, sample_weight, "sample_weight")
        targets = class_targets(y, codes, classes, self.class_weight, sample_weight)
        if self.class_weight is not None:
            check_present(self, classes, codes, targets.weights, "class_weight")
        return targets


def _all_logits(logits):
    """Return a logit for each class, zero for the first of two, whose one may be a vector."""
    logits = logits[:, None] if logits.ndim == 1 else logits
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
