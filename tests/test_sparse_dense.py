"""Products and parts of a matrix are the same, dense or sparse, and stay what the matrix is."""

import numpy as np
import pytest
from scipy import sparse

from skimplicit.linalg import multiply, row_scaled, to_dense, without_diagonal

every_kind = pytest.mark.parametrize("keep", [np.asarray, sparse.csr_array])


@pytest.fixture
def A():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 4)) * (rng.uniform(size=(4, 4)) < 0.7)


@every_kind
def test_product_is_written_where_it_is_asked_for(A, keep):
    X, out = np.arange(8.0).reshape(2, 4), np.full((2, 4), np.nan)
    multiply(X, keep(A), out)
    np.testing.assert_allclose(out, X @ A, rtol=1e-14)


@every_kind
@pytest.mark.parametrize("factors", [2.0, np.array([1.0, 0.0, -2.0, 0.5])], ids=["number", "one for each row"])
def test_rows_are_scaled(A, keep, factors):
    scaled = row_scaled(keep(A), factors)
    assert sparse.issparse(scaled) == sparse.issparse(keep(A))
    np.testing.assert_array_equal(to_dense(scaled), np.diag(np.broadcast_to(factors, 4)) @ A)


@every_kind
@pytest.mark.parametrize("factors", [np.inf, np.array([np.inf, 1.0, 2.0, np.inf])], ids=["number", "one for each row"])
def test_zeros_stay_zeros_in_rows_scaled_by_infinity(A, keep, factors):
    scaled = to_dense(row_scaled(keep(A), factors))
    np.testing.assert_array_equal(scaled[A == 0], 0.0)
    np.testing.assert_array_equal(scaled[A != 0], (np.broadcast_to(factors, 4)[:, None] * np.where(A, A, 1.0))[A != 0])


@every_kind
def test_diagonal_alone_is_taken_away(A, keep):
    rest = without_diagonal(keep(A))
    assert sparse.issparse(rest) == sparse.issparse(keep(A))
    np.testing.assert_array_equal(to_dense(rest), A * (1 - np.eye(4)))


def test_dense_matrix_is_not_copied(A):
    assert to_dense(A) is A
