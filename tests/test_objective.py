"""The true objective: its gradient, its two ways to the loss, and the way to the user's units and back."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from skimplicit.activations import ACTIVATIONS
from skimplicit.projections import project_rows_l1
from skimplicit.rows import Samples
from skimplicit.training import SquaredObjective

TIGHT = 1e-13
SMOOTH = ["tanh", "sigmoid", "softplus", "identity", "silu", "gelu", "elu"]
every_smooth = pytest.mark.parametrize("name", SMOOTH)
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
with_or_without = pytest.mark.parametrize("centre", [True, False])
direct_or_not = pytest.mark.parametrize("direct", [True, False])


def make_problem(seed, name, centre=True, direct=True, weighted=True, m=40, n=4, p=3, q=2, make=np.asarray):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p)) * [0.1, 1.0, 30.0] + 2.0
    Y = np.column_stack([np.sin(U[:, 0] * 10) + U[:, 1], 100 * rng.normal(size=m)])[:, :q]
    weights = rng.uniform(0.2, 3.0, size=m) if weighted else None
    samples = Samples(make(U), Y, weights, centre=centre)
    activation = ACTIVATIONS[name]
    A = project_rows_l1(rng.normal(size=(n, n)), 0.8 / max(activation.lipschitz, 1.0))
    W = np.hstack([A, rng.normal(size=(n, p))])
    b = 0.3 * rng.normal(size=n) if centre else np.zeros(n)
    return SimpleNamespace(objective=SquaredObjective(samples, activation, direct), W=W, b=b, U=U, Y=Y, rng=rng)


def residual_of(objective, evaluation):
    point = evaluation.point
    return objective._predictions(evaluation.states, point.X_mean, point.readout) - objective.samples.Y


@pytest.mark.slow_cases
@every_smooth
@with_or_without
@direct_or_not
@pytest.mark.parametrize("weighted", [True, False])
def test_gradient_is_that_of_the_loss(name, centre, direct, weighted):
    # By the envelope theorem the optimal readout may move: its first-order effect on J is none.
    t = make_problem(0, name, centre, direct, weighted)
    alpha, step = 0.02, 1e-5
    evaluation = t.objective.evaluate(t.W, t.b, alpha, tol=TIGHT)
    gradient = t.objective.gradient(evaluation)
    for _ in range(3):
        dW, db = t.rng.normal(size=t.W.shape), t.rng.normal(size=t.b.shape) if centre else np.zeros_like(t.b)
        ahead, behind = (
            t.objective.evaluate(t.W + s * dW, t.b + s * db, alpha, tol=TIGHT).objective for s in (step, -step)
        )
        # gradient.W is taken with b moving along, so that the mean pre-activation stays: undo that.
        along_b = db + dW[:, : t.b.size] @ evaluation.moments.X_mean if centre else np.zeros_like(db)
        slope = np.sum(gradient.W * dW) + gradient.b @ along_b + alpha * np.sum(t.W * dW)
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_gradient_where_there_is_no_kink_between(name):
    t = make_problem(1, name)
    evaluation = t.objective.evaluate(t.W, t.b, 0.02, tol=TIGHT)
    gradient = t.objective.gradient(evaluation)
    dW, db, step = t.rng.normal(size=t.W.shape), t.rng.normal(size=t.b.shape), 1e-7
    ahead, behind = (t.objective.evaluate(t.W + s * dW, t.b + s * db, 0.02, tol=TIGHT) for s in (step, -step))
    assert np.array_equal(ahead.states > 0, behind.states > 0)
    slope = (
        np.sum(gradient.W * dW)
        + gradient.b @ (db + dW[:, : t.b.size] @ evaluation.moments.X_mean)
        + 0.02 * np.sum(t.W * dW)
    )
    assert slope == pytest.approx((ahead.objective - behind.objective) / (2 * step), rel=1e-4)


@every_activation
@with_or_without
@direct_or_not
def test_loss_from_moments_is_the_loss_from_samples(name, centre, direct):
    t = make_problem(2, name, centre, direct)
    evaluation = t.objective.evaluate(t.W, t.b, 0.05, tol=TIGHT)
    samples = t.objective.samples
    residual = residual_of(t.objective, evaluation)
    assert evaluation.loss == pytest.approx(0.5 * np.sum(samples.mean(residual**2)), rel=1e-10)
    ridge = np.sum(t.W**2) + np.sum(evaluation.point.readout.C**2)
    if direct:
        ridge += np.sum(evaluation.point.readout.D**2)
    assert evaluation.objective == pytest.approx(evaluation.loss + 0.5 * 0.05 * ridge, rel=1e-12)


def test_small_loss_does_not_drown_in_rounding():
    t = make_problem(3, "tanh", weighted=False)
    first = t.objective.evaluate(t.W, t.b, 0.0, tol=TIGHT)
    target = first.states @ np.ones((4, 1)) + 1e-9 * t.rng.normal(size=(40, 1))
    objective = SquaredObjective(Samples(t.U, target), ACTIVATIONS["tanh"], True)
    evaluation = objective.evaluate(t.W, t.b, 0.0, tol=TIGHT)
    residual = residual_of(objective, evaluation)
    assert 0 < evaluation.loss < 1e-15
    assert evaluation.loss == pytest.approx(0.5 * np.mean(residual**2), rel=1e-6)


@every_activation
@with_or_without
@direct_or_not
def test_rule_predicts_what_training_fits(name, centre, direct):
    t = make_problem(4, name, centre, direct)
    evaluation = t.objective.evaluate(t.W, t.b, 0.01, tol=TIGHT)
    rule, samples = t.objective.rule(evaluation.point), t.objective.samples
    residual = residual_of(t.objective, evaluation)
    np.testing.assert_allclose(rule.states(t.U), evaluation.states, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose((rule.predict(t.U) - t.Y) / samples.Y_scale, residual, rtol=1e-7, atol=1e-8)


@every_activation
@with_or_without
def test_weights_of_is_the_inverse_of_rule(name, centre):
    t = make_problem(5, name, centre)
    W, b = t.objective.weights_of(t.objective.rule(t.objective.evaluate(t.W, t.b, 0.01, tol=TIGHT).point))
    np.testing.assert_allclose(W, t.W, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(b, t.b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
@with_or_without
def test_sparse_as_dense(name, centre):
    here = make_problem(6, name, centre)
    there = make_problem(6, name, centre, make=sparse.csr_array)
    at = [t.objective.evaluate(t.W, t.b, 0.01, tol=TIGHT) for t in (here, there)]
    assert at[0].objective == pytest.approx(at[1].objective, rel=1e-11)
    gradients = [t.objective.gradient(e) for t, e in zip((here, there), at, strict=True)]
    np.testing.assert_allclose(gradients[0].W, gradients[1].W, rtol=1e-7, atol=1e-11)
    np.testing.assert_allclose(gradients[0].b, gradients[1].b, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "identity"])
def test_scaling_a_homogeneous_rule_changes_only_the_ridge(name):
    # (B, b, C) -> (sB, sb, C/s) is the same rule, and at alpha = 0 the readout finds it.
    t = make_problem(7, name)
    scale = np.r_[np.ones(4), np.full(3, 5.0)]
    losses = [t.objective.evaluate(W, b, 0.0, tol=TIGHT).loss for W, b in ((t.W, t.b), (t.W * scale, 5.0 * t.b))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_states_do_not_depend_on_where_they_start():
    t = make_problem(8, "relu")
    cold = t.objective.evaluate(t.W, t.b, 0.01, tol=1e-12)
    elsewhere = 10 * t.rng.random(cold.states.shape)
    warm = t.objective.evaluate(t.W, t.b, 0.01, start=replace(cold, states=elsewhere), tol=1e-12)
    np.testing.assert_allclose(warm.states, cold.states, rtol=1e-9, atol=1e-9)
    adjoints = [t.objective.gradient(cold, s).adjoint for s in (None, t.rng.normal(size=cold.states.shape))]
    np.testing.assert_allclose(adjoints[0], adjoints[1], rtol=1e-8, atol=1e-9)


def test_curvature_is_positive_even_without_a_residual():
    t = make_problem(9, "identity", q=1)
    objective = SquaredObjective(Samples(t.U, t.U @ np.ones((3, 1))), ACTIVATIONS["identity"], True)
    gradient = objective.gradient(objective.evaluate(t.W, t.b, 0.0, tol=TIGHT))
    assert np.all(gradient.curvature > 0) and np.isfinite(gradient.curvature).all()


@every_activation
@with_or_without
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_where_nothing_recurs_the_moments_with_inputs_are_not_missed(name, centre, make):
    t = make_problem(11, name, centre, direct=False, make=make)
    W = np.hstack([np.zeros((4, 4)), t.W[:, 4:]])
    samples, activation = t.objective.samples, t.objective.activation
    whole, bare = (SquaredObjective(samples, activation, False, recurrent=recurrent) for recurrent in (True, False))
    ends = [objective.evaluate(W, t.b, 0.02, tol=TIGHT) for objective in (whole, bare)]
    assert ends[0].moments.XU.any() and not ends[1].moments.XU.any()
    assert ends[0].objective == ends[1].objective
    np.testing.assert_array_equal(ends[0].point.readout.C, ends[1].point.readout.C)
    gradients = [objective.gradient(end) for objective, end in zip((whole, bare), ends, strict=True)]
    np.testing.assert_array_equal(gradients[0].W[:, 4:], gradients[1].W[:, 4:])
    np.testing.assert_array_equal(gradients[0].b, gradients[1].b)
    # A direct term asks for them all the same.
    direct = SquaredObjective(samples, activation, True, recurrent=False).evaluate(W, t.b, 0.02, tol=TIGHT)
    np.testing.assert_array_equal(direct.moments.XU, ends[0].moments.XU)
