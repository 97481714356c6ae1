"""Tasks of fewer inputs: the same objective, gradient and rules as those of all inputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

import skimplicit.estimators.cross_fitting as cross_fitting
import skimplicit.estimators.members as members
from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.relevance import with_relevance
from skimplicit.estimators.thin_tasks import thin_task
from skimplicit.training.continuation import random_weights

either_form = pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
M, P, N = 24, 60, 4


def estimator_and_task(make, *, kind=ImplicitRegressor, factors=None, **parameters):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(M, P)) * (rng.random((M, P)) < 0.5) * rng.uniform(0.1, 10.0, P)
    X[:, 7] = 3.0
    y = X[:, 0] + np.abs(X[:, 1]) + 0.1 * rng.normal(size=M)
    y = y if kind is ImplicitRegressor else y > np.median(y)
    estimator = kind(n_hidden=N, random_state=0, **parameters)
    X, y = estimator._validate_data(make(X), y)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, M)
    return estimator, with_relevance(estimator, estimator._make_task(X, estimator._encode(X, y, weights)), factors)


def some_factors():
    factors = np.random.default_rng(2).uniform(0.2, 2.0, P)
    factors[::5] = 0.0
    return factors


cases = pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"fit_intercept": False},
        {"direct": False},
        {"kind": ImplicitClassifier},
        {"factors": some_factors()},
        {"factors": np.where(np.arange(P) < 9, 1.0, 0.0)},
        {"monotonic_cst": np.arange(P) % 3 - 1},
    ],
    ids=["plain", "no intercept", "no direct term", "classes", "wide of some", "few of many", "signs"],
)


@either_form
@cases
def test_objective_gradient_and_rule_are_those_of_all_inputs(make, parameters):
    estimator, task = estimator_and_task(make, **parameters)
    thin = thin_task(estimator, task)
    samples, of_all = thin.objective.samples, task.objective.samples
    assert samples.n_inputs < P and samples.n_inputs <= max(M, np.count_nonzero(~of_all.constant))
    # What is drawn is drawn for all inputs; what moves a prediction is the same.
    W, b = random_weights(N, samples, thin.constraints, np.random.RandomState(0))
    W_all, b_all = random_weights(N, of_all, task.constraints, np.random.RandomState(0))
    assert_allclose(samples.inputs_times(W[:, N:]), of_all.inputs_times(W_all[:, N:]), rtol=1e-9, atol=1e-11)
    assert_allclose(b, b_all, rtol=1e-12)

    here = thin.objective.evaluate(W, b, 1e-2, tol=1e-12)
    rule = thin.objective.rule(here.point)
    assert rule.B.shape == (N, P) and not rule.B[:, of_all.constant].any()
    there = task.objective.evaluate(*task.objective.weights_of(rule), 1e-2, tol=1e-12)
    assert_allclose(there.objective, here.objective, rtol=1e-9)
    # The readout of classes is found step by step, to a tolerance.
    close = {"rtol": 1e-4, "atol": 1e-6} if isinstance(estimator, ImplicitClassifier) else {"rtol": 1e-7, "atol": 1e-9}
    assert_allclose(task.objective.predictions(there), thin.objective.predictions(here), **close)
    slope, slope_all = thin.objective.gradient(here), task.objective.gradient(there)
    assert_allclose(slope.W[:, :N], slope_all.W[:, :N], **close)
    assert_allclose(slope.W[:, N:], samples.of_given(slope_all.W[:, N:]), **close)

    again = thin.objective.rule(thin.objective.point_of(rule))
    for name in ("A", "B", "C", "b", "c"):
        assert_allclose(getattr(again, name), getattr(rule, name), rtol=1e-9, atol=1e-11)


@either_form
def test_an_input_that_is_not_there_stands_at_its_mean(make):
    estimator, task = estimator_and_task(make)
    rule = task.objective.rule(task.objective.evaluate(np.ones((N, N + P)) / P, np.zeros(N), 1.0, tol=1e-9).point)
    factors = np.where(np.arange(P) < 9, 1.0, 0.0)
    thin = thin_task(estimator, with_relevance(estimator, task, factors))
    W, b = thin.objective.weights_of(rule)
    assert W.shape == (N, N + 8)  # one of the nine is constant
    _, b_all = task.objective.weights_of(rule)
    assert_allclose(b, b_all, rtol=1e-12)


@pytest.mark.parametrize(
    "parameters", [{"column_budget": 3.0}, {"constraints": lambda A, B: [B[:, 0] >= 0]}], ids=["budget", "constraints"]
)
def test_what_is_said_of_single_inputs_keeps_them(parameters):
    estimator, task = estimator_and_task(np.asarray, **parameters)
    assert thin_task(estimator, task).objective.samples.n_inputs == P


def test_a_bound_on_outputs_keeps_the_inputs_as_they_are():
    estimator, task = estimator_and_task(np.asarray, lipschitz=5.0)
    assert thin_task(estimator, task).objective.samples.n_inputs == P - 1


def test_a_fit_is_what_it_is_with_all_inputs(monkeypatch):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(80, 40))
    y = np.abs(X[:, 0]) + X[:, 1] - X[:, 2] + 0.1 * rng.normal(size=80)
    model = ImplicitRegressor(n_hidden=5, cv=2, random_state=0)
    thin = model.fit(X, y).predict(X)
    assert np.count_nonzero(model.relevance_) < 21
    monkeypatch.setattr(cross_fitting, "thinned", lambda *_: lambda samples: samples)
    monkeypatch.setattr(members, "thin_task", lambda _, task: task)
    assert_allclose(model.fit(X, y).predict(X), thin, rtol=1e-3, atol=1e-3 * np.std(y))


def rows_of_few_entries(n_rows):
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.choice(200, size=3, replace=False) for _ in range(n_rows)])
    return sparse.csr_array((np.ones(places.size), places, np.arange(n_rows + 1) * 3), shape=(n_rows, 200))


@pytest.mark.parametrize("kind", [ImplicitRegressor, ImplicitClassifier])
@pytest.mark.parametrize(("n_rows", "short"), [(50, False), (90, True)])
def test_of_classes_rows_of_few_entries_stay_as_they_are(kind, n_rows, short):
    X = rows_of_few_entries(n_rows)
    estimator = kind(n_hidden=N)
    U, y = estimator._validate_data(X, np.arange(n_rows) % 2)
    task = estimator._make_task(U, estimator._encode(U, y, None))
    assert task.objective.samples.has_short_rows == short
    thin = thin_task(estimator, task).objective.samples
    assert (thin.n_inputs <= n_rows) == (kind is ImplicitRegressor or not short)
    assert thin.inputs.decomposes == (kind is ImplicitRegressor or not short)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("parameters", [{"method": "gradient"}, {"column_budget": 5.0}])
def test_numbers_of_rows_of_few_entries_have_an_exact_readout(parameters):
    X, y = rows_of_few_entries(90), np.random.default_rng(1).normal(size=90)
    model = ImplicitRegressor(n_hidden=N, alpha=1e-3, max_iter=3, random_state=0, **parameters)
    U, _ = model._validate_data(X, y)
    thin = thin_task(model, model._make_task(U, model._encode(U, y, None))).objective.samples
    assert thin.has_short_rows
    assert thin.inputs.decomposes
    sparse_fit = model.fit(X, y).predict(X)
    assert_allclose(sparse_fit, model.fit(X.toarray(), y).predict(X), rtol=1e-6, atol=1e-8)


def test_fits_to_rows_of_few_entries_do_not_hang_on_how_they_are_stored(monkeypatch):
    X = rows_of_few_entries(90)
    y = np.asarray(X[:, :60].sum(axis=1) + X[:, 40:120].sum(axis=1)) % 2
    scores = {}
    for short in (20, np.inf):
        monkeypatch.setattr("skimplicit.rows.samples._SHORT_ROWS", short)
        model = ImplicitClassifier(n_hidden=N, max_iter=10, cv=3, random_state=0).fit(X, y)
        scores[short] = model.heldout_scores_
    assert_allclose(scores[20], scores[np.inf], atol=1e-3)
