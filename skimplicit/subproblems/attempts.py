"""CVXPY's solvers, one after the other, until one of them solves a program."""

import cvxpy as cp

from skimplicit.quiet import without_warnings

__all__ = ["SOLVERS", "SubproblemError", "solve_by_any", "status_of"]

#: OSQP is fast and warm-starts, Clarabel is accurate and slower: the second takes over where the first gives up. With
#: a stronger regularisation of its linear systems it gets through programs whose numbers are many decades apart. OSQP
#: before 1.0 goes by the clock where no interval is given, and the same program has other last digits on a busy
#: machine.
SOLVERS = (
    (cp.OSQP, {"eps_abs": 1e-8, "eps_rel": 1e-8, "max_iter": 20_000, "adaptive_rho_interval": 50}),
    (cp.CLARABEL, {}),
    (cp.CLARABEL, {"static_regularization_constant": 1e-7}),
)


class SubproblemError(RuntimeError):
    """A convex subproblem could not be solved; the message names the block and the status CVXPY reported."""


def status_of(problem, solver, options, warm_start=True):
    """Run one solver and return the status, whatever happens.

    Parameters
    ----------
    problem : cvxpy.Problem
        The program.
    solver : str
        CVXPY's name of the solver.
    options : dict
        Its options.
    warm_start : bool
        Whether the solver may start from what it has found before.

    Returns
    -------
    str
        CVXPY's status, or what the solver has raised.
    """
    # CVXPY warns about inaccurate solutions; the status says the same and is acted upon.
    with without_warnings(Warning):
        try:
            problem.solve(solver=solver, warm_start=warm_start, **options)
        except cp.error.SolverError as error:
            return f"solver error ({error})"
    return problem.status


def solve_by_any(problem, block, solvers=SOLVERS, warm_start=True):
    """Solve a program by the first of some solvers that can.

    Parameters
    ----------
    problem : cvxpy.Problem
        The program, whose variables have the solution afterwards.
    block : str
        What the program is, for the message.
    solvers : sequence of (str, dict)
        Names of solvers and their options, in turn.
    warm_start : bool
        As for :func:`status_of`.

    Raises
    ------
    SubproblemError
        If none can; the message names the block and has the status of each.
    """
    statuses = []
    for solver, options in solvers:
        status = status_of(problem, solver, options, warm_start)
        if status == cp.OPTIMAL:
            return
        statuses.append(f"{solver}: {status}")
    raise SubproblemError(f"The {block} could not be solved by CVXPY ({'; '.join(statuses)}).")
