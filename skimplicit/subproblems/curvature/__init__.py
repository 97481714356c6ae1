"""The equilibrium block by the Gauss-Newton matrix of the fit: all entries of A, B and b together."""

from skimplicit.subproblems.curvature.problem import CurvatureProblem
from skimplicit.subproblems.curvature.working_set import WorkingSetSolver

__all__ = ["CurvatureProblem", "WorkingSetSolver"]
