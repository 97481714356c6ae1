"""Trust in a rule: bounds on its outputs, certified labels, attacks, Lipschitz constants and proofs of monotony."""

from skimplicit.robustness.attack import attack
from skimplicit.robustness.bounds import output_bounds
from skimplicit.robustness.certificates import certified_radius, certify
from skimplicit.robustness.lipschitz import lipschitz_bound
from skimplicit.robustness.monotonicity import is_monotone, monotone_directions

__all__ = [
    "attack",
    "certified_radius",
    "certify",
    "is_monotone",
    "lipschitz_bound",
    "monotone_directions",
    "output_bounds",
]
