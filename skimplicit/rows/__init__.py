"""The training set as rows: scaling, moments, and every sum over samples."""

from skimplicit.rows.samples import Moments, Samples, merge_duplicates

__all__ = [
    "Moments",
    "Samples",
    "merge_duplicates",
]
