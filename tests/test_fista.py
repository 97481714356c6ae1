"""Accelerated projected gradient finds minima of constrained problems."""

import numpy as np
import pytest

from skimplicit.subproblems.fista import fista


@pytest.mark.parametrize("condition", [1.0, 1e3])
def test_fista_solves_a_bound_constrained_problem(condition):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    H = Q * np.geomspace(1.0, 1.0 / condition, 6) @ Q.T
    r = rng.normal(size=(1, 6))
    X = fista(lambda X: X @ H - r, lambda X: np.maximum(X, 0.0), 1.0, np.zeros((1, 6)), 1e-14, 20_000)
    slope = X @ H - r
    assert X.min() >= 0
    assert slope.min() >= -1e-8
    assert np.abs(slope * X).max() <= 1e-8
