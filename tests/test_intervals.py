"""Intervals from held-out residuals, and standard errors."""

import pickle
import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.model_selection import RepeatedKFold

import skimplicit.estimators.automatic as automatic
from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRule
from skimplicit.estimators.intervals import HeldOutResiduals
from skimplicit.estimators.readout_covariance import InputAxes, ReadoutCovariance
from skimplicit.networks import affine_rule

SMALL = dict(n_hidden=3, max_iter=2, cv=3, random_state=0)


def make_data(m, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3))
    return X, np.abs(X[:, 0]) + X[:, 1] + 0.5 * rng.normal(size=m)


X, Y = make_data(90, 0)


@cache
def fitted():
    return ImplicitRegressor(**SMALL).fit(X, Y)


@pytest.mark.slow
def test_coverage_of_fresh_rows():
    shares = []
    for seed in range(5):
        model = clone(fitted()).fit(*make_data(90, seed))
        fresh, y = make_data(1000, 50 + seed)
        bounds = model.predict_interval(fresh, coverage=0.9)
        shares.append(np.mean((bounds[:, 0] <= y) & (y <= bounds[:, 1])))
    assert 0.85 <= np.mean(shares) <= 0.95


def far_rows(rng, m):
    X = np.exp(2 * rng.normal(size=(m, 3)))
    return X, X[:, 0] - X[:, 1] + rng.normal(size=m)


def rare_inputs(rng, m):
    X = rng.normal(size=(m, 2))
    X[:, 1] = np.where(rng.random(m) < 0.02, 50 * X[:, 1], 0)
    return X, X[:, 0] + 0.3 * X[:, 1] + 0.2 * rng.normal(size=m)


def exact(rng, m):
    X = rng.normal(size=(m, 2))
    return X, np.abs(X[:, 0])


@pytest.mark.parametrize("draw, seed", [(far_rows, 3), (rare_inputs, 0), (exact, 0)])
def test_the_few_rows_where_members_disagree_do_not_shorten_all_intervals(draw, seed):
    rng = np.random.default_rng(seed)
    model = ImplicitRegressor(**SMALL).set_params(max_iter=60 if draw is exact else 2).fit(*draw(rng, 200))
    fresh, y = draw(rng, 2000)
    low, high = model.predict_interval(fresh, coverage=0.9).T
    # .81 and .82 for the first two by the variance of all rows; the last one if that of the others were to count alone.
    assert np.mean((low <= y) & (y <= high)) > 0.88


def test_intervals_grow_with_the_coverage_around_the_prediction():
    bounds = [fitted().predict_interval(X, coverage=c) for c in (0.3, 0.6, 0.9, 0.99)]
    for narrow, wide in zip(bounds, bounds[1:], strict=False):
        assert np.all(wide[:, 0] <= narrow[:, 0]) and np.all(narrow[:, 1] <= wide[:, 1])
        assert np.all((wide[:, 1] - wide[:, 0]) > (narrow[:, 1] - narrow[:, 0]))
    prediction = fitted().predict(X)
    assert np.mean((bounds[2][:, 0] < prediction) & (prediction < bounds[2][:, 1])) == 1
    np.testing.assert_array_equal(fitted().predict_interval(X), bounds[2])


def one_member(residuals, weights):
    residuals = np.asarray(residuals, dtype=float)[:, None]
    parts = (residuals,), (np.asarray(weights, dtype=float),)
    return HeldOutResiduals((affine_rule([[1.0]]),), (None,), *parts, np.zeros(1), n_rows=len(residuals))


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.8, 0.95])
def test_bounds_of_one_member_are_the_conformal_quantile(coverage):
    residuals = np.random.default_rng(0).random(19)
    inputs = np.array([[2.0], [-1.0]])
    bounds = one_member(residuals, np.ones(19)).interval(inputs, inputs, coverage)
    radius = np.sort(residuals)[int(np.ceil(np.round(20 * coverage, 9))) - 1]
    np.testing.assert_allclose(bounds[:, :, 0], [[2 - radius, 2 + radius], [-1 - radius, -1 + radius]])


def upper_bound(residuals, weights, coverage):
    return one_member(residuals, weights).interval(np.zeros((1, 1)), np.zeros((1, 1)), coverage)[0, 1, 0]


def test_a_heavy_row_decides():
    light, heavy = (upper_bound([1, 2, 3, 4], w, 0.5) for w in ([1, 1, 1, 1], [1, 1, 1, 9]))
    assert light == 3.0 and heavy == 4.0


def test_weights_are_repetitions_up_to_one_row():
    residuals, counts = np.random.default_rng(1).random(40), np.random.default_rng(2).integers(1, 4, 40)
    weighted = upper_bound(residuals, counts, 0.7)
    repeated = upper_bound(np.repeat(residuals, counts), np.ones(counts.sum()), 0.7)
    near = np.sort(residuals)
    place = np.searchsorted(near, [weighted, repeated])
    assert abs(place[0] - place[1]) <= 2


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5, np.nan, "0.9", None])
def test_bad_coverage_is_named(coverage):
    with pytest.raises(ValueError, match="coverage"):
        fitted().predict_interval(X, coverage=coverage)


def test_a_given_ridge_has_no_residuals():
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, max_iter=3, tol=0.9).fit(X, Y)
    with pytest.raises(ValueError, match="predict_interval needs.*alpha='auto'"):
        model.predict_interval(X)
    with pytest.raises(ValueError, match="return_std=True needs.*alpha='auto'"):
        model.predict(X, return_std=True)


@pytest.mark.slow
def test_standard_errors():
    prediction, std = fitted().predict(X, return_std=True)
    np.testing.assert_array_equal(prediction, fitted().predict(X))
    assert std.shape == prediction.shape == Y.shape and np.all(std > 0)
    assert std.mean() < np.std(Y - prediction)  # of the mean, not of a new target
    scaled = clone(fitted()).fit(X, 1000 * Y)
    np.testing.assert_allclose(scaled.predict(X, return_std=True)[1], 1000 * std, rtol=1e-4)
    np.testing.assert_allclose(scaled.predict_interval(X), 1000 * fitted().predict_interval(X), rtol=1e-4, atol=1e-2)


@pytest.mark.slow
def test_standard_errors_of_a_linear_rule_are_those_of_ridge():
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(120, 3))
    y = inputs.sum(axis=1) + rng.normal(size=120)
    fits = (ImplicitRegressor(**{**SMALL, "random_state": seed}).fit(inputs, y) for seed in range(10))
    model = next(model for model in fits if model.is_linear_)
    _, std = model.predict(inputs, return_std=True)
    spread = np.column_stack([np.ones(120), inputs])
    least_squares = np.sqrt(np.einsum("ij,ji->i", spread, np.linalg.solve(spread.T @ spread, spread.T)))
    np.testing.assert_allclose(std, least_squares, rtol=0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("short_ladder")
def test_no_matrix_of_very_many_inputs(monkeypatch):
    monkeypatch.setattr(automatic, "LARGEST_MATRIX", 400)
    rng = np.random.default_rng(0)
    wide = sparse.random_array((60, 4200), density=0.02, format="csr", rng=rng)
    y = wide[:, :10].sum(axis=1) + 0.1 * rng.normal(size=60)
    model = ImplicitRegressor(n_hidden=2, max_iter=2, cv=2, random_state=0)
    tracemalloc.start()
    try:
        model.fit(wide, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * wide.shape[1] ** 2 / 4
    with pytest.raises(ValueError, match="more than 4000 x 4000"):
        model.predict(wide, return_std=True)
    assert model.predict_interval(wide).shape == (60, 2)
    few = clone(model).set_params(direct=False).fit(wide, y)
    assert np.all(few.predict(wide, return_std=True)[1] > 0)


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_standard_errors_of_many_inputs_of_which_few_are_left(monkeypatch, make):
    monkeypatch.setattr(automatic, "LARGEST_MATRIX", 30)
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(80, 60))
    y = np.abs(wide[:, 0]) + wide[:, 1] + 0.1 * rng.normal(size=80)
    model = ImplicitRegressor(n_hidden=5, cv=2, random_state=0).fit(make(wide), y)
    left = np.flatnonzero(model.relevance_)
    assert left.size < 30
    mean, std = model.predict(make(wide), return_std=True)
    np.testing.assert_allclose(mean, model.predict(make(wide)))
    others = wide.copy()
    others[:, np.setdiff1d(np.arange(60), left)] = 0.0
    np.testing.assert_allclose(model.predict(make(others)), mean)
    readout = [model._covariances[0].variance(make(rows)) for rows in (wide, others)]
    np.testing.assert_allclose(*readout)
    assert np.all(std > 0) and np.ptp(std) > 0 and np.ptp(readout[0]) > 0


@pytest.mark.slow
def test_standard_errors_with_more_inputs_than_rows_are_of_the_size_of_the_targets():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(30, 60))
    y = wide[:, 0] + 0.1 * rng.normal(size=30)
    model = ImplicitRegressor(n_hidden=3, cv=3, random_state=0).fit(wide, y)
    _, std = model.predict(rng.normal(size=(50, 60)), return_std=True)
    assert np.all(np.isfinite(std)) and np.all(std > 0) and std.max() < 5 * y.std()


def brute_force(rules, inputs, weights, alpha, direct_ridge, fresh, intercept):
    """Return the variances by the formula, with a dense factor of H."""
    variances = []
    about = weights if intercept else 0 * weights
    for rule in rules:
        states, new = rule.states(inputs), rule.states(fresh)
        deviation = np.sqrt(weights @ (inputs - about @ inputs) ** 2)
        features = np.hstack([states, inputs / deviation]) if direct_ridge else states
        new = np.hstack([new, fresh / deviation]) if direct_ridge else new
        rows, new = features - about @ features, new - about @ features
        rows = np.sqrt(weights)[:, None] * rows
        ridge = np.r_[np.full(3, alpha), np.full(features.shape[1] - 3, alpha * direct_ridge)]
        ridge += 1e-10 * max(np.sum(rows**2), 1.0)
        factor = np.linalg.qr(np.vstack([rows, np.diag(np.sqrt(ridge))]), mode="r")
        shares = np.linalg.solve(factor, np.linalg.solve(factor.T, new.T))
        variances.append((intercept + np.sum((rows @ shares) ** 2, axis=0)) * np.sum(weights**2))
    return np.mean(variances, axis=0)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (20, 20)])
@pytest.mark.parametrize(("alpha", "rtol"), [(0.1, 1e-10), (1e-3, 1e-10), (1e-8, 1e-5)])
@pytest.mark.parametrize("direct_ridge", [0.0, 0.3])
@pytest.mark.parametrize("intercept", [True, False])
def test_variances_of_readouts(shape, alpha, rtol, direct_ridge, intercept):
    rng = np.random.default_rng(0)
    inputs, weights = rng.normal(size=shape) * rng.uniform(1e-2, 1e2, shape[1]) + 5, rng.uniform(0.5, 1.5, shape[0])
    weights /= weights.sum()
    rules = [
        ImplicitRule(A=rng.uniform(-0.2, 0.2, (3, 3)), B=rng.normal(size=(3, shape[1])), C=np.ones((1, 3)))
        for _ in range(2)
    ]
    fresh = inputs[:5] + rng.normal(size=(5, shape[1]))
    numbers = alpha, direct_ridge > 0, direct_ridge
    covariance = ReadoutCovariance.of(rules, inputs, weights, *numbers, intercept=intercept)
    wanted = brute_force(rules, inputs, weights, alpha, direct_ridge, fresh, intercept)
    np.testing.assert_allclose(covariance.variance(fresh), wanted, rtol=rtol)
    np.testing.assert_allclose(covariance.of_more_rows(4.0).variance(fresh), wanted / 4, rtol=rtol)


@pytest.mark.parametrize("direct", [True, False])
def test_without_intercepts_nothing_is_in_doubt_where_every_readout_is_zero(direct):
    X = np.random.default_rng(0).normal(size=(60, 2)) + 3
    model = ImplicitRegressor(**SMALL, fit_intercept=False, clip=False, direct=direct).fit(X, np.abs(X[:, 0] - 3))
    mean, std = model.predict(np.zeros((1, 2)), return_std=True)
    assert mean[0] == 0 and std[0] == 0


def test_rows_of_a_table_of_counts_tell_as_much_as_others():
    rng = np.random.default_rng(0)
    x, values = rng.integers(0, 4, 2000), np.arange(4.0)
    y = rng.poisson(1 + np.abs(x - 1.0))
    model = ImplicitRegressor(**SMALL).fit(x[:, None], y)
    _, std = model.predict(values[:, None], return_std=True)
    of_cells = [y[x == value].std() / np.sqrt(np.sum(x == value)) for value in values]
    np.testing.assert_allclose(std, of_cells, rtol=0.5)  # not five times as much
    assert 1990 < model._residuals.n_rows <= 2000


def test_constant_inputs_have_no_variance():
    rng = np.random.default_rng(0)
    inputs, weights = np.column_stack([rng.normal(size=30), np.full(30, 0.1)]), np.full(30, 1 / 30)
    rule = ImplicitRule(A=np.zeros((3, 3)), B=rng.normal(size=(3, 2)), C=np.ones((1, 3)))
    covariance = ReadoutCovariance.of([rule], inputs, weights, 0.1, True, 0.3)
    assert covariance.axes.sizes.size == 1
    still = replace(rule, B=rule.B * [1, 0], b=rule.B[:, 1] * 0.1)  # the same states on these rows
    same = ReadoutCovariance.of([still], inputs, weights, 0.1, True, 0.3)
    moved = inputs + [0.0, 7.0]
    np.testing.assert_allclose(same.variance(moved), covariance.variance(inputs), rtol=1e-9)


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.slow
def test_inputs_are_held_once_for_all_members():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(90, 80))
    y = np.abs(wide[:, 0]) + wide[:, 1] + 0.1 * rng.normal(size=90)
    model = ImplicitRegressor(**{**SMALL, "cv": 5}).fit(wide, y)
    numbers = len(pickle.dumps(model)) / 8
    assert numbers < 2 * 80 * 80 + 6 * 5 * 3 * 80 + 4000
    classes = ImplicitClassifier(**{**SMALL, "cv": 5}).fit(wide, y > 1)
    assert len(pickle.dumps(classes)) / 8 < 3 * 5 * 3 * 80 + 4000  # which need none


def test_bounds_of_two_members_that_disagree():
    # Centres 1 below and above the prediction, residuals of 3: targets are foreseen 2 and 4 above it, and as far below.
    rules = tuple(affine_rule([[slope]]) for slope in (0.0, 2.0))
    residuals = HeldOutResiduals(
        rules, (None,) * 2, (np.full((50, 1), 3.0),) * 2, (np.ones(50),) * 2, np.zeros(1), n_rows=100
    )
    bounds = [residuals.interval(np.ones((1, 1)), np.ones((1, 1)), coverage)[0, :, 0] for coverage in (0.4, 0.9)]
    # But none is nearer than the residuals themselves say.
    np.testing.assert_allclose(bounds, [[-2.0, 4.0], [-3.0, 5.0]])


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize(
    "options", [{"cv": RepeatedKFold(n_splits=4, n_repeats=6, random_state=0)}, {"cv": 4, "n_members": 24}]
)
def test_a_row_that_many_members_have_not_seen_is_one_row(options):
    X, y = np.random.default_rng(0).normal(size=(2, 8))
    model = ImplicitRegressor(n_hidden=2, max_iter=2, random_state=0, **options).fit(X[:, None], y)
    # Of eight rows the largest residual is that of nine tenths.
    np.testing.assert_allclose(model.predict_interval(X[:, None], 0.9), model.predict_interval(X[:, None], 0.999))


@pytest.mark.parametrize("coverage", [0.05, 0.1, 0.3])
def test_little_coverage_is_held_too_around_the_prediction(coverage):
    fresh, targets = make_data(2000, 5)
    low, high = fitted().predict_interval(fresh, coverage=coverage).T
    prediction = fitted().predict(fresh)
    assert np.all((low < prediction) & (prediction < high))
    assert coverage / 2 < np.mean((low <= targets) & (targets <= high)) < 2 * coverage


def test_intervals_are_quantiles_of_residuals_less_what_the_mean_errs_less():
    residuals, none = np.arange(1.0, 100.0)[:, None], affine_rule([[0.0]])
    held_out = HeldOutResiduals((none,), (None,), (residuals,), (np.ones(99),), np.array([0.25]), 99.0)
    bounds = held_out.interval(np.zeros((2, 1)), np.zeros((2, 1)), 0.5)
    np.testing.assert_allclose(bounds[:, :, 0], [[-50.0 * np.sqrt(0.5), 50.0 * np.sqrt(0.5)]] * 2)
    np.testing.assert_allclose(held_out.deviation(), np.sqrt(np.mean(residuals**2) * 0.75))


@pytest.mark.parametrize("left", [0.3, np.array([0.3])])
def test_bounds_are_nearer_to_what_misses_less(left):
    rng, rules = np.random.default_rng(0), tuple(affine_rule([[slope]]) for slope in (0.0, 2.0))
    residuals, weights = tuple(rng.random((2, 50, 1))), (np.ones(50),) * 2
    held_out = HeldOutResiduals(rules, (None,) * 2, residuals, weights, np.array([0.1]), n_rows=100)
    nearer = replace(held_out, left=left)
    X, Y = rng.normal(size=(20, 1)), rng.normal(size=(20, 1))
    bounds, inner = (each.interval(X, Y, 0.9) - Y[:, None] for each in (held_out, nearer))
    np.testing.assert_allclose(inner, 0.3 * bounds)
    np.testing.assert_allclose(nearer.deviation(), 0.3 * held_out.deviation())


@pytest.mark.parametrize("seed", range(2))
def test_clean_targets_are_foreseen_as_the_last_training_predicts_them(seed):
    X, y = make_friedman1(1120, noise=0.0, random_state=seed)
    model = ImplicitRegressor(random_state=0).fit(X[:120], y[:120])
    low, high = model.predict_interval(X[120:]).T
    # Before, .99 and .07: held-out rows know members as they are when the ridge is chosen.
    assert 0.85 < np.mean((low <= y[120:]) & (y[120:] <= high)) < 0.97
    assert abs(model.heldout_score_ - model.score(X[120:], y[120:])) < 0.03


def test_what_is_left_at_rows_that_members_go_nearly_through_shortens_no_interval():
    rng, slopes = np.random.default_rng(2), np.linspace(1, 0.2, 20)
    X, more = rng.normal(size=(60, 20)), rng.normal(size=(1000, 20))
    y, of_more = (U @ slopes + U[:, 0] * U[:, 1] for U in (X, more))
    low, high = ImplicitRegressor(random_state=2).fit(X, y).predict_interval(more).T
    assert np.mean((low <= of_more) & (of_more <= high)) > 0.85  # before, .77


def test_residuals_of_a_good_member_are_not_shortened_for_the_error_of_a_poor_one():
    rng, none = np.random.default_rng(0), affine_rule([[0.0]])
    good, poor = np.abs(rng.normal(size=(1000, 1))), np.abs(5.0 + rng.normal(size=(1000, 1)))
    # Four of five members are 1 from their mean, one is 4 from it.
    share, distances = np.array([4.0 / 6.0]), np.array([[1.0]] * 4 + [[4.0]])
    held_out = HeldOutResiduals(
        (none,) * 5, (None,) * 5, (good,) * 4 + (poor,), (np.ones(1000),) * 5, share, 5000.0, distances
    )
    factors = held_out.shrinkage()
    assert np.all(factors[:4] > 0.95) and factors[4] == 0
    # Members that err alike have all one factor.
    alike = replace(held_out, residuals=(good,) * 5, share=np.array([0.2]), distances=np.full((5, 1), np.sqrt(0.2)))
    np.testing.assert_allclose(alike.shrinkage(), np.sqrt(0.6))


def test_coverage_of_members_that_end_in_different_minima():
    def bends(rng, m):
        U = rng.normal(size=(m, 3))
        return U, np.abs(U) + 0.2 * rng.normal(size=(m, 3))

    # Two states learn one of three bends, which another member leaves out: half of the targets were inside.
    rng = np.random.default_rng(0)
    model = ImplicitRegressor(n_hidden=2, kappa=0, random_state=0).fit(*bends(rng, 150))
    fresh, targets = bends(rng, 2000)
    bounds = model.predict_interval(fresh, coverage=0.9)
    inside = (bounds[:, 0] <= targets) & (targets <= bounds[:, 1])
    assert inside.mean(axis=0).min() > 0.8


def test_standard_errors_have_the_readout_and_the_members():
    model, U = fitted(), X[:70]
    std = model.predict(U, return_std=True)[1]
    members = np.array([rule.predict(U).ravel() for rule in model.rules_])
    readout = np.mean([covariance.variance(U) for covariance in model._covariances], axis=0)
    noise = model._residuals.deviation()
    assert len(members) == 3
    given = readout * noise**2 + members.var(axis=0) / 3
    # Each of three members has not seen a third of the rows.
    members = zip(model._residuals.rules, model._residuals.ranges, strict=True)
    without_fold = [rule.predict(limits.cut(U)).ravel() for rule, limits in members]
    jackknife = model._residuals.jackknife * np.var(without_fold, axis=0)
    assert model._residuals.jackknife == pytest.approx(2.0, rel=0.02)
    assert 0 < np.count_nonzero(jackknife > given) < len(U)
    np.testing.assert_allclose(std**2, np.maximum(given, jackknife), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_members", ["auto", 1])
def test_standard_errors_of_bent_effects_are_not_too_small(n_members):
    def kinks(m, seed):
        U = np.random.default_rng(seed).normal(size=(m, 4))
        return U, np.abs(U[:, 0]) + np.maximum(U[:, 1], 0.0) + np.abs(U[:, 2] - U[:, 3])

    U, f = kinks(300, 0)
    y = f + 0.4 * np.random.default_rng(1).normal(size=300)
    model = ImplicitRegressor(n_members=n_members, random_state=0).fit(U, y)
    fresh, truth = kinks(1000, 2)
    mean, std = model.predict(fresh, return_std=True)
    assert np.mean(np.abs(mean - truth) <= 1.645 * std) > 0.8  # .4 to .6 without the jackknife


def test_of_rules_without_states_the_readout_is_all_that_errs():
    rng = np.random.default_rng(0)
    U = rng.normal(size=(60, 3))
    fits = (
        ImplicitRegressor(**{**SMALL, "random_state": seed}).fit(U, U[:, 0] + rng.normal(size=60)) for seed in range(9)
    )
    for model in fits:
        assert (model._residuals.jackknife == 0) == model.is_linear_


@pytest.mark.parametrize("m", [50, 3])
def test_axes_of_inputs_are_those_of_inputs_times_their_relevance(m):
    rng = np.random.default_rng(0)
    U, relevance, weights = (
        rng.normal(size=(m, 4)) * [1.0, 5.0, 0.1, 2.0],
        np.array([1.5, 0.2, 0.0, 1.0]),
        np.full(m, 1 / m),
    )
    axes, along = InputAxes.of(U, weights, relevance)
    scaled = (U - U.mean(axis=0)) / U.std(axis=0) * relevance / np.sqrt(m)
    sizes = np.linalg.svd(scaled, compute_uv=False)[: axes.sizes.size]
    np.testing.assert_array_equal(axes.columns, [0, 1, 3])
    np.testing.assert_allclose(np.sort(axes.sizes)[::-1], sizes, rtol=1e-9)
    np.testing.assert_allclose(axes.along(U) / np.sqrt(m), along * axes.sizes, atol=1e-9)
