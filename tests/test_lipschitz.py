"""``lipschitz=L``: the stored rule moves by at most L, whatever trained it, in the units of the data."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler
from test_monotonic_cst import CST, make_data, quietly

from skimplicit import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.robustness import certify, lipschitz_bound
from skimplicit.training import BlockCoordinateDescent

WAYS = {
    "bcd": {},
    "curvature": {"method__block": "curvature"},
    "matching": {"method__block": "matching"},
    "gradient": {"method": "gradient", "max_iter": 5},
    "lifted": {"method": "lifted", "max_iter": 5},
    "cvxpy": {"solver": "cvxpy", "max_iter": 3},
    "budget": {"column_budget": 2.0},
    "no direct term": {"direct": False},
    "no intercepts": {"fit_intercept": False},
    "no feedback": {"kappa": 0.0},
    "layers": {"structure": [3, 2]},
    "tanh": {"activation": "tanh"},
    "sigmoid": {"activation": "sigmoid"},
    "steep": {"activation": "gelu"},
    "members": {"n_members": 2},
    "monotone": {"monotonic_cst": CST},
    "auto": {"alpha": "auto", "n_hidden": 2, "max_iter": 3, "cv": 2, "n_members": 2},
}


def set_way(model, way):
    options = dict(WAYS[way])
    if "method__block" in options:
        options["method"] = BlockCoordinateDescent(block=options.pop("method__block"))
    return model.set_params(**options)


def assert_bounded(model, L):
    assert lipschitz_bound(model) <= L * (1 + 1e-9)
    for rule in model.rules_:
        assert rule.inf_norm <= model.kappa
        assert lipschitz_bound(rule) <= L * (1 + 1e-9)


@pytest.mark.slow_cases
@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("L", [0.3, 3.0])
@pytest.mark.parametrize("way", WAYS)
def test_regression(way, L):
    U, y = make_data()
    model = set_way(ImplicitRegressor(n_hidden=5, alpha=0.01, max_iter=6, random_state=0, lipschitz=L), way)
    assert_bounded(quietly(model, U, y), L)
    rng = np.random.default_rng(0)
    V = 3 * rng.normal(size=(500, 4))
    moved = V + rng.uniform(-1, 1, size=V.shape)
    change = np.abs(model.predict(moved) - model.predict(V))
    assert np.all(change <= L * np.abs(moved - V).max(axis=1) + 1e-9)


@pytest.mark.slow_cases
@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("cvxpy", "monotone")])
def test_three_classes(way):
    X, y = load_iris(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[::3], y[::3]
    model = set_way(ImplicitClassifier(n_hidden=5, alpha=1e-3, max_iter=2, random_state=0, lipschitz=1.0), way)
    assert_bounded(quietly(model, X, y), 1.0)


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_the_bound_is_in_the_units_of_the_data(unit):
    U, y = make_data()
    U = U * np.array([1.0, 10.0, 0.1, 3.0])
    fits = [
        quietly(ImplicitRegressor(n_hidden=4, alpha=0.01, random_state=0, lipschitz=L), X, y)
        for X, L in ((U, 1.0), (U * unit, 1.0 / unit))
    ]
    assert_bounded(fits[1], 1.0 / unit)
    np.testing.assert_allclose(fits[1].predict(U * unit), fits[0].predict(U), atol=1e-6)
    outputs = np.column_stack([y, 100 * y])
    assert_bounded(quietly(ImplicitRegressor(n_hidden=4, alpha=0.01, lipschitz=1.0), U, outputs), 1.0)


def test_units_shared_by_all_inputs_do_not_matter():
    X, y = load_iris(return_X_y=True)
    X, y = np.column_stack([X[::5], np.ones(30)]), y[::5]  # the unit of a constant column is none of theirs
    one, other = (
        quietly(
            ImplicitClassifier(n_hidden=3, alpha=1e-3, max_iter=1, random_state=0, lipschitz=1.0 / unit), X * unit, y
        )
        for unit in (1.0, 57.0)
    )
    np.testing.assert_allclose(other.decision_function(57.0 * X), one.decision_function(X), atol=1e-6)
    np.testing.assert_allclose(57.0 * other.column_norms_, one.column_norms_, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1e6])
@pytest.mark.parametrize("options", [{}, {"direct": False}, {"method": "gradient", "max_iter": 50}])
def test_an_input_in_a_unit_of_its_own_leaves_the_others_their_bends(unit, options):
    U = np.random.default_rng(0).normal(size=(120, 3))
    y = U[:, 0] + np.abs(U[:, 1])
    units = np.array([1.0, 1.0, unit])  # a date in seconds, say
    model = ImplicitRegressor(n_hidden=6, alpha=1e-3, tol=1e-3, random_state=0, lipschitz=5.0, **options)
    alike, apart = (quietly(clone(model), X, y).score(X, y) for X in (U, U * units))
    assert apart > alike - 0.03


@pytest.mark.parametrize("make", [ImplicitClassifier, ImplicitRegressor])
@pytest.mark.parametrize("units", [(1.0, 1e-200), (1e-150, 1e-150), (1e150, 1e-150)])
def test_inputs_in_units_whose_squares_are_no_numbers(units, make):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
    for L in (1e-6, 1.0, 1e6):
        model = quietly(make(n_hidden=2, alpha=0.1, max_iter=5, random_state=0, lipschitz=L), X * units, y)
        assert_bounded(model, L)
        assert np.isfinite(model.score(X * units, y))


def test_directions_of_inputs_in_units_whose_squares_are_no_numbers():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = ImplicitRegressor(
        n_hidden=2, alpha=0.1, max_iter=5, random_state=0, lipschitz=1e6, monotonic_cst=[1, -1, 0]
    )
    assert_bounded(quietly(model, X * [1e200, 1e-100, 1.0], 1e100 * (X[:, 0] > 0)), 1e6)


@pytest.mark.slow
def test_units_do_not_matter_to_a_stream_with_a_constant_input():
    U, y = make_data(120)
    U = np.column_stack([U, np.ones(120)])
    streams = [
        ImplicitRegressor(n_hidden=4, alpha=0.01, lipschitz=3.0 / unit, method="gradient", random_state=0)
        for unit in (1.0, 1e-9)
    ]
    for _ in range(20):
        for stream, unit in zip(streams, (1.0, 1e-9), strict=True):
            stream.partial_fit(U * unit, y)
    one, other = streams
    assert other.score(1e-9 * U, y) > one.score(U, y) - 0.03


@pytest.mark.slow
def test_a_wide_bound_costs_little_and_is_met_by_a_good_fit():
    U, y = make_data(120)
    # Means of members: minima of single rules differ by more than a wide bound costs.
    free = quietly(ImplicitRegressor(n_hidden=5, alpha=0.01, n_members=4, random_state=0), U, y)
    wide = clone(free).set_params(lipschitz=20 * lipschitz_bound(free))
    assert quietly(wide, U, y).score(U, y) > free.score(U, y) - 0.02
    scores = [
        quietly(ImplicitRegressor(n_hidden=5, alpha=1e-3, random_state=0, lipschitz=L), U, y).score(U, y)
        for L in (0.1, 1.0, 10.0)
    ]
    assert np.all(np.diff(scores) > 0)


def test_a_linear_rule_is_the_ball_of_its_coefficients():
    U, _ = make_data()
    y = U @ np.array([3.0, -2.0, 1.0, 0.0])
    model = quietly(ImplicitRegressor(n_hidden=2, max_iter=20, cv=3, random_state=0, lipschitz=3.0), U, y)
    assert_bounded(model, 3.0)
    assert lipschitz_bound(model) > 2.9  # all of it is used


@pytest.mark.slow
def test_more_rows_are_certified():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    free, bound = (
        quietly(ImplicitClassifier(n_hidden=5, alpha=1e-4, random_state=0, lipschitz=L), X, y) for L in (None, 3.0)
    )
    certified = [certify(model, X, y, 0.2).mean() for model in (free, bound)]
    assert certified[1] > certified[0] + 0.05


@pytest.mark.parametrize("make", [ImplicitRegressorCV, ImplicitClassifierCV])
def test_twins(make):
    U, y = make_data()
    y = y if make is ImplicitRegressorCV else y > 0
    model = quietly(make(n_hidden=3, alphas=2, cv=2, max_iter=5, random_state=0, lipschitz=0.5), U, y)
    assert_bounded(model, 0.5)


def test_partial_fit_and_warm_start():
    U, y = make_data()
    model = ImplicitRegressor(n_hidden=4, alpha=0.01, method="gradient", random_state=0, lipschitz=0.5)
    for _ in range(3):
        assert_bounded(model.partial_fit(U, y), 0.5)
    model = ImplicitRegressor(n_hidden=4, alpha=0.01, random_state=0, warm_start=True)
    quietly(model, U, y)
    assert_bounded(quietly(model.set_params(lipschitz=0.5), U, y), 0.5)


@pytest.mark.parametrize("L", [0, -1.0, np.inf, np.nan, "auto"])
def test_other_bounds_are_refused(L):
    with pytest.raises(ValueError, match="lipschitz"):
        ImplicitRegressor(lipschitz=L).fit(*make_data())
