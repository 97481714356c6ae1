"""``LowRankForm`` is the ``MatrixForm`` of the same matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import LinAlgError

from skimplicit.linalg import CholeskyFactor
from skimplicit.subproblems.quadratic_forms import LowRankForm, MatrixForm


def forms(k, N, least=1e-2, seed=0):
    """Return the two forms, the second one's matrix computed here."""
    rng = np.random.default_rng(seed)
    root, half = rng.normal(size=(k, N)), rng.normal(size=(N, N))
    inner, added = half @ half.T + np.eye(N), rng.uniform(least, 1.0, k)
    matrix = root @ np.linalg.solve(inner, root.T) + np.diag(added)
    return LowRankForm(root, inner, CholeskyFactor(inner), added), MatrixForm(matrix)


@pytest.mark.parametrize("least", [1e-6, 1e-2])
@pytest.mark.parametrize("shape", [(9, 3), (6, 6), (4, 7), (30, 1)])
def test_the_forms_are_one(shape, least):
    low_rank, dense = forms(*shape, least)
    rng = np.random.default_rng(1)
    x, c = rng.normal(size=shape[0]), rng.normal(size=2)
    assert_allclose(low_rank.matrix, dense.matrix, atol=1e-12)
    assert_allclose(low_rank.times(x), dense.matrix @ x, atol=1e-12)
    for free in (np.arange(shape[0]), np.flatnonzero(x > 0), np.array([1]), np.empty(0, dtype=int)):
        T = rng.normal(size=(free.size, 2))
        inverse = np.linalg.inv(dense.matrix[np.ix_(free, free)])
        for form in (low_rank, dense):
            products, combined = form.solved(free, T)
            assert_allclose(products, T.T @ inverse @ T, rtol=1e-9, atol=1e-9)
            assert_allclose(combined(c), inverse @ T @ c, rtol=1e-9, atol=1e-9)


def test_scales_are_in_the_units_of_the_variables():
    rng = np.random.default_rng(0)
    units, root, added = np.array([1e-9, 1.0, 1e9]), rng.normal(size=(3, 2)), rng.uniform(size=3)
    inner = np.eye(2)
    factor = CholeskyFactor(inner)
    plain = LowRankForm(root, inner, factor, added)
    scaled = LowRankForm(units[:, None] * root, inner, factor, units**2 * added)
    assert_allclose(plain.scales(), MatrixForm(plain.matrix).scales())
    assert_allclose(scaled.scales(), units * plain.scales())
    assert_allclose(MatrixForm(scaled.matrix).scales(), units * plain.scales())


def test_a_singular_matrix_is_an_error():
    with pytest.raises(LinAlgError):
        MatrixForm(np.zeros((2, 2))).solved(np.arange(2), np.ones((2, 1)))
