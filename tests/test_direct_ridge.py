"""Readouts with a ridge of its own for D are the minimisers of the stated objective."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skimplicit.losses import cross_entropy
from skimplicit.rows import Samples
from skimplicit.subproblems import logistic_readout, ridge_readout

ALPHA = 0.05


def setting(q, classes, centre, n=3, p=4, m=40):
    rng = np.random.default_rng(q)
    U, X = rng.normal(size=(m, p)), rng.normal(size=(m, n)) + 1.0
    if classes:
        Y = np.eye(max(q, 2))[rng.integers(0, max(q, 2), m)][:, -q:]
    else:
        Y = U @ rng.normal(size=(p, q)) + X @ rng.normal(size=(n, q)) + rng.normal(size=(m, q))
    return Samples(U, Y, rng.uniform(0.5, 2.0, m), centre, scale_targets=not classes), X


def best(samples, X, ratio, loss):
    moments = samples.moments(X)
    Xc, Uc = X - moments.X_mean, samples.inputs_times(np.eye(samples.n_inputs))
    n, p, q = X.shape[1], samples.n_inputs, samples.n_outputs

    def split(v):
        C, D, c = np.split(v, [q * n, q * (n + p)])
        return C.reshape(q, n), D.reshape(q, p), c * samples.centre

    def value(v):
        C, D, c = split(v)
        F = Xc @ C.T + Uc @ D.T + c
        losses, slope = loss(F, samples.Y)
        w = samples.weights[:, None] * slope
        gradient = [
            (w.T @ Xc + ALPHA * C).ravel(),
            (w.T @ Uc + ALPHA * ratio * D).ravel(),
            w.sum(axis=0) * samples.centre,
        ]
        ridge = 0.5 * ALPHA * (np.sum(C**2) + ratio * np.sum(D**2))
        return samples.weights @ losses + ridge, np.concatenate(gradient)

    found = minimize(value, np.zeros(q * (n + p + 1)), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000})
    return *split(found.x), found.fun, value


every_setting = [
    pytest.mark.parametrize("q", [1, 3]),
    pytest.mark.parametrize("centre", [True, False]),
    pytest.mark.parametrize("ratio", [0.03, 1.0, 20.0]),
]


def every(test):
    for mark in every_setting:
        test = mark(test)
    return test


@every
def test_ridge_readout(q, centre, ratio):
    samples, X = setting(q, False, centre)
    C, D, c, _, _ = best(samples, X, ratio, lambda F, Y: (0.5 * np.sum((F - Y) ** 2, axis=1), F - Y))
    readout = ridge_readout(samples.moments(X), ALPHA, True, ratio)
    for mine, theirs in ((readout.C, C), (readout.D, D), (readout.c, c)):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@every
def test_logistic_readout(q, centre, ratio):
    samples, X = setting(q, True, centre)

    def loss(F, Y):
        losses, P = cross_entropy(F, Y)
        return losses, P - Y

    C, D, c, value, function = best(samples, X, ratio, loss)
    readout, own_loss = logistic_readout(samples, X, samples.moments(X), ALPHA, True, None, 1e-14, ratio)
    assert own_loss + 0.5 * ALPHA * readout.squared_norm(ratio) == pytest.approx(value, rel=1e-8)
    np.testing.assert_allclose(readout.C, C, atol=1e-4)
    np.testing.assert_allclose(readout.D, D, atol=1e-4)
    # Started at the solution, it stays; the objective never gets worse than that of the start.
    again, again_loss = logistic_readout(samples, X, samples.moments(X), ALPHA, True, readout, 1e-12, ratio)
    assert (
        again_loss + 0.5 * ALPHA * again.squared_norm(ratio)
        <= own_loss + 0.5 * ALPHA * readout.squared_norm(ratio) + 1e-12
    )


def test_squared_norm_weighs_the_direct_term():
    samples, X = setting(1, False, True)
    readout = ridge_readout(samples.moments(X), ALPHA, True, 2.0)
    assert readout.squared_norm(3.0) == pytest.approx(np.sum(readout.C**2) + 3 * np.sum(readout.D**2))
    assert ridge_readout(samples.moments(X), ALPHA, False, 2.0).D is None
