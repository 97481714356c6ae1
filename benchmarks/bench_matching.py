"""The solvers of the equilibrium block against each other, over states n, inputs p, column budget and l1.

Each solves three programs in a row, as training does: the first pays for compilation. Objectives are relative to
those of CVXPY.
"""

from time import perf_counter

import numpy as np

from skimplicit.projections import ColumnBudget
from skimplicit.subproblems import MatchingProblem, ProjectedSolver
from skimplicit.subproblems.matching.cvxpy_solver import CvxpySolver

GRID = [
    (5, 10, None, None),
    (10, 50, None, None),
    (10, 50, 3.0, None),
    (20, 50, None, None),
    (20, 50, 3.0, None),
    (10, 50, None, 0.003),
    (10, 50, None, 0.03),
    (20, 50, None, 0.003),
    (20, 50, None, 0.03),
    (20, 50, 3.0, 0.03),
]


def problems(n, p, budget, l1):
    rng = np.random.default_rng(0)
    F = rng.normal(size=(400, n + p)) @ np.diag(np.geomspace(1, 0.05, n + p))
    options = {"column_budget": budget and ColumnBudget(budget), "l1": None if l1 is None else np.full((n, n + p), l1)}
    for _ in range(3):
        T = F @ rng.normal(size=(n + p, n)) + 0.1 * rng.normal(size=(400, n))
        yield MatchingProblem(F.T @ F / 400, T.T @ F / 400, np.ones(n), 1e-3, kappa=0.95, **options)


def run(solver, *line):
    values, seconds = [], []
    for problem in problems(*line):
        start = np.zeros_like(problem.R)
        begin = perf_counter()
        W = solver.solve(problem, start)
        seconds.append(perf_counter() - begin)
        values.append(problem.value(W))
    return np.array(values), seconds[0], np.mean(seconds[1:])


if __name__ == "__main__":
    print("| n | p | budget | l1 | time CVXPY / projected: first | again | projected - CVXPY objective, relative |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for line in GRID:
        reference, first, again = run(CvxpySolver(), *line)
        values, fast_first, fast_again = run(ProjectedSolver(), *line)
        difference = np.max((values - reference) / np.abs(reference))
        ratios = f"{first / fast_first:.3g} | {again / fast_again:.3g}"
        print(f"| {' | '.join(map(str, line))} | {ratios} | {difference:.1e} |", flush=True)
