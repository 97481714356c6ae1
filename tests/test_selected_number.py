"""How many inputs the rule "best" keeps: of as many as score best, those that nearly all folds agree on."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.selection.agreement import stand_ins
from skimplicit.selection.held_out_score import HeldOutSkill, constant_prediction
from skimplicit.selection.selection_rows import SelectionData
from skimplicit.selection.subset_search import SubsetSearch
from skimplicit.selection.subset_size import best_size, choose_size, cv_results, is_beyond_chance, sizes_to_try


def test_the_best_number_is_the_smallest_up_to_the_spread_of_refits():
    folds = np.array([-0.1, 0.0, 0.1])  # folds differ more than sizes do
    scores = {2: folds + 0.70, 3: folds + 0.797, 5: folds + 0.80}
    assert best_size(scores) == 5
    assert choose_size(scores, "best") == 3  # .003 is less than .03 * .8 * .2
    assert choose_size(scores | {3: folds + 0.79}, "best") == 5


def test_a_difference_that_folds_do_not_agree_on_counts_for_the_best_alone():
    best = np.full(4, 0.8)
    scores = {2: best - np.array([0.2, -0.1, 0.1, -0.1]), 4: best}
    assert choose_size(scores, "one_standard_error") == 2
    assert choose_size(scores, "best") == 4


def test_a_constant_is_beaten_by_more_than_the_spread_of_folds():
    scores = {1: np.zeros(4), 2: np.array([0.1, 0.3, 0.1, 0.3])}  # a mean of .2 with a standard error of .058
    assert is_beyond_chance(scores, 0.13)
    with pytest.warns(UserWarning, match="there may be nothing to find"):
        assert not is_beyond_chance(scores, 0.15)


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
def test_the_unit_of_scores_does_not_matter(exponent):
    scores = {size: np.random.default_rng(size).uniform(-size, 0.0, 5) - 5.0 for size in (1, 2, 4)}
    far = {size: np.ldexp(values, exponent) for size, values in scores.items()}
    assert choose_size(far) == choose_size(scores)
    assert is_beyond_chance(far, np.ldexp(-9.0, exponent))
    for name, values in cv_results(scores).items():
        if name != "n_features":
            np.testing.assert_array_equal(cv_results(far)[name], np.ldexp(values, exponent))


def test_leaving_no_input_out_has_to_be_clearly_better():
    folds = np.full(4, 0.8)
    apart = np.array([0.04, -0.02, 0.03, -0.01])  # a mean of .01 with a standard error of .0147
    scores = {2: folds - 0.2, 4: folds - apart, 6: folds}
    assert choose_size(scores, "best") == choose_size(scores, "best", 7) == 6
    assert choose_size(scores, "best", 6) == 4
    assert choose_size(scores | {4: folds - apart - 0.015}, "best", 6) == 4
    assert choose_size(scores | {4: folds - apart - 0.025}, "best", 6) == 6
    assert choose_size({6: folds}, "best", 6) == 6
    steady = {2: folds - 0.2, 4: folds - [0.03, 0.01, 0.03, 0.01], 6: folds}
    assert choose_size(steady, "one_standard_error", 6) == choose_size(steady, "best", 6) == 6
    less = {2: folds - 0.2, 4: folds - [0.08, -0.02, 0.05, 0.0], 6: folds}  # 1.2 standard errors
    assert choose_size(less, "one_standard_error", 6) == 6
    assert choose_size(less, "best", 6) == 4


def test_sizes_below_the_first_are_tried_by_growing_factors():
    for top, most_tried in ((64, 3), (30, 7), (1, 9)):
        scores = {}
        for size in sizes_to_try(scores, 64, [64], "best"):
            assert size not in scores
            scores[size] = np.full(3, 1.0 - abs(np.log(size / top)))
        assert 0.8 * top <= best_size(scores) <= 1.25 * top
        assert len(scores) <= most_tried


@pytest.mark.parametrize("rule", ["best", "one_standard_error"])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_inputs_that_only_tell_something_together_are_reached(first, rule):
    # What the next two inputs add, each alone takes away.
    scores = {}
    for size in sizes_to_try(scores, 12, [first], rule):
        told = first + 2 if size >= first + 2 else first
        scores[size] = np.full(3, 0.5 + 0.05 * told - 0.02 * (size - told))
    assert choose_size(scores, rule) == first + 2


@pytest.mark.slow
@pytest.mark.usefixtures("short_paths")
@pytest.mark.parametrize("seed", range(2))
def test_a_product_of_inputs_is_found_beside_a_square(seed):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(300, 6))
    y = U[:, 0] ** 2 + U[:, 1] * U[:, 2] + 0.1 * rng.normal(size=300)
    selector = ImplicitFeatureSelector(ImplicitRegressor(n_hidden=10, alpha=1e-3), cv=3, random_state=0)
    assert selector.fit(U, y).get_support(indices=True).tolist() == [0, 1, 2]


def search_over(X, groups=None):
    """Return a search over inputs X."""
    estimator, y = ImplicitRegressor(), np.arange(float(X.shape[0]))
    data = SelectionData(X, y, None, estimator._encode_targets(y, None))
    return SubsetSearch(estimator, data, None, groups, None, None)


@pytest.mark.parametrize(
    ("rankings", "size", "agreed"),
    [([[0, 1, 2]] * 4 + [[0, 2, 1]], 2, [0]), ([[0, 1, 2]] * 9 + [[0, 2, 1]], 2, [0, 1]), ([[2, 1, 0]], 2, [1, 2])],
)
def test_undisputed_inputs_are_in_nine_tenths_of_the_folds(rankings, size, agreed):
    search = search_over(np.zeros((4, 3)))
    undisputed = search.undisputed([np.array(ranking) for ranking in rankings], size)
    assert np.flatnonzero(undisputed).tolist() == agreed


def test_of_more_inputs_than_rows_three_fifths_are_enough():
    search = search_over(np.random.default_rng(0).normal(size=(20, 30)))
    rankings = [np.array(ranking) for ranking in [[0, 1, 2]] * 3 + [[0, 2, 1]] * 2]
    assert np.flatnonzero(search.undisputed(rankings, 2)).tolist() == [0, 1]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("sign", [1, -1])
def test_of_more_inputs_than_rows_an_input_has_the_votes_of_its_stand_ins(container, sign):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 30))
    X[:, 5] = sign * X[:, 3] + 0.5 * rng.normal(size=20)
    X[:, 7] = 0.0  # a constant stands in for none
    rankings = [np.array([0, *rest]) for rest in [[3, 1], [5, 1], [3, 1], [5, 1], [7, 1]]]
    assert np.flatnonzero(search_over(container(X)).undisputed(rankings, 2)).tolist() == [0, 3, 5]


def test_rows_without_weight_make_no_data_less_wide():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30))
    X[:20, 5] = X[:20, 3] + 0.5 * rng.normal(size=20)
    weights, y = np.repeat([1.0, 0.0], 20), np.arange(40.0)
    data = SelectionData(X, y, weights, ImplicitRegressor()._encode_targets(y, weights))
    search = SubsetSearch(ImplicitRegressor(), data, None, None, None, None)
    rankings = [np.array([0, *rest]) for rest in [[3, 1], [5, 1], [3, 1], [5, 1], [7, 1]]]
    assert np.flatnonzero(search.undisputed(rankings, 2)).tolist() == [0, 3, 5]


def test_a_group_stands_in_for_another_by_any_of_its_inputs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 30))
    X[:, 3] = X[:, 1] + 0.1 * rng.normal(size=20)
    groups = np.arange(30) // 2  # inputs 0 and 1, 2 and 3, ...
    rankings = [np.array(ranking) for ranking in [[0, 4], [0, 4], [1, 4], [1, 5], [6, 5]]]
    assert np.flatnonzero(search_over(X, groups).undisputed(rankings, 1)).tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("short_paths")
@pytest.mark.parametrize("seed", range(2))
def test_inputs_that_share_a_cause_are_selected_together_in_wide_data(seed):
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(80, 30))
    X = np.sqrt(0.7) * np.repeat(causes, 10, axis=1) + np.sqrt(0.3) * rng.normal(size=(80, 300))
    y = causes[:, 0] + causes[:, 1] + 0.2 * rng.normal(size=80)
    found = ImplicitFeatureSelector(ImplicitRegressor(alpha=0.01), random_state=0).fit(X, y).get_support(indices=True)
    assert np.sum(found < 10) >= 2 and np.sum((found >= 10) & (found < 20)) >= 2
    assert np.mean(found < 20) >= 0.8


@pytest.mark.slow
@pytest.mark.usefixtures("short_paths")
@pytest.mark.parametrize("n_constant", [1, 3])
def test_constants_do_not_let_noise_in(n_constant):
    estimator = ImplicitRegressor(n_hidden=3, alpha=0.01, max_iter=20, tol=1e-2)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 8))
        y = X[:, 0] + X[:, 1] + 0.7 * rng.normal(size=60)
        with_them = np.column_stack([X, np.ones((60, n_constant))])
        found = ImplicitFeatureSelector(estimator, cv=5, random_state=0).fit(with_them, y).get_support(indices=True)
        assert {0, 1} <= set(found) and len(found) <= 4


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("rule, n_constant", [("best", 1), ("one_standard_error", 2)])
def test_no_number_of_inputs_counts_those_that_are_constant(rule, n_constant):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(60, 3))
    y = np.abs(X[:, 0]) + np.abs(X[:, 1]) + X[:, 2] + 0.3 * rng.normal(size=60)
    estimator = ImplicitRegressor(n_hidden=3, alpha=0.02, max_iter=5, tol=1e-2)
    selector = ImplicitFeatureSelector(estimator, rule=rule, column_budgets=3, cv=2, random_state=0)
    selector.fit(np.column_stack([X, np.ones((60, n_constant))]), y)
    assert selector.get_support(indices=True).tolist() == [0, 1, 2]
    assert selector.cv_results_["n_features"].max() == 3
    assert not selector.selection_frequency_[3:].any()


@pytest.mark.parametrize("vanishing", [[1e-9, 1e-16, 1e-17], [1e-9, 1e-16, 0.0], [1e-300] * 3])
def test_shares_that_vanish_are_no_gap(vanishing, monkeypatch):
    search = search_over(np.zeros((4, 6)))
    monkeypatch.setattr(search, "unit_shares", lambda paths: np.array([1e-5, 0.6, *vanishing, 0.4]))
    assert search.gaps()[0] == 2  # the two inputs, not the least of those that none of the paths uses


@pytest.mark.parametrize("scoring", ["roc_auc", "accuracy", lambda *_: "a", lambda *_: np.nan])
def test_a_scorer_that_cannot_judge_is_refused_before_the_work(scoring, monkeypatch):
    monkeypatch.setattr(SubsetSearch, "path", lambda *_: pytest.fail("work has begun"))
    X = np.random.default_rng(0).normal(size=(60, 4))
    selector = ImplicitFeatureSelector(ImplicitRegressor(), scoring=scoring, random_state=0)
    with pytest.raises(ValueError, match="scoring"):
        selector.fit(X, X[:, 0])


@pytest.mark.parametrize("seed", range(5))
def test_stand_ins_are_correlated_either_way_as_the_rows_weigh(seed):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(60, 2)) @ rng.normal(size=(2, 8)) + 0.7 * rng.normal(size=(60, 8))) * 10.0 ** np.arange(-4, 4)
    X, weights = np.column_stack([X, np.full(60, 0.1), np.full(60, 0.3)]), rng.uniform(0.01, 1.0, size=60) ** 4
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 6, 7, 8])  # constants are like none
    covariance = np.cov(X[:, :8], rowvar=False, aweights=weights)
    deviations = np.sqrt(np.diag(covariance))
    correlation, expected = covariance / np.outer(deviations, deviations), np.eye(9, dtype=bool)
    for j, k in np.argwhere(np.abs(correlation) >= 0.6):
        expected[labels[j], labels[k]] = True
    np.testing.assert_array_equal(stand_ins(X, weights, labels), expected)
    assert not expected.all()
    assert seed or correlation.min() <= -0.6


def test_how_hard_a_fold_is_does_not_hide_what_all_folds_agree_on():
    folds = np.array([-0.3, 0.0, 0.3])
    assert choose_size({2: folds + 0.6, 5: folds + 0.7}, "one_standard_error") == 5


@pytest.mark.parametrize("of_classes", [False, True])
def test_a_score_and_its_constant_go_by_the_weights(of_classes):
    rng = np.random.default_rng(0)
    Y, weights = rng.normal(size=(12, 1)) + 1.0, rng.uniform(0.1, 5.0, size=12)
    Y = (Y > 1.0).astype(float) if of_classes else Y
    targets = EncodedTargets(Y, weights, not of_classes, {})
    data = SimpleNamespace(targets=targets, counted=np.ones(12, dtype=bool))
    folds = [(np.arange(6, 12), np.arange(6)), (np.arange(6), np.arange(6, 12))]

    def loss(values, rows):
        return log1p_exp(values, Y[rows]) if of_classes else (values - Y[rows]) ** 2

    nulls = []
    for train, test in folds:
        mean = np.average(Y[train], axis=0, weights=weights[train])
        constant = np.log(mean / (1.0 - mean)) if of_classes else mean
        np.testing.assert_allclose(constant_prediction(data, train, of_classes), constant)
        nulls.append(np.average(loss(constant, test), weights=weights[test, None]))
    judge = HeldOutSkill(ImplicitClassifier() if of_classes else ImplicitRegressor(), data, folds)
    predictions = rng.normal(size=(6, 1))
    model = SimpleNamespace(rule_=SimpleNamespace(predict=lambda X: predictions))
    expected = 1.0 - np.average(loss(predictions, folds[1][1]), weights=weights[6:, None]) / np.mean(nulls)
    np.testing.assert_allclose(judge(model, None, 1), expected)


def log1p_exp(logits, labels):
    """The cross-entropy of two classes."""
    return np.log1p(np.exp(logits)) - labels * logits
