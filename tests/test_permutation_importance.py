"""Inputs without whose values rules are worse on rows that they have not seen: doubtful ones, or all relevant ones."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.selection.permutation_importance import permutation_scores
from skimplicit.selection.selection_rows import SelectionData
from skimplicit.selection.subset_search import SubsetSearch

pytestmark = [
    pytest.mark.usefixtures("short_paths"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SMALL = {"n_hidden": 3, "alpha": 0.01, "max_iter": 10, "tol": 1e-2}


def make_data(m=120, seed=0):
    """Return data of seven inputs: two that act, one that acts little, four of noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 7))
    return X, 3 * X[:, 0] - 2 * X[:, 3] + 0.4 * X[:, 5] + 0.3 * rng.normal(size=m)


def selector(estimator=None, **parameters):
    estimator = ImplicitRegressor(**SMALL) if estimator is None else estimator
    defaults = {"column_budgets": 5, "random_state": 0, "cv": 5, "rule": "all_relevant"}
    return ImplicitFeatureSelector(estimator, **{**defaults, **parameters})


@pytest.fixture
def none_agree(monkeypatch):
    """Let folds agree on one input alone, so that all others have to be told from noise."""
    monkeypatch.setattr(SubsetSearch, "undisputed", lambda search, *_: np.zeros(search.n_units, dtype=bool))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_inputs_that_are_more_than_noise_are_selected(none_agree, container):
    X, y = make_data()
    found = selector().fit(container(X), y)
    assert {0, 3, 5} <= set(found.get_support(indices=True))
    relevant = found.permutation_scores_ >= np.sqrt(2 * np.log(7 / 0.2))
    assert np.array_equal(np.flatnonzero(relevant), found.get_support(indices=True))
    assert np.all((found.ranking_ == 1) == found.support_)
    assert sorted(found.ranking_[~found.support_]) == list(range(2, 9 - found.n_features_))
    # Frequencies are of as many as the held-out scores speak for.
    assert found.selection_frequency_.sum() in found.cv_results_["n_features"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_noise_is_not_selected(none_agree):
    wrong = [
        selector(random_state=seed, column_budgets=3).fit(*make_data(seed=seed)).support_[[1, 2, 4, 6]].sum()
        for seed in range(5)
    ]
    assert sum(wrong) <= 1  # of twenty


@pytest.mark.slow
def test_scores_of_noise_do_not_grow_with_the_rows():
    scores = [
        selector(random_state=seed, column_budgets=3).fit(*make_data(400, seed)).permutation_scores_
        for seed in range(3)
    ]
    noise, acting = np.array(scores)[:, [1, 2, 4, 6]], np.array(scores)[:, [0, 3, 5]]
    assert np.abs(noise).max() < 3.5 and acting.min() > 5.0


@pytest.mark.slow
def test_inputs_of_groups_and_classes_have_one_score(none_agree):
    X, y = make_data(200)
    groups = [0, 1, 1, 2, 3, 4, 4]
    found = selector(ImplicitClassifier(**SMALL), groups=groups).fit(X, y > np.median(y))
    scores = found.permutation_scores_
    assert scores[1] == scores[2] and scores[5] == scores[6] and scores[0] > 5.0
    assert found.support_[1] == found.support_[2] and found.support_[5] == found.support_[6]


def test_of_the_best_inputs_those_in_doubt_are_told_from_noise(none_agree):
    X, y = make_data()
    found = selector(rule="best").fit(X, y)
    asked = np.isfinite(found.permutation_scores_)
    assert 0 < asked.sum() < 7 and not asked[0]  # the first one is agreed on
    assert {0, 3} <= set(found.get_support(indices=True))
    relevant = np.nan_to_num(found.permutation_scores_) >= np.sqrt(2 * np.log(7 / 0.05))
    assert np.array_equal(found.support_, relevant | (np.arange(7) == 0))


def test_where_folds_agree_nobody_asks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    found = selector(rule="best").fit(X, 3 * X[:, 0] - 2 * X[:, 3])
    assert found.get_support(indices=True).tolist() == [0, 3] and found.permutation_scores_ is None


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{"rule": "one_standard_error"}, {"rule": "best", "n_features_to_select": 3}])
def test_others_do_not_ask(none_agree, parameters):
    assert selector(**parameters).fit(*make_data()).permutation_scores_ is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_features_to_select": 3}, "n_features_to_select=None"),
        ({"fdr": 0.5, "cv": None}, "rule would have no effect"),
    ],
)
def test_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        selector(**parameters).fit(*make_data(60))


def test_one_input_is_not_asked_for():
    X, y = make_data(15)
    assert selector(cv=3).fit(X[:, :1], y).permutation_scores_ is None


def test_of_wide_data_inputs_on_no_path_have_a_score_of_zero():
    X = np.random.default_rng(0).normal(size=(60, 400))
    y = 3 * X[:, 7] - 2 * X[:, 300]
    found = selector(cv=3).fit(X, y)
    scores = found.permutation_scores_
    assert found.support_[[7, 300]].all() and np.isfinite(scores).all() and np.count_nonzero(scores) < 200


@pytest.mark.slow
def test_an_input_that_constraints_keep_out_has_a_score_of_zero():
    X, y = make_data(40)
    constrained = ImplicitRegressor(**{**SMALL, "n_hidden": 2, "max_iter": 1}, constraints=lambda A, B: [B[:, 6] == 0])
    scores = selector(constrained, cv=2, column_budgets=1).fit(X, y).permutation_scores_
    assert scores[6] == 0.0 and scores[0] > 3.0


@pytest.mark.slow
def test_more_inputs_are_relevant_than_are_needed():
    X, y = make_data(200)
    X[:, 1] = X[:, 0] + 0.3 * X[:, 1]  # tells of the first one, and nothing beside it
    best, relevant = (selector(rule=rule).fit(X, y) for rule in ("best", "all_relevant"))
    assert np.all(relevant.support_ >= best.support_) and relevant.support_[:2].all()
    assert not relevant.support_[[2, 4, 6]].any()
    np.testing.assert_array_equal(best.selection_frequency_, relevant.selection_frequency_)


@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_nothing_is_relevant_where_nothing_is_to_be_found():
    X, _ = make_data(60)
    assert selector().fit(X, np.random.default_rng(5).normal(size=60)).permutation_scores_ is None


@pytest.mark.slow
def test_the_seed_decides():
    first, second = (selector(cv=3).fit(*make_data(60)) for _ in range(2))
    np.testing.assert_array_equal(first.permutation_scores_, second.permutation_scores_)
    np.testing.assert_array_equal(first.ranking_, second.ranking_)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_means_over_their_standard_errors(weighted):
    """The rule predicts the first input, which is the target but for a deviation: rises are known but for the order."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4_000, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=4_000)
    weights = np.where(np.abs(X[:, 0]) > 1, 4.0, 1.0) if weighted else None  # rows whose loss rises most
    estimator = ImplicitRegressor(random_state=0, clip=False)
    data = SelectionData(X, y, weights, estimator._encode_targets(y, weights))
    search = SubsetSearch(estimator, data, None, None, None, None)
    rule = ImplicitRule(np.zeros((2, 2)), [[1.0, 0.0], [-1.0, 0.0]], [[1.0, -1.0]], np.zeros((1, 2)))
    columns = np.array([0, 2])  # the second input is on no path
    path = SimpleNamespace(path=SimpleNamespace(dense_rule=rule), columns=columns)
    rows = np.arange(4_000)
    folds = [(rows[2_000:], rows[:2_000]), (rows[:2_000], rows[2_000:])]
    scores = permutation_scores(search, folds, [path, path], np.array([0, 1, 2]))
    assert scores[1:].tolist() == [0.0, 0.0]
    shares = np.ones(4_000) if weights is None else weights
    # Of a standard normal input: the square of the difference of two draws, less that of the deviation.
    rises = np.mean([(X[rng.permutation(4_000), 0] - y) ** 2 for _ in range(50)], axis=0) - (X[:, 0] - y) ** 2
    one = (X[rng.permutation(4_000), 0] - y) ** 2 - (X[:, 0] - y) ** 2  # a fold of 2,000 rows is permuted once
    mean = np.average(rises, weights=shares)
    error = np.sqrt(np.sum(shares**2 * (one - mean) ** 2)) / shares.sum()
    assert scores[0] == pytest.approx(mean / error, rel=0.1)
    only_first = permutation_scores(search, folds, [path, path], np.array([0]))
    assert only_first[0] == pytest.approx(scores[0]) and np.isnan(only_first[1:]).all()


@pytest.mark.parametrize("clip", [True, False])
def test_inputs_are_cut_at_the_range_of_the_training_rows_as_in_predictions(clip):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1))
    y = X[:, 0] + rng.normal(size=80)
    rows = np.arange(80)
    path = SimpleNamespace(
        path=SimpleNamespace(dense_rule=ImplicitRule([[0.0]], [[0.0]], [[0.0]], [[1.0]])), columns=np.array([0])
    )
    scores = []
    for far in (1e3, X[40:].max()):
        X[0] = far
        estimator = ImplicitRegressor(random_state=0, clip=clip)
        data = SelectionData(X.copy(), y, None, estimator._encode_targets(y, None))
        search = SubsetSearch(estimator, data, None, None, None, None)
        scores.append(permutation_scores(search, [(rows[40:], rows[:40])], [path], np.array([0]))[0])
    assert (scores[0] == scores[1]) == clip


@pytest.mark.slow
def test_of_single_rows_values_come_from_the_training_rows():
    X, y = make_data(25)
    scores = selector(cv=25, column_budgets=2).fit(X, y).permutation_scores_
    assert scores[[0, 3]].min() > 3.0 and scores[[1, 2, 4, 6]].max() < 3.0


@pytest.mark.slow
def test_only_shares_of_the_weights_matter():
    X, y = make_data(60)
    weights = np.random.default_rng(0).integers(1, 4, 60).astype(float)
    one, *others = (selector(cv=3).fit(X, y, weight * weights).permutation_scores_ for weight in (1.0, 1e-300, 1e300))
    for other in others:
        np.testing.assert_allclose(other, one, rtol=1e-6)
