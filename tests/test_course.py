"""The course of a fit: no more iterations than asked for, and whoever ends it early gets a rule that is right."""

import _thread
import signal
import time
import warnings

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.training import ImplicitObjective, SquaredObjective, StochasticGradient

X, NUMBERS = make_friedman1(80, n_features=5, random_state=0)
CLASSES = (NUMBERS > np.median(NUMBERS)).astype(int)
METHODS = ["bcd", "gradient", "lifted", StochasticGradient(early_stopping=True)]


class After:
    """A callback that stops, or interrupts once, after some iterations."""

    def __init__(self, count, interrupt):
        self.count, self.interrupt = count, interrupt

    def setup(self, estimator, context):
        self.ends = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.ends += 1
        if self.ends == self.count and self.interrupt:
            raise KeyboardInterrupt
        return self.ends >= self.count and not self.interrupt


def make(kind, **parameters):
    estimator = ImplicitRegressor if kind == "regressor" else ImplicitClassifier
    y = NUMBERS if kind == "regressor" else CLASSES
    return estimator(**{"n_hidden": 3, "alpha": 0.1, "max_iter": 20, "random_state": 0, **parameters}), y


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
@pytest.mark.parametrize("method", ["bcd", "gradient", "lifted"])
@pytest.mark.parametrize(("column_budget", "n_init"), [(None, 1), (0.5, 2)])
def test_never_more_iterations_than_asked_for(kind, method, column_budget, n_init):
    for max_iter in (1, 5):
        monitor = ScoringMonitor(scoring="r2" if kind == "regressor" else "accuracy")
        model, y = make(kind, method=method, column_budget=column_budget, max_iter=max_iter, n_init=n_init, tol=0.0)
        model.set_callbacks(monitor).fit(X, y)
        assert model.n_iter_ <= max_iter
        assert len(monitor.get_logs().data) <= max_iter * n_init + 1
        if column_budget is not None:
            assert model.column_norms_.sum() <= column_budget


@pytest.mark.slow_cases
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("column_budget", [None, 0.5])
@pytest.mark.parametrize("count", [1, 4])
def test_interrupt_keeps_the_rule_so_far(kind, method, column_budget, count):
    model, y = make(kind, method=method, column_budget=column_budget)
    with pytest.warns(ConvergenceWarning, match="interrupted after .* The best rule so far is kept") as caught:
        model.set_callbacks(After(count, interrupt=True)).fit(X, y)
    assert len(caught) == 1
    assert model.objective_history_.size == count
    stopped, _ = make(kind, method=method, column_budget=column_budget)
    stopped.set_callbacks(After(count, interrupt=False)).fit(X, y)
    # The same as for a callback that stops there, except that early stopping may hold an earlier rule for the best.
    if not isinstance(method, StochasticGradient):
        assert model.rule_ == stopped.rule_
    np.testing.assert_array_equal(model.objective_history_[:-1], stopped.objective_history_[:-1])
    # The last value is seen to full accuracy only where the rule is that of the last iteration.
    last = model.objective_history_[-1], stopped.objective_history_[-1]
    assert last[0] == pytest.approx(last[1], rel=1e-3)
    assert np.all(np.isfinite(model.predict(X)))
    if column_budget is not None:  # whatever budget the stage had
        assert max(model.column_norms_.sum(), stopped.column_norms_.sum()) <= column_budget * (1 + 1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_as_the_last_stage_begins_keeps_what_it_begins_with(method, monkeypatch):
    calls = 0

    def train(count):
        """Fit with an interrupt in the evaluation of that number, of a rule with a budget."""
        nonlocal calls
        calls = 0

        def evaluate(objective, *arguments, **numbers):
            nonlocal calls
            calls += 1
            if calls == count:
                raise KeyboardInterrupt
            return ImplicitObjective.evaluate(objective, *arguments, **numbers)

        monkeypatch.setattr(SquaredObjective, "evaluate", evaluate)
        model, y = make("regressor", method=method, column_budget=0.05, n_hidden=2, tol=1e-2)
        return model.fit(X, y)

    train(None)
    fits = [train(count) for count in range(6, calls)]  # the last one is of the rule that is stored
    assert len({fit.objective_stages_.max() for fit in fits}) > 1
    assert max(fit.column_norms_.sum() for fit in fits) <= 0.05 * (1 + 1e-12)


@pytest.mark.slow
def test_interrupt_in_a_later_start_keeps_the_best_start():
    one, y = make("regressor", max_iter=100, tol=1e-3)
    one.fit(X, y)
    model, _ = make("regressor", max_iter=100, tol=1e-3, n_init=3)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.set_callbacks(After(one.objective_history_.size + 1, interrupt=True)).fit(X, y)
    assert model.rule_ == one.rule_  # one iteration of the second start does not beat the first


@pytest.mark.parametrize("fitted", [False, True])
def test_interrupt_before_there_is_a_rule_is_not_caught(fitted):
    def interrupt(A, B):
        raise KeyboardInterrupt

    model, y = make("regressor", max_iter=3)
    if fitted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
    model.set_params(constraints=interrupt)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    ("kind", "method", "column_budget"),
    [
        ("regressor", "bcd", None),
        ("regressor", "bcd", 0.5),
        ("classifier", "gradient", 0.5),
        ("regressor", "lifted", None),
    ],
)
def test_interrupt_while_the_ridge_is_chosen_keeps_the_members_so_far(kind, method, column_budget):
    choose = dict(alpha="auto", n_hidden=2, max_iter=2, cv=2, n_members=2, method=method, column_budget=column_budget)
    full, y = make(kind, **choose)
    listener = After(-1, interrupt=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        full.set_callbacks(listener).fit(X, y)
    last = listener.ends - 2  # two tasks end with the fit
    for count in (1, last // 2, last - 1):
        model, _ = make(kind, **choose)
        with pytest.warns(ConvergenceWarning, match="interrupted after .* The best rule so far is kept"):
            model.set_callbacks(After(count, interrupt=True)).fit(X, y)
        assert model.alpha_ in model.alphas_ or model.is_linear_
        assert model.n_iter_ <= full.n_iter_ and np.isfinite(model.heldout_score_)
        assert 1 <= len(model.rules_) <= 2 and model.rule_.inf_norm <= model.kappa
        assert np.isfinite(model.predict(X).astype(float)).all()
        if column_budget is not None:
            assert model.column_norms_.sum() <= column_budget * (1 + 1e-9)
        if count == last - 1:  # the members are as good as trained
            assert model.score(X, y) >= full.score(X, y) - 0.1
        if kind == "regressor":
            lower, upper = model.predict_interval(X).T
            assert np.all(lower <= upper)


class OneInterrupt(After):
    """One Ctrl-C at the end of the task of this number, also of fits that others make."""

    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        self.ends += 1
        if self.ends == self.count:
            raise KeyboardInterrupt
        return False


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupt_ends_all_members(warm_start):
    model, y = make("regressor", n_members=4, max_iter=30, tol=0.0)
    if warm_start:
        model.fit(X, y).set_params(warm_start=True)
    monitor = OneInterrupt(5, interrupt=True)
    model.set_callbacks(monitor).fit(X, y)
    assert monitor.ends < 15
    assert len(model.rules_) == (4 if warm_start else 1)
    assert np.all(np.isfinite(model.predict(X)))


@pytest.mark.slow
@pytest.mark.usefixtures("few_states", "short_ladder")
@pytest.mark.filterwarnings("ignore:Training was interrupted")
def test_an_interrupt_ends_the_growing_of_states():
    model, y = make("regressor", n_hidden="auto", alpha="auto", cv=2, max_iter=4)
    whole = OneInterrupt(0, interrupt=True)
    n_all = model.set_callbacks(whole).fit(X, y).rule_.n_hidden
    monitor = OneInterrupt(10, interrupt=True)
    model.set_callbacks(monitor).fit(X, y)
    assert {rule.n_hidden for rule in model.rules_} == {2}
    assert monitor.ends < 20 < whole.ends and n_all > 0


class CtrlC(After):
    """Ctrl-C in the iteration of this number, which comes to the main thread, not to the one that iterates."""

    def on_fit_task_end(self, estimator, context):
        self.ends += 1
        if self.ends == self.count:
            _thread.interrupt_main()
        return False


@pytest.fixture
def heeds_ctrl_c():
    """A process that was started in the background ignores Ctrl-C, and so does what it raises itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize(
    ("parameters", "n_rules"),
    [({"n_members": 3}, (1, 2)), ({"n_members": 2, "warm_start": True}, (2,)), ({"alpha": "auto"}, (1, 2, 3, 4))],
)
def test_an_interrupt_ends_members_in_other_threads(parameters, n_rules):
    model, y = make("regressor", n_jobs=2, tol=0.0, **parameters)
    if model.warm_start:
        with warnings.catch_warnings(action="ignore"):
            model.fit(X, y)
    monitor = CtrlC(5, interrupt=True)
    with pytest.warns(ConvergenceWarning, match="interrupted after .* The best rule so far is kept"):
        model.set_params(max_iter=10_000).set_callbacks(monitor).fit(X, y)
    ends = monitor.ends
    assert len(model.rules_) in n_rules  # of those that have begun
    assert np.all(np.isfinite(model.predict(X)))
    time.sleep(0.1)
    assert monitor.ends == ends  # no thread goes on


class Failing(After):
    """An error in the iteration of this number."""

    def on_fit_task_end(self, estimator, context):
        self.ends += 1
        if self.ends == self.count:
            raise OSError("No space left on device")
        return False


@pytest.mark.parametrize("alpha", [0.1, "auto"])
def test_an_error_ends_members_in_other_threads(alpha):
    model, y = make("regressor", alpha=alpha, n_members=3, n_jobs=2, tol=0.0, max_iter=10_000)
    monitor = Failing(5, interrupt=True)
    with pytest.raises(OSError, match="No space"):
        model.set_callbacks(monitor).fit(X, y)
    ends = monitor.ends
    time.sleep(0.1)
    assert monitor.ends == ends


def test_an_interrupt_while_importances_are_taken_keeps_the_members(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("skimplicit.estimators.relevance_choice.relevance_factors", interrupt)
    model, y = make("regressor", alpha="auto", cv=2, max_iter=4)
    with pytest.warns(ConvergenceWarning, match="interrupted after .* The best rule so far is kept"):
        model.fit(X, y)
    assert model.relevance_ is None
    assert np.all(np.isfinite(model.predict(X)))
