"""The readout block: ridge regression from moments alone, as scikit-learn does it from samples."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skimplicit.rows import Samples
from skimplicit.subproblems import Readout, ridge_readout

every_seed = pytest.mark.parametrize("seed", range(3))


def make_samples(seed, centre=True, weighted=False, m=60, p=4, n=3, q=2):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p)) * rng.uniform(0.1, 10, size=p) + rng.normal(size=p)
    Y = rng.normal(size=(m, q)) + 3.0
    X = np.maximum(rng.normal(size=(m, n)), 0.0)
    weights = rng.uniform(0.1, 2.0, size=m) if weighted else None
    return Samples(U, Y, weights, centre=centre), X


@every_seed
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 10.0])
def test_same_as_ridge(seed, direct, centre, weighted, alpha):
    samples, X = make_samples(seed, centre, weighted)
    readout = ridge_readout(samples.moments(X), alpha, direct)
    inputs = samples.inputs_times(np.eye(4))
    F = np.hstack([X, inputs]) if direct else X
    # Ridge minimises the sum of squares: its alpha is ours times the sum of the weights, which is 1 in Samples.
    ridge = Ridge(alpha=alpha, fit_intercept=centre, tol=1e-12, solver="cholesky")
    ridge.fit(F, samples.Y, sample_weight=samples.weights)
    np.testing.assert_allclose(readout.C, ridge.coef_[:, :3], rtol=1e-7, atol=1e-9)
    if direct:
        np.testing.assert_allclose(readout.D, ridge.coef_[:, 3:], rtol=1e-7, atol=1e-9)
    else:
        assert readout.D is None
    mean = samples.moments(X).X_mean
    predictions = (X - mean) @ readout.C.T + readout.c + (inputs @ readout.D.T if direct else 0.0)
    np.testing.assert_allclose(predictions, ridge.predict(F), rtol=1e-7, atol=1e-8)


@every_seed
@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_optimality(seed, alpha):
    # Residuals are orthogonal to the states and the inputs, up to the pull of the ridge.
    samples, X = make_samples(seed, weighted=True)
    moments = samples.moments(X)
    readout = ridge_readout(moments, alpha, True)
    XX, XU, XY, UU, UY = moments.XX, moments.XU, moments.XY, samples.UU, moments.UY
    np.testing.assert_allclose(XX @ readout.C.T + XU @ readout.D.T + alpha * readout.C.T, XY, atol=1e-10)
    np.testing.assert_allclose(XU.T @ readout.C.T + UU @ readout.D.T + alpha * readout.D.T, UY, atol=1e-10)


@pytest.mark.parametrize("degenerate", ["dead state", "equal states", "state is an input", "few samples"])
def test_smallest_solution_without_a_ridge(degenerate):
    samples, X = make_samples(0)
    direct = degenerate == "state is an input"
    if degenerate == "dead state":
        X[:, 1] = 0.0
    elif degenerate == "equal states":
        X[:, 1] = X[:, 0]
    elif degenerate == "state is an input":
        X[:, 1] = samples.inputs_times(np.eye(4))[:, 2]
    else:
        samples, X = make_samples(0, m=3, n=6)
    readout = ridge_readout(samples.moments(X), 0.0, direct)
    F = X - samples.moments(X).X_mean
    if direct:
        F = np.hstack([F, samples.inputs_times(np.eye(4))])
        coefficients = np.hstack([readout.C, readout.D])
    else:
        coefficients = readout.C
    smallest = np.linalg.lstsq(F, samples.Y - samples.Y.mean(axis=0), rcond=1e-10)[0].T
    np.testing.assert_allclose(coefficients @ F.T, smallest @ F.T, atol=1e-7)
    if not direct:  # with D, the elimination of the inputs chooses among the minimisers in its own way
        np.testing.assert_allclose(coefficients, smallest, atol=1e-7)


@pytest.mark.parametrize("direct", [True, False])
def test_constant_inputs_and_sparse_inputs(direct):
    rng = np.random.default_rng(1)
    U = rng.normal(size=(30, 5)) * (rng.random((30, 5)) < 0.4)
    U[:, 2] = 0.0
    Y, X = rng.normal(size=(30, 1)), rng.normal(size=(30, 3))
    dense, csr = Samples(U, Y), Samples(sparse.csr_array(U), Y)
    from_dense, from_csr = (ridge_readout(s.moments(X), 0.1, direct) for s in (dense, csr))
    np.testing.assert_allclose(from_csr.C, from_dense.C, rtol=1e-10)
    if direct:
        np.testing.assert_allclose(from_csr.D, from_dense.D, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(from_dense.D[:, 2], 0.0, atol=1e-15)


def test_squared_norm():
    C, D = np.array([[1.0, 2.0]]), np.array([[3.0]])
    assert Readout(C, D, np.zeros(1)).squared_norm() == 14.0
    assert Readout(C, None, np.zeros(1)).squared_norm() == 5.0
