"""Training methods are objects with their own options, and an option without effect is refused."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.estimators.methods import METHODS, get_method
from skimplicit.lifted import Lifted
from skimplicit.training import BlockCoordinateDescent, StochasticGradient, TrainingMethod

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
OBJECTS = {"bcd": BlockCoordinateDescent, "gradient": StochasticGradient, "lifted": Lifted}
every_estimator = pytest.mark.parametrize(
    "make", [ImplicitRegressor, ImplicitClassifier, ImplicitRegressorCV, ImplicitClassifierCV]
)


def data(make, m=40):
    X, y = make_friedman1(m, n_features=5, noise=0.3, random_state=0)
    return X, y if "Regressor" in make.__name__ else y > 14


def small(make, **parameters):
    ridge = {"cv": 2, "alphas": [0.03]} if make.__name__.endswith("CV") else {"alpha": 0.03}
    return make(**{"n_hidden": 2, "max_iter": 2, "random_state": 0, **ridge, **parameters})


@pytest.mark.slow_cases
@every_estimator
@pytest.mark.parametrize("name", OBJECTS)
def test_a_name_stands_for_the_object_with_its_defaults(make, name):
    X, y = data(make)
    by_name, by_object = (small(make, method=method).fit(X, y) for method in (name, OBJECTS[name]()))
    assert isinstance(get_method(name), OBJECTS[name])
    for part in ("A", "B", "C", "D", "b", "c"):
        np.testing.assert_array_equal(getattr(by_name.rule_, part), getattr(by_object.rule_, part))


@pytest.mark.slow
@pytest.mark.parametrize("method", [BlockCoordinateDescent(), Lifted(), StochasticGradient(batch_size=7)])
def test_a_fit_leaves_the_method_as_it_was_and_it_serves_again(method):
    X, y = data(ImplicitRegressor)
    before = pickle.dumps(method)
    rules = [small(ImplicitRegressor, method=method).fit(X, y).rule_ for _ in range(2)]
    np.testing.assert_array_equal(rules[0].B, rules[1].B)
    assert pickle.dumps(method) == before and isinstance(method, TrainingMethod)


def test_names_keep_their_defaults():
    assert {name: method.get_params() for name, method in METHODS.items()} == {
        name: cls().get_params() for name, cls in OBJECTS.items()
    }
    model = ImplicitRegressor(method="gradient")
    assert model.get_params()["method"] == "gradient"  # nothing that all could change is handed out


@every_estimator
def test_nested_parameters(make):
    model = make(method=StochasticGradient(batch_size=20))
    assert model.get_params()["method__batch_size"] == 20
    model.set_params(method__learning_rate_init=0.5)
    assert (
        " ".join(repr(model).split())
        == f"{make.__name__}(method=StochasticGradient(batch_size=20, learning_rate_init=0.5))"
    )
    copy = clone(model)
    assert copy.method is not model.method and copy.method.get_params() == model.method.get_params()
    assert "StochasticGradient" in model._repr_html_()
    with pytest.raises(ValueError, match="Invalid parameter 'no_such' for estimator StochasticGradient"):
        model.set_params(method__no_such=1)


@pytest.mark.slow
def test_grid_search_over_nested_parameters_and_methods():
    X, y = data(ImplicitRegressor, 100)
    grid = [{"method__batch_size": [10, 50]}, {"method": [BlockCoordinateDescent(), "lifted"]}]
    search = GridSearchCV(small(ImplicitRegressor, method=StochasticGradient()), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("shortest_paths")
def test_options_reach_a_selector():
    X, y = data(ImplicitRegressor)
    estimator = small(ImplicitRegressor, method=StochasticGradient(batch_size=20))
    selector = ImplicitFeatureSelector(
        estimator=estimator, n_features_to_select=2, column_budgets=2, cv=2, random_state=0
    )
    selector.set_params(estimator__method__learning_rate_init=0.05).fit(X, y)
    assert selector.estimator_.method.get_params()["learning_rate_init"] == 0.05


@pytest.mark.slow
def test_options_have_an_effect():
    X, y = data(ImplicitRegressor)
    rules = {
        name: small(ImplicitRegressor, method=StochasticGradient(**options)).fit(X, y).rule_.A.tobytes()
        for name, options in {
            "default": {},
            "optimiser": {"optimiser": "sgd"},
            "batch_size": {"batch_size": 13},
            "learning_rate_init": {"learning_rate_init": 0.1},
            "early_stopping": {"early_stopping": True},
            "validation_fraction": {"early_stopping": True, "validation_fraction": 0.4},
        }.items()
    }
    assert len(set(rules.values())) == len(rules)
    runs = [
        small(ImplicitRegressor, method=StochasticGradient(n_iter_no_change=k), max_iter=80, tol=0.5) for k in (1, 4)
    ]
    assert runs[0].fit(X, y).n_iter_ < runs[1].fit(X, y).n_iter_


def _non_negative(A, B):
    return [B >= 0]


@every_estimator
@pytest.mark.parametrize("method", ["gradient", StochasticGradient(batch_size=5)])
@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"constraints": _non_negative}, "constraints cannot be used with method="),
        ({"solver": "cvxpy"}, "solver='cvxpy' solves the equilibrium block, which method="),
        ({"solver": "projected"}, "solver='projected' solves the equilibrium block, which method="),
    ],
)
def test_what_a_method_cannot_use_is_refused(make, method, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(make, method=method, **parameters).fit(*data(make))


@every_estimator
def test_options_are_checked_in_fit(make):
    with pytest.raises(ValueError, match="The 'batch_size' parameter of StochasticGradient must be"):
        small(make, method=StochasticGradient(batch_size=0)).fit(*data(make))
    with pytest.raises(ValueError, match="validation_fraction=0.2 has no effect without early_stopping=True"):
        small(make, method=StochasticGradient(validation_fraction=0.2)).fit(*data(make))
    with pytest.raises(ValueError, match="The 'method' parameter of"):
        small(make, method=StochasticGradient).fit(*data(make))


@pytest.mark.parametrize("make", [ImplicitRegressor, ImplicitClassifier])
def test_options_of_a_method_are_not_those_of_the_estimator(make):
    for name in StochasticGradient().get_params():
        with pytest.raises(TypeError, match=f"'{name}'"):
            make(**{name: 1})
