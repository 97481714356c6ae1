"""The training set as rows: scaling, moments, and every sum over samples, in memory or in blocks anywhere."""

from skimplicit.rows.blocks import RowBlocks
from skimplicit.rows.columns import in_own_units, unit_of
from skimplicit.rows.dask_store import blocks_of_chunk, is_lazy, open_store
from skimplicit.rows.duplicates import group_sizes, merge_duplicates
from skimplicit.rows.input_range import InputRange
from skimplicit.rows.measuring import measured_units
from skimplicit.rows.moments import Moments
from skimplicit.rows.row_sources import SelectedColumns, reads_rows, release_rows
from skimplicit.rows.samples import LARGEST_MATRIX, Samples
from skimplicit.rows.stores import ArrayStore, block_size
from skimplicit.rows.subsample import draw_rows, evenly_spaced
from skimplicit.rows.sums import Sums
from skimplicit.rows.units import ROUNDING, Units

__all__ = [
    "ArrayStore",
    "InputRange",
    "LARGEST_MATRIX",
    "Moments",
    "ROUNDING",
    "RowBlocks",
    "Samples",
    "SelectedColumns",
    "Sums",
    "Units",
    "block_size",
    "blocks_of_chunk",
    "draw_rows",
    "evenly_spaced",
    "group_sizes",
    "in_own_units",
    "is_lazy",
    "measured_units",
    "merge_duplicates",
    "open_store",
    "reads_rows",
    "release_rows",
    "unit_of",
]
