"""The logistic readout finds the optimum of multinomial logistic regression, and the objective's gradient is right."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from skimplicit.losses import cross_entropy
from skimplicit.rows import Samples
from skimplicit.subproblems import Readout, logistic_readout
from skimplicit.subproblems.readout import logistic


def problem(n_classes, *, centre=True, weighted=False, seed=0, m=80, p=4, n=3):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((m, p)) * (1.0, 3.0, 0.1, 1.0) + 0.5
    states = np.maximum(rng.standard_normal((m, n)), 0.0)
    codes = rng.integers(0, n_classes, m)
    Y = codes[:, None].astype(float) if n_classes == 2 else np.eye(n_classes)[codes]
    weights = rng.integers(1, 4, m).astype(float) if weighted else None
    return Samples(U, Y, weights, centre, scale_targets=False), states, codes


def value(samples, states, moments, readout, alpha):
    logits = (states - moments.X_mean) @ readout.C.T + readout.c
    if readout.D is not None:
        logits = logits + samples.inputs_times(readout.D)
    return samples.mean(cross_entropy(logits, samples.Y)[0]) + 0.5 * alpha * readout.squared_norm()


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centre", [False, True])
def test_readout_is_that_of_logistic_regression(n_classes, direct, weighted, centre):
    samples, states, codes = problem(n_classes, centre=centre, weighted=weighted)
    alpha = 0.03
    moments = samples.moments(states)
    readout, loss = logistic_readout(samples, states, moments, alpha, direct, tol=1e-15)
    features = states - moments.X_mean
    if direct:
        features = np.hstack([features, samples.inputs_times(np.eye(samples.n_inputs))])
    reference = LogisticRegression(C=1.0 / alpha, fit_intercept=centre, tol=1e-10, max_iter=10_000)
    reference.fit(features, codes, sample_weight=samples.weights)
    found = readout.C if readout.D is None else np.hstack([readout.C, readout.D])
    np.testing.assert_allclose(found, reference.coef_, atol=1e-6)
    np.testing.assert_allclose(
        readout.c - readout.c.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-6
    )
    losses = -np.log(reference.predict_proba(features)[np.arange(codes.size), codes])
    assert loss == pytest.approx(samples.mean(losses), rel=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparse_inputs_give_the_same_readout(n_classes):
    rng = np.random.default_rng(0)
    U = np.where(rng.random((80, 4)) < 0.5, rng.standard_normal((80, 4)), 0.0)
    _, states, codes = problem(n_classes)
    Y = codes[:, None].astype(float) if n_classes == 2 else np.eye(n_classes)[codes]
    samples, dense = (Samples(inputs, Y, None, True, scale_targets=False) for inputs in (sparse.csr_array(U), U))
    readouts = [logistic_readout(s, states, s.moments(states), 0.01, True, tol=1e-15)[0] for s in (samples, dense)]
    np.testing.assert_allclose(readouts[0].C, readouts[1].C, atol=1e-9)
    np.testing.assert_allclose(readouts[0].D, readouts[1].D, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_start_with_certain_and_wrong_probabilities(n_classes, size):
    # All probabilities are 0 or 1, so the curvature vanishes; numbers must stay finite and the objective must not rise.
    samples, states, _ = problem(n_classes, m=12)
    moments = samples.moments(states)
    wrong, _ = logistic_readout(samples, states, moments, 1e-3, True)
    start = Readout(-size * wrong.C, -size * wrong.D, -size * (wrong.c + 1.0))
    with np.errstate(over="raise", invalid="raise"):
        found, _ = logistic_readout(samples, states, moments, 1e-3, True, start)
    assert np.isfinite(found.c).all()
    assert value(samples, states, moments, found, 1e-3) <= value(samples, states, moments, start, 1e-3)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
def test_warm_start_never_makes_the_readout_worse(n_classes, tol):
    samples, states, _ = problem(n_classes)
    moments = samples.moments(states)
    start, _ = logistic_readout(samples, states, moments, 1e-3, True, tol=0.5)
    found, _ = logistic_readout(samples, states, moments, 1e-3, True, start, tol)
    best, _ = logistic_readout(samples, states, moments, 1e-3, True, tol=1e-15)
    values = [value(samples, states, moments, readout, 1e-3) for readout in (best, found, start)]
    assert values == sorted(values)
    assert values[1] <= values[0] * (1 + 10 * tol)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1e-8])
def test_separable_classes_without_a_ridge_end_at_a_small_loss(n_classes, alpha):
    codes = np.repeat(np.arange(n_classes), 10)
    Y = codes[:, None].astype(float) if n_classes == 2 else np.eye(n_classes)[codes]
    samples = Samples(np.eye(n_classes)[codes], Y, None, True, scale_targets=False)
    states = np.zeros((codes.size, 1))
    readout, loss = logistic_readout(samples, states, samples.moments(states), alpha, True, tol=1e-6)
    assert np.all(np.isfinite(readout.D)) and np.all(np.isfinite(readout.c))
    assert loss < 1e-4


@pytest.mark.parametrize("size", [1e9, 1e141])
def test_state_that_is_the_same_in_every_row_is_no_signal(size):
    rng = np.random.default_rng(0)
    varying = rng.normal(size=(40, 1))
    Y = (rng.random((40, 1)) < 0.4).astype(float)
    samples = Samples(rng.normal(size=(40, 2)), Y)
    states = np.hstack([np.full((40, 1), size / 3), varying])
    readout, loss = logistic_readout(samples, states, samples.moments(states), 1e-3, False)
    alone, least = logistic_readout(samples, varying, samples.moments(varying), 1e-3, False)
    assert abs(loss - least) < 1e-9
    np.testing.assert_allclose(readout.C[:, 1:], alone.C, rtol=1e-5)


def rare_classes(seed, m=1200):
    """Ten classes, some of them rare, and inputs that are nearly the same: far from a constant curvature."""
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((m, 4))
    U[:, 3] = U[:, 2] + 0.01 * rng.standard_normal(m)
    states = np.maximum(rng.standard_normal((m, 6)), 0.0)
    logits = 3.0 * np.hstack([U, states]) @ rng.standard_normal((10, 10)) - 0.8 * np.arange(10.0)
    Y = np.eye(10)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    return Samples(U, Y, None, True, scale_targets=False), states


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "rows"), [(0, 1024), (1, 500)])
def test_the_hessian_takes_over_where_products_with_it_cost_more(monkeypatch, seed, rows):
    samples, states = rare_classes(seed)
    moments = samples.moments(states)
    monkeypatch.setattr(logistic, "_ROWS", rows)

    def solved():
        products = []
        original = logistic._Features.hessian_times

        def counted(*args):
            products.append(1)
            return original(*args)

        with monkeypatch.context() as patch:
            patch.setattr(logistic._Features, "hessian_times", counted)
            readout, _ = logistic_readout(samples, states, moments, 1e-6, True, tol=1e-12)
        return value(samples, states, moments, readout, 1e-6), len(products)

    reached, products = solved()
    monkeypatch.setattr(logistic, "_MOST_ENTRIES", 0)
    without, more_products = solved()
    assert reached <= without + 1e-9
    assert products < 0.6 * more_products


def test_the_hessian_is_that_of_the_loss():
    samples, states = rare_classes(0, m=200)
    moments = samples.moments(states)
    features = logistic._Features(moments.X_mean, True, 0.5)
    rng = np.random.default_rng(1)
    point, direction = 0.3 * rng.standard_normal((2, 10, 11))
    P, _ = features.look(point, samples, states)
    _, H = features.hessian(samples, states, P)
    _, product = features.hessian_times(direction, samples, states, P)
    np.testing.assert_allclose((H @ direction.ravel()).reshape(10, 11), product, atol=1e-12)
