"""What a warm start, or a pass, goes on with, and what it does not go on from."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score

from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRegressorCV, ImplicitRule
from skimplicit.estimators.warm_starting import can_warm_start
from skimplicit.training import StochasticGradient

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]
SMALL = {"n_hidden": 3, "random_state": 0, "max_iter": 10, "cv": 2}


def make_data(m=80):
    return make_friedman1(m, n_features=6, noise=0.5, random_state=0)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_under_a_budget_one_rule_goes_on_and_is_what_was_trained(activation):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, activation=activation).fit(X, y)
    assert len(model.rules_) > 1
    model.set_params(warm_start=True, column_budget=0.5).fit(X, y)
    assert len(model.rules_) == 1
    assert model.column_norms_.sum() <= 0.5 + 1e-9
    assert model.score(X, y) > 0.4


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_pass_under_a_budget_goes_on_with_one_rule(activation):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, activation=activation, method="gradient", direct=False).fit(X, y)
    first = r2_score(y, model.rules_[0].predict(X))
    model.set_params(column_budget=1e3).partial_fit(X, y)
    assert len(model.rules_) == 1
    assert model.score(X, y) > first - 0.1


@pytest.mark.usefixtures("short_ladder")
def test_a_budget_that_was_never_chosen_is_chosen_by_a_warm_start_too():
    X, y = make_data()
    small = {**SMALL, "max_iter": 2}
    cold = ImplicitRegressor(**small, column_budget="auto").fit(X, y)
    warm = ImplicitRegressor(**small).fit(X, y).set_params(column_budget="auto", warm_start=True).fit(X, y)
    assert warm.column_budget_ == cold.column_budget_
    assert_allclose(warm.predict(X), cold.predict(X))


@pytest.mark.usefixtures("short_ladder")
def test_a_rule_without_inputs_is_no_start():
    X, y = make_data()
    linear = ImplicitRegressor(**SMALL, warm_start=True).fit(X, X[:, 0] + 0.1 * X[:, 1])
    linear.rules_ = [rule.__class__(0 * rule.A, 0 * rule.B, rule.C, rule.D) for rule in linear.rules_]
    assert not can_warm_start(linear, 6)
    cold = ImplicitRegressor(**SMALL).fit(X, y)
    assert_allclose(linear.fit(X, y).predict(X), cold.predict(X))


def test_the_ridge_of_the_direct_term_is_gone_on_with():
    X, y = make_data()
    for seed in range(10):
        model = ImplicitRegressor(n_hidden=3, random_state=seed, cv=2, warm_start=True).fit(X, y)
        if model._direct_ridge != 1.0:
            break
    chosen = model._direct_ridge
    assert chosen < 1.0
    D = np.abs(model.rule_.D).sum()
    assert_allclose(np.abs(model.fit(X, y).rule_.D).sum(), D, rtol=0.1)
    assert model._direct_ridge == chosen
    assert model.set_params(alpha=0.01).fit(X, y)._direct_ridge == 1.0


@pytest.mark.usefixtures("short_ladder")
def test_nothing_of_an_earlier_fit_is_in_a_cold_one():
    X, y = make_data()
    # Too few rows to hold any out: the ridge is a fixed one, not that of the fit before.
    few = ImplicitRegressor(**SMALL).fit(X, y).fit(X[:3], y[:3])
    assert_allclose(few.predict(X), ImplicitRegressor(**SMALL).fit(X[:3], y[:3]).predict(X))


@pytest.mark.usefixtures("few_states")
def test_a_growing_number_of_states_starts_anew_for_other_inputs():
    X, y = make_data()
    growing = {"n_hidden": "auto", "random_state": 0, "max_iter": 2, "cv": 2}
    model = ImplicitRegressor(**growing, warm_start=True).fit(X, X[:, 0])
    cold = ImplicitRegressor(**growing).fit(X[:, :5], y)
    assert {rule.n_hidden for rule in cold.rules_} != {rule.n_hidden for rule in model.rules_}
    assert_allclose(model.fit(X[:, :5], y).predict(X[:, :5]), cold.predict(X[:, :5]))


@pytest.mark.usefixtures("few_states", "short_ladder")
def test_splits_that_are_given_once_do_for_every_number_of_states():
    X, y = make_data()
    splits = [(np.setdiff1d(np.arange(80), rows), rows) for rows in np.arange(80).reshape(2, 40)]
    model = ImplicitRegressor(n_hidden="auto", random_state=0, max_iter=2)
    listed = model.set_params(cv=splits).fit(X, y).predict(X)
    assert_allclose(model.set_params(cv=iter(splits)).fit(X, y).predict(X), listed)


def test_scores_of_early_stopping_are_gone_after_a_pass():
    X, y = make_data()
    method = StochasticGradient(early_stopping=True)
    model = ImplicitRegressor(n_hidden=4, alpha=0.01, random_state=0, method=method)
    assert model.fit(X, y).best_validation_score_ is not None
    model.set_params(method="gradient").partial_fit(X, y)
    assert model.validation_scores_ is None and model.best_validation_score_ is None
    fresh = ImplicitClassifier(n_hidden=4, alpha=0.01, random_state=0, method="gradient").partial_fit(
        X, y > y.mean(), classes=[False, True]
    )
    assert fresh.validation_scores_ is None and fresh.best_validation_score_ is None


def test_a_rule_from_elsewhere_is_a_start():
    X, y = make_data()
    rule = ImplicitRule(np.zeros((4, 4)), np.eye(4, 6), np.ones((1, 4)))
    model = ImplicitRegressor.from_rule(rule, alpha=0.01, warm_start=True)
    assert can_warm_start(model, 6)
    assert model.fit(X, y).rule_.n_hidden == 4


@pytest.mark.usefixtures("few_states", "short_ladder")
@pytest.mark.parametrize("n_hidden", [3, "auto"])
def test_columns_are_those_of_the_last_fit(n_hidden):
    X, y = make_data(30)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = ImplicitRegressor(**{**SMALL, "n_hidden": n_hidden}, warm_start=True).fit(frame, y)
    before = model.rule_
    with pytest.raises(ValueError, match="column 1 of X is 'c', and was 'b'"):
        model.fit(frame[list("acbdef")], y)
    assert model.rule_ is before and list(model.feature_names_in_) == list("abcdef")
    model.fit(frame, y).fit(X, y)  # an array has no names that could be others
    assert model.fit(frame[list("ab")], y).n_features_in_ == 2  # of another size nothing goes on


def test_columns_of_a_path_of_ridges_are_those_of_the_last_fit():
    X, y = make_data(30)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = ImplicitRegressorCV(**SMALL, alphas=[0.01], warm_start=True).fit(frame, y)
    before = model.rule_
    with pytest.raises(ValueError, match="column 1 of X is 'c', and was 'b'"):
        model.fit(frame[list("acbdef")], y)
    assert model.rule_ is before and list(model.feature_names_in_) == list("abcdef")
    assert model.fit(frame, y).n_iter_ <= SMALL["max_iter"]
