"""The weights' block of lifted training: the fast path finds what CVXPY finds."""

import warnings

import cvxpy as cp
import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS
from skimplicit.lifted import DIVERGENCES
from skimplicit.lifted.weights import WeightsProblem, solve_weights
from skimplicit.linalg import Gram, InputMatrix
from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import MatchingProblem, ProjectedSolver
from skimplicit.subproblems.matching.cvxpy_solver import CvxpySolver

NAMES = [activation.name for activation in DIVERGENCES]
every_activation = pytest.mark.parametrize("name", NAMES)


def solved(program):
    """Solve with CVXPY; whether the solution is accurate is for the comparison to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cp.CLARABEL)
    assert program.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
    return program


def weights_problem(name="relu", budget=None, masked=False, custom=None, centre=True, n=3, p=3, m=16, seed=0):
    """Draw states that are not at equilibrium, and a feasible start."""
    rng = np.random.default_rng(seed)
    divergence = DIVERGENCES[ACTIVATIONS[name]]
    samples = Samples(rng.normal(size=(m, p)), rng.normal(size=(m, 1)), rng.uniform(0.5, 2.0, size=m), centre)
    X = divergence.activation(samples.inputs_times(rng.normal(size=(n, p))) + 0.3 * rng.normal(size=(m, n)))
    matching = MatchingProblem(
        G=Gram(np.zeros((n, n)), np.zeros((n, p)), InputMatrix(np.zeros((p, p)))),
        R=np.zeros((n, n + p)),
        curvature=np.ones(n),
        ridge=1e-2,
        kappa=0.5,
        column_budget=budget and ColumnBudget(budget),
        structure=rng.random((n, n)) < 0.5 if masked else None,
        constraints=custom,
    )
    problem = WeightsProblem(divergence, samples, X, rng.uniform(0.5, 2.0, size=n), matching)
    return problem, matching.project(rng.normal(size=(n, n + p))), np.zeros(n)


@pytest.mark.slow_cases
@pytest.mark.parametrize(
    ("name", "budget", "masked"),
    # With and without a mask for each activation and for each budget.
    [(name, budget, (i + j) % 2 == 1) for i, name in enumerate(NAMES) for j, budget in enumerate((None, 1.0))],
)
def test_weights_are_the_minimiser_of_cvxpy(name, budget, masked):
    problem, W, b = weights_problem(name, budget, masked, centre=not masked)
    before = problem.value(W, b)
    W, b = solve_weights(problem, ProjectedSolver(), W, b, 1e-12, 3000)
    program, _, symbol_b = problem.to_cvxpy()
    solved(program)
    np.testing.assert_allclose(problem.matching.project(W), W, atol=1e-9)
    assert problem.value(W, b) < before
    assert problem.value(W, b) == pytest.approx(program.value, rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(b, symbol_b.value, atol=2e-3)


def _signs(A, B):
    return [B >= 0]


@pytest.mark.slow
def test_custom_constraints_through_cvxpy():
    problem, W, b = weights_problem(custom=_signs)
    W, b = solve_weights(problem, CvxpySolver(), np.abs(W), b, 1e-9, 300)
    program, _, _ = problem.to_cvxpy()
    solved(program)
    assert W[:, 3:].min() >= -1e-6
    assert problem.value(W, b) == pytest.approx(program.value, rel=1e-5)


def test_each_matching_program_lowers_the_objective():
    problem, W, b = weights_problem("relu", budget=2.0)
    values = [problem.value(W, b)]
    for _ in range(6):
        W, b = solve_weights(problem, ProjectedSolver(), W, b, 0.0, 1)
        values.append(problem.value(W, b))
    assert np.all(np.diff(values) < 0)
