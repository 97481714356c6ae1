"""Selection of inputs: along a path of column budgets, and by a search over subsets."""

from skimplicit.selection.budget_path import implicit_path
from skimplicit.selection.path import ImplicitPath
from skimplicit.selection.selector import ImplicitFeatureSelector

__all__ = [
    "ImplicitFeatureSelector",
    "ImplicitPath",
    "implicit_path",
]
