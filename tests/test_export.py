"""A rule or an estimator gives the same in ONNX as in Python, certified where it iterates, or is refused by name."""

import json
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline

from skimplicit import (
    Activation,
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
)
from skimplicit.activations import (
    ACTIVATIONS,
    BlockActivation,
    Exponential,
    get_activation,
    hardtanh,
    leaky_relu,
    max_pool,
    softmax,
)
from skimplicit.composition import activate, affine_rule, average, cascade
from skimplicit.export import register_onnx_converters, to_onnx
from skimplicit.networks import convolution, feedforward, from_sklearn, max_pooling, recurrent
from skimplicit.wellposedness import Condition

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Largest difference from Python, relative to the largest output, by the type of inputs and outputs.
TOL = {"float32": 1e-6, "float64": 1e-9}
SMALL = {"n_hidden": 4, "max_iter": 5, "tol": 1e-2, "random_state": 0}
ACTS = [
    *ACTIVATIONS,
    leaky_relu(0.3),
    leaky_relu(-0.3),
    hardtanh(),
    hardtanh(0, 6),
    BlockActivation([("relu", 3), (max_pool(3), 6), (softmax(3), 3)]),
    BlockActivation([("gelu", 5), ("identity", 2), (leaky_relu(0.2), 5)]),
]


def properties(model):
    return {entry.key: entry.value for entry in model.metadata_props}


def run(model, X):
    """Check a model and return its outputs."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})


def check_rule(rule, U, **options):
    """Compare a rule with its models of both types; return the properties of the last."""
    for dtype, tol in TOL.items():
        X = U.astype(dtype)
        model, expected = to_onnx(rule, dtype=dtype, **options), rule.predict(X)
        (Y,) = run(model, X)
        assert Y.dtype == dtype and Y.shape == expected.shape
        np.testing.assert_allclose(Y, expected, atol=tol * np.abs(expected).max(initial=1.0), rtol=0)
    return properties(model)


def random_rule(activation, *, norm=0.95, feedforward=False, as_sparse=False, seed=0):
    rng, n, p, q = np.random.default_rng(seed), 12, 4, 2
    A = rng.normal(size=(n, n))
    A = np.triu(A, 4) if feedforward else A
    A *= norm / np.abs(A).sum(axis=1).max() / np.max(get_activation(activation).lipschitz)
    A, B = (sparse.csr_array(M) if as_sparse else M for M in (A, rng.normal(size=(n, p))))
    return ImplicitRule(A, B, *(rng.normal(size=s) for s in ((q, n), (q, p), n, q)), activation=activation)


@pytest.fixture(scope="module")
def U():
    return np.random.default_rng(1).normal(size=(40, 4)) * 3.0


@pytest.fixture(scope="module")
def flowers():
    return load_iris(return_X_y=True)


class TestRules:
    """Every activation, layer by layer and in a loop."""

    @pytest.mark.parametrize("activation", ACTS, ids=lambda phi: getattr(phi, "name", phi))
    def test_loop(self, U, activation):
        props = check_rule(random_rule(activation), U)
        assert props["equilibrium"] == "loop" and 1e-10 <= float(props["certified_error"]) * (1 + 1e-9) < 1.1e-10

    @pytest.mark.parametrize("activation", [*ACTIVATIONS, leaky_relu(0.3), hardtanh(0, 6)], ids=str)
    def test_layers(self, U, activation):
        props = check_rule(random_rule(activation, feedforward=True), U)
        assert props["equilibrium"] == "substitution" and float(props["certified_error"]) == 0.0

    def test_extreme_inputs_do_not_overflow(self):
        for activation in ACTIVATIONS:
            rule = ImplicitRule([[0.0]], [[1.0]], [[1.0]], activation=activation)
            check_rule(rule, np.array([[-1e30], [-800.0], [-40.0], [-1e-9], [0.0], [1e-9], [30.0], [800.0], [1e30]]))

    def test_gelu_to_double_precision(self):
        rule = ImplicitRule([[0.0]], [[1.0]], [[1.0]], activation="gelu")
        Z = np.linspace(-12, 12, 4001)[:, None]
        np.testing.assert_allclose(run(to_onnx(rule, dtype="float64"), Z)[0], rule.predict(Z), rtol=2e-13, atol=1e-30)

    def test_sparse_rule(self, U):
        check_rule(random_rule("relu", as_sparse=True), U)

    def test_members_side_by_side(self, U):
        check_rule(average(*(random_rule("relu", seed=seed) for seed in range(3))), U)

    def test_loop_between_layers(self, U):
        before, after = random_rule("tanh", feedforward=True), random_rule("sigmoid")
        rule = cascade(before, affine_rule(np.ones((4, 2)), np.arange(4.0)), after, affine_rule(np.ones((1, 2))))
        assert check_rule(rule, U)["equilibrium"] == "loop"

    def test_recurrent_network(self):
        rng = np.random.default_rng(0)
        rule = recurrent(*(rng.normal(size=s) / 2 for s in ((3, 3), (3, 2), (1, 3))), n_steps=4)
        check_rule(rule, rng.normal(size=(10, rule.n_inputs)))

    @pytest.mark.slow
    def test_weights_of_zeros_are_not_written(self):
        rng = np.random.default_rng(0)
        rule = feedforward([rng.normal(size=(4, 4)) for _ in range(4)])
        operators = [node.op_type for node in to_onnx(rule).graph.node]
        assert operators.count("MatMul") == 4  # one for each layer: no inputs to later ones, no direct term
        check_rule(rule, rng.normal(size=(5, 4)))

    def test_selections_are_no_matrices(self):
        rng = np.random.default_rng(0)
        shape = {"input_shape": (2, 6, 6)}
        images = convolution(rng.normal(size=(2, 2, 3, 3)), padding=1, activation="relu", **shape)
        rule = cascade(images, max_pooling(2, **shape))
        operators = [node.op_type for node in to_onnx(rule).graph.node]
        assert operators.count("MatMul") == 1  # of the kernel; windows, and one state of each, are gathered
        check_rule(rule, rng.normal(size=(5, 72)))

    def test_monotone_and_matrix_measure(self, U):
        S = np.random.default_rng(0).normal(size=(8, 8))
        B, C = np.ones((8, 4)) + S[:, :4], S[:2]
        for A, activation, condition in (
            (2 * (S - S.T) + 0.3 * np.eye(8), "relu", Condition.MONOTONE),
            (9 * (S - S.T) + 0.3 * np.eye(8), "sigmoid", Condition.MONOTONE),
            (-3 * np.eye(8) + 0.3 * np.abs(S) / 8, "tanh", Condition.MU_INF),
        ):
            rule = ImplicitRule(A, B, C, activation=activation)
            assert rule.well_posedness().condition is condition
            assert float(check_rule(rule, U)["certified_error"]) < 1e-9

    def test_one_weight_for_each_state_and_output_is_that_weight(self, U):
        weights = np.diag([2.0, -1.0, 1.0, 0.5])
        check_rule(ImplicitRule(np.zeros((4, 4)), weights, -3 * weights, 2 * weights), U)

    def test_large_weights_behind_a_loop_leave_its_states_as_exact_as_asked_for(self, U):
        rule = activate(cascade(random_rule("relu"), affine_rule(100 * np.ones((2, 2)))), "relu")
        assert 1e-10 <= float(check_rule(rule, U)["certified_error"]) * (1 + 1e-9) < 1.1e-10

    def test_exponential_behind_a_loop_certifies_nothing(self, U):
        rule = activate(random_rule("relu"), Exponential())
        props = check_rule(rule, U / 30)
        assert props["certified_error"] == "inf" and json.loads(props["certified_output_error"]) == [np.inf] * 2

    @pytest.mark.parametrize("m", [0, 1])
    def test_few_rows(self, U, m):
        check_rule(random_rule("relu"), U[:m])

    @pytest.mark.parametrize("activation", [max_pool(3), softmax(4)], ids=str)
    @pytest.mark.parametrize("m", [0, 1])
    def test_few_rows_in_groups(self, U, m, activation):
        check_rule(random_rule(activation, feedforward=True), U[:m])

    def test_without_states(self, U):
        check_rule(affine_rule(np.ones((2, 4)), [1.0, 2.0]), U)

    def test_rows_do_not_depend_on_their_batch(self, U):
        model = to_onnx(random_rule("relu"), dtype="float64")
        alone = np.vstack([run(model, U[i : i + 1])[0] for i in range(5)])
        np.testing.assert_allclose(run(model, U)[0][:5], alone, rtol=1e-9)


class TestTolerance:
    """What is certified holds."""

    @pytest.mark.parametrize("rtol", [1e-2, 1e-5])
    @pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
    def test_certified_error_holds(self, U, rtol, activation):
        rule = random_rule(activation)
        model = to_onnx(rule, dtype="float64", rtol=rtol)
        bound = np.array(json.loads(properties(model)["certified_output_error"]))
        error = np.abs(run(model, U)[0] - rule.predict(U))
        assert np.all(error <= bound * np.abs(rule.states(U)).max(axis=1, keepdims=True))
        assert error.max() > 1e-9  # or there would be nothing to certify
        np.testing.assert_allclose(bound, float(properties(model)["certified_error"]) * np.abs(rule.C).sum(axis=1))

    def test_float32_arithmetic_is_asked_for_what_it_has(self, U):
        rule = random_rule("relu")
        model = to_onnx(rule, arithmetic="float32")
        error = float(properties(model)["certified_error"])
        assert 1e-7 < error < 1e-4
        assert all(entry.data_type != onnx.TensorProto.DOUBLE for entry in model.graph.initializer)
        expected = rule.predict(U.astype("float32"))
        np.testing.assert_allclose(run(model, U.astype("float32"))[0], expected, atol=1e-5 * np.abs(expected).max())

    def test_max_iter_ends_a_loop(self, U):
        rule = random_rule("identity")
        differs = run(to_onnx(rule, dtype="float64", max_iter=1), U)[0] - rule.predict(U)
        assert np.abs(differs).max() > 1e-6


class TestEstimators:
    """Estimators of every kind, inside and outside the range of their training rows."""

    @pytest.mark.parametrize("clip", [True, False])
    @pytest.mark.parametrize("alpha", [pytest.param("auto", marks=pytest.mark.slow), 0.1])
    def test_regressor(self, clip, alpha):
        X, y = load_diabetes(return_X_y=True, scaled=False)
        model = ImplicitRegressor(alpha=alpha, clip=clip, cv=2, **SMALL).fit(X[:100], y[:100])
        far = np.vstack([X, 3 * X - 100])
        for dtype, tol in TOL.items():
            (Y,) = run(to_onnx(model, dtype=dtype), far.astype(dtype))
            expected = model.predict(far.astype(dtype))
            assert Y.shape == (len(far), 1)
            np.testing.assert_allclose(Y[:, 0], expected, atol=tol * np.abs(expected).max())

    def test_several_outputs(self, U):
        y = np.column_stack([U[:, 0], np.abs(U[:, 1])])
        model = ImplicitRegressorCV(alphas=2, cv=2, **SMALL).fit(U, y)
        (Y,) = run(to_onnx(model), U.astype("float32"))
        np.testing.assert_allclose(Y, model.predict(U.astype("float32")), atol=1e-6 * np.abs(y).max())

    @pytest.mark.slow_cases
    @pytest.mark.parametrize(
        "labels",
        [
            lambda y: y,
            lambda y: y - 5,
            lambda y: np.array(["setosa", "versicolor", "virginica"])[y],
            lambda y: np.array(["setosa", "versicolor", "virginica"], dtype=object)[y],
            lambda y: y > 0,
            lambda y: np.where(y > 0, "b", "a"),
            lambda y: (y > 0).astype(float),
        ],
    )
    def test_classifier(self, flowers, labels):
        X, y = flowers[0], labels(flowers[1])
        model = ImplicitClassifier(alpha=0.1, **SMALL).fit(X, y)
        for dtype in TOL:
            exported = to_onnx(model, dtype=dtype)
            assert [output.name for output in exported.graph.output] == ["label", "probabilities"]
            label, probabilities = run(exported, X.astype(dtype))
            assert label.dtype == (object if model.classes_.dtype.kind in "UO" else np.int64)
            np.testing.assert_array_equal(label, model.predict(X.astype(dtype)))
            np.testing.assert_allclose(probabilities, model.predict_proba(X.astype(dtype)), atol=TOL[dtype])

    @pytest.mark.slow
    def test_classifier_with_search(self, flowers):
        X, y = flowers
        model = ImplicitClassifierCV(alphas=2, cv=2, **SMALL).fit(X, y)
        np.testing.assert_array_equal(run(to_onnx(model), X.astype("float32"))[0], model.predict(X.astype("float32")))

    @pytest.mark.slow
    @pytest.mark.usefixtures("shortest_paths")
    def test_selector(self, flowers):
        X, y = flowers
        inner = ImplicitClassifier(alpha=0.1, **SMALL)
        model = ImplicitFeatureSelector(inner, n_features_to_select=1, column_budgets=2, cv=2, random_state=0).fit(X, y)
        label, probabilities = run(to_onnx(model, dtype="float64"), X)
        np.testing.assert_array_equal(label, model.predict(X))
        np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-9)

    def test_selector_that_has_selected_none(self, nothing_selected):
        model, X = nothing_selected
        (Y,) = run(to_onnx(model), X.astype("float32"))
        np.testing.assert_allclose(Y[:, 0], model.predict(X), rtol=1e-6)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
    def test_converted_networks(self, flowers, activation):
        X, y = flowers
        options = {"hidden_layer_sizes": (5, 4), "activation": activation, "max_iter": 20, "random_state": 0}
        check_rule(from_sklearn(MLPRegressor(**options).fit(X, y)), X)
        network = MLPClassifier(**options).fit(X, y)
        rule = from_sklearn(network)
        check_rule(from_sklearn(network, output="probability"), X)
        _, probabilities = run(to_onnx(ImplicitClassifier.from_rule(rule, network.classes_)), X.astype("float32"))
        np.testing.assert_allclose(probabilities, network.predict_proba(X), atol=1e-6)


class TestRefused:
    """What cannot be exported is named."""

    def test_custom_activation(self):
        for name in ("mine", "relu"):
            phi = Activation(name, np.cos, np.sin, -0.5, 0.5)
            for rule in (
                ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation=phi),
                ImplicitRule(
                    np.eye(2) / 2, np.ones((2, 1)), np.ones((1, 2)), activation=BlockActivation([("tanh", 1), (phi, 1)])
                ),
            ):
                with pytest.raises(ValueError, match=f"activation '{name}' has no ONNX form"):
                    to_onnx(rule)

    def test_rule_that_nothing_certifies(self):
        with pytest.raises(ValueError, match="no test certifies"):
            to_onnx(ImplicitRule([[2.0]], [[1.0]], [[1.0]], activation="tanh"))

    def test_other_models(self, U):
        class Doubled(ImplicitRegressor):
            def predict(self, X):
                return 2 * super().predict(X)

        doubled = Doubled(alpha=0.1, **SMALL).fit(U, U[:, 0])
        for model, name in (
            (doubled, "Doubled: a subclass of ImplicitRegressor"),
            (Ridge(), "Ridge"),
            (make_pipeline(Ridge()), "Pipeline.*register_onnx_converters"),
            (None, "NoneType"),
        ):
            with pytest.raises(TypeError, match=name):
                to_onnx(model)

    @pytest.mark.parametrize("model", [ImplicitRegressor(), ImplicitClassifier(), ImplicitFeatureSelector()])
    def test_unfitted(self, model):
        with pytest.raises(NotFittedError):
            to_onnx(model)

    @pytest.mark.parametrize("classes", [[0.5, 1.5], [b"a", b"b"], np.array([5, 2**63], dtype=np.uint64)])
    def test_labels(self, classes):
        model = ImplicitClassifier.from_rule(ImplicitRule([[0.5]], [[1.0]], [[1.0]]), classes)
        with pytest.raises(ValueError, match="integers or strings"):
            to_onnx(model)

    @pytest.mark.parametrize("name", ["dtype", "arithmetic"])
    @pytest.mark.parametrize("value", ["float16", "int64", None, "nonsense", 3])
    def test_types(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be"):
            to_onnx(random_rule("relu"), **{name: value})

    @pytest.mark.parametrize("options", [{"rtol": -1.0}, {"rtol": np.nan}, {"max_iter": 0}])
    def test_tolerance(self, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            to_onnx(random_rule("relu"), **options)


def test_missing_packages_are_named(monkeypatch):
    for name in ("onnx", "skl2onnx"):
        monkeypatch.setitem(sys.modules, name, None)  # as if they were not installed
    for needs_it in (lambda: to_onnx(ImplicitRule([[0.5]], [[1.0]], [[1.0]])), register_onnx_converters):
        with pytest.raises(ImportError, match=r"skimplicit\[onnx\]"):
            needs_it()
