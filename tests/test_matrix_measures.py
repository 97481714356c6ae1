"""Norms, Perron-Frobenius values and matrix measures are what they say, for dense and sparse matrices and groups."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skimplicit import ImplicitRule
from skimplicit.activations import BlockActivation, max_pool, softmax
from skimplicit.wellposedness import (
    block_norms,
    inf_norm,
    mu_inf,
    perron_certificate,
    perron_frobenius,
    relaxation,
    well_posedness,
)

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(5, 5))
    assert inf_norm(A) == pytest.approx(np.linalg.norm(A, np.inf))
    assert perron_frobenius(A) == pytest.approx(np.abs(np.linalg.eigvals(np.abs(A))).max())
    weights = rng.uniform(0.1, 1, size=5)
    assert mu_inf(A) <= mu_inf(A, weights) and mu_inf(A, weights) <= inf_norm(A * weights / weights[:, None])
    step = 1e-8  # the measure is the derivative of the norm of I + h A
    assert mu_inf(A, np.ones(5)) == pytest.approx((inf_norm(np.eye(5) + step * A) - 1) / step, abs=1e-5)
    permutation = rng.permutation(60)
    network = np.triu(rng.normal(size=(60, 60)), 1)[np.ix_(permutation, permutation)]
    assert perron_frobenius(network) == 0.0 and mu_inf(network) == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_block_norms_and_groups(seed):
    rng = np.random.default_rng(seed)
    phi = BlockActivation([("relu", 2), (max_pool(3), 3), (softmax(2), 4), ("sigmoid", 1)])
    A, groups = rng.normal(size=(10, 10)), phi.groups
    assert groups.tolist() == [0, 1, 2, 2, 2, 3, 3, 4, 4, 5]
    N = block_norms(A, phi.lipschitz, groups)
    gamma = [1, 1, 1, 0.5, 0.5, 0.25]
    for k, row in enumerate(N):
        for j, value in enumerate(row):
            block = A[np.ix_(groups == k, groups == j)]
            assert value == pytest.approx(gamma[k] * np.linalg.norm(block, np.inf))
    assert_allclose(block_norms(sparse.csr_array(A), phi.lipschitz, groups).toarray(), N)
    A *= 0.95 / perron_frobenius(N)
    report = well_posedness(A, phi)
    assert report and report.mu_inf == np.inf
    z, X, Y = rng.normal(size=(4, 10)), rng.normal(size=(4, 10)), rng.normal(size=(4, 10))
    before = np.abs((X - Y) / report.weights).max(axis=1)
    after = np.abs((phi(X @ A.T + z) - phi(Y @ A.T + z)) / report.weights).max(axis=1)
    assert np.all(after <= report.rate * before + 1e-12)
    rule = ImplicitRule(A, np.eye(10), np.eye(10), activation=phi)
    solution = rule.solve(z)
    assert solution.converged.all()
    assert_allclose(solution.states, phi(solution.states @ A.T + z), atol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 7), (0, 0), (0, 3), (3, 0)])
def test_inf_norm_is_the_largest_row_sum(seed, shape):
    A = np.random.default_rng(seed).normal(size=shape)
    expected = max((sum(abs(entry) for entry in row) for row in A), default=0.0)
    assert inf_norm(A) == pytest.approx(expected, rel=1e-14)
    assert inf_norm(sparse.csr_array(A)) == pytest.approx(expected, rel=1e-14)
    assert isinstance(inf_norm(A), float)


@pytest.mark.parametrize("measure", [inf_norm, perron_frobenius, mu_inf, perron_certificate])
@pytest.mark.parametrize("given", [np.ndarray.tolist, sparse.coo_array, sparse.lil_array, sparse.dia_matrix])
def test_a_matrix_in_any_form(measure, given):
    A = np.array([[0.2, -0.5], [0.25, -0.1]])
    assert_allclose(measure(given(A)), measure(A))


@pytest.mark.parametrize("measure", [perron_frobenius, mu_inf, perron_certificate])
def test_what_is_not_square_is_named(measure):
    with pytest.raises(ValueError, match=r"^A must be a square matrix, got an array of shape \(2, 3\)"):
        measure(np.ones((2, 3)))


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, 0.0], [1.0, np.nan], [1.0]])
def test_weights_are_positive(weights):
    with pytest.raises(ValueError, match="^weights must be 2 positive numbers"):
        mu_inf(np.eye(2) / 2, weights)


@pytest.mark.parametrize(("slope", "step"), [(1.0, 1 / 4), (0.25, 4 / 7), (np.array([0.5, 3.0, 9.0]), 1 / 7)])
@pytest.mark.parametrize("given", [np.array, sparse.csr_array])
def test_relaxation_is_by_the_steepest_negative_loop(given, slope, step):
    assert relaxation(given([[-3.0, 9.0, 0.0], [-7.0, -2.0, 0.0], [0.0, 0.0, 0.5]]), slope) == pytest.approx(step)
