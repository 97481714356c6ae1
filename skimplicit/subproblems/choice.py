"""Which solvers take the equilibrium block."""

from skimplicit.subproblems.curvature import WorkingSetSolver
from skimplicit.subproblems.matching import ProjectedSolver

__all__ = ["make_curvature_solver", "make_solver"]

# Inside training a matching program is one step of many. Without a budget its exact solution costs no more than a good
# one. For degenerate programs, which no linear system finishes, and under a budget, where projected gradient is slow, a
# good feasible point will do, for the step is judged by the true objective.
_TRAINING_TOL, _MAX_ITER, _BUDGET_MAX_ITER = 1e-9, 600, 5
# The same for a curvature program whose active sets do not settle.
_SPLITTING_TOL, _SPLITTING_MAX_ITER = 1e-4, 60


def make_solver(name, custom_constraints):
    """Return a solver of the matching block.

    Parameters
    ----------
    name : {"auto", "cvxpy", "projected"}
        ``auto`` takes CVXPY for custom constraints and the projected solver otherwise: it is faster at every size
        measured (table in ``benchmarks/README.md``) and finds the same minimum.
    custom_constraints : bool
        Whether there are constraints that only CVXPY can take.

    Returns
    -------
    object with ``solve(matching, start)``
        The solver.

    Raises
    ------
    ValueError
        If the named solver cannot take the constraints.
    """
    if name == "projected" and custom_constraints:
        raise ValueError("solver='projected' cannot take custom constraints; use solver='cvxpy' or 'auto'.")
    if name == "cvxpy" or custom_constraints:
        from skimplicit.subproblems.matching.cvxpy_solver import CvxpySolver

        return CvxpySolver()
    return ProjectedSolver(_TRAINING_TOL, _MAX_ITER, _BUDGET_MAX_ITER)


def make_curvature_solver(name, custom_constraints):
    """Return a solver of the curvature block.

    Parameters
    ----------
    name : {"auto", "cvxpy", "projected"}
        As for :func:`make_solver`.
    custom_constraints : bool
        Whether there are constraints that only CVXPY can take.

    Returns
    -------
    object with ``solve(problem)``
        The solver.
    """
    if name == "cvxpy" or custom_constraints:
        from skimplicit.subproblems.curvature.cvxpy_solver import CvxpyCurvatureSolver

        return CvxpyCurvatureSolver()
    return WorkingSetSolver(_SPLITTING_TOL, _SPLITTING_MAX_ITER)
