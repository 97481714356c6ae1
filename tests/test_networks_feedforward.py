"""Feedforward networks, residual connections, batch normalisation, and scikit-learn models as rules."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC

from skimplicit.activations import ACTIVATIONS
from skimplicit.networks import batch_norm, feedforward, from_sklearn, residual
from skimplicit.wellposedness import Condition

DIABETES, PROGRESSION = load_diabetes(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def random_network(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in zip(sizes[1:], sizes, strict=False)]
    return weights, [rng.normal(size=size) for size in sizes[1:]], rng.normal(size=(50, sizes[0]))


def run_layers(weights, biases, activations, U):
    X = U
    for W, b, name in zip(weights[:-1], biases[:-1], activations, strict=True):
        X = ACTIVATIONS[name](X @ W.T + b)
    return X @ weights[-1].T + biases[-1]


@pytest.mark.slow_cases
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_layers", range(1, 7))
def test_mlp_regressor(activation, n_layers):
    sizes = (11, 7, 13, 5, 9, 8)[:n_layers]
    model = MLPRegressor(hidden_layer_sizes=sizes, activation=activation, max_iter=15, random_state=n_layers)
    fitted(model, DIABETES, PROGRESSION)
    rule = from_sklearn(model)
    assert_allclose(rule.predict(DIABETES)[:, 0], model.predict(DIABETES), **EXACT)
    assert rule.well_posedness().condition is Condition.EXPLICIT
    assert rule.solve(DIABETES[:3]).n_iter.max() == n_layers


@pytest.mark.slow_cases
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_layers", [1, 2, 3, 6])
def test_mlp_classifier(activation, n_layers):
    sizes = (12, 10, 8, 9, 7, 11)[:n_layers]
    model = MLPClassifier(hidden_layer_sizes=sizes, activation=activation, max_iter=6, random_state=n_layers)
    fitted(model, DIGITS, DIGIT)
    assert_allclose(from_sklearn(model, output="probability").predict(DIGITS), model.predict_proba(DIGITS), **EXACT)
    assert_allclose(model.classes_[from_sklearn(model).predict(DIGITS).argmax(axis=1)], model.predict(DIGITS))


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", range(2))
def test_mlp_with_two_targets_and_two_classes(seed):
    Y = np.column_stack([PROGRESSION, DIABETES[:, 0]])
    regressor = fitted(MLPRegressor(hidden_layer_sizes=(9, 6), max_iter=20, random_state=seed), DIABETES, Y)
    assert_allclose(from_sklearn(regressor).predict(DIABETES), regressor.predict(DIABETES), **EXACT)
    classifier = fitted(MLPClassifier(hidden_layer_sizes=(9,), max_iter=20, random_state=seed), DIGITS, DIGIT > 4)
    probability = from_sklearn(classifier, output="probability").predict(DIGITS)
    assert_allclose(probability[:, 0], classifier.predict_proba(DIGITS)[:, 1], **EXACT)
    labels = fitted(MLPClassifier(hidden_layer_sizes=(9,), max_iter=9, random_state=seed), DIGITS, np.eye(10)[DIGIT])
    assert_allclose(from_sklearn(labels, output="probability").predict(DIGITS), labels.predict_proba(DIGITS), **EXACT)


@pytest.mark.parametrize("model", [LinearRegression(), Ridge(), Lasso(alpha=0.1, fit_intercept=False)])
def test_linear_regressor(model):
    model.fit(DIABETES, PROGRESSION)
    assert_allclose(from_sklearn(model).predict(DIABETES)[:, 0], model.predict(DIABETES), **EXACT)


@pytest.mark.parametrize("target", [DIGIT > 4, DIGIT])
@pytest.mark.parametrize("model", [LogisticRegression(C=0.01, max_iter=500), LinearSVC(C=1e-3), SGDClassifier()])
def test_linear_classifier(model, target):
    fitted(model, DIGITS, target)
    decision = from_sklearn(model).predict(DIGITS)
    assert_allclose(decision.squeeze(), model.decision_function(DIGITS), **EXACT)
    if isinstance(model, LogisticRegression):
        probability = from_sklearn(model, output="probability").predict(DIGITS)
        assert_allclose(probability, model.predict_proba(DIGITS)[:, -probability.shape[1] :], **EXACT)
    else:
        with pytest.raises(ValueError, match="no probabilities"):
            from_sklearn(model, output="probability")


@pytest.mark.parametrize(
    "preprocessing",
    [
        [StandardScaler()],
        [StandardScaler(with_mean=False), "passthrough"],
        [StandardScaler(with_std=False)],
        [MinMaxScaler((-1, 2)), MaxAbsScaler()],
        [StandardScaler(), PCA(5, whiten=True)],
        [PCA(4)],
    ],
)
def test_pipeline(preprocessing):
    model = MLPRegressor(hidden_layer_sizes=(8, 5), max_iter=30, random_state=0)
    pipeline = fitted(make_pipeline(*preprocessing, model), DIABETES, PROGRESSION)
    rule = from_sklearn(pipeline)
    assert rule.n_hidden == 13
    assert_allclose(rule.predict(DIABETES)[:, 0], pipeline.predict(DIABETES), **EXACT)


def test_from_sklearn_refuses_by_name():
    with pytest.raises(NotFittedError):
        from_sklearn(MLPRegressor())
    forest = RandomForestRegressor(2).fit(DIABETES, PROGRESSION)
    with pytest.raises(TypeError, match="RandomForestRegressor"):
        from_sklearn(forest)
    pipeline = make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(DIGITS, DIGIT)
    with pytest.raises(ValueError, match="FunctionTransformer"):
        from_sklearn(pipeline)
    with pytest.raises(ValueError, match="output must be"):
        from_sklearn(LinearRegression(), output="logits")


@pytest.mark.parametrize("seed", range(5))
def test_feedforward_with_different_activations(seed):
    names = ["relu", "tanh", "sigmoid", "leaky_relu", "identity", "gelu"]
    weights, biases, U = random_network([4, 6, 5, 7, 3, 6, 5, 2], seed)
    rule = feedforward(weights, biases, names)
    expected = run_layers(weights, biases, names, U)
    assert_allclose(rule.predict(U), expected, **EXACT)
    assert_allclose(rule.predict(sparse.csr_array(U)), expected, **EXACT)
    for method in ("picard", "anderson"):
        assert_allclose(rule.states(U, method=method), rule.states(U, method="direct"), rtol=1e-7, atol=1e-7)
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert_allclose(pickle.loads(pickle.dumps(rule)).predict(U), expected, **EXACT)


def test_feedforward_is_the_block_pattern_of_the_paper():
    weights, biases, _ = random_network([3, 4, 5, 6, 2], 0)
    rule = feedforward(weights, biases)
    A = rule.A.toarray()
    assert_allclose(A[:6, 6:11], weights[2])
    assert_allclose(A[6:11, 11:], weights[1])
    assert rule.A.nnz == weights[1].size + weights[2].size
    assert_allclose(rule.B.toarray()[11:], weights[0])
    assert_allclose(rule.C.toarray()[:, :6], weights[3])
    assert sparse.issparse(rule.A) and np.count_nonzero(np.tril(A)) == 0
    assert rule.inf_norm == pytest.approx(max(np.abs(W).sum(axis=1).max() for W in weights[1:-1]))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kappa", [0.5, 0.05])
def test_rescaled_network_keeps_its_outputs(seed, kappa):
    weights, biases, U = random_network([3, 8, 9, 7, 6, 2], seed)
    rule = feedforward(weights, biases, ["relu", "leaky_relu", "identity", "relu"])
    rescaled = rule.rescaled(kappa)
    assert rescaled.inf_norm < kappa < rule.inf_norm
    assert_allclose(rescaled.predict(U), rule.predict(U), rtol=1e-9, atol=1e-9)


def test_feedforward_with_an_output_activation_and_without_hidden_layers():
    weights, biases, U = random_network([3, 4, 2], 1)
    expected = np.tanh(run_layers(weights, biases, ["relu"], U))
    assert_allclose(feedforward(weights, biases, ["relu", "tanh"]).predict(U), expected, **EXACT)
    assert_allclose(feedforward([weights[0]], [None]).predict(U), U @ weights[0].T, **EXACT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.ones((2, 3)), np.ones((2, 3))],), r"weights\[1\] must have 2 columns"),
        (([np.ones((2, 3))], [np.ones(3)]), r"biases\[0\] must have shape"),
        (([np.ones((2, 3))], []), "as many as weights"),
        (([],), "at least one"),
        (([np.ones((2, 3)), np.ones((2, 2))], None, ["relu"] * 3), "activations must be 1"),
    ],
)
def test_feedforward_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        feedforward(*arguments)


@pytest.mark.parametrize("seed", range(5))
def test_residual_network(seed):
    weights, biases, U = random_network([4, 6, 4], seed)
    block = feedforward(weights, biases)
    X = expected = U
    rule = residual(block, "relu")
    for _ in range(3):
        X = np.maximum(X + run_layers(weights, biases, ["relu"], X), 0)
    assert_allclose((rule @ rule @ rule).predict(U), X, **EXACT)
    assert_allclose(residual(block).predict(expected), U + run_layers(weights, biases, ["relu"], U), **EXACT)


def test_batch_norm():
    rng = np.random.default_rng(0)
    mean, shift, scale = rng.normal(size=(3, 4))
    variance, U = rng.uniform(0.5, 2, size=4), rng.normal(size=(6, 4))
    expected = scale * (U - mean) / np.sqrt(variance + 1e-3) + shift
    assert_allclose(batch_norm(mean, variance, scale, shift, epsilon=1e-3).predict(U), expected, **EXACT)
    pixels = rng.normal(size=(6, 4, 3))  # a mean for each channel
    expected = scale[:, None] * (pixels - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5) + shift[:, None]
    rule = batch_norm(mean, variance, scale, shift, repeat=3)
    assert_allclose(rule.predict(pixels.reshape(6, -1)), expected.reshape(6, -1), **EXACT)


def test_a_row_does_not_depend_on_the_others():
    weights, biases, _ = random_network([3, 40, 50, 2], 0)
    rule = feedforward(weights, biases, "tanh")
    U = np.random.default_rng(1).normal(size=(5000, 3))
    together = rule.predict(U)
    assert_allclose(np.vstack([rule.predict(U[i : i + 1]) for i in range(0, 5000, 499)]), together[::499], rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: batch_norm([0.0], [-1.0]), ValueError, "variance must be at least 0"),
        (lambda: batch_norm([0.0], [0.0], epsilon=0), ValueError, "variance must be .* positive with epsilon=0"),
        (lambda: batch_norm([0.0], [1.0, 1.0]), ValueError, r"variance must have shape \(1,\), got \(2,\)"),
        (lambda: batch_norm([0.0], [1.0], [1.0, 2.0]), ValueError, r"scale must have shape \(1,\)"),
        (lambda: batch_norm([0.0], [1.0], shift="a"), ValueError, "shift must be an array of finite numbers"),
        (lambda: batch_norm([0.0], [1.0], epsilon="a"), TypeError, "epsilon must be a number"),
        (lambda: batch_norm([0.0], [1.0], epsilon=-2), ValueError, "epsilon must be at least 0"),
        (lambda: batch_norm([0.0], [1.0], repeat=1.5), TypeError, "repeat must be an integer, got 1.5"),
        (lambda: batch_norm([0.0], [1.0], repeat=0), ValueError, "repeat must be at least 1"),
        (lambda: feedforward([[["a"]]]), ValueError, r"weights\[0\] must be an array of finite numbers"),
        (lambda: feedforward([sparse.csr_array([[np.nan]])]), ValueError, r"weights\[0\] must be an array of finite"),
        (lambda: feedforward([sparse.coo_array([1.0])]), ValueError, r"weights\[0\] must have 2 dimension"),
        (lambda: feedforward([[[1.0]]], [["a"]]), ValueError, r"biases\[0\] must be an array of finite numbers"),
    ],
)
def test_weights_and_numbers_are_named(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
