"""An estimator around a rule that it has not trained is that rule, with everything an estimator can do."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
)
from skimplicit.activations import ACTIVATIONS, Activation, BlockActivation, leaky_relu, max_pool
from skimplicit.composition import affine_rule, average
from skimplicit.distill import distill
from skimplicit.inspection import ColumnNormsDisplay, RulePatternDisplay
from skimplicit.networks import from_sklearn
from skimplicit.robustness import certify, output_bounds

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    return X, np.sin(2 * X[:, 0]) + np.abs(X[:, 1])


@pytest.fixture(scope="module")
def network(data):
    options = {"hidden_layer_sizes": (6, 4), "solver": "lbfgs", "max_iter": 300, "random_state": 0}
    return MLPRegressor(**options).fit(*data)


def rules():
    rng = np.random.default_rng(1)
    A, B, C = (rng.normal(size=s) / 6 for s in ((4, 4), (4, 3), (2, 4)))
    for phi in (*ACTIVATIONS, leaky_relu(0.2), BlockActivation([("tanh", 2), (max_pool(2), 2)])):
        yield ImplicitRule(A, B, C, b=np.ones(4), activation=phi)
    yield ImplicitRule(sparse.csr_array(A), sparse.csr_array(B), C)
    yield affine_rule(rng.normal(size=(1, 3)), [1.0])
    yield average(*(ImplicitRule(A * t, B, C[:1]) for t in (0.5, 1.0)))


@pytest.mark.parametrize("rule", list(rules()), ids=repr)
@pytest.mark.parametrize("kind", [ImplicitRegressor, ImplicitRegressorCV])
def test_regressor_is_the_rule(data, rule, kind):
    X = data[0]
    model = kind.from_rule(rule)
    check_is_fitted(model)
    Y = rule.predict(X)
    expected = Y[:, 0] if rule.n_outputs == 1 else Y
    assert_array_equal(model.predict(X), expected)
    assert_array_equal(model.transform(X), rule.states(X))
    assert len(model.get_feature_names_out()) == rule.n_hidden
    assert model.score(X, expected) == pytest.approx(1.0)
    assert model.clipped_rule() is rule
    assert_array_equal(
        model.column_norms_,
        np.abs(rule.B).max(axis=0).toarray().ravel()
        if sparse.issparse(rule.B)
        else np.abs(rule.B).max(axis=0, initial=0),
    )
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), expected)
    assert_array_equal(again.feature_importances_, model.feature_importances_)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


@pytest.mark.parametrize("kind", [ImplicitClassifier, ImplicitClassifierCV])
@pytest.mark.parametrize("labels", [np.arange(3), np.array(["b", "c", "a"]), [3, 1, 2]], ids=str)
def test_classifier_is_the_network(labels, kind):
    X, y = load_iris(return_X_y=True)
    network = MLPClassifier(hidden_layer_sizes=(5,), max_iter=20, random_state=0).fit(X, y)
    labels = np.asarray(labels)
    model = kind.from_rule(from_sklearn(network), labels)
    order = np.argsort(labels)
    assert_array_equal(model.classes_, labels[order])
    assert_array_equal(model.predict(X), labels[network.predict(X)])
    assert_allclose(model.predict_proba(X), network.predict_proba(X)[:, order], atol=1e-12)
    assert model.score(X, labels[y]) == pytest.approx(network.score(X, y))


@pytest.mark.parametrize("two_logits", [False, True])
@pytest.mark.parametrize("labels", [["a", "b"], ["b", "a"]])
def test_two_classes(data, labels, two_logits):
    X = data[0]
    logits = affine_rule([[1.0, 2.0, 3.0], [3.0, -1.0, 0.5]] if two_logits else [[2.0, -3.0, -2.5]], None)
    model = ImplicitClassifier.from_rule(logits, labels)
    second = X @ [2.0, -3.0, -2.5] > 0
    assert_array_equal(model.predict(X), np.where(second, labels[1], labels[0]))
    assert model.decision_function(X).shape == (120,)
    assert_array_equal(model.classes_, ["a", "b"])
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


class TestAbsent:
    """What training rows would tell is None, empty, or says why it is not there."""

    def test_none(self, data):
        model = ImplicitRegressor.from_rule(next(rules()))
        for name in ("alpha_", "alphas_", "heldout_score_", "heldout_scores_", "heldout_prediction_", "is_linear_"):
            assert getattr(model, name) is None
        assert model.n_iter_ == 0 and model.objective_history_.size == 0

    def test_intervals_say_why(self, data):
        model = ImplicitRegressor.from_rule(next(rules()))
        for ask in (model.predict_interval, lambda X: model.predict(X, return_std=True)):
            with pytest.raises(ValueError, match="held out"):
                ask(data[0])

    @pytest.mark.parametrize("model", [ImplicitRegressor(), ImplicitClassifier(), ImplicitRegressorCV()])
    def test_importances_before_fit(self, model):
        assert not hasattr(model, "feature_importances_")
        with pytest.raises(AttributeError, match="before it is fitted"):
            model.feature_importances_  # noqa: B018


class TestPlaces:
    """Where an estimator goes, it goes."""

    def test_pipeline_and_frames(self, data, network):
        X, y = data
        model = ImplicitRegressor.from_rule(from_sklearn(network))
        frozen = make_pipeline(FrozenEstimator(model), Ridge()).fit(X, y)
        assert_array_equal(frozen[:-1].transform(X), model.rule_.states(X))
        assert_allclose(make_pipeline(model).predict(X), network.predict(X))
        with pytest.warns(UserWarning, match="fitted without feature names"):
            model.predict(pd.DataFrame(X, columns=list("abc")))

    def test_scores_of_a_frozen_one(self, data, network):
        X, y = data
        model = FrozenEstimator(ImplicitRegressor.from_rule(from_sklearn(network)))
        expected = [r2_score(y[test], network.predict(X[test])) for _, test in KFold(3).split(X)]
        assert_allclose(cross_val_score(model, X, y, cv=3), expected)

    def test_robustness(self):
        X, y = load_iris(return_X_y=True)
        network = MLPClassifier(hidden_layer_sizes=(5,), max_iter=200, random_state=0).fit(X, y)
        model = ImplicitClassifier.from_rule(from_sklearn(network), network.classes_)
        assert certify(model, X[:4], model.predict(X[:4]), 1e-6).all()
        lower, upper = output_bounds(model, X[:4], 0.01)
        assert np.all(lower <= model.rule_.predict(X[:4])) and np.all(upper >= model.rule_.predict(X[:4]))

    def test_displays_selection_and_distillation(self, data, network):
        X, y = data
        model = ImplicitRegressor.from_rule(from_sklearn(network))
        ColumnNormsDisplay.from_estimator(model)
        RulePatternDisplay.from_estimator(model)
        assert SelectFromModel(model, prefit=True, max_features=2).transform(X).shape == (120, 2)
        student = ImplicitRegressor.from_rule(distill(model, X, l1=0).rule)
        assert r2_score(network.predict(X), student.predict(X)) > 0.99


class TestGoesOn:
    """``warm_start`` and ``partial_fit`` start at the rule."""

    @pytest.mark.slow
    def test_fit_starts_at_the_rule(self, data):
        X, y = data
        model = ImplicitRegressor(n_hidden=6, alpha=1e-3, random_state=0).fit(X, y)
        options = {"alpha": 1e-3, "max_iter": 1, "n_members": 1}
        again = ImplicitRegressor.from_rule(model.rule_, warm_start=True, **options).fit(X, y)
        cold = ImplicitRegressor.from_rule(model.rule_, **options).fit(X, y)
        assert again.score(X, y) >= model.score(X, y) - 1e-4
        assert cold.score(X, y) < model.score(X, y) - 0.05

    def test_network_outside_the_bound_is_rescaled_first(self, data, network):
        X, y = data
        rule = from_sklearn(network)
        assert rule.inf_norm > 0.95
        model = ImplicitRegressor.from_rule(rule, warm_start=True, alpha=1e-9, max_iter=1).fit(X, y)
        assert model.rule_.inf_norm <= 0.95
        assert model.score(X, y) >= network.score(X, y) - 1e-6

    def test_clip_comes_with_the_fit(self, data):
        X, y = data
        model = ImplicitRegressor.from_rule(next(rules()), warm_start=True, clip=True, alpha=0.1)
        assert_allclose(model.predict(100 * X), model.rule_.predict(100 * X))
        model.fit(X, y)
        assert model.predict(100 * X).max() <= model.predict(np.clip(100 * X, X.min(axis=0), X.max(axis=0))).max()

    @pytest.mark.slow
    def test_classes(self, data):
        X, y = load_iris(return_X_y=True)
        network = MLPClassifier(hidden_layer_sizes=(5,), max_iter=300, random_state=0).fit(X, y)
        start = {"warm_start": True, "alpha": 1e-3}
        model = ImplicitClassifier.from_rule(from_sklearn(network), network.classes_, **start).fit(X, y)
        assert model.score(X, y) > 0.95 and model.rule_.n_hidden == 5

    def test_sparse_rule(self, data):
        X, y = data
        rule = ImplicitRule(sparse.csr_array((2, 2)), sparse.csr_array(np.ones((2, 3))), np.ones((1, 2)))
        ImplicitRegressor.from_rule(rule, warm_start=True, alpha=0.1).fit(X, y)

    @pytest.mark.slow
    def test_partial_fit(self, data):
        X, y = data
        options = {"n_hidden": 6, "alpha": 1e-3, "n_members": 1, "clip": False, "random_state": 0}
        trained = ImplicitRegressor(**options).fit(X, y).set_params(method="gradient")
        del options["n_hidden"]
        model = ImplicitRegressor.from_rule(trained.rule_, method="gradient", **options)
        model.partial_fit(X, y)
        assert model.n_iter_ == 1
        assert_allclose(model.predict(X), trained.partial_fit(X, y).predict(X), rtol=1e-6)
        assert model.partial_fit(X, y).n_iter_ == 2

    def test_blocks_cannot_be_trained(self, data):
        rule = ImplicitRule(
            np.zeros((2, 2)), np.ones((2, 3)), np.ones((1, 2)), activation=BlockActivation([("tanh", 1), ("relu", 1)])
        )
        with pytest.raises(ValueError, match="activation"):
            ImplicitRegressor.from_rule(rule, warm_start=True).fit(*data)

    def test_own_activation_is_kept(self):
        phi = Activation("own", np.tanh, lambda Z, X: 1 - X * X, 0.0, 1.0)
        assert ImplicitRegressor.from_rule(ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation=phi)).activation is phi


class TestRefused:
    """Bad arguments are named."""

    @pytest.mark.parametrize("rule", [None, Ridge(), np.eye(2)])
    def test_not_a_rule(self, rule):
        with pytest.raises(TypeError, match="rule must be an ImplicitRule"):
            ImplicitRegressor.from_rule(rule)
        with pytest.raises(TypeError, match="rule must be an ImplicitRule"):
            ImplicitClassifier.from_rule(rule, [0, 1])

    @pytest.mark.parametrize("name", ["n_hidden", "activation"])
    def test_parameters_of_the_rule(self, name):
        with pytest.raises(TypeError, match=name):
            ImplicitRegressor.from_rule(next(rules()), **{name: 3})

    def test_unknown_parameter(self):
        with pytest.raises(TypeError, match="n_hiden"):
            ImplicitRegressor.from_rule(next(rules()), n_hiden=3)

    @pytest.mark.parametrize("classes", [[0], [0, 0], [0, 1, 2], 3, [[0, 1]]])
    def test_classes(self, classes):
        with pytest.raises(ValueError, match="classes must be 2 different labels"):
            ImplicitClassifier.from_rule(next(rules()), classes)


def test_scaler_before_a_rule(data, network):
    scaler = StandardScaler().fit(data[0])
    rule = from_sklearn(make_pipeline(scaler, MLPRegressor(max_iter=5, random_state=0).fit(*data)))
    assert ImplicitRegressor.from_rule(rule).predict(data[0]).shape == (120,)
