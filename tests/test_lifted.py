"""Lifted training: the true objective is what counts, and every accepted point is feasible."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_friedman1
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.activations import ACTIVATIONS
from skimplicit.lifted import DIVERGENCES, Lifted
from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import make_solver
from skimplicit.training import Constraints, SquaredObjective, Stage, TrainingTask
from skimplicit.training.continuation import random_weights

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]
every_activation = pytest.mark.parametrize("name", [activation.name for activation in DIVERGENCES])


def make_objective(name="relu", m=50, p=5, seed=0, direct=False, centre=True):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p))
    Y = np.column_stack([np.sin(2 * U[:, 0]) + U[:, 1] * U[:, 2], np.abs(U[:, 3])])
    return SquaredObjective(Samples(U, Y, centre=centre), ACTIVATIONS[name], direct)


def start_of(objective, constraints, n=6):
    return random_weights(n, objective.samples, constraints, np.random.RandomState(0))


def run(objective, constraints, stages, n=6, callback=None):
    task = TrainingTask(objective, constraints, make_solver("auto", constraints.custom is not None))
    return Lifted().train(task, stages, *start_of(objective, constraints, n), callback)


@every_activation
@pytest.mark.parametrize(("kappa", "centre"), [(0.0, True), (0.45, False), (0.95, True)])
def test_true_objective_falls(name, kappa, centre):
    objective = make_objective(name, centre=centre)
    result = run(objective, Constraints(kappa), [Stage(1e-3, None, 4, 1e-5), Stage(1e-2, None, 8, 1e-5)])
    for stage in (0, 1):
        values = result.objectives[result.stages == stage]
        assert np.all(np.diff(values) <= 0)
    final = result.evaluation
    exact = objective.evaluate(final.point.W, final.point.b, final.alpha, tol=1e-13)
    assert exact.objective == pytest.approx(result.objectives[-1], rel=1e-5)
    assert exact.objective == pytest.approx(final.objective, rel=1e-8)
    if name != "identity":  # a linear rule has next to nothing to learn here
        start = objective.evaluate(*start_of(objective, Constraints(kappa)), 1e-2, tol=1e-9)
        assert result.objectives[-1] < 0.95 * start.objective


def _positive(A, B):
    return [B >= 0]


@pytest.mark.parametrize("budget", [None, 1.5])
@pytest.mark.parametrize("structure", ["none", "mask", "layers"])
@pytest.mark.parametrize("custom", [None, _positive])
def test_every_iterate_is_feasible(budget, structure, custom):
    mask = {
        "none": None,
        "mask": np.random.default_rng(0).random((6, 6)) < 0.4,
        "layers": np.kron(np.eye(3, k=1), np.ones((2, 2))) > 0,
    }[structure]
    constraints = Constraints(0.6, structure=mask, custom=custom)
    seen = []

    def check(iteration):
        A, B = np.split(iteration.evaluation.point.W, [6], axis=1)
        seen.append(iteration.number)
        assert np.abs(A).sum(axis=1).max() <= 0.6
        assert mask is None or not A[~mask].any()
        assert budget is None or np.abs(B).max(axis=0).sum() <= budget
        assert custom is None or B.min() >= -1e-6

    run(make_objective(), constraints, [Stage(1e-2, budget and ColumnBudget(budget), 4, 1e-6)], callback=check)
    assert seen


@pytest.mark.slow
def test_the_gradient_of_the_true_objective_vanishes():
    objective, constraints = make_objective("sigmoid", m=25), Constraints(0.45)
    result = run(objective, constraints, [Stage(1e-2, None, 100, 1e-9)], n=3)
    start = objective.evaluate(*start_of(objective, constraints, 3), 1e-2, tol=1e-9)
    slopes = []
    for evaluation in (start, result.evaluation):
        gradient = objective.gradient(evaluation)  # B and b are free, A is bounded
        slopes.append(np.append(gradient.W[:, 3:] + 1e-2 * evaluation.point.W[:, 3:], gradient.b))
    assert np.abs(slopes[1]).max() < 0.05 * np.abs(slopes[0]).max()


def test_same_start_same_course():
    courses = [run(make_objective(), Constraints(0.9), [Stage(1e-2, None, 15, 1e-6)]).objectives for _ in range(2)]
    np.testing.assert_array_equal(*courses)


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_perfect_fit_ends(alpha):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(40, 3))
    objective = SquaredObjective(Samples(U, U @ rng.normal(size=(3, 1))), ACTIVATIONS["relu"], True)
    result = run(objective, Constraints(0.9), [Stage(alpha, None, 50, 1e-5)], n=3)
    assert np.isfinite(result.evaluation.objective)
    assert np.all(np.diff(result.objectives) <= 0)


def test_nothing_to_fit():
    objective = SquaredObjective(Samples(np.ones((10, 2)), np.ones((10, 1))), ACTIVATIONS["relu"], True)
    result = run(objective, Constraints(0.9), [Stage(1e-2, None, 20, 1e-5)], n=3)
    assert result.evaluation.loss == pytest.approx(0.0, abs=1e-20)


SMALL = {"method": "lifted", "n_hidden": 6, "max_iter": 12, "random_state": 0}


def regressor(**params):
    return ImplicitRegressor(**{**SMALL, "alpha": 0.03, **params})


def classifier(**params):
    return ImplicitClassifier(**{**SMALL, "alpha": 0.01, **params})


@pytest.fixture(scope="module")
def friedman():
    return make_friedman1(100, n_features=6, random_state=0)


def test_regression(friedman):
    X, y = friedman
    model = ImplicitRegressor(method="lifted", n_hidden=4, cv=2, n_members=2, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.rule_.inf_norm <= model.kappa
    np.testing.assert_allclose(model.rule_.predict(X).ravel(), model.predict(X))


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("structure", [[6], [3, 2, 1], np.triu(np.ones((6, 6), dtype=bool))])
def test_structure_and_bound_are_kept_exactly(make, structure, friedman):
    X, y = friedman
    model = make(structure=structure, kappa=0.5)
    model.fit(X, y > y.mean() if isinstance(model, ImplicitClassifier) else y)
    mask = np.repeat(np.arange(len(structure))[::-1], structure[::-1]) if isinstance(structure, list) else None
    mask = structure if mask is None else mask[:, None] == mask[None, :] + 1
    assert not model.rule_.A[~mask].any()
    assert model.rule_.inf_norm <= 0.5


@pytest.mark.parametrize("make", [regressor, classifier])
def test_budget_is_kept_exactly(make, friedman):
    X, y = friedman
    model = make(column_budget=0.5)
    model.fit(X, y > y.mean() if isinstance(model, ImplicitClassifier) else y)
    assert model.column_norms_.sum() <= 0.5 * (1 + 1e-12)


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["no", "no", "yes"]])
def test_labels(labels):
    X, y = load_iris(return_X_y=True)
    y = np.array(labels)[y]
    model = classifier(max_iter=20).fit(X, y)
    assert set(model.predict(X)) <= set(labels)
    assert model.score(X, y) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_a_weight_of_two_is_a_row_given_twice(friedman):
    X, y = friedman
    weights = np.where(np.arange(len(y)) < 30, 2.0, 1.0)
    weighted = regressor().fit(X, y, sample_weight=weights)
    repeated = regressor().fit(np.vstack([X, X[:30]]), np.append(y, y[:30]))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_same_seed_same_rule(friedman):
    models = [regressor(structure=[4, 2]).fit(*friedman) for _ in range(2)]
    assert models[0].rule_ == models[1].rule_


def test_warm_start_goes_on(friedman):
    model = regressor(warm_start=True).fit(*friedman)
    before = model.objective_history_[-1]
    assert model.fit(*friedman).objective_history_[0] <= before * (1 + 1e-6)


@pytest.mark.parametrize("name", ["silu", "elu"])
def test_activation_without_divergence_is_refused_before_any_work(name):
    model = regressor(activation=name)
    with pytest.raises(ValueError, match=f"No Fenchel divergence is known for .*{name}"):
        model.fit("not even data", None)
    assert vars(model) == vars(clone(model))


@pytest.mark.slow
def test_layers_on_digits():
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = classifier(n_hidden=30, structure=[30], max_iter=30).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.94
    assert not model.rule_.A.any()
