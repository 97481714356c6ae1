"""Losses state the same in numbers and in symbols."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from skimplicit.losses import CrossEntropyLoss, SquaredLoss, cross_entropy

LOSSES = {"squared": (SquaredLoss(), 3), "classes": (CrossEntropyLoss(), 3), "two classes": (CrossEntropyLoss(), 1)}

every_loss = pytest.mark.parametrize("kind", LOSSES)


def targets(rng, kind, m):
    q = LOSSES[kind][1]
    if kind == "squared":
        return rng.normal(size=(m, q))
    return (rng.random((m, 1)) < 0.5).astype(float) if q == 1 else np.eye(q)[rng.integers(q, size=m)]


@every_loss
def test_losses_state_the_same_in_numbers_and_symbols(kind):
    rng = np.random.default_rng(0)
    loss, q = LOSSES[kind]
    Y, predictions = targets(rng, kind, 6), rng.normal(size=(6, q))
    symbol = cp.Variable(predictions.shape)
    expression = loss.to_cvxpy(symbol, Y)
    symbol.value = predictions
    assert expression.is_convex()
    assert expression.value == pytest.approx(loss.value(predictions, Y).sum())
    for s in range(6):

        def of_sample(prediction, s=s):
            return loss.value(prediction[None], Y[[s]])[0]

        def slope_of_sample(prediction, s=s):
            return loss.gradient(prediction[None], Y[[s]])[0]

        hessian = approx_fprime(predictions[s], slope_of_sample, 1e-7)
        np.testing.assert_allclose(
            loss.gradient(predictions, Y)[s], approx_fprime(predictions[s], of_sample, 1e-7), atol=1e-5
        )
        np.testing.assert_allclose(
            loss.second_derivative(predictions, Y)[s], np.diag(np.atleast_2d(hessian)), atol=1e-5
        )
        assert np.linalg.eigvalsh(np.atleast_2d(hessian))[-1] <= loss.curvature(Y) + 1e-5


@pytest.mark.parametrize("shape", [(5, 1), (5, 3)])
def test_cross_entropy_at_extreme_logits(shape):
    logits = np.full(shape, -1e4)
    logits[:, 0] = 1e4
    Y = np.zeros(shape)
    Y[:, 0] = 1.0
    losses, P = cross_entropy(logits, Y)
    np.testing.assert_array_equal(losses, 0.0)
    np.testing.assert_array_equal(P, Y)
    losses, _ = cross_entropy(-logits, Y)
    assert np.all(np.isfinite(losses)) and np.all(losses >= 1e4)
