"""``simplify``: smaller rules that predict held-out rows as well; ``ArchitectureReport``: what a rule looks like."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, KFold, train_test_split
from test_monotonic_cst import quietly

from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRegressorCV, ImplicitRule
from skimplicit.activations import max_pool
from skimplicit.distill import ArchitectureReport, simplification, simplify
from skimplicit.distill.simplification import _Way, _without_idle, _without_loops
from skimplicit.distill.simplification_data import open_data
from skimplicit.estimators import growing
from skimplicit.linalg import to_dense
from skimplicit.networks import feedforward
from skimplicit.rows import Samples
from skimplicit.training import StochasticGradient


@pytest.fixture
def few_steps(monkeypatch):
    """The laws hold for any number of iterations after a step, and of steps that take less than the one before."""
    monkeypatch.setattr(simplification, "_ITER", 6)
    monkeypatch.setattr(simplification, "_LAST_ITER", 10)
    monkeypatch.setattr(simplification, "_LEAST_SHARE", 0.2)


def quietly_simplified(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return simplify(model, X, y, tolerance=0.1, random_state=0)


def random_layers(sizes, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(after, before)) for before, after in zip(sizes, sizes[1:], strict=False)]
    return feedforward(weights, [rng.normal(size=w.shape[0]) for w in weights])


class TestReport:
    """The report says of known graphs what they are."""

    @pytest.mark.parametrize("sizes", [(3, 5, 1), (2, 4, 3, 2), (2, 3, 3, 3, 1)], ids=str)
    def test_feedforward_networks(self, sizes):
        report = ArchitectureReport.of(random_layers(sizes))
        assert report.is_feedforward and report.layers == sizes[1:-1] and not report.has_skips
        assert report.depth == len(sizes) - 2 and report.components == ()
        assert report.n_weights == sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
        assert report.n_edges == sum(a * b for a, b in zip(sizes[1:-1], sizes[2:-1], strict=False))
        assert "layers " + "-".join(map(str, sizes[1:-1])) in str(report) and "skip" not in str(report)

    @pytest.mark.parametrize("place", ["state", "input", "output", "direct"])
    def test_skips(self, place):
        rule = random_layers((2, 3, 3, 3, 1))
        A, B, C, D = (np.array(to_dense(M)) for M in (rule.A, rule.B, rule.C, rule.D))
        layers = [np.flatnonzero(np.any(B, axis=1))]
        while len(layers) < 3:
            layers.append(np.flatnonzero(np.any(A[:, layers[-1]], axis=1)))
        if place == "state":
            A[layers[2][0], layers[0][0]] = 1.0
        elif place == "input":
            B[layers[1][0], 0] = 1.0
        elif place == "output":
            C[0, layers[0][0]] = 1.0
        else:
            D[0, 0] = 1.0
        report = ArchitectureReport.of(ImplicitRule(A, B, C, D))
        assert report.layers == (3, 3, 3) and report.has_skips and "skip" in str(report)

    def test_loops(self):
        A = np.zeros((6, 6))
        A[0, 1] = A[1, 2] = A[2, 0] = 0.5  # a loop of three
        A[3, 3] = 0.5  # a loop of one
        A[4, 3] = A[5, 4] = 0.5
        report = ArchitectureReport.of(ImplicitRule(A, np.ones((6, 1)), np.ones((1, 6))))
        assert report.components == (3, 1) and not report.is_feedforward and report.layers is None
        assert report.n_edges == 6 and "loops of 3, 1 states" in str(report)

    @pytest.mark.parametrize(("entries", "sizes"), [([(1, 0)], (2,)), ([(3, 0), (1, 2)], (4,))], ids=str)
    def test_a_group_is_in_a_loop_as_a_whole(self, entries, sizes):
        A = np.zeros((4, 4))
        A[tuple(zip(*entries, strict=True))] = 0.5
        rule = ImplicitRule(A, np.ones((4, 1)), np.ones((1, 4)), activation=max_pool(2))
        report = ArchitectureReport.of(rule)
        assert report.components == sizes and not report.is_feedforward

    @pytest.mark.parametrize(
        ("entries", "depth", "skips"),
        [([(0, 0)], 1, False), ([(0, 1), (1, 0)], 1, False), ([(0, 0), (1, 0)], 2, True), ([(0, 0), (2, 1)], 2, True)],
        ids=str,
    )
    def test_states_beside_a_loop_are_no_later_ones(self, entries, depth, skips):
        A = np.zeros((3, 3))
        A[tuple(zip(*entries, strict=True))] = 0.5
        report = ArchitectureReport.of(ImplicitRule(A, np.ones((3, 1)), np.ones((1, 3))))
        assert (report.depth, report.has_skips, report.layers) == (depth, skips, None)

    def test_without_states(self):
        report = ArchitectureReport.of(ImplicitRule(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)), [[1.0, 0.0]]))
        assert (report.n_states, report.depth, report.n_weights, report.has_skips) == (0, 0, 1, False)
        assert str(report) == "a linear rule of 1 weights"


@pytest.mark.parametrize("states", [np.ones(2), np.array([1e3, 1e-2])], ids=["as is", "states in other units"])
@pytest.mark.parametrize("inputs", [np.ones(2), np.array([1e-3, 10.0])], ids=["as is", "inputs in other units"])
@pytest.mark.parametrize("outputs", [np.ones(2), np.array([1e-3, 10.0])], ids=["as is", "outputs in other units"])
def test_effects_are_in_deviations_of_what_is_weighed_and_of_the_outputs(states, inputs, outputs):
    rng = np.random.default_rng(0)
    A, B, C = np.array([[0.0, 0.0], [0.5, 0.25]]), rng.normal(size=(2, 2)), np.array([[0.1, -2.0], [0.2, 1.0]])
    U, Y = 1.0 + rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    Y /= Y.std(axis=0)
    deviations = np.r_[ImplicitRule(A, B, C).states(U).std(axis=0), U.std(axis=0)]
    last = 2.0 / (1 - 0.25)  # of the second state, which feeds itself; the first feeds it
    expected = np.abs(np.hstack([A, B])) * deviations * [[0.2 + 0.5 * last], [last]]
    rule = ImplicitRule(A * states[:, None] / states, B * states[:, None] / inputs, C * outputs[:, None] / states)
    task = SimpleNamespace(objective=SimpleNamespace(samples=Samples(U * inputs, Y * outputs)))
    way = SimpleNamespace(rule=rule, inputs=U * inputs, task=task)
    np.testing.assert_allclose(_Way.effects(way), expected, rtol=1e-9)


def test_idle_states_are_dropped_without_changing_the_rule():
    rng = np.random.default_rng(0)
    A, B, C, b = 0.2 * rng.normal(size=(5, 5)), rng.normal(size=(5, 2)), rng.normal(size=(1, 5)), rng.normal(size=5)
    A[1], B[1], b[1] = 0.0, 0.0, 2.0  # a constant
    A[:, 2], C[0, 2] = 0.0, 0.0  # no way to the output
    rule = ImplicitRule(A, B, C, b=b)
    smaller, U = _without_idle(rule), rng.normal(size=(30, 2))
    assert smaller.n_hidden == 3
    np.testing.assert_allclose(smaller.predict(U), rule.predict(U), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_without_feedback_has_no_loops_and_takes_nothing_back(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(7, 7)) * (rng.random((7, 7)) < 0.5)
    kept = _without_loops(A != 0, np.abs(A))
    assert ArchitectureReport.of(ImplicitRule(A * kept, np.ones((7, 1)), np.ones((1, 7)))).is_feedforward
    # Each weight that went closes a loop of larger ones.
    for i, j in np.argwhere((A != 0) & ~kept):
        larger = A * (kept & (np.abs(A) > abs(A[i, j])))
        larger[i, j] = A[i, j]
        assert not ArchitectureReport.of(ImplicitRule(larger, np.ones((7, 1)), np.ones((1, 7)))).is_feedforward
    triangular = np.tril(A, -1) != 0
    np.testing.assert_array_equal(_without_loops(triangular, np.zeros((7, 7))), triangular)


@pytest.mark.slow
def test_feedback_goes_where_the_data_do_not_want_it(few_steps, monkeypatch):
    monkeypatch.setattr(simplification, "_ITER", 15)  # what is left has to make up for it
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = np.tanh(2 * np.tanh(2 * X[:, 0] - X[:, 1]) + X[:, 1])
    model = quietly(ImplicitRegressor(n_hidden=4, alpha=0.003, activation="tanh", random_state=0), X, y)
    result = simplify(model, X, y, tolerance=0.01, random_state=0)
    assert not result.before.is_feedforward and result.after.is_feedforward
    assert [step.accepted for step in result.steps if step.what == "feedback"][-1:] == [True]
    assert result.estimator.score(X, y) > 0.95


@pytest.mark.slow
def test_half_of_the_weights_of_a_rule_can_go(few_steps):
    rng = np.random.default_rng(0)
    X, X_test = rng.normal(size=(200, 5)), rng.normal(size=(1000, 5))
    y, y_test = (2 * np.abs(U[:, 0]) + U[:, 1] + 0.3 * rng.normal(size=len(U)) for U in (X, X_test))
    model = quietly(ImplicitRegressor(n_hidden=4, alpha=0.01, direct=False, random_state=0), X, y)
    result = simplify(model, X, y, random_state=0)
    assert result.after.n_weights <= 0.5 * result.before.n_weights
    assert result.score >= result.score_before - 0.003
    assert result.estimator.score(X_test, y_test) >= model.score(X_test, y_test) - 0.01
    assert result.after == ArchitectureReport.of(result.rule)
    # The record: what was accepted gets smaller and smaller, what was not lost too much.
    sizes = [step.report.n_weights for step in result.steps if step.accepted]
    assert sizes == sorted(sizes, reverse=True)
    assert all(step.accepted == (step.score >= result.score_before - 0.003) for step in result.steps)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_same_seed_same_steps(few_steps):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.abs(X[:, 0]) + X[:, 1]
    model = quietly(ImplicitRegressor(n_hidden=2, alpha=0.03, max_iter=5, random_state=0), X, y)
    result, again = (simplify(model, X, y, random_state=0) for _ in range(2))
    assert again.rule == result.rule and again.steps == result.steps


@pytest.mark.slow
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_way_starts_at_the_ridges_of_the_fit(few_steps, monkeypatch, n_outputs):
    monkeypatch.setattr(simplification, "_LEAST_SHARE", 1.0)  # no weights go
    X, y = make_friedman1(150, 20, noise=1.0, random_state=4)
    y = y if n_outputs == 1 else np.column_stack([y, X[:, 0] - X[:, 1]])
    model = ImplicitRegressor(n_hidden=3, n_members=1, cv=3, max_iter=60, random_state=0)
    train, test = train_test_split(np.arange(150), test_size=0.25, random_state=np.random.RandomState(0))
    of_others = quietly(clone(model), X[train], y[train])
    assert of_others.relevance_ is not None
    # One member, trained at all of its ridges: more of the same hardly moves it.
    way = _Way(of_others, (X[train], y[train]), (X[test], y[test]), 0.0)
    trained_on = way.trained(of_others.rule_, way.pattern(of_others.rule_), simplification._ITER)
    assert abs(way.score(trained_on) - of_others.score(X[test], y[test])) < 0.002
    result = simplify(of_others, X, y, random_state=0)
    for name in ("alpha_", "_direct_ridge", "relevance_"):
        np.testing.assert_array_equal(getattr(result.estimator, name), getattr(of_others, name))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("tolerance", [0.0, 2.0])
def test_what_can_be_lost_is_measured_from_the_estimator(few_steps, tolerance):
    """Members that were stopped early overfit where they are trained on as one rule: no score to compare with."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 4))
    y = np.abs(X[:, 0]) + np.abs(X[:, 1]) + rng.normal(size=80)
    model = ImplicitRegressor(n_hidden=8, alpha=1e-6, n_members=4, max_iter=2, random_state=0).fit(X, y)
    train, test = train_test_split(np.arange(80), test_size=0.25, random_state=np.random.RandomState(0))
    of_others = clone(model).fit(X[train], y[train]).score(X[test], y[test])
    result = simplify(model, X, y, tolerance=tolerance, random_state=0)
    assert of_others > 0.2 and result.score_before == pytest.approx(of_others, abs=1e-9)
    assert any(step.accepted for step in result.steps) == (tolerance > 0)
    assert result.score >= result.score_before - tolerance
    if not tolerance:  # nothing can go: its own rule, not one that is trained on
        assert result.before.n_states == result.after.n_states == model.rule_.n_hidden
        np.testing.assert_allclose(result.estimator.predict(2 * X), model.predict(2 * X), rtol=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_linear_data_end_without_states(few_steps, n_outputs):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[train_test_split(np.arange(200), test_size=0.25, random_state=np.random.RandomState(0))[1][0]] = 5.0  # held out
    Y = X @ rng.normal(size=(3, n_outputs)) + 0.1 * rng.normal(size=(200, n_outputs))
    model = quietly(ImplicitRegressor(n_hidden=5, alpha=0.003, random_state=0), X, Y if n_outputs > 1 else Y.ravel())
    result = simplify(model, X, Y if n_outputs > 1 else Y.ravel(), random_state=0)
    assert result.after.n_states == 0 and result.rule.n_hidden == 0
    for given, cut in ((X, X), (9 * X, np.clip(9 * X, X.min(axis=0), X.max(axis=0)))):  # the range of all rows
        np.testing.assert_allclose(result.estimator.predict(given), result.rule.predict(cut).squeeze(), rtol=1e-9)
    assert result.estimator.predict(X).shape == model.predict(X).shape
    assert result.estimator.score(X, Y) > 0.98


def test_scores_are_compared_with_that_of_the_start_however_long_the_way():
    scores, rule = iter([0.85, 0.79, 0.81]), ImplicitRule([[0.0]], [[1.0]], [[1.0]])
    way = SimpleNamespace(score=lambda _: next(scores), score_before=0.9, score_now=0.9, tolerance=0.1, steps=[])
    assert [_Way._judge(way, "", rule) for _ in range(3)] == [True, False, True]
    assert way.score_now == 0.81 and [step.accepted for step in way.steps] == [True, False, True]


@pytest.mark.slow
def test_classes(few_steps):
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = y.map(dict(enumerate(["a", "b", "c"])))
    model = quietly(ImplicitClassifier(n_hidden=4, alpha=0.01, random_state=0), X, y)
    result = simplify(model, X, y, tolerance=0.05, random_state=0)
    assert result.score >= result.score_before - 0.05
    assert result.after.n_weights < result.before.n_weights
    assert result.estimator.score(X, y) > 0.9 and set(result.estimator.predict(X)) <= set("abc")


def test_other_estimators_and_values_are_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = X[:, 0]
    model = ImplicitRegressor(n_hidden=2, alpha=0.01)
    with pytest.raises(TypeError, match="estimator must be an ImplicitRegressor or ImplicitClassifier"):
        simplify(ImplicitRegressorCV(), X, y)
    with pytest.raises(ValueError, match="must be fitted"):
        simplify(model, X, y)
    quietly(model, X, y)
    for name, value in {"tolerance": -1.0, "test_size": 1.5}.items():
        with pytest.raises(ValueError, match=name):
            simplify(model, X, y, **{name: value})
    with pytest.raises(ValueError, match="does not heed monotonic_cst"):
        simplify(quietly(model.set_params(monotonic_cst=[1, 0]), X, y), X, y)


@pytest.mark.slow_cases
@pytest.mark.parametrize("method", ["gradient", "lifted", StochasticGradient(early_stopping=True)], ids=str)
@pytest.mark.parametrize("classes", [False, True])
def test_whatever_trained_the_estimator(few_steps, monkeypatch, method, classes):
    monkeypatch.setattr(simplification, "_LEAST_SHARE", 0.3)
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = np.abs(X[:, 0]) + X[:, 1]
    kind, y = (ImplicitClassifier, y > 1) if classes else (ImplicitRegressor, y)
    model = quietly(kind(n_hidden=3, alpha=0.01, method=method, max_iter=10, random_state=0), X, y)
    result = quietly_simplified(model, X, y)
    assert result.score >= result.score_before - 0.1
    assert result.after == ArchitectureReport.of(result.rule) and result.estimator.method == method
    assert result.estimator.score(X, y) > 0.7


@pytest.mark.slow
def test_numbers_of_states_that_were_grown(few_steps, monkeypatch):
    monkeypatch.setattr(simplification, "_LEAST_SHARE", 0.3)
    monkeypatch.setattr(growing, "_SIZES", (2, 3))
    monkeypatch.setattr(growing, "_TOLD_APART", np.inf)
    monkeypatch.setattr(growing, "_WORTHWHILE", -np.inf)
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.abs(X[:, 0]) + X[:, 1]
    model = quietly(ImplicitRegressor(n_hidden="auto", max_iter=10, cv=2, random_state=0), X, y)
    assert {rule.n_hidden for rule in model.rules_} == {2, 3}
    result = quietly_simplified(model, X, y)
    assert 0 < result.after.n_weights < result.before.n_weights and result.before.n_states <= 10
    assert result.score >= result.score_before - 0.1


@pytest.fixture
def no_work(monkeypatch):
    """Bad input is refused before the estimator is copied and fitted."""

    def fail(estimator):
        raise AssertionError("simplify has begun")

    monkeypatch.setattr(simplification, "clone", fail)


ROWS = np.random.default_rng(0).normal(size=(40, 3))
FRAME = pd.DataFrame(ROWS, columns=list("abc"))
NUMBERS, NAMES = ROWS[:, 0], np.array(["a", "b", "c"])[np.digitize(ROWS[:, 0], [-0.5, 0.5])]
NO_STEP = {"n_hidden": 2, "max_iter": 1, "random_state": 0}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((FRAME[:-3], NUMBERS), {}, r"inconsistent numbers of samples: \[37, 40\]"),
        ((FRAME, NUMBERS[:-3]), {}, r"inconsistent numbers of samples: \[40, 37\]"),
        ((ROWS[:, :2], NUMBERS), {}, "X has 2 features, but ImplicitRegressor is expecting 3"),
        ((FRAME[["b", "a", "c"]], NUMBERS), {}, "feature names should match"),
        ((FRAME * np.nan, NUMBERS), {}, "Input X contains NaN"),
        ((FRAME, NAMES), {}, "y holds values that are not numbers"),
        ((FRAME, ROWS), {}, "y must have as many targets as the estimator, 1, got 3"),
        ((FRAME[:4], NUMBERS[:4]), {}, "test_size=0.25 of n_samples=4 holds out one row"),
        ((FRAME, NUMBERS), {"test_size": 0.999}, "test_size=0.999 of n_samples=40 cannot be held out"),
    ],
)
def test_bad_data_are_refused_before_any_work(no_work, data, options, message):
    model = quietly(ImplicitRegressor(alpha=0.1, **NO_STEP), FRAME, NUMBERS)
    with pytest.raises(ValueError, match=message), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of missing names
        simplify(model, *data, **options)


def test_bad_classes_are_refused_before_any_work(no_work):
    model = quietly(ImplicitClassifier(alpha=0.1, **NO_STEP), FRAME, NAMES)
    with pytest.raises(ValueError, match=r"classes of the estimator, \['a', 'b', 'c'\], got \['a', 'b', 'x'\]"):
        simplify(model, FRAME, np.where(NAMES == "c", "x", NAMES))
    with pytest.raises(ValueError, match="test_size=0.01 of n_samples=40 cannot be held out: .* classes"):
        simplify(model, FRAME, NAMES, test_size=0.01)


def test_the_only_row_of_a_class_is_one_to_train_on(few_steps, monkeypatch):
    monkeypatch.setattr(simplification, "_LEAST_SHARE", 1.0)
    for seed in range(5):
        y = np.where(np.arange(40) == seed, "only", NAMES)
        model = quietly(ImplicitClassifier(alpha=0.1, **NO_STEP), FRAME, y)
        data = open_data(model, FRAME, y, 0.0, 0.5, np.random.RandomState(seed))
        assert seed in data.train and sorted([*data.train, *data.test]) == list(range(40))
        np.testing.assert_array_equal(np.unique(data.part[1]), model.classes_)
        np.testing.assert_array_equal(data.held_out[0], ROWS[data.test])
    result = quietly_simplified(model, FRAME, y)
    assert list(result.estimator.classes_) == ["a", "b", "c", "only"]
    assert list(result.estimator.feature_names_in_) == ["a", "b", "c"]


class TestSplits:
    """The fit without the held-out rows goes by the splits of the estimator without these rows."""

    groups = np.arange(40) // 5

    @staticmethod
    def opened(model, seed=0):
        return open_data(model, FRAME, NUMBERS, 0.0, 0.25, np.random.RandomState(seed))

    @pytest.mark.parametrize("seed", range(3))
    def test_listed(self, seed):
        splits = list(GroupKFold(8).split(ROWS, NUMBERS, self.groups))
        model = quietly(ImplicitRegressor(cv=splits, **NO_STEP), FRAME, NUMBERS)
        data = self.opened(model, seed)
        for (train, test), fold in zip(splits, data.folds, strict=True):
            assert [data.train[part].tolist() for part in fold] == [
                part[np.isin(part, data.train)].tolist() for part in (train, test)
            ]

    def test_listed_to_the_end(self, few_steps, monkeypatch):
        monkeypatch.setattr(simplification, "_LEAST_SHARE", 1.0)
        splits = list(GroupKFold(2).split(ROWS, NUMBERS, self.groups))
        model = quietly(ImplicitRegressor(cv=splits, **NO_STEP), FRAME, NUMBERS)
        result = quietly_simplified(model, FRAME, NUMBERS)
        assert result.estimator.cv is model.cv and result.estimator.score(FRAME, NUMBERS) > 0.9

    def test_those_without_a_row_left_go(self):
        one_by_one = [(np.delete(np.arange(40), i), [i]) for i in range(40)]
        model = quietly(ImplicitRegressor(**NO_STEP, cv=2), FRAME, NUMBERS).set_params(cv=one_by_one)
        data = self.opened(model)
        assert sorted(int(data.train[test[0]]) for _, test in data.folds) == sorted(data.train)
        model.set_params(cv=[one_by_one[data.test[0]]])
        with pytest.raises(ValueError, match="Of no split of cv"):
            self.opened(model)

    def test_of_a_splitter(self):
        model = quietly(ImplicitRegressor(cv=KFold(3), **NO_STEP), FRAME, NUMBERS)
        data = self.opened(model)
        for fold, (train, test) in zip(data.folds, KFold(3).split(data.train), strict=True):
            assert fold[0].tolist() == train.tolist() and fold[1].tolist() == test.tolist()

    def test_that_need_groups_are_refused_before_any_work(self, no_work):
        splits = list(GroupKFold(2).split(ROWS, NUMBERS, self.groups))
        model = quietly(ImplicitRegressor(cv=splits, **NO_STEP), FRAME, NUMBERS).set_params(cv=GroupKFold(2))
        with pytest.raises(ValueError, match=r"cv=GroupKFold\(.* 'groups' .* fit with a list of its splits"):
            simplify(model, FRAME, NUMBERS)

    def test_are_not_asked_for_at_a_given_ridge(self):
        model = quietly(ImplicitRegressor(alpha=0.1, cv=GroupKFold(2), **NO_STEP), FRAME, NUMBERS)
        assert self.opened(model).folds is model.cv
