"""The equilibrium of a rule: the loops that solve for it, the methods to choose from, and its adjoint."""

from skimplicit.equilibrium.adjoint import adjoint, output_adjoints
from skimplicit.equilibrium.fixed_point import FixedPoint, Status, describe
from skimplicit.equilibrium.loop import Stopping, Sweep
from skimplicit.equilibrium.methods import METHODS, choose_method, equilibrium, prepare_method, solve_equilibrium
from skimplicit.equilibrium.substitution import Substitution
from skimplicit.equilibrium.sweeps import AveragedSweep, ForwardSweep, ResolventSweep, residual_amplification

__all__ = [
    "AveragedSweep",
    "FixedPoint",
    "ForwardSweep",
    "METHODS",
    "ResolventSweep",
    "Status",
    "Stopping",
    "Substitution",
    "Sweep",
    "adjoint",
    "choose_method",
    "describe",
    "equilibrium",
    "output_adjoints",
    "prepare_method",
    "residual_amplification",
    "solve_equilibrium",
]
