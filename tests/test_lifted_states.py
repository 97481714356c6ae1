"""The states' block of lifted training: the fast path finds what CVXPY finds."""

import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import approx_fprime
from test_bcd import make_objective, start_of, task_of

from skimplicit.activations import ACTIVATIONS
from skimplicit.lifted import DIVERGENCES, method
from skimplicit.lifted.states import StatesProblem, coupling_weights, solve_states
from skimplicit.losses import CrossEntropyLoss, SquaredLoss
from skimplicit.projections import project_rows_l1
from skimplicit.training import Constraints, Stage

NAMES = [activation.name for activation in DIVERGENCES]
LOSSES = {"squared": (SquaredLoss(), 3), "classes": (CrossEntropyLoss(), 3), "two classes": (CrossEntropyLoss(), 1)}
every_activation = pytest.mark.parametrize("name", NAMES)
every_loss = pytest.mark.parametrize("kind", LOSSES)


def solved(program):
    """Solve with CVXPY; whether the solution is accurate is for the comparison to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cp.CLARABEL)
    assert program.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
    return program


def targets(rng, kind, m):
    q = LOSSES[kind][1]
    if kind == "squared":
        return rng.normal(size=(m, q))
    return (rng.random((m, 1)) < 0.5).astype(float) if q == 1 else np.eye(q)[rng.integers(q, size=m)]


def states_problem(name="relu", kind="squared", kappa=0.4, n=4, k=2, m=5, seed=0):
    """Draw a layer of n states that feeds k others, and a start inside the domain."""
    rng = np.random.default_rng(seed)
    divergence, (loss, q) = DIVERGENCES[ACTIVATIONS[name]], LOSSES[kind]
    Y = targets(rng, kind, m)
    A, C = project_rows_l1(rng.normal(size=(n, n)), kappa), rng.normal(size=(q, n))
    problem = StatesProblem(
        divergence,
        loss,
        Y,
        C=C,
        offset=0.3 * rng.normal(size=(m, q)),
        A=A,
        drive=rng.normal(size=(m, n)),
        weights=coupling_weights(A, C, loss.curvature(Y), divergence),
        feed=rng.normal(size=(k, n)),
        fed_drive=rng.normal(size=(m, k)),
        fed_states=divergence.activation(rng.normal(size=(m, k))),
        fed_weights=rng.uniform(0.5, 2.0, size=k),
    )
    return problem, divergence.activation(problem.drive)


@pytest.mark.slow_cases
@every_loss
@every_activation
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.95])
def test_states_are_a_fixed_point_of_the_convex_program_of_cvxpy(name, kind, kappa):
    problem, start = states_problem(name, kind, kappa)
    X = solve_states(problem, start, 1e-13, 20_000)
    assert np.all(problem.value(X) <= problem.value(start) + 1e-12)
    program, symbol = problem.to_cvxpy(X)
    solved(program)
    np.testing.assert_allclose(symbol.value, X, atol=2e-4)
    assert problem.value(X).sum() <= problem.value(symbol.value.clip(*_domain(name))).sum() + 1e-7


def _domain(name):
    return {"relu": (0.0, np.inf), "tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}.get(name, (-np.inf, np.inf))


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_states_are_the_minimiser_of_the_convex_block(kind, seed):
    # Written out for ReLU: 1/2 x' (w - wA - A'w) x + ... is convex as a whole, not term by term.
    problem, start = states_problem("relu", kind, kappa=0.45, k=0, seed=seed)
    WA = problem.weights[:, None] * problem.A
    X = cp.Variable(start.shape, nonneg=True)
    objective = (
        problem.loss.to_cvxpy(X @ problem.C.T + problem.offset, problem.Y)
        + sum(cp.quad_form(X[s], cp.psd_wrap(0.5 * (np.diag(problem.weights) - WA - WA.T))) for s in range(X.shape[0]))
        + cp.sum(cp.square(cp.pos(X @ problem.A.T + problem.drive)) @ problem.weights) / 2
        - cp.sum(cp.multiply(X, problem.weights * problem.drive))
    )
    solved(cp.Problem(cp.Minimize(objective)))
    assert np.linalg.eigvalsh(np.diag(problem.weights) - WA - WA.T)[0] >= 0  # it is convex
    np.testing.assert_allclose(solve_states(problem, start, 1e-13, 20_000), X.value, atol=1e-4)


@every_loss
@every_activation
@pytest.mark.parametrize("kappa", [0.0, 0.9])
def test_curvature_bounds_the_slopes_of_the_gradient_in_the_metric_of_the_weights(name, kind, kappa):
    for seed in range(5):
        problem, X = states_problem(name, kind, kappa=kappa, seed=seed)
        moves, root = 1e-6 * np.eye(4) / np.sqrt(problem.weights), np.sqrt(problem.weights)
        rises = [problem.smooth_gradient(X + move) - problem.smooth_gradient(X - move) for move in moves]
        slopes = np.stack(rises, axis=-1) / root[:, None] / 2e-6  # of each sample
        assert np.linalg.eigvalsh((slopes + slopes.transpose(0, 2, 1)) / 2).max() <= problem.curvature() * (1 + 1e-6)


@every_loss
@every_activation
def test_smooth_gradient_is_that_of_finite_differences(name, kind):
    problem, X = states_problem(name, kind, kappa=0.9)
    X = 0.9 * X + 0.05 * (X > 0)
    gradient = problem.smooth_gradient(X)
    divergence, w = problem.divergence, problem.weights

    def smooth(flat):
        point = flat.reshape(X.shape)
        kernel = divergence.potential(point) - 0.5 * divergence.modulus * point**2
        return problem.value(point).sum() - np.sum(kernel @ w)

    inside = np.where(X == 0, 1e-3, X)  # ReLU: differences to both sides must stay in the domain
    differences = approx_fprime(inside.ravel(), smooth, 1e-7).reshape(X.shape)
    np.testing.assert_allclose(problem.smooth_gradient(inside), differences, rtol=1e-4, atol=1e-4)
    assert gradient.shape == X.shape


@every_activation
@pytest.mark.parametrize("seed", range(5))
def test_weights_make_the_states_block_convex_up_to_half_the_slope(name, seed):
    rng = np.random.default_rng(seed)
    divergence = DIVERGENCES[ACTIVATIONS[name]]
    A = project_rows_l1(rng.normal(size=(6, 6)) * (rng.random((6, 6)) < 0.5), 0.47 * divergence.modulus)
    C = rng.normal(size=(2, 6)) * np.geomspace(1.0, 1e3, 6)
    weights = coupling_weights(A, C, 1.0, divergence)
    WA = weights[:, None] * A
    values = np.linalg.eigvalsh(divergence.modulus * np.diag(weights) - WA - WA.T)
    assert np.all(weights > 0)
    assert values[0] >= -1e-12 * values[-1]


def test_weights_follow_a_change_of_scale_of_the_states():
    A, C = np.zeros((3, 3)), np.arange(1.0, 7.0).reshape(2, 3)
    scale = np.array([2.0, 0.5, 1.0])
    weights = coupling_weights(A, C, 1.0, DIVERGENCES[ACTIVATIONS["relu"]])
    scaled = coupling_weights(A, C / scale, 1.0, DIVERGENCES[ACTIVATIONS["relu"]])
    np.testing.assert_allclose(scaled, weights / scale**2)


@pytest.mark.parametrize("size", [0.0, 5e-324, 1e-310, 1e-300])
def test_weights_of_hardly_any_feedback_are_those_of_none(size):
    weights = coupling_weights(size * np.ones((2, 2)), np.eye(2), 1.0, DIVERGENCES[ACTIVATIONS["relu"]])
    np.testing.assert_array_equal(weights, np.ones(2))


def test_weights_without_a_readout_are_positive():
    assert np.all(coupling_weights(np.eye(2) * 0.9, np.zeros((1, 2)), 1.0, DIVERGENCES[ACTIVATIONS["relu"]]) > 0)


def test_samples_do_not_depend_on_each_other():
    problem, start = states_problem()
    X = solve_states(problem, start, 1e-13, 20_000)
    for s in range(X.shape[0]):
        row = [s]
        rows = {name: getattr(problem, name)[row] for name in ("Y", "offset", "drive", "fed_drive", "fed_states")}
        alone = solve_states(replace(problem, **rows), start[row], 1e-13, 20_000)
        np.testing.assert_allclose(alone[0], X[s], atol=1e-9)


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("direct", [False, True])
def test_a_sweep_leaves_no_better_states_in_the_layer_that_it_takes_last(loops, direct, monkeypatch):
    layer = np.repeat([0, 1], 3)
    constraints = Constraints(0.95, structure=layer[:, None] >= layer if loops else layer[:, None] > layer)
    objective = make_objective(0, "tanh", direct=direct)
    W, b = start_of(objective, 0, kappa=0.95, structure=constraints.structure)
    W[:, :6] *= 1.9  # rows near the bound
    run, seen = method.LiftedRun(task_of(objective, constraints)), []
    current = objective.evaluate(W, b, 1e-2, tol=1e-12)
    monkeypatch.setattr(method, "_STATES_MAX_ITER", 300)
    inner = run._lift
    monkeypatch.setattr(run, "_lift", lambda *args: seen.append((args, inner(*args))) or seen[-1][1])
    run._sweep(Stage(1e-2, None, 1, 1e-5), current, W, b)
    ((_, _, _, offset, weights), X), samples, readout = seen[0], objective.samples, current.point.readout
    losses = objective.sample_loss.value(current.states @ readout.C.T + offset, samples.Y)
    assert float(samples.mean(losses[:, None])[0]) == pytest.approx(objective.loss_at(current.point, 1e-12), rel=1e-9)

    def total(X):
        Z = X @ W[:, :6].T + samples.inputs_times(W[:, 6:]) + b
        loss = objective.sample_loss.value(X @ readout.C.T + offset, samples.Y)
        return loss + run.divergence.value(X, Z) @ weights

    assert np.all(total(X) <= total(current.states)) and total(X).sum() < 0.99 * total(current.states).sum()
    moves = np.random.default_rng(0).choice([-1e-5, 1e-5], size=(20, 3))
    for move in moves:
        assert np.all(total(X + np.r_[move, np.zeros(3)]) >= total(X) - 1e-9)
