"""ImplicitClassifier on what users bring: labels and weights of any kind, few samples, real data; and the path."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_moons
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, implicit_path
from skimplicit.estimators.class_targets import class_targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**params):
    return ImplicitClassifier(**{"n_hidden": 4, "alpha": 0.01, "max_iter": 10, "random_state": 0, **params})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def moons():
    return make_moons(120, noise=0.2, random_state=0)


@pytest.fixture(scope="module", params=[load_breast_cancer, load_wine, load_digits], ids=["cancer", "wine", "digits"])
def real(request):
    X, y = request.param(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:400]
    return StandardScaler().fit_transform(X[rows]), y[rows]


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", range(2))
def test_on_real_data_the_objective_never_rises_and_A_stays_inside_its_bound(real, seed):
    model = small(n_hidden=8, max_iter=25, random_state=seed).fit(*real)
    rises = (np.diff(model.objective_history_) > 0) & (np.diff(model.objective_stages_) == 0)
    assert not rises.any()
    assert model.objective_stages_.max() >= 2  # the schedule had its stages
    assert model.rule_.inf_norm <= model.kappa
    P = model.predict_proba(real[0])
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    "labels",
    [
        np.array([False, True]),
        np.array(["no", "yes"]),
        pd.array(["no", "yes"], dtype="string"),
        pd.Categorical(["no", "yes"], categories=["yes", "no"]),
        pd.Categorical(["no", "yes"], categories=["yes", "no", "never"], ordered=True),
    ],
    ids=["bool", "str", "string array", "categorical", "unused category"],
)
def test_two_labels_of_any_kind(moons, labels):
    X, y = moons
    model, reference = small().fit(X, pd.Series(labels[y])), small().fit(X, y)
    assert model.decision_function(X).shape == (len(y),)
    assert list(model.classes_) == sorted(labels)
    np.testing.assert_array_equal(model.predict_proba(X), reference.predict_proba(X))
    assert np.mean(model.predict(X) == np.asarray(labels[y])) > 0.85


def test_one_column_of_labels_is_flattened(moons):
    X, y = moons
    with pytest.warns(UserWarning, match="column-vector y"):
        model = small().fit(X, y[:, None])
    assert model.predict(X).shape == (len(y),)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_function_has_a_column_for_each_class_but_one_for_two(iris, n_classes):
    X, y = iris
    rows = y < n_classes
    model = small().fit(X[rows], y[rows])
    logits = model.decision_function(X)
    assert logits.shape == ((len(X),) if n_classes == 2 else (len(X), 3))
    np.testing.assert_allclose(model.decision_function(X[:1]), logits[:1], rtol=1e-8, atol=1e-8)
    assert model.predict_proba(X).shape == (len(X), n_classes)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_class_with_one_sample(iris, class_weight):
    X, y = iris
    X, y = X[:101], y[:101]
    model = small(class_weight=class_weight).fit(X, y)
    P = model.predict_proba(X)
    assert P.shape == (101, 3)
    assert P[100, 2] > np.delete(P[:, 2], 100).max()  # the most probable of its class, whatever its weight


def test_missing_classes_in_class_weight(iris):
    X, y = iris
    # As for scikit-learn's classifiers: a class that is left out weighs 1, one that does not exist is refused.
    left_out = small(class_weight={1: 3.0}).fit(X, y)
    explicit = small(class_weight={0: 1.0, 1: 3.0, 2: 1.0}).fit(X, y)
    np.testing.assert_array_equal(left_out.predict_proba(X), explicit.predict_proba(X))
    with pytest.raises(ValueError, match="not in class_weight"):
        small(class_weight={0: 1.0, 7: 3.0}).fit(X, y)


@pytest.mark.parametrize("weight", ["x", "1.0", None])
def test_a_weight_of_a_class_that_is_no_number_is_named(iris, weight):
    with pytest.raises(TypeError, match=f"^class_weight must be numbers, got {weight!r} for 1"):
        small(class_weight={1: weight}).fit(*iris)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 2.0, 2: 1.0}, {2: 3.0}])
def test_a_class_whose_samples_weigh_nothing_does_not_count(iris, class_weight):
    X, y = iris
    weights = (y != 1).astype(float)
    weights[:20] = 0.5
    model = small(class_weight=class_weight).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X)[:, 1].max() < 1e-3
    if class_weight == "balanced":
        P = model.predict_proba(X)
        # The other two weigh the same, so that is what the intercepts make their mean probabilities.
        means = [np.average(P[:, k], weights=(weights / np.bincount(y, weights)[y].clip(1e-9))) for k in (0, 2)]
        np.testing.assert_allclose(means, 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 0.0, 1: 1.0}, "at least 2 classes with a positive class_weight, got 1 class: \\[1\\]"),
        ({0: 0.0, 1: 0.0}, "at least 2 classes with a positive class_weight, got no class"),
        ({0: -1.0, 1: 1.0}, "class_weight must be finite and at least 0"),
        ({0: np.nan, 1: 1.0}, "class_weight must be finite and at least 0"),
    ],
)
def test_class_weights_that_leave_nothing_to_learn_are_refused(moons, class_weight, message):
    with pytest.raises(ValueError, match=message):
        small(class_weight=class_weight).fit(*moons)


@pytest.mark.slow_cases
@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_sparse_formats_and_single_precision(moons, format):
    X, y = moons
    X = np.where(np.abs(X) < 0.3, 0.0, X).astype(np.float32)
    dense = small(max_iter=4).fit(X.astype(np.float64), y)
    single = small(max_iter=4).fit(X, y)
    np.testing.assert_array_equal(single.predict_proba(X.astype(np.float64)), dense.predict_proba(X.astype(np.float64)))
    np.testing.assert_allclose(single.predict_proba(X), dense.predict_proba(X.astype(np.float64)), atol=1e-5)
    compressed = sparse.coo_array(X).asformat(format)
    model = small(max_iter=4).fit(compressed, y)
    np.testing.assert_allclose(model.predict_proba(compressed), dense.predict_proba(X.astype(np.float64)), atol=1e-4)


@pytest.mark.slow
def test_warm_start_with_other_classes(iris):
    X, y = iris
    model = small(warm_start=True).fit(X, y)
    two = model.fit(X[:100], np.array(["a", "b"])[y[:100]])
    assert list(two.classes_) == ["a", "b"]
    assert two.score(X[:100], np.array(["a", "b"])[y[:100]]) == 1.0
    again = model.fit(X, y)
    assert list(again.classes_) == [0, 1, 2]
    assert again.score(X, y) >= 0.95


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_monitor_scores_probabilities(iris, n_classes):
    X, y = iris
    rows = y < n_classes
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = small(max_iter=5).set_callbacks(monitor).fit(X[rows], np.array(["a", "b", "c"])[y[rows]])
    scores = monitor.get_logs().data_as_pandas["neg_log_loss"]
    assert np.all(np.isfinite(scores)) and len(scores) > model.n_iter_ - 2


@pytest.mark.slow_cases
@pytest.mark.parametrize("n_classes", [2, 3])
def test_path_of_budgets(iris, n_classes):
    X, y = iris
    noise = np.random.default_rng(0).standard_normal((len(X), 4))
    X = np.hstack([StandardScaler().fit_transform(X), noise])
    rows = y > 2 - n_classes
    path = implicit_path(X[rows], y[rows], estimator=small(), column_budgets=8)
    assert np.all(path.column_norms.sum(axis=1) <= path.column_budgets * (1 + 1e-9))
    assert all(rule.inf_norm <= 0.95 and rule.n_outputs == (1 if n_classes == 2 else 3) for rule in path.rules)
    assert path.train_scores[0] > 0.8  # share of the entropy of the classes
    # The petals tell the species apart.
    assert set(path.shares.argsort()[-2:]) == {2, 3}


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", [0, 1, 2, 59, 327])
def test_few_samples_and_few_iterations_do_not_overflow(seed):
    # Newton's step of the readout where nearly all probabilities are 0 or 1; 327 overflowed. Warnings are errors.
    X = np.array([[i, j] for i in (1, 2, 3) for j in (1, 2, 3, 4)], dtype=float)
    y = np.array([1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2])
    model = ImplicitClassifier(column_budget=1.0, alpha=0.01, n_hidden=3, max_iter=10, random_state=seed).fit(X, y)
    assert np.isfinite(model.predict_log_proba(X)).all()


def test_balanced_weights_are_those_of_the_weights_that_count():
    codes, weights = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([1.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0])
    classes = np.array(["a", "b", "c"])
    targets = class_targets(classes[codes], codes, classes, "balanced", weights)
    np.testing.assert_allclose(targets.class_weights, [7.0 / (2 * 3.0), 7.0 / (2 * 4.0), 0.0])
    np.testing.assert_allclose(targets.weights, weights * targets.class_weights[codes])
