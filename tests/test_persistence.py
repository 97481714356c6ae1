"""What is stored is what comes back: pickle, joblib, cloudpickle, and skops, which trusts few types."""

import io
import json
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
from skimplicit.export import TRUSTED_TYPES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTS = [
    *ACTIVATIONS,
    leaky_relu(0.3),
    hardtanh(0, 6),
    Exponential(),
    BlockActivation([(max_pool(2), 2), ("tanh", 1), (softmax(3), 3)]),
]
SMALL = {"n_hidden": 3, "max_iter": 4, "tol": 1e-2, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(40, 4))


def fitted_models(X):
    y = X[:, 0] + np.abs(X[:, 1])
    plain = ImplicitRegressor(alpha=0.1, **SMALL)
    yield "auto", ImplicitRegressor(cv=2, **SMALL).fit(X, y)
    yield "two outputs", ImplicitRegressor(alpha=0.1, **SMALL).fit(X, np.column_stack([y, -y]))
    yield "sparse", ImplicitRegressor(alpha=0.1, **SMALL).fit(sparse.csr_array(np.where(X > 0, X, 0.0)), y)
    yield "gradient", ImplicitRegressor(alpha=0.1, method="gradient", **SMALL).partial_fit(X, y)
    few = sparse.csr_array(X[:3])
    yield "stream", ImplicitRegressor(alpha=0.1, method="gradient", **SMALL).partial_fit(few, y[:3])
    yield "parametric", ImplicitRegressor(alpha=0.1, activation=leaky_relu(0.3), **SMALL).fit(X, y)
    yield "search", ImplicitRegressorCV(alphas=2, cv=2, **SMALL).fit(X, y)
    yield "strings", ImplicitClassifier(alpha=0.1, **SMALL).fit(X, np.where(y > 0.5, "high", "low"))
    yield "classes", ImplicitClassifierCV(alphas=2, cv=2, **SMALL).fit(X, (y > 0.5).astype(int))
    selector = ImplicitFeatureSelector(plain, n_features_to_select=2, column_budgets=2, cv=2, random_state=0)
    yield "selector", selector.fit(X, y)
    yield "pipeline", make_pipeline(StandardScaler(), selector, Ridge()).fit(X, y)
    yield "from rule", ImplicitRegressor.from_rule(random_rule("relu"))


@pytest.fixture(scope="module")
def models(X):
    return dict(fitted_models(X))


def random_rule(activation, as_sparse=False):
    rng = np.random.default_rng(1)
    size = get_activation(activation).size or 5
    A, B = np.triu(rng.normal(size=(size, size)), 3), rng.normal(size=(size, 4))
    A, B = (sparse.csr_array(M) for M in (A, B)) if as_sparse else (A, B)
    return ImplicitRule(A, B, rng.normal(size=(2, size)), b=rng.normal(size=size), activation=activation)


def check_same(model, again, X):
    assert_array_equal(again.predict(X), model.predict(X))
    if isinstance(model, ClassifierMixin):
        assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_cloudpickle(model):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(model))


def through_skops(model):
    skops_io = pytest.importorskip("skops.io")
    data = skops_io.dumps(model)
    assert set(skops_io.get_untrusted_types(data=data)) <= set(TRUSTED_TYPES)
    return skops_io.loads(data, trusted=TRUSTED_TYPES)


WAYS = [through_pickle, through_joblib, through_cloudpickle, through_skops]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_estimators_come_back(X, models, way):
    for name, model in models.items():
        again = way(model)
        check_same(model, again, X)
        assert repr(again) == repr(model), name


@pytest.mark.slow_cases
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", ACTS, ids=lambda phi: getattr(phi, "name", phi))
@pytest.mark.parametrize("as_sparse", [False, True])
def test_rules_come_back(X, way, activation, as_sparse):
    rule = random_rule(activation, as_sparse)
    again = way(rule)
    assert again == rule and sparse.issparse(again.A) == as_sparse
    check_same(rule, again, X)
    with pytest.raises(ValueError, match="read-only"):
        (again.A.data if as_sparse else again.A)[...] = 0.0


@pytest.mark.parametrize("way", WAYS)
def test_partial_fit_goes_on_after_loading(X, way):
    y = X[:, 0]
    model = ImplicitRegressor(alpha=0.1, method="gradient", **SMALL).partial_fit(X, y)
    again = way(model)
    check_same(model.partial_fit(X, y), again.partial_fit(X, y), X)


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("callback", [ProgressBar, lambda: ScoringMonitor(scoring="r2")])
def test_estimators_with_callbacks_come_back(X, way, callback):
    model = ImplicitRegressor(alpha=0.1, **SMALL).set_callbacks(callback()).fit(X, X[:, 0])
    again = way(model)
    check_same(model, again, X)
    check_same(model.fit(X, X[:, 1]), again.fit(X, X[:, 1]), X)


class TestNames:
    """Known activations are stored by name."""

    def test_no_function_is_stored(self):
        stored = pickle.dumps([ACTIVATIONS[name] for name in ACTIVATIONS])
        assert b"_gelu" not in stored and b"derivative" not in stored
        assert pickle.loads(stored) == list(ACTIVATIONS.values())

    def test_a_stranger_with_a_known_name_keeps_its_function(self):
        stranger = Activation("relu", np.cos, np.sin, -1.0, 1.0)
        again = pickle.loads(pickle.dumps(stranger))
        assert again == stranger != ACTIVATIONS["relu"]

    def test_unknown_name_is_refused(self):
        phi = Activation.__new__(Activation)
        with pytest.raises(ValueError, match="nonsense"):
            phi.__setstate__({"name": "nonsense"})

    def test_file_with_the_functions_loads(self):
        # As files of before stored them.
        phi = Activation.__new__(Activation)
        phi.__setstate__(vars(ACTIVATIONS["tanh"]))
        assert phi == ACTIVATIONS["tanh"]


def tampered(data, change):
    """Return a file of skops whose description has gone through ``change(text)``."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content.decode()) if name == "schema.json" else content)
    return out.getvalue()


class TestTampered:
    """A file that somebody has changed is refused, by skops or by the rule itself."""

    @pytest.fixture
    def skops_io(self):
        return pytest.importorskip("skops.io")

    def test_other_types_are_refused(self, skops_io):
        def change(text):
            return text.replace('"ImplicitRule"', '"system"').replace('"skimplicit.rule"', '"posix"')

        data = tampered(skops_io.dumps(random_rule("relu")), change)
        assert skops_io.get_untrusted_types(data=data) != []
        with pytest.raises(skops_io.exceptions.UntrustedTypesFoundException, match="posix.system"):
            skops_io.loads(data, trusted=TRUSTED_TYPES)

    def test_functions_of_a_custom_activation_need_trust(self, skops_io):
        data = skops_io.dumps(random_rule(Activation("mine", np.cos, json.dumps, -1.0, 1.0)))
        with pytest.raises(skops_io.exceptions.UntrustedTypesFoundException, match="json.dumps"):
            skops_io.loads(data, trusted=TRUSTED_TYPES)

    def test_arrays_that_do_not_fit_are_refused(self, skops_io):
        def change(text):
            content = json.loads(text)
            arrays = content["content"]["content"]
            arrays["A"], arrays["C"] = arrays["C"], arrays["A"]
            return json.dumps(content)

        with pytest.raises(ValueError, match="A must have shape"):
            skops_io.loads(tampered(skops_io.dumps(random_rule("relu")), change), trusted=TRUSTED_TYPES)

    @pytest.mark.parametrize("column", [-1, 7])
    def test_sparse_indices_out_of_range_are_refused(self, column):
        state = random_rule("relu", as_sparse=True).__getstate__()
        data, indices, indptr, shape = state["B"]
        state["B"] = data, np.where(np.arange(indices.size), indices, column), indptr, shape
        with pytest.raises(ValueError, match="indices must be"):
            ImplicitRule.__new__(ImplicitRule).__setstate__(state)


def test_trusted_types_are_of_this_package_and_exist():
    for path in TRUSTED_TYPES:
        module, _, name = path.rpartition(".")
        assert module.startswith("skimplicit.") and hasattr(__import__(module, fromlist=[name]), name)
