"""Block coordinate descent: the true objective never rises within a stage and every iterate is feasible."""

import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS
from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import ProjectedSolver, make_curvature_solver, make_solver
from skimplicit.training import BlockCoordinateDescent, Constraints, SquaredObjective, Stage, TrainingTask
from skimplicit.training.continuation import continuation, random_weights

KAPPA = 0.9
every_seed = pytest.mark.parametrize("seed", range(2))
every_block = pytest.mark.parametrize("block", ["matching", "curvature"])


def make_objective(seed, activation="relu", m=60, p=5, q=2, direct=True, centre=True):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p))
    Y = np.column_stack([np.sin(2 * U[:, 0]) + U[:, 1] * U[:, 2], np.abs(U[:, 3])])[:, :q]
    samples = Samples(U, Y + 0.05 * rng.normal(size=(m, q)), centre=centre)
    return SquaredObjective(samples, ACTIVATIONS[activation], direct)


def start_of(objective, seed, n=6, kappa=KAPPA, structure=None):
    constraints = Constraints(kappa, structure=structure)
    return random_weights(n, objective.samples, constraints, np.random.RandomState(seed))


def task_of(objective, constraints, solver="auto"):
    custom = constraints.custom is not None
    return TrainingTask(objective, constraints, make_solver(solver, custom), make_curvature_solver(solver, custom))


def run(objective, seed=0, schedule=None, solver="auto", constraints=None, callback=None, n=6, block="auto"):
    constraints = constraints or Constraints(KAPPA / max(objective.activation.lipschitz, 1.0))
    schedule = schedule or [Stage(1e-3, None, 6, 1e-4), Stage(1e-2, None, 6, 1e-5)]
    W, b = start_of(objective, seed, n, constraints.kappa, constraints.structure)
    return BlockCoordinateDescent(block=block).train(task_of(objective, constraints, solver), schedule, W, b, callback)


def assert_never_rises(result):
    for stage in np.unique(result.stages):
        values = result.objectives[result.stages == stage]
        assert np.all(np.diff(values) <= 0), np.diff(values).max()


@pytest.mark.slow_cases
@pytest.mark.parametrize(("seed", "block"), [(0, "matching"), (1, "curvature")])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_objective_never_rises_within_a_stage(seed, activation, block):
    objective = make_objective(seed, activation)
    result = run(objective, seed, block=block)
    assert_never_rises(result)
    assert np.all(np.diff(result.stages) >= 0)
    assert result.objectives.size == result.stages.size <= result.n_iter
    # It is the true one: states at equilibrium to full accuracy give the same.
    final = result.evaluation
    exact = objective.evaluate(final.point.W, final.point.b, final.alpha, tol=1e-13)
    assert exact.objective == pytest.approx(result.objectives[-1], rel=1e-3)
    assert exact.objective == pytest.approx(final.objective, rel=1e-8)


@pytest.mark.slow_cases
@every_block
@pytest.mark.parametrize(("budget", "centre"), [(None, True), (2.0, False)])
def test_training_trains(budget, centre, block):
    objective = make_objective(0, direct=budget is None, centre=centre)
    constraints = Constraints(KAPPA)
    schedule = continuation(0.01, budget and ColumnBudget(budget), 80, 1e-5)
    result = run(objective, schedule=schedule, constraints=constraints, block=block)
    assert_never_rises(result)
    assert 2 * result.evaluation.loss < 0.35 * result.evaluation.point.readout.c.size  # of a variance of 1 each


@pytest.mark.slow_cases
@pytest.mark.parametrize(  # half of all combinations: any three of the four occur together
    ("solver", "budget", "masked", "block"),
    [
        ("projected", None, True, "matching"),
        ("projected", None, False, "curvature"),
        ("projected", 1.5, True, "curvature"),
        ("projected", 1.5, False, "matching"),
        ("cvxpy", None, True, "curvature"),
        ("cvxpy", None, False, "matching"),
        ("cvxpy", 1.5, True, "matching"),
        ("cvxpy", 1.5, False, "curvature"),
    ],
)
def test_every_iterate_is_feasible(solver, budget, masked, block):
    objective = make_objective(1, direct=budget is None)
    mask = np.random.default_rng(0).random((6, 6)) < 0.5 if masked else None
    weights = np.linspace(0.5, 2.0, 5) if budget else None
    constraints = Constraints(0.3, structure=mask)
    seen = []

    def check(iteration):
        W = iteration.evaluation.point.W
        seen.append(iteration.number)
        assert np.abs(W[:, :6]).sum(axis=1).max() <= 0.3
        assert not masked or not W[:, :6][~mask].any()
        if budget:
            assert weights @ np.abs(W[:, 6:]).max(axis=0) <= budget

    stages = [Stage(1e-2, budget and ColumnBudget(budget, weights), 5, 1e-6)]
    result = run(objective, schedule=stages, solver=solver, constraints=constraints, callback=check, block=block)
    assert seen == list(range(1, result.objectives.size + 1))
    assert_never_rises(result)


@pytest.mark.slow_cases
@every_block
def test_custom_constraints_hold_at_every_iterate(block):
    seen = []

    def check(iteration):
        seen.append(iteration.evaluation.point.W[:, 4:].min())

    constraints = Constraints(KAPPA, custom=lambda A, B: [B >= 0])
    stages = [Stage(1e-2, None, 8, 1e-6)]
    result = run(make_objective(2), schedule=stages, constraints=constraints, callback=check, n=4, block=block)
    assert min(seen) >= -1e-6
    assert_never_rises(result)


@pytest.mark.parametrize("stop_at", [1, 3, 9])
def test_callback_stops(stop_at):
    result = run(
        make_objective(0),
        schedule=[Stage(1e-3, None, 5, 0.0), Stage(1e-2, None, 20, 0.0)],
        callback=lambda iteration: iteration.number == stop_at,
    )
    assert result.stopped and not result.converged
    assert result.objectives.size == stop_at
    assert len(result.ends) == (1 if stop_at <= 5 else 2)


@pytest.mark.slow
def test_a_stage_ends_when_there_is_no_more_progress():
    objective = make_objective(0)
    loose = run(objective, schedule=[Stage(1e-2, None, 500, 1e-3)])
    tight = run(objective, schedule=[Stage(1e-2, None, 500, 1e-6)])
    assert loose.converged and loose.n_iter < tight.n_iter
    assert tight.evaluation.objective <= loose.evaluation.objective
    few = run(objective, schedule=[Stage(1e-2, None, 3, 1e-6)])
    assert not few.converged and few.n_iter == 3


@pytest.mark.slow
def test_stages_start_where_the_last_one_ended():
    objective, stages = make_objective(0), [Stage(1e-3, None, 10, 1e-6), Stage(1e-2, None, 10, 1e-6)]
    result = run(objective, schedule=stages)
    assert [end.stage.alpha for end in result.ends] == [1e-3, 1e-2]
    first = result.ends[0]
    carried = objective.evaluate(first.point.W, first.point.b, 1e-2, tol=1e-11).objective
    assert result.objectives[result.stages == 1][0] <= carried * (1 + 1e-3)
    # A stage can be chosen from how the training went.
    later = run(objective, schedule=[stages[0], lambda evaluation: [Stage(10 * evaluation.alpha, None, 10, 1e-6)]])
    np.testing.assert_allclose(later.objectives, result.objectives, rtol=1e-12)


def test_schedule_must_start_with_a_stage():
    with pytest.raises(ValueError, match="must start with a Stage"):
        run(make_objective(0), schedule=[lambda evaluation: []])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_smaller_budget_starts_at_the_same_rule(activation):
    # (B, b) -> s (B, b) does not change what a homogeneous rule can say: the loss at alpha = 0 is the same.
    objective = make_objective(3, activation, direct=False)
    W, b = start_of(objective, 3)
    kept = []

    def first(iteration):
        kept.append(iteration.evaluation)
        return True

    dense = objective.evaluate(W, b, 1e-9, tol=1e-12)
    used = np.abs(W[:, 6:]).max(axis=0).sum()
    stages = [Stage(1e-9, ColumnBudget(used / 50), 1, 0.0)]
    result = BlockCoordinateDescent().train(task_of(objective, Constraints(KAPPA)), stages, W, b, first)
    assert np.abs(result.evaluation.point.W[:, 6:]).max(axis=0).sum() <= used / 50
    assert result.evaluation.loss <= dense.loss * (1 + 1e-4)


@pytest.mark.slow_cases
@pytest.mark.parametrize(("seed", "block"), [(0, "matching"), (1, "curvature")])
def test_record_is_put_right_when_a_closer_look_shows_a_higher_value(seed, block):
    # Values of loose states can be too low. Without progress in sight, the states are made sharper.
    result = run(make_objective(seed), seed, schedule=[Stage(1e-5, None, 300, 1e-8)], block=block)
    assert_never_rises(result)
    assert result.evaluation.objective == pytest.approx(result.objectives[-1], rel=1e-6)


@pytest.mark.slow
@every_seed
def test_solvers_take_the_same_course(seed):
    # Rounding apart, they give the same minimiser, so that not even a landscape with kinks drives them apart.
    objective = make_objective(seed)
    W, b = start_of(objective, seed, n=5)
    schedule = [Stage(1e-3, None, 5, 1e-4), Stage(1e-2, None, 8, 1e-5)]
    courses = [
        BlockCoordinateDescent(block="matching")
        .train(task_of(objective, Constraints(KAPPA), solver), schedule, W, b)
        .objectives
        for solver in ("cvxpy", "projected")
    ]
    np.testing.assert_allclose(courses[0], courses[1], rtol=1e-6)


@pytest.mark.slow
@every_seed
def test_exact_solvers_take_the_same_course_under_a_budget(seed):
    objective = make_objective(seed, direct=False)
    W, b = start_of(objective, seed, n=3)
    schedule = [Stage(1e-2, ColumnBudget(1.5), 4, 0.0)]
    courses = [
        BlockCoordinateDescent().train(TrainingTask(objective, Constraints(KAPPA), solver), schedule, W, b).objectives
        for solver in (make_solver("cvxpy", False), ProjectedSolver(tol=1e-12, max_iter=5000))
    ]
    np.testing.assert_allclose(courses[0], courses[1], rtol=1e-4)


@pytest.mark.slow_cases
@every_block
def test_same_start_same_course(block):
    courses = [run(make_objective(4), 4, block=block).objectives for _ in range(2)]
    np.testing.assert_array_equal(*courses)


@every_block
@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_perfect_fit_ends(alpha, block):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(40, 3))
    objective = SquaredObjective(Samples(U, U @ rng.normal(size=(3, 1))), ACTIVATIONS["relu"], True)
    result = run(objective, schedule=[Stage(alpha, None, 50, 1e-5)], block=block)
    assert_never_rises(result)
    assert np.isfinite(result.evaluation.objective)
    assert result.evaluation.loss < (1e-20 if alpha == 0 else 1e-3)


@every_block
def test_nothing_to_fit(block):
    objective = SquaredObjective(Samples(np.ones((10, 2)), np.ones((10, 1))), ACTIVATIONS["relu"], True)
    result = run(objective, schedule=[Stage(1e-2, None, 20, 1e-5)], block=block)
    assert_never_rises(result)
    assert result.evaluation.loss == pytest.approx(0.0, abs=1e-20)
