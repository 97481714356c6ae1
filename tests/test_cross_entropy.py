"""The objective for classes: its gradient is right, and it holds the readout it says it holds."""

import numpy as np
import pytest

from skimplicit.activations import get_activation
from skimplicit.rows import Samples
from skimplicit.training import CrossEntropyObjective


def problem(n_classes, *, centre=True, weighted=False, seed=0, m=80, p=4, n=3):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((m, p)) * (1.0, 3.0, 0.1, 1.0) + 0.5
    states = np.maximum(rng.standard_normal((m, n)), 0.0)
    codes = rng.integers(0, n_classes, m)
    Y = codes[:, None].astype(float) if n_classes == 2 else np.eye(n_classes)[codes]
    weights = rng.integers(1, 4, m).astype(float) if weighted else None
    return Samples(U, Y, weights, centre, scale_targets=False), states, codes


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("centre", [False, True])
def test_gradient_against_finite_differences(activation, n_classes, direct, centre):
    samples, _, _ = problem(n_classes, centre=centre, weighted=True)
    objective = CrossEntropyObjective(samples, get_activation(activation), direct)
    rng = np.random.default_rng(1)
    n, alpha, h, tol = 3, 0.01, 1e-5, 1e-15
    W = rng.standard_normal((n, n + samples.n_inputs)) * 0.2
    b = rng.standard_normal(n) if centre else np.zeros(n)
    evaluation = objective.evaluate(W, b, alpha, tol=tol)
    gradient = objective.gradient(evaluation)
    dW, db = rng.standard_normal(W.shape), rng.standard_normal(n) if centre else np.zeros(n)

    def shifted(t):
        return objective.evaluate(W + t * dW, b + t * db, alpha, start=evaluation, tol=tol).objective

    # gradient.W is for a b that keeps the mean pre-activation: b moves by db + dA @ mean state in these terms.
    lift = db + dW[:, :n] @ evaluation.moments.X_mean
    expected = np.sum(gradient.W * dW) + alpha * np.sum(W * dW) + gradient.b @ lift
    assert (shifted(h) - shifted(-h)) / (2 * h) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_objective_holds_the_readout_of_the_point_nearby_when_its_mean_state_moves(n_classes):
    samples, _, _ = problem(n_classes)
    objective = CrossEntropyObjective(samples, get_activation("relu"), True)
    rng = np.random.default_rng(2)
    W = rng.standard_normal((3, 3 + samples.n_inputs)) * 0.2
    start = objective.evaluate(W, np.zeros(3), 0.01, tol=1e-12)
    # With a tolerance that asks for nothing, the prediction is the same function of the states.
    near = objective.evaluate(W, np.full(3, 0.5), 0.01, start=start, tol=1.0)
    offsets = [e.point.readout.c - e.point.readout.C @ e.moments.X_mean for e in (start, near)]
    np.testing.assert_allclose(*offsets, atol=1e-12)
    np.testing.assert_array_equal(near.point.readout.C, start.point.readout.C)


def test_evaluation_does_not_depend_on_where_it_starts():
    samples, _, _ = problem(3)
    objective = CrossEntropyObjective(samples, get_activation("relu"), True)
    rng = np.random.default_rng(3)
    W, V = rng.standard_normal((2, 3, 3 + samples.n_inputs)) * 0.2
    far = objective.evaluate(V, np.ones(3), 1.0, tol=1e-3)
    cold = objective.evaluate(W, np.zeros(3), 0.01, tol=1e-12)
    warm = objective.evaluate(W, np.zeros(3), 0.01, start=far, tol=1e-12)
    assert warm.objective == pytest.approx(cold.objective, rel=1e-10)
    np.testing.assert_allclose(warm.point.readout.C, cold.point.readout.C, atol=5e-5)


def test_scaled_evaluation_is_the_same_function():
    samples, _, _ = problem(3)
    objective = CrossEntropyObjective(samples, get_activation("relu"), True)
    rng = np.random.default_rng(4)
    W, b = rng.standard_normal((3, 3 + samples.n_inputs)) * 0.2, rng.standard_normal(3)
    evaluation = objective.evaluate(W, b, 0.01, tol=1e-12)
    scaled = evaluation.scaled(0.5)
    expected = objective._predictions(evaluation.states, evaluation.point.X_mean, evaluation.point.readout)
    np.testing.assert_allclose(
        objective._predictions(scaled.states, scaled.point.X_mean, scaled.point.readout), expected, atol=1e-12
    )
    assert evaluation.scaled(1.0) is evaluation
