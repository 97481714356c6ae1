"""explain: contributions sum to the prediction, and are those of a fine Riemann sum of gradients."""

import warnings
from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.activations import (
    ACTIVATIONS,
    Activation,
    BlockActivation,
    get_activation,
    hardtanh,
    leaky_relu,
    softmax,
)
from skimplicit.composition import average
from skimplicit.inspection import ContributionsDisplay, explain
from skimplicit.inspection.path_quadrature import mean_adjoint_by_quadrature
from skimplicit.networks import feedforward, from_sklearn
from skimplicit.projections import project_rows_l1

KINDS = {
    **ACTIVATIONS,
    "hardtanh": hardtanh(-0.5, 1.0),
    "leaky": leaky_relu(-0.3),
    "pieces": BlockActivation([("relu", 3), ("identity", 2), (hardtanh(), 2)]),
    "mixed": BlockActivation([("relu", 3), ("tanh", 4)]),
}


def random_rule(rng, activation="relu", n=7, p=4, q=2):
    A = project_rows_l1(2 * rng.normal(size=(n, n)), 0.8)
    shapes = ((n, p), (q, n), (q, p), (n,), (q,))
    return ImplicitRule(A, *(rng.normal(size=shape) for shape in shapes), activation=activation)


def assert_complete(found, expected):
    assert_allclose(found.predictions, expected, rtol=1e-9, atol=1e-9)
    total = found.reference_value + found.contributions.sum(axis=1)
    assert_allclose(total, found.predictions, rtol=1e-9, atol=1e-9)


@pytest.mark.slow_cases
@pytest.mark.parametrize(("seed", "kind"), list(enumerate(KINDS)))
def test_complete(kind, seed):
    rng = np.random.default_rng(seed)
    rule = random_rule(rng, KINDS[kind])
    X, reference = 3 * rng.normal(size=(4, 4)), rng.normal(size=4)
    found = explain(rule, X, reference=reference)
    assert found.contributions.shape == (4, 4, 2)
    assert_complete(found, rule.predict(X))
    assert_allclose(found.reference_value, rule.predict(reference[None])[0], atol=1e-9)
    assert_array_equal(explain(rule, sparse.csr_matrix(X), reference=reference).contributions, found.contributions)
    as_row = None if reference is None else np.reshape(reference, (1, -1))
    assert_array_equal(explain(rule, X, reference=as_row).contributions, found.contributions)


@pytest.mark.slow_cases
@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients(kind):
    rng = np.random.default_rng(5)
    rule = random_rule(rng, KINDS[kind])
    u, r = 2 * rng.normal(size=4), rng.normal(size=4)
    steps = 2000
    t = (np.arange(steps) + 0.5) / steps
    path, expected, h = r + t[:, None] * (u - r), [], 1e-5
    for e in np.eye(4):
        expected.append(((rule.predict(path + h * e) - rule.predict(path - h * e)) / (2 * h)).mean(axis=0))
    expected = np.array(expected) * (u - r)[:, None]
    assert_allclose(explain(rule, u[None], reference=r).contributions[0], expected, atol=3e-3)


@pytest.mark.slow
def test_pieces_are_what_quadrature_finds():
    rng = np.random.default_rng(6)
    relu = ACTIVATIONS["relu"]
    undeclared = Activation("undeclared", relu.function, relu.derivative, 0.0, 1.0)
    for _ in range(2):
        rule = random_rule(rng)
        other = ImplicitRule(rule.A, rule.B, rule.C, rule.D, rule.b, rule.c, undeclared)
        X = 3 * rng.normal(size=(4, 4))
        assert_allclose(explain(rule, X).contributions, explain(other, X).contributions, atol=1e-8)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", hardtanh(0, 6)], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_all_states_at_a_kink(activation, seed):
    rng = np.random.default_rng(seed)
    A = project_rows_l1(2 * rng.normal(size=(9, 9)), 0.95)
    A[4:] = A[3]  # states that cross together
    B = rng.normal(size=(9, 3))
    B[4:] = B[3]
    rule = ImplicitRule(A, B, rng.normal(size=(2, 9)), activation=activation)
    X = 4 * rng.normal(size=(6, 3))
    assert_complete(explain(rule, X), rule.predict(X))  # the reference of zeros is the kink of every state
    assert_complete(explain(rule, X, reference=-X[0]), rule.predict(X))  # the path runs through it


@pytest.mark.parametrize("rule", [ImplicitRule([[0.5]], [[1.0, 3.0]], [[2.0]], [[0.0, 1.0]], activation="identity")])
def test_linear_rules_give_coefficients(rule):
    X, r = np.array([[1.0, 2.0], [-3.0, 4.0]]), np.array([0.5, 1.0])
    assert_allclose(explain(rule, X, reference=r).contributions[..., 0], [4.0, 13.0] * (X - r), rtol=1e-12)


def test_without_states():
    rule = ImplicitRule(np.empty((0, 0)), np.empty((0, 2)), np.empty((1, 0)), [[2.0, -1.0]], c=[3.0])
    assert_array_equal(explain(rule, [[1.0, 5.0]]).contributions[..., 0], [[2.0, -5.0]])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_zero_without_a_path(activation):
    rng = np.random.default_rng(7)
    A = project_rows_l1(rng.normal(size=(6, 6)), 0.9)
    A[:3, 3:] = 0.0  # the first three read nothing of the others, which no output reads
    B, C = rng.normal(size=(6, 3)), rng.normal(size=(2, 6))
    B[:3, 2], C[:, 3:] = 0.0, 0.0
    contributions = explain(ImplicitRule(A, B, C, activation=activation), 3 * rng.normal(size=(9, 3))).contributions
    assert_array_equal(contributions[:, 2], 0.0)
    assert np.any(contributions[:, :2] != 0)


def test_members_and_feedforward():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(5, 4))
    rule = average(*(random_rule(rng) for _ in range(3)))
    assert_complete(explain(rule, X), rule.predict(X))
    layered = ImplicitRule(5 * np.tril(rng.normal(size=(7, 7)), -1), rng.normal(size=(7, 4)), rng.normal(size=(1, 7)))
    assert_complete(explain(layered, X), layered.predict(X))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(activation, outputs):
    rng = np.random.default_rng(9)
    X = rng.normal(size=(80, 3)) + 5
    Y = np.abs(X[:, :outputs] - 5)
    y = Y[:, 0] if outputs == 1 else Y
    model = ImplicitRegressor(n_hidden=3, activation=activation, alpha=0.01, max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    new = 3 * X[:10] - 9  # far outside: inputs are cut
    found = explain(model, new)
    assert found.contributions.shape == (10, 3) if outputs == 1 else (10, 3, 2)
    assert_complete(found, model.predict(new))
    assert_allclose(found.reference, X.mean(axis=0))
    assert_allclose(found.reference_value, model.predict(X.mean(axis=0)[None])[0], atol=1e-9)
    from_afar = explain(model, new, reference=50 * X[0])  # and so is the reference
    assert_complete(from_afar, model.predict(new))
    assert_allclose(from_afar.reference_value, model.predict(50 * X[:1])[0], atol=1e-9)
    with pytest.raises(FrozenInstanceError):
        found.reference_value = 0.0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers_by_their_logits(n_classes):
    rng = np.random.default_rng(10)
    X = rng.normal(size=(90, 3))
    y = np.digitize(np.abs(X[:, 0]), [0.5, 1.0][: n_classes - 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ImplicitClassifier(n_hidden=3, alpha=0.01, max_iter=5, random_state=0).fit(X, y)
    assert_complete(explain(model, X[:7]), model.decision_function(X[:7]))


def test_models_that_were_not_trained_here():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = MLPRegressor(hidden_layer_sizes=(8, 5), max_iter=20, random_state=0).fit(X, y)
    rule = from_sklearn(network)
    stored = ImplicitRule(*(sparse.csr_array(getattr(rule, name)) for name in "ABCD"), rule.b, rule.c, rule.activation)
    expected = explain(ImplicitRegressor.from_rule(rule), X[:6])
    assert_complete(expected, network.predict(X[:6]))
    assert_array_equal(expected.reference, np.zeros(10))
    assert_allclose(explain(stored, X[:6]).contributions[..., 0], expected.contributions, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "start", "way"),
    [
        *[("elu", 0.3, -1.1), ("elu", 1.0, -1.9), ("elu", 3.0, -3.1), ("gelu", 4e5, -4.001e5)],  # to zero and beyond
        *[("sigmoid", 50.0, -20.0), ("sigmoid", 50.0, -9970.0), ("tanh", 20.0, -5.0)],  # saturated
    ],
)
def test_intervals_are_not_halved_for_what_rounding_leaves(name, start, way):
    phi, rows = get_activation(name), []

    def states(drive):
        rows.append(len(drive))
        assert sum(rows) < 10_000  # twice as many intervals in each pass, 42 times
        return phi(drive)

    mean = mean_adjoint_by_quadrature(states, np.zeros((1, 1)), np.ones((1, 1)), phi, *np.array([[[start]], [[way]]]))
    moved = phi(np.array([start + way])) - phi(np.array([start]))
    assert_allclose(mean[0, 0] * way, moved, rtol=1e-12, atol=1e-12)


def test_bad_input_is_named():
    rule = random_rule(np.random.default_rng(0))
    with pytest.raises(ValueError, match="X has 3 columns"):
        explain(rule, np.ones((2, 3)))
    with pytest.raises(ValueError, match="reference must have shape"):
        explain(rule, np.ones((2, 4)), reference=np.ones(3))
    with pytest.raises(ValueError, match="reference contains NaN"):
        explain(rule, np.ones((2, 4)), reference=[np.nan, 0, 0, 0])
    for reference in ("mean", ["0", "0", "0", "0"], [[0], [0, 0]]):
        with pytest.raises(ValueError, match="^reference must be an array of finite numbers"):
            explain(rule, np.ones((2, 4)), reference=reference)
    with pytest.raises(TypeError, match="ImplicitRule"):
        explain(object(), np.ones((2, 4)))
    with pytest.raises(ValueError, match="kinks must be finite and increasing"):
        Activation("two", np.abs, np.sign, -1.0, 1.0, kinks=(1.0, 0.0))
    grouped = ImplicitRule(np.zeros((2, 2)), np.eye(2), np.eye(2), activation=BlockActivation([(softmax(2), 2)]))
    with pytest.raises(TypeError, match="groups of states"):
        explain(grouped, np.ones((2, 2)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", [ImplicitRegressor, ImplicitClassifier])
def test_frames_are_taken_with_their_names(kind, library):
    frames = pytest.importorskip(library)
    rng = np.random.default_rng(13)
    X = rng.normal(size=(40, 3))
    frame = frames.DataFrame(dict(zip("abc", X.T, strict=True)))
    y = (X[:, 0] > 0).astype(int)
    model = kind(n_hidden=2, alpha=0.1, tol=1e-1, random_state=0).fit(frame, y)
    found = explain(model, frame)  # a warning about names is an error
    of_rule = explain(model.rule_, X, reference=X.mean(axis=0))
    assert_allclose(found.contributions, of_rule.contributions[..., 0], rtol=1e-9, atol=1e-12)


def test_a_reference_goes_by_its_names():
    X = np.random.default_rng(13).normal(size=(40, 3))
    frame = pd.DataFrame(X, columns=list("abc"))
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, tol=1e-1, random_state=0).fit(frame, X[:, 0])
    found, means = explain(model, frame), frame.mean()
    assert_allclose(explain(model, frame, reference=means[["c", "a", "b"]]).reference, found.reference, atol=1e-12)
    with pytest.raises(ValueError, match="reference is a Series whose index has not every column of X once"):
        explain(model, frame, reference=means[["c", "a"]])
    with pytest.raises(ValueError, match="feature names should match"):
        explain(model, frame, reference=frame[["c", "a", "b"]][:1])


class TestDisplay:
    @pytest.fixture(autouse=True)
    def closed(self):
        plt = pytest.importorskip("matplotlib.pyplot")
        yield
        plt.close("all")

    def test_bars_of_one_row(self):
        rule = random_rule(np.random.default_rng(11))
        X = np.array([[1.0, -2.0, 0.5, 3.0]])
        display = ContributionsDisplay.from_estimator(rule, X, output=1, feature_names=list("abcd"))
        values = explain(rule, X).contributions[0, :, 1]
        order = np.argsort(-np.abs(values))
        assert_array_equal(display.order_, order)
        assert_allclose([bar.get_width() for bar in display.ax_.patches], values[order])
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["abcd"[j] for j in order]

    def test_points_of_many_rows(self):
        rng = np.random.default_rng(12)
        rule, X = random_rule(rng), rng.normal(size=(30, 4))
        X[:10] = X[0]
        display = ContributionsDisplay.from_estimator(rule, X, max_inputs=3)
        values = explain(rule, X).contributions[..., 0]
        assert len(display.ax_.collections) == display.order_.size == 3
        for place, (j, points) in enumerate(zip(display.order_, display.ax_.collections, strict=True)):
            at = np.asarray(points.get_offsets())
            assert_allclose(at[:, 0], values[:, j])
            assert np.all(np.abs(at[:, 1] - place) <= 0.4)
            assert len(np.unique(at, axis=0)) == 30  # equal rows lie side by side

    def test_contributions_of_both_signs_do_not_cancel_in_the_order(self):
        assert_array_equal(ContributionsDisplay([[3.0, 1.0], [-3.0, 1.0]]).plot().order_, [0, 1])

    def test_the_largest_values_have_the_last_colour_where_values_repeat(self):
        rule, X = random_rule(np.random.default_rng(0)), np.ones((10, 4))
        X[:2, 0], X[:, 3] = 0.0, np.arange(10) % 5
        display = ContributionsDisplay.from_estimator(rule, X)
        colours = {j: points.get_array() for j, points in zip(display.order_, display.ax_.collections, strict=True)}
        assert_array_equal(colours[0], X[:, 0])
        assert_array_equal(colours[1], np.zeros(10))
        assert_allclose(colours[3], X[:, 3] / 4)

    def test_bad_input_is_named(self):
        rule, X = random_rule(np.random.default_rng(0)), np.ones((1, 4))
        with pytest.raises(ValueError, match="output must be from 0 to 1"):
            ContributionsDisplay.from_estimator(rule, X, output=2)
        with pytest.raises(TypeError, match="output must be an integer"):
            ContributionsDisplay.from_estimator(rule, X, output="a")
        with pytest.raises(ValueError, match="max_inputs must be"):
            ContributionsDisplay.from_estimator(rule, X, max_inputs=0)
        with pytest.raises(ValueError, match="feature_names"):
            ContributionsDisplay.from_estimator(rule, X, feature_names=["a"])
        with pytest.raises(ValueError, match="contributions must be rows"):
            ContributionsDisplay(np.ones(3)).plot()
        with pytest.raises(ValueError, match="inputs must have shape"):
            ContributionsDisplay(np.ones((2, 3)), inputs=np.ones((3, 3))).plot()


def test_exponential_outputs_of_a_network():
    network = MLPRegressor(hidden_layer_sizes=(3,), loss="poisson", solver="lbfgs", max_iter=5, random_state=0)
    X = np.random.default_rng(0).normal(size=(20, 2))
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        network.fit(X, np.exp(X[:, 0]))
    assert_complete(explain(from_sklearn(network), X), network.predict(X)[:, None])


@pytest.mark.parametrize("scale", [1e-150, 1e-13, 1e-10, 1e150])
def test_states_of_any_size(scale):
    # Of a positively homogeneous phi: the same function with other states.
    rule = random_rule(np.random.default_rng(0))
    other = ImplicitRule(rule.A, scale * rule.B, rule.C / scale, rule.D, scale * rule.b, rule.c, rule.activation)
    X, reference = np.random.default_rng(1).normal(size=(5, 4)), np.ones(4)
    expected = explain(rule, X, reference=reference).contributions
    assert_allclose(explain(other, X, reference=reference).contributions, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activations", [("leaky", "relu"), ("tanh", "relu")], ids=str)
def test_members_of_different_activations_are_explained_by_their_own(activations):
    rng = np.random.default_rng(0)
    rule = average(*(random_rule(rng, KINDS[name], n=3) for name in activations))
    X = rng.normal(size=(5, 4))
    assert_complete(explain(rule, X), rule.predict(X))


@pytest.mark.parametrize("name", ["bsr_array", "coo_array", "coo_matrix", "csc_array", "dia_array", "lil_matrix"])
def test_sparse_rows_of_any_format(name):
    X = np.random.default_rng(0).normal(size=(4, 2))
    model = ImplicitRegressor.from_rule(random_rule(np.random.default_rng(1), p=2, q=1))
    found = explain(model, getattr(sparse, name)(X))
    assert found.contributions.shape == (4, 2)
    assert_array_equal(found.contributions, explain(model, X).contributions)


def test_a_pipeline_is_told_what_to_give_in_its_place():
    X = np.random.default_rng(0).normal(size=(30, 2))
    last = ImplicitRegressor(alpha=0.1, n_hidden=2, tol=1e-2, random_state=0)
    model = make_pipeline(StandardScaler(), last).fit(X, X[:, 0])
    with pytest.raises(TypeError, match=r"got Pipeline; give its last step, model\[-1\].*model\[:-1\].transform\(X\)"):
        explain(model, X)
    assert explain(model[-1], model[:-1].transform(X)).contributions.shape == (30, 2)
    with pytest.raises(TypeError, match="got Ridge; skimplicit.networks.from_sklearn"):
        explain(Ridge().fit(X, X[:, 0]), X)


@pytest.mark.filterwarnings("ignore:Training stopped after max_iter")
@pytest.mark.parametrize(
    "selector", [partial(ImplicitFeatureSelector, column_budgets=2, cv=2, random_state=0), RFE], ids=["own", "RFE"]
)
def test_a_selector_is_told_what_to_give_in_its_place(selector):
    X = np.random.default_rng(0).normal(size=(30, 3))
    rule = ImplicitRegressor(alpha=0.1, n_hidden=2, max_iter=3, tol=1e-2, random_state=0)
    model = selector(rule, n_features_to_select=2).fit(X, X[:, 0] - X[:, 2])
    with pytest.raises(TypeError, match=r"; give its refitted rule, model.estimator_, .*model.transform\(X\)"):
        explain(model, X)
    found = explain(model.estimator_, model.transform(X))
    assert_allclose(found.reference_value + found.contributions.sum(axis=1), model.predict(X), atol=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
@pytest.mark.parametrize("seed", range(2))
def test_rules_that_amplify_rounding_errors_are_explained_without_a_warning(activation, seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(10, 10))
    A *= 0.999 / np.abs(A).sum(axis=1, keepdims=True)
    rule = ImplicitRule(A, rng.normal(size=(10, 3)), rng.normal(size=(1, 10)), activation=activation)
    U = rng.normal(size=(10, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_complete(explain(rule, U), rule.predict(U))


def test_a_rule_that_does_not_converge_is_told_of():
    rule = ImplicitRule(np.full((4, 4), 0.2499999), np.ones((4, 1)), np.ones((1, 4)))
    with pytest.warns(ConvergenceWarning, match="need not sum to the difference of the predictions: 1 of 1 rows"):
        explain(rule, [[1.0]])


def test_rows_of_a_feedforward_rule_need_no_general_systems_in_any_order_of_states(monkeypatch):
    rng = np.random.default_rng(0)
    rule = feedforward([rng.normal(size=shape) for shape in ((6, 3), (5, 6), (2, 5))])
    order = rng.permutation(rule.n_hidden)
    A, B, C = rule.A.toarray()[np.ix_(order, order)], rule.B.toarray()[order], rule.C.toarray()[:, order]
    shuffled = ImplicitRule(A, B, C, b=rng.normal(size=rule.n_hidden))
    X, solve, solved = rng.normal(size=(5, 3)), np.linalg.solve, []

    def counted(*args):
        solved.append(args)
        return solve(*args)

    monkeypatch.setattr(np.linalg, "solve", counted)
    explain(shuffled, X[:1])
    of_one_row = len(solved)
    assert_complete(explain(shuffled, X), shuffled.predict(X))
    assert len(solved) == 2 * of_one_row
