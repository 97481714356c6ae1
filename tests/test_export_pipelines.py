"""Steps of pipelines in ONNX: the last predicts, those before transform, however deep they stand."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.export import register_onnx_converters

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SMALL = {"n_hidden": 3, "alpha": 0.1, "max_iter": 4, "tol": 1e-2, "random_state": 0}


def regressor():
    return ImplicitRegressor(**SMALL)


def classifier():
    return ImplicitClassifier(**SMALL)


def selector(inner=None, size=1):
    # One input: then a prediction in its place would have the right shape.
    return ImplicitFeatureSelector(inner or regressor(), n_features_to_select=size, column_budgets=2, cv=2)


def scaled(*steps):
    return make_pipeline(StandardScaler(), *steps)


REGRESSORS = {
    "alone": regressor,
    "last": lambda: scaled(regressor()),
    "selector alone": selector,
    "selector last": lambda: scaled(selector()),
    "selector before": lambda: scaled(selector(), Ridge()),
    "states": lambda: scaled(regressor(), Ridge()),
    "nested": lambda: make_pipeline(scaled(selector()), regressor()),
    "nested twice": lambda: make_pipeline(make_pipeline(scaled(regressor())), Ridge()),
    "union": lambda: make_pipeline(FeatureUnion([("a", regressor()), ("b", scaled(selector()))]), Ridge()),
    "columns": lambda: make_pipeline(
        ColumnTransformer([("a", scaled(selector()), [0, 2, 3]), ("b", regressor(), [1, 4])], remainder="passthrough"),
        Ridge(),
    ),
    "search outside": lambda: GridSearchCV(scaled(selector(), Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2),
    "search of one": lambda: GridSearchCV(regressor(), {"n_hidden": [2, 3]}, cv=2),
    "search of a selector": lambda: GridSearchCV(selector(), {"n_features_to_select": [1, 2]}, cv=2),
    "stacking": lambda: StackingRegressor([("a", regressor()), ("b", scaled(selector(), regressor()))], cv=2),
    "voting": lambda: VotingRegressor([("a", regressor()), ("b", scaled(selector(), regressor()))]),
}
IRIS = tuple(array[::2] for array in load_iris(return_X_y=True))
LABELS = {
    "strings": lambda y: np.array(["x", "b", "c"])[y],
    "three": lambda y: y,
    "two": lambda y: (y > 0).astype(int),
    "truths": lambda y: y > 1,
}
CLASSIFIERS = {
    "alone": classifier,
    "last": lambda: scaled(classifier()),
    "selector last": lambda: scaled(selector(classifier())),
    "selector before": lambda: scaled(selector(classifier(), 2), classifier()),
    "selector before another": lambda: scaled(selector(classifier(), 2), LogisticRegression()),
    "search": lambda: GridSearchCV(scaled(classifier()), {"implicitclassifier__n_hidden": [2, 3]}, cv=2),
}


pytestmark = [
    pytest.mark.usefixtures("short_paths"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def registered():
    register_onnx_converters()
    register_onnx_converters()  # changes nothing


@pytest.fixture(scope="module")
def numbers():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X = X[:80, [2, 3, 6, 7, 8]]
    return X, y[:80], np.vstack([X, 2 * X + 30])  # outside the range of the training rows as well


def run(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})


@pytest.mark.slow_cases
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(numbers, name):
    X, y, far = numbers
    model = REGRESSORS[name]().fit(X, y)
    for dtype, tol in (("float32", 1e-6), ("float64", 1e-9)):
        rows = far.astype(dtype)
        expected = model.predict(rows)
        (Y,) = run(skl2onnx.to_onnx(model, rows[:1]), rows)
        np.testing.assert_allclose(Y, expected[:, None], atol=tol * np.abs(expected).max(), rtol=0)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    ("name", "labels"),
    [(name, labels) for i, name in enumerate(CLASSIFIERS) for labels in (list(LABELS)[i % 2], list(LABELS)[2 + i % 2])],
)
def test_classifiers(name, labels):
    X, y = IRIS
    y = LABELS[labels](y)
    model = CLASSIFIERS[name]().fit(X, y)
    assert is_classifier(model)
    for dtype, tol in (("float32", 1e-6), ("float64", 1e-9)):
        rows = X.astype(dtype)
        label, probabilities = run(skl2onnx.to_onnx(model, rows[:1], options={"zipmap": False}), rows)
        np.testing.assert_array_equal(label, model.predict(rows))
        np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=tol)


@pytest.mark.slow_cases
@pytest.mark.parametrize("model", [classifier(), selector(classifier()), scaled(selector(classifier()))])
def test_dictionaries_of_probabilities(model):
    X, y = IRIS
    rows = X.astype("float32")
    label, rows_of = run(skl2onnx.to_onnx(model.fit(X, y), rows[:1]), rows)
    np.testing.assert_array_equal(label, model.predict(rows))
    probabilities = np.array([[row[c] for c in (0, 1, 2)] for row in rows_of])
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=1e-6)


def test_selector_that_has_selected_none(nothing_selected):
    model, X = nothing_selected
    (Y,) = run(skl2onnx.to_onnx(model, X[:1]), X)
    np.testing.assert_allclose(Y[:, 0], model.predict(X), rtol=1e-12)


@pytest.mark.slow
def test_options_of_a_selector_reach_its_estimator():
    X, y = load_iris(return_X_y=True)
    model = selector(classifier()).fit(X, y)
    exported = skl2onnx.to_onnx(model, X[:1].astype("float32"), options={id(model): {"zipmap": False}})
    assert [output.name for output in exported.graph.output] == ["label", "probabilities"]


@pytest.mark.slow_cases
@pytest.mark.parametrize("labels", ["two", "three"])
@pytest.mark.parametrize("inner", [classifier, lambda: selector(classifier(), 2)], ids=["classifier", "selector"])
def test_decision_values(inner, labels):
    X, y = IRIS
    y = LABELS[labels](y)
    model = CalibratedClassifierCV(inner(), cv=2).fit(X, y)  # which calibrates decision values
    exported = skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": False}})
    np.testing.assert_allclose(run(exported, X)[1], model.predict_proba(X), atol=1e-9)
    model = inner().fit(X, y)
    exported = skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": False, "raw_scores": True}})
    values = model.decision_function(X)
    expected = values if values.ndim == 2 else np.column_stack([-values, values])
    np.testing.assert_allclose(run(exported, X)[1], expected, atol=1e-9)


@pytest.mark.parametrize("labels", [["a", "b", "c"], [5, 6, 7]], ids=str)
@pytest.mark.parametrize("whose", [True, False], ids=["model", "all"])
@pytest.mark.parametrize("inner", [classifier, lambda: selector(classifier(), 2)], ids=["classifier", "selector"])
def test_options_of_classes(inner, whose, labels):
    X, y = IRIS
    model = inner().fit(X, np.array(labels)[y])
    options = {"zipmap": False, "raw_scores": True, "nocl": True}
    exported = skl2onnx.to_onnx(model, X[:1], options={id(model): options} if whose else options)
    places, values = run(exported, X)
    np.testing.assert_array_equal(model.classes_[places], model.predict(X))
    np.testing.assert_allclose(values, model.decision_function(X), atol=1e-9)


def test_several_outputs_and_columns_apart(numbers):
    X, y, _ = numbers
    model = scaled(regressor()).fit(X, np.column_stack([y, X[:, 0]]))
    types = [(f"x{j}", skl2onnx.common.data_types.FloatTensorType([None, 1])) for j in range(5)]
    exported = skl2onnx.to_onnx(model, initial_types=types)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    (Y,) = session.run(None, {f"x{j}": X[:, [j]].astype("float32") for j in range(5)})
    np.testing.assert_allclose(Y, model.predict(X.astype("float32")), rtol=1e-5)


def test_states_of_a_rule_that_has_none_are_no_columns(numbers):
    X, y, _ = numbers
    rule = ImplicitRule(np.zeros((0, 0)), np.zeros((0, 5)), np.zeros((1, 0)), np.ones((1, 5)))
    union = FeatureUnion([("a", ImplicitRegressor.from_rule(rule)), ("b", StandardScaler().fit(X))])
    model = make_pipeline(union, Ridge().fit(union.transform(X), y))
    (Y,) = run(skl2onnx.to_onnx(model, X[:1]), X)
    np.testing.assert_allclose(Y[:, 0], model.predict(X), rtol=1e-9)


def test_integer_inputs(numbers):
    X, y, _ = numbers
    rows = X.astype(np.int64)
    model = regressor().fit(rows, y)
    (Y,) = run(skl2onnx.to_onnx(model, rows[:1]), rows)
    np.testing.assert_allclose(Y[:, 0], model.predict(rows), rtol=1e-6)


def test_older_opset(numbers):
    X, y, _ = numbers
    model = scaled(regressor()).fit(X, y)
    (Y,) = run(skl2onnx.to_onnx(model, X[:1], target_opset=15), X)
    np.testing.assert_allclose(Y[:, 0], model.predict(X), rtol=1e-9)
