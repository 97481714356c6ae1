"""Certificates of well-posedness never promise what does not hold, and what they promise is kept."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import LinearRegression

from skimplicit import ImplicitRule
from skimplicit.activations import BlockActivation, get_activation, max_pool
from skimplicit.equilibrium import Status, solve_equilibrium
from skimplicit.wellposedness import (
    Condition,
    block_norms,
    perron_certificate,
    perron_frobenius,
    well_posedness,
)

SEEDS = range(2)


def is_well_posed_for_relu(A):
    """Brute force: ``x = relu(A x + z)`` has one solution for all z if and only if I - A is a P-matrix."""
    M = np.eye(len(A)) - A
    kept = [np.flatnonzero(pattern) for pattern in product([0, 1], repeat=len(A)) if any(pattern)]
    return all(np.linalg.det(M[np.ix_(rows, rows)]) > 0 for rows in kept)


def solutions_for_relu(A, z):
    """Brute force: the solution of every activation pattern that agrees with it."""
    found = []
    for pattern in product([0.0, 1.0], repeat=len(A)):
        slopes = np.array(pattern)
        x = np.linalg.solve(np.eye(len(A)) - slopes[:, None] * A, slopes * z)
        if np.all((A @ x + z > 0) == (slopes > 0)):
            found.append(x)
    return found


def random_matrices(n_matrices, seed):
    rng = np.random.default_rng(seed)
    for _ in range(n_matrices):
        n = rng.integers(1, 5)
        A = rng.normal(size=(n, n)) * rng.uniform(0.2, 1.2) * (rng.uniform(size=(n, n)) < rng.uniform(0.3, 1.1))
        yield A - np.diag(rng.uniform(0, 3, size=n) * rng.integers(0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_certificates_never_accept_a_rule_without_a_unique_fixed_point(seed):
    seen = set()
    rng = np.random.default_rng(seed)
    for A in random_matrices(150, seed):
        # The semidefinite program is the slow part: on a share of the matrices.
        report = well_posedness(A, lmi=bool(rng.uniform() < 0.2))
        seen.add(report.condition)
        if report:
            assert is_well_posed_for_relu(A), report
            z = rng.normal(size=len(A))
            (x,) = solutions_for_relu(A, z)
            found = ImplicitRule(A, np.eye(len(A)), np.eye(len(A))).solve(z[None])
            assert found.converged.all()
            assert_allclose(found.states[0], x, rtol=1e-7, atol=1e-8)
    assert seen == set(Condition)


def test_brute_force_finds_rules_without_and_with_two_fixed_points():
    assert len(solutions_for_relu(np.array([[2.0]]), np.array([-1.0]))) == 2
    assert len(solutions_for_relu(np.array([[2.0]]), np.array([1.0]))) == 0
    assert not well_posedness(np.array([[2.0]])) and not is_well_posed_for_relu(np.array([[2.0]]))


def test_one_activation_of_groups_for_all_states():
    A = np.array([[0.0, 0.0], [1.5, 0.0]])  # explicit, were not the first state the maximum of both
    assert well_posedness(A, max_pool(2)).condition is Condition.NONE
    assert well_posedness(A / 2, max_pool(2)).condition is Condition.INF_NORM


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "leaky_relu", "gelu"])
def test_error_shrinks_within_the_predicted_iterations(seed, activation):
    phi = get_activation(activation)
    rng = np.random.default_rng(seed)
    seen = set()
    for A in random_matrices(40, seed + 100):
        report = well_posedness(A, phi, lmi=False)
        seen.add(report.condition)
        if report.condition in (Condition.NONE, Condition.MONOTONE):
            continue
        z, X = rng.normal(size=(5, len(A))), rng.normal(size=(5, len(A)))
        solution = solve_equilibrium(A, z, phi, rtol=1e-13)
        # A rule that amplifies errors 100 times or more cannot certify 1e-13.
        assert solution.status in (Status.CONVERGED, Status.PRECISION)
        weights, target = report.weights, 1e-3
        start = np.abs((X - solution.states) / weights).max(axis=1)
        alpha = report.relaxation
        for _ in range(report.n_iterations(target)):
            X = (1 - alpha) * X + alpha * phi(X @ A.T + z)
        end = np.abs((X - solution.states) / weights).max(axis=1)
        reached = target if report.condition is not Condition.EXPLICIT else 0.0
        assert np.all(end <= reached * start + 1e-9)
    assert len(seen) >= 3


def test_report_on_each_condition():
    for A, activation, condition, method in (
        (np.triu(np.full((3, 3), 9.0), 1), "relu", Condition.EXPLICIT, "direct"),
        (np.full((2, 2), 0.4), "relu", Condition.INF_NORM, "picard"),
        (np.full((2, 2), 1.9), "sigmoid", Condition.INF_NORM, "picard"),
        (np.array([[0.5, 9.0], [0.0, 0.5]]), "relu", Condition.PERRON_FROBENIUS, "picard"),
        (np.diag([-3.0, -2.0]), "tanh", Condition.MU_INF, "averaged"),
        (np.diag([-3.0, -2.0]), "gelu", Condition.NONE, None),
        (np.array([[0.0, 5.0], [-5.0, 0.0]]), "tanh", Condition.MONOTONE, "peaceman_rachford"),
        (np.eye(2), "identity", Condition.NONE, None),
    ):
        for matrix in (A, sparse.csr_array(A)):
            report = well_posedness(matrix, activation)
            assert (report.condition, report.method) == (condition, method)
            assert bool(report) == (condition is not Condition.NONE)
            rule = ImplicitRule(matrix, np.eye(len(A)), np.eye(len(A)), activation=activation)
            assert rule.well_posedness().condition is condition
    with pytest.raises(ValueError, match="does not prove"):
        report.n_iterations(1e-3)
    with pytest.raises(ValueError, match="tol must be in"):
        report.n_iterations(0)


@pytest.mark.parametrize("seed", SEEDS)
def test_perron_certificate_of_sparse_and_nilpotent_matrices(seed):
    rng = np.random.default_rng(seed)
    permutation = rng.permutation(30)
    network = np.triu(rng.normal(size=(30, 30)), 1)[np.ix_(permutation, permutation)]
    for A in (network, network + 0.3 * np.eye(30), rng.normal(size=(30, 30)) / 40):
        dense, from_sparse = perron_certificate(A), perron_certificate(sparse.csr_array(A))
        assert_allclose(from_sparse, dense, rtol=1e-6)
        assert_allclose(from_sparse, 1 + np.abs(A) @ from_sparse, rtol=1e-12)
    assert perron_certificate(sparse.csr_array(network + np.eye(30))) is None
    assert perron_certificate(sparse.csr_array(2 * np.eye(3))) is None


@pytest.mark.parametrize("keep", [np.asarray, sparse.csr_array])
def test_certificate_of_a_deep_network_with_large_weights(keep):
    A = np.diag(np.full(39, 30.0), 1)  # the certificate grows to 30^39
    v = perron_certificate(keep(A))
    assert v.max() == pytest.approx(30.0**39 * 30 / 29)
    A[3, 3] = 0.5
    assert perron_certificate(keep(A)) is not None
    A[3, 3] = 1.0
    assert perron_certificate(keep(A)) is None
    A[3, 3] = 0.0
    A[3, 4] = np.inf
    with np.errstate(invalid="ignore"):
        assert perron_certificate(keep(A)) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_rescaling_keeps_outputs_with_groups(seed):
    rng = np.random.default_rng(seed)
    phi = BlockActivation([("relu", 2), (max_pool(3), 6), ("leaky_relu", 2)])
    A, B, C = rng.normal(size=(10, 10)), rng.normal(size=(10, 3)), rng.normal(size=(2, 10))
    A *= 0.8 / perron_frobenius(block_norms(A, 1.0, phi.groups))
    for keep in (np.asarray, sparse.csr_array):
        rule = ImplicitRule(keep(A), keep(B), keep(C), b=rng.normal(size=10), activation=phi)
        rescaled = rule.rescaled(0.85)
        assert rescaled.inf_norm < 0.85
        assert sparse.issparse(rescaled.A) == (keep is sparse.csr_array)
        U = rng.normal(size=(20, 3))
        assert_allclose(rescaled.predict(U), rule.predict(U), rtol=1e-8, atol=1e-8)


def test_rescaling_refuses():
    rule = ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation=BlockActivation([("tanh", 1)]))
    with pytest.raises(ValueError, match="positively homogeneous"):
        rule.rescaled(0.9)
    with pytest.raises(ValueError, match="must exceed"):
        ImplicitRule([[0.5]], [[1.0]], [[1.0]]).rescaled(0.4)


@pytest.mark.parametrize(
    "A", [np.ones((2, 3)), np.ones(3), np.array([[np.nan]]), sparse.csr_array([[np.inf]]), [["a"]], LinearRegression()]
)
def test_what_is_no_square_matrix_of_numbers_is_named(A):
    with pytest.raises(ValueError, match="^A must (be a square matrix|have 2 dim|be an array of finite numbers)"):
        well_posedness(A)


@pytest.mark.parametrize("given", [np.ndarray.tolist, sparse.lil_array, sparse.dia_array, sparse.coo_matrix])
def test_a_matrix_in_any_form(given):
    A = np.array([[0.0, 4.0], [0.125, 0.0]])
    assert well_posedness(given(A)).perron_frobenius == pytest.approx(well_posedness(A).perron_frobenius)


def test_lmi_is_true_or_false():
    with pytest.raises(ValueError, match="^lmi must be True or False, got 'no'"):
        ImplicitRule([[0.5]], [[1.0]], [[1.0]]).well_posedness(lmi="no")


def test_a_rate_that_rounding_could_have_put_below_one_certifies_nothing():
    ring = np.array([[0.0, 2.0], [0.5, 0.0]])
    assert well_posedness((1 - 1e-14) * ring, lmi=False).condition is Condition.NONE
    assert well_posedness((1 - 1e-9) * ring, lmi=False).condition is Condition.PERRON_FROBENIUS
