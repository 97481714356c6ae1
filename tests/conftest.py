"""Settings that every test runs under, which tests `make quick` leaves out, and what makes a fit of a test small."""

import gc
import os
from collections import defaultdict
from functools import partial

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn skips an estimator check without it; before SciPy loads

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

import skimplicit  # noqa: E402

settings.register_profile("skimplicit", deadline=None)  # a deadline would make a test of the machine's speed
settings.load_profile("skimplicit")

# Of the cases of a test with the mark `slow_cases`, one in so many is not slow: the law stays in the quick tests.
_KEPT = 10
# Packages whose examples choose ridges and inputs, many fits each.
_SEARCHES = {"estimators", "selection"}


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Let garbage collection skip modules and tests, millions of objects that stay: it took seconds each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marks
def pytest_collection_modifyitems(items):
    cases = defaultdict(int)
    for item in items:
        if item.get_closest_marker("slow_cases"):
            name = item.nodeid.split("[")[0]
            if cases[name] % _KEPT:
                item.add_marker(pytest.mark.slow)
            cases[name] += 1
        elif isinstance(item, pytest.DoctestItem) and (item.path.suffix == ".md" or _SEARCHES & {*item.path.parts}):
            item.add_marker(pytest.mark.slow)  # a page is one test, of many fits


def _let_paths_have(monkeypatch, dense, budget, first, later, more_states):
    for name, number in {
        "budget_path._DENSE_ITER": dense,
        "budget_path._BUDGET_ITER": budget,
        "subset_refits._FIRST_ITER": first,
        "subset_refits._LATER_ITER": later,
        "subset_search._MORE_STATES": more_states,
    }.items():
        monkeypatch.setattr(f"skimplicit.selection.{name}", number)


@pytest.fixture
def short_paths(monkeypatch):
    """Let paths of budgets have few iterations, enough to find clear inputs (not in other processes)."""
    _let_paths_have(monkeypatch, 6, 2, 4, 2, 2)


@pytest.fixture
def shortest_paths(monkeypatch):
    """Let paths have next to no iterations, for laws that hold whatever is selected (not in other processes)."""
    _let_paths_have(monkeypatch, 4, 1, 3, 1, 1)


@pytest.fixture
def small_defaults(monkeypatch):
    """Let the estimators that a selector takes where none is given be small ones of one rule at a given ridge."""
    for name in ("ImplicitRegressor", "ImplicitClassifier"):
        small = partial(getattr(skimplicit, name), n_hidden=3, alpha=0.01, max_iter=4, tol=1e-2)
        monkeypatch.setattr(f"skimplicit.selection.target_kind.{name}", small)


@pytest.fixture
def few_states(monkeypatch):
    """Let n_hidden="auto" try two small numbers at least and three at most (not in other processes)."""
    monkeypatch.setattr("skimplicit.estimators.growing._SIZES", (2, 3, 5))


@pytest.fixture
def short_ladder(monkeypatch):
    """Let a chosen ridge be one of few, for laws that hold whichever it is (not in other processes)."""
    for name, value in {
        "alpha_search._STEP_ITER": 1,
        "cross_fitting._LOWEST_RUNG": -4,
        "cross_fitting._FIRST_RUNG": -2,
        "cross_fitting._FIRST_RUNG_OF_CLASSES": -2,
        "cross_fitting._LEAST_RUNG": -4,
        "cross_fitting.HIGHEST_RUNG": 0,
        "cross_fit_choice.HIGHEST_RUNG": 0,
        "cross_fit_choice._LINEAR_ALPHAS": (10.0, 0.1),
    }.items():
        monkeypatch.setattr(f"skimplicit.estimators.{name}", value)


@pytest.fixture
def nothing_selected(shortest_paths):
    """Return a selector that has found none of six inputs of noise at its level, and the inputs."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2, 40, 6))
    rule = skimplicit.ImplicitRegressor(n_hidden=2, alpha=0.01, max_iter=3, tol=1e-2)
    selector = skimplicit.ImplicitFeatureSelector(rule, fdr=0.2, random_state=0).fit(X, y[:, 0] + 3.0)
    assert not selector.support_.any()
    return selector, X
