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
