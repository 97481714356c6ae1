"""``rule="all_relevant"``: inputs are also selected that stand out from permuted copies of all inputs."""

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.selection.permuted_copies import STANDS_OUT, shares_above_copies

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
    """Let folds agree on one input alone, so that all others come from copies."""
    monkeypatch.setattr("skimplicit.selection.subset_search.SubsetSearch.undisputed", lambda *_: 1)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_inputs_that_stand_out_are_selected(none_agree, container):
    X, y = make_data()
    found = selector().fit(container(X), y)
    assert {0, 3} <= set(found.get_support(indices=True))
    assert np.array_equal(np.flatnonzero(found.above_copies_ >= STANDS_OUT), found.get_support(indices=True))
    assert np.all((found.ranking_ == 1) == found.support_)
    assert sorted(found.ranking_[~found.support_]) == list(range(2, 9 - found.n_features_))
    # What the folds agree on, one input, is what frequencies are of.
    assert found.selection_frequency_.sum() == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_noise_does_not_stand_out(none_agree):
    wrong = [selector(random_state=seed).fit(*make_data(seed=seed)).support_[[1, 2, 4, 6]].sum() for seed in range(5)]
    assert sum(wrong) <= 1  # of twenty


def test_inputs_of_groups_and_classes_stand_out_together(none_agree):
    X, y = make_data(200)
    groups = [0, 1, 1, 2, 3, 4, 4]
    found = selector(ImplicitClassifier(**SMALL), groups=groups).fit(X, y > np.median(y))
    assert found.above_copies_[1] == found.above_copies_[2] and found.above_copies_[0] == 1.0
    assert found.support_[1] == found.support_[2] and found.support_[5] == found.support_[6]


@pytest.mark.parametrize("parameters", [{"rule": "best"}, {"rule": "one_standard_error"}, {"n_features_to_select": 3}])
def test_other_rules_take_no_copies(parameters):
    assert selector(**{"rule": "best", **parameters}).fit(*make_data()).above_copies_ is None


@pytest.mark.parametrize(
    ("parameters", "n_rows", "message"),
    [
        ({}, 28, r"n_samples=28 .* 28 of these \(n_features=7\)"),
        ({"n_features_to_select": 3}, 60, "n_features_to_select=None"),
        ({"estimator": ImplicitRegressor(**SMALL, constraints=lambda A, B: [])}, 60, "constraints"),
        ({"fdr": 0.5, "cv": None}, 60, "rule would have no effect"),
    ],
)
def test_refused_beside_copies(parameters, n_rows, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        selector(**parameters).fit(X[:n_rows], y[:n_rows])


def test_one_input_needs_no_copies():
    X, y = make_data(15)
    assert selector(cv=3).fit(X[:, :1], y).above_copies_ is None


def test_rows_without_weight_are_not_counted():
    X, y = make_data(29)
    selector().fit(X, y)
    with pytest.raises(ValueError, match="n_samples=28"):
        selector().fit(X, y, np.r_[0.0, np.ones(28)])


def test_more_inputs_are_relevant_than_are_needed():
    X, y = make_data(200)
    X[:, 1] = X[:, 0] + 0.3 * X[:, 1]  # tells of the first one, and nothing beside it
    best, relevant = (selector(rule=rule).fit(X, y) for rule in ("best", "all_relevant"))
    assert np.all(relevant.support_ >= best.support_) and relevant.support_[:2].all()
    assert relevant.above_copies_[1] == 1.0 and relevant.above_copies_[[2, 4, 6]].max() < STANDS_OUT
    np.testing.assert_array_equal(best.selection_frequency_, relevant.selection_frequency_)


@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_no_copies_where_nothing_is_to_be_found():
    X, _ = make_data(60)
    assert selector().fit(X, np.random.default_rng(5).normal(size=60)).above_copies_ is None


def test_copies_keep_rows_together_and_folds_without_a_path_count_for_none():
    X, y = make_data(60)
    seen = []

    class Search:
        n_units, estimator = 7, ImplicitRegressor(random_state=0)

        class data:  # noqa: N801
            counted = np.arange(20, 60)

        def beside(self, made, path_alpha):
            seen.append(made)
            return self

        def unit_shares(self, paths):
            return np.array([0.3, 0.1, 0.2, 0.0, 0.0, 0.0, 0.0] + [0.0, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0] * 3)

        def scout_paths(self, parts, context):
            return parts[:2]

    Search.data.X = X
    shares = shares_above_copies(Search(), [(None, None)] * 4, None)
    assert shares.tolist() == [0.5, 0, 0, 0, 0, 0, 0]  # an input has to be above the copies, not as good
    copies = np.split(np.hstack(seen), 6, axis=1)
    for copy in copies:
        np.testing.assert_array_equal(copy[:20], X[:20])  # rows of no weight stay where they are
        np.testing.assert_array_equal(np.sort(copy[20:], axis=0), np.sort(X[20:], axis=0))
        assert set(map(tuple, copy)) == set(map(tuple, X)) and not np.array_equal(copy, X)
    assert len({copy.tobytes() for copy in copies}) == 6


def test_the_seed_decides():
    first, second = (selector().fit(*make_data()) for _ in range(2))
    np.testing.assert_array_equal(first.above_copies_, second.above_copies_)
    np.testing.assert_array_equal(first.ranking_, second.ranking_)
