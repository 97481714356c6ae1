"""What a fit must not depend on: the units and the layout of the data, and what else runs in the process."""

import json
import os
import subprocess
import sys
import tracemalloc
import warnings

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.linalg import InputMatrix
from skimplicit.rows import Samples
from skimplicit.subproblems import logistic_readout, ridge_readout

pytestmark = pytest.mark.slow

METHODS = ["bcd", "gradient", "lifted"]
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(autouse=True)
def short_fits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def make_data(m=40, p=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, p)) + np.arange(p)[::-1]
    return X, np.abs(X[:, 1] - 1) + X[:, 2]


def small(cls=ImplicitRegressor, **parameters):
    ridge = {} if cls is ImplicitRegressorCV else {"alpha": 0.03}
    return cls(**{"n_hidden": 3, "max_iter": 4, "random_state": 0, **ridge, **parameters})


def with_duplicates(X):
    """CSR matrix that stores every entry in two parts, unsorted."""
    m, p = X.shape
    columns = np.tile(np.r_[np.arange(p)[::-1], np.arange(p)], m)
    parts = np.hstack([0.25 * X[:, ::-1], 0.75 * X])
    return sparse.csr_array((parts.ravel(), columns, np.arange(m + 1) * 2 * p), shape=X.shape)


class TestDuplicateEntries:
    """Entries of a CSR matrix with the same place add up, everywhere."""

    @every_method
    @pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
    def test_fit_is_that_of_the_dense_matrix(self, cls, method):
        X, y = make_data()
        X = np.round(4 * X) / 4  # parts add up exactly
        y = y > np.median(y) if cls is ImplicitClassifier else y
        stored = with_duplicates(X)
        before = stored.data.copy(), stored.indices.copy(), stored.indptr.copy()
        weights = np.random.default_rng(1).uniform(0.5, 2.0, size=len(y))
        here, there = (small(cls, method=method).fit(U, y, weights) for U in (sparse.csr_array(X), stored))
        for name in ("A", "B", "C", "D", "b", "c"):
            assert_array_equal(getattr(there.rule_, name), getattr(here.rule_, name))
        dense = small(cls, method=method).fit(X, y, weights)
        assert_allclose(there.feature_importances_, dense.feature_importances_, rtol=1e-5)
        assert_allclose(there.transform(stored), there.transform(X), rtol=1e-10, atol=1e-12)
        assert_allclose(there.rule_.predict(stored), there.rule_.predict(X), rtol=1e-10, atol=1e-12)
        for array, copy in zip((stored.data, stored.indices, stored.indptr), before, strict=True):
            assert_array_equal(array, copy)

    def test_partial_fit_and_search(self):
        X, y = make_data()
        X = np.round(4 * X) / 4
        for make in (
            lambda U: small(method="gradient").partial_fit(U, y).partial_fit(U, y),
            lambda U: small(ImplicitRegressorCV, alphas=[0.01, 0.1], cv=3).fit(U, y),
        ):
            assert_array_equal(make(with_duplicates(X)).rule_.B, make(sparse.csr_array(X)).rule_.B)


class TestUnits:
    """Powers of two change no bit of the fit; other units only the rounding."""

    @pytest.mark.parametrize(  # each method with each unit, with or without a budget in turn
        ("method", "unit", "budget"),
        [
            (method, unit, [None, 1.0][(i + j) % 2])
            for i, method in enumerate(METHODS)
            for j, unit in enumerate([2.0**531, 2.0**-531, 2.0**490])
        ],
    )
    def test_inputs(self, method, budget, unit):
        X, y = make_data()
        here = small(method=method, column_budget=budget).fit(X, y)
        there = small(method=method, column_budget=budget and budget / unit).fit(X * unit, y)
        assert_allclose(there.predict(X * unit), here.predict(X), rtol=1e-8)
        assert_allclose(there.feature_importances_, here.feature_importances_, rtol=1e-8)
        csr = small(method=method, column_budget=budget and budget / unit).fit(sparse.csr_array(X * unit), y)
        assert_allclose(csr.feature_importances_, here.feature_importances_, rtol=1e-4)

    @pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
    def test_mixed_inputs(self, cls):
        X, y = make_data()
        y = y > np.median(y) if cls is ImplicitClassifier else y
        units = 2.0 ** np.array([531, -531, 0, 27])
        here, there = small(cls).fit(X, y), small(cls).fit(X * units, y)
        assert_allclose(there.rule_.predict(X * units), here.rule_.predict(X), rtol=1e-8)

    @pytest.mark.parametrize("unit", [2.0**531, 2.0**-531])
    def test_targets_and_weights(self, unit):
        X, y = make_data()
        here = small().fit(X, y)
        assert_allclose(small().fit(X, y * unit).predict(X) / unit, here.predict(X), rtol=1e-8)
        heavy = np.full(len(y), 2.0**1020)
        assert_allclose(small().fit(X, y, heavy).predict(X), here.predict(X), rtol=1e-8)

    @pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
    @pytest.mark.usefixtures("short_ladder")
    @pytest.mark.parametrize("units", [(2.0**531, 1.0), (1.0, 2.0**-531)])
    def test_ridge_by_rows_held_out(self, cls, units):
        X, y = make_data()
        of_inputs, of_targets = units
        heavy = np.full(len(y), 2.0**1020)

        def fit(inputs, targets, weights):
            targets = targets > np.median(targets) if cls is ImplicitClassifier else targets
            return small(cls, n_hidden=2, max_iter=1, alpha="auto", cv=2, n_members=2).fit(inputs, targets, weights)

        here, there = fit(X, y, None), fit(X * of_inputs, y * of_targets, heavy)
        assert there.alpha_ == here.alpha_
        assert there.heldout_score_ == pytest.approx(here.heldout_score_, rel=1e-8)
        if cls is ImplicitRegressor:
            for one, other in zip(here.predict(X, True), there.predict(X * of_inputs, True), strict=True):
                assert_allclose(other / of_targets, one, rtol=1e-8)
            bounds = there.predict_interval(X * of_inputs) / of_targets
            assert_allclose(bounds, here.predict_interval(X), rtol=1e-8)

    @pytest.mark.usefixtures("short_ladder")
    @pytest.mark.parametrize("constant", [0.0, 1 / 3, 1e200 / 3, 1e-200 / 3])
    @pytest.mark.parametrize("alpha", [0.03, "auto"])
    def test_constant_target_or_input(self, constant, alpha):
        X, y = make_data()
        model = small(n_hidden=2, max_iter=1, alpha=alpha, cv=2, n_members=2).fit(X, np.full(len(y), constant))
        assert_allclose(model.predict(X), constant, rtol=1e-12)
        model = small(n_hidden=2, max_iter=1, alpha=alpha, cv=2, n_members=2).fit(
            np.c_[X, np.full(len(y), constant)], y
        )
        assert model.column_norms_[-1] == 0
        if alpha == "auto":
            assert np.all(model.predict(np.c_[X, np.full(len(y), constant)], return_std=True)[1] < np.std(y))

    @pytest.mark.usefixtures("short_ladder")
    @pytest.mark.parametrize("unit", [2.0**531, 2.0**-531])
    def test_chosen_ridge(self, unit):
        X, y = make_data()
        y = y + 3 * np.random.default_rng(2).normal(size=y.size)
        here, there = (small(ImplicitRegressorCV, alphas=[1e-4, 0.1, 1.0], cv=2).fit(X, s * y) for s in (1.0, unit))
        assert here.alpha_ > 1e-4  # the first is what a search among equal losses would take
        assert there.alpha_ == here.alpha_
        assert_allclose(there.predict(X) / unit, here.predict(X), rtol=1e-8)
        near = small(ImplicitRegressorCV, alphas=[1e-4, 0.1, 1.0], cv=2).fit(X, 8 * y)
        assert_array_equal(near.mse_path_, 64 * here.mse_path_)

    @pytest.mark.usefixtures("short_paths")
    @pytest.mark.parametrize(("of", "unit"), [("inputs", 2.0**531), ("one target", 2.0**-531)])
    def test_selection(self, of, unit):
        X, y = make_data()
        U, Y = (X * unit, np.c_[y, y]) if of == "inputs" else (X, np.c_[y, y * unit])
        here, there = (
            ImplicitFeatureSelector(small(alpha=0.01), column_budgets=3, cv=2, random_state=0).fit(*data)
            for data in ((X, np.c_[y, y]), (U, Y))
        )
        assert_allclose(there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"], rtol=1e-8)
        assert_array_equal(there.support_, here.support_)

    def test_units_too_far_apart_are_named(self):
        X, y = make_data()
        X[:, 2] *= 1e-200
        with pytest.raises(ValueError, match="Column 2 of X and y have deviations"):
            small().fit(X, y * 1e200)
        with pytest.raises(ValueError, match="column_budget=1e-100 leaves nothing of B"):
            small(column_budget=1e-100).fit(*make_data())

    @pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
    @pytest.mark.parametrize(
        "parameters",
        [
            {"alpha": 1e8},
            {"alpha": 1e300},
            {"alpha": 0.0, "kappa": 0.0},
            {"alpha": 1e8, "method": "lifted"},
            {"alpha": 1e8, "method": "lifted", "solver": "cvxpy"},
            {"alpha": 0.0, "kappa": 0.0, "solver": "cvxpy"},
            {"alpha": 1e300, "method": "gradient"},
            {"column_budget": 1e-12},
        ],
    )
    def test_no_warning(self, cls, parameters):
        X, y = make_data()
        y = y > np.median(y) if cls is ImplicitClassifier else y / 2
        X = X * np.array([1e-8, 1e-3, 1e3, 1e8])
        assert np.isfinite(small(cls, **parameters).fit(X, y).feature_importances_).all()


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
def test_a_constant_of_many_rows_carries_nothing(cls, make):
    X, y = make_data(3000)
    y = y > np.median(y) if cls is ImplicitClassifier else y
    constants = np.tile([1 / 3, 1e5 / 3], (3000, 1))
    model = small(cls, clip=False).fit(make(np.hstack([X, constants])), y)
    assert not model.rule_.B[:, 4:].any() and not model.rule_.D[:, 4:].any()
    assert_allclose(model.predict(np.hstack([X, 2 * constants])), model.predict(np.hstack([X, constants])))


@pytest.mark.parametrize("m", [30, 3000])
def test_an_input_that_varies_in_one_row_alone(m):
    # In some folds it is a constant, and what is learnt there goes on where it is none.
    X, y = make_data(m)
    X = np.c_[X, np.full(m, -0.0235964589)]
    X[0, 4] = 42.0
    model = ImplicitRegressor(n_hidden=2, max_iter=2, random_state=0).fit(X, y)
    assert np.abs(model.rule_.B).max() < 1e3
    assert model.score(X[1:], y[1:]) > 0.7


CUSTOM = {
    "sign": lambda A, B, u: [B >= 0],
    "signs": lambda A, B, u: [B[:, 0] <= 0, A >= 0],
    "equal": lambda A, B, u: [B[:, 0] * u[0] == B[:, 1] * u[1]],
    "none": lambda A, B, u: [B[:, 2] == 0],
    "rows": lambda A, B, u: [cp.sum(A, axis=1) == 0.5, A >= 0],
    "caps": lambda A, B, u: [cp.abs(cp.multiply(B, np.tile(u, (3, 1)))) <= 0.1],
    "norm": lambda A, B, u: [cp.norm(cp.multiply(B, np.tile(u, (3, 1))), 2) <= 0.4],
    "largest": lambda A, B, u: [cp.norm(cp.multiply(B, np.tile(u, (3, 1))), "inf") <= 0.1],
    "columns": lambda A, B, u: [cp.sum(cp.norm(cp.multiply(B, np.tile(u, (3, 1))), "inf", axis=0)) <= 0.3],
    "cone": lambda A, B, u: [cp.SOC(0.3, cp.multiply(B[0], u))],
}


@pytest.mark.parametrize("name", CUSTOM)
def test_constraints_hold_in_any_unit(name):
    X, y = make_data()
    reference = None
    for unit in (np.ones(4), np.array([1e8, 1e-8, 1e4, 1e-12])):

        def constraints(A, B, unit=unit):
            return CUSTOM[name](A, B, unit)

        model = small(max_iter=2, constraints=constraints).fit(X * unit, y)
        A, B = model.rule_.A, model.rule_.B * unit
        assert model.rule_.inf_norm <= model.kappa
        values = cp.Variable(A.shape, value=A), cp.Variable(B.shape, value=B)
        violation = max(np.max(c.violation()) for c in CUSTOM[name](*values, np.ones(4)))
        assert violation <= 1e-9 * np.abs(B).max()
        if name in ("sign", "signs", "none"):
            assert violation == 0
        reference = model.predict(X) if reference is None else reference
        assert_allclose(model.predict(X * unit), reference, rtol=1e-6, atol=1e-6)


class TestManyInputs:
    """Memory and time follow the entries, not the square of the inputs."""

    @pytest.mark.parametrize("parameters", [{}, {"column_budget": 1.0}, {"method": "gradient"}, {"method": "lifted"}])
    @pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
    def test_memory(self, cls, parameters):
        rng = np.random.default_rng(0)
        X = sparse.csr_array(sparse.random(100, 3000, 0.003, random_state=0))
        y = rng.normal(size=100) if cls is ImplicitRegressor else np.arange(100) % 2
        tracemalloc.start()
        small(cls, max_iter=2, **parameters).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2e7  # a matrix of inputs times inputs has 7e7

    @pytest.mark.parametrize("parameters", [{}, {"column_budget": 2.0}, {"solver": "cvxpy"}, {"method": "lifted"}])
    @pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
    def test_same_fit_as_with_a_matrix(self, monkeypatch, make, parameters):
        X, y = make_data(12, 20)
        rows = small(**parameters).fit(make(X), y)
        monkeypatch.setattr("skimplicit.rows.samples.Samples.inputs", property(_as_matrix))
        assert_allclose(rows.predict(X), small(**parameters).fit(make(X), y).predict(X), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("classes", [False, True])
    @pytest.mark.parametrize("alpha", [1e-3, 0.3])
    def test_readout_by_iteration(self, monkeypatch, classes, alpha):
        rng = np.random.default_rng(0)
        Y = np.eye(3)[np.arange(30) % 3] if classes else rng.normal(size=(30, 2))
        samples = Samples(sparse.csr_array(rng.normal(size=(30, 40))), Y, scale_targets=not classes)
        states = np.maximum(rng.normal(size=(30, 5)), 0.0)

        def read_out():
            moments = samples.moments(states)
            if classes:
                return logistic_readout(samples, states, moments, alpha, True, tol=1e-14)[0]
            return ridge_readout(moments, alpha, True)

        exact = read_out()
        monkeypatch.setattr("skimplicit.linalg.gram.MOST_PAIRS", 5)
        assert not samples.inputs.decomposes
        iterated = read_out()
        for name in ("C", "D", "c"):
            assert_allclose(getattr(iterated, name), getattr(exact, name), rtol=1e-5, atol=1e-6)


def _as_matrix(samples):
    return InputMatrix(samples.UU)


@pytest.mark.parametrize("size", [3, 250])
@pytest.mark.parametrize("coupling", [0.0, 1e-3])
def test_eigenvectors_of_a_second_moment(size, coupling):
    rng = np.random.default_rng(0)
    B, root = rng.normal(size=(2, size)), coupling * rng.normal(size=(size, size))
    root[np.diag_indices(size)] += np.append(rng.uniform(0.5, 2.0, size - 1), 0.0)
    root[:, -1] = 0.0
    matrix = root.T @ root
    inputs = InputMatrix(matrix)
    values, vectors = inputs.eigen
    assert values.size == size - 1
    assert_allclose(vectors @ (values[:, None] * (vectors.T @ np.eye(size))), matrix, atol=1e-12)
    assert_allclose(((np.eye(size) @ vectors) * values) @ vectors.T, matrix, atol=1e-12)
    assert_allclose(inputs.products(B), B @ matrix, atol=1e-12)


# Two fits in threads that live on: the second begins inside the first, and ends after it. Prints numbers of threads.
FITS_SIDE_BY_SIDE = """
import json, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import threadpool_info
from skimplicit import ImplicitRegressor

class Pausing(ImplicitRegressor):
    def _make_objective(self, *args):
        objective = super()._make_objective(*args)
        evaluate = objective.evaluate
        def paused(*args, **kwargs):
            self.inside.set()
            assert self.go_on.wait(60)
            return evaluate(*args, **kwargs)
        objective.evaluate = paused
        return objective

def most_threads():
    return max((library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"), default=1)

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(30, 2))
seen, fits = [most_threads()], []
with ThreadPoolExecutor(2) as pool:
    for _ in range(2):
        model = Pausing(n_hidden=3, alpha=0.01, max_iter=2, random_state=0)
        model.inside, model.go_on = threading.Event(), threading.Event()
        fits.append((model, pool.submit(model.fit, X, X[:, 0])))
        assert model.inside.wait(60)
        seen.append(most_threads())
    for model, fit in fits:
        model.go_on.set()
        fit.result()
    seen.append(most_threads())
print(json.dumps(seen))
"""


def test_threads_are_as_before_after_fits_side_by_side():
    # A process of its own: in this one, threadpoolctl may obey another thread than those of the fits.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FITS_SIDE_BY_SIDE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    before, *inside, after = json.loads(done.stdout)
    if before == 1:
        pytest.skip("BLAS has one thread here whatever is asked for, so that there is none to be lost.")
    assert inside == [1, 1]
    assert after == before


@every_method
@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
def test_last_value_of_the_record_is_the_objective(cls, method):
    X, y = make_data()
    y = y > np.median(y) if cls is ImplicitClassifier else y
    model = small(cls, method=method, max_iter=15).fit(X, y)
    objective = model._make_task(X, model._encode(X, y, None)).objective
    W, b = objective.weights_of(model.rule_)
    exact = objective.evaluate(W, b, model.alpha, tol=1e-12).objective
    assert model.objective_history_[-1] == pytest.approx(exact, rel=1e-6)
    last = model.objective_stages_ == model.objective_stages_[-1]
    assert np.all(np.diff(model.objective_history_[last]) <= 0)


def test_without_feedback_nothing_is_iterated(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("kappa=0 leaves nothing to iterate")

    for name in ("equilibrium", "adjoint"):
        monkeypatch.setattr(f"skimplicit.training.objective.{name}", forbidden)
    monkeypatch.setattr("skimplicit.subproblems.matching.elimination.minimise_in_balls", forbidden)
    for cls in (ImplicitRegressor, ImplicitClassifier):
        X, y = make_data()
        y = y > np.median(y) if cls is ImplicitClassifier else y
        assert not small(cls, kappa=0.0).fit(X, y).rule_.A.any()


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_one_row_and_a_batch_differ_by_the_rounding_of_the_products(offset):
    X, y = make_data(200, 8)
    X = X + offset
    model = small().fit(X, y)
    batch = model.predict(X)
    alone = np.array([model.predict(X[i : i + 1])[0] for i in range(50)])
    rule, eps = model.rule_, np.finfo(float).eps
    B, D = np.abs(rule.B), np.abs(rule.D)
    reached = np.linalg.solve(np.eye(rule.n_hidden) - np.abs(rule.A), B @ np.abs(X).T + np.abs(rule.b)[:, None])
    bound = np.abs(rule.C) @ reached + D @ np.abs(X).T + np.abs(rule.c)[:, None]
    allowed = 1e-9 * np.abs(batch) + (X.shape[1] + rule.n_hidden) * eps * bound[0]
    assert np.all(np.abs(alone - batch[:50]) <= allowed[:50])
