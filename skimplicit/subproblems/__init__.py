"""The convex subproblems of training, each with the solvers that take it."""

from skimplicit.subproblems.choice import make_curvature_solver, make_solver
from skimplicit.subproblems.curvature import CurvatureProblem, WorkingSetSolver
from skimplicit.subproblems.matching import MatchingProblem, ProjectedSolver
from skimplicit.subproblems.readout import Readout, logistic_readout, ridge_readout

__all__ = [
    "CurvatureProblem",
    "MatchingProblem",
    "ProjectedSolver",
    "Readout",
    "WorkingSetSolver",
    "logistic_readout",
    "make_curvature_solver",
    "make_solver",
    "ridge_readout",
]
