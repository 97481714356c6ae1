"""ImplicitRegressor as its users meet it. What the floors below prove is not repeated here.

scikit-learn's own checks are in ``test_sklearn_checks.py``.
"""

import pickle
import warnings
from functools import partial

import cvxpy as cp
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import Activation, ImplicitRegressor
from skimplicit.activations import ACTIVATIONS
from skimplicit.subproblems.attempts import SubproblemError
from skimplicit.training import BlockCoordinateDescent

# Few iterations do for what is tested here. Whether they were enough has its own test.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
Small = partial(ImplicitRegressor, n_hidden=4, alpha=0.03, tol=1e-3, max_iter=10, random_state=0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = np.sin(2 * X[:, 0]) + np.abs(X[:, 1]) * X[:, 2] + 0.1 * rng.normal(size=60)
    return X, y


@pytest.fixture(scope="module")
def multi(data):
    X, y = data
    return X, np.column_stack([y, 10 - X[:, 3], np.abs(X[:, 4])])


class TestFit:
    """Quality of a fit and what it leaves behind."""

    @pytest.mark.slow
    def test_defaults_on_friedman1(self):
        X, y = make_friedman1(1000, noise=1.0, random_state=0)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
        model = ImplicitRegressor(random_state=0).fit(X_train, y_train)
        assert model.score(X_test, y_test) >= 0.93  # the noise allows 0.962, Ridge has 0.75

    def test_beats_ridge_where_the_truth_bends(self, data):
        X, y = data
        assert Small(n_hidden=8).fit(X, y).score(X, y) > Ridge().fit(X, y).score(X, y) + 0.2

    def test_is_ridge_where_there_is_nothing_else(self):
        # kappa = 0 and the identity: y = (C B + D) u + c, whose best ridge is a linear model.
        X, y = load_diabetes(return_X_y=True)
        model = Small(activation="identity", kappa=0.0, alpha=1e-6).fit(X, y)
        assert model.score(X, y) == pytest.approx(Ridge(alpha=1e-9).fit(X, y).score(X, y), abs=1e-4)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("flat", [True, False])
    def test_shapes_follow_the_targets(self, data, flat):
        X, y = data
        y = y if flat else y[:, None]
        model = Small().fit(X, y)
        assert model.predict(X).shape == y.shape
        assert model.transform(X).shape == (60, 4)

    @pytest.mark.slow
    def test_several_outputs(self, multi):
        X, Y = multi
        model = Small(n_hidden=8).fit(X, Y)
        assert model.predict(X).shape == Y.shape
        assert model.score(X, Y) > 0.6
        assert (model.rule_.n_outputs, model.rule_.n_inputs, model.rule_.n_hidden) == (3, 5, 8)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("activation", [*ACTIVATIONS, "custom"])
    @pytest.mark.parametrize("budget", [None, 0.5])
    def test_bounds_hold_exactly(self, data, activation, budget):
        steep = Activation("steep", _steep, _steep_derivative, 0.0, 3.0)
        activation = steep if activation == "custom" else activation
        model = Small(kappa=0.3, activation=activation, column_budget=budget, max_iter=10, tol=0.01)
        model.fit(*data)
        A, lipschitz = model.rule_.A, model.rule_.activation.lipschitz
        assert np.abs(A).sum(1).max() <= 0.3 / max(lipschitz, 1.0)
        assert model.rule_.is_well_posed()
        if budget:
            assert model.column_norms_.sum() <= budget * (1 + 1e-12)

    def test_attributes(self, multi):
        X, Y = multi
        model = Small().fit(X, Y)
        np.testing.assert_allclose(model.rule_.predict(X), model.predict(X), rtol=1e-12)
        np.testing.assert_allclose(model.rule_.states(X), model.transform(X), rtol=1e-12)
        np.testing.assert_array_equal(model.column_norms_, np.abs(model.rule_.B).max(axis=0))
        assert model.n_iter_ >= model.objective_history_.size == model.objective_stages_.size
        assert model.feature_importances_.shape == (5,) and np.all(model.feature_importances_ > 0)
        for stage in np.unique(model.objective_stages_):
            assert np.all(np.diff(model.objective_history_[model.objective_stages_ == stage]) <= 0)

    def test_objective_is_the_documented_one(self, multi):
        X, Y = multi
        model = Small(alpha=0.05).fit(X, Y)
        rule, su, sy = model.rule_, X.std(axis=0), Y.std(axis=0)
        loss = np.sum(np.mean(((Y - rule.predict(X)) / sy) ** 2, axis=0)) / 2
        C, D = rule.C / sy[:, None], rule.D * su / sy[:, None]
        norms = sum(np.sum(matrix**2) for matrix in (rule.A, rule.B * su, C, D))
        assert loss + 0.05 / 2 * norms == pytest.approx(model.objective_history_[-1], rel=1e-3)

    @pytest.mark.slow
    def test_direct(self, data):
        assert Small().fit(*data).rule_.D.any()
        assert not Small(direct=False).fit(*data).rule_.D.any()
        assert not Small(column_budget=1.0).fit(*data).rule_.D.any()

    def test_no_intercept(self, data):
        X, y = data
        rule = Small(fit_intercept=False).fit(X + 1.0, y + 5.0).rule_
        assert not rule.b.any() and not rule.c.any()

    @pytest.mark.parametrize("structure", [[2, 2], np.eye(4, dtype=bool)], ids=["layers", "mask"])
    def test_structure(self, data, structure):
        A = Small(structure=structure).fit(*data).rule_.A
        if isinstance(structure, list):
            assert not np.tril(A).any()
        else:
            assert not A[~structure].any()

    @pytest.mark.slow
    def test_small_budget_drops_inputs(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(200, 8))
        y = X[:, 0] + X[:, 1]
        model = Small(column_budget=0.05, alpha=0.1, clip=False).fit(X, y)
        norms = model.column_norms_
        assert np.count_nonzero(norms) < 8
        assert set(np.argsort(norms)[-2:]) == {0, 1}
        assert np.all((model.feature_importances_ == 0) == (norms == 0))
        # Inputs that were dropped do not matter at all.
        X[:, norms == 0] = 1e6
        assert model.score(X, y) > 0.5

    def test_warns_with_what_to_do(self, data):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            Small(max_iter=2, tol=0.0).fit(*data)

    def test_constant_targets_are_learned(self, data):
        # The objective goes on falling, to 1e-160: what is left of it is no reason to train longer.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = Small(alpha=0.01, max_iter=20, tol=1e-2).fit(data[0], np.ones(len(data[0])))
        np.testing.assert_array_equal(model.predict(data[0]), 1.0)

    def test_not_fitted(self, data):
        for method in ("predict", "transform"):
            with pytest.raises(NotFittedError):
                getattr(Small(), method)(data[0])


def _steep(Z, out=None):
    return np.maximum(3.0 * Z, 0.0, out=out)


def _steep_derivative(Z, X):
    return 3.0 * (Z > 0)


class TestInvariance:
    """What may not change a fit or a prediction does not."""

    @pytest.mark.slow
    def test_predictions_do_not_depend_on_the_batch(self, multi):
        X, Y = multi
        model = Small(n_hidden=8, kappa=0.99, clip=False).fit(X, Y)
        X = np.vstack([X, 1e3 * X, 1e-3 * X])
        together = model.predict(X)
        alone = np.vstack([model.predict(X[[i]]) for i in range(X.shape[0])])
        np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-9 * np.abs(together).mean())
        np.testing.assert_allclose(model.predict(X[::-1])[::-1], together, rtol=1e-9)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("budget", [None, 1.0])
    def test_integer_weights_are_repeated_rows(self, multi, budget):
        X, Y = multi
        counts = np.random.default_rng(0).integers(0, 4, size=X.shape[0])
        weighted = Small(column_budget=budget).fit(X, Y, sample_weight=counts)
        repeated = Small(column_budget=budget).fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0))
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)

    @pytest.mark.slow
    def test_zero_weights_are_removed_rows(self, data):
        X, y = data
        keep = np.random.default_rng(0).random(60) < 0.7
        weighted, removed = Small().fit(X, y, sample_weight=keep), Small().fit(X[keep], y[keep])
        np.testing.assert_allclose(weighted.predict(X), removed.predict(X), rtol=1e-7)

    @pytest.mark.slow
    def test_common_factor_of_the_weights(self, data):
        X, y = data
        weighted = Small().fit(X, y, sample_weight=np.full(60, 4.0))
        np.testing.assert_allclose(weighted.predict(X), Small().fit(X, y).predict(X), rtol=1e-7)

    @pytest.mark.slow
    def test_order_of_the_rows(self, data):
        X, y = data
        order = np.random.default_rng(0).permutation(60)
        shuffled = Small().fit(X[order], y[order])
        np.testing.assert_allclose(shuffled.predict(X), Small().fit(X, y).predict(X), rtol=1e-9)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize(("factor", "shift"), [(4.0, 0.0), (-2.0, 64.0), (2.0**-20, 0.0)])
    def test_affine_change_of_the_target(self, data, factor, shift):
        # Powers of two change no bit but the exponent, so even a long chain of steps is the same.
        X, y = data
        y = np.round(y * 2**20) / 2**20  # adding the shift is exact
        here, there = Small().fit(X, y), Small().fit(X, factor * y + shift)
        if factor > 0:
            expected = factor * here.predict(X) + shift
            np.testing.assert_allclose(there.predict(X), expected, rtol=1e-5, atol=1e-5 * factor)
        assert there.score(X, factor * y + shift) == pytest.approx(here.score(X, y), abs=0.01)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("unit", [2.0**10, 2.0**-10])
    def test_units_of_the_inputs(self, data, unit):
        X, y = data
        units = unit ** np.arange(5)
        model = Small().fit(X * units, y)
        np.testing.assert_allclose(model.predict(X * units), Small().fit(X, y).predict(X), rtol=1e-6)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
    @pytest.mark.parametrize("budget", [None, 1.0])
    def test_sparse_is_dense(self, data, form, budget):
        X, y = data
        X = np.where(np.abs(X) > 0.7, X, 0.0)
        dense, csr = (Small(column_budget=budget, max_iter=8, tol=0.01).fit(Z, y) for Z in (X, form(X)))
        np.testing.assert_allclose(csr.predict(form(X)), dense.predict(X), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dense.predict(form(X)), dense.predict(X), rtol=1e-9)
        np.testing.assert_allclose(dense.transform(form(X)), dense.transform(X), rtol=1e-9)

    def test_sparse_input_is_not_touched(self, data):
        X = sparse.csr_array(np.where(np.abs(data[0]) > 0.7, data[0], 0.0))
        X.data[:3] = 0.0
        kept = X.copy()
        Small(max_iter=10, tol=0.1).fit(X, data[1]).predict(X)
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(X, name), getattr(kept, name))

    @pytest.mark.slow
    def test_float32(self, data):
        X, y = data
        X, y = X.astype(np.float32), y.astype(np.float32)
        single, double = Small().fit(X, y), Small().fit(X.astype(float), y.astype(float))
        np.testing.assert_allclose(single.predict(X), double.predict(X.astype(float)), rtol=1e-5)

    @pytest.mark.slow
    def test_layout_of_the_memory(self, data):
        X, y = data
        fortran, model = Small().fit(np.asfortranarray(X), y), Small().fit(X, y)
        np.testing.assert_allclose(fortran.predict(X), model.predict(X), rtol=1e-9)

    @pytest.mark.slow
    def test_same_seed_same_fit_and_global_state_untouched(self, data):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        first, second = Small(n_init=2, max_iter=20).fit(*data), Small(n_init=2, max_iter=20).fit(*data)
        assert first.rule_ == second.rule_
        np.testing.assert_array_equal(first.objective_history_, second.objective_history_)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
        assert Small(random_state=1, max_iter=20).fit(*data).rule_ != first.rule_


class TestScikitLearn:
    """Frames, names, pipelines, searches, persistence, routing."""

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
    def test_frames(self, data, make):
        X, y = data
        names = [f"input {j}" for j in range(5)]
        frame = make(dict(zip(names, X.T, strict=True)))
        model = Small().fit(frame, y)
        assert model.feature_names_in_.tolist() == names
        np.testing.assert_allclose(model.predict(frame), Small().fit(X, y).predict(X), rtol=1e-9)
        assert model.get_feature_names_out().tolist() == [f"implicitregressor{i}" for i in range(4)]
        swapped = frame[names[::-1]]
        with pytest.raises(ValueError, match="feature names"):
            model.predict(swapped)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize(("container", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
    def test_set_output(self, data, container, kind):
        X, y = data
        states = Small().set_output(transform=container).fit(X, y).transform(X)
        assert isinstance(states, kind)
        assert list(states.columns) == [f"implicitregressor{i}" for i in range(4)]

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("roundtrip", ["pickle", "joblib"])
    def test_persistence(self, data, tmp_path, roundtrip):
        X, y = data
        model = Small(column_budget=1.0).fit(X, y)
        if roundtrip == "pickle":
            again = pickle.loads(pickle.dumps(model))
        else:
            joblib.dump(model, tmp_path / "model")
            again = joblib.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        assert again.rule_ == model.rule_ and again.get_params() == model.get_params()

    def test_clone(self):
        parameters = dict(n_hidden=3, kappa=0.5, structure=[1, 2], constraints=_non_negative, n_init=4)
        copy = clone(ImplicitRegressor(**parameters))
        for name, value in parameters.items():
            assert getattr(copy, name) == value
        with pytest.raises(TypeError):
            ImplicitRegressor(20)

    @pytest.mark.slow
    def test_grid_search_in_a_pipeline(self, data):
        pipe = make_pipeline(StandardScaler(), Small(max_iter=50, tol=0.01))
        grid = {"implicitregressor__n_hidden": [1, 4], "implicitregressor__alpha": [0.1, 1e6]}
        X, y = data[0], data[0] @ np.arange(5)
        search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
        assert search.best_params_["implicitregressor__alpha"] == 0.1  # the other leaves only the mean
        assert search.best_score_ > 0.8

    def test_states_are_features(self, data):
        X, y = data
        model = Small(n_hidden=8, direct=False)
        pipe = make_pipeline(model, Ridge(alpha=1e-9)).fit(X, y)
        assert pipe[:-1].transform(X).shape == (60, 8)
        # Least squares on the same states explains no less than the rule's own, penalised readout.
        assert pipe.score(X, y) >= model.fit(X, y).score(X, y) - 1e-9

    @pytest.mark.slow
    def test_routing_of_weights(self, data):
        X, y = data
        weights = np.r_[np.ones(30), np.zeros(30)]
        with config_context(enable_metadata_routing=True):
            model = Small().set_fit_request(sample_weight=True)
            unweighted = StandardScaler().set_fit_request(sample_weight=False)
            pipe = make_pipeline(unweighted, model)
            routed = pipe.fit(X, y, sample_weight=weights)
            result = cross_validate(
                make_pipeline(unweighted, clone(model).set_score_request(sample_weight=True)),
                X,
                y,
                params={"sample_weight": weights + 1},
                cv=2,
            )
            assert np.isfinite(result["test_score"]).all()
        direct = Small().fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
        np.testing.assert_array_equal(routed[-1].rule_.A, direct.rule_.A)


def _non_negative(A, B):
    return [B >= 0]


class StopAfter:
    """A callback that asks to stop after some tasks of its estimator."""

    def __init__(self, n):
        self.n, self.events = n, []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append("begin")

    def on_fit_task_end(self, estimator, context):
        self.events.append("end")
        return self.events.count("end") >= self.n


class TestCallbacks:
    """scikit-learn's callback protocol."""

    @pytest.mark.slow
    def test_progress_bar(self, data, capsys):
        model = Small().set_callbacks(ProgressBar())
        model.fit(*data)
        assert model.rule_ == Small().fit(*data).rule_
        assert "ImplicitRegressor" in capsys.readouterr().out

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("flat", [True, False])
    def test_scoring_monitor(self, data, flat):
        X, y = data
        monitor = ScoringMonitor(scoring="r2")
        model = Small().set_callbacks(monitor).fit(X, y if flat else y[:, None])
        log = monitor.get_logs()
        assert log.estimator_name == "ImplicitRegressor"
        # One score for each iteration, and one for the whole fit.
        scores = [entry["r2"] for entry in log.data]
        assert len(scores) == model.objective_history_.size + 1
        assert model.score(X, y if flat else y[:, None]) == pytest.approx(scores[-1])

    def test_early_stop(self, data):
        callback = StopAfter(4)
        model = Small(tol=0.0).set_callbacks(callback).fit(*data)
        assert model.n_iter_ == model.objective_history_.size == 4
        assert callback.events[0] == "setup" and callback.events[-1] == "teardown"
        assert callback.events.count("begin") == callback.events.count("end")
        assert np.isfinite(model.predict(data[0])).all()

    @pytest.mark.slow
    def test_verbose(self, data, capsys):
        lines = {}
        for verbose in (0, False, 1, True, 2, 3, 50):
            model = Small(verbose=verbose, n_init=2, max_iter=8).fit(*data)
            lines[verbose] = capsys.readouterr().out.splitlines()
            assert all("objective" in line for line in lines[verbose])
        assert not lines[0] and lines[1] == lines[True]
        assert set(lines[1]) < set(lines[2]) and lines[2] == lines[3] == lines[50]
        # Both starts are reported, each from its first iteration on and in every stage.
        stages = {f"stage {stage} " for stage in model.objective_stages_}
        assert all(any(stage in line for line in lines[1]) for stage in stages)
        assert sum("iteration 1, stage 0" in line for line in lines[1]) == 2
        assert len(lines[2]) > model.objective_history_.size


class TestStarts:
    """Where a fit starts."""

    def test_warm_start_goes_on(self, data):
        model = Small(warm_start=True, tol=1e-2).fit(*data)
        first, n_iter = model.objective_history_[-1], model.n_iter_
        model.set_params(tol=1e-3).fit(*data)
        assert model.objective_history_[0] <= first * (1 + 1e-3)
        assert model.n_iter_ <= n_iter + 100 and np.unique(model.objective_stages_).size == 1

    @pytest.mark.slow
    def test_warm_start_of_another_size_is_cold(self, data):
        X, y = data
        model = Small(warm_start=True).fit(X, y).set_params(n_hidden=3)
        np.testing.assert_array_equal(model.fit(X, y).rule_.A, Small(n_hidden=3).fit(X, y).rule_.A)
        model.fit(X[:, :2], y)
        assert model.rule_.n_inputs == 2

    def test_warm_start_into_a_smaller_bound(self, data):
        model = Small(warm_start=True).fit(*data).set_params(kappa=0.1)
        assert np.abs(model.fit(*data).rule_.A).sum(axis=1).max() <= 0.1

    @pytest.mark.slow
    def test_several_starts_keep_the_best(self, data):
        # The starts come one after the other from one generator.
        random_state = np.random.RandomState(0)
        alone = [Small(random_state=random_state, max_iter=20).fit(*data).objective_history_[-1] for _ in range(3)]
        best = Small(n_init=3, max_iter=20).fit(*data)
        assert best.objective_history_[-1] == pytest.approx(min(alone), rel=1e-12)


class TestSolvers:
    """CVXPY and projected gradient lead to the same place; custom constraints go through CVXPY."""

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("block", ["curvature", "matching"])
    @pytest.mark.parametrize("seed", range(2))
    def test_same_course(self, data, seed, block):
        # Differences of rounding grow over many steps across the kinks of ReLU: the solvers agree to the last digits.
        method = BlockCoordinateDescent(block=block)
        courses = []
        for solver in ("cvxpy", "projected"):
            model = Small(n_hidden=3, method=method, solver=solver, random_state=seed, max_iter=10)
            courses.append(model.fit(*data).objective_history_)
        np.testing.assert_allclose(courses[0], courses[1], rtol=1e-10)

    @pytest.mark.slow
    def test_auto_is_projected(self, data):
        auto, projected = (Small(solver=solver).fit(*data) for solver in ("auto", "projected"))
        assert auto.rule_ == projected.rule_

    @pytest.mark.slow
    def test_non_negative_inputs(self, data):
        model = Small(constraints=_non_negative, max_iter=30, tol=0.01, direct=False).fit(*data)
        assert model.rule_.B.min() >= -1e-6
        assert Small(direct=False).fit(*data).rule_.B.min() < -0.01

    @pytest.mark.slow
    def test_constraints_speak_of_the_inputs_as_they_are(self, data):
        X, y = data
        units = np.array([1e-2, 1.0, 1e2, 1.0, 1.0])
        seen = []

        def constraints(A, B):
            seen.append((A.shape, B.shape))
            return [cp.sum(B[:, 2]) == 0.005, cp.abs(A[0, 1]) <= 0.01]

        rule = Small(constraints=constraints, max_iter=20, tol=0.01).fit(X * units, y).rule_
        assert set(seen) == {((4, 4), (4, 5))}
        assert rule.B[:, 2].sum() == pytest.approx(0.005, rel=1e-4)
        assert abs(rule.A[0, 1]) <= 0.01 + 1e-6

    @pytest.mark.parametrize(
        "given", [{"constraints": _non_negative}, {"solver": "cvxpy", "column_budget": 1.0}], ids=["custom", "budget"]
    )
    def test_members_side_by_side_have_a_program_each(self, data, given):
        parameters = {"alpha": 0.05, "n_members": 3, "max_iter": 8, "direct": False, **given}
        one, two = (Small(**parameters, n_jobs=n_jobs).fit(*data) for n_jobs in (1, 2))
        assert one.rule_ == two.rule_

    def test_infeasible(self, data):
        with pytest.raises(SubproblemError, match=r"equilibrium block \(A, B\).*infeasible"):
            Small(constraints=lambda A, B: [B >= 1, B <= -1]).fit(*data)

    @pytest.mark.parametrize(
        ("constraints", "error", "message"),
        [
            (lambda A, B: [cp.norm(A) >= 1], ValueError, "not convex"),
            (lambda A, B: True, TypeError, "must return CVXPY constraints"),
            (lambda A, B: None, TypeError, "must return CVXPY constraints"),
        ],
    )
    def test_bad_constraints(self, data, constraints, error, message):
        with pytest.raises(error, match=message):
            Small(constraints=constraints).fit(*data)

    def test_projected_refuses_custom_constraints(self, data):
        with pytest.raises(ValueError, match="solver='projected' cannot take custom constraints"):
            Small(constraints=_non_negative, solver="projected").fit(*data)


class TestBadInput:
    """Every mistake gets an error that names the culprit, before any work."""

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda X, y: (np.where(X > 2, np.nan, X), y), "X contains NaN"),
            (lambda X, y: (np.where(X > 2, np.inf, X), y), "X contains infinity"),
            (lambda X, y: (X, np.where(y > 1, np.nan, y)), "y contains NaN"),
            (lambda X, y: (X, np.where(y > 1, np.inf, y)), "y contains infinity"),
            (lambda X, y: (X[:0], y[:0]), "0 sample"),
            (lambda X, y: (X[:, :0], y), "0 feature"),
            (lambda X, y: (X + 1j, y), "Complex data not supported"),
            (lambda X, y: (X, y + 1j), "Complex data not supported"),
            (lambda X, y: (np.full(X.shape, "word"), y), "could not convert string|dtype='numeric'"),
            (lambda X, y: (X, np.full(y.shape, "word")), "could not convert string|dtype='numeric'|Unable to convert"),
            (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
            (lambda X, y: (X[:, 0], y), "Expected 2D array"),
            (lambda X, y: (X[:, :, None], y), "dim 3"),
            (lambda X, y: (X, None), "y cannot be None|requires y"),
        ],
    )
    def test_arrays(self, data, spoil, message):
        with pytest.raises(ValueError, match=message):
            Small().fit(*spoil(*data))

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"kappa": 1.0}, "'kappa'"),
            ({"kappa": -0.1}, "'kappa'"),
            ({"kappa": np.nan}, "kappa"),
            ({"alpha": -1.0}, "'alpha'"),
            ({"alpha": np.inf}, "'alpha'"),
            ({"alpha": np.nan}, "alpha"),
            ({"column_budget": 0.0}, "'column_budget'"),
            ({"column_budget": -1.0}, "'column_budget'"),
            ({"column_budget": np.inf}, "'column_budget'"),
            ({"column_budget": 1.0, "alpha": 0.0}, "column_budget needs alpha > 0"),
            ({"column_budget": 1.0, "direct": True}, "column_budget needs direct=False"),
            ({"n_hidden": 0}, "'n_hidden'"),
            ({"n_hidden": 2.5}, "'n_hidden'"),
            ({"activation": "swish"}, "'activation'"),
            ({"direct": "yes"}, "'direct'"),
            ({"fit_intercept": "yes"}, "'fit_intercept'"),
            ({"structure": [1, 1]}, "add up to n_hidden"),
            ({"structure": "layers"}, "structure"),
            ({"constraints": [1]}, "'constraints'"),
            ({"solver": "osqp"}, "'solver'"),
            ({"max_iter": 0}, "'max_iter'"),
            ({"tol": -1.0}, "'tol'"),
            ({"n_init": 0}, "'n_init'"),
            ({"random_state": "seed"}, "'random_state'"),
        ],
        ids=str,
    )
    def test_parameters(self, data, parameters, message):
        with pytest.raises(ValueError, match=message):
            Small(**parameters).fit(*data)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (-np.ones(60), "sample_weight"),
            (np.zeros(60), "at least one non-zero"),
            (np.ones(59), "sample_weight"),
            (np.full(60, np.nan), "sample_weight"),
        ],
        ids=["negative", "all zero", "wrong length", "NaN"],
    )
    def test_weights(self, data, weights, message):
        with pytest.raises(ValueError, match=message):
            Small().fit(*data, sample_weight=weights)

    def test_wrong_width_at_prediction(self, data):
        X, y = data
        model = Small().fit(X, y)
        for method in (model.predict, model.transform):
            with pytest.raises(ValueError, match="X has 4 features.*expecting 5 features"):
                method(X[:, :4])
            with pytest.raises(ValueError, match="NaN"):
                method(np.full((2, 5), np.nan))

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("fitted", [True, False])
    @pytest.mark.parametrize("reason", ["data", "parameter", "solver", "interrupt"])
    def test_failed_fit_leaves_no_trace(self, data, fitted, reason):
        X, y = data
        model = Small()
        if fitted:
            model.fit(X, y)
        if reason == "parameter":
            model.set_params(kappa=2.0)
        elif reason == "solver":
            model.set_params(constraints=lambda A, B: [B >= 1, B <= -1])
        elif reason == "interrupt":
            model.set_params(constraints=_interrupt)
        before = dict(vars(model))
        with pytest.raises(BaseException) as caught:  # noqa: B017, PT011
            model.fit(X[:, :3], np.where(y > 1, np.nan, y) if reason == "data" else y)
        assert isinstance(caught.value, (ValueError, SubproblemError, KeyboardInterrupt))
        assert vars(model) == before


def _interrupt(A, B):
    raise KeyboardInterrupt


class TestHardButSane:
    """Data at the edge give a fit that a user would accept."""

    @pytest.mark.parametrize("alpha", [0.0, 0.03])
    @pytest.mark.parametrize("value", [0.0, 5.0, 1e8])
    def test_constant_target(self, data, value, alpha):
        X, _ = data
        model = Small(alpha=alpha).fit(X, np.full(60, value))
        np.testing.assert_allclose(model.predict(X), value, rtol=1e-9, atol=1e-9)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("value", [0.0, 5.0, 1e8, 0.1])
    @pytest.mark.parametrize("budget", [None, 1.0])
    def test_constant_column_carries_nothing(self, data, value, budget):
        X, y = data
        X = np.column_stack([X, np.full(60, value)])
        model = Small(column_budget=budget).fit(X, y)
        assert model.column_norms_[-1] == 0.0 and not model.rule_.D[:, -1].any()
        assert model.feature_importances_[-1] == 0.0
        assert model.score(X, y) > 0.3

    @pytest.mark.parametrize("alpha", [0.0, 0.03])
    def test_one_sample(self, data, alpha):
        X, y = data
        model = Small(alpha=alpha, clip=False).fit(X[:1], y[:1])
        np.testing.assert_allclose(model.predict(X[:1]), y[:1], rtol=1e-9)
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.slow
    @pytest.mark.parametrize("budget", [None, 1.0])
    def test_more_features_than_samples(self, budget):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(15, 40))
        y = X[:, 0] + np.abs(X[:, 1])
        model = Small(column_budget=budget, clip=False).fit(X, y)
        assert np.isfinite(model.predict(10 * X)).all()
        assert model.score(X, y) > 0.5

    @pytest.mark.slow
    def test_collinear_columns(self, data):
        X, y = data
        twice = np.hstack([X, X, X[:, :1] + X[:, 1:2]])
        for alpha in (0.0, 0.03):
            model = Small(alpha=alpha, max_iter=200).fit(twice, y)
            assert model.score(twice, y) >= 0.5
            assert np.isfinite(model.rule_.B).all()

    @pytest.mark.slow_cases
    @pytest.mark.parametrize("scale", [1e8, 1e-8])
    @pytest.mark.parametrize("of", ["X", "y", "both"])
    def test_scale(self, data, scale, of):
        X, y = data
        reference = Small().fit(X, y).score(X, y)
        X, y = (X if of == "y" else X * scale), (y if of == "X" else y * scale)
        assert Small().fit(X, y).score(X, y) == pytest.approx(reference, abs=0.05)

    @pytest.mark.slow
    def test_offset(self, data):
        X, y = data
        reference = Small().fit(X, y).score(X, y)
        assert Small().fit(X + 1e6, y + 1e6).score(X + 1e6, y + 1e6) == pytest.approx(reference, abs=0.05)

    def test_outlier(self, data):
        X, y = data
        X = np.vstack([X, np.full((1, 5), 1e6)])
        model = Small().fit(X, np.r_[y, 0.0])
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.parametrize("kappa", [0.0, 1 - 1e-9])
    def test_bound_at_the_ends_of_its_range(self, data, kappa):
        model = Small(kappa=kappa, max_iter=50, tol=0.01).fit(*data)
        assert np.abs(model.rule_.A).sum(axis=1).max() <= kappa
        assert np.isfinite(model.predict(data[0])).all()

    def test_one_state_one_input(self, data):
        X, y = data
        model = Small(n_hidden=1).fit(X[:, :1], y)
        assert model.score(X[:, :1], y) > 0.05
