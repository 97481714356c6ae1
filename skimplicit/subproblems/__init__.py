"""The convex subproblems of training, each with the solvers that take it."""

from skimplicit.subproblems.choice import make_curvature_solver, make_solver
from skimplicit.subproblems.curvature import CurvatureProblem, WorkingSetSolver
from skimplicit.subproblems.matching import MatchingProblem, ProjectedSolver
from skimplicit.subproblems.readout import (
    Readout,
    constrained_logistic_readout,
    constrained_ridge_readout,
    logistic_readout,
    ridge_of_weights,
    ridge_readout,
)
from skimplicit.subproblems.row_sets import RowSet

__all__ = [
    "CurvatureProblem",
    "MatchingProblem",
    "ProjectedSolver",
    "Readout",
    "RowSet",
    "WorkingSetSolver",
    "constrained_logistic_readout",
    "constrained_ridge_readout",
    "logistic_readout",
    "make_curvature_solver",
    "make_solver",
    "ridge_of_weights",
    "ridge_readout",
]
