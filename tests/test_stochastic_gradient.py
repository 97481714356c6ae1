"""Projected implicit gradient: derivatives, feasibility, the record, and its optimisers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from test_bcd import KAPPA, assert_never_rises, make_objective, start_of

from skimplicit.activations import ACTIVATIONS
from skimplicit.projections import ColumnBudget, project_rows_l1
from skimplicit.rows import Samples
from skimplicit.subproblems import Readout
from skimplicit.training import (
    Constraints,
    CrossEntropyObjective,
    Point,
    SquaredObjective,
    Stage,
    StochasticGradient,
    TrainingTask,
    stochastic_gradient,
)
from skimplicit.training.continuation import continuation
from skimplicit.training.optimisers import Adam, Momentum

SMOOTH = ["tanh", "sigmoid", "softplus", "identity", "silu", "gelu", "elu"]
every_optimiser = pytest.mark.parametrize("optimiser", ["adam", "sgd"])
EXACT = 1e-13


def run(objective, optimiser="adam", schedule=None, constraints=None, callback=None, n=6, held_out=None, **options):
    constraints = constraints or Constraints(KAPPA / max(objective.activation.lipschitz, 1.0))
    W, b = start_of(objective, 0, n, constraints.kappa, constraints.structure)
    task = TrainingTask(objective, constraints, held_out=held_out, random_state=options.pop("random_state", 0))
    method = StochasticGradient(**{"optimiser": optimiser, "batch_size": 20, "learning_rate_init": 0.02, **options})
    return method.train(task, schedule or [Stage(1e-2, None, 30, 1e-5)], W, b, callback)


def random_point(objective, seed, n=4):
    rng = np.random.default_rng(seed)
    p, q = objective.samples.n_inputs, objective.samples.n_outputs
    A = project_rows_l1(rng.normal(size=(n, n)), 0.8 / max(objective.activation.lipschitz, 1.0))
    D = rng.normal(size=(q, p)) if objective.direct else None
    readout = Readout(rng.normal(size=(q, n)), D, rng.normal(size=q))
    return Point(np.hstack([A, rng.normal(size=(n, p))]), rng.normal(size=n), readout, rng.normal(size=n))


def classes(objective):
    """The same samples with three classes for targets."""
    rng = np.random.default_rng(0)
    samples = objective.samples.like(
        rng.normal(size=(60, objective.samples.n_inputs)), np.zeros((60, objective.samples.n_outputs)), np.ones(60)
    )
    samples.Y = np.eye(3)[rng.integers(3, size=60)]
    return CrossEntropyObjective(samples, objective.activation, objective.direct)


@pytest.mark.slow_cases
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("make", [lambda o: o, classes], ids=["squared", "cross-entropy"])
@pytest.mark.parametrize("batch", [False, True])
def test_gradient_is_that_of_the_loss(name, direct, make, batch):
    objective = make(make_objective(0, name, m=60, direct=direct))
    if batch:
        objective = objective.over(objective.samples.rows(np.arange(5, 25)))
    point, step = random_point(objective, 1), 1e-5
    memory = np.zeros((2, objective.samples.n_samples, 4))
    gradient = objective.joint_gradient(point, *memory, EXACT)
    rng = np.random.default_rng(2)
    for _ in range(3):
        d = random_point(objective, rng)
        dD = np.zeros(1) if d.readout.D is None else d.readout.D

        def loss(s, d=d, dD=dD):
            readout = point.readout
            W = point.W + s * d.W
            b = point.b + s * d.b - s * d.W[:, :4] @ point.X_mean  # as it moves along
            D = None if readout.D is None else readout.D + s * dD
            moved = Readout(readout.C + s * d.readout.C, D, readout.c + s * d.readout.c)
            return objective.loss_at(Point(W, b, moved, point.X_mean), EXACT)

        # Richardson's extrapolation: an error of the fourth order in the step.
        central = [(loss(s) - loss(-s)) / (2 * s) for s in (step * 8, step * 16)]
        slope = (
            np.sum(gradient.W * d.W)
            + gradient.b @ d.b
            + np.sum(gradient.C * d.readout.C)
            + gradient.c @ d.readout.c
            + (np.sum(gradient.D * dD) if direct else 0.0)
        )
        assert slope == pytest.approx((4 * central[0] - central[1]) / 3, rel=1e-6)


def test_gradients_of_batches_add_up():
    objective = make_objective(3, m=60)
    point, m = random_point(objective, 0), 60
    whole = objective.joint_gradient(point, *np.zeros((2, m, 4)), EXACT)
    parts = np.array_split(np.random.default_rng(0).permutation(m), 7)
    total = np.zeros_like(whole.W)
    for rows in parts:
        batch = objective.over(objective.samples.rows(rows))
        total += rows.size / m * batch.joint_gradient(point, *np.zeros((2, rows.size, 4)), EXACT).W
    np.testing.assert_allclose(total, whole.W, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("direct_ridge", [0.03, 1.0, 5.0])
def test_a_step_of_the_direct_term_is_along_the_gradient_of_the_objective(direct_ridge):
    objective = make_objective(0, "tanh").with_direct_ridge(direct_ridge)
    alpha, rate, tol, near = 0.7, 1e-3, 1e-12, np.zeros((2, objective.samples.n_samples, 4))
    point = random_point(objective, 0)

    def value(D):
        readout = replace(point.readout, D=D)
        ridge = 0.5 * alpha * readout.squared_norm(direct_ridge)
        return objective.loss_at(replace(point, readout=readout), tol) + ridge

    D, moves = point.readout.D, 1e-5 * np.eye(point.readout.D.size).reshape(-1, *point.readout.D.shape)
    wanted = np.array([(value(D + move) - value(D - move)) / 2e-5 for move in moves]).reshape(D.shape)
    method = StochasticGradient(optimiser="sgd", batch_size=objective.samples.n_samples, learning_rate_init=rate)
    run, stage = method.begin(TrainingTask(objective, Constraints(KAPPA), random_state=0)), Stage(alpha, None, 1, 0.0)
    end = run.one_pass(stage, point, rate, run.optimiser(stage), *near, tol)
    np.testing.assert_allclose((D - end.readout.D) / (rate * (1 + Momentum.DECAY)), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["W", "C"])
def test_a_step_of_weights_is_along_the_gradient_of_the_objective(name):
    objective = make_objective(0, "tanh")
    alpha, rate, tol, near = 0.7, 1e-5, 1e-12, np.zeros((2, objective.samples.n_samples, 4))
    point = random_point(objective, 0)

    def of(point):
        return point.W if name == "W" else point.readout.C

    def value(M):
        if name == "C":
            new = replace(point, readout=replace(point.readout, C=M))
        else:  # the intercept keeps the pre-activation at the mean state, see below
            new = replace(point, W=M, b=point.b - (M - point.W)[:, :4] @ point.X_mean)
        return objective.loss_at(new, tol) + 0.5 * alpha * np.sum(M**2)

    M = of(point)
    moves = 1e-5 * np.eye(M.size).reshape(-1, *M.shape)
    wanted = np.array([(value(M + move) - value(M - move)) / 2e-5 for move in moves]).reshape(M.shape)
    method = StochasticGradient(optimiser="sgd", batch_size=objective.samples.n_samples, learning_rate_init=rate)
    run, stage = method.begin(TrainingTask(objective, Constraints(0.99), random_state=0)), Stage(alpha, None, 1, 0.0)
    end = run.one_pass(stage, point, rate, run.optimiser(stage), *near, tol)
    np.testing.assert_allclose((M - of(end)) / (rate * (1 + Momentum.DECAY)), wanted, rtol=1e-5, atol=1e-6)


def test_rows_are_cut_to_the_ball_in_the_metric_of_the_optimiser():
    rng = np.random.default_rng(0)
    A, metric = rng.normal(size=(5, 5)), rng.uniform(0.1, 2.0, size=(5, 5))
    problem = SimpleNamespace(n_hidden=5, structure=None, row_set=None, kappa=0.8)
    found = stochastic_gradient._nearest_rows(problem, A, metric)
    np.testing.assert_allclose(np.abs(found).sum(axis=1), 0.8, rtol=1e-9)
    assert np.all(found * A >= 0)
    force = metric * np.abs(A - found)  # one number in each row, at least that of entries that are zero
    largest = force.max(axis=1, keepdims=True)
    np.testing.assert_allclose(np.where(found != 0, force, largest), np.broadcast_to(largest, (5, 5)), rtol=1e-9)
    assert 5 < np.count_nonzero(found) < 25


@pytest.mark.parametrize("diverges", [True, False])
def test_without_progress_training_goes_back_to_the_best_at_half_the_rate(diverges, monkeypatch):
    seen = []

    def epoch(run, stage, current, rate, *others):
        seen.append((current.objective, rate))
        return None if diverges else replace(current, objective=current.objective + 1.0)

    monkeypatch.setattr(stochastic_gradient.GradientRun, "_epoch", epoch)
    run(make_objective(0), schedule=[Stage(1e-2, None, 40, 1e-5)], n_iter_no_change=40)
    values, rates = map(np.array, zip(*seen, strict=True))
    halved = np.flatnonzero(np.diff(rates)) + 1
    assert halved.size == 39 if diverges else 1 < halved.size < 39
    np.testing.assert_array_equal(values[halved], values[0])
    np.testing.assert_array_equal(rates[halved], 0.5 * rates[halved - 1])


def test_under_a_budget_the_optimiser_scales_all_weights_of_inputs_alike():
    objective = make_objective(0)
    run = StochasticGradient().begin(TrainingTask(objective, Constraints(KAPPA), random_state=0))
    gradients = list(np.random.default_rng(0).normal(size=(3, 4, 4)))
    for budget, alike in ((ColumnBudget(1.0), True), (None, False)):
        _, metrics = run.optimiser(Stage(1e-2, budget, 1, 1e-5)).step(gradients, 0.1)
        assert [np.ptp(metric) < 1e-12 for metric in metrics] == [False, alike, False]


def test_a_step_of_the_weights_leaves_the_pre_activation_at_the_mean_state_to_the_intercept():
    objective = make_objective(0, "tanh")
    rate, tol, near = 1e-2, 1e-12, np.zeros((2, objective.samples.n_samples, 4))
    point = random_point(objective, 0)
    moves = 1e-5 * np.eye(4)
    rises = [
        objective.loss_at(replace(point, b=point.b + move), tol)
        - objective.loss_at(replace(point, b=point.b - move), tol)
        for move in moves
    ]
    method = StochasticGradient(optimiser="sgd", batch_size=objective.samples.n_samples, learning_rate_init=rate)
    run, stage = method.begin(TrainingTask(objective, Constraints(KAPPA), random_state=0)), Stage(0.7, None, 1, 0.0)
    end = run.one_pass(stage, point, rate, run.optimiser(stage), *near, tol)
    before, after = (each.W[:, :4] @ point.X_mean + each.b for each in (point, end))
    assert np.abs(end.W[:, :4] - point.W[:, :4]).max() > 1e-4
    np.testing.assert_allclose(after - before, -rate * (1 + Momentum.DECAY) * np.array(rises) / 2e-5, rtol=1e-6)


@pytest.mark.slow_cases
@every_optimiser
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_objective_never_rises_within_a_stage(optimiser, activation):
    objective = make_objective(0, activation)
    result = run(objective, optimiser, schedule=[Stage(1e-3, None, 8, 1e-5), Stage(1e-2, None, 8, 1e-5)])
    assert_never_rises(result)
    final = result.evaluation
    exact = objective.evaluate(final.point.W, final.point.b, final.alpha, tol=1e-13)
    assert exact.objective == pytest.approx(final.objective, rel=1e-8)
    assert exact.objective == pytest.approx(result.objectives[-1], rel=1e-3)
    assert result.objectives.size <= result.n_iter <= 16 and result.scores.size == 0


@pytest.mark.slow_cases
@every_optimiser
@pytest.mark.parametrize("budget", [None, 1.5])
@pytest.mark.parametrize("masked", [True, False])
def test_every_iterate_is_feasible(optimiser, budget, masked):
    objective = make_objective(1, direct=budget is None)
    mask = np.random.default_rng(0).random((6, 6)) < 0.5 if masked else None
    weights = np.linspace(0.5, 2.0, 5) if budget else None
    seen = []

    def check(iteration):
        W = iteration.evaluation.point.W
        seen.append(iteration.number)
        assert np.abs(W[:, :6]).sum(axis=1).max() <= 0.3
        assert not masked or not W[:, :6][~mask].any()
        if budget:
            assert weights @ np.abs(W[:, 6:]).max(axis=0) <= budget

    constraints = Constraints(0.3, structure=mask)
    result = run(
        objective, optimiser, [Stage(1e-2, budget and ColumnBudget(budget, weights), 20, 1e-6)], constraints, check
    )
    assert seen == list(range(1, result.objectives.size + 1)) and len(seen) > 3


@pytest.mark.slow
@pytest.mark.parametrize(("optimiser", "max_iter"), [("adam", 400), ("sgd", 1000)])
def test_end_is_a_stationary_point(optimiser, max_iter):
    # A step of projected gradient on all samples leaves it where it is: Adam's metric must not move the fixed points.
    objective = make_objective(0, "tanh", m=60)
    result = run(
        objective,
        optimiser,
        [Stage(1e-2, None, max_iter, 1e-9)],
        Constraints(0.4),
        batch_size=60,
        n_iter_no_change=60,
        n=3,
    )
    end = result.evaluation
    W = end.point.W
    gradient = objective.gradient(end).W + end.alpha * W
    rows = project_rows_l1(W[:, :3] - gradient[:, :3], 0.4)
    assert np.abs(W[:, :3]).sum(axis=1).max() > 0.4 * (1 - 1e-9)  # the bound is felt
    np.testing.assert_allclose(rows, W[:, :3], atol=2e-3)
    np.testing.assert_allclose(gradient[:, 3:], 0.0, atol=2e-3)


@pytest.mark.slow
@every_optimiser
@pytest.mark.parametrize(("budget", "centre"), [(None, True), (2.0, False)])
def test_training_trains(optimiser, budget, centre):
    objective = make_objective(0, direct=budget is None, centre=centre)
    constraints = Constraints(KAPPA)
    schedule = continuation(0.01, budget and ColumnBudget(budget), 60, 1e-5, StochasticGradient.raises_alpha)
    result = run(objective, optimiser, schedule, constraints)
    assert_never_rises(result)
    assert 2 * result.evaluation.loss < 0.35 * result.evaluation.point.readout.c.size  # of a variance of 1 each


def test_convex_case_reaches_the_minimum():
    # With the identity, kappa = 0 and a direct term, the states add nothing: the minimum is that of ridge regression.
    objective = make_objective(2, "identity")
    result = run(objective, constraints=Constraints(0.0), schedule=[Stage(0.1, None, 300, 1e-9)])

    def value(w):
        D = w.reshape(2, 5)
        residual = objective.samples.inputs_times(D) - objective.samples.Y
        return 0.5 * np.sum(objective.samples.mean(residual**2)) + 0.05 * np.sum(D**2)

    assert result.evaluation.objective <= minimize(value, np.zeros(10)).fun * (1 + 1e-3)


@pytest.mark.slow
def test_steps_that_diverge_are_taken_back():
    objective = make_objective(0)
    result = run(objective, "sgd", learning_rate_init=1e4, schedule=[Stage(1e-2, None, 60, 1e-5)], n_iter_no_change=60)
    assert_never_rises(result)
    assert np.isfinite(result.evaluation.objective)
    assert result.objectives.size > 0  # by then the rate is small enough


@pytest.mark.slow
def test_sparse_as_dense():
    rng = np.random.default_rng(0)
    U = rng.normal(size=(80, 5)) * (rng.random((80, 5)) < 0.5)
    Y = np.sin(U[:, :1]) + U[:, 1:2] * U[:, 2:3]
    courses = [
        run(SquaredObjective(Samples(make(U), Y), ACTIVATIONS["tanh"], True)).objectives
        for make in (np.asarray, sparse.csr_array)
    ]
    np.testing.assert_allclose(courses[0], courses[1], rtol=1e-6)


@pytest.mark.slow
def test_same_seed_same_course():
    courses = [run(make_objective(4), random_state=order).objectives for order in (0, 0, 1)]
    np.testing.assert_array_equal(courses[0], courses[1])
    assert courses[0].size != courses[2].size or np.any(courses[0] != courses[2])


@pytest.mark.parametrize("stop_at", [1, 5])
def test_callback_stops(stop_at):
    result = run(make_objective(0), callback=lambda iteration: iteration.number == stop_at)
    assert result.stopped and not result.converged and result.objectives.size == stop_at


@pytest.mark.slow
def test_a_stage_ends_when_there_is_no_more_progress():
    loose, tight = (
        run(make_objective(0, m=80), schedule=[Stage(1e-2, None, 2000, tol)], n_iter_no_change=3)
        for tol in (1e-2, 1e-4)
    )
    assert loose.converged and tight.converged and loose.n_iter < tight.n_iter
    assert tight.evaluation.objective <= loose.evaluation.objective


@pytest.mark.slow
def test_rule_that_does_best_on_held_out_samples_is_kept():
    objective = make_objective(0, m=30, q=1)
    rng = np.random.default_rng(9)
    held_out = objective.samples.like(rng.normal(size=(50, 5)), rng.normal(size=(50, 1)), np.ones(50))
    result = run(objective, schedule=[Stage(1e-4, None, 200, 1e-5)], held_out=held_out, n_iter_no_change=4, n=20)
    assert result.converged and result.scores.size == result.n_iter < 200
    best = np.argmax(result.scores)
    assert result.n_iter == best + 1 + 4
    end = result.evaluation
    judge = objective.over(held_out)
    assert 1 - judge.loss_at(end.point, 1e-11) / judge.null_loss == pytest.approx(result.scores[best], abs=1e-2)
    # It is not the one of the lowest objective.
    assert end.objective > result.objectives[-1]


@pytest.mark.parametrize("n_held_out", [8, 1])
def test_scores_are_r2_of_the_held_out_rows(n_held_out):
    objective = make_objective(4, q=1)
    rng = np.random.default_rng(2)
    U = rng.normal(size=(n_held_out, 5))
    Y = 3.0 * U[:, :1] + rng.normal(size=(n_held_out, 1))  # with a variance of their own
    samples = objective.samples
    result = run(objective, held_out=samples.like(U, Y, np.ones(n_held_out)))
    # One row has none: then it is that of the rows that are trained on.
    variance = np.var(Y) if n_held_out > 1 else samples.Y_scale[0] ** 2
    r2 = 1 - np.mean((Y - objective.rule(result.evaluation.point).predict(U)) ** 2) / variance
    assert result.scores.max() == pytest.approx(r2, abs=1e-3)


def test_point_of_is_the_inverse_of_rule():
    for direct in (True, False):
        objective = make_objective(5, direct=direct)
        rule = objective.rule(random_point(objective, 0))
        again = objective.rule(objective.point_of(rule))
        for name in ("A", "B", "C", "D", "b", "c"):
            np.testing.assert_allclose(getattr(again, name), getattr(rule, name), rtol=1e-10, atol=1e-12)


def test_adam_is_that_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = rng.normal(size=(3, 4))
    parameter = torch.nn.Parameter(torch.tensor(ours))
    reference, adam = torch.optim.Adam([parameter], lr=0.1), Adam()
    for _ in range(20):
        gradient = rng.normal(size=ours.shape)
        ours = ours + adam.step([gradient], 0.1)[0][0]
        parameter.grad = torch.tensor(gradient)
        reference.step()
    np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-10)


def test_momentum_is_that_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = rng.normal(size=(3, 4))
    parameter = torch.nn.Parameter(torch.tensor(ours))
    reference, momentum = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True), Momentum()
    for _ in range(20):
        gradient = rng.normal(size=ours.shape)
        ours = ours + momentum.step([gradient], 0.1)[0][0]
        parameter.grad = torch.tensor(gradient)
        reference.step()
    np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("optimiser", [Adam(), Momentum()], ids=["adam", "sgd"])
def test_steps_are_those_of_the_sums_over_all_gradients_so_far(optimiser):
    rng, decays, gradients = np.random.default_rng(0), 0.9 ** np.arange(9.0)[::-1], []
    for n in range(1, 10):
        gradients.append(rng.normal(size=(3, 4)))
        steps, metrics = optimiser.step([gradients[-1]], 0.1)
        past, g = decays[-n:, None, None], np.array(gradients)
        if isinstance(optimiser, Adam):  # means with decaying weights that sum to one
            square_weights = 0.999 ** np.arange(float(n))[::-1, None, None]
            spread = np.sqrt((square_weights * g**2).sum(axis=0) / square_weights.sum())
            expected = -0.1 * (past * g).sum(axis=0) / past.sum() / spread
            np.testing.assert_allclose(metrics[0], spread, rtol=1e-6)
        else:  # Nesterov: the velocity after the next step, if that had no gradient, and the gradient
            expected = -0.1 * (0.9 * (past * g).sum(axis=0) + g[-1])
        np.testing.assert_allclose(steps[0], expected, rtol=1e-6)


def test_coupled_entries_share_their_metric():
    adam = Adam(coupled=(0,))
    _, metrics = adam.step([np.array([[1.0, 7.0]]), np.array([3.0, 4.0])], 0.1)
    np.testing.assert_allclose(metrics[0], 5.0)
    np.testing.assert_allclose(metrics[1], [3.0, 4.0])


def test_objective_of_nothing_to_fit_stays_at_zero():
    objective = SquaredObjective(Samples(np.ones((10, 2)), np.ones((10, 1))), ACTIVATIONS["relu"], True)
    result = run(objective, schedule=[Stage(1e-2, None, 20, 1e-5)])
    assert_never_rises(result)
    assert result.evaluation.loss == pytest.approx(0.0, abs=1e-20)
    held_out = run(objective, held_out=objective.samples, schedule=[Stage(1e-2, None, 20, 1e-5)])
    assert not held_out.scores.any()
