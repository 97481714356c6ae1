"""ImplicitFeatureSelector: inputs that matter to a deep rule, found along a budget path, judged by refits."""

from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt
from sklearn.utils.metadata_routing import _raise_for_params
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.documentation import DocumentedMixin
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.fit_decorators import as_fit
from skimplicit.estimators.folds import CV
from skimplicit.estimators.rule_parameters import RULE_PARAMETERS
from skimplicit.estimators.side_by_side import data_of, fit_as_task
from skimplicit.linalg import MatrixLike
from skimplicit.parameters import N_JOBS, Names, Parameter, Parametrised, nearest
from skimplicit.rows import is_lazy
from skimplicit.selection.attribute_types import SelectorAttributes
from skimplicit.selection.budget_path import check_budgets
from skimplicit.selection.false_discoveries import beside_knockoffs, check_fdr_data, check_fdr_parameters
from skimplicit.selection.groups import check_groups
from skimplicit.selection.parameter_types import SelectorParameters
from skimplicit.selection.refitted_rule import RefittedRuleMixin
from skimplicit.selection.repeated_folds import check_scoring_of, select_by_folds
from skimplicit.selection.selection_folds import SelectionFoldsMixin
from skimplicit.selection.selection_rows import open_selection
from skimplicit.selection.subset_search import SubsetSearch
from skimplicit.selection.subset_size import RULES, cv_results, given_size
from skimplicit.selection.target_kind import estimator_for, natural_type

__all__ = ["ImplicitFeatureSelector"]


class ImplicitFeatureSelector(
    SelectionFoldsMixin,
    RefittedRuleMixin,
    CallbackSupportMixin,
    SelectorMixin,
    MetaEstimatorMixin,
    SelectorAttributes,
    Parametrised,
    DocumentedMixin,
    BaseEstimator,
):
    """Select the inputs a deep rule needs: ``min J, ||A||_inf <= kappa, sum_j s_j max_i |B_ij| <= k``, for falling k.

    1. Paths of rules under decreasing column budgets, one on all data and one on each fold, from different starts, rank
       the inputs by their mean share in the budget, that is by how long and how large their columns of B survive.
       Inputs are compared in units of their deviations s_j, whatever the units of the data. With more than 200 inputs
       and fewer rows than inputs, only some inputs enter the paths: those that stand out beside one another, linearly
       or bent, and those that explain most on their own.
    2. The number k of inputs is given, or chosen by cross-validation: rules without a budget are refitted on the best
       few inputs of each fold's own path, and ``rule`` says which k is taken, given the held-out scores. The inputs are
       selected that nearly all folds rank among their best k (all paths together break ties), and also inputs in doubt
       whose permutation makes the rules of the folds clearly worse on held-out rows.
    3. A rule without a budget is refitted on the selected inputs.

    With ``fdr``, step 2 is replaced by a control of the expected share of wrong inputs among the selected ones: every
    input gets a knockoff, a generated column that relates to the other inputs as the input does but is independent of
    the targets given the inputs; paths over inputs and knockoffs together show which inputs stand out from chance.

    All rules but the last have half as many states again and A = 0 (without ``constraints``): inputs enter through B,
    and a step takes a third of the time. For scikit-learn the selector is a classifier or regressor as its estimator
    is, and once fitted as ``estimator_`` is.

    {parameters}

    Attributes
    ----------
    support_ : ndarray of bool of shape (n_features,)
        The selected inputs.
    ranking_ : ndarray of int of shape (n_features,)
        1 for selected inputs, then 2, 3, ... by the number of folds that select them and then by the mean share in all
        paths; with ``fdr`` by ``knockoff_statistics_``.
    n_features_ : int
        Number of selected inputs.
    column_budgets_ : ndarray of shape (n_budgets,)
        Budgets of the path on all data.
    column_norms_ : ndarray of shape (n_budgets, n_features)
        Column norms ``s_j max_i |B_ij|`` along that path.
    path_ : ImplicitPath
        The path on all data.
    best_budget_ : float
        Budget of the path at which the selected inputs stand out most from the others.
    cv_results_ : dict of ndarray
        The numbers tried, ``n_features``; ``mean_test_score``, ``std_test_score`` and ``split<i>_test_score`` of the
        refitted rules by ``scoring``, over all folds of all draws; and the ``standard_error`` of the mean, for which
        drawing folds again does not count as more rows. Empty when the number or ``fdr`` was given.
    selection_frequency_ : ndarray of shape (n_features,)
        Share of the folds (with ``fdr``, of the joint paths) on whose path the input is among the best k, where k is
        the number given, or that the held-out scores favour (with ``fdr``, the number selected); with two rows, 1 or 0.
    permutation_scores_ : ndarray of shape (n_features,) or None
        By how many standard errors, over rows, the loss of the folds' rules on held-out rows rises when the values of
        the input (group) are permuted: with ``rule="all_relevant"`` for all inputs, with ``"best"`` for those in doubt,
        NaN for the others. None if it was not computed.
    knockoff_statistics_ : ndarray of shape (n_features,) or None
        With ``fdr``: W_j, the larger of the mean shares of the input and its knockoff in the sum of squared column
        norms on the joint paths, with a minus sign if the larger one is the knockoff's.
    threshold_ : float or None
        With ``fdr``: inputs with ``W_j >= threshold_`` are selected. It is the least t > 0 with
        ``(1 + #{W_j <= -t}) / #{W_j >= t} <= fdr``, or infinity if there is none.
    estimator_ : estimator
        The rule refitted without a budget on the selected inputs (if none is selected, on a column of zeros: a
        constant). It takes ``transform(X)``.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the inputs, when they have names.

    Notes
    -----
    Identical columns share one effect: the cross-validation may keep one or all of them. A constant column is never
    ranked before one that varies. At least one input is selected; if no selection predicts better than a constant, it
    is a single one, with a warning. Only ``fdr`` may select none.

    The guarantee of ``fdr`` is that of the knockoff filter (Candes, Fan, Janson and Lv, 2018): the mean of
    ``#{wrong and selected} / #selected`` over repetitions is at most ``fdr`` if rows are independent and inputs
    Gaussian, however the targets depend on them; an input is wrong if it tells nothing beyond the others. The knockoffs
    match means and covariances, the latter estimated on the same rows, so for other distributions the
    guarantee holds as far as means and covariances describe them. Either none or at least ``1 / fdr`` inputs are
    selected. Nearly equal inputs cannot be told from each other's knockoffs: give them as ``groups``.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from skimplicit import ImplicitFeatureSelector, ImplicitRegressor
    >>> X, y = make_friedman1(300, n_features=8, random_state=0)
    >>> selector = ImplicitFeatureSelector(
    ...     ImplicitRegressor(n_hidden=5, alpha=0.01), n_features_to_select=5, cv=3, random_state=0
    ... )
    >>> selector.fit(X, y).get_support(indices=True)
    array([0, 1, 2, 3, 4])
    """

    _parameters = {
        "estimator": Parameter(
            None,
            "ImplicitRegressor, ImplicitClassifier or None",
            "Rule to train, without a ``column_budget`` and with a number for ``n_hidden``; the refit uses all its "
            "parameters. ``constraints`` are on B for all inputs, with zeros for those that are not selected. None: an "
            "``ImplicitClassifier()`` if y holds strings, booleans or at most 20 distinct integers, and an "
            "``ImplicitRegressor()`` otherwise. As this is not known before ``fit``, scikit-learn then takes the "
            "selector for a regressor and does not stratify the folds of its searches: give these a "
            "``StratifiedKFold``, or the classifier here.",
            [None, HasMethods(["fit", "predict"])],
            positional=True,
        ),
        "n_features_to_select": Parameter(
            None,
            "int, float or None",
            "Number of inputs (with ``groups``, of groups) to select, or their share as a float in (0, 1]. None: "
            "chosen by cross-validation, according to ``rule`` and ``scoring``, which are not used otherwise.",
            [None, Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="right")],
        ),
        "column_budgets": Parameter(
            None,
            "int, array-like of float, or None",
            "Budgets of the paths, for inputs of deviation one, or their number. None for eight.",
            [None, Interval(Integral, 1, None, closed="left"), "array-like"],
        ),
        "groups": Parameter(
            None,
            "array-like of shape (n_features,), dict, list of lists, or None",
            "Inputs that are selected together, such as one-hot columns: a label for each input (a pandas Series has "
            "them by the names in its index); or the names or positions of the columns of each group, as "
            '``{"colour": ["red", "green"]}`` or ``[["red", "green"]]``. A column in no group is a group of its own.',
            [None, dict, "array-like"],
        ),
        "scoring": Parameter(
            None,
            "str, callable or None",
            "Score of held-out predictions, larger is better: a name or ``scorer(estimator, X, y)`` as in "
            "scikit-learn, which is given ``sample_weight`` if it takes it. None: the share of the held-out loss of a "
            "constant prediction that the rule removes, where the loss is the squared error or, for classes, the "
            "log-loss, weighted as in training; for numbers this is R2, pooled over the folds.",
            [None, Names(get_scorer_names()), callable],
        ),
        "rule": Parameter(
            "best",
            '{"best", "one_standard_error", "all_relevant"}',
            'Which number k of inputs is taken, given the held-out scores. ``"best"``: the smallest k that scores as '
            "well as the best up to the spread of refits (all inputs only if the score clearly falls with fewer). Of "
            "these, inputs are dropped that more than a tenth of the folds do not rank among their best k (with more "
            "inputs than rows: two fifths, where a correlation of .6 with one of the best k counts too), unless "
            'their ``permutation_scores_`` tell them from noise. ``"one_standard_error"``: the smallest k that is not '
            "worse than the best by more than one standard error of the difference. "
            '``"all_relevant"``: those of ``"best"`` and all other inputs whose ``permutation_scores_`` tell them from '
            "noise, redundant ones too, for use by a model of another kind.",
            [Names(RULES)],
        ),
        "fdr": Parameter(
            None,
            "float or None",
            "False discovery rate in (0, 1): bound on the expected share of wrong inputs among the selected ones, by "
            "knockoffs. It replaces ``n_features_to_select``, ``rule``, ``scoring`` and ``cv``, which must keep their "
            "defaults, and needs dense inputs, more rows than inputs and no ``constraints``. None for no such control.",
            [None, Interval(Real, 0, 1, closed="neither")],
        ),
        "cv": replace(
            CV,
            text="Splitter or splits, as in scikit-learn, which the refitted rule also uses to choose its ridge, "
            "unless it has a ``cv`` of its own; an int for that many shuffled folds, stratified for classes and seeded "
            "by ``random_state``. None: the splitter or splits of the estimator, or else five such folds. These are "
            "drawn twice with few data (rows times inputs times outputs up to 15,000), three times with fewer "
            "(10,000), and up to six times where inputs are in doubt because not all folds select them.",
        ),
        "n_jobs": Parameter(None, "int or None", "Number of folds and refits that run side by side.", N_JOBS),
        "random_state": Parameter(
            None,
            "int, RandomState instance or None",
            "Source of the folds, and of the starting weights where the estimator has no ``random_state`` of its own.",
            ["random_state"],
        ),
    }

    @staticmethod
    def _elsewhere(name, known):
        """Say of a parameter of the rule where to give it."""
        where = f" Give it to the estimator: ImplicitFeatureSelector(ImplicitRegressor({name}=...))."
        return where if name in RULE_PARAMETERS else nearest(name, known)

    if TYPE_CHECKING:

        def __init__(
            self,
            estimator: ImplicitRegressor | ImplicitClassifier | None = None,
            **parameters: Unpack[SelectorParameters],
        ) -> None: ...

    @as_fit(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any) -> Self:
        """Select inputs and refit a rule on them.

        A KeyboardInterrupt (Ctrl-C) before the refit is not caught, since there is no selection yet; during the refit
        the best rule so far is kept. Callbacks see the path, the folds, the sizes and the refit as tasks of ``fit``,
        and their iterations when they are auto-propagated. A callback that asks to stop ends the current level: a path,
        a round of folds (the selection then uses the folds so far), or the search for the size.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs. With more than 40,000 rows, and ``cv`` a number or None, the search uses a sample of the rows
            (4,000; 10,000 for classes); the rule of the selected inputs is fitted to all of them, without a copy.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, for training and for the held-out scores.
        **params : dict
            Passed to ``split`` of the splitter and of that of the estimator, for instance ``groups`` of samples;
            needs ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self
            The fitted selector. If the fit fails, the selector is as it was before.
        """
        _raise_for_params(params, self, "fit")
        with unchanged_on_failure(self):
            return self._fit(X, y, sample_weight, params)

    def _fit(self, X, y, sample_weight, params):
        y = y if is_lazy(y) else natural_type(y)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        estimator = estimator_for(y, self.estimator, seed)
        check_budgets(self.column_budgets)
        estimator._validate_params()
        estimator._check_choices()
        data = open_selection(self, estimator, X, y, sample_weight)
        groups = check_groups(self.groups, data.X.shape[1], getattr(self, "feature_names_in_", None))
        search = SubsetSearch(estimator, data, self.column_budgets, groups, self.n_jobs, self)
        if self.fdr is not None:
            check_fdr_parameters(self, estimator, params)
            check_fdr_data(self.fdr, data, search.n_units)
        size = given_size(self.n_features_to_select, search.n_units, self.rule)
        decides = self.fdr is None and self.n_features_to_select is None
        chooses = decides and search.n_units > 1 and data.n_counted > 2
        metadata = {"sample_weight": sample_weight, **params}
        leaves_out = chooses or size < search.n_units
        rounds = [] if self.fdr is not None else self._rounds(estimator, data, seed, metadata, leaves_out)
        check_scoring_of(search, self.scoring if chooses else None, rounds)
        for_hooks = data_of(data.X, data.y, data.sample_weight)
        context = self._init_callback_context(max_subtasks=3 + chooses if len(rounds) < 2 else None)
        context.call_on_fit_task_begin(estimator=self, **for_hooks)
        path = search.path(context)
        search.settle_clipping(path, rounds[0] if rounds else [])
        found = (
            select_by_folds(search, rounds, path, size, chooses, self.scoring, self.rule, context)
            if self.fdr is None
            else beside_knockoffs(search, self.fdr, context)
        )
        support = search.columns(found.ranking[: found.size])
        model, params = self._with_splits(search.refit_estimator(support), rounds[0] if rounds else [], params)
        # With a number for alpha the fit holds no rows out to tell.
        model._margin_given = search.estimator._clip_margin
        self._refit(model, data, support, params, context)
        self._take(search, path.of_all(data.X.shape[1], groups), found, support)
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes=lambda: vars(self).copy(), **for_hooks)
        return self

    def _take(self, search, path, found, support):
        """Take over the path on all data, an :class:`ImplicitPath`, and what is :class:`Selected`."""
        self.path_ = path
        self.column_budgets_, self.column_norms_ = path.column_budgets, path.column_norms
        self.support_ = support
        self.n_features_ = int(support.sum())
        self.ranking_ = search.positions(found.ranking, found.size)
        self.best_budget_ = float(path.column_budgets[path.clearest(support)])
        self.cv_results_ = cv_results(found.scores)
        scores = found.permutation_scores
        self.permutation_scores_ = None if scores is None else scores[search.labels]
        self.knockoff_statistics_ = None if found.statistics is None else found.statistics[search.labels]
        self.threshold_ = found.threshold
        frequency = [search.columns(of_fold[: found.n_voted]) for of_fold in found.rankings]
        self.selection_frequency_ = np.mean(frequency, axis=0) if frequency else support.astype(float)

    def _refit(self, model, data, support, params, context):
        """Fit the rule of the selected inputs."""
        everything = data.to_refit(support)
        fit_as_task(model, everything, params, owner=self, context=context, task_name="refit", data={})
        self.estimator_ = model

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        """Be what the estimator is, after ``fit`` what ``estimator_`` is."""
        tags, inner = super().__sklearn_tags__(), get_tags(self._rule_estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.input_tags.sparse = self.fdr is None  # knockoffs are dense
        return tags
