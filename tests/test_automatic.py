"""``alpha="auto"``: what held-out rows choose, and what the estimator says of it."""

import pickle
from functools import cache

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, TimeSeriesSplit, cross_val_score

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.composition import average
from skimplicit.training import StochasticGradient

pytestmark = pytest.mark.slow

SMALL = dict(n_hidden=3, max_iter=2, cv=2, random_state=0)
# For laws that hold of rules that are trained well enough.
BETTER = SMALL | dict(max_iter=4, cv=3)


def make_data(m=60, p=3, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, p))
    return X, np.abs(2 * X[:, 0]) + X[:, 1] + noise * rng.normal(size=m)


def labels_of(y, k=2):
    return np.array(["a", "b", "c"])[np.digitize(y, np.quantile(y, np.arange(1, k) / k))]


X, Y = make_data()


@cache
def fitted():  # for all tests of a process: not to be asked where a fixture changes what fits go by
    return ImplicitRegressor(**SMALL).fit(X, Y)


def assert_same(one, other, rows=X):
    np.testing.assert_allclose(one.predict(rows), other.predict(rows), rtol=1e-9, atol=1e-9)
    assert one.alpha_ == other.alpha_
    np.testing.assert_allclose(one.heldout_scores_, other.heldout_scores_, rtol=1e-9)
    assert one.heldout_score_ == pytest.approx(other.heldout_score_, rel=1e-9)


def test_attributes_hang_together():
    model = fitted()
    assert np.all(np.diff(model.alphas_) > 0)
    assert model.alphas_.shape == model.heldout_scores_.shape
    if not model.is_linear_:  # the choice smooths the scores: the chosen one is near the best
        (chosen,) = model.heldout_scores_[model.alphas_ == model.alpha_]
        assert chosen >= model.heldout_scores_.max() - 0.01
    assert model.heldout_prediction_.shape == Y.shape and np.isfinite(model.heldout_prediction_).all()
    assert model.heldout_score_ <= 1 and model.heldout_scores_.max() <= 1
    fixed = ImplicitRegressor(n_hidden=3, alpha=0.1, max_iter=6, tol=0.1).fit(X, Y)
    assert fixed.alpha_ == 0.1
    for name in ("alphas_", "heldout_scores_", "heldout_score_", "heldout_prediction_", "is_linear_"):
        assert getattr(fixed, name) is None


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(X))
    other = ImplicitRegressor(**SMALL).fit(X[order], Y[order])
    assert_same(fitted(), other)
    np.testing.assert_allclose(other.heldout_prediction_, fitted().heldout_prediction_[order], rtol=1e-9)


def test_a_weight_is_a_repetition_and_zero_is_absence():
    counts = np.random.default_rng(1).integers(0, 3, len(X))
    weighted = ImplicitRegressor(**SMALL).fit(X, Y, sample_weight=counts)
    repeated = ImplicitRegressor(**SMALL).fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts))
    assert_same(weighted, repeated)
    held = weighted.heldout_prediction_
    assert np.isnan(held[counts == 0]).all()
    np.testing.assert_allclose(np.repeat(held, counts), repeated.heldout_prediction_, rtol=1e-9)


def counts(m, seed):
    """Few inputs of few values, and a class that they leave open: the same rows are drawn again and again."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(1, 5, m), rng.random(m) < 0.75, rng.random(m) < 0.95]).astype(float)
    logits = 1.5 - 0.6 * X[:, 0] - 2.2 * X[:, 1] * (X[:, 0] > 1) + 0.8 * (1 - X[:, 2])
    return X, (rng.random(m) < 1 / (1 + np.exp(-logits))).astype(int)


def test_a_table_of_counts_is_held_out_row_by_row():
    X, y = counts(600, 0)
    new_X, new_y = counts(20000, 100)
    model = ImplicitClassifier(n_hidden=8, cv=3, random_state=0).fit(X, y)
    linear = LogisticRegression().fit(X, y)
    score = model.score(new_X, new_y)
    assert score > linear.score(new_X, new_y) - 0.02
    losses = [log_loss(new_y, each.predict_proba(new_X)) for each in (model, linear)]
    assert losses[0] < losses[1] + 0.005
    assert abs(model.heldout_score_ - score) < 0.04
    assert model.alphas_.min() > 1e-7  # some thirty kinds of rows leave nothing more to learn


def fitted_to_rows_and_table(**parameters):
    X, y = counts(200, 0)
    rows, times = np.unique(np.column_stack([X, y]), axis=0, return_counts=True)
    given, table = (ImplicitClassifier(**{**SMALL, **parameters}) for _ in range(2))
    given.fit(X, y)
    table.fit(rows[:, :-1], rows[:, -1].astype(int), sample_weight=times)
    return X, y, rows, given, table


@pytest.mark.parametrize("class_weight", [None, {0: 0.7, 1: 1.3}])
def test_early_stopping_judges_by_rows_of_a_table_of_counts(class_weight):
    trained = {"alpha": 1e-3, "max_iter": 200, "method": StochasticGradient(early_stopping=True)}
    X, _, _, given, table = fitted_to_rows_and_table(**trained, class_weight=class_weight)
    np.testing.assert_allclose(table.predict_proba(X), given.predict_proba(X), rtol=1e-9)
    assert given.best_validation_score_ > 0


def test_a_table_that_no_line_of_which_can_be_foreseen_is_learnt():
    lines = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    parity = lines.sum(axis=1) % 2
    X, y = np.tile(lines, (25, 1)), np.tile(parity, 25)
    few = {"n_hidden": 5, "max_iter": 20, "cv": 3, "random_state": 0}
    np.testing.assert_array_equal(ImplicitClassifier(**few).fit(X, y).predict(lines), parity)
    np.testing.assert_allclose(ImplicitRegressor(**few).fit(X, y).predict(lines), parity, atol=0.01)
    weighted = ImplicitRegressor(**few).fit(lines, parity, sample_weight=np.full(4, 25))
    np.testing.assert_allclose(weighted.predict(lines), parity, atol=0.01)


@pytest.mark.usefixtures("short_ladder")
def test_a_table_of_counts_may_be_given_with_its_counts():
    X, y, rows, given, table = fitted_to_rows_and_table()
    np.testing.assert_allclose(table.predict_proba(X), given.predict_proba(X), rtol=1e-9)
    assert table.heldout_score_ == pytest.approx(given.heldout_score_, rel=1e-12)
    held = {tuple(row): value for row, value in zip(rows, table.heldout_prediction_, strict=True)}
    expected = [held[tuple(row)] for row in np.column_stack([X, y])]
    np.testing.assert_allclose(given.heldout_prediction_, expected, rtol=1e-9)


@pytest.mark.parametrize("fill", [100.0, 1e16, 1e200])
@pytest.mark.usefixtures("short_ladder")
def test_rows_of_weight_zero_are_absent_under_a_splitter_too(fill):
    folds = [(np.arange(60) % 3 != k, np.arange(60) % 3 == k) for k in range(3)]
    inputs = np.vstack([np.full((1, 3), fill), X])
    longer = [
        (np.flatnonzero(np.r_[k > 0, train]), np.flatnonzero(np.r_[k == 0, ~train]))
        for k, (train, _) in enumerate(folds)
    ]
    absent = (
        ImplicitRegressor(**SMALL)
        .set_params(cv=longer)
        .fit(inputs, np.r_[-fill, Y], sample_weight=np.r_[0, np.ones(60)])
    )
    never = (
        ImplicitRegressor(**SMALL).set_params(cv=[(np.flatnonzero(a), np.flatnonzero(b)) for a, b in folds]).fit(X, Y)
    )
    assert_same(absent, never)
    np.testing.assert_array_equal(absent.heldout_prediction_, np.r_[np.nan, never.heldout_prediction_])
    far = 50 * X[:10]
    np.testing.assert_allclose(absent.predict_interval(far), never.predict_interval(far), rtol=1e-9)
    spreads = (model.predict(far, return_std=True)[1] for model in (absent, never))
    np.testing.assert_allclose(*spreads, rtol=1e-9)


def test_jobs_and_pickles_give_the_same_rule():
    assert_same(fitted(), ImplicitRegressor(**SMALL).set_params(n_jobs=2).fit(X, Y))
    again = pickle.loads(pickle.dumps(fitted()))
    np.testing.assert_array_equal(again.predict(X), fitted().predict(X))
    np.testing.assert_array_equal(again.predict_interval(X), fitted().predict_interval(X))
    np.testing.assert_array_equal(again.predict(X, return_std=True)[1], fitted().predict(X, return_std=True)[1])


def test_sparse_inputs_give_the_same_rule():
    inputs = np.where(np.abs(X) < 0.5, 0.0, X)
    dense, other = (ImplicitRegressor(**SMALL).fit(make(inputs), Y) for make in (np.asarray, sparse.csr_array))
    np.testing.assert_allclose(dense.predict(inputs), other.predict(sparse.csr_array(inputs)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        dense.predict_interval(inputs), other.predict_interval(sparse.csr_array(inputs)), rtol=1e-3, atol=1e-3
    )


def test_a_prediction_does_not_depend_on_the_batch():
    whole = fitted().predict(X)
    np.testing.assert_allclose(np.concatenate([fitted().predict(row[None]) for row in X[:10]]), whole[:10], rtol=1e-9)
    np.testing.assert_allclose(fitted().predict_interval(X[:1]), fitted().predict_interval(X)[:1], rtol=1e-9)


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("n_members", [1, 3, 5])
@pytest.mark.parametrize("alpha", ["auto", 0.1])
def test_the_rule_is_the_mean_of_the_members(n_members, alpha):
    model = ImplicitRegressor(**{**SMALL, "max_iter": 3}, alpha=alpha, tol=0.5, n_members=n_members).fit(X, Y)
    assert alpha == "auto" and model.is_linear_ or len(model.rules_) == n_members
    mean = np.mean([rule.predict(X) for rule in model.rules_], axis=0)
    np.testing.assert_allclose(model.rule_.predict(X), mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(average(*model.rules_).predict(X), mean, rtol=1e-9, atol=1e-9)
    norms = [np.abs(rule.A).sum(axis=1).max() for rule in model.rules_]
    assert np.abs(model.rule_.A).sum(axis=1).max() == pytest.approx(max(norms)) and max(norms) <= model.kappa
    assert model.transform(X).shape == (60, 3 * len(model.rules_)) == (60, len(model.get_feature_names_out()))


def test_linear_data_end_linear_and_as_good_as_ridge():
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(80, 8))
    y = inputs[:, :3].sum(axis=1) + 2.0 * rng.normal(size=80)
    fresh = rng.normal(size=(2000, 8))
    truth = fresh[:, :3].sum(axis=1)
    model = ImplicitRegressor(**BETTER).fit(inputs, y)
    ridge = RidgeCV(np.logspace(-2, 4, 13)).fit(inputs, y)
    assert model.is_linear_ is True
    assert not model.rule_.C.any() or not model.transform(inputs).any()
    error, reference = (np.mean((m.predict(fresh) - truth) ** 2) for m in (model, ridge))
    assert error <= reference + 0.1


def test_noise_alone_is_hardly_fitted():
    rng = np.random.default_rng(3)
    inputs, y = rng.normal(size=(80, 5)), rng.normal(size=80)
    model = ImplicitRegressor(**BETTER).fit(inputs, y)
    assert abs(model.heldout_score_) < 0.15
    assert np.var(model.predict(inputs)) < 0.3


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_an_end_of_the_schedule_that_wins_is_extended(noise, seed):
    inputs, y = make_data(noise=noise, seed=seed)
    model = ImplicitRegressor(**SMALL).fit(inputs, y)
    best = np.argmax(model.heldout_scores_)
    assert best > 0 or model.alphas_[0] <= 1.1e-8
    assert best < len(model.alphas_) - 1 or model.alphas_[-1] >= 0.9e3


def test_a_member_whose_path_ends_early_does_not_end_those_of_the_others():
    inputs, y = make_friedman1(100, noise=1.0, random_state=1)
    model = ImplicitRegressor(n_hidden=5, random_state=1).fit(inputs, y)
    # One of five gets so much worse at the second ridge that it ends; to the others larger ones are far better. A rule
    # without states was taken, with an R2 of .68.
    assert model.alpha_ == pytest.approx(10**-1.5) and not model.is_linear_
    assert model.score(*make_friedman1(1000, noise=1.0, random_state=2)) > 0.8


def test_a_splitter_of_times_holds_out_the_later_rows_only():
    model = ImplicitRegressor(**SMALL).set_params(cv=TimeSeriesSplit(3)).fit(X, Y)
    seen = np.zeros(60, dtype=bool)
    seen[np.concatenate([test for _, test in TimeSeriesSplit(3).split(X)])] = True
    np.testing.assert_array_equal(np.isfinite(model.heldout_prediction_), seen)
    assert np.isfinite(model.heldout_score_)


def test_what_is_foreseen_of_a_series_is_what_its_held_out_rows_say():
    rng, t = np.random.default_rng(0), np.arange(150.0)
    inputs = np.column_stack([t, rng.normal(size=150).cumsum()])
    y = 0.05 * t + inputs[:, 1] ** 2 / 20 + rng.normal(size=150)
    model = ImplicitRegressor(n_hidden=5, max_iter=10, random_state=0, cv=TimeSeriesSplit()).fit(inputs, y)
    seen = np.isfinite(model.heldout_prediction_)
    assert np.all(model.heldout_scores_ < 1)
    # Members on few rows are far from those on many where time goes on; only rows known to all tell how they disagree.
    assert model.heldout_score_ < r2_score(y[seen], model.heldout_prediction_[seen]) + 0.2
    width = np.diff(model.predict_interval(inputs)).mean()
    assert width > 2 * np.std(y[seen] - model.heldout_prediction_[seen])


def test_rows_held_out_again_and_again_do_not_promise_more():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(60, 4))
    y = np.abs(inputs[:, 0]) + inputs[:, 1] + rng.normal(size=60)
    gains = []
    for n_repeats in (1, 4):
        cv = RepeatedKFold(n_splits=3, n_repeats=n_repeats, random_state=0)
        model = ImplicitRegressor(n_hidden=3, max_iter=3, cv=cv, random_state=0).fit(inputs, y)
        gains.append(model.heldout_score_ - r2_score(y, model.heldout_prediction_))
    # The mean of all members against one of them, or against the mean of the four that have not seen a row.
    assert 0 < gains[1] < 0.5 * gains[0]


def test_classes_of_one_row_do_not_choose_the_ridge():
    X, y = load_iris(return_X_y=True)
    y, far = y.astype(str), X[:3] + 8 * X.std(axis=0) * np.array([[1, 1, -1, 1], [-1, 1, 1, 1], [1, -1, 1, -1]])
    model = ImplicitClassifier(n_hidden=3, max_iter=10, cv=3, random_state=0).fit(
        np.vstack([X, far]), np.r_[y, ["p", "q", "r"]]
    )
    assert model.score(X, y) > 0.95
    assert model.heldout_scores_.max() > -0.5
    assert np.isnan(model.heldout_prediction_[150:]).all()


@pytest.mark.usefixtures("short_ladder")
def test_groups_reach_the_splitter():
    groups = np.arange(60) % 6
    with sklearn.config_context(enable_metadata_routing=True):
        routed = ImplicitRegressor(**SMALL).set_params(cv=GroupKFold(3)).fit(X, Y, groups=groups)
        listed = ImplicitRegressor(**SMALL).set_params(cv=list(GroupKFold(3).split(X, Y, groups))).fit(X, Y)
    assert_same(routed, listed)


def test_the_score_on_new_rows_is_estimated():
    gaps = []
    for seed in range(3):
        inputs, y = make_data(m=100, noise=0.5, seed=seed)
        fresh, truth = make_data(m=2000, noise=0.5, seed=100 + seed)
        model = ImplicitRegressor(**BETTER).fit(inputs, y)
        gaps.append(model.heldout_score_ - model.score(fresh, truth))
    assert abs(np.mean(gaps)) < 0.1


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("q", [1, 3])
def test_several_outputs(q):
    targets = np.column_stack([Y, X[:, 2] ** 2, Y - X[:, 0]])[:, :q]
    model = ImplicitRegressor(**{**SMALL, "max_iter": 3}).fit(X, targets)
    prediction, std = model.predict(X, return_std=True)
    assert prediction.shape == std.shape == model.heldout_prediction_.shape == (60, q)
    assert model.predict_interval(X).shape == (60, 2, q)


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("k", [2, 3])
def test_classes(k):
    y = labels_of(Y, k)
    model = ImplicitClassifier(**SMALL).fit(X, y)
    assert model.heldout_prediction_.shape == (60, k)
    np.testing.assert_allclose(model.heldout_prediction_.sum(axis=1), 1)
    hits = model.classes_[model.heldout_prediction_.argmax(axis=1)] == y
    assert model.heldout_score_ == pytest.approx(hits.mean())
    assert np.all(model.heldout_scores_ <= 0)
    assert model.is_linear_ or model.alpha_ in model.alphas_[: model.heldout_scores_.argmax() + 1]
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(clone(model).fit(X[order], y[order]).predict_proba(X), model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_classes_without_an_error_do_not_make_certain(k):
    rng = np.random.default_rng(4)
    y = np.arange(60) % k
    inputs = 8 * np.eye(k)[y] + rng.normal(size=(60, k))
    model = ImplicitClassifier(**SMALL).fit(inputs, y)
    assert model.heldout_score_ == 1
    # Certain of each row by more than all 60 of them can tell: one in ten thousand.
    assert model.alpha_ > 1e-4 and model.predict_proba(inputs).max(axis=1).mean() < 0.9999


@pytest.mark.usefixtures("short_ladder")
def test_the_accuracy_is_that_of_the_rows_whatever_the_classes_weigh():
    y = np.where(Y + np.random.default_rng(0).normal(size=60) > np.quantile(Y, 0.8), "b", "a")
    model = ImplicitClassifier(**SMALL, class_weight="balanced").fit(X, y)
    hits = model.classes_[model.heldout_prediction_.argmax(axis=1)] == y
    assert model.heldout_score_ == pytest.approx(hits.mean())
    weights = np.arange(60) % 3
    model.fit(X, y, sample_weight=weights)
    hits = model.classes_[np.nan_to_num(model.heldout_prediction_).argmax(axis=1)] == y
    assert model.heldout_score_ == pytest.approx(np.average(hits, weights=weights))


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("method", ["bcd", "gradient", "lifted"])
@pytest.mark.parametrize("make", [ImplicitRegressor, ImplicitClassifier])
def test_every_method_chooses_a_ridge(method, make):
    y = Y if make is ImplicitRegressor else labels_of(Y)
    model = make(**{**SMALL, "max_iter": 3}, method=method).fit(X, y)
    assert model.alpha_ > 0 and np.isfinite(model.heldout_scores_).all() and np.isfinite(model.heldout_score_)
    assert model.score(X, y) > 0.3


def test_a_budget_is_met_by_the_one_rule():
    model = ImplicitRegressor(**SMALL, column_budget=0.8).fit(X, Y)
    assert len(model.rules_) == 1 and model.column_norms_.sum() <= 0.8 * (1 + 1e-9)


def test_warm_start_goes_on_from_the_members():
    model = ImplicitRegressor(**SMALL, tol=0.5, warm_start=True).fit(X, Y)
    chosen, n_members = model.alpha_, len(model.rules_)
    model.fit(X, Y)
    assert model.alpha_ == chosen and len(model.rules_) == n_members


def test_partial_fit_goes_on_after_fit():
    model = ImplicitRegressor(**{**SMALL, "max_iter": 3}, method=StochasticGradient(batch_size=20)).fit(X, Y)
    chosen, before = model.alpha_, model.score(X, Y)
    for _ in range(2):
        model.partial_fit(X, Y)
    assert model.alpha_ == chosen and model.heldout_score_ is None
    assert model.score(X, Y) > before - 0.1
    np.testing.assert_allclose(model.predict(X), model.rule_.predict(X).ravel(), rtol=1e-9)


def test_too_few_rows_take_a_fixed_ridge():
    model = ImplicitRegressor(n_hidden=2, max_iter=5, tol=0.5, random_state=0).fit(X[:3], Y[:3])
    assert model.alpha_ == 0.03 and model.heldout_score_ is None
    with pytest.raises(ValueError, match="alpha='auto'"):
        model.predict_interval(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", "best"),
        ("alpha", -1.0),
        ("alpha", np.nan),
        ("n_members", 0),
        ("n_members", "many"),
        ("clip", "yes"),
        ("cv", 1),
        ("cv", "five"),
        ("n_jobs", 1.5),
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        ImplicitRegressor(**{**SMALL, name: value}).fit(X, Y)


def test_bad_folds_are_named():
    with pytest.raises(ValueError, match="no held-out sample"):
        ImplicitRegressor(**SMALL).set_params(cv=[(np.arange(60), np.arange(0))]).fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight is zero"):
        ImplicitRegressor(**SMALL).set_params(cv=KFold(3)).fit(X, Y, sample_weight=np.r_[np.zeros(20), np.ones(40)])


def test_the_data_and_the_global_state_are_left_alone():
    inputs, y = X.copy(), Y.copy()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    scores = cross_val_score(ImplicitRegressor(**{**SMALL, "max_iter": 2}), inputs, y, cv=2)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(inputs, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
