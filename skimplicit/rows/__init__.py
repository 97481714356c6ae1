"""The training set as rows: scaling, moments, and every sum over samples."""

from skimplicit.rows.columns import in_own_units, unit_of
from skimplicit.rows.duplicates import merge_duplicates
from skimplicit.rows.input_range import InputRange
from skimplicit.rows.samples import Moments, Samples

__all__ = [
    "InputRange",
    "Moments",
    "Samples",
    "in_own_units",
    "merge_duplicates",
    "unit_of",
]
