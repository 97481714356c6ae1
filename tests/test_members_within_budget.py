"""Averages of rules under a column budget keep it together."""

import numpy as np
import pytest

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.budgets import members_within_budget

pytestmark = [
    pytest.mark.usefixtures("short_ladder"),
    pytest.mark.filterwarnings("ignore:Training stopped after max_iter"),
]
SMALL = dict(cv=3, n_hidden=3, max_iter=3, tol=1e-2, n_members=3, random_state=0)


def make_data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) * [1, 1, 10, 1, 0.1] + 3
    return X, np.abs(X[:, 0] - 3) + X[:, 1] + 0.1 * rng.normal(size=60)


@pytest.mark.slow_cases
@pytest.mark.parametrize("parameters", [{"column_budget": 0.5}, {"column_budget": 2.0, "alpha": 0.01}])
@pytest.mark.parametrize("of_classes", [False, True])
def test_the_stored_rule_keeps_the_budget(parameters, of_classes, monkeypatch):
    X, y = make_data()
    y = y > np.median(y) if of_classes else y
    model = (ImplicitClassifier if of_classes else ImplicitRegressor)(**{**SMALL, **parameters})
    model.fit(X, y)
    bound = parameters["column_budget"]
    assert len(model.rules_) == 3 and model.column_norms_.sum() <= bound * (1 + 1e-9)
    np.testing.assert_array_equal(model.column_norms_, np.abs(model.rule_.B).max(axis=0))
    outputs = model.rule_.predict(X)
    np.testing.assert_allclose(outputs, np.mean([rule.predict(X) for rule in model.rules_], axis=0), rtol=1e-9)
    # It is the same map as with the states in the units of training, where together they exceed it.
    monkeypatch.setattr("skimplicit.estimators.base.members_within_budget", lambda estimator, rules: list(rules))
    model.fit(X, y)
    assert model.column_norms_.sum() > bound * 1.01
    np.testing.assert_allclose(model.rule_.predict(X), outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_a_chosen_budget_is_kept_too():
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, column_budget="auto").fit(X, y)
    assert model.column_norms_.sum() <= model.column_budget_ * (1 + 1e-9)


def test_batches_keep_it():
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, column_budget=0.5, alpha=0.01, method="gradient")
    for part in (slice(30), slice(30, 60)):
        model.partial_fit(X[part], y[part])
        assert len(model.rules_) == 3 and model.column_norms_.sum() <= 0.5 * (1 + 1e-9)


def test_what_is_within_the_budget_stays_as_it_is():
    X, y = make_data()
    model = ImplicitRegressor(**SMALL).fit(X, y)
    assert all(a is b for a, b in zip(members_within_budget(model, model.rules_), model.rules_, strict=True))
    model.column_budget_ = model.column_norms_.sum() * 2
    assert all(a is b for a, b in zip(members_within_budget(model, model.rules_), model.rules_, strict=True))


def test_an_activation_that_cannot_be_rescaled_is_named():
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, column_budget=1.0, activation="tanh")
    with pytest.raises(ValueError, match="n_members=3 needs a positively homogeneous activation.*'tanh'"):
        model.fit(X, y)
    model.set_params(n_members=1).fit(X, y)
    assert model.column_norms_.sum() <= 1 + 1e-9


@pytest.mark.parametrize("constant", [3.0, 0.1, -7.7])
def test_a_constant_target_beside_another_is_that_constant(constant):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL).fit(X, np.column_stack([y, np.full(len(y), constant)]))
    assert np.all(model.predict(X)[:, 1] == constant)
