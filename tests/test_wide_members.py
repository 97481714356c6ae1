"""Members with ridges of their own, of more inputs than rows, stay as cross-fitting left them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import TimeSeriesSplit

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.composition import average
from skimplicit.estimators import cross_fit_choice, members
from skimplicit.estimators.cross_fit_choice import CrossFit

BEST_LINEAR = cross_fit_choice.best_linear
SMALL = dict(n_hidden=3, cv=3, max_iter=6, clip=True, random_state=0)


def make_data(m=15, p=16, seed=0):
    """Return inputs that all act on a target, in which a kink is, so that states contribute."""
    random = np.random.RandomState(seed)
    X = random.standard_normal((m, p))
    return X, 4 * np.abs(X[:, 0]) + X @ random.standard_normal(p)


@pytest.fixture
def trained_on(monkeypatch):
    """Let held-out rows want states, and ridges for each input; return the choices that last trainings begin with."""
    begun, train_on = [], members._train_on
    monkeypatch.setattr(CrossFit, "standard_errors_above", lambda self, other: -2.0)
    monkeypatch.setattr(cross_fit_choice, "best_linear", lambda members: None)
    monkeypatch.setattr(members, "_train_on", lambda *given: (begun.append(given[4]), train_on(*given))[1])
    return begun


@pytest.fixture
def choices(monkeypatch):
    """Return the choices that come of cross-fitting."""
    made, choose = [], members.choose_relevance

    def kept(*given):
        made.append(choose(*given))
        return made[-1]

    monkeypatch.setattr(members, "choose_relevance", kept)
    return made


def test_each_keeps_its_own_ridges_and_readout(trained_on, choices):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL).fit(X, y)
    assert not trained_on
    ((choice, _),) = choices
    assert len(model.rules_) == 3
    for rule, cross_fitted in zip(model.rules_, choice.rules, strict=True):
        assert_allclose(rule.predict(X), cross_fitted.predict(X), rtol=1e-4, atol=1e-4)
    assert_array_equal(model.rule_.A, average(*model.rules_).A)
    own = np.array([member.relevance for member in choice.members])
    assert np.ptp(own, axis=0).max() > 0.1
    assert_allclose(model.relevance_, np.sqrt(np.mean(own**2, axis=0)))
    assert_array_equal(model.objective_stages_, [0, 1, 2])
    assert model.n_iter_ == choice.n_iter


def test_the_record_is_the_objective_of_each_on_its_own_rows(trained_on, choices):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL).fit(X, y)
    ((choice, _),) = choices
    for member, rule, recorded in zip(choice.members, model.rules_, model.objective_history_, strict=True):
        rows, ridge = member.fold.train, choice.alpha / member.relevance**2
        inputs, target = member._X[rows], member.targets.Y[rows]  # distinct rows, in an order of their own
        missed = np.mean((target - rule.predict(inputs)) ** 2) / target.var()
        inputs = inputs.std(axis=0)
        squares = np.sum(rule.A**2) * choice.alpha + np.sum((rule.B * inputs) ** 2 * ridge)
        squares += np.sum(rule.C**2) / target.var() * choice.alpha
        squares += choice.direct_ridge * np.sum((rule.D * inputs) ** 2 * ridge) / target.var()
        assert_allclose(recorded, 0.5 * (missed + squares), rtol=1e-5)


@pytest.mark.parametrize("given", [{"n_members": 1}, {"n_members": 2}])
def test_fewer_members_than_folds_see_all_rows(trained_on, given):
    model = ImplicitRegressor(**SMALL, **given).fit(*make_data())
    assert len(trained_on) == 1 and len(model.rules_) == given["n_members"]


def test_of_fewer_inputs_than_rows_they_are_trained_on(trained_on):
    X, y = make_data(m=24)
    ImplicitRegressor(**SMALL).fit(X, y)
    assert len(trained_on) == 1
    X[:, 8:] = 1.0
    ImplicitRegressor(**SMALL).fit(X[:12], y[:12])  # inputs that do not vary do not count
    assert len(trained_on) == 2


FIRST, THEN, LAST = np.split(np.arange(15), 3)
SPLITS = {
    "a series": TimeSeriesSplit(3),
    "always held out": [(np.r_[FIRST, THEN], LAST), (np.r_[FIRST, THEN], LAST)],
    "in no fold": [(FIRST, THEN), (THEN, FIRST)],
}


@pytest.mark.parametrize("cv", SPLITS.values(), ids=SPLITS.keys())
def test_rows_that_folds_leave_out_are_trained_on(trained_on, cv):
    model = ImplicitRegressor(**{**SMALL, "cv": cv}).fit(*make_data())
    assert len(trained_on) == 1 and model.relevance_.all()


def test_a_linear_rule_has_all_rows(trained_on, monkeypatch):
    monkeypatch.setattr(cross_fit_choice, "best_linear", lambda members: (*BEST_LINEAR(members)[:-1], np.float64(0.0)))
    model = ImplicitRegressor(**SMALL).fit(*make_data())
    assert model.is_linear_ and model.relevance_.all() and len(model.rules_) == len(trained_on) == 1


@pytest.mark.parametrize("m, linear", [(15, True), (15, False), (40, True)])
def test_a_linear_rule_of_few_rows_has_ridges_where_held_out_rows_clearly_want_them(m, linear, trained_on, monkeypatch):
    monkeypatch.setattr(CrossFit, "standard_errors_above", lambda self, other: -0.9)
    if linear:
        best = lambda members: (*BEST_LINEAR(members)[:-1], np.float64(0.0))  # noqa: E731
        monkeypatch.setattr(cross_fit_choice, "best_linear", best)
    model = ImplicitRegressor(**SMALL).fit(*make_data(m))
    assert model.is_linear_ == linear and (model.relevance_ is None) == (linear and m == 15)


def test_classes(trained_on):
    X, y = make_data(m=15)
    model = ImplicitClassifier(**SMALL).fit(X, y > np.median(y))
    assert not trained_on and len(model.rules_) == 3
    assert model.score(X, y > np.median(y)) > 0.8


def test_warm_starts_go_on_from_them(trained_on):
    X, y = make_data()
    model = ImplicitRegressor(**SMALL, warm_start=True).fit(X, y)
    relevance = model.relevance_
    model.fit(X, y)
    assert model.relevance_ is relevance and len(model.rules_) == 3
