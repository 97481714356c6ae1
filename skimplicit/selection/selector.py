"""ImplicitFeatureSelector: inputs that matter to a deep rule, found along a budget path, judged by refits."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone, is_classifier
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, validate_data

from skimplicit.estimators import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.selection.budget_path import check_groups
from skimplicit.selection.subset_search import SubsetSearch, choose_size

__all__ = ["ImplicitFeatureSelector"]

# Integer targets with more distinct values than this are taken for numbers when no estimator says what they are.
_MOST_CLASSES = 20
# Ridge of the default regressor: a rule of few inputs needs less of it than one that has to find them.
_REFIT_ALPHA = 1e-2


def _delegated(name):
    """Offer a method when the refitted estimator (before ``fit``: the estimator) has it."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator or ImplicitRegressor()), name)
        return True

    return available_if(check)


class ImplicitFeatureSelector(SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    """Select the inputs a deep rule needs: ``min J, ||A||_inf <= kappa, sum_j max_i |B_ij| <= k``, for falling k.

    1. A path of rules under falling column budgets ranks the inputs by their mean share in the budget, that is by how
       long and how large their columns of B live.
    2. The number of inputs is given, or chosen by cross-validation: on every fold a path of its own ranks the inputs,
       rules without a budget are refitted on the best few, and the smallest number within one standard error of the
       best held-out score is taken.
    3. A rule without a budget is refitted on the selected inputs.

    Parameters
    ----------
    estimator : ImplicitRegressor, ImplicitClassifier or None
        Rule to train; its ``alpha`` and ``max_iter`` are those of the refit. None for an ImplicitClassifier when y
        holds strings, booleans or at most 20 distinct integers, and an ``ImplicitRegressor(alpha=0.01)`` otherwise.
    n_features_to_select : int, float or None
        Number of inputs (of groups, with groups); a float in (0, 1] for a share; None to choose by cross-validation.
    column_budgets : int, array-like of float, or None
        Budgets of the path, or their number; see :func:`~skimplicit.implicit_path`.
    groups : array-like of shape (n_features,) or None
        Labels; inputs with the same label (one-hot columns) are selected together.
    cv : int, cross-validation splitter or iterable
        Folds, as in scikit-learn.
    n_jobs : int or None
        Folds and refits that run side by side.
    random_state : int, RandomState instance or None
        Source of the starting weights.

    Attributes
    ----------
    support_ : ndarray of bool of shape (n_features,)
        The selected inputs.
    ranking_ : ndarray of int of shape (n_features,)
        1 for selected inputs, then 2, 3, ... in the order in which the path lets go of them, the last survivor first.
    n_features_ : int
        Number of selected inputs.
    column_budgets_ : ndarray of shape (n_budgets,)
        Budgets of the path on all data.
    column_norms_ : ndarray of shape (n_budgets, n_features)
        Column norms along it.
    path_ : ImplicitPath
        The path on all data.
    best_budget_ : float
        Budget of the path at which the selected inputs stand out most from the others.
    cv_results_ : dict of ndarray
        ``n_features`` tried, ``mean_test_score``, ``std_test_score`` and ``split<i>_test_score`` of the refitted rules;
        empty when the number was given.
    selection_frequency_ : ndarray of shape (n_features,)
        Share of the folds on whose path the input is among the ``n_features_`` best; without cross-validation 1 or 0.
    estimator_ : estimator
        The rule refitted without a budget on the selected inputs.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the inputs, when they have names.

    Notes
    -----
    Identical columns share one effect between them: the cross-validation may keep one or all. A constant column is
    never ranked before one that varies. At least one input is selected; when no selection predicts better than a
    constant it is only one, and a warning tells so.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from skimplicit import ImplicitFeatureSelector
    >>> X, y = make_friedman1(500, n_features=10, random_state=0)
    >>> ImplicitFeatureSelector(n_features_to_select=5, random_state=0).fit(X, y).get_support(indices=True)
    array([0, 1, 2, 3, 4])
    """

    _parameter_constraints = {
        "estimator": [None, HasMethods(["fit", "predict"])],
        "n_features_to_select": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
        ],
        "column_budgets": [None, Interval(Integral, 1, None, closed="left"), "array-like"],
        "groups": [None, "array-like"],
        "cv": ["cv_object"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        estimator=None,
        n_features_to_select=None,
        column_budgets=None,
        groups=None,
        cv=5,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_features_to_select = n_features_to_select
        self.column_budgets = column_budgets
        self.groups = groups
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Select inputs and refit a rule on them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, for training and for the held-out scores.

        Returns
        -------
        self
            The fitted selector.
        """
        with unchanged_on_failure(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight):
        estimator = self._make_estimator(y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=np.float64,
            multi_output=not is_classifier(estimator),
            y_numeric=not is_classifier(estimator),
        )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        groups = check_groups(self.groups, X.shape[1])
        n_units = X.shape[1] if groups is None else int(groups.max()) + 1
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        search = SubsetSearch(estimator, self.column_budgets, groups, seed, self.n_jobs)

        path = search.path(X, y, weight)
        ranking = search.rank(path)
        scores = {}
        if self.n_features_to_select is None and n_units > 1 and _num_samples(X) > 2:
            cv = check_cv(self.cv, y, classifier=is_classifier(estimator))
            folds = list(cv.split(X, y))
            rankings, scores = search.cross_validate(X, y, weight, folds, search.gaps(path))
            size = choose_size(scores)
            best = max(scores.values(), key=np.mean)
            error = np.std(best, ddof=1) / np.sqrt(len(best))
            if np.mean(best) - error <= search.constant_score(X, y, weight, folds):
                size = 1
                warnings.warn(
                    "No selection of inputs predicts better than a constant on held-out folds, beyond their spread: "
                    "there may be nothing to find. The first input of the ranking is kept.",
                    UserWarning,
                    stacklevel=2,
                )
        else:
            size, rankings = self._given_size(n_units), []
        support = search.columns(ranking[:size])
        selected = _safe_indexing(X, np.flatnonzero(support), axis=1)
        refit = search.refit_estimator().fit(selected, y, **({} if weight is None else {"sample_weight": weight}))

        self.path_ = path
        self.column_budgets_, self.column_norms_ = path.column_budgets, path.column_norms
        self.support_ = support
        self.n_features_ = int(support.sum())
        self.ranking_ = search.positions(ranking, size)
        self.best_budget_ = float(path.column_budgets[path.clearest(support)])
        self.cv_results_ = _cv_results(scores)
        frequency = [search.columns(fold_ranking[:size]) for fold_ranking in rankings]
        self.selection_frequency_ = np.mean(frequency, axis=0) if frequency else support.astype(float)
        self.estimator_ = refit
        return self

    def _make_estimator(self, y):
        if self.estimator is not None:
            if not isinstance(self.estimator, ImplicitEstimator):
                raise TypeError(
                    "estimator must be an ImplicitRegressor or ImplicitClassifier, "
                    f"got {type(self.estimator).__name__}."
                )
            return clone(self.estimator)
        values = np.asarray(y)
        if values.dtype.kind in "OUSb" or (values.dtype.kind in "iu" and np.unique(values).size <= _MOST_CLASSES):
            return ImplicitClassifier()
        return ImplicitRegressor(alpha=_REFIT_ALPHA)

    def _given_size(self, n_units):
        wanted = self.n_features_to_select
        if wanted is None:
            return n_units
        if isinstance(wanted, Integral):
            if wanted > n_units:
                raise ValueError(
                    f"n_features_to_select={wanted} is more than the {n_units} inputs (or groups) there are."
                )
            return int(wanted)
        return max(1, round(wanted * n_units))

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def _selected(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return _safe_indexing(X, np.flatnonzero(self.support_), axis=1)

    @_delegated("predict")
    def predict(self, X):
        """Return the predictions of the refitted rule.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            All inputs; the selected ones are used.

        Returns
        -------
        ndarray
            Predictions.
        """
        X = self._selected(X)
        return self.estimator_.predict(X)

    @_delegated("predict_proba")
    def predict_proba(self, X):
        """Return the class probabilities of the refitted rule.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            All inputs; the selected ones are used.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities.
        """
        X = self._selected(X)
        return self.estimator_.predict_proba(X)

    @_delegated("score")
    def score(self, X, y, sample_weight=None):
        """Return the score of the refitted rule: R2, or accuracy for classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            All inputs; the selected ones are used.
        y : array-like
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples.

        Returns
        -------
        float
            The score.
        """
        X = self._selected(X)
        return self.estimator_.score(X, y, sample_weight)

    @property
    def classes_(self):
        """Classes of the refitted classifier."""
        return self.estimator_.classes_

    def __sklearn_tags__(self):
        """Take the type from the estimator."""
        tags = super().__sklearn_tags__()
        inner = (self.estimator or ImplicitRegressor()).__sklearn_tags__()
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.input_tags.sparse = True
        return tags


def _cv_results(scores):
    sizes = sorted(scores)
    table = np.array([scores[size] for size in sizes])
    results = {"n_features": np.array(sizes, dtype=int)}
    if sizes:
        results["mean_test_score"] = table.mean(axis=1)
        results["std_test_score"] = table.std(axis=1)
        results |= {f"split{i}_test_score": table[:, i] for i in range(table.shape[1])}
    return results
