"""Block coordinate descent with each equilibrium block: J never rises, A stays in its ball, curvature ends lower."""

import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS
from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import make_curvature_solver, make_solver
from skimplicit.subproblems.row_sets import RowSet
from skimplicit.training import (
    BlockCoordinateDescent,
    Constraints,
    CrossEntropyObjective,
    SquaredObjective,
    Stage,
    TrainingTask,
)
from skimplicit.training.continuation import random_weights
from skimplicit.training.curvature_descent import is_small

KAPPA, N = 0.9, 6
BLOCKS = ["curvature", "matching"]  # "auto" takes one of them: see below


def make_objective(seed, activation="relu", loss="squared", m=60, p=4):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p))
    f = np.sin(2 * U[:, 0]) + U[:, 1] * U[:, 2] + 0.1 * rng.normal(size=m)
    if loss == "squared":
        return SquaredObjective(Samples(U, np.column_stack([f, np.abs(U[:, 3])])), ACTIVATIONS[activation], True)
    Y = (f > 0).astype(float)[:, None] if loss == "binary" else np.eye(3)[np.digitize(f, [-0.5, 0.5])]
    return CrossEntropyObjective(Samples(U, Y, scale_targets=False), ACTIVATIONS[activation], True)


def run(objective, block, seed=0, schedule=None, kappa=KAPPA, structure=None, solver="auto"):
    constraints = Constraints(kappa / max(objective.activation.lipschitz, 1.0), structure)
    W, b = random_weights(N, objective.samples, constraints, np.random.RandomState(seed))
    task = TrainingTask(objective, constraints, make_solver(solver, False), make_curvature_solver(solver, False))
    schedule = schedule or [Stage(1e-3, None, 6, 1e-5), Stage(1e-2, None, 6, 1e-5)]
    return BlockCoordinateDescent(block=block).train(task, schedule, W, b)


def assert_sound(result, kappa=KAPPA):
    for stage in np.unique(result.stages):
        assert np.all(np.diff(result.objectives[result.stages == stage]) <= 0)
    A = result.evaluation.point.W[:, :N]
    assert np.abs(A).sum(axis=1).max() <= kappa * (1 + 1e-12)
    assert np.isfinite(result.evaluation.objective)


@pytest.mark.slow_cases
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("loss", ["squared", "binary", "classes"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_objective_never_rises_and_a_stays_in_its_ball(block, loss, activation):
    objective = make_objective(1, activation, loss)
    result = run(objective, block)
    assert_sound(result, KAPPA / max(objective.activation.lipschitz, 1.0))
    for stage in (0, 1):
        values = result.objectives[result.stages == stage]
        assert values[-1] < values[0]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("kappa", [0.0, 0.05])
def test_small_balls(block, kappa):
    assert_sound(run(make_objective(2), block, kappa=kappa), kappa)


@pytest.mark.parametrize("block", BLOCKS)
def test_structure_is_kept(block):
    structure = np.triu(np.ones((N, N), dtype=bool), 1)
    result = run(make_objective(3), block, structure=structure)
    assert_sound(result)
    assert not result.evaluation.point.W[:, :N][~structure].any()


@pytest.mark.slow_cases
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kappa", [0.3, KAPPA])
def test_where_few_entries_move_at_a_time_the_way_is_sound_and_leads_as_low(monkeypatch, kappa, masked):
    structure = np.triu(np.ones((N, N), dtype=bool)) if masked else None
    schedule = [Stage(1e-2, None, 12, 1e-5)]
    every = [run(make_objective(s), "matching", s, schedule, kappa, structure) for s in range(3)]
    monkeypatch.setattr("skimplicit.training.descent.MATCHING_ENTRIES", 3)
    few = [run(make_objective(s), "matching", s, schedule, kappa, structure) for s in range(3)]
    for result, whole in zip(few, every, strict=True):
        assert_sound(result, kappa)
        assert structure is None or not result.evaluation.point.W[:, :N][~structure].any()
        assert result.evaluation.objective != whole.evaluation.objective
    lowest = [np.mean([result.evaluation.objective for result in results]) for results in (few, every)]
    assert lowest[0] <= 1.1 * lowest[1]


@pytest.mark.slow_cases
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_stages_of_a_budget(block, activation):
    budgets = [ColumnBudget(bound) for bound in (2.0, 0.7)]
    schedule = [Stage(1e-2, budget, 6, 1e-4) for budget in (None, *budgets)]
    result = run(make_objective(4, activation), block, schedule=schedule)
    assert_sound(result)
    assert budgets[-1].norm(result.evaluation.point.W[:, N:]) <= budgets[-1].bound * (1 + 1e-12)
    for end in result.ends[1:]:
        assert end.stage.column_budget.norm(end.point.W[:, N:]) <= end.stage.column_budget.bound * (1 + 1e-9)


@pytest.mark.slow
def test_curvature_ends_no_higher_than_matching_at_as_many_iterations():
    schedule = [Stage(1e-2, None, 15, 0.0)]
    ends = {
        block: np.mean([run(make_objective(s), block, s, schedule).evaluation.objective for s in range(5)])
        for block in ("curvature", "matching")
    }
    assert ends["curvature"] <= ends["matching"]


@pytest.mark.slow
def test_auto_is_curvature_where_it_is_small_and_matching_under_a_budget():
    objective = make_objective(6)
    for schedule, block in (
        ([Stage(1e-2, None, 6, 1e-5)], "curvature"),
        ([Stage(1e-2, ColumnBudget(1.0), 6, 1e-5)], "matching"),
    ):
        auto, named = (run(objective, name, schedule=schedule) for name in ("auto", block))
        np.testing.assert_array_equal(auto.objectives, named.objectives)


@pytest.mark.parametrize(
    ("n_hidden", "m", "p", "row_set", "small"),
    [
        (20, 2000, 73, None, True),
        (20, 2000, 74, None, False),  # 1620 variables
        (20, 800, 113, None, True),
        (20, 800, 114, None, False),  # 2420
        (20, 1306, 113, None, True),
        (20, 1307, 113, None, False),  # 2400 * 1307^2 operations, more than 1600^3
        (20, 800, 100, RowSet(np.ones((20, 120))), False),  # not by a root
        (200, 999, 4, None, True),
        (200, 1000, 4, None, False),  # 2200, of which B and b are 1000: not fewer rows
        (5, 50, 595, None, False),  # 601 weights of the readout
    ],
)
def test_where_the_curvature_block_is_small(n_hidden, m, p, row_set, small):
    X = np.arange(m * p, dtype=float).reshape(m, p) % 11
    assert is_small(n_hidden, Samples(X, np.ones((m, 1))), row_set) == small
    # Inputs that are the same in all rows have no part in it.
    X = np.hstack([X, np.ones((m, 100))])
    assert row_set or is_small(n_hidden, Samples(X, np.ones((m, 1))), None) == small


@pytest.mark.slow_cases
@pytest.mark.parametrize("loss", ["binary", "classes"])
@pytest.mark.parametrize(("m", "block"), [(100, "matching"), (2501, "curvature")])
def test_auto_is_curvature_for_classes_only_where_there_are_many_rows(loss, m, block):
    objective = make_objective(0, loss=loss, m=m)
    schedule = [Stage(1e-2, None, 2, 1e-5)]
    chosen, other = (run(objective, name, schedule=schedule).objectives for name in ("auto", block))
    np.testing.assert_array_equal(chosen, other)
    unlike = "curvature" if block == "matching" else "matching"
    assert not np.allclose(run(objective, unlike, schedule=schedule).objectives[0], chosen[0], rtol=1e-6)


def test_cvxpy_takes_the_same_first_step_and_a_sound_way():
    schedule = [Stage(1e-2, None, 3, 1e-5)]
    own, reference = (run(make_objective(7), "curvature", schedule=schedule, solver=s) for s in ("auto", "cvxpy"))
    assert_sound(reference)
    assert reference.objectives[0] == pytest.approx(own.objectives[0], rel=1e-3)
