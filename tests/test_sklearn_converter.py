"""Fitted scikit-learn models as rules: each has the same outputs, or is refused by name.

The laws run over every estimator that scikit-learn has, inside and far outside the range of the training rows.
"""

import re
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, NuSVC
from sklearn.utils import all_estimators

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
)
from skimplicit.linalg import to_dense
from skimplicit.networks import affine_rule, from_sklearn
from skimplicit.networks.comparison import compare
from skimplicit.networks.sklearn_converter import _MADE_OF_MODELS
from skimplicit.networks.sklearn_predictors import PREDICTORS
from skimplicit.networks.sklearn_transformers import TRANSFORMERS

DIABETES, PROGRESSION = load_diabetes(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
SMALL = {"n_hidden": 3, "max_iter": 3, "cv": 2, "tol": 1e-2, "random_state": 0}
RNG = np.random.default_rng(0)
# Positive, for those that ask for it; rounded, for those that count.
X = np.round(RNG.uniform(1, 9, size=(60, 4)), 1)
Y = 0.2 * X[:, 0] + 0.1 * X[:, 1] ** 2 + 1
LABELS = {"two": (Y > np.median(Y)).astype(int), "three": np.digitize(Y, np.quantile(Y, [1 / 3, 2 / 3]))}
POINTS = np.vstack([X, X + 20, -3 * X, 1e-3 * X])

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def outputs(model, U):
    decide = getattr(model, "decision_function", None) if hasattr(model, "classes_") else model.predict
    return None if decide is None else np.asarray(decide(U)).reshape(len(U), -1)


def assert_same(model, U=POINTS, rtol=1e-8):
    expected = outputs(model, U)
    assert_allclose(from_sklearn(model).predict(U), expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def names(*tables):
    return {name for table in tables for entries in table.values() for name in entries}


@pytest.mark.parametrize("table", [PREDICTORS, TRANSFORMERS, _MADE_OF_MODELS])
def test_what_is_listed_exists(table):
    for module, entries in table.items():
        missing = [
            name for name in entries if not name.startswith("Halving") and not hasattr(import_module(module), name)
        ]
        assert not missing


def every(kind):
    kinds = [found for _, found in all_estimators(type_filter=kind)]
    return pytest.mark.parametrize("kind", kinds, ids=lambda found: found.__name__)


ARGUMENTS = {name: (Ridge(),) for name in ("RFE", "RFECV", "SelectFromModel", "SequentialFeatureSelector")}
ARGUMENTS |= {name: (Ridge(), {"alpha": [0.1, 1.0]}) for name in ("GridSearchCV", "RandomizedSearchCV")}
OPTIONS = {"SparseRandomProjection": {"n_components": 3}, "GaussianRandomProjection": {"n_components": 3}}
OPTIONS |= {name: {"kernel": "linear"} for name in ("SVC", "SVR", "NuSVC", "NuSVR")}
OPTIONS |= {f"Select{name}": {"score_func": f_regression} for name in ("Percentile", "Fdr", "Fpr", "Fwe")}
OPTIONS |= {"GenericUnivariateSelect": {"score_func": f_regression, "mode": "k_best", "param": 2}}
OPTIONS |= {name: {"n_components": 1} for name in ("PLSCanonical", "CCA")}


def fitted(kind, y):
    model = kind(*ARGUMENTS.get(kind.__name__, ()), **OPTIONS.get(kind.__name__, {}))
    return model.fit(X, np.column_stack([y, X[:, 2]]) if kind.__name__.startswith("MultiTask") else y)


def unfitted(kind):
    """An instance as far as its type goes: whoever is not on a list is refused before anything is asked of it."""
    return kind.__new__(kind)


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore")
@every("regressor")
def test_every_regressor_is_converted_or_refused(kind):
    if kind.__name__ in names(PREDICTORS, _MADE_OF_MODELS):
        assert_same(fitted(kind, Y))
        return
    with pytest.raises(TypeError, match=f"A {kind.__name__} cannot be converted.*Ridge"):
        from_sklearn(unfitted(kind))


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore")
@every("classifier")
def test_every_classifier_is_converted_or_refused(kind):
    if kind.__name__ not in names(PREDICTORS):
        with pytest.raises(TypeError, match=f"A {kind.__name__} cannot be converted.*RidgeClassifier"):
            from_sklearn(unfitted(kind))
        return
    for classes, labels in LABELS.items():
        model = fitted(kind, labels)
        if classes == "three" and kind.__name__ in ("SVC", "NuSVC"):
            continue  # have a test of their own
        if hasattr(model, "decision_function"):
            assert_same(model)
        try:
            rule = from_sklearn(model, output="probability")
        except ValueError as error:
            assert f"This {kind.__name__} has no probabilities" in str(error)
            assert kind.__name__ not in ("LogisticRegression", "LinearDiscriminantAnalysis", "MLPClassifier")
        else:
            expected = model.predict_proba(POINTS)[:, -rule.n_outputs :]
            assert_allclose(rule.predict(POINTS), expected, atol=1e-9)


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore")
@every("transformer")
def test_every_transformer_is_converted_or_refused(kind):
    if kind.__name__ in names(TRANSFORMERS):
        assert_same(make_pipeline(fitted(kind, Y), Ridge()).fit(X, Y))
        return
    model = Pipeline([("step", unfitted(kind)), ("last", Ridge().fit(X, Y))])
    with pytest.raises(TypeError, match=f"The step {kind.__name__} cannot be converted.*StandardScaler"):
        from_sklearn(model)


def shown(step):
    """Name of a step that is the same in every process: without the addresses of functions."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(step))


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    "model",
    [
        PoissonRegressor(),
        PoissonRegressor(fit_intercept=False),
        GammaRegressor(),
        TweedieRegressor(power=0),
        TweedieRegressor(power=1.5),
        TweedieRegressor(power=0, link="log"),
        TweedieRegressor(power=1, link="identity"),
        MLPRegressor("poisson", hidden_layer_sizes=(3,), max_iter=20, random_state=0),
    ],
    ids=shown,
)
def test_generalised_linear_models(model):
    model.fit(X, Y)
    assert_same(model, np.vstack([X, X + 20]))
    rule = from_sklearn(model)
    assert rule.is_well_posed() and rule.well_posedness().condition.name == "EXPLICIT"
    dense = ImplicitRule(*map(to_dense, (rule.A, rule.B, rule.C, rule.D)), rule.b, rule.c, rule.activation)
    assert dense.is_well_posed() and dense.well_posedness().condition.name == "EXPLICIT"


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("make", [SVC, NuSVC])
def test_support_vector_classifiers(make, kernel):
    two = make(kernel=kernel).fit(IRIS[:100], SPECIES[:100])
    three = make(kernel=kernel).fit(IRIS, SPECIES)
    pairs = make(kernel=kernel, decision_function_shape="ovo").fit(IRIS, SPECIES)
    if kernel == "linear":
        assert_same(two, IRIS)
        assert_same(pairs, np.vstack([IRIS, 10 * IRIS]))
        assert_same(make(kernel=kernel).fit(sparse.csr_array(IRIS[:100]), SPECIES[:100]), IRIS)
        with pytest.raises(ValueError, match=f"{make.__name__} of three classes.*ovo"):
            from_sklearn(three)
    else:
        for model in (two, three, pairs):
            with pytest.raises(ValueError, match=f"{make.__name__} with kernel='rbf'"):
                from_sklearn(model)


@pytest.mark.parametrize("step", [MinMaxScaler((-1, 2), clip=True), MaxAbsScaler(clip=True), RobustScaler()], ids=shown)
@pytest.mark.parametrize(
    "last", [Ridge(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=30, random_state=0)], ids=shown
)
def test_steps_that_clip(step, last):
    model = make_pipeline(step, last).fit(X, Y)
    assert_same(model)
    assert from_sklearn(model).well_posedness().condition.name == "EXPLICIT"


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
        RobustScaler(with_centering=False, unit_variance=True),
        RobustScaler(with_scaling=False),
        PCA(2, whiten=True),
        SelectKBest(f_regression, k=2),
        make_pipeline(SelectKBest(f_regression, k=3), "passthrough", StandardScaler()),
        FunctionTransformer(),
        "passthrough",
    ],
    ids=shown,
)
def test_settings_of_steps(step):
    offset = np.array([1e6, -30, 0, 5])  # a constant input is scaled by 1
    for U in (X, X * [1e-6, 1e6, 1, 0] + offset):
        model = make_pipeline(step, MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=30, random_state=0)).fit(U, Y)
        assert_same(model, np.vstack([U, 3 * U - 2 * U.mean(axis=0)]), rtol=1e-6)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    "make",
    [
        LinearRegression,
        lambda: ElasticNet(0.1),
        lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=9, random_state=0),
    ],
)
@pytest.mark.parametrize(
    "transformer",
    [None, StandardScaler(), MinMaxScaler((2, 3)), RobustScaler(), make_pipeline(MaxAbsScaler(), StandardScaler())],
    ids=shown,
)
def test_transformed_targets(make, transformer):
    for targets in (Y, np.column_stack([Y, 100 - X[:, 1], X[:, 2]])):
        model = TransformedTargetRegressor(make_pipeline(StandardScaler(), make()), transformer=transformer)
        assert_same(model.fit(X, targets))


def test_a_model_with_a_link_behind_transformed_targets():
    through = TransformedTargetRegressor(PoissonRegressor(), transformer=MinMaxScaler((1, 2))).fit(X, Y)
    assert_same(through, X)


@pytest.mark.parametrize(
    "options",
    [
        {"func": np.log, "inverse_func": np.exp},
        {"func": np.negative, "inverse_func": np.negative},
        {"transformer": PowerTransformer()},
        {"transformer": MinMaxScaler(clip=True)},
        {"transformer": PCA(1)},
    ],
    ids=shown,
)
def test_other_transformed_targets_are_refused(options):
    targets = np.column_stack([Y, X[:, 1]])
    model = TransformedTargetRegressor(LinearRegression(), check_inverse=False, **options).fit(X, targets)
    with pytest.raises(
        (TypeError, ValueError), match="FunctionTransformer|PowerTransformer|TransformedTargetRegressor"
    ):
        from_sklearn(model)


def test_searches():
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 10.0]}, cv=2).fit(X, Y)
    assert_same(search)
    inside = make_pipeline(RobustScaler(), GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)).fit(
        IRIS, SPECIES
    )
    assert_same(inside, IRIS)
    assert_allclose(from_sklearn(inside, output="probability").predict(IRIS), inside.predict_proba(IRIS), atol=1e-12)
    with pytest.raises(ValueError, match="GridSearchCV has refit=False"):
        from_sklearn(GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2, refit=False).fit(X, Y))
    with pytest.raises(NotFittedError):
        from_sklearn(GridSearchCV(Ridge(), {"alpha": [1.0]}))
    forest = GridSearchCV(SVR(), {"C": [1.0]}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="SVR with kernel"):
        from_sklearn(forest)


class TestOwnEstimators:
    """Estimators of this package, alone and in pipelines, as models and as steps."""

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [ImplicitRegressor, lambda **options: ImplicitRegressorCV(alphas=2, **options)])
    def test_regressors(self, make):
        assert_same(make(**SMALL).fit(X, Y), X)
        assert_same(make_pipeline(StandardScaler(), make(**SMALL)).fit(X, Y), X)
        assert_same(make_pipeline(StandardScaler(), make(**SMALL), Ridge()).fit(X, Y), X)
        assert_same(make_pipeline(StandardScaler(), make(**SMALL), PoissonRegressor()).fit(X, Y), X)

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [ImplicitClassifier, lambda **options: ImplicitClassifierCV(alphas=2, **options)])
    @pytest.mark.parametrize("classes", LABELS)
    def test_classifiers(self, make, classes):
        model = make_pipeline(StandardScaler(), make(**SMALL)).fit(X, LABELS[classes])
        assert_same(model, X)
        probability = from_sklearn(model, output="probability").predict(X)
        assert_allclose(probability, model.predict_proba(X)[:, -probability.shape[1] :], atol=1e-9)

    @pytest.mark.slow
    @pytest.mark.usefixtures("short_paths")
    def test_selector(self):
        selector = ImplicitFeatureSelector(
            estimator=ImplicitRegressor(**SMALL), n_features_to_select=2, column_budgets=2, cv=2
        )
        assert_same(selector.fit(X, Y), X)
        assert_same(make_pipeline(StandardScaler(), selector, Ridge()).fit(X, Y))

    def test_selector_that_has_selected_none(self, nothing_selected):
        assert_same(*nothing_selected)

    @pytest.mark.slow
    def test_whoever_else_has_a_rule_is_refused(self):
        class Estimator:
            rule_ = ImplicitRule([[0.5]], [[1.0]], [[1.0]])

        class Cut(ImplicitRegressor):
            def predict(self, U):
                return np.maximum(super().predict(U), 0)

        for model in (Estimator(), Cut(**SMALL).fit(X, Y)):
            with pytest.raises(TypeError, match=f"A {type(model).__name__}"):
                from_sklearn(model)


class Squared(Ridge):
    def predict(self, U):
        return super().predict(U) ** 2


class SameRidge(Ridge):
    pass


class Doubling(StandardScaler):
    def transform(self, U, copy=None):
        return 2 * super().transform(U, copy)


class Deciding(RidgeClassifier):
    def decision_function(self, U):
        return np.sign(super().decision_function(U))


class Branching(Pipeline):
    def predict(self, U):
        return -super().predict(U)


@pytest.mark.parametrize(
    ("model", "name", "parent"),
    [
        (Squared(), "Squared", "Ridge"),
        (SameRidge(), "SameRidge", "Ridge"),
        (make_pipeline(Doubling(), Ridge()), "Doubling", "StandardScaler"),
        (Deciding(), "Deciding", "RidgeClassifier"),
        (Branching([("ridge", Ridge())]), "Branching", "Pipeline"),
        (TransformedTargetRegressor(Squared()), "Squared", "Ridge"),
        (GridSearchCV(Squared(), {"alpha": [1.0]}, cv=2), "Squared", "Ridge"),
    ],
    ids=shown,
)
def test_subclasses_are_refused(model, name, parent):
    model.fit(X, LABELS["two"] if isinstance(model, Deciding) else Y)
    with pytest.raises(
        TypeError, match=rf"{name} \(a subclass of {parent}\) cannot be converted.*(Ridge|RobustScaler)"
    ):
        from_sklearn(model)


def test_a_model_that_was_changed_is_compared():
    model = Ridge().fit(X, Y)
    model.predict = lambda U: np.zeros(len(U))
    with pytest.raises(ValueError, match="Ridge cannot be converted: at a sample point.*LinearRegression"):
        from_sklearn(model)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS, SPECIES)
    pipeline[0].transform = np.abs
    with pytest.raises(ValueError, match="Pipeline cannot be converted: at a sample point"):
        from_sklearn(pipeline)
    clipped = Ridge().fit(X, Y)
    straight = clipped.predict
    clipped.predict = lambda U: np.clip(straight(U), Y.min() - 5, Y.max() + 5)  # the same, but far outside
    with pytest.raises(ValueError, match="at a sample point"):
        from_sklearn(clipped)


@pytest.mark.parametrize(
    "last", [Ridge(1e-9), MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=50, random_state=0)], ids=shown
)
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_units_and_offsets_do_not_refuse_what_is_right(last, offset, scale):
    U = scale * (X + offset)
    model = make_pipeline(StandardScaler(), last).fit(U, Y)
    assert_allclose(from_sklearn(model).predict(U)[:, 0], model.predict(U), rtol=1e-6, atol=1e-6)


def test_single_precision_frames_and_global_state():
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    model = make_pipeline(StandardScaler(), PCA(3), MLPClassifier(hidden_layer_sizes=(5,), max_iter=20, random_state=0))
    model.set_output(transform="pandas").fit(frame, LABELS["three"])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    rule = from_sklearn(model, output="probability")
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert_allclose(rule.predict(frame.to_numpy()), model.predict_proba(frame), atol=1e-4)


@pytest.mark.parametrize("model", [Ridge(), PoissonRegressor(), make_pipeline(StandardScaler(), Ridge())], ids=str)
def test_regressors_have_no_probabilities(model):
    model.fit(X, np.abs(Y))
    with pytest.raises(ValueError, match=f"output='probability' is for classifiers; this {type(model).__name__} "):
        from_sklearn(model, output="probability")


@pytest.mark.parametrize(
    "differs",
    [
        lambda U: 1.0 + 1e-5,
        lambda U: np.where(np.abs(U - 1e6) > 300.0, 2.0, 1.0),
        lambda U: np.where(np.abs(U) < 50.0, 2.0, 1.0),
    ],
    ids=["a little", "far outside", "where inputs are small"],
)
def test_a_rule_that_is_not_the_model_is_refused_wherever_they_differ(differs):
    rule = affine_rule([[1.0]], [-1e6])  # inputs of about a million
    compare(rule, rule.predict, "model", "this")
    with pytest.raises(ValueError, match="This model cannot be converted: at a sample point it returns"):
        compare(rule, lambda U: rule.predict(U) * differs(U), "model", "this")
