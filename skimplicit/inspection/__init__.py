"""Explanations of predictions, and pictures of paths, column norms and rules, which import matplotlib when drawn."""

from skimplicit.inspection._figure import STYLE
from skimplicit.inspection.affine_regions import AffineForms, affine_forms
from skimplicit.inspection.column_norms import ColumnNormsDisplay
from skimplicit.inspection.column_path import ColumnPathDisplay
from skimplicit.inspection.contributions import ContributionsDisplay
from skimplicit.inspection.explanations import Explanation, explain
from skimplicit.inspection.robustness_curve import RobustnessDisplay
from skimplicit.inspection.rule_graph import RuleGraphDisplay
from skimplicit.inspection.rule_pattern import RulePatternDisplay
from skimplicit.inspection.sensitivity_map import SensitivityDisplay

__all__ = [
    "AffineForms",
    "ColumnNormsDisplay",
    "ColumnPathDisplay",
    "ContributionsDisplay",
    "Explanation",
    "RobustnessDisplay",
    "RuleGraphDisplay",
    "RulePatternDisplay",
    "STYLE",
    "SensitivityDisplay",
    "affine_forms",
    "explain",
]
