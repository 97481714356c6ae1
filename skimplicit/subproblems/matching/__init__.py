"""The matching problem (A and B, given wanted pre-activations) and the solvers that take it."""

from skimplicit.subproblems.matching.problem import MatchingProblem
from skimplicit.subproblems.matching.projected_solver import ProjectedSolver

__all__ = [
    "MatchingProblem",
    "ProjectedSolver",
]
