"""Calls side by side see what the thread that calls ``fit`` has set."""

from contextlib import contextmanager, nullcontext
from threading import Barrier, Event
from types import SimpleNamespace

import numpy as np
import pytest
from joblib import delayed, parallel_config
from sklearn import config_context, get_config

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.estimators.parallel import Parallel
from skimplicit.estimators.side_by_side import run_side_by_side
from skimplicit.training import threads

X = np.random.default_rng(0).normal(size=(30, 3))
y = np.abs(X[:, 0]) + X[:, 1]
SMALL = {"n_hidden": 2, "max_iter": 2, "random_state": 0}


class Recorder(ImplicitRegressor):
    """Writes down what is configured where a member or a fold is trained."""

    seen = []

    def _open_bridge(self, *arguments):
        bridge = super()._open_bridge(*arguments)
        report = bridge.over

        def over(objective):
            reported = report(objective)

            def recorded(iteration):
                self.seen.append(get_config()["assume_finite"])
                return reported(iteration)

            return recorded

        bridge.over = over
        return bridge


class RecorderCV(ImplicitRegressorCV):
    """Trains recorders in the folds."""

    _fixed_alpha_class = Recorder


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        Recorder(**SMALL, n_members=2, alpha=0.1, n_jobs=2),
        Recorder(**SMALL, n_members=2, n_jobs=2),
        RecorderCV(**SMALL, n_jobs=2, cv=2, alphas=[0.1]),
        ImplicitFeatureSelector(Recorder(**SMALL), random_state=0, n_jobs=2, cv=2, n_features_to_select=2),
    ],
    ids=["ridge", "auto", "cv", "selector"],
)
def test_the_configuration_of_scikit_learn_holds_side_by_side(estimator):
    Recorder.seen.clear()
    with parallel_config("threading"), config_context(assume_finite=True):
        estimator.fit(X, y)
    assert Recorder.seen and all(Recorder.seen)
    assert not get_config()["assume_finite"]


class Limits:
    """Stands for BLAS: whether it has one thread, whatever libraries other tests have loaded."""

    is_set = False

    @contextmanager
    def limit(self, limits, user_api):
        self.is_set = True
        yield
        self.is_set = False


class Pair:
    """Two trainings, of which one ends before the other."""

    def __init__(self, limits):
        self.limits = limits
        self.both_run, self.one_ended = Barrier(2, timeout=5), Event()

    def __call__(self, lasts):
        with threads.one_blas_thread():
            self.both_run.wait()
            if lasts:
                self.one_ended.wait(5)
                return self.limits.is_set, False
        self.one_ended.set()
        return None, False


def task():
    """Return a task of callbacks that asks for nothing."""
    return SimpleNamespace(
        subcontext=lambda task_name: task(),
        call_on_fit_task_begin=lambda estimator: None,
        call_on_fit_task_end=lambda estimator: False,
        propagate_callback_context=lambda estimator: nullcontext(),
    )


@pytest.mark.parametrize("one_by_one", [False, True], ids=["members", "fits"])
@pytest.mark.parametrize("order", [(False, True), (True, False)], ids=["first", "second"])
def test_the_first_training_to_end_leaves_the_others_one_blas_thread(order, one_by_one, monkeypatch):
    limits = Limits()
    pair = Pair(limits)
    monkeypatch.setattr(threads, "_controller", lambda: limits)
    with parallel_config("threading"):
        if one_by_one:
            results = run_side_by_side(
                pair, [(lasts,) for lasts in order], owner=None, context=task(), task_name="fit", n_jobs=2
            )
        else:
            found = Parallel(n_jobs=2, require="sharedmem")(delayed(pair)(lasts) for lasts in order)
            results = [result for result, _ in found]
    assert True in results
    assert not limits.is_set


def _negative(number, stop):
    return -number, stop


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_processes_of_a_backend_that_returns_all_results_at_once(n_jobs):
    with parallel_config("multiprocessing"):
        results = run_side_by_side(
            _negative,
            [(1, False), (2, True), (3, False)],
            owner=None,
            context=task(),
            task_name="fit",
            n_jobs=n_jobs,
        )
    assert results == [-1, -2]
