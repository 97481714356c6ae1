"""``partial_fit`` in short: what each call takes over from those before."""

import numpy as np
import pytest

from skimplicit import ImplicitRegressor
from skimplicit.training import StochasticGradient
from skimplicit.training.stochastic_gradient import GradientRun

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rows(m, seed=0):
    X = np.random.default_rng(seed).normal(size=(m, 3))
    return X, np.abs(X[:, 0]) + X @ [0.5, -1.0, 0.2]


def regressor(**parameters):
    given = {"method": "gradient", "random_state": 0, "n_hidden": 3, "alpha": 0.03, "max_iter": 20, "n_members": 1}
    return ImplicitRegressor(**given | parameters)


def test_inputs_are_cut_to_the_range_of_all_calls():
    X, y = rows(60)
    model = regressor().partial_fit(3 * X, y).partial_fit(0.1 * X, y)
    np.testing.assert_allclose(model.predict(3 * X), model.rule_.predict(3 * X).ravel(), rtol=1e-9)
    assert np.abs(model.predict(300 * X) - model.rule_.predict(300 * X).ravel()).max() > 1


def test_a_pass_after_a_fit_that_cuts_nothing_cuts_nothing():
    X, y = rows(60)
    model = regressor(clip=False).fit(X, y).set_params(clip=True).partial_fit(0.1 * X[:20], y[:20])
    np.testing.assert_allclose(model.predict(X), model.rule_.predict(X).ravel(), rtol=1e-9)


@pytest.mark.parametrize("n_members", [1, 2])
def test_few_rows_are_those_of_all_calls_that_weigh_anything(n_members):
    X, y = rows(24)
    weights = np.r_[np.ones(6), np.zeros(12), np.ones(6)]
    model = regressor(n_members=n_members).partial_fit(X[:18], y[:18], weights[:18])
    model.partial_fit(X[18:], y[18:], weights[18:])
    expected = regressor(n_members=n_members).partial_fit(X[weights > 0], y[weights > 0])
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    more = rows(30, seed=1)  # ten rows have been given: nothing starts anew
    np.testing.assert_array_equal(model.partial_fit(*more).predict(X), expected.partial_fit(*more).predict(X))
    assert model.n_iter_ == expected.n_iter_ + 1


def test_members_and_passes_differ_and_go_on_with_the_optimiser_that_is_wanted(monkeypatch):
    sources, optimisers, inner = [], [], GradientRun.one_pass

    def one_pass(run, stage, point, rate, optimiser, *others):
        _, key, place, *_ = run.random_state.get_state()
        sources.append((tuple(key), place))
        optimisers.append(optimiser)
        return inner(run, stage, point, rate, optimiser, *others)

    monkeypatch.setattr(GradientRun, "one_pass", one_pass)
    model = regressor(method=StochasticGradient(), n_members=2).partial_fit(*rows(40)).partial_fit(*rows(40))
    model.set_params(method__optimiser="sgd").partial_fit(*rows(40))
    assert len(set(sources)) == 6
    assert [type(each).__name__ for each in optimisers] == ["Adam"] * 4 + ["Momentum"] * 2
    assert [each.n_steps for each in optimisers[:4]] == [1, 1, 2, 2]


def standard_rows(m):
    X, y = rows(m)
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def objective(rule, X, y, alpha, direct_ridge=1.0, relevance=1.0):
    """Of inputs and targets that are standardised."""
    B, D = rule.B / relevance, rule.D / relevance  # weights of inputs that are multiplied by it
    squares = sum(np.sum(M**2) for M in (rule.A, B, rule.C)) + direct_ridge * np.sum(D**2)
    return np.mean((rule.predict(X).ravel() - y) ** 2) / 2 + alpha / 2 * squares


@pytest.mark.parametrize("n_members", [1, 2])
def test_the_record_is_the_mean_objective_of_the_members(n_members):
    X, y = standard_rows(50)
    model = regressor(n_members=n_members, method=StochasticGradient(batch_size=5, learning_rate_init=0.05))
    for n_passes in range(1, 4):
        assert len(model.partial_fit(X, y).objective_history_) == n_passes
    objectives = [objective(rule, X, y, 0.03) for rule in model.rules_]
    assert n_members == 1 or abs(np.diff(objectives)[0]) > 0.01
    np.testing.assert_allclose(model.objective_history_[-1], np.mean(objectives), rtol=1e-3)


def test_the_record_counts_weights_with_the_ridges_that_were_chosen_for_them():
    X, y = standard_rows(50)
    model = regressor(alpha="auto", max_iter=3, cv=2).fit(X, y).partial_fit(X, y)
    ridges = model._direct_ridge, model.relevance_
    expected = objective(model.rule_, X, y, model.alpha_, *ridges)
    np.testing.assert_allclose(model.objective_history_[-1], expected, rtol=1e-3)
    for others in ((1.0, ridges[1]), (ridges[0], 1.0)):  # both matter
        assert abs(objective(model.rule_, X, y, model.alpha_, *others) / expected - 1) > 0.005


@pytest.mark.parametrize("change", [{"alpha": 0.03}, {"column_budget": 5.0}], ids=str)
def test_ridges_of_inputs_that_were_chosen_are_gone_where_all_have_the_same(change):
    X, y = standard_rows(50)
    model = regressor(alpha="auto", max_iter=3, cv=2).fit(X, y)
    assert model.relevance_ is not None
    direct_ridge = 1.0 if "alpha" in change else model._direct_ridge
    model.set_params(**change).partial_fit(X, y)
    assert model.relevance_ is None and model._direct_ridge == direct_ridge
    expected = objective(model.rule_, X, y, model.alpha_, direct_ridge)
    np.testing.assert_allclose(model.objective_history_[-1], expected, rtol=1e-3)


def test_nothing_is_left_of_rows_that_a_fit_has_held_out():
    X, y = rows(60)
    model = regressor(method=StochasticGradient(early_stopping=True)).fit(X, y)
    assert model.validation_scores_ is not None
    model.set_params(method__early_stopping=False).partial_fit(X, y)
    assert model.validation_scores_ is None and model.best_validation_score_ is None
    model = regressor(alpha="auto", max_iter=3, cv=2).fit(X, y)
    assert model.heldout_score_ is not None
    assert model.partial_fit(X, y).heldout_score_ is None
