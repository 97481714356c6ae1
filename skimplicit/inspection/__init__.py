"""Pictures of paths, column norms and rules; matplotlib is imported when something is drawn."""

from skimplicit.inspection.column_norms import ColumnNormsDisplay
from skimplicit.inspection.column_path import ColumnPathDisplay
from skimplicit.inspection.robustness_curve import RobustnessDisplay
from skimplicit.inspection.rule_pattern import RulePatternDisplay

__all__ = [
    "ColumnNormsDisplay",
    "ColumnPathDisplay",
    "RobustnessDisplay",
    "RulePatternDisplay",
]
