"""ImplicitFeatureSelector: the right inputs, and a scikit-learn selector in every respect."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.selection.subset_size import RULES, choose_size, sizes_to_try, standard_error

N_INPUTS = 8
TRUE = [1, 4, 6]
# The laws below do not need finished rules.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("short_paths"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SMALL = ImplicitRegressor(n_hidden=4, alpha=0.003, max_iter=12, tol=1e-2)
CHEAP = {"estimator": SMALL, "column_budgets": 4, "random_state": 0}


def make_data(n_samples=150, n_inputs=N_INPUTS, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_inputs))
    return X, 2 * X[:, 1] - 2 * np.abs(X[:, 4]) + X[:, 6] + noise * rng.standard_normal(n_samples)


def selector(**parameters):
    return ImplicitFeatureSelector(**(CHEAP | {"cv": KFold(3)} | parameters))


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture
def fitted(short_paths):
    return fitted_once()


@cache
def fitted_once():
    return selector().fit(*make_data())


# --- the rule that chooses the size


def test_smallest_size_within_one_standard_error_of_the_difference():
    best = np.array([0.80, 0.90, 1.00])
    apart = np.array([-0.01, 0.02, 0.08])  # how much better the best is, fold by fold
    assert np.mean(apart) > standard_error(apart)
    assert choose_size({1: best - 0.5, 2: best - apart, 4: best, 8: best - 0.1}) == 4
    assert choose_size({1: best - 0.5, 2: best - apart + np.mean(apart) - 0.01, 4: best, 8: best - 0.1}) == 2
    # That one fold is harder than another is no reason to do without an input that helps in all of them.
    assert choose_size({1: best - 0.02, 2: best}) == 2


def test_smallest_size_within_the_spread_of_refits():
    folds = np.zeros(3)  # folds that differ less than refits do
    scores = {1: folds + 0.5, 3: folds + 0.898, 4: folds + 0.9}
    assert choose_size(scores) == 3
    assert choose_size(scores | {3: folds + 0.896}) == 4


def test_the_best_size_is_the_best():
    scores = {1: np.array([0.5, 0.7]), 3: np.array([0.8, 0.9]), 4: np.array([0.8, 0.9]), 8: np.array([0.9, 0.79])}
    assert choose_size(scores, "best") == 3
    assert choose_size(scores | {8: np.array([0.9, 0.81])}, "best") == 8


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("top", [1, 2, 7, 30, 64])
@pytest.mark.parametrize("gaps", [[], [1], [7, 3], [64]])
def test_the_search_ends_at_the_top(rule, top, gaps):
    scores, tried = {}, []
    for size in sizes_to_try(scores, 64, gaps, rule):
        assert size not in tried and 1 <= size <= 64
        tried.append(size)
        scores[size] = np.full(3, 1.0 - abs(np.log(size / top)))
    assert 0.8 * top <= choose_size(scores, rule) <= 1.25 * top
    assert len(tried) <= 16


def test_folds_that_agree_leave_only_the_best():
    assert choose_size({1: np.full(3, 0.5), 2: np.full(3, 0.6), 3: np.full(3, 0.6)}) == 2


def test_choice_does_not_depend_on_the_order_of_the_sizes():
    scores = {4: np.array([0.8, 0.9]), 1: np.array([0.1, 0.2]), 2: np.array([0.79, 0.905])}
    assert choose_size(scores) == choose_size(dict(sorted(scores.items()))) == 2


# --- what is selected


def test_true_inputs_are_selected_without_their_number(fitted):
    assert fitted.get_support(indices=True).tolist() == TRUE
    assert fitted.n_features_ == 3


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_inputs_of_a_random_rule_are_recovered(noise):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((8, 8))
    B = np.zeros((8, 12))
    B[:, [2, 5, 7, 11]] = rng.standard_normal((8, 4))
    rule = ImplicitRule(0.5 * A / np.abs(A).sum(axis=1).max(), B, rng.standard_normal((20, 8)))
    X = rng.standard_normal((200, 12))
    Y = rule.predict(X)
    Y += noise * Y.std() * rng.standard_normal(Y.shape)
    found = selector(n_features_to_select=4).fit(X, Y)
    assert found.get_support(indices=True).tolist() == [2, 5, 7, 11]
    best = found.column_norms_[found.column_budgets_ == found.best_budget_][0]
    assert np.corrcoef(best, np.abs(B).max(axis=0))[0, 1] > 0.9


def test_wide_data_are_screened_and_reported_for_all_inputs():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 600))
    found = selector(n_features_to_select=2).fit(sparse.csr_matrix(X), 3 * X[:, 7] + 2 * X[:, 300])
    assert found.get_support(indices=True).tolist() == [7, 300]
    assert found.column_norms_.shape == (4, 600)
    assert all(rule.n_inputs == 600 for rule in found.path_.rules)
    assert sorted(found.ranking_)[2:] == list(range(2, 600))
    norms = np.abs(found.path_.rules[0].B).max(axis=0).toarray().ravel()
    np.testing.assert_allclose(norms * X.std(axis=0), found.column_norms_[0])


def test_nothing_to_find_is_said():
    said = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((60, N_INPUTS)), rng.standard_normal(60)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = selector(estimator=clone(SMALL).set_params(n_hidden=3, alpha=0.1), column_budgets=3).fit(X, y)
        warned = any("there may be nothing to find" in str(warning.message) for warning in caught)
        assert not warned or found.n_features_ == 1
        said += warned
    assert said >= 9  # noise passes for something in one set of seventy


def test_everything_matters():
    X = np.random.default_rng(0).standard_normal((100, 4))
    found = selector().fit(X, X @ [1.0, -1.0, 1.0, -1.0])
    assert found.support_.all()
    assert found.ranking_.tolist() == [1, 1, 1, 1]


def test_constant_column_is_ranked_last(data):
    X, y = data[0].copy(), data[1]
    X[:, 0] = 3.0
    found = selector(n_features_to_select=3).fit(X, y)
    assert found.get_support(indices=True).tolist() == TRUE
    assert found.ranking_.argmax() == 0


def test_one_of_two_identical_columns_is_selected(data):
    X, y = data
    found = selector(n_features_to_select=4).fit(np.column_stack([X, X[:, 1]]), y)
    assert found.support_[[1, N_INPUTS]].any()
    assert found.support_[[4, 6]].all()


def test_more_inputs_than_samples():
    X = np.random.default_rng(0).standard_normal((80, 120))
    found = selector(n_features_to_select=2).fit(X, X[:, 7] - X[:, 100])
    assert found.get_support(indices=True).tolist() == [7, 100]


def test_groups_are_selected_together(data):
    groups = ["a", "b", "b", "c", "d", "d", "e", "e"]
    found = selector(n_features_to_select=3, groups=groups).fit(*data)
    assert found.get_support(indices=True).tolist() == [1, 2, 4, 5, 6, 7]
    assert found.n_features_ == 6
    assert found.ranking_[[1, 2]].tolist() == [1, 1]


def test_groups_with_cross_validation():
    found = selector(groups=[0, 1, 1, 2, 3, 3, 4, 4]).fit(*make_data(300))
    assert found.get_support(indices=True).tolist() == [1, 2, 4, 5, 6, 7]
    assert found.cv_results_["n_features"].max() == 5  # counts groups
    assert found.selection_frequency_[1] == found.selection_frequency_[2]


# --- the number of inputs


@pytest.mark.parametrize(("wanted", "count"), [(1, 1), (8, 8), (0.25, 2), (1.0, 8), (0.01, 1)])
def test_given_number_of_inputs(data, wanted, count):
    found = selector(n_features_to_select=wanted).fit(*data)
    assert found.n_features_ == found.support_.sum() == count
    assert found.cv_results_ == {}
    assert found.selection_frequency_.sum() == pytest.approx(count)
    assert found.selection_frequency_[found.support_].min() >= found.selection_frequency_[~found.support_].max(
        initial=0
    )


# --- what it reports


def test_ranking(fitted):
    assert np.all((fitted.ranking_ == 1) == fitted.support_)
    assert sorted(fitted.ranking_[~fitted.support_]) == list(range(2, N_INPUTS - 3 + 2))
    # Later ranks are selected on no more folds.
    assert np.all(np.diff(fitted.selection_frequency_[np.argsort(fitted.ranking_, kind="stable")]) <= 0)
    shares = fitted.path_.shares
    assert shares[fitted.support_].min() > shares[~fitted.support_].max()


def test_path_is_reported(fitted):
    np.testing.assert_array_equal(fitted.column_budgets_, fitted.path_.column_budgets)
    np.testing.assert_array_equal(fitted.column_norms_, fitted.path_.column_norms)
    assert fitted.column_norms_.shape == (4, N_INPUTS)
    assert fitted.best_budget_ in fitted.column_budgets_


def test_cross_validation_is_reported(fitted):
    results = fitted.cv_results_
    folds = np.array([results[f"split{i}_test_score"] for i in range(3)])
    np.testing.assert_allclose(results["mean_test_score"], folds.mean(axis=0))
    np.testing.assert_allclose(results["std_test_score"], folds.std(axis=0))
    # One less is not enough, and more is no better.
    sizes = set(results["n_features"].tolist())
    assert {fitted.n_features_ - 1, fitted.n_features_} <= sizes and max(sizes) > fitted.n_features_
    assert choose_size(dict(zip(results["n_features"].tolist(), folds.T, strict=True))) == fitted.n_features_


def test_selection_frequency_is_a_share_of_folds(fitted):
    np.testing.assert_allclose(3 * fitted.selection_frequency_, np.round(3 * fitted.selection_frequency_))
    assert fitted.selection_frequency_.sum() == pytest.approx(fitted.n_features_)
    assert np.all(fitted.selection_frequency_[TRUE] == 1)


def test_refit_has_no_budget_and_sees_the_selected_inputs(data, fitted):
    X, y = data
    assert fitted.estimator_.n_features_in_ == 3
    assert fitted.estimator_.column_budget is None
    np.testing.assert_array_equal(fitted.predict(X), fitted.estimator_.predict(X[:, TRUE]))
    assert fitted.score(X, y) == fitted.estimator_.score(X[:, TRUE], y) > 0.95


# --- scikit-learn


def test_transform_and_back(data, fitted):
    X = data[0]
    kept = fitted.transform(X)
    np.testing.assert_array_equal(kept, X[:, TRUE])
    back = fitted.inverse_transform(kept)
    np.testing.assert_array_equal(back, np.where(fitted.support_, X, 0.0))


def test_names_are_kept(data):
    X = pd.DataFrame(data[0], columns=list("abcdefgh"))
    found = selector(n_features_to_select=3).set_output(transform="pandas").fit(X, data[1])
    assert found.get_feature_names_out().tolist() == ["b", "e", "g"]
    assert found.transform(X).columns.tolist() == ["b", "e", "g"]
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(X.rename(columns={"a": "z"}))


def test_same_seed_gives_the_same_selection(monkeypatch):
    """For any number of jobs, in folds and with knockoffs, by a seed and by a stream of random numbers."""
    monkeypatch.undo()  # other processes go whole paths
    monkeypatch.setattr("skimplicit.selection.false_discoveries._N_STARTS", 2)
    X, y = make_data(60, 7)
    for rows in ({"cv": KFold(2)}, {"cv": None, "fdr": 0.5}):
        found, again = (
            selector(
                estimator=clone(SMALL).set_params(n_hidden=2, max_iter=5, random_state=np.random.RandomState(1)),
                column_budgets=1,
                n_jobs=n_jobs,
                **rows,
            ).fit(X, y)
            for n_jobs in (None, 2)
        )
        np.testing.assert_array_equal(again.column_norms_, found.column_norms_)
        assert again.estimator_.rule_ == found.estimator_.rule_
        np.testing.assert_array_equal(again.predict(X), found.predict(X))
        if "fdr" in rows:
            np.testing.assert_array_equal(again.knockoff_statistics_, found.knockoff_statistics_)
        for name, values in found.cv_results_.items():
            np.testing.assert_array_equal(again.cv_results_[name], values)


def test_given_folds_are_used(data):
    folds = KFold(2, shuffle=True, random_state=3)
    by_splitter = selector(cv=folds).fit(*data)
    by_list = selector(cv=list(folds.split(data[0]))).fit(*data)
    np.testing.assert_array_equal(by_splitter.cv_results_["mean_test_score"], by_list.cv_results_["mean_test_score"])
    assert "split2_test_score" not in by_splitter.cv_results_


def test_sparse_inputs(data):
    X = sparse.csr_matrix(data[0])
    found = selector(n_features_to_select=3).fit(X, data[1])
    assert found.get_support(indices=True).tolist() == TRUE
    assert sparse.issparse(found.transform(X))
    np.testing.assert_allclose(found.predict(X), found.predict(data[0]), rtol=1e-6)


def test_weight_two_is_a_row_given_twice(data):
    X, y = data
    weights = np.where(np.arange(y.size) < 50, 2.0, 1.0)
    rows, folds = np.r_[: y.size, :50], list(KFold(3).split(X))
    same_folds = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
    weighted = selector(n_features_to_select=3, cv=folds).fit(X, y, sample_weight=weights)
    repeated = selector(n_features_to_select=3, cv=same_folds).fit(X[rows], y[rows])
    np.testing.assert_array_equal(weighted.ranking_, repeated.ranking_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4, atol=1e-6)


def test_weights_reach_the_folds():
    X, y = make_data(400)
    # The second half follows another law, and does not count.
    y[200:] = 5 * X[200:, 0]
    found = selector(cv=KFold(4, shuffle=True, random_state=0)).fit(X, y, np.repeat([1.0, 0.0], 200))
    assert found.get_support(indices=True).tolist() == TRUE


def test_in_a_pipeline_before_another_estimator(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), selector(n_features_to_select=3), Ridge()).fit(X, y)
    assert pipeline[:-1].get_feature_names_out().tolist() == ["x1", "x4", "x6"]
    assert pipeline[-1].coef_.shape == (3,)


def test_in_a_grid_search(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), selector(n_features_to_select=1, column_budgets=4), Ridge())
    name = "implicitfeatureselector__n_features_to_select"
    search = GridSearchCV(pipeline, {name: [1, 3]}, cv=2).fit(X, y)
    assert search.best_params_[name] == 3


@pytest.mark.parametrize("threshold", [1e-5, None])
def test_select_from_model(threshold):
    X = np.random.default_rng(0).standard_normal((150, N_INPUTS))
    model = ImplicitRegressor(n_hidden=4, alpha=0.03, column_budget=0.3, max_iter=30, random_state=0)
    select = SelectFromModel(model, threshold=threshold).fit(X, 2 * X[:, 1] + np.abs(X[:, 4]))
    assert set(select.get_support(indices=True)) >= {1}
    assert 1 <= select.get_support().sum() < N_INPUTS
    if threshold is not None:
        assert select.get_support()[[1, 4]].all()


def test_clone_and_repr(fitted):
    assert not hasattr(clone(fitted), "support_")
    assert "n_features_to_select=2" in repr(ImplicitFeatureSelector(n_features_to_select=2))


def test_estimator_is_not_changed(data):
    before = SMALL.get_params()
    selector(n_features_to_select=2).fit(*data)
    assert SMALL.get_params() == before
    assert not hasattr(SMALL, "rule_")


def test_a_failed_fit_leaves_the_selector_as_it_was(data):
    found = selector(n_features_to_select=3).fit(*data)
    before = found.__dict__.copy()
    with pytest.raises(ValueError):
        found.fit(np.full((10, 3), np.nan), np.zeros(10))
    with pytest.raises(ValueError, match="n_features_to_select=3"):
        found.fit(data[0][:, :2], data[1])
    assert found.__dict__ == before
    fresh = selector(n_features_to_select=30)
    with pytest.raises(ValueError):
        fresh.fit(*data)
    assert not hasattr(fresh, "n_features_in_")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_features_to_select": 0}, ValueError, "n_features_to_select"),
        ({"n_features_to_select": True}, TypeError, "n_features_to_select must be a number, got True"),
        ({"n_features_to_select": 1.5}, ValueError, "n_features_to_select"),
        ({"n_features_to_select": N_INPUTS + 1}, ValueError, "n_features_to_select"),
        ({"column_budgets": 0}, ValueError, "column_budgets"),
        ({"column_budgets": [0.0]}, ValueError, "column_budgets"),
        ({"groups": [0, 1]}, ValueError, "groups"),
        ({"cv": "often"}, ValueError, "cv"),
        ({"n_jobs": "many"}, ValueError, "n_jobs"),
        ({"random_state": "now"}, ValueError, "random_state"),
        ({"estimator": Ridge()}, TypeError, "estimator must be"),
        ({"estimator": "rule"}, ValueError, "estimator"),
    ],
)
def test_bad_parameters_are_named(data, parameters, error, message):
    with pytest.raises(error, match=message):
        selector(**parameters).fit(*data)


def test_search_for_the_size_shows_no_convergence_warnings(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selector(estimator=clone(SMALL).set_params(tol=0.0, max_iter=10), cv=2).fit(*data)
    # One, of the refit.
    assert len(caught) == 1
