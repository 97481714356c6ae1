"""Folds are drawn again where few data leave inputs in doubt, and only there."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.selection.repeated_folds import most_rounds
from skimplicit.selection.subset_size import Tried, choose_size, standard_error

pytestmark = [
    pytest.mark.usefixtures("shortest_paths"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
# With three budgets and less than twelve iterations: what is tested is how often folds are drawn.
SMALL = ImplicitRegressor(n_hidden=2, alpha=0.01, max_iter=5, tol=1e-2)
SMALLEST = clone(SMALL).set_params(n_hidden=1, max_iter=1)


def make_data(noise, m=80):
    """Return data of six inputs: two that act, and one whose effect drowns in the noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, 6))
    return X, 3 * X[:, 0] - 2 * X[:, 3] + noise * (X[:, 5] / np.sqrt(m) + rng.normal(size=m))


def fitted(noise, **parameters):
    return ImplicitFeatureSelector(SMALL, column_budgets=3, random_state=0, **parameters).fit(*make_data(noise))


@cache  # under `shortest_paths`, as all that is fitted here
def in_doubt():
    return fitted(6.0)


def n_splits(selector):
    return sum(name.startswith("split") for name in selector.cv_results_)


@pytest.mark.parametrize(
    ("shape", "rounds"), [((442, 10, 1), 6), ((800, 10, 1), 3), ((800, 45, 1), 1), ((214, 9, 6), 2), ((3, 1, 1), 6)]
)
def test_fewer_data_may_be_drawn_more_often(shape, rounds):
    assert most_rounds(*shape) == rounds


@pytest.mark.slow
def test_clear_data_end_after_three_rounds(short_paths):
    found = fitted(0.01)
    assert n_splits(found) == 15
    assert set(found.selection_frequency_) <= {0.0, 1.0}
    assert {0, 3} <= set(found.get_support(indices=True))


@pytest.mark.slow
def test_inputs_in_doubt_are_asked_again():
    found = in_doubt()
    assert n_splits(found) == 30
    counts = 30 * found.selection_frequency_
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    scores = np.array([found.cv_results_[f"split{i}_test_score"] for i in range(30)])
    assert len(np.unique(scores, axis=0)) == 30  # other rows and other starts each time
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], scores.mean(axis=0))


def test_a_number_of_folds_is_drawn_once():
    assert n_splits(fitted(6.0, cv=5)) == 5


@pytest.mark.slow
def test_a_given_number_of_inputs_is_that_of_most_folds():
    found = fitted(6.0, n_features_to_select=2)
    assert found.n_features_ == 2 and not n_splits(found)
    assert found.selection_frequency_[found.support_].min() >= found.selection_frequency_[~found.support_].max()


@pytest.mark.slow
def test_where_all_inputs_are_kept_folds_are_drawn_once(monkeypatch):
    drawn, make_folds = [], ImplicitFeatureSelector._make_folds
    monkeypatch.setattr(
        ImplicitFeatureSelector, "_make_folds", lambda *data, **how: drawn.append(how) or make_folds(*data, **how)
    )
    assert fitted(6.0, n_features_to_select=6).support_.all() and len(drawn) == 1
    assert fitted(6.0, n_features_to_select=5).n_features_ == 5 and len(drawn) == 7


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_folds_are_of_rows_that_count():
    X, y = make_data(6.0, m=30)
    weights = np.where(np.arange(30) < 9, 1.0, 0.0)
    found = ImplicitFeatureSelector(SMALLEST, column_budgets=1, random_state=0).fit(X, y, weights)
    assert n_splits(found) % 5 == 0 and 15 <= n_splits(found) <= 30


@pytest.mark.filterwarnings("ignore:No selection of inputs predicts better")
def test_constant_inputs_have_no_gaps():
    y = make_data(6.0)[1]
    found = ImplicitFeatureSelector(SMALL, column_budgets=5, random_state=0, cv=3).fit(np.ones((80, 4)), y)
    assert found.n_features_ == 1


@pytest.mark.slow
def test_the_seed_decides():
    first, second = in_doubt(), fitted(6.0)
    np.testing.assert_array_equal(first.selection_frequency_, second.selection_frequency_)
    np.testing.assert_array_equal(first.support_, second.support_)


def test_rounds_do_not_shrink_the_standard_error():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(1, 5))
    assert standard_error(np.repeat(one, 6, axis=0)) == pytest.approx(standard_error(one[0]))
    assert standard_error(rng.normal(size=(6, 5))) == pytest.approx(1 / np.sqrt(5), rel=0.5)
    scores = {1: np.full((2, 5), 0.1), 2: np.full((2, 5), 0.9)}
    assert choose_size(scores) == 2


def test_what_was_tried_again_is_of_the_same_sizes_and_folds():
    table = np.zeros((1, 3, 2))
    table[..., 1] = 1.0
    tried = Tried({4: ((0.1, 1.0), table), 2: ((0.1,), table[..., :1] - 1)})
    assert tried.ridge == 1.0 and tried.scores[4].tolist() == [[1.0] * 3]
    both = tried.and_on_others(Tried({2: tried.tables[2], 4: ((0.1, 1.0), -5 * table)}))
    assert both.scores[4].shape == (2, 3) and both.scores[4].max() == 0.0  # the other ridge is the best on all folds
    assert tried.and_on_others(Tried({2: tried.tables[2]})) is None
    assert tried.and_on_others(Tried({2: tried.tables[2], 4: ((0.1, 1.0), table[:, :2])})) is None
