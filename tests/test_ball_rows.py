"""Quadratic programs in l1 balls: the exact minimiser, also where it is not unique."""

import cvxpy as cp
import numpy as np
import pytest

from skimplicit.projections import project_rows_l1
from skimplicit.subproblems.ball_rows import minimise_in_balls

every_seed = pytest.mark.parametrize("seed", range(3))
KINDS = ["well", "ill", "rank one", "equal columns", "zero state"]


def make_rows(seed, kind, k=5, n=6, radius=0.7):
    """Draw rows whose bound is active, in the metric that has ones on the diagonal of H."""
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(k, 4 * n, n))
    if kind == "ill":
        F[:, :, 1:] = F[:, :, :1] + 1e-4 * F[:, :, 1:]
    elif kind == "rank one":
        F = F[:, :1]
    elif kind == "equal columns":
        F[:, :, 1] = F[:, :, 0]
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    if kind == "zero state":
        F[:, :, 0] = 0.0
    H = np.matmul(F.transpose(0, 2, 1), F)
    if kind == "zero state":
        H[:, 0, 0] = 1.0  # what the caller does with a state that never varies
    weights = rng.uniform(0.3, 3.0, size=(k, n))
    target = rng.normal(size=(k, n))
    target *= 4 * radius / (weights * np.abs(target)).sum(axis=1, keepdims=True)
    r = np.matmul(H, target[:, :, None])[:, :, 0]
    start = project_rows_l1(rng.normal(size=(k, n)), radius, weights)
    return H, r, weights, radius, start


def values(H, r, X):
    return 0.5 * np.einsum("ij,ijk,ik->i", X, H, X) - np.sum(r * X, axis=1)


@pytest.mark.slow_cases
@every_seed
@pytest.mark.parametrize("kind", KINDS)
def test_minimum_of_cvxpy(seed, kind):
    H, r, weights, radius, start = make_rows(seed, kind)
    X = minimise_in_balls(H, r, weights, radius, start, 1e-12, 5000)
    assert np.all((weights * np.abs(X)).sum(axis=1) <= radius * (1 + 1e-9))
    for i, value in enumerate(values(H, r, X)):
        x = cp.Variable(r.shape[1])
        objective = cp.quad_form(x, cp.psd_wrap(H[i])) / 2 - r[i] @ x
        cp.Problem(cp.Minimize(objective), [cp.sum(cp.multiply(weights[i], cp.abs(x))) <= radius]).solve(
            solver=cp.CLARABEL
        )
        assert value == pytest.approx(objective.value, rel=1e-6, abs=1e-10)


@pytest.mark.slow_cases
@every_seed
@pytest.mark.parametrize("kind", KINDS)
def test_optimality_conditions(seed, kind):
    # The best vertex of the ball in the direction of the negative gradient is no better than the minimiser.
    H, r, weights, radius, start = make_rows(seed, kind)
    X = minimise_in_balls(H, r, weights, radius, start, 1e-13, 5000)
    gradient = np.matmul(H, X[:, :, None])[:, :, 0] - r
    gap = np.sum(gradient * X, axis=1) + radius * np.max(np.abs(gradient) / weights, axis=1)
    gap_at_zero = radius * np.max(np.abs(r) / weights, axis=1)
    assert np.all(gap <= 1e-6 * gap_at_zero)


@every_seed
def test_rows_do_not_depend_on_each_other(seed):
    H, r, weights, radius, start = make_rows(seed, "well")
    together = minimise_in_balls(H, r, weights, radius, start, 1e-12, 5000)
    for i in range(r.shape[0]):
        alone = minimise_in_balls(H[[i]], r[[i]], weights[[i]], radius, start[[i]], 1e-12, 5000)
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-8, atol=1e-10)


def test_few_iterations_give_a_feasible_descent():
    H, r, weights, radius, start = make_rows(0, "ill")
    X = minimise_in_balls(H, r, weights, radius, start, 1e-12, 1)
    assert np.all((weights * np.abs(X)).sum(axis=1) <= radius * (1 + 1e-9))
    assert np.all(values(H, r, X) <= values(H, r, start) + 1e-12)


@every_seed
@pytest.mark.parametrize("kind", ["ill", "rank one", "equal columns"])
def test_weights_whose_squares_are_no_numbers(seed, kind):
    H, r, weights, radius, start = make_rows(seed, kind)
    weights[:, :2] = 1e-160
    X = minimise_in_balls(H, r, weights, radius, start, 1e-12, 500)
    assert np.all((weights * np.abs(X)).sum(axis=1) <= radius * (1 + 1e-9))
    assert np.isfinite(X).all()


@every_seed
@pytest.mark.parametrize("unit", [1e-100, 1e-8, 1.0, 1e8, 1e100])
def test_nearly_dependent_columns_are_exact_in_any_unit(seed, unit):
    # Gradient steps alone would need tens of thousands.
    H, r, weights, radius, start = make_rows(seed, "ill", n=12)
    X = minimise_in_balls(H, r * unit, weights / unit, radius, start * unit, 1e-12, 24) / unit
    gradient = np.matmul(H, X[:, :, None])[:, :, 0] - r
    gap = np.sum(gradient * X, axis=1) + radius * np.max(np.abs(gradient) / weights, axis=1)
    assert np.all(gap <= 1e-8 * radius * np.max(np.abs(r) / weights, axis=1))


@pytest.mark.parametrize("seed", [9, 22, 37])
def test_weights_many_decades_apart_do_not_end_training(seed):
    rng = np.random.default_rng(seed)
    H, r, weights, _, _ = make_rows(seed, "well", n=8)
    weights = weights * 10.0 ** rng.uniform(-20, 20, size=weights.shape)
    radius = 0.5 * np.sum(weights * np.abs(np.linalg.solve(H, r[:, :, None])[:, :, 0]), axis=1)
    X = minimise_in_balls(H, r, weights, radius, np.zeros_like(r), 1e-10, 24)
    assert np.all((weights * np.abs(X)).sum(axis=1) <= radius * (1 + 1e-9))
