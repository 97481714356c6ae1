"""``column_budget="auto"``: held-out rows choose the bound, in every estimator that holds rows out."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel

from skimplicit import (
    ImplicitClassifier,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    implicit_path,
)
from skimplicit.estimators import budget_choice, cross_fitting, growing
from skimplicit.estimators.cross_fitting import Member

TRUE = [1, 4, 6]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 10))
Y = 2 * X[:, 1] - 2 * np.abs(X[:, 4]) + X[:, 6] + 0.3 * RNG.standard_normal(150)
SIGNS = np.where(Y > np.median(Y), "high", "low")
QUICK = {"n_hidden": 4, "column_budget": "auto", "cv": 2, "random_state": 0, "max_iter": 4}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module", autouse=True)
def few_budgets():
    """The laws hold for any number of budgets and of iterations at each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_fitting, "_N_BUDGETS", 4)
        patch.setattr(cross_fitting, "_BUDGET_ITER", 2)
        yield


@pytest.fixture(scope="module")
def fitted():
    return ImplicitRegressor(**QUICK).fit(X, Y)


def test_the_bound_holds_and_is_reported(fitted):
    assert 0 < fitted.column_budget_
    assert fitted.column_norms_.sum() <= fitted.column_budget_ * (1 + 1e-9)
    assert len(fitted.rules_) == 1  # the mean of several would keep what any of them keeps
    assert not np.any(fitted.rule_.D.toarray() if hasattr(fitted.rule_.D, "toarray") else fitted.rule_.D)
    assert fitted.score(X, Y) > 0.8
    assert fitted.heldout_score_ > 0.7


@pytest.mark.slow
def test_select_from_model_keeps_the_true_inputs(monkeypatch):
    monkeypatch.setattr(cross_fitting, "_N_BUDGETS", 10)
    monkeypatch.setattr(cross_fitting, "_BUDGET_ITER", 5)
    select = SelectFromModel(ImplicitRegressor(**QUICK)).fit(X, Y)
    assert select.get_support(indices=True).tolist() == TRUE


@pytest.mark.slow
@pytest.mark.slow_cases
@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_any_unit_has_the_same_rule(fitted, unit):
    other = ImplicitRegressor(**QUICK).fit(X * unit, Y)
    assert other.column_budget_ * unit == pytest.approx(fitted.column_budget_, rel=1e-6)
    np.testing.assert_allclose(other.predict(X * unit), fitted.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.slow_cases
@pytest.mark.parametrize("targets", ["classes", "several"])
def test_classes_and_several_outputs(targets):
    if targets == "classes":
        model = ImplicitClassifier(**QUICK).fit(X, SIGNS)
    else:
        model = ImplicitRegressor(**QUICK).fit(X, np.column_stack([Y, X[:, 6]]))
    assert model.column_norms_.sum() <= model.column_budget_ * (1 + 1e-9)
    assert np.isin(np.argsort(-model.feature_importances_)[:3], TRUE).all()


def test_parameters_and_clones(fitted):
    assert clone(fitted).get_params()["column_budget"] == "auto"
    assert not hasattr(clone(fitted), "column_budget_")
    given = ImplicitRegressor(**QUICK | {"column_budget": 0.5, "alpha": 0.01}).fit(X, Y)
    assert given.column_budget_ == 0.5
    assert ImplicitRegressor(**QUICK | {"column_budget": None, "alpha": 0.01}).fit(X, Y).column_budget_ is None


def test_a_given_bound_like_the_chosen_one_gives_as_good_a_rule(fitted):
    """What is chosen is nothing but a number that could have been given."""
    chosen = {"column_budget": fitted.column_budget_, "alpha": fitted.alpha_, "max_iter": 20}
    given = ImplicitRegressor(**QUICK | chosen).fit(X, Y)
    assert given.score(X, Y) == pytest.approx(fitted.score(X, Y), abs=0.05)


@pytest.mark.slow
def test_a_warm_start_keeps_the_bound():
    model = ImplicitRegressor(**QUICK, warm_start=True).fit(X, Y)
    bound = model.column_budget_
    assert model.fit(X, Y).column_budget_ == bound
    assert model.column_norms_.sum() <= bound * (1 + 1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("short_ladder")
def test_the_number_of_states_can_be_chosen_too(monkeypatch):
    monkeypatch.setattr(growing, "_SIZES", (2, 4))
    model = ImplicitRegressor(**QUICK | {"n_hidden": "auto", "max_iter": 2}).fit(X[:60], Y[:60])
    assert model.column_norms_.sum() <= model.column_budget_ * (1 + 1e-9)


def test_passes_go_on_with_the_bound():
    parameters = QUICK | {"method": "gradient", "max_iter": 5}
    with pytest.raises(ValueError, match="column_budget='auto'.*partial_fit"):
        ImplicitRegressor(**parameters).partial_fit(X, Y)
    model = ImplicitRegressor(**parameters).fit(X, Y)
    bound = model.column_budget_
    assert model.partial_fit(X, Y).column_budget_ == bound
    assert model.column_norms_.sum() <= bound * (1 + 1e-9)


def test_too_few_rows_to_hold_any_out():
    assert ImplicitRegressor(**QUICK | {"cv": None}).fit(X[:2], Y[:2]).column_budget_ is None


def test_an_interrupt_keeps_the_rule_without_a_bound(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Member, "tighten", interrupt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = ImplicitRegressor(**QUICK).fit(X, Y)
    assert [warning.category for warning in caught] == [ConvergenceWarning]
    assert model.column_budget_ is None
    assert np.all(np.isfinite(model.predict(X)))


def test_smallest_budget_within_one_standard_error():
    best = np.array([0.2, 0.4, 0.3])
    weights = np.full(3, 1 / 3)
    losses = [best + 0.1, best, best + [-0.02, 0.03, 0.01], best + [0.01, 0.02, 0.03], best + 0.5]
    assert budget_choice._smallest_good(np.array(losses), weights) == 2
    assert budget_choice._smallest_good(np.array([best, best, best + 1e-9]), weights) == 1
    assert budget_choice._smallest_good(np.array([[0.1], [0.2]]), np.ones(1)) == 0  # one fold tells no error


@pytest.mark.parametrize(
    ("fit", "names"),
    [
        (lambda: ImplicitRegressor(**QUICK | {"alpha": 0.1}).fit(X, Y), "column_budget='auto' needs alpha='auto'"),
        (lambda: ImplicitRegressor(**QUICK, direct=True).fit(X, Y), "column_budget needs direct=False"),
        (
            lambda: ImplicitRegressorCV(column_budget="auto").fit(X, Y),
            "'column_budget' parameter of ImplicitRegressorCV",
        ),
        (lambda: ImplicitRegressor(column_budget="some").fit(X, Y), "column_budget"),
        (lambda: ImplicitFeatureSelector(ImplicitRegressor(**QUICK)).fit(X, Y), "column_budget='auto'"),
        (lambda: implicit_path(X, Y, column_budget="auto"), "column_budget"),
    ],
)
def test_where_it_has_no_meaning(fit, names):
    with pytest.raises(ValueError, match=names):
        fit()
