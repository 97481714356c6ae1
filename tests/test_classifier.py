"""ImplicitClassifier: what it promises beyond scikit-learn's own checks."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**params):
    return ImplicitClassifier(**{"n_hidden": 4, "alpha": 0.01, "max_iter": 8, "random_state": 0, **params})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def moons():
    return make_moons(90, noise=0.2, random_state=0)


@pytest.mark.slow_cases
@pytest.mark.parametrize("data", ["iris", "moons"])
@pytest.mark.parametrize("params", [{}, {"alpha": 0.1}, {"column_budget": 1.0}, {"activation": "tanh"}, {"kappa": 0.0}])
def test_objective_never_rises_within_a_stage_and_A_stays_inside_its_bound(data, params, request):
    X, y = request.getfixturevalue(data)
    model = small(max_iter=12, **params).fit(X, y)
    for stage in np.unique(model.objective_stages_):
        assert np.all(np.diff(model.objective_history_[model.objective_stages_ == stage]) <= 0)
    assert model.rule_.inf_norm <= model.kappa
    if model.column_budget is not None:
        assert model.column_norms_.sum() <= model.column_budget * (1 + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["iris", "moons"])
def test_objective_is_loss_plus_ridge_of_the_stored_rule(data, request):
    X, y = request.getfixturevalue(data)
    model = small().fit(X, y)
    spread = X.std(axis=0)
    rule = model.rule_
    ridge = sum(np.sum(M**2) for M in (rule.A, rule.B * spread, rule.C, rule.D * spread))
    expected = log_loss(y, model.predict_proba(X)) + 0.5 * model.alpha * ridge
    # The history has the readout to the tolerance of training, the rule has it to the end.
    assert model.objective_history_[-1] == pytest.approx(expected, rel=2e-2)
    assert expected <= model.objective_history_[-1] * (1 + 1e-6)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["b", "a", "c"], dtype=object),
        np.array([-7, 100, 3]),
        np.array([0.0, 2.0, 1.0]),
    ],
)
def test_any_labels(iris, labels):
    X, y = iris
    model, reference = small().fit(X, labels[y]), small().fit(X, np.argsort(np.argsort(labels))[y])
    np.testing.assert_array_equal(model.classes_, np.sort(labels))
    np.testing.assert_array_equal(model.predict(X), model.classes_[reference.predict(X)])
    assert model.predict(X).dtype == labels.dtype


@pytest.mark.slow_cases
@pytest.mark.parametrize("labels", [np.array([False, True]), np.array(["yes", "no"]), np.array([-1, 1])])
def test_two_classes_have_one_logit(moons, labels):
    X, y = moons
    model = small().fit(X, labels[y])
    logits = model.decision_function(X)
    assert logits.shape == (len(X),)
    assert model.rule_.n_outputs == 1
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-logits)))
    np.testing.assert_array_equal(model.predict(X) == model.classes_[1], logits > 0)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["iris", "moons"])
def test_probabilities(data, request):
    X, y = request.getfixturevalue(data)
    model = small(clip=False).fit(X, y)
    P = model.predict_proba(X)
    assert P.shape == (len(X), len(model.classes_))
    np.testing.assert_allclose(P.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), P)
    np.testing.assert_array_equal(model.classes_[P.argmax(axis=1)], model.predict(X))
    far = np.full((1, X.shape[1]), 1e6)
    assert np.all(np.isfinite(model.predict_log_proba(far)))


def test_probabilities_have_the_shares_of_the_classes_on_average(iris):
    X, y = iris
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    P = small().fit(X, y, sample_weight=weights).predict_proba(X)
    # The intercepts are free: where they are optimal the weighted residuals cancel.
    np.testing.assert_allclose(weights @ (P - np.eye(3)[y]) / weights.sum(), 0.0, atol=1e-6)


@pytest.mark.slow_cases
@pytest.mark.parametrize("data", ["iris", "moons"])
def test_class_weight_is_sample_weight(data, request):
    X, y = request.getfixturevalue(data)
    per_class = np.array([1.0, 3.0, 0.5])[: y.max() + 1]
    by_class = small(class_weight=dict(enumerate(per_class))).fit(X, y)
    by_sample = small().fit(X, y, sample_weight=per_class[y])
    np.testing.assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    both = small(class_weight=dict(enumerate(per_class))).fit(X, y, sample_weight=np.full(len(y), 2.0))
    np.testing.assert_allclose(both.predict_proba(X), by_sample.predict_proba(X), atol=1e-9)


@pytest.mark.slow
def test_balanced_classes_weigh_the_same(moons):
    X, y = moons
    kept = np.flatnonzero((y == 0) | (np.arange(len(y)) % 4 == 0))
    X, y = X[kept], y[kept]
    counts = np.bincount(y)
    balanced = small(class_weight="balanced").fit(X, y)
    by_sample = small().fit(X, y, sample_weight=(len(y) / (2 * counts))[y])
    np.testing.assert_allclose(balanced.predict_proba(X), by_sample.predict_proba(X), atol=1e-9)


@pytest.mark.slow
def test_weight_two_is_a_row_given_twice(iris):
    X, y = iris
    repeats = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = small().fit(X, y, sample_weight=repeats)
    repeated = small().fit(np.repeat(X, repeats, axis=0), np.repeat(y, repeats))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-9)


def test_units_of_the_inputs_do_not_matter(iris):
    X, y = iris
    moved = X * (1e3, 1e-3, 1.0, 10.0) + (5.0, 0.0, -1.0, 2.0)
    np.testing.assert_allclose(
        small(max_iter=5).fit(moved, y).predict_proba(moved), small(max_iter=5).fit(X, y).predict_proba(X), atol=1e-5
    )


@pytest.mark.slow_cases
@pytest.mark.parametrize("direct", [False, True])
def test_sparse_inputs(direct):
    X, y = make_classification(100, 8, n_informative=4, n_classes=3, random_state=0)
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.5, X, 0.0)
    dense = small(direct=direct, max_iter=4).fit(X, y)
    compressed = small(direct=direct, max_iter=4).fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(compressed.predict_proba(sparse.csr_matrix(X)), dense.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("y", [np.zeros(20), np.full(20, "only")])
def test_one_class_is_refused(y):
    with pytest.raises(ValueError, match="at least 2 classes, got 1 class"):
        small().fit(np.random.default_rng(0).standard_normal((20, 2)), y)


def test_one_class_after_the_weights_is_refused(moons):
    X, y = moons
    with pytest.raises(ValueError, match="at least 2 classes with a positive sample_weight, got 1 class"):
        small().fit(X, y, sample_weight=(y == 1).astype(float))


@pytest.mark.slow
def test_a_class_without_weight_is_never_predicted(iris):
    X, y = iris
    model = small().fit(X, y, sample_weight=(y != 1).astype(float))
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert not np.any(model.predict(X) == 1)
    assert model.predict_proba(X)[:, 1].max() < 1e-3


def test_regression_targets_are_refused(iris):
    X, _ = iris
    with pytest.raises(ValueError, match="Unknown label type"):
        small().fit(X, np.linspace(0.0, 1.0, len(X)))


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(iris):
    X, y = iris
    model = small().fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(X[:, :2], np.zeros(len(y)))
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_importance_is_zero_for_an_input_that_never_varies(moons):
    X, y = moons
    model = small(max_iter=5).fit(np.hstack([X, np.ones((len(X), 1))]), y)
    assert model.feature_importances_.shape == (3,)
    assert model.feature_importances_[2] == 0.0 < model.feature_importances_[:2].min()


@pytest.mark.slow
def test_learns_moons(moons):
    X, y = moons
    test_X, test_y = make_moons(500, noise=0.2, random_state=1)
    model = ImplicitClassifier(random_state=0).fit(X, y)
    assert model.score(test_X, test_y) >= 0.93
    assert log_loss(test_y, model.predict_proba(test_X)) <= 0.25


def test_without_intercepts_and_states_alone(iris):
    X, y = iris
    model = small(fit_intercept=False, direct=False, clip=False).fit(X, y)
    np.testing.assert_array_equal(model.rule_.c, 0.0)
    np.testing.assert_array_equal(model.rule_.D, 0.0)
    np.testing.assert_allclose(model.decision_function(np.zeros((1, 4))), 0.0, atol=1e-12)


def test_no_ridge(moons):
    model = small(alpha=0.0).fit(*moons)
    assert np.all(np.isfinite(model.predict_log_proba(moons[0])))
    assert np.all(np.diff(model.objective_history_) <= 0)


@pytest.mark.slow_cases
@pytest.mark.parametrize("data", ["iris", "moons"])
def test_states_are_features(data, request):
    X, y = request.getfixturevalue(data)
    model = small().fit(X, y)
    logits = model.transform(X) @ model.rule_.C.T + X @ model.rule_.D.T + model.rule_.c
    np.testing.assert_allclose(np.squeeze(logits), model.decision_function(X), atol=1e-8)
    assert list(model.get_feature_names_out()) == [f"implicitclassifier{i}" for i in range(4)]


@pytest.mark.slow
def test_pickle_clone_and_same_seed(iris):
    X, y = iris
    model = small().fit(X, y)
    expected = model.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), expected)


def test_data_frame_with_string_labels(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    labels = pd.Series(y).map({0: "x", 1: "y", 2: "z"})
    model = small().fit(frame, labels)
    assert list(model.feature_names_in_) == list("abcd")
    assert set(model.predict(frame)) <= {"x", "y", "z"}


def test_callbacks_score_with_the_classes(iris):
    X, y = iris
    monitor = ScoringMonitor(scoring="accuracy")
    model = small(max_iter=3).set_callbacks(monitor)
    model.fit(X, np.array(["a", "b", "c"])[y])
    assert len(monitor.get_logs().data_as_pandas) > 0


def test_warm_start_goes_on_from_the_last_rule(iris):
    X, y = iris
    model = small(warm_start=True, max_iter=10, tol=1e-8).fit(X, y)
    first = model.objective_history_
    again = model.fit(X, y).objective_history_
    assert again[-1] < first[-1]
    assert again[0] <= first[-1] * (1 + 1e-3)


@pytest.mark.slow
def test_a_finished_fit_does_not_warn(iris):
    X, y = iris
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        ImplicitClassifier(n_hidden=3, alpha=0.01, tol=1e-2, random_state=0).fit(StandardScaler().fit_transform(X), y)
