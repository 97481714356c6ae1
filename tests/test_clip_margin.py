"""clip="auto": held-out rows tell whether inputs are clipped at the range of the training rows, or further out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import log_loss, r2_score

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.estimators import cross_fit_choice
from skimplicit.rows import InputRange
from skimplicit.selection import subset_search

SMALL = dict(n_hidden=2, cv=3, max_iter=4, tol=1e-2, random_state=0)


def heavy_tailed(seed, m=150, p=4):
    """Return inputs with Student's t of two degrees of freedom, and a target that is linear in them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_t(2, size=(m, p))
    return X, X @ rng.normal(size=p) + 0.3 * rng.normal(size=m)


def saturating(seed, m=150, p=4):
    """Return the same inputs and a target that follows them to one deviation, and no further."""
    X, _ = heavy_tailed(seed, m, p)
    return X, np.clip(X, -1, 1) @ np.arange(1.0, p + 1) + 0.1 * np.random.default_rng(seed).normal(size=m)


def spectra(seed, m=560, p=120):
    """Return smooth channels with large baselines, of which a band says what the target is."""
    rng = np.random.default_rng(seed)
    t, amount = np.linspace(0, 1, p), rng.random(m)
    offset, slope = rng.normal(size=(2, m, 1))
    bands = np.outer(amount, np.exp(-(((t - 0.4) / 0.06) ** 2))) + np.outer(
        rng.random(m), np.exp(-(((t - 0.6) / 0.08) ** 2))
    )
    return offset + slope * t + 0.1 * bands + 2e-4 * rng.normal(size=(m, p)), 20 * amount + 0.2 * rng.normal(size=m)


def noisy(seed, m=150):
    """Return normal inputs and a target that is linear in them, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 4))
    return X, X @ [1.0, 2.0, 0.0, 0.0] + rng.normal(size=m)


def width(limits):
    return limits[1] - limits[0]


def at_range(X):
    return np.stack([X.min(axis=0), X.max(axis=0)])


def test_a_range_is_wider_by_its_width_and_exceeded_in_widths():
    limits = InputRange(np.array([0.0, -1.0, 3.0]), np.array([2.0, 1.0, 3.0]))
    wider = limits.widened(0.25)
    assert_array_equal(wider.lower, [-0.5, -1.5, 3.0])
    assert_array_equal(wider.upper, [2.5, 1.5, 3.0])
    rows = np.array([[2.5, -1.0, 3.0], [1.0, 1.0, 3.0], [3.5, -1.5, -9.0], [0.0, -3.0, 0.0]])
    for U in (rows, sparse.csr_array(rows)):
        assert_array_equal(limits.excess(U), [0.25, 0.0, 0.75, 1.0])
        assert_array_equal(wider.excess(U), [0.0, 0.0, 1 / 3, 0.5])
        assert_array_equal(InputRange(np.ones(3), np.ones(3)).excess(U), np.zeros(4))  # nothing varies
    limits = InputRange(np.ones(2), np.full(2, 3.0))  # without zero, which is not stored
    assert_array_equal(limits.excess(sparse.csr_array([[0.0, 2.0], [2.0, 3.5]])), [0.5, 0.25])


def test_widths_beyond_all_numbers_or_of_rounding():
    most = np.finfo(float).max
    limits = InputRange(np.array([-0.8 * most, 0.3, 1.0, 1e-300]), np.array([0.8 * most, 0.1 + 0.2, 1.0, 2e-300]))
    far = np.array([[-most, -most, -most, 1e10]])
    assert 0.12 < InputRange(limits.lower[:3], limits.upper[:3]).excess(far[:, :3]) < 0.13
    assert limits.excess(far) == np.inf
    for margin in (0.0, 0.5, np.inf):
        wider = limits.widened(margin)
        assert np.all(np.isfinite([wider.lower, wider.upper])) and wider.lower[2] == wider.upper[2] == 1.0
        assert np.all(wider.lower <= limits.lower) and np.all(wider.upper >= limits.upper)
    assert_array_equal(limits.widened(0.0).lower, limits.lower)


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")  # in sums of scikit-learn too
@pytest.mark.parametrize("parameters", [{"clip": True}, {}, {"alpha": 0.1}])
def test_inputs_near_the_largest_numbers(parameters):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X @ [1.0, 2.0, 3.0]
    model = ImplicitRegressor(**SMALL | {"max_iter": 40} | parameters).fit(6e307 * X, y * 5e306)
    assert r2_score(y, model.predict(6e307 * X) / 5e306) > 0.9
    assert np.all(np.isfinite(model.clip_range_))


def test_a_column_that_varies_by_rounding_says_nothing_of_how_far_to_go():
    X, y = heavy_tailed(0)
    still = np.full((150, 1), 0.3)
    rounded = np.where(np.random.default_rng(0).random((150, 1)) < 0.5, still, 0.1 + 0.2)
    still[5] = rounded[5] = 4.0
    ranges = [ImplicitRegressor(**SMALL).fit(np.hstack([X, last]), y).clip_range_ for last in (still, rounded)]
    assert width(ranges[0])[0] > width(at_range(X))[0]
    assert_allclose(*ranges)


@pytest.mark.filterwarnings("error")
def test_a_row_too_far_out_for_squares_is_no_cause_for_warnings():
    X, y = heavy_tailed(0)
    X[7, 3] = 1e200
    assert_array_equal(ImplicitRegressor(**SMALL | {"max_iter": 100}).fit(X, y).clip_range_, at_range(X))


class Spy:
    """A callback that keeps what copies of the estimator predict far out, and where they clip inputs."""

    max_propagation_depth = None

    def __init__(self, far):
        self.far, self.seen = far, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if fitted_estimator is not None:
            self.seen.append((fitted_estimator.predict(self.far), fitted_estimator.clip_range_))


@pytest.mark.parametrize("parameters", [{}, {"clip": True}, {"warm_start": True}])
def test_callbacks_see_it_as_well(parameters):
    X, y = heavy_tailed(0)
    y = y + 3 * np.minimum(np.abs(X[:, 0]), 1)  # that states contribute
    model = ImplicitRegressor(**SMALL | parameters).fit(X, y)
    spy = Spy(9 * X)
    model.set_callbacks(spy).fit(X, y)
    assert len(spy.seen) > 2
    for _, limits in spy.seen:
        assert_array_equal(limits, model.clip_range_)
    assert_array_equal(spy.seen[-1][0], model.predict(9 * X))


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_trend_goes_on_beyond_heavy_tailed_rows(capsys, seed):
    X, y = heavy_tailed(seed, 1150)
    cut = ImplicitRegressor(**SMALL, clip=True).fit(X[:150], y[:150])
    model = ImplicitRegressor(**SMALL, verbose=1).fit(X[:150], y[:150])
    assert r2_score(y[150:], model.predict(X[150:])) > r2_score(y[150:], cut.predict(X[150:])) + 0.02
    assert f"inputs clipped {model._clip_margin:.3g} widths beyond their range" in capsys.readouterr().out
    margins = (width(model.clip_range_) / width(at_range(X[:150])) - 1) / 2
    assert_allclose(margins, margins[0])  # the same for all inputs, on either side
    assert_allclose(model.clip_range_.mean(axis=0), at_range(X[:150]).mean(axis=0), atol=1e-9)
    assert margins[0] > 0.1
    assert_array_equal(cut.clip_range_, at_range(X[:150]))


@pytest.mark.parametrize("make", [saturating, noisy])
@pytest.mark.parametrize("seed", range(3))
def test_elsewhere_it_ends_with_the_training_rows(make, seed):
    X, y = make(seed)
    model = ImplicitRegressor(**SMALL).fit(X, y)
    assert_array_equal(model.clip_range_, at_range(X))
    assert_array_equal(model.predict(9 * X), ImplicitRegressor(**SMALL, clip=True).fit(X, y).predict(9 * X))


@pytest.mark.parametrize("seed", range(3))
def test_a_sensor_that_failed_once_is_clipped(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, 4))
    y = X @ np.arange(1.0, 5.0) + 0.5 * rng.normal(size=150)
    X[7, 2] = 2000.0
    assert_array_equal(ImplicitRegressor(**SMALL).fit(X, y).clip_range_, at_range(X))


@pytest.mark.parametrize("seed", range(3))
def test_one_glitch_neither_keeps_inputs_clipped_nor_says_how_far_out(seed):
    X, y = heavy_tailed(seed, 1150)
    X = np.hstack([X, np.random.default_rng(seed).normal(size=(1150, 1))])
    X[7, 4] = 2000.0
    model = ImplicitRegressor(**SMALL).fit(X[:150], y[:150])
    cut = ImplicitRegressor(**SMALL, clip=True).fit(X[:150], y[:150])
    assert r2_score(y[150:], model.predict(X[150:])) > r2_score(y[150:], cut.predict(X[150:])) + 0.02
    assert 0.1 < width(model.clip_range_)[4] / width(at_range(X[:150]))[4] < 100


@pytest.mark.parametrize("seed", [1, 6])
def test_one_row_alone_does_not_decide(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_t(2, size=(1650, 5))  # in both sets one row far out says otherwise
    y = X[:, 0] + 2 * np.tanh(X[:, 1:]).sum(axis=1) + 0.3 * rng.normal(size=len(X))
    model = ImplicitRegressor(**SMALL | {"cv": 5}).fit(X[:150], y[:150])
    assert_array_equal(model.clip_range_, at_range(X[:150]))


@pytest.mark.parametrize("seed", range(3))
def test_spectra_are_not_bent_at_their_edges(seed):
    X, y = spectra(seed)
    model = ImplicitRegressor(**SMALL).fit(X[:60], y[:60])
    assert r2_score(y[60:], model.predict(X[60:])) > 0.99


def test_the_loss_at_ridges_that_leave_nothing_does_not_end_the_comparison(monkeypatch):
    found, best_linear = [], cross_fit_choice.best_linear
    monkeypatch.setattr(cross_fit_choice, "best_linear", lambda members: found.append(best_linear(members)) or found[0])
    X, y = spectra(0)
    ImplicitRegressor(**SMALL, clip=False).fit(X[:60], y[:60])
    ridge, _, _, loss = found[0]
    assert ridge < 0.01
    assert loss < 0.01


def test_classes_too():
    X, score = heavy_tailed(1, 1200)
    y = (score + np.random.default_rng(0).normal(size=len(score)) > 0).astype(int)
    losses = {}
    for clip in ("auto", True):
        model = ImplicitClassifier(**SMALL, clip=clip).fit(X[:200], y[:200])
        losses[clip] = log_loss(y[200:], model.predict_proba(X[200:]))
    assert losses["auto"] <= losses[True] + 1e-12


def test_sparse_as_dense_and_the_rule_that_clips_itself():
    X, y = heavy_tailed(0)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = 0.0
    y = X @ np.arange(1.0, 5.0) + 0.1 * y
    model, of_sparse = (ImplicitRegressor(**SMALL).fit(U, y) for U in (X, sparse.csr_array(X)))
    assert width(model.clip_range_)[0] > width(at_range(X))[0]
    assert_allclose(of_sparse.clip_range_, model.clip_range_)
    far = 100 * X
    assert_allclose(of_sparse.predict(far), model.predict(far), rtol=1e-6)
    assert_allclose(model.clipped_rule().predict(far).ravel(), model.predict(far), rtol=1e-9)
    assert_allclose(model.predict(far), model.predict(np.clip(far, *model.clip_range_)))


@pytest.mark.parametrize("parameters", [{"alpha": 0.01, "max_iter": 40}, {"direct": False}, {"column_budget": 2.0}])
def test_where_no_linear_rule_is_held_out_it_ends_with_the_training_rows(parameters):
    X, y = heavy_tailed(0)
    parameters = SMALL | parameters
    assert_array_equal(ImplicitRegressor(**parameters).fit(X, y).clip_range_, at_range(X))
    assert ImplicitRegressor(**parameters, clip=False).fit(X, y).clip_range_ is None


def test_what_was_chosen_is_kept_by_who_goes_on():
    X, y = heavy_tailed(0)
    y = y + 3 * np.minimum(np.abs(X[:, 0]), 1)  # that states contribute
    model = ImplicitRegressor(**SMALL | {"max_iter": 40, "method": "gradient"}, warm_start=True).fit(X, y)
    chosen = model.clip_range_
    assert not model.is_linear_ and width(chosen)[0] > width(at_range(X))[0]
    assert_array_equal(model.fit(X, y).clip_range_, chosen)
    assert_array_equal(model.partial_fit(X[:20], y[:20]).clip_range_, chosen)
    assert_array_equal(model.set_params(clip=True).fit(X, y).clip_range_, at_range(X))
    assert_array_equal(model.set_params(clip="auto").fit(X, y).clip_range_, chosen)
    X[0] = 2 * chosen[1]
    assert_array_equal(model.partial_fit(X[:20], y[:20]).clip_range_[1], X[0])


def test_intervals_are_of_the_members_that_clip_further_out():
    X, y = heavy_tailed(0, 1150)
    model = ImplicitRegressor(**SMALL).fit(X[:150], y[:150])
    low, high = model.predict_interval(X[150:], coverage=0.9).T
    assert 0.82 < np.mean((low <= y[150:]) & (y[150:] <= high)) < 0.97
    beyond = np.any((X[150:] < at_range(X[:150])[0]) | (X[150:] > at_range(X[:150])[1]), axis=1)
    assert np.count_nonzero(beyond) > 10
    assert np.mean((low <= y[150:])[beyond] & (y[150:] <= high)[beyond]) > 0.6


@pytest.mark.parametrize("kind", [ImplicitRegressorCV, ImplicitClassifierCV])
def test_a_ridge_of_a_grid_is_chosen_where_inputs_are_clipped(kind):
    X, y = heavy_tailed(0)
    y = y if kind is ImplicitRegressorCV else (y > 0).astype(int)
    few = dict(n_hidden=2, alphas=2, cv=3, max_iter=100, tol=1e-2, random_state=0)
    auto, cut, free = (kind(**few, clip=clip).fit(X, y) for clip in ("auto", True, False))
    assert_array_equal(cut.clip_range_, at_range(X))
    losses = [getattr(model, kind._path_name) for model in (auto, cut, free)]
    if kind is ImplicitRegressorCV:
        assert width(auto.clip_range_)[0] > width(at_range(X))[0]
        assert_array_equal(losses[0], losses[2])
        assert losses[0].mean(axis=1).min() < 0.9 * losses[1].mean(axis=1).min()
    else:  # an effect on labels saturates
        assert_array_equal(auto.clip_range_, at_range(X))
        assert_array_equal(losses[0], losses[1])


@pytest.mark.parametrize("warm_start", [False, True])
def test_callbacks_see_it_in_the_fit_at_the_chosen_ridge(warm_start):
    X, y = heavy_tailed(0)
    spy, few = Spy(9 * X), dict(n_hidden=2, alphas=1, cv=3, max_iter=100, tol=0.1, random_state=0)
    model = ImplicitRegressorCV(**few, warm_start=warm_start).set_callbacks(spy)
    for _ in range(2):
        spy.seen.clear()
        model.fit(X, y)
        assert width(model.clip_range_)[0] > width(at_range(X))[0]
        for _, limits in spy.seen[-3:]:  # of the last iteration, of its fit and of the fit that this one is part of
            assert_array_equal(limits, model.clip_range_)
        assert_array_equal(spy.seen[-2][0], model.predict(9 * X))


@pytest.mark.parametrize(("size", "n_asked"), [(None, 32), (1, 32), (5, 30), (40, 40)])
def test_a_selector_asks_few_inputs_in_whole_groups(shortest_paths, monkeypatch, size, n_asked):
    asked, margin_on = [], subset_search.margin_on
    monkeypatch.setattr(
        subset_search, "margin_on", lambda model, X, *rest: asked.append(X.shape[1]) or margin_on(model, X, *rest)
    )
    X, y = heavy_tailed(0, p=80)
    selector = ImplicitFeatureSelector(
        ImplicitRegressor(**SMALL | {"alpha": 0.1, "max_iter": 100}),
        n_features_to_select=1,
        groups=None if size is None else np.arange(80) // size,
        cv=2,
        random_state=0,
    )
    selector.fit(X, y)
    assert asked == [n_asked]


@pytest.mark.parametrize("clip", ["auto", True, False])
def test_callbacks_see_it_where_a_selector_compares_rules(shortest_paths, clip):
    class SpyOfSizes(Spy):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.parent is not None and context.parent.task_name.endswith("inputs"):
                self.seen.append(fitted_estimator.clip_range_)

    X, y = heavy_tailed(0)
    spy = SpyOfSizes(None)
    estimator = ImplicitRegressor(**SMALL | {"alpha": 1e-3}, clip=clip)
    folds = [(np.arange(100), np.arange(100, 150)), (np.arange(50, 150), np.arange(50))]
    selector = ImplicitFeatureSelector(estimator, cv=folds, random_state=0).set_callbacks(spy).fit(X, y)
    n_fits = 2 * len(selector.cv_results_["n_features"])
    assert len(spy.seen) == n_fits
    if clip is False:
        assert spy.seen == [None] * n_fits
        return
    margin = selector.estimator_._clip_margin
    assert (margin > 0) == (clip == "auto")
    of_all_inputs = [limits for limits in spy.seen if limits.shape[1] == 4]
    for limits, (rows, _) in zip(of_all_inputs, folds, strict=True):
        ends = InputRange.of(X[rows]).widened(margin)
        assert_array_equal(limits, [ends.lower, ends.upper])


@pytest.mark.parametrize("clip", ["yes", None, 1.5])
def test_what_clip_may_be(clip):
    with pytest.raises(ValueError, match="clip"):
        ImplicitRegressor(clip=clip).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_selector_compares_rules_that_clip_where_they_should(shortest_paths, seed):
    X, y = heavy_tailed(seed)
    found = {}
    for clip in ("auto", True):
        estimator = ImplicitRegressor(**SMALL | {"alpha": 1e-3}, clip=clip)
        selector = ImplicitFeatureSelector(estimator, cv=3, rule="all_relevant", random_state=0)
        found[clip] = selector.fit(X, y)
    best = {clip: selector.cv_results_["mean_test_score"].max() for clip, selector in found.items()}
    assert best["auto"] > best[True] + 0.02
    assert found["auto"].estimator_.clip == "auto"
    chosen = X[:, found["auto"].support_]  # the rule of the selected inputs is what was judged, at a given ridge too
    assert width(found["auto"].estimator_.clip_range_)[0] > width(at_range(chosen))[0]
    assert_array_equal(found[True].estimator_.clip_range_, at_range(X[:, found[True].support_]))
    again = found["auto"].estimator_.fit(chosen, y)  # which holds nothing out
    assert_array_equal(again.clip_range_, at_range(chosen))
    assert np.nanmax(found["auto"].permutation_scores_) != np.nanmax(found[True].permutation_scores_)
