"""Rules that are certified as monotone have one equilibrium, which the splitting finds at the rate it promises."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skimplicit.activations import get_activation
from skimplicit.equilibrium import solve_equilibrium
from skimplicit.wellposedness import (
    Condition,
    diagonal_scaling,
    monotone,
    monotone_amplification,
    resolvent_rate,
    well_posedness,
)

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_rate_of_the_splitting(seed):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(6, 6))
    A = 3 * (S - S.T) + 0.3 * np.eye(6)  # far outside all norms, but I - A is monotone
    report = well_posedness(A, "tanh")
    assert report.condition is Condition.MONOTONE and report.method == "peaceman_rachford" and 0 < report.rate < 1
    z = rng.normal(size=(10, 6))
    found = solve_equilibrium(A, z, get_activation("tanh"), method="peaceman_rachford")
    assert found.converged.all()
    assert_allclose(found.states, np.tanh(found.states @ A.T + z), atol=1e-9)
    assert found.n_iter.max() <= report.n_iterations(1e-14)
    assert np.all(np.abs(found.states - np.tanh(found.states @ A.T + z)).max(axis=1) <= found.error_bound + 1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_monotone_in_a_diagonal_metric(seed):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(5, 5))
    scale = 10.0 ** rng.uniform(-1, 1, size=5)
    A = (2 * (S - S.T) + 0.3 * np.eye(5)) * scale[:, None] / scale
    assert well_posedness(A, lmi=False).condition is Condition.NONE
    report = well_posedness(A)
    assert report.condition is Condition.MONOTONE
    M = np.diag(report.weights) @ (np.eye(5) - A)
    assert np.linalg.eigvalsh(M + M.T)[0] > 0
    z = rng.normal(size=(4, 5))
    found = solve_equilibrium(A, z, get_activation("relu"), method="peaceman_rachford")
    assert found.converged.all()
    assert_allclose(found.states, np.maximum(found.states @ A.T + z, 0), atol=1e-8)
    assert diagonal_scaling(np.array([[2.0]])) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_no_program_looks_for_a_metric_that_eigenvalues_exclude(seed, monkeypatch):
    searched = []
    monkeypatch.setattr(monotone, "_search", searched.append)
    A = np.abs(np.random.default_rng(seed).normal(size=(30, 30))) * 4 / 30  # an eigenvalue of about 3.2
    assert well_posedness(A).condition is Condition.NONE and not searched


@pytest.mark.parametrize(
    "weights",
    [np.outer(np.eye(17)[0], np.arange(17) > 0) / 4, np.full((9, 9), 0.1), np.zeros((2, 2))],
    ids=["one row", "all", "none"],
)
@pytest.mark.parametrize("metric", [np.ones, lambda n: np.linspace(1.0, 1.5, n)], ids=["plain", "scaled"])
def test_residuals_are_amplified_by_no_more_than_is_said(weights, metric):
    n = len(weights)
    bound = monotone_amplification(weights, metric(n))
    rng = np.random.default_rng(0)
    for slopes in (np.ones(n), *rng.uniform(size=(5, n))):
        assert np.abs(np.linalg.inv(np.eye(n) - slopes[:, None] * weights)).sum(axis=1).max() <= bound


def test_the_rate_is_the_norm_of_the_reflections_in_the_metric():
    rng = np.random.default_rng(0)
    A, metric = rng.normal(size=(4, 4)) - np.eye(4), rng.uniform(1.0, 2.0, size=4)
    root, M = np.diag(np.sqrt(metric)), np.eye(4) - A
    reflected = root @ (np.eye(4) - M) @ np.linalg.inv(np.eye(4) + M) @ np.linalg.inv(root)
    assert_allclose(resolvent_rate(A, metric), np.linalg.norm(reflected, 2), rtol=1e-12)


@pytest.mark.parametrize("loop", [1 - 1e-12, 1.0])
def test_a_margin_that_rounding_could_have_made_is_none(loop):
    assert diagonal_scaling(np.array([[loop, -5.0], [5.0, loop]]), lmi=False) is None
    assert diagonal_scaling(np.array([[loop - 1e-6, -5.0], [5.0, loop - 1e-6]]), lmi=False) is not None
