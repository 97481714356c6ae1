"""The ridge by cross-validation, for both kinds of target: what the path on the folds and the refit promise."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from scipy import sparse
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_iris, make_friedman1, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit, StratifiedKFold

from skimplicit import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

ALPHAS = [0.01, 0.1, 1.0]
# What estimators with random_state=0 draw for their folds and fits.
SEED = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
PATHS = {"regressor": "mse_path_", "classifier": "log_loss_path_"}


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch):
    """The laws hold for any number of iterations at each ridge."""
    monkeypatch.setattr("skimplicit.estimators.alpha_search._STEP_ITER", 1)


def chooser(kind, **params):
    estimator = ImplicitRegressorCV if kind == "regressor" else ImplicitClassifierCV
    return estimator(**{"n_hidden": 2, "max_iter": 3, "alphas": ALPHAS, "cv": 3, "random_state": 0, **params})


def path_of(model):
    return model.mse_path_ if isinstance(model, ImplicitRegressorCV) else model.log_loss_path_


def data_of(kind):
    if kind == "regressor":
        return make_friedman1(90, n_features=5, noise=1.0, random_state=0)
    return make_moons(90, noise=0.3, random_state=0)


@pytest.fixture(params=list(PATHS))
def kind(request):
    return request.param


@pytest.fixture
def data(kind):
    return data_of(kind)


def test_alpha_has_the_least_mean_held_out_loss(kind, data):
    model = chooser(kind, alphas=[1.0, 0.01, 0.1]).fit(*data)
    np.testing.assert_array_equal(model.alphas_, ALPHAS)  # increasing, in whatever order they are given
    assert path_of(model).shape == (3, 3)
    assert model.alpha_ == model.alphas_[path_of(model).mean(axis=1).argmin()]


def test_number_of_alphas_gives_a_grid(kind, data):
    model = chooser(kind, alphas=4).fit(*data)
    np.testing.assert_allclose(model.alphas_, [1e-3, 1e-2, 1e-1, 1.0])


def test_one_alpha_on_one_fold_is_the_estimator_at_that_alpha(kind, data):
    # At the first ridge of a path nothing differs from a single fit, except that it may stop a little earlier.
    X, y = data
    train, test = next(KFold(3).split(X))
    model = chooser(kind, alphas=[0.01], cv=[(train, test)], tol=1e-4).fit(X, y)
    single = ImplicitRegressor if kind == "regressor" else ImplicitClassifier
    alone = single(n_hidden=2, max_iter=3, alpha=0.01, tol=1e-4, random_state=SEED).fit(X[train], y[train])
    if kind == "regressor":
        expected = mean_squared_error(y[test], alone.predict(X[test]))
    else:
        expected = log_loss(y[test], alone.predict_proba(X[test]))
    assert path_of(model)[0, 0] == pytest.approx(expected, rel=1e-8)


def test_rule_is_that_of_the_estimator_at_the_chosen_alpha(kind, data):
    model = chooser(kind).fit(*data)
    single = ImplicitRegressor if kind == "regressor" else ImplicitClassifier
    alone = single(n_hidden=2, max_iter=3, alpha=model.alpha_, random_state=SEED).fit(*data)
    np.testing.assert_array_equal(model.rule_.B, alone.rule_.B)
    np.testing.assert_array_equal(model.objective_history_, alone.objective_history_)
    assert model.rule_.inf_norm <= model.kappa


def test_same_seed_same_path_and_more_jobs_change_nothing(kind, data, monkeypatch):
    monkeypatch.undo()  # other processes have as many iterations as ever
    one, two = (path_of(chooser(kind, n_jobs=n_jobs, alphas=[0.1, 1.0]).fit(*data)) for n_jobs in (1, 2))
    np.testing.assert_array_equal(two, one)


def test_weight_two_is_a_row_given_twice_in_training_and_in_the_held_out_loss(kind, data):
    X, y = data
    weights = np.random.default_rng(0).integers(1, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    folds = list(KFold(3).split(X))
    repeated_folds = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
    weighted = chooser(kind, cv=folds).fit(X, y, sample_weight=weights)
    repeated = chooser(kind, cv=repeated_folds).fit(X[rows], y[rows])
    np.testing.assert_allclose(path_of(weighted), path_of(repeated), rtol=1e-7)
    assert weighted.alpha_ == repeated.alpha_


def test_a_splitter_may_draw_a_sample_twice(kind, data):
    X, y = data
    train, test = np.r_[:60, :60], np.arange(60, 90)
    twice = chooser(kind, cv=[(train, test)]).fit(X, y)
    once = chooser(kind, cv=[(np.arange(60), test)]).fit(X, y)
    np.testing.assert_allclose(path_of(twice), path_of(once), rtol=1e-7)


def test_sparse_inputs(kind, data):
    X, y = data
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.6, X, 0.0)
    params = {"max_iter": 3, "alphas": [0.1]}
    dense, compressed = chooser(kind, **params).fit(X, y), chooser(kind, **params).fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(path_of(compressed), path_of(dense), rtol=1e-3)


def test_groups_reach_the_splitter(kind, data):
    X, y = data
    groups = np.arange(len(y)) // 15
    with sklearn.config_context(enable_metadata_routing=True):
        model = chooser(kind, cv=GroupKFold(3)).fit(X, y, groups=groups)
    by_hand = chooser(kind, cv=list(GroupKFold(3).split(X, y, groups))).fit(X, y)
    np.testing.assert_array_equal(path_of(model), path_of(by_hand))


def test_groups_without_routing_are_refused(kind, data):
    X, y = data
    with pytest.raises(ValueError, match=r"\[groups\] are passed but are not explicitly set|groups"):
        chooser(kind).fit(X, y, groups=np.zeros(len(y)))


@pytest.mark.parametrize("alphas", [[], [-1.0], [np.nan], [[0.1]], [np.inf], ["a"], ["0.1"], 0.1, [[1], [1, 2]]])
def test_bad_alphas_are_named(kind, data, alphas):
    with pytest.raises(ValueError, match="^(alphas|The 'alphas' parameter.*) must "):
        chooser(kind, alphas=alphas).fit(*data)


@pytest.mark.parametrize(("part", "name"), [(0, "training"), (1, "held-out")])
def test_a_fold_without_weight_is_named(kind, data, part, name):
    X, y = data
    fold = next(KFold(3).split(X))
    weights = np.ones(len(y))
    weights[fold[part]] = 0.0
    with pytest.raises(ValueError, match=f"zero for every {name} sample of fold 0"):
        chooser(kind, cv=[fold]).fit(X, y, sample_weight=weights)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(kind, data):
    X, y = data
    model = chooser(kind).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert vars(model) == before


def test_a_monitor_scores_the_fitted_estimator(kind, data):
    scoring = "r2" if kind == "regressor" else "accuracy"
    monitor = ScoringMonitor(scoring=scoring)
    model = chooser(kind).set_callbacks(monitor).fit(*data)
    log = monitor.get_logs().data_as_pandas
    assert log[scoring].iloc[-1] == pytest.approx(model.score(*data))


class TestClasses:
    """What only the classifier has to take care of."""

    def test_folds_are_stratified(self):
        X, y = load_iris(return_X_y=True)  # sorted by class: plain folds would miss one each
        model = chooser("classifier").fit(X, y)
        by_hand = chooser("classifier", cv=StratifiedKFold(3, shuffle=True, random_state=SEED)).fit(X, y)
        np.testing.assert_array_equal(model.log_loss_path_, by_hand.log_loss_path_)
        assert model.log_loss_path_.max() < 1.0

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_folds_that_miss_a_class(self, n_classes):
        X, y = load_iris(return_X_y=True)
        X, y = X[: 50 * n_classes], np.array(["a", "b", "c"])[y[: 50 * n_classes]]
        model = chooser("classifier", cv=KFold(n_classes)).fit(X, y)
        assert np.all(np.isfinite(model.log_loss_path_))
        assert np.all(model.log_loss_path_ > 10)  # a class that was never seen has next to no probability
        assert set(model.predict(X)) == set(model.classes_)

    def test_a_class_with_one_sample(self):
        X, y = load_iris(return_X_y=True)
        rows = np.r_[:101]
        with pytest.warns(UserWarning, match="least populated class"):
            model = chooser("classifier").fit(X[rows], y[rows])
        assert np.all(np.isfinite(model.log_loss_path_))
        assert model.predict_proba(X).shape == (150, 3)

    def test_class_weight_is_sample_weight(self):
        X, y = data_of("classifier")
        rows = np.flatnonzero((y == 0) | (np.arange(len(y)) % 3 == 0))
        X, y = X[rows], y[rows]
        balanced = chooser("classifier", class_weight="balanced").fit(X, y)
        weights = (len(y) / (2 * np.bincount(y)))[y]
        by_sample = chooser("classifier").fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(balanced.log_loss_path_, by_sample.log_loss_path_, rtol=1e-9)

    def test_labels_of_a_categorical_column(self):
        X, y = data_of("classifier")
        labels = pd.Series(pd.Categorical.from_codes(y, ["late", "early"]))
        model = chooser("classifier").fit(pd.DataFrame(X, columns=["u", "v"]), labels)
        np.testing.assert_array_equal(model.classes_, ["early", "late"])
        assert list(model.feature_names_in_) == ["u", "v"]


class Recorder:
    """A callback that keeps the tasks it hears of and asks to stop, or interrupts, at the ends that it is told to."""

    def __init__(self, stop=lambda context: False, interrupt=lambda context: False):
        self.stop, self.interrupt = stop, interrupt
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        self.begun.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        if self.interrupt(context):
            self.interrupt = lambda context: False  # one Ctrl-C
            raise KeyboardInterrupt
        return self.stop(context)


class Propagated(Recorder):
    """The same, for sub-estimators too."""

    max_propagation_depth = None


def is_in(name):
    """Return a test for iterations of a task of the outer fit."""
    return lambda context: context.task_name == "iteration" and context.parent.source_task_name == name


class TestFolds:
    """How ``cv`` becomes folds."""

    @pytest.mark.parametrize("cv", [None, 4])
    def test_a_number_means_shuffled_seeded_folds(self, kind, data, cv):
        splitter = KFold if kind == "regressor" else StratifiedKFold
        by_hand = chooser(kind, cv=splitter(cv or 5, shuffle=True, random_state=SEED), alphas=[0.1]).fit(*data)
        np.testing.assert_array_equal(path_of(chooser(kind, cv=cv, alphas=[0.1]).fit(*data)), path_of(by_hand))

    def test_sorted_rows_give_as_good_a_ridge_as_shuffled_ones(self):
        # Rows in the order of the targets: every plain fold would have to extrapolate.
        X, y = data_of("regressor")
        order = np.argsort(y)
        filed, plain = chooser("regressor").fit(X[order], y[order]), chooser("regressor", cv=KFold(3))
        assert path_of(filed).min() < 0.6 * path_of(plain.fit(X[order], y[order])).mean(axis=1).min()

    @pytest.mark.parametrize("routing", [False, True])
    def test_a_generator_is_used_once(self, kind, data, routing):
        splits = list(KFold(3).split(data[0]))
        with sklearn.config_context(enable_metadata_routing=routing):
            model = chooser(kind, cv=(split for split in splits))
            model.get_metadata_routing()
            model.fit(*data)
            np.testing.assert_array_equal(path_of(model), path_of(chooser(kind, cv=splits).fit(*data)))
            with pytest.raises(ValueError, match="cv=.*generator.* yields no splits"):
                model.fit(*data)

    def test_masks_are_rows(self, kind, data):
        splits = list(KFold(3).split(data[0]))
        masks = [tuple(np.isin(np.arange(90), rows) for rows in split) for split in splits]
        by_rows, by_masks = (path_of(chooser(kind, cv=cv, alphas=[0.1]).fit(*data)) for cv in (splits, masks))
        np.testing.assert_array_equal(by_masks, by_rows)

    @pytest.mark.parametrize(
        ("cv", "message"),
        [
            ([], "yields no splits"),
            ([([0, 1, 2], [])], "Fold 0 of cv has no held-out sample"),
            ([([], [0, 1, 2])], "Fold 0 of cv has no training sample"),
            ([([0, 1, 2], [90])], "not rows of the 90 samples"),
            ([([0.0, 1.5], [3.0])], "not rows of the 90 samples"),
            ([(0, 1)], "cv yields .* not rows of the 90 samples"),
            ([1], "cv as a list must have pairs .* got 1"),
        ],
    )
    def test_bad_splits_are_named(self, kind, data, cv, message):
        with pytest.raises(ValueError, match=message):
            chooser(kind, cv=cv).fit(*data)

    @pytest.mark.parametrize("cv", [ShuffleSplit(1, random_state=0), LeaveOneOut()])
    def test_one_split_and_one_sample(self, kind, data, cv):
        X, y = data[0][::6], data[1][::6]
        model = chooser(kind, cv=cv, alphas=[0.1, 1.0], max_iter=2).fit(X, y)
        assert path_of(model).shape == (2, cv.get_n_splits(X))
        assert np.all(np.isfinite(path_of(model)))


class TestTasks:
    """Callbacks and interrupts reach the folds."""

    def test_an_estimators_own_callback_hears_of_the_folds(self, kind, data):
        callback = Recorder()
        chooser(kind, n_jobs=2).set_callbacks(callback).fit(*data)
        assert callback.begun == ["setup", "fit", "cross-validation", *["fold"] * 3, "fit at the chosen alpha"]
        assert callback.ended == [*["fold"] * 3, "cross-validation", "fit at the chosen alpha", "fit", "teardown"]

    def test_a_propagated_callback_hears_of_the_iterations(self, kind, data):
        callback = Propagated()
        model = chooser(kind).set_callbacks(callback).fit(*data)
        assert sorted(callback.begun) == sorted([*callback.ended[:-1], "setup"])
        assert callback.begun.count("iteration") > 3 * len(ALPHAS) + model.objective_history_.size
        np.testing.assert_array_equal(path_of(model), path_of(chooser(kind).fit(*data)))

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_progress_reaches_the_folds(self, kind, data, n_jobs, capsys):
        chooser(kind, n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(*data)
        assert "cross-validation" in capsys.readouterr().out

    def test_a_stop_in_an_iteration_ends_the_path_of_the_fold(self, kind, data):
        callback = Propagated(stop=is_in("fold"))
        model = chooser(kind).set_callbacks(callback).fit(*data)
        assert path_of(model).shape == (3, 3)
        assert np.isnan(path_of(model)[1:]).all() and np.isfinite(path_of(model)[0]).all()
        assert model.alpha_ == ALPHAS[0]
        assert model.n_iter_ > 1

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_stop_after_a_fold_ends_the_cross_validation(self, kind, data, n_jobs, monkeypatch):
        two, processes = {"alphas": [0.1, 1.0]}, kind == "regressor"  # and threads for the other kind
        if processes and n_jobs > 1:
            monkeypatch.undo()  # other processes have as many iterations as ever
        callback = Recorder(stop=lambda context: context.task_name == "fold")
        with parallel_config("loky" if processes else "threading"):
            model = chooser(kind, **two, n_jobs=n_jobs).set_callbacks(callback).fit(*data)
        np.testing.assert_array_equal(path_of(model), path_of(chooser(kind, **two).fit(*data))[:, :1])

    def test_an_interrupt_in_the_folds_is_not_caught(self, kind, data):
        model = chooser(kind).set_callbacks(Propagated(interrupt=is_in("fold")))
        before = dict(vars(model))
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data)
        assert vars(model) == before

    @pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
    def test_an_interrupt_in_the_last_fit_keeps_the_rule(self, kind, data):
        model = chooser(kind).set_callbacks(Propagated(interrupt=is_in("fit at the chosen alpha")))
        with pytest.warns(ConvergenceWarning, match="interrupted after 1 iteration"):
            model.fit(*data)
        assert model.objective_history_.size == 1
        assert np.isfinite(path_of(model)).all() and np.isfinite(model.rule_.predict(data[0])).all()


def test_held_out_error_is_averaged_over_targets():
    X, y = data_of("regressor")
    Y = np.column_stack([y, 10.0 * X[:, 0] ** 2])
    train, test = next(KFold(3).split(X))
    model = chooser("regressor", alphas=[0.01], cv=[(train, test)], tol=1e-4).fit(X, Y)
    alone = ImplicitRegressor(n_hidden=2, max_iter=3, alpha=0.01, tol=1e-4, random_state=SEED).fit(X[train], Y[train])
    assert model.mse_path_[0, 0] == pytest.approx(mean_squared_error(Y[test], alone.predict(X[test])), rel=1e-8)
    assert model.predict(X).shape == (len(y), 2)
