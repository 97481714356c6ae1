"""The convex subproblems of training, each with the solvers that take it."""

from skimplicit.subproblems.matching import MatchingProblem, ProjectedSolver, make_solver
from skimplicit.subproblems.readout import Readout, logistic_readout, ridge_readout

__all__ = [
    "MatchingProblem",
    "ProjectedSolver",
    "Readout",
    "logistic_readout",
    "make_solver",
    "ridge_readout",
]
