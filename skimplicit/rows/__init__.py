"""The training set as rows: scaling, moments, and every sum over samples."""

from skimplicit.rows.duplicates import merge_duplicates
from skimplicit.rows.input_range import InputRange
from skimplicit.rows.samples import Moments, Samples

__all__ = [
    "InputRange",
    "Moments",
    "Samples",
    "merge_duplicates",
]
