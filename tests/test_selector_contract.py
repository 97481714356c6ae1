"""ImplicitFeatureSelector and what surrounds it: targets, estimator, scores, constraints, folds, callbacks."""

import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    implicit_path,
)
from skimplicit.selection.subset_search import SubsetSearch
from skimplicit.selection.subset_size import choose_size, standard_error
from skimplicit.selection.target_kind import estimator_for

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

TRUE = [1, 3]
NUMBERS = ImplicitRegressor(n_hidden=3, alpha=0.01, max_iter=4, tol=1e-2)
LABELS = ImplicitClassifier(n_hidden=3, alpha=0.01, max_iter=4, tol=1e-2)
SEED = np.random.RandomState(0).randint(np.iinfo(np.int32).max)


def make_data(m=90, p=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, p))
    return X, 2 * X[:, 1] - 3 * np.abs(X[:, 3]) + 0.2 * rng.standard_normal(m)


X, Y = make_data()
SIGNS = np.where(Y > np.median(Y), "high", "low")


def selector(estimator=NUMBERS, **parameters):
    return ImplicitFeatureSelector(estimator, **{"column_budgets": 3, "cv": 3, "random_state": 0, **parameters})


@pytest.mark.usefixtures("shortest_paths", "small_defaults")
class TestScikitLearn:
    """What scikit-learn takes the selector for, and does with it."""

    @pytest.mark.parametrize(
        ("estimator", "kind"), [(None, is_regressor), (NUMBERS, is_regressor), (LABELS, is_classifier)]
    )
    def test_it_is_what_its_estimator_is(self, estimator, kind):
        assert kind(ImplicitFeatureSelector(estimator))

    def test_once_fitted_it_is_what_it_has_fitted(self):
        found = selector(None, n_features_to_select=2).fit(X, SIGNS)
        assert is_classifier(found) and not is_regressor(found)
        assert not is_classifier(clone(found))
        assert found.classes_.tolist() == ["high", "low"]
        for scoring in ("accuracy", "roc_auc", "neg_log_loss"):
            assert np.isfinite(get_scorer(scoring)(found, X, SIGNS))
        np.testing.assert_allclose(np.exp(found.predict_log_proba(X)), found.predict_proba(X))
        assert found.decision_function(X).shape == (90,)

    def test_sorted_classes_in_a_cross_validation(self):
        inputs, y = load_iris(return_X_y=True)
        given = selector(clone(LABELS).set_params(alpha=0.003, max_iter=10), n_features_to_select=2, cv=2)
        assert cross_val_score(given, inputs, y, cv=2).min() > 0.8
        left_open = selector(None, n_features_to_select=2, cv=2)
        scores = cross_val_score(left_open, inputs[::2], y[::2], cv=StratifiedKFold(2), scoring="accuracy")
        assert scores.min() > 0.8

    def test_search_over_the_parameters_of_the_estimator(self):
        search = GridSearchCV(
            selector(LABELS, cv=2), {"n_features_to_select": [1, 2], "estimator__alpha": [0.01]}, cv=2
        )
        assert search.fit(X, SIGNS).best_score_ > 0.7

    def test_sample_groups_reach_the_splitter(self):
        groups = np.arange(90) // 15
        with sklearn.config_context(enable_metadata_routing=True):
            found = selector(cv=GroupKFold(3)).fit(X, Y, groups=groups)
        by_hand = selector(cv=list(GroupKFold(3).split(X, Y, groups))).fit(X, Y)
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], by_hand.cv_results_["mean_test_score"])
        with pytest.raises(ValueError, match="groups"):
            selector(cv=GroupKFold(3)).fit(X, Y, groups=groups)


@pytest.mark.usefixtures("shortest_paths", "small_defaults")
class TestTargets:
    """What the default selector takes targets for."""

    @pytest.mark.parametrize(
        ("y", "kind"),
        [
            (Y.astype(object), is_regressor),
            (pd.Series([Decimal(str(value)) for value in Y]), is_regressor),
            (np.arange(90).astype(object), is_regressor),
            ([10**25 * int(1000 * value) for value in Y], is_regressor),
            (pd.Series([2**63 + 10**14 * k for k in range(90)], dtype=object), is_regressor),
            (pd.Series(Y > 0), is_classifier),
            ((Y > 0).astype(object), is_classifier),
            ((Y > 0).astype(int).astype(object), is_classifier),
            (pd.Series((Y > 0).astype(int), dtype="Int64"), is_classifier),
            (pd.Categorical(SIGNS), is_classifier),
            (SIGNS.astype(object), is_classifier),
            (SIGNS.tolist(), is_classifier),
            (np.column_stack([Y > 0, Y > 1]).astype(int), is_regressor),
        ],
    )
    def test_numbers_are_numbers_and_labels_are_labels(self, y, kind):
        found = selector(None, n_features_to_select=1, column_budgets=1, cv=2).fit(X[:40], y[:40])
        assert kind(found) and kind(found.estimator_)
        assert np.isfinite(found.score(X[:40], y[:40]))

    def test_what_is_left_open_is_an_estimator_with_its_defaults(self, monkeypatch):
        monkeypatch.undo()
        for y, kind in ((Y, ImplicitRegressor), (SIGNS, ImplicitClassifier)):
            assert estimator_for(y, None, 3).get_params() == kind(random_state=3).get_params()

    def test_labels_that_no_number_of_64_bits_tells_apart_are_refused(self):
        for estimator in (None, LABELS):
            with pytest.raises(ValueError, match="Unknown label type"):
                selector(estimator).fit(X, [10**25 + k % 2 for k in range(90)])

    def test_no_numbers(self):
        with pytest.raises(ValueError, match="NaN"):
            selector().fit(X, np.where(Y > 0, Y, np.nan).astype(object))


class TestEstimator:
    """What becomes of the estimator that is given."""

    @pytest.mark.parametrize("estimator", [ImplicitRegressorCV(), ImplicitClassifierCV(), ImplicitRegressor, object()])
    def test_what_is_allowed_is_named(self, estimator):
        with pytest.raises(TypeError, match="estimator must be an ImplicitRegressor or ImplicitClassifier, got"):
            implicit_path(X, Y, estimator=estimator)
        if hasattr(estimator, "fit"):
            with pytest.raises(TypeError, match="estimator must be an ImplicitRegressor or ImplicitClassifier, got"):
                selector(estimator).fit(X, Y)

    @pytest.mark.usefixtures("shortest_paths")
    @pytest.mark.parametrize("direct", [False, True, "auto"])
    def test_every_parameter_is_kept(self, direct):
        given = clone(NUMBERS).set_params(direct=direct, kappa=0.5, activation="tanh", random_state=3, n_init=2)
        found = selector(given, n_features_to_select=2).fit(X, Y)
        assert found.estimator_.get_params() == given.get_params()
        assert found.estimator_.rule_.D.any() == (direct is not False)

    def test_a_budget_of_its_own_is_refused(self):
        with pytest.raises(ValueError, match="column_budget=1.0; it must be None"):
            selector(clone(NUMBERS).set_params(column_budget=1.0)).fit(X, Y)


def fixed_at_zero(A, B):
    return [B[:, 1] == 0]


def needs_all_columns(A, B):
    return [B[:, 0] == 0, B[0, 4] <= 10.0, B >= -np.full((3, 5), 9.0)]


@pytest.mark.usefixtures("shortest_paths")
class TestConstraints:
    """Constraints speak of the inputs that the user knows."""

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_they_follow_their_inputs(self, container):
        model = clone(NUMBERS).set_params(constraints=fixed_at_zero, direct=False, max_iter=2)
        found = selector(model, n_features_to_select=0.4, cv=2).fit(container(X), Y)
        assert found.support_[3] and not found.support_[1]

    @pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")  # beyond the spread of two folds
    def test_they_see_all_columns_in_the_search_and_the_refit(self):
        model = clone(NUMBERS).set_params(constraints=needs_all_columns, direct=False, max_iter=2)
        found = selector(model, cv=2, groups=[0, 1, 2, 3, 3]).fit(X, Y)
        assert found.support_[3]
        if found.support_[0]:
            np.testing.assert_allclose(found.estimator_.rule_.B[:, 0], 0, atol=1e-6)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).predict(X), found.predict(X))

    def test_a_constraint_on_a_selected_input_holds(self):
        model = clone(NUMBERS).set_params(constraints=lambda A, B: [B[:, 1] >= 0], direct=False)
        found = selector(model, n_features_to_select=2, cv=2).fit(X, Y)
        assert found.support_[1]
        assert found.estimator_.rule_.B[:, found.get_support(indices=True).tolist().index(1)].min() >= -1e-6


@pytest.mark.usefixtures("short_paths")
class TestScores:
    """What held-out predictions are judged by."""

    def test_default_is_r2_pooled_over_the_folds(self):
        folds = list(KFold(3).split(X))
        found = selector(cv=folds).fit(X, Y)
        by_r2 = selector(cv=folds, scoring="r2").fit(X, Y)
        # Both scores are tried upwards from the same size: the largest one in common is refitted from the same start.
        sizes = [one.cv_results_["n_features"].tolist() for one in (found, by_r2)]
        at, at_r2 = (tried.index(max(set.intersection(*map(set, sizes)))) for tried in sizes)
        null = np.array([np.mean((Y[test] - Y[train].mean()) ** 2) for train, test in folds])
        for i, (_, test) in enumerate(folds):
            error = (1 - by_r2.cv_results_[f"split{i}_test_score"][at_r2]) * np.var(Y[test])
            assert found.cv_results_[f"split{i}_test_score"][at] == pytest.approx(1 - error / null.mean(), rel=1e-9)

    def test_rare_class_with_balanced_weights(self):
        rng = np.random.default_rng(0)
        inputs = rng.standard_normal((600, 6))
        margin = inputs[:, 0] + inputs[:, 1]
        y = (margin > np.quantile(margin, 0.91)).astype(int)
        model = clone(LABELS).set_params(class_weight="balanced")
        assert selector(model).fit(inputs, y).get_support(indices=True).tolist() == [0, 1]

    def test_scores_see_the_weights_of_classes_and_samples(self):
        y = (Y > np.quantile(Y, 0.8)).astype(int)
        balanced = selector(clone(LABELS).set_params(class_weight="balanced")).fit(X, y)
        weighted = selector(LABELS).fit(X, y, (90 / (2 * np.bincount(y)))[y])
        np.testing.assert_allclose(
            balanced.cv_results_["mean_test_score"], weighted.cv_results_["mean_test_score"], rtol=1e-7
        )
        np.testing.assert_array_equal(balanced.support_, weighted.support_)

    @pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "explained_variance"])
    def test_a_name(self, scoring):
        found = selector(scoring=scoring).fit(X, Y)
        assert found.get_support(indices=True).tolist() == TRUE
        assert (found.cv_results_["mean_test_score"].max() < 0) == scoring.startswith("neg")

    def test_a_callable_gets_the_weights_if_it_takes_them(self):
        seen = []

        def with_weights(estimator, inputs, y, sample_weight=None):
            seen.append(sample_weight.sum())
            return r2_score(y, estimator.predict(inputs), sample_weight=sample_weight)

        weights = np.arange(90) % 3 + 1.0
        found = selector(scoring=with_weights).fit(X, Y, weights)
        assert found.get_support(indices=True).tolist() == TRUE
        assert sum(seen[:3]) == pytest.approx(weights.sum())
        plain = selector(scoring=lambda estimator, inputs, y: r2_score(y, estimator.predict(inputs))).fit(X, Y, weights)
        assert plain.get_support(indices=True).tolist() == TRUE

    @pytest.mark.parametrize(
        "scoring", ["neg_max_error", make_scorer(lambda y, predicted: r2_score(y, predicted))], ids=["name", "metric"]
    )
    def test_a_metric_that_takes_no_weights_gets_none(self, scoring):
        folds, weights = list(KFold(2).split(X)), np.arange(90) % 3 + 1.0
        found = selector(scoring=scoring, cv=folds).fit(X, Y, weights)
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        plain = selector(scoring=lambda *rows: scorer(*rows), cv=folds).fit(X, Y, weights)
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])

    def test_a_callable_may_ask_for_the_number_of_inputs(self):
        seen = []

        def adjusted(estimator, inputs, y):
            seen.append((estimator.n_features_in_, inputs.shape[1]))
            m, p = y.size, estimator.n_features_in_
            return 1.0 - (1.0 - r2_score(y, estimator.predict(inputs))) * (m - 1) / (m - p - 1)

        assert selector(scoring=adjusted).fit(X, Y).get_support(indices=True).tolist() == TRUE
        numbers = {own for own, _ in seen}
        assert {1, 2, 5} <= numbers  # rules of few inputs, and constants of all
        assert all(own == given for own, given in seen)

    @pytest.mark.parametrize("shape", [(), (1,)])
    def test_an_array_of_one_number_is_a_score(self, shape):
        plain = selector(scoring="r2").fit(X, Y)
        arrays = selector(scoring=lambda model, *rows: np.full(shape, model.score(*rows))).fit(X, Y)
        np.testing.assert_array_equal(arrays.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])

    def test_classes_by_name(self):
        found = selector(LABELS, scoring="roc_auc").fit(X, SIGNS)
        assert found.support_[1]
        assert 0.5 < found.cv_results_["mean_test_score"].max() <= 1

    def test_a_scorer_that_only_takes_a_constant_is_named(self):
        # The mean is positive, but not what rules predict.
        with pytest.raises(ValueError, match="scoring fails on the held-out rows of fold . of cv: .*strictly positive"):
            selector(scoring="neg_mean_poisson_deviance").fit(X, np.maximum(Y, 0.0))

    @pytest.mark.parametrize("scoring", [lambda *_: np.nan, lambda *_: {"r2": 1.0}])
    def test_no_number_is_named(self, scoring):
        with pytest.raises(ValueError, match="scoring must give a finite number"):
            selector(scoring=scoring).fit(X, Y)

    @pytest.mark.parametrize("scoring", ["nonsense", ["r2"], 3])
    def test_bad_scoring_is_named(self, scoring):
        with pytest.raises(ValueError, match="scoring"):
            selector(scoring=scoring).fit(X, Y)

    def test_several_targets_in_any_unit(self):
        two = np.column_stack([2 * X[:, 1], 1e6 * np.abs(X[:, 3])])
        assert selector().fit(X, two).support_[TRUE].all()
        with_constant = np.column_stack([Y, np.ones(90)])
        assert selector().fit(X, with_constant).get_support(indices=True).tolist() == TRUE

    def test_a_constant_target_says_nothing_though_its_mean_is_rounded(self):
        through_zero = clone(NUMBERS).set_params(fit_intercept=False)
        exact, rounded = (selector(through_zero).fit(X, np.column_stack([Y, np.full(90, c)])) for c in (0.5, 0.1))
        assert exact.get_support(indices=True).tolist() == rounded.get_support(indices=True).tolist() == TRUE
        alike = [found.cv_results_["mean_test_score"] for found in (exact, rounded)]
        np.testing.assert_allclose(*alike, rtol=1e-6)  # was -4e28


@pytest.mark.usefixtures("shortest_paths")
class TestFolds:
    """How ``cv`` becomes folds."""

    @pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")  # of 10 rows, who knows
    @pytest.mark.parametrize("cv", [ShuffleSplit(1, random_state=0), LeaveOneOut()])
    @pytest.mark.parametrize("kind", ["numbers", "labels"])
    def test_one_split_and_one_sample(self, cv, kind):
        inputs, y = make_data(10 if isinstance(cv, LeaveOneOut) else 90, p=4)
        y = y if kind == "numbers" else (y > np.median(y)).astype(int)
        found = selector(NUMBERS if kind == "numbers" else LABELS, cv=cv, column_budgets=3).fit(inputs, y)
        assert found.support_[[1, 3]].any()
        assert np.all(np.isfinite(found.cv_results_["mean_test_score"]))

    def test_one_fold_has_no_standard_error(self):
        assert standard_error(np.array([0.5])) == 0.0
        scores = {1: np.array([0.5]), 2: np.array([0.898]), 4: np.array([0.9])}
        assert choose_size(scores) == 2  # the spread between refits is .03 x .9 x .1
        assert choose_size({size: -value for size, value in scores.items()}) == 1

    @pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")  # beyond the spread of three folds
    def test_a_number_means_shuffled_seeded_folds(self):
        for estimator, y, splitter in ((NUMBERS, Y, KFold), (LABELS, SIGNS, StratifiedKFold)):
            found = selector(estimator).fit(X, y)
            folds = splitter(3, shuffle=True, random_state=SEED)
            by_hand = selector(estimator, cv=folds).fit(X, y)
            np.testing.assert_array_equal(found.cv_results_["mean_test_score"], by_hand.cv_results_["mean_test_score"])

    @pytest.mark.parametrize("routing", [False, True])
    def test_a_generator_is_used_once(self, routing):
        splits = list(KFold(3).split(X))
        with sklearn.config_context(enable_metadata_routing=routing):
            found = selector(cv=(split for split in splits)).fit(X, Y)
            with pytest.raises(ValueError, match="yields no splits"):
                found.fit(X, Y)
        by_list = selector(cv=splits).fit(X, Y)
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], by_list.cv_results_["mean_test_score"])

    def test_folds_that_miss_a_class(self):
        order = np.argsort(SIGNS)
        with pytest.warns(UserWarning, match="there may be nothing to find"):  # folds of one class teach nothing
            found = selector(LABELS, cv=KFold(2)).fit(X[order], SIGNS[order])
        assert np.all(np.isfinite(found.cv_results_["mean_test_score"]))

    def test_what_every_fold_selects_is_not_left_out(self):
        search = SubsetSearch.__new__(SubsetSearch)
        search.n_units = 4
        of_folds = [np.array([3, 1, 0, 2]), np.array([3, 0, 1, 2]), np.array([3, 0, 2, 1])]
        assert search.agree(np.array([2, 1, 0, 3]), of_folds, 2).tolist() == [3, 0, 1, 2]
        assert search.agree(np.array([2, 1, 0, 3]), [], 2).tolist() == [2, 1, 0, 3]


class Recorder:
    """A callback that keeps the tasks it hears of and asks to stop, or interrupts once, where it is told to."""

    def __init__(self, stop=lambda context: False, interrupt=lambda context: False):
        self.stop, self.interrupt, self.begun, self.ended = stop, interrupt, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        if self.interrupt(context):
            self.interrupt = lambda context: False
            raise KeyboardInterrupt
        return self.stop(context)


class Propagated(Recorder):
    """The same, for sub-estimators too."""

    max_propagation_depth = None


@pytest.mark.usefixtures("shortest_paths")
class TestTasks:
    """Callbacks and interrupts."""

    def test_tasks_of_a_fit(self):
        callback = Recorder()
        found = selector().set_callbacks(callback).fit(X, Y)
        n_sizes = found.cv_results_["n_features"].size
        assert sorted(callback.begun) == sorted(callback.ended)
        assert callback.begun[:3] == ["fit", "path", "paths"]
        assert callback.begun.count("fold") == 3 + 3 * n_sizes
        assert callback.ended[-3:] == ["sizes", "refit", "fit"]

    def test_iterations_and_progress(self, capsys):
        callback = Propagated()
        found = selector().set_callbacks(callback, ProgressBar()).fit(X, Y)
        n_fits = (
            1 + 3 + 3 * found.cv_results_["n_features"].size + 1
        )  # paths of all rows and of the folds, sizes, refit
        assert callback.begun.count("iteration") >= 2 * n_fits
        assert sorted(callback.begun) == sorted(callback.ended)
        assert "sizes" in capsys.readouterr().out
        np.testing.assert_array_equal(found.predict(X), selector().fit(X, Y).predict(X))

    @pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")  # after one iteration
    def test_whoever_always_stops_stops_everything(self):
        callback = Propagated(stop=lambda context: True)
        found = selector().set_callbacks(callback).fit(X, Y)
        # One path, one fold of paths and one of one size, and the refit, each of one iteration and one left open.
        assert callback.begun.count("iteration") <= 10
        assert found.column_budgets_.size == 1
        assert np.all(np.isfinite(found.predict(X)))

    def test_a_stop_in_the_paths_of_the_folds(self):
        callback = Recorder(stop=lambda context: context.task_name == "fold" and context.parent.task_name == "paths")
        found = selector().set_callbacks(callback).fit(X, Y)
        assert "split0_test_score" in found.cv_results_ and "split1_test_score" not in found.cv_results_

    def test_a_stop_after_a_size_ends_the_search(self):
        callback = Recorder(stop=lambda context: context.task_name.endswith("inputs"))
        assert selector().set_callbacks(callback).fit(X, Y).cv_results_["n_features"].size == 1

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_stopped_in_the_middle_of_a_size(self, n_jobs):
        def in_the_second_size(context):
            return context.task_name == "fold" and context.parent.task_name != "paths" and context.parent.task_id == 1

        callback = Recorder(stop=in_the_second_size)
        with parallel_config("threading"):
            found = selector(n_jobs=n_jobs).set_callbacks(callback).fit(X, Y)
        first, second = [name for name in callback.begun if name.endswith("inputs")]
        assert first != second
        assert [f"{size} inputs" for size in found.cv_results_["n_features"]] == [
            first
        ]  # the half of a size is no score

    @pytest.mark.parametrize("name", ["path", "fold"])
    def test_an_interrupt_in_the_search_is_not_caught(self, name):
        def interrupt(context):
            return context.task_name == "iteration" and context.parent.source_task_name == name

        found = selector().set_callbacks(Propagated(interrupt=interrupt))
        before = dict(vars(found))
        with pytest.raises(KeyboardInterrupt):
            found.fit(X, Y)
        assert vars(found) == before

    @pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
    def test_an_interrupt_in_the_refit_keeps_the_rule(self):
        def interrupt(context):
            return context.task_name == "iteration" and context.parent.source_task_name == "refit"

        found = selector(n_features_to_select=2).set_callbacks(Propagated(interrupt=interrupt))
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            found.fit(X, Y)
        assert found.estimator_.objective_history_.size == 1
        assert found.get_support(indices=True).tolist() == TRUE

    def test_a_stopped_path_has_the_budgets_it_came_to(self):
        model = clone(NUMBERS).set_callbacks(Recorder(stop=lambda context: True))
        stopped = implicit_path(X, Y, column_budgets=5, estimator=model, random_state=0)
        assert stopped.column_budgets.size == len(stopped.rules) == 1
        assert stopped.column_norms.sum() <= stopped.column_budgets[0] * (1 + 1e-9)
