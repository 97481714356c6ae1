"""``V V'`` is the second derivative of a loss by the predictions."""

import numpy as np
import pytest

from skimplicit.losses import CrossEntropyLoss, SquaredLoss

STEP = 1e-5


@pytest.mark.parametrize("loss", [SquaredLoss(), CrossEntropyLoss()], ids=["squared", "cross-entropy"])
@pytest.mark.parametrize("q", [1, 3, 5])
def test_equals_finite_differences(loss, q):
    rng = np.random.default_rng(q)
    F = 2 * rng.normal(size=(12, q))
    Y = np.eye(max(q, 2))[rng.integers(0, max(q, 2), 12)][:, -q:]
    V = loss.curvature_root(F, Y)
    second = np.stack(
        [(loss.gradient(F + STEP * e, Y) - loss.gradient(F - STEP * e, Y)) / (2 * STEP) for e in np.eye(q)], 2
    )
    assert V.shape[:2] == (12, q)
    np.testing.assert_allclose(V @ V.transpose(0, 2, 1), second, atol=1e-9)


def test_is_finite_where_a_probability_rounds_to_zero():
    for F in (np.array([[800.0, 0.0, -800.0]]), np.array([[800.0]])):
        V = CrossEntropyLoss().curvature_root(F, np.zeros_like(F))
        assert np.isfinite(V).all() and np.abs(V @ V.transpose(0, 2, 1)).max() < 1e-12
