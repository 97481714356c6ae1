"""Matrices that may be dense or sparse: the order of their states, products and parts."""

from skimplicit.linalg.block_triangular import StateBlock, block_triangular_order
from skimplicit.linalg.sparse_dense import multiply, row_scaled, to_dense, without_diagonal

__all__ = [
    "StateBlock",
    "block_triangular_order",
    "multiply",
    "row_scaled",
    "to_dense",
    "without_diagonal",
]
