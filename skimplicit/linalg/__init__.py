"""Matrices that may be dense or sparse, and Gram matrices in parts: the order of their states, products and parts."""

from skimplicit.linalg.block_triangular import StateBlock, block_triangular_order, loops_apart, strong_components
from skimplicit.linalg.cholesky import CholeskyFactor
from skimplicit.linalg.gram import MOST_PAIRS, Gram, InputMatrix, InputRows, positive_scales
from skimplicit.linalg.put_rows import put_rows
from skimplicit.linalg.sparse_dense import multiply, row_scaled, to_dense, without_diagonal
from skimplicit.linalg.stored_arrays import MatrixLike, checked_array, parts_of, read_only, same_values

__all__ = [
    "CholeskyFactor",
    "Gram",
    "InputMatrix",
    "InputRows",
    "MOST_PAIRS",
    "MatrixLike",
    "StateBlock",
    "block_triangular_order",
    "checked_array",
    "loops_apart",
    "multiply",
    "parts_of",
    "positive_scales",
    "put_rows",
    "read_only",
    "row_scaled",
    "same_values",
    "strong_components",
    "to_dense",
    "without_diagonal",
]
