import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg

from skimplicit.linalg import CholeskyFactor


@pytest.mark.parametrize("n", [1, 2, 30, 64, 65, 200])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_solution_is_that_of_scipy(n, shape):
    rng = np.random.default_rng(n)
    root, target = rng.normal(size=(n, 2 * n + 2)), rng.normal(size=(n, *shape))
    matrix = root @ root.T
    kept, factor = matrix.copy(), CholeskyFactor(matrix)
    assert_allclose(factor.solve(target), linalg.cho_solve(linalg.cho_factor(matrix), target), rtol=1e-10)
    assert_allclose(factor.diagonal, linalg.cholesky(matrix).diagonal(), rtol=1e-12)
    half = linalg.solve_triangular(linalg.cholesky(matrix, lower=True), target, lower=True)
    assert_allclose(factor.forward(target), half, rtol=1e-9, atol=1e-12 * np.abs(half).max())
    assert_allclose(factor.backward(factor.forward(target)), factor.solve(target), rtol=1e-12)
    assert_array_equal(matrix, kept)


def test_no_equation_has_an_empty_solution():
    for name in ("solve", "forward", "backward"):
        assert getattr(CholeskyFactor(np.zeros((0, 0))), name)(np.zeros((0, 2))).shape == (0, 2)
        assert getattr(CholeskyFactor(np.eye(2)), name)(np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 1.0]], [[0.0]]])
def test_what_has_no_factor_is_refused(matrix):
    with pytest.raises(linalg.LinAlgError, match="positive definite"):
        CholeskyFactor(np.array(matrix))
