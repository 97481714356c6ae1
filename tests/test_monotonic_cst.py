"""``monotonic_cst``: the prediction never falls (rises) with an input, everywhere, and the checker proves it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV, ImplicitRule
from skimplicit.estimators.monotonic import check_monotonic_cst, in_place, state_signs
from skimplicit.losses import cross_entropy
from skimplicit.robustness import is_monotone
from skimplicit.rows import Samples
from skimplicit.selection import ImplicitFeatureSelector, implicit_path
from skimplicit.subproblems import RowSet, constrained_logistic_readout, constrained_ridge_readout
from skimplicit.training import StochasticGradient

CST = [1, -1, 0, 0]
WAYS = {
    "bcd": {},
    "gradient": {"method": "gradient", "max_iter": 5},
    "lifted": {"method": "lifted", "max_iter": 5},
    "cvxpy": {"solver": "cvxpy", "max_iter": 3},
    "custom": {"constraints": lambda A, B: [B[:, 2] == 0], "max_iter": 3},
    "budget": {"column_budget": 2.0},
    "no direct term": {"direct": False},
    "no intercepts": {"fit_intercept": False},
    "no feedback": {"kappa": 0.0},
    "layers": {"structure": [3, 2]},
    "tanh": {"activation": "tanh"},
    "members": {"n_members": 3},
    "auto": {"alpha": "auto", "n_hidden": 2, "max_iter": 3, "cv": 2, "n_members": 2},
    "one state": {"n_hidden": 1},
}


def make_data(m=60, seed=0, against=False):
    """A target that rises with input 0 and falls with input 1, or does the opposite."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, 4))
    y = np.tanh(2 * U[:, 0]) + 0.5 * U[:, 0] - np.exp(U[:, 1]) + np.sin(3 * U[:, 2])
    return U, (-y if against else y) + 0.1 * rng.normal(size=m)


def quietly(model, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


def assert_monotone(model, cst=CST, n_pairs=1000, predict=None):
    rng = np.random.default_rng(1)
    for j, direction in enumerate(cst):
        if direction == 0:
            continue
        rises = is_monotone(model.rule_, j)
        assert rises == direction or (rises == 1 and model.sensitivity_[:, j].max() == 0)  # no path: both directions
        low = 3 * rng.normal(size=(n_pairs, len(cst)))
        high = low.copy()
        high[:, j] += rng.exponential(size=n_pairs)
        outputs = (predict or model.predict)(np.vstack([low, high]))
        change = direction * (outputs[n_pairs:] - outputs[:n_pairs])
        assert change.min() >= -1e-9 * np.abs(outputs).max()


@pytest.mark.slow_cases
@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("against", [False, True], ids=["with the data", "against the data"])
@pytest.mark.parametrize("way", WAYS)
def test_regression(way, against):
    U, y = make_data(against=against)
    model = ImplicitRegressor(**{"n_hidden": 5, "alpha": 0.01, "max_iter": 6, "random_state": 0, **WAYS[way]})
    quietly(model.set_params(monotonic_cst=CST), U, y)
    assert_monotone(model)
    for rule in model.rules_:
        assert rule.inf_norm <= model.kappa
        assert is_monotone(rule, 0) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("custom", "cvxpy")])
def test_two_classes(way):
    U, y = make_data(against=way == "bcd")
    model = ImplicitClassifier(**{"n_hidden": 5, "alpha": 0.01, "max_iter": 3, "random_state": 0, **WAYS[way]})
    quietly(model.set_params(monotonic_cst=CST), U, y > np.median(y))
    assert_monotone(model, predict=lambda V: model.predict_proba(V)[:, 1])


@pytest.mark.slow
def test_the_fit_is_as_good_as_a_free_one_where_the_truth_is_monotone():
    rng = np.random.default_rng(0)
    U = rng.uniform(size=(2300, 4))
    truth = (
        4 * np.tanh(3 * U[:, 0] - 1.5) - 3 * U[:, 1] ** 2 + 2 * np.maximum(U[:, 0], 1 - U[:, 1]) + np.sin(6 * U[:, 2])
    )
    y = truth[:300] + 0.5 * rng.normal(size=300)
    fits = [
        quietly(ImplicitRegressor(alpha=0.01, random_state=0, monotonic_cst=cst), U[:300], y) for cst in (None, CST)
    ]
    free, bound = (model.score(U[300:], truth[300:]) for model in fits)
    assert bound >= free - 0.01 and bound > 0.97


def test_a_response_need_not_be_convex():
    U = np.linspace(-3, 3, 200)[:, None]
    model = quietly(
        ImplicitRegressor(n_hidden=10, alpha=1e-3, random_state=0, monotonic_cst=[1]), U, np.tanh(2 * U[:, 0])
    )
    assert model.score(U, np.tanh(2 * U[:, 0])) > 0.99
    assert_monotone(model, [1])


def test_several_targets_rise_together():
    U, y = make_data()
    model = quietly(
        ImplicitRegressor(n_hidden=4, alpha=0.01, monotonic_cst=CST), U, np.column_stack([y, 2 * y + U[:, 3]])
    )
    assert_monotone(model)


@pytest.mark.parametrize("make", [ImplicitRegressorCV, ImplicitClassifierCV])
def test_cross_validated_twins_take_names(make):
    U, y = make_data()
    X = pd.DataFrame(U, columns=list("abcd"))
    y = y if make is ImplicitRegressorCV else y > np.median(y)
    model = quietly(make(n_hidden=3, alphas=2, cv=2, max_iter=5, random_state=0, monotonic_cst={"b": -1, "a": 1}), X, y)
    assert model.monotonic_cst == {"b": -1, "a": 1}
    assert is_monotone(model.rule_, 0) == 1 and is_monotone(model.rule_, 1) == -1


def test_names_and_values_are_one():
    U, y = make_data()
    fits = [
        quietly(ImplicitRegressor(n_hidden=3, alpha=0.01, random_state=0, monotonic_cst=cst), X, y).rule_
        for X, cst in (
            (U, CST),
            (pd.DataFrame(U, columns=list("abcd")), {"a": 1, "b": -1, "c": 0}),
            (pd.DataFrame(U, columns=list("abcd")), pd.Series([0, -1, 0, 1], index=list("dbca"))),
        )
    ]
    assert fits[0] == fits[1] == fits[2]


@pytest.mark.slow
@pytest.mark.usefixtures("short_paths")
def test_selection_and_paths():
    U, y = make_data(120)
    model = ImplicitRegressor(n_hidden=4, alpha=0.01, monotonic_cst={"a": 1, "b": -1}, max_iter=10)
    X = pd.DataFrame(U, columns=list("abcd"))
    selector = ImplicitFeatureSelector(model, n_features_to_select=2, column_budgets=3, cv=2, random_state=0)
    quietly(selector, X, y)
    for j, column in enumerate(np.flatnonzero(selector.support_)):
        assert CST[column] == 0 or is_monotone(selector.estimator_.rule_, j) == CST[column]
    path = implicit_path(U, y, column_budgets=3, n_hidden=4, monotonic_cst=CST, random_state=0)
    assert [is_monotone(path.rules[0], j) for j in (0, 1)] == [1, -1]


@pytest.mark.parametrize("make", [ImplicitRegressor, ImplicitClassifier])
def test_partial_fit(make):
    U, y = make_data()
    y = y if make is ImplicitRegressor else (y > 0).astype(int)
    model = make(n_hidden=4, alpha=0.01, method=StochasticGradient(batch_size=10), monotonic_cst=CST, random_state=0)
    more = {} if make is ImplicitRegressor else {"classes": [0, 1]}
    for _ in range(5):
        model.partial_fit(U, y, **more)
        assert_monotone(model, predict=model.predict if make is ImplicitRegressor else model.decision_function)
    # A bound that comes later holds from then on.
    later = make(n_hidden=4, alpha=0.01, method="gradient", random_state=0).partial_fit(U, y, **more)
    later.set_params(monotonic_cst=CST).partial_fit(U, y)
    assert_monotone(later, predict=later.predict if make is ImplicitRegressor else later.decision_function)


def test_a_warm_start_goes_on_from_the_rule():
    U, y = make_data()
    model = ImplicitRegressor(n_hidden=6, alpha=0.01, random_state=0, monotonic_cst=CST, warm_start=True, max_iter=30)
    before = quietly(model, U, y).objective_history_[-1]
    assert quietly(model, U, y).objective_history_[0] <= before * (1 + 1e-9)
    # From a rule with another order of states: those that can, find their place.
    order = np.array([1, 0, 2, 5, 4, 3])
    rule = model.rule_
    turned = ImplicitRule(
        rule.A[order][:, order], rule.B[order], rule.C[:, order], rule.D, rule.b[order], rule.c, activation="relu"
    )
    other = ImplicitRegressor.from_rule(turned, warm_start=True, alpha=0.01, monotonic_cst=CST, clip=True)
    assert quietly(other, U, y).objective_history_[0] <= before * (1 + 1e-6)
    assert_monotone(other)


def test_states_change_places_without_changing_the_rule():
    rng = np.random.default_rng(0)
    A, B, C, b = 0.1 * rng.normal(size=(5, 5)), rng.normal(size=(5, 3)), rng.normal(size=(2, 5)), rng.normal(size=5)
    rule = ImplicitRule(A, B, C, b=b)
    placed, U = in_place(rule), rng.normal(size=(20, 3))
    np.testing.assert_allclose(placed.predict(U), rule.predict(U), rtol=1e-12)

    def misplaced(rule):
        effects = np.linalg.solve(np.eye(5) - rule.A.T, rule.C.sum(axis=0))
        return int(np.sum(np.sign(effects) != state_signs(5)))

    rising = int(np.sum(np.linalg.solve(np.eye(5) - A.T, C.sum(axis=0)) > 0))
    assert misplaced(placed) == abs(rising - 3) <= misplaced(rule)


def test_zeros_ask_for_nothing():
    U, y = make_data()
    fits = [
        quietly(ImplicitRegressor(n_hidden=3, alpha=0.01, random_state=0, monotonic_cst=cst), U, y).rule_
        for cst in (None, [0, 0, 0, 0])
    ]
    assert fits[0] == fits[1]


@pytest.mark.parametrize(
    ("cst", "message"),
    [
        ([1, 0], r"monotonic_cst has shape \(2,\), but X has 4 features"),
        ([1, 2, 0, 0], "monotonic_cst must have the values -1, 0 and 1, got 2"),
        ([1.5, 0, 0, 0], "monotonic_cst must have the values"),
        ([True, False, False, False], "monotonic_cst must have the values"),
        ({"a": 1}, "X has no feature names"),
    ],
)
def test_wrong_values_are_named(cst, message):
    U, y = make_data()
    with pytest.raises(ValueError, match=message):
        ImplicitRegressor(monotonic_cst=cst).fit(U, y)


def test_wrong_names_are_named():
    with pytest.raises(ValueError, match="'inocme', which is no column of X.*income"):
        check_monotonic_cst({"inocme": 1}, 2, ["income", "age"])
    for index, message in ((["income", "ages"], "'ages', which is no column"), (["age", "age"], "not every column")):
        with pytest.raises(ValueError, match=f"monotonic_cst is a Series whose index has {message} of X"):
            check_monotonic_cst(pd.Series([1, 0], index=index), 2, ["income", "age"])


@pytest.mark.parametrize("names", [None, ["income", "age"]])
def test_a_series_without_names_is_an_array(names):
    assert check_monotonic_cst(pd.Series([1, 0], index=[1, 0]), 2, names).tolist() == [1, 0]


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_activations_that_fall_are_refused(activation):
    with pytest.raises(ValueError, match=f"activation that never falls, got activation='{activation}'"):
        ImplicitRegressor(activation=activation, monotonic_cst=CST).fit(*make_data())


@pytest.mark.parametrize("make", [ImplicitClassifier, ImplicitClassifierCV])
def test_more_classes_are_refused(make):
    U, y = make_data()
    with pytest.raises(ValueError, match="monotonic_cst needs a regressor or two classes, got 3"):
        make(monotonic_cst=CST).fit(U, np.digitize(y, [-1, 0]))


class TestReadouts:
    """The readout inside a set is the minimiser there: no direction into the set goes down."""

    @pytest.mark.parametrize("radius", [np.inf, 2.0, 0.1])
    @pytest.mark.parametrize("signed", [True, False])
    @pytest.mark.parametrize("alpha", [0.0, 0.01])
    def test_squared_loss(self, alpha, radius, signed):
        rng = np.random.default_rng(0)
        U, X = rng.normal(size=(50, 3)), np.abs(rng.normal(size=(50, 4)))
        Y = X @ rng.normal(size=(4, 2)) + U @ rng.normal(size=(3, 2))
        samples = Samples(U, Y)
        moments = samples.moments(X)
        weights = None if np.isinf(radius) and signed else rng.uniform(0.5, 2.0, size=(2, 7))
        row_set = RowSet(rng.integers(-1, 2, size=(2, 7)) if signed else None, weights, radius)
        readout = constrained_ridge_readout(moments, alpha, True, 2.0, None, row_set)
        V = np.hstack([readout.C, readout.D])
        assert row_set.contains(V * (1 - 1e-12))
        ridge = alpha * np.array([1.0] * 4 + [2.0] * 3)
        slope = V @ moments.gram + ridge * V - np.hstack([moments.XY.T, moments.UY.T])
        for other in (row_set.project(V - slope), *(row_set.project(rng.normal(size=(2, 7))) for _ in range(20))):
            assert np.sum(slope * (other - V)) >= -1e-8

    @pytest.mark.parametrize("direct", [True, False])
    def test_many_weights(self, direct, monkeypatch):
        rng = np.random.default_rng(2)
        U, X = rng.normal(size=(50, 3)), np.abs(rng.normal(size=(50, 4)))
        moments = Samples(U, X @ rng.normal(size=(4, 2)) + U @ rng.normal(size=(3, 2))).moments(X)
        row_set = RowSet(rng.integers(-1, 2, size=(2, 7 if direct else 4)))
        problem = (moments, 0.01, direct, 2.0, None, row_set)
        exact = constrained_ridge_readout(*problem)
        monkeypatch.setattr("skimplicit.subproblems.readout.constrained._MOST_FACTORED", 0)
        found = constrained_ridge_readout(*problem)
        np.testing.assert_allclose(found.C, exact.C, atol=1e-7)
        if direct:
            np.testing.assert_allclose(found.D, exact.D, atol=1e-7)

    @pytest.mark.parametrize("kind", ["signs", "balls", "both"])
    @pytest.mark.parametrize("unit", [1e-7, 1e7])
    def test_states_in_another_unit_than_inputs(self, unit, kind):
        rng = np.random.default_rng(3)
        U, X = rng.normal(size=(50, 3)), np.abs(rng.normal(size=(50, 4)))
        samples = Samples(U, X @ rng.normal(size=(4, 2)) + U @ rng.normal(size=(3, 2)))
        signs = None if kind == "balls" else np.hstack([np.zeros((2, 4), dtype=int), rng.integers(-1, 2, size=(2, 3))])
        readouts = []
        for own in (1.0, unit):
            weights = None if kind == "signs" else np.hstack([np.full((2, 4), own), np.ones((2, 3))])
            row_set = RowSet(signs, weights, 0.5)
            readouts.append(constrained_ridge_readout(samples.moments(own * X), 0.0, True, 1.0, None, row_set))
        np.testing.assert_allclose(readouts[1].C * unit, readouts[0].C, atol=1e-8)
        np.testing.assert_allclose(readouts[1].D, readouts[0].D, atol=1e-8)

    @pytest.mark.parametrize("q", [1, 3])
    @pytest.mark.parametrize(("radius", "signed"), [(np.inf, True), (1.0, True), (1.0, False), (0.1, False)])
    def test_classes(self, q, radius, signed):
        rng = np.random.default_rng(1)
        samples, states = _classes(rng, q)
        moments = samples.moments(states)
        weights = None if np.isinf(radius) else rng.uniform(0.5, 2.0, size=(q, 7))
        row_set = RowSet(rng.integers(-1, 2, size=(q, 7)) if signed else None, weights, radius)
        readout, loss = constrained_logistic_readout(samples, states, moments, 0.01, True, None, 1e-13, 1.0, row_set)
        V = np.hstack([readout.C, readout.D])
        assert row_set.contains(V * (1 - 1e-12))
        logits = states @ readout.C.T + readout.c - readout.C @ moments.X_mean + samples.inputs_times(readout.D)
        losses, P = cross_entropy(logits, samples.Y)
        assert loss == pytest.approx(samples.mean(losses), rel=1e-10)
        S = P - samples.Y
        slope = np.hstack([samples.times_states(S, states, moments.X_mean), samples.times_inputs(S)]) + 0.01 * V
        np.testing.assert_allclose(samples.mean(S), 0, atol=1e-6)
        for other in (row_set.project(V - slope), *(row_set.project(rng.normal(size=(q, 7))) for _ in range(20))):
            assert np.sum(slope * (other - V)) >= -1e-6


def _classes(rng, q):
    U, X = rng.normal(size=(80, 3)), np.abs(rng.normal(size=(80, 4)))
    scores = X @ rng.normal(size=(4, q)) + rng.normal(size=(80, q))
    Y = (scores > np.median(scores)).astype(float) if q == 1 else np.eye(q)[scores.argmax(axis=1)]
    return Samples(U, Y, scale_targets=False), X


def test_inputs_may_be_named():
    U, y = make_data()
    frame = pd.DataFrame(U, columns=list("abcd"))
    model = ImplicitRegressor(n_hidden=4, alpha=0.1, tol=1e-2, monotonic_cst={"b": -1}, random_state=0).fit(frame, y)
    assert is_monotone(model, "b") == is_monotone(model, 1) == -1
    with pytest.raises(ValueError, match="j is 'bb', which is no column of X. Did you mean 'b'?"):
        is_monotone(model, "bb")
    with pytest.raises(TypeError, match="where inputs have no names, got 'b'"):
        is_monotone(model.rule_, "b")
