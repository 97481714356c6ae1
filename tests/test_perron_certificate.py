"""Well-posedness: the certificate exists exactly when the Perron-Frobenius value is below 1, and bounds errors.

The spectrum is known by construction (blocks scaled to a chosen value, stacked into reducible matrices), so that no
eigenvalue of a defective matrix has to be trusted.
"""

import numpy as np
import pytest
from scipy import sparse

from skimplicit.activations import ACTIVATIONS
from skimplicit.wellposedness import mu_inf, perron_certificate, perron_frobenius, report

every_seed = pytest.mark.parametrize("seed", range(2))


def irreducible(rng, n, value):
    """Return a matrix of mixed signs whose absolute values have the Perron-Frobenius value ``value``."""
    A = rng.uniform(0.1, 1.0, size=(n, n)) * rng.choice([-1.0, 1.0], size=(n, n))
    return A * (value / np.abs(np.linalg.eigvals(np.abs(A))).max())


def reducible(rng, sizes, value):
    """Return a hidden block triangular matrix: one block has the value, the others less, what links them is large."""
    values = [value, *rng.uniform(0.0, 0.9 * value, size=len(sizes) - 1)]
    A = np.triu(rng.normal(scale=10.0, size=(sum(sizes), sum(sizes))))
    first = 0
    for size, block_value in zip(sizes, rng.permutation(values), strict=True):
        A[first : first + size, first : first + size] = irreducible(rng, size, block_value)
        A[first + size :, first : first + size] = 0.0
        first += size
    order = rng.permutation(sum(sizes))
    return A[np.ix_(order, order)]


@every_seed
@pytest.mark.parametrize("sizes", [(1,), (7,), (1, 1, 1), (2, 1, 4), (5, 5)], ids=str)
@pytest.mark.parametrize("value", [1e-3, 0.5, 0.99, 1 - 1e-6, 1 + 1e-6, 1.01, 3.0, 100.0])
def test_certificate_exists_exactly_below_one(seed, sizes, value):
    A = reducible(np.random.default_rng(seed), sizes, value)
    v = perron_certificate(A)
    assert (v is not None) == (value < 1)
    if v is not None:
        rounding = 1e-14 * v.max() * v.size
        assert np.all(v >= 1 - rounding)
        np.testing.assert_allclose(v, np.abs(A) @ v + 1.0, rtol=1e-12, atol=rounding)


@every_seed
@pytest.mark.parametrize("n", [1, 3, 8])
def test_nilpotent_matrix_is_certified_however_large(seed, n):
    A = np.triu(np.random.default_rng(seed).normal(scale=30.0, size=(n, n)), k=1)
    assert perron_certificate(A) is not None
    assert perron_certificate(A.T) is not None


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize(
    "matrix",
    [np.eye, lambda n: -np.eye(n), lambda n: np.roll(np.eye(n), 1, axis=0), lambda n: np.triu(np.ones((n, n)))],
    ids=["identity", "minus identity", "cycle", "triangular"],
)
def test_value_of_exactly_one_is_not_certified(matrix, n):
    assert perron_certificate(matrix(n)) is None
    assert perron_certificate(0.5 * matrix(n)) is not None


@pytest.mark.parametrize("n", [0, 1, 4])
def test_zero_matrix_has_the_certificate_one(n):
    np.testing.assert_array_equal(perron_certificate(np.zeros((n, n))), np.ones(n))


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_matrix_that_is_not_finite_is_not_certified(entry):
    with np.errstate(invalid="ignore"):
        assert perron_certificate(np.array([[0.1, entry], [0.0, 0.1]])) is None


@every_seed
@pytest.mark.parametrize("slope", [0.25, 1.0, 1.13])
def test_slope_scales_the_matrix_and_signs_do_not_matter(seed, slope):
    A = irreducible(np.random.default_rng(seed), 6, 0.95)
    expected = perron_certificate(np.abs(slope * A))
    certificate = perron_certificate(A, slope)
    assert (certificate is None) == (expected is None) == (0.95 * slope >= 1)
    if expected is not None:
        np.testing.assert_allclose(certificate, expected, rtol=1e-12)


@every_seed
@pytest.mark.parametrize("norm", [0.3, 0.95, 0.999])
def test_norm_below_one_is_enough_and_bounds_the_certificate(seed, norm):
    A = np.random.default_rng(seed).normal(size=(9, 9))
    A *= norm / np.abs(A).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(perron_certificate(A), 1.0 / (1.0 - norm), rtol=1e-10)
    A[0] = 0.0
    assert perron_certificate(A).max() <= (1.0 + 1e-10) / (1.0 - norm)


@every_seed
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=str)
def test_certificate_bounds_the_distance_to_the_solution(seed, activation):
    rng = np.random.default_rng(seed)
    A = reducible(rng, (3, 1, 2), 0.7 / activation.lipschitz)
    z, x = rng.normal(size=(2, 6))
    solution = activation(z)
    for _ in range(400):
        solution = activation(A @ solution + z)
    v = perron_certificate(A, activation.lipschitz)
    for _ in range(20):  # along the iteration from a random point, the bound stays one
        following = activation(A @ x + z)
        error, residual = np.abs(x - solution), np.abs(x - following)
        bound = np.linalg.solve(np.eye(6) - activation.lipschitz * np.abs(A), residual)
        rounding = 1e-12 * (np.abs(solution).max() + bound.max())
        assert np.all(error <= bound * (1 + 1e-9) + rounding)
        assert error.max() <= v.max() * residual.max() * (1 + 1e-9) + rounding
        x = following


@every_seed
def test_bound_is_attained_by_a_linear_rule(seed):
    rng = np.random.default_rng(seed)
    A, z = np.abs(reducible(rng, (2, 3), 0.8)), rng.normal(size=5)
    v, solution = perron_certificate(A), np.linalg.solve(np.eye(5) - A, z)
    x = solution + v
    residual = np.abs(x - (A @ x + z)).max()
    assert np.abs(x - solution).max() == pytest.approx(v.max() * residual, rel=1e-9)


def random_sparse(n, norm):
    """Return a sparse matrix of some five entries in a row that sum to ``norm``: nearly all states need one another."""
    A = sparse.random_array((n, n), density=5 / n, rng=np.random.default_rng(0), format="csr")
    A.data -= 0.5
    return sparse.csr_array(sparse.diags_array(norm / np.maximum(abs(A).sum(axis=1), 1e-9)) @ A)


@pytest.mark.parametrize("norm", [0.5, 0.99, 1 - 1e-5])
def test_many_states_at_random_are_certified_without_a_factorisation(norm, monkeypatch):
    monkeypatch.setattr(report, "splu", None)  # it fills up: an hour, and gigabytes, for these
    A = random_sparse(20_000, norm)
    v = perron_certificate(A)
    np.testing.assert_allclose(v - abs(A) @ v, 1.0, rtol=1e-8)
    assert perron_certificate(A, slope=1.1 / norm) is None


@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_the_largest_eigenvalue_of_many_states_at_random_needs_no_others(shift, monkeypatch):
    A = random_sparse(800, 0.9)
    A = sparse.csr_array(A + shift * sparse.eye_array(800))
    expected = mu_inf(A.toarray())
    of_dense, sizes = np.linalg.eigvals, []
    monkeypatch.setattr(np.linalg, "eigvals", lambda M: sizes.append(len(M)) or of_dense(M))
    assert mu_inf(A) == pytest.approx(expected, rel=1e-8)
    assert max(sizes, default=0) < 10  # minutes for some thousands


def test_the_largest_eigenvalue_of_a_long_chain_of_loops_is_that_of_all():
    # Far from normal: an iteration comes to no end.
    A = sparse.diags_array([np.full(599, 2.0), np.full(599, 1e-3)], offsets=[1, -1], format="csr")
    assert perron_frobenius(A) == pytest.approx(perron_frobenius(A.toarray()), rel=1e-9)
    rows = np.arange(600)
    cycle = sparse.csr_array((np.full(600, 0.7), (rows, np.roll(rows, 1))), shape=(600, 600))
    assert perron_frobenius(cycle) == pytest.approx(0.7)


def test_a_long_chain_of_loops_is_certified_by_its_factorisation():
    n = 600  # the iteration passes one state in a step
    A = sparse.diags_array([np.full(n - 1, 0.99), np.full(n - 1, 1e-3)], offsets=[1, -1], format="csr")
    v = perron_certificate(A)
    np.testing.assert_allclose(v, np.linalg.solve(np.eye(n) - A.toarray(), np.ones(n)), rtol=1e-9)
    assert perron_certificate(A, slope=20.0) is None
