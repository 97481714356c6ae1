"""From a trained network to an implicit rule that reproduces its states, and from a rule to a smaller one."""

from skimplicit.distill.certificates import drift_bound
from skimplicit.distill.compression import LowRank, Pruning, low_rank, prune
from skimplicit.distill.state_matching import Distillation, from_states
from skimplicit.distill.teachers import TeacherStates, distill, teacher_states

__all__ = [
    "Distillation",
    "LowRank",
    "Pruning",
    "TeacherStates",
    "distill",
    "drift_bound",
    "from_states",
    "low_rank",
    "prune",
    "teacher_states",
]
