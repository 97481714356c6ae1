"""The equilibrium of a rule: the loops that solve for it, the methods to choose from, and its adjoint."""

from skimplicit.equilibrium.fixed_point import FixedPoint, Status, adjoint, equilibrium
from skimplicit.equilibrium.methods import METHODS, choose_method, error_amplification, solve_equilibrium
from skimplicit.equilibrium.substitution import Substitution

__all__ = [
    "FixedPoint",
    "METHODS",
    "Status",
    "Substitution",
    "adjoint",
    "choose_method",
    "equilibrium",
    "error_amplification",
    "solve_equilibrium",
]
