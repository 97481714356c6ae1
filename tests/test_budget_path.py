"""implicit_path: rules that obey ever smaller budgets, and what the order in which columns die says of the inputs."""

from dataclasses import FrozenInstanceError
from functools import cache

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitPath, ImplicitRegressor, ImplicitRule, implicit_path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_paths")]

# Budgets and bounds are obeyed up to the rounding of a projection.
FEASIBILITY = 1e-9
N_INPUTS = 8
CHEAP = {"n_hidden": 4, "column_budgets": 6, "random_state": 0}


def inputs(n_samples=120, n_inputs=N_INPUTS, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_inputs))


def teacher_data(n_active, noise, seed, n_inputs=15, n_samples=200):
    """Return inputs, targets and the column norms of a random rule that reads some of the inputs."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((8, 8))
    A *= 0.5 / np.abs(A).sum(axis=1).max()
    B = np.zeros((8, n_inputs))
    B[:, rng.choice(n_inputs, n_active, replace=False)] = rng.standard_normal((8, n_active))
    rule = ImplicitRule(A, B, rng.standard_normal((20, 8)))
    X = rng.standard_normal((n_samples, n_inputs))
    Y = rule.predict(X)
    return X, Y + noise * Y.std() * rng.standard_normal(Y.shape), np.abs(B).max(axis=0)


def make_data():
    X = inputs()
    return X, 2 * X[:, 1] - np.abs(X[:, 4])


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture
def path(short_paths):
    return path_once()


@cache
def path_once():
    return implicit_path(*make_data(), **CHEAP)


def test_budgets_decrease_and_every_rule_obeys_its_own(path):
    assert path.column_budgets.shape == (6,)
    assert np.all(np.diff(path.column_budgets) < 0)
    assert np.all(path.column_norms.sum(axis=1) <= path.column_budgets * (1 + FEASIBILITY))
    assert all(rule.inf_norm <= 0.95 + FEASIBILITY for rule in path.rules)


def test_budgets_hold_for_inputs_as_given(data):
    X, y = data
    units = 10.0 ** np.arange(-3, N_INPUTS - 3)
    path = implicit_path(X * units, y, **CHEAP)
    assert np.all(path.column_norms.sum(axis=1) <= path.column_budgets * (1 + FEASIBILITY))


def test_column_norms_are_those_of_the_rules(path):
    for norms, rule in zip(path.column_norms, path.rules, strict=True):
        np.testing.assert_array_equal(norms, np.abs(rule.B).max(axis=0))
        assert not rule.D.any()
    shares = path.column_norms / path.column_norms.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(path.shares, shares.mean(axis=0))


def test_train_scores_are_those_of_the_rules(data, path):
    X, y = data
    scores = [1 - np.mean((rule.predict(X).ravel() - y) ** 2) / np.var(y) for rule in path.rules]
    # On the way, states are computed only as exactly as training needs them.
    np.testing.assert_allclose(path.train_scores, scores, atol=5e-4)
    assert path.train_scores[0] > 0.9 > path.train_scores[-1]


def test_record(path):
    assert isinstance(path, ImplicitPath)
    assert isinstance(path.dense_rule, ImplicitRule)
    assert path.converged.dtype == bool and path.converged.shape == path.n_iter.shape == (6,)
    assert len(path.rules) == 6
    with pytest.raises(FrozenInstanceError):
        path.column_budgets = None


def test_given_budgets_are_used_from_large_to_small(data):
    path = implicit_path(*data, **(CHEAP | {"column_budgets": [0.1, 1.0, 0.3]}))
    np.testing.assert_array_equal(path.column_budgets, [1.0, 0.3, 0.1])
    assert np.all(path.column_norms.sum(axis=1) <= path.column_budgets * (1 + FEASIBILITY))


def test_same_seed_gives_the_same_path(data, path):
    again = implicit_path(*data, **CHEAP)
    np.testing.assert_array_equal(again.column_norms, path.column_norms)


def test_data_and_estimator_are_not_changed(data):
    X, y = data[0].copy(), data[1].copy()
    estimator = ImplicitRegressor(n_hidden=3, random_state=0)
    before = estimator.get_params()
    implicit_path(X, y, estimator=estimator, column_budgets=2)
    assert estimator.get_params() == before
    np.testing.assert_array_equal(X, data[0])
    np.testing.assert_array_equal(y, data[1])


def test_estimator_and_parameters_are_two_ways_to_say_the_same(data, path):
    again = implicit_path(*data, estimator=ImplicitRegressor(n_hidden=4), column_budgets=6, random_state=0)
    np.testing.assert_array_equal(again.column_norms, path.column_norms)


def test_groups_live_and_die_together(data):
    labels = np.array(["a", "b", "b", "c", "c", "d", "d", "d"])
    path = implicit_path(*data, groups=labels, **CHEAP)
    of_group = np.array([path.column_norms[:, labels == label].max(axis=1) for label in "abcd"])
    assert np.all(of_group.sum(axis=0) <= path.column_budgets * (1 + FEASIBILITY))
    for label in "abcd":
        assert np.unique(path.shares[labels == label]).size == 1
        alive = path.column_norms[:, labels == label] > 0
        assert np.all(alive.all(axis=1) == alive.any(axis=1))
    # The groups of the two inputs that act are ahead.
    assert path.shares[[1, 4]].min() > path.shares[[0, 5]].max()


def test_a_group_stands_out_by_its_largest_column():
    # Group 0 is alive with a dead column, a constant one for instance; at the smaller budget input 3 is ahead of it.
    norms = np.array([[2.0, 0.0, 2.0, 1.0], [0.02, 0.0, 1.0, 0.1]])
    rule = ImplicitRule(np.zeros((1, 1)), np.zeros((1, 4)), np.zeros((1, 1)))
    budgets, ones = np.array([5.0, 1.12]), np.ones(2)
    of_path = ImplicitPath(budgets, norms, (rule, rule), ones, ones > 0, ones, rule, groups=np.array([0, 0, 1, 2]))
    assert of_path.clearest(np.array([True, True, True, False])) == 0


def test_inputs_stand_out_by_their_share_of_the_budget():
    rule, ones = ImplicitRule(np.zeros((1, 1)), np.zeros((1, 3)), [[1.0]]), np.ones(3)
    norms = np.array([[10.0, 1.0, 8.0], [3.0, 0.0, 2.0], [0.0, 0.0, 0.0]])  # 7 of 19 apart, 2 of 5, and of nothing
    of_path = ImplicitPath(norms.sum(axis=1), norms, (rule,) * 3, ones, ones > 0, ones, rule)
    assert of_path.clearest(np.array([True, False, True])) == 1


def test_each_input_its_own_group_is_no_groups(data, path):
    grouped = implicit_path(*data, groups=np.arange(N_INPUTS), **CHEAP)
    np.testing.assert_allclose(grouped.column_norms, path.column_norms, rtol=1e-6, atol=1e-9)


def test_sparse_inputs_give_the_same_ranking(data, path):
    again = implicit_path(sparse.csr_matrix(data[0]), data[1], **CHEAP)
    np.testing.assert_allclose(again.shares, path.shares, atol=0.02)


def test_weight_two_is_a_row_given_twice(data):
    X, y = data
    weights = np.where(np.arange(y.size) < 40, 2.0, 1.0)
    weighted = implicit_path(X, y, sample_weight=weights, **CHEAP)
    repeated = implicit_path(np.vstack([X, X[:40]]), np.hstack([y, y[:40]]), **CHEAP)
    np.testing.assert_allclose(weighted.column_norms, repeated.column_norms, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_inputs_of_a_random_rule_head_the_ranking(seed, noise):
    X, Y, true_norms = teacher_data(4, noise, seed)
    path = implicit_path(X, Y, n_hidden=5, column_budgets=10, random_state=0)
    assert set(np.argsort(-path.shares)[:4]) == set(np.flatnonzero(true_norms))
    clearest = np.argmax(
        path.column_norms[:, true_norms > 0].min(axis=1) / path.column_norms.sum(axis=1)
        - path.column_norms[:, true_norms == 0].max(axis=1) / path.column_norms.sum(axis=1)
    )
    assert np.corrcoef(path.column_norms[clearest], true_norms)[0, 1] > 0.9


@pytest.mark.parametrize(
    "act",
    [lambda X: 2 * X[:, 0] ** 2 + X[:, 1], lambda X: 2 * X[:, 0] * X[:, 1]],
    ids=["square", "product"],
)
def test_an_input_without_linear_correlation_is_found(act):
    X = inputs(300)
    path = implicit_path(X, act(X), n_hidden=8, column_budgets=10, random_state=0)
    assert set(np.argsort(-path.shares)[:2]) == {0, 1}


def test_identical_columns_share_one_effect(data):
    X, y = data
    path = implicit_path(np.column_stack([X, X[:, 1]]), y, **CHEAP)
    others = np.delete(path.shares, [1, 4, N_INPUTS])
    assert path.shares[[1, N_INPUTS]].max() > others.max()


def test_constant_column_has_no_share(data):
    X, y = data[0].copy(), data[1]
    X[:, 0] = 7.0
    path = implicit_path(X, y, **CHEAP)
    assert path.shares[0] == 0


@pytest.mark.parametrize("y", [np.zeros(60), np.ones((60, 2))], ids=["one target", "two targets"])
def test_constant_targets(y):
    path = implicit_path(inputs(60), y, **CHEAP)
    assert np.all(np.isfinite(path.column_norms))
    np.testing.assert_array_equal(path.train_scores, 0.0)


def test_more_inputs_than_samples():
    X = inputs(60, 90)
    path = implicit_path(X, 3 * X[:, 5], **CHEAP)
    assert np.argmax(path.shares) == 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"column_budgets": 0}, "column_budgets"),
        ({"column_budgets": True}, "column_budgets must be a number of budgets or a list"),
        ({"column_budgets": 2.5}, "column_budgets must be a number of budgets or a list.*got 2.5"),
        ({"column_budgets": []}, "column_budgets"),
        ({"column_budgets": [1.0, -1.0]}, "column_budgets"),
        ({"column_budgets": [1.0, np.nan]}, "column_budgets"),
        ({"column_budgets": [[1.0]]}, "column_budgets"),
        ({"column_budgets": ["a"]}, "column_budgets"),
        ({"column_budgets": ["1.0"]}, "column_budgets"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": -1.0}, "alpha"),
        ({"groups": [0, 1]}, "groups"),
        ({"n_hidden": 0}, "n_hidden"),
        ({"direct": True}, "column_budget needs direct"),
        ({"sample_weight": np.zeros(120)}, "[Ss]ample.weight"),
        ({"n_hiden": 3}, "n_hiden"),
        ({"n_members": 3, "clip": False}, "clip, n_members would have no effect"),
        ({"groups": [None] * 6}, "groups"),
    ],
)
def test_bad_parameters_are_named(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        implicit_path(*data, **(CHEAP | parameters))


def test_a_path_has_one_ridge(data):
    with pytest.raises(TypeError, match="alpha must be a number"):
        implicit_path(*data, **(CHEAP | {"alpha": "auto"}))


def test_bad_data_are_named():
    with pytest.raises(ValueError, match="NaN"):
        implicit_path(np.full((10, 2), np.nan), np.arange(10.0))
    with pytest.raises(ValueError, match="inconsistent"):
        implicit_path(np.ones((10, 2)), np.arange(9.0))


@pytest.mark.parametrize("given", [{"direct": True}, {"column_budget": 3.0}])
def test_what_a_path_cannot_keep_of_its_estimator_is_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        implicit_path(np.eye(4), np.arange(4.0), estimator=ImplicitRegressor(**given), column_budgets=2)
