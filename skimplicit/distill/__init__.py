"""From a trained network to an implicit rule that reproduces its states, and from a rule to a smaller one."""

from skimplicit.distill.architecture import ArchitectureReport
from skimplicit.distill.certificates import drift_bound
from skimplicit.distill.compression import LowRank, Pruning, low_rank, prune
from skimplicit.distill.simplification import Simplification, SimplificationStep, simplify
from skimplicit.distill.state_matching import Distillation, from_states
from skimplicit.distill.teachers import TeacherStates, distill, teacher_states

__all__ = [
    "ArchitectureReport",
    "Distillation",
    "LowRank",
    "Pruning",
    "Simplification",
    "SimplificationStep",
    "TeacherStates",
    "distill",
    "drift_bound",
    "from_states",
    "low_rank",
    "prune",
    "simplify",
    "teacher_states",
]
