"""Many rows: passes over blocks are those over all rows, whatever the threads, and the way from few rows to all."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.activations import ACTIVATIONS
from skimplicit.estimators import training_rows
from skimplicit.rows import ArrayStore, RowBlocks, Samples, draw_rows
from skimplicit.rows.spilling import release
from skimplicit.subproblems import make_solver
from skimplicit.training import (
    BlockCoordinateDescent,
    Constraints,
    CrossEntropyObjective,
    SquaredObjective,
    Stage,
    TrainingTask,
)
from skimplicit.training.continuation import random_weights

either_form = pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])


@pytest.fixture
def small_blocks(monkeypatch):
    """Let blocks have 64 rows."""
    monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", 64)
    monkeypatch.setattr("skimplicit.rows.stores._LEAST_ROWS", 64)


@pytest.fixture
def many_rows(monkeypatch, small_blocks):
    """Let some hundred rows be many, and the iterations on most of them few."""
    monkeypatch.setattr(training_rows, "_MORE_ITER", 1)
    monkeypatch.setattr(training_rows, "MANY_ROWS", 600)
    monkeypatch.setattr(training_rows, "_FEW_ROWS", 300)
    monkeypatch.setattr(training_rows, "_FEW_ROWS_OF_CLASSES", 300)
    monkeypatch.setattr(training_rows, "_MORE_ROWS", 450)


def data(seed=0, m=500):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, 4)) * [1, 20, 0.3, 4] + [3, 50, 0, 1e3]
    U[rng.random(U.shape) < 0.3] = 0.0
    y = np.sin(U[:, 0]) + U[:, 1] * U[:, 2] / 20 + 0.1 * rng.normal(size=m)
    weights = rng.integers(0, 4, size=m).astype(float)
    weights[64:192] = 0.0  # two blocks that do not count at all
    return U, y, weights


def objectives(kind, make, centre, activation="tanh", unit=1.0, n_jobs=None):
    """Return the objective over rows in one block and in several."""
    U, y, weights = data()
    numbers = kind is SquaredObjective
    Y = np.column_stack([y, -y + U[:, 0]]) if numbers else np.eye(3)[np.digitize(y, [0.0, 1.0])]
    U, kept = make(U * unit), weights > 0
    one = Samples(U[kept], Y[kept], weights[kept], centre, numbers)
    many = RowBlocks(ArrayStore(U, Y, weights, n_jobs), centre, numbers)
    return kind(one, ACTIVATIONS[activation], True, 0.3), kind(many, ACTIVATIONS[activation], True, 0.3)


@either_form
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e150])
def test_units_and_moments_of_blocks_add_up(small_blocks, make, centre, unit):
    one, many = (objective.samples for objective in objectives(SquaredObjective, make, centre, unit=unit))
    assert many.n_samples == one.n_samples
    for name in ("U_mean", "U_scale", "U_std", "Y_mean", "Y_scale", "UY", "input_squares", "Y_sum", "per_unit"):
        np.testing.assert_allclose(
            getattr(many, name),
            getattr(one, name),
            rtol=1e-10,
            atol=1e-10 * unit ** (name[0] == "U" and name[1] == "_"),
        )
    np.testing.assert_allclose(many.inputs.products(np.eye(4)), one.UU, rtol=1e-9, atol=1e-11)
    B = np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(many.inputs_squared_times(B), B @ one.UU, rtol=1e-9, atol=1e-10)
    index = np.array([0, 5, 63, 64, 200])
    np.testing.assert_allclose(many.rows(index).inputs_times(B), one.rows(index).inputs_times(B), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(many.rows(index).weights, one.rows(index).weights, rtol=1e-12)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("kind", [SquaredObjective, CrossEntropyObjective])
def test_moments_of_targets_are_about_their_mean(small_blocks, kind, centre):
    one, many = (objective.samples for objective in objectives(kind, np.asarray, centre))
    squares = np.sum(one.weights @ (one.Y - (one.weights @ one.Y if centre else 0.0)) ** 2)
    for samples in (one, many):  # targets of classes are not centred
        np.testing.assert_allclose(samples.Y_moments[1], squares, rtol=1e-10)


@pytest.mark.slow_cases
@either_form
@pytest.mark.parametrize("kind", [SquaredObjective, CrossEntropyObjective])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_passes_over_blocks_are_those_over_all_rows(small_blocks, make, kind, centre, activation):
    one, many = objectives(kind, make, centre, activation)
    W, b = random_weights(5, one.samples, Constraints(0.9), np.random.RandomState(0))
    here, there = (objective.evaluate(W, b, 0.01, tol=1e-11) for objective in (one, many))
    assert there.objective == pytest.approx(here.objective, rel=1e-9)
    for name in ("XX", "XU", "XY", "X_mean"):
        np.testing.assert_allclose(getattr(there.moments, name), getattr(here.moments, name), rtol=1e-8, atol=1e-9)
    # The readout of classes stops within a tolerance: the gradient is compared at the same one.
    gradients = [o.gradient(e) for o, e in ((one, here), (many, there))]
    for name in ("W", "b", "curvature"):
        a, c = (getattr(g, name) for g in gradients)
        np.testing.assert_allclose(c, a, rtol=1e-5, atol=1e-6 * np.abs(a).max())
    assert many.null_loss == pytest.approx(one.null_loss, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("block", ["curvature", "matching"])
@pytest.mark.parametrize("kind", [SquaredObjective, CrossEntropyObjective])
def test_training_in_blocks_lowers_the_same_objective(small_blocks, block, kind):
    ends = []
    for objective in objectives(kind, np.asarray, True):
        W, b = random_weights(4, objective.samples, Constraints(0.9), np.random.RandomState(0))
        schedule = [Stage(1e-3, None, 3, 1e-6), Stage(1e-2, None, 6, 1e-6)]
        task = TrainingTask(objective, Constraints(0.9), make_solver("auto", False))
        result = BlockCoordinateDescent(block=block).train(task, schedule, W, b)
        assert np.all(np.diff(result.objectives[result.stages == 1]) <= 1e-12)
        ends.append(result.evaluation.objective)
    assert ends[1] == pytest.approx(ends[0], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "parameters", "classes"),
    [
        (np.asarray, {"max_iter": 2, "cv": 2}, False),
        (sparse.csr_matrix, {"alpha": 1e-3, "max_iter": 4}, False),
        (np.asarray, {"alpha": 1e-2, "max_iter": 3}, True),
    ],
)
@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("short_ladder")
def test_result_does_not_depend_on_the_threads(many_rows, make, parameters, classes):
    U, y, weights = data(m=900)
    y = np.digitize(y, [0.0, 1.0]) if classes else y
    kind = ImplicitClassifier if classes else ImplicitRegressor
    models = [
        kind(n_hidden=3, random_state=0, n_jobs=n_jobs, **parameters).fit(make(U), y, weights) for n_jobs in (None, 3)
    ]
    for other in models[1:]:
        for name in "ABCDbc":
            assert np.array_equal(getattr(other.rule_, name), getattr(models[0].rule_, name))
        assert np.array_equal(other.objective_history_, models[0].objective_history_)


@pytest.mark.parametrize("n_strata", [1, 3])
def test_drawn_rows_do_not_depend_on_the_blocks(monkeypatch, n_strata):
    U, y, weights = data(m=1500)
    classes = n_strata > 1
    Y = np.eye(3)[np.digitize(y, [0.0, 3.5])] if classes else y[:, None]
    drawn = []
    for rows in (64, 100, 5000):
        monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", rows)
        monkeypatch.setattr("skimplicit.rows.stores._LEAST_ROWS", rows)
        drawn.append(draw_rows(ArrayStore(U, Y, weights), 200, 7, classes))
    for other in drawn[1:]:
        for a, b in zip(other, drawn[0], strict=True):
            assert np.array_equal(a, b)
    positive = np.flatnonzero(weights > 0)
    V, Z, w, place = drawn[0]
    assert np.array_equal(U[positive[place]], V) and np.array_equal(Y[positive[place]], Z)
    assert np.all(w > 0)
    fewer = draw_rows(ArrayStore(U, Y, weights), 100, 7, classes)[3]
    assert set(fewer) <= set(place)
    if classes:
        # Every class is there, and the weights of its rows are those of the class.
        counts, own = Y[positive].sum(axis=0), Z.sum(axis=0)
        assert np.all(own >= np.minimum(counts, 50))
        shares = (w[:, None] / weights[positive[place]][:, None] * Z).sum(axis=0)
        np.testing.assert_allclose(shares / shares.sum(), counts / counts.sum(), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Training stopped")  # after six iterations from the warm start too
def test_attributes_of_many_rows(many_rows):
    U, y, weights = data(m=900)
    model = ImplicitRegressor(n_hidden=4, max_iter=6, cv=3, random_state=0).fit(U, y, weights)
    seen = np.isfinite(model.heldout_prediction_)
    assert model.heldout_prediction_.shape == y.shape and 100 <= seen.sum() <= 300 and not seen[weights == 0].any()
    assert np.corrcoef(model.heldout_prediction_[seen], y[seen])[0, 1] > 0.5
    assert model.heldout_score_ == pytest.approx(model.score(U, y, weights), abs=0.2)
    predictions, std = model.predict(U, return_std=True)
    assert np.all(std > 0)
    # Two thirds of the rows that were looked at for each third: of all rows it is as much less as these are more.
    assert model._residuals.jackknife == pytest.approx(2.0 * seen.sum() / np.count_nonzero(weights), rel=0.2)
    intervals = model.predict_interval(U, coverage=0.8)
    assert 0.7 < np.mean((intervals[:, 0] <= y) & (y <= intervals[:, 1])) <= 1.0
    assert np.all(model._input_range.lower == U[weights > 0].min(axis=0))
    again = model.set_params(alpha=model.alpha_, warm_start=True).fit(U, y, weights)
    assert again.score(U, y, weights) >= model.score(U, y, weights) - 1e-3


@pytest.mark.slow
def test_alpha_of_classes_with_weights(many_rows):
    U, y, _ = data(m=900)
    codes = np.digitize(y, [0.0, 2.5])
    model = ImplicitClassifier(n_hidden=3, max_iter=4, cv=2, random_state=0, class_weight="balanced").fit(U, codes)
    assert model.heldout_score_ == pytest.approx(model.score(U, codes), abs=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_memory_map_is_not_copied(many_rows, monkeypatch, tmp_path, dtype):
    monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", 2048)
    monkeypatch.setattr("skimplicit.rows.stores._LEAST_ROWS", 2048)
    m, p = 40_000, 20
    rng = np.random.default_rng(0)
    file = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=(m, p))
    file[:] = rng.normal(size=(m, p)) * 100
    y = file[:, 0] / 100 + np.abs(file[:, 1] / 100)
    X = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=(m, p))
    model = ImplicitRegressor(n_hidden=2, alpha=1e-3, max_iter=4, random_state=0)
    states, inputs = 8 * m * model.n_hidden, 8 * m * p
    tracemalloc.start()
    try:
        model.fit(X, y)
        fitting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        model.predict(X)
        predicting = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Three sets of states, the targets, and what a few rows and a block need.
    assert fitting < 3 * states + 0.6 * inputs
    assert predicting < 0.8 * inputs
    assert model.score(X, y) > 0.9


@pytest.mark.slow
def test_sparse_memory_map_is_that_in_memory(many_rows, tmp_path):
    U, y, _ = data(m=900)
    S = sparse.csr_matrix(U)
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(S, name))
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sparse.csr_matrix(tuple(parts), shape=S.shape)
    model = ImplicitRegressor(n_hidden=3, alpha=1e-2, max_iter=6, tol=0.1, random_state=0)
    expected = model.fit(S, y).predict(S)
    assert np.array_equal(model.fit(mapped, y).predict(mapped), expected)
    assert np.array_equal(mapped.toarray(), U)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_states_beyond_memory_are_the_same_in_a_file(many_rows, monkeypatch):
    U, y, weights = data(m=900)
    model = ImplicitRegressor(n_hidden=4, alpha=1e-2, max_iter=6, column_budget=5.0, random_state=0)
    expected = model.fit(U, y, weights).rule_
    monkeypatch.setattr("skimplicit.rows.spilling._MOST_KEPT", 8 * 4 * 100)
    for n_jobs in (1, 2):
        rule = model.set_params(n_jobs=n_jobs).fit(U, y, weights).rule_
        assert all(np.array_equal(getattr(rule, name), getattr(expected, name)) for name in "ABCDbc")


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_pages_of_a_map_come_back(tmp_path, mode):
    file = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=(5000, 7))
    file[:] = np.arange(35000.0).reshape(5000, 7)
    file.flush()
    X = np.memmap(tmp_path / "X", dtype=np.float64, mode=mode, shape=(5000, 7))
    if mode != "r":
        X[100, 3] = -1.0
    before = np.array(X)
    for part in (X, X[17:3000], np.asarray(X)[:, 2:], np.array(X)):
        release(part)
        assert np.array_equal(X, before)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("where", ["X", "y"])
def test_what_is_not_finite_is_named(many_rows, make, where):
    U, y, weights = data(m=900)
    (U if where == "X" else y)[np.flatnonzero(weights == 0)[0]] = np.nan
    with pytest.raises(ValueError, match=f"Input {where} contains NaN"):
        ImplicitRegressor(n_hidden=2).fit(make(U), y, weights)


@either_form
@pytest.mark.filterwarnings("ignore:Training stopped")
def test_more_inputs_than_rows_that_count(many_rows, make):
    """Inputs whose second moment is no matrix, in blocks that have no rows in memory."""
    rng = np.random.default_rng(0)
    U, weights = rng.normal(size=(900, 160)) * (rng.random((900, 160)) < 0.2), np.zeros(900)
    weights[::6] = 1.0
    y = U[:, :3].sum(axis=1)
    model = ImplicitRegressor(n_hidden=2, alpha=1e-2, max_iter=12, random_state=0).fit(make(U), y, weights)
    assert model.score(make(U), y, weights) > 0.8


@pytest.mark.usefixtures("many_rows", "few_states", "short_ladder")
@pytest.mark.parametrize(
    ("parameters", "number"),
    [({"alpha": 1e-2}, 2), ({"cv": 2}, 2), ({"n_hidden": "auto", "cv": 2}, 3)],
    ids=["given ridge", "chosen ridge", "more states"],
)
def test_an_interrupt_while_rows_are_drawn_keeps_the_rule(monkeypatch, parameters, number):
    """In the draw of that number: the first comes before any iteration."""
    U, y, _ = data(m=700)
    drawn = []

    def draw(*arguments, **keywords):
        drawn.append(1)
        if len(drawn) == number:
            raise KeyboardInterrupt
        return draw_rows(*arguments, **keywords)

    monkeypatch.setattr(training_rows, "draw_rows", draw)
    model = ImplicitRegressor(**{"n_hidden": 2, "max_iter": 2, "random_state": 0, **parameters})
    with pytest.warns(ConvergenceWarning, match="interrupted after .* The best rule so far is kept"):
        model.fit(U, y)
    assert len(drawn) >= number
    assert np.isfinite(model.score(U, y))
