"""The inputs that training sees where these are fewer than those as given."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from skimplicit.rows.columns import centred_products

__all__ = ["InTurn", "RowSpace", "SomeInputs", "SparseRowSpace"]


@dataclass(frozen=True)
class SomeInputs:
    """Some of the inputs, the others left out.

    Parameters
    ----------
    kept : ndarray of bool of shape (n_given,)
        Which ones.
    """

    kept: np.ndarray

    def of_given(self, weights):
        """Return those of weights of all scaled inputs, shape (..., n_given), that these have, shape (..., p)."""
        return weights[..., self.kept]

    def as_given(self, weights):
        """Return weights of these, shape (k, p), as weights of all scaled inputs, (k, n_given), 0 for the others."""
        given = np.zeros((len(weights), self.kept.size))
        given[:, self.kept] = weights
        return given


@dataclass(frozen=True)
class RowSpace:
    """Coordinates of the inputs along orthonormal axes that span all rows.

    What is orthogonal to every row changes no prediction of them, and only adds to the ridge.

    Parameters
    ----------
    axes : ndarray of shape (n_given, p)
        The axes.
    """

    axes: np.ndarray

    def of_given(self, weights):
        """Return the part of weights of all scaled inputs, shape (k, n_given), along the axes, shape (k, p)."""
        return weights @ self.axes

    def as_given(self, weights):
        """Return weights of the coordinates, shape (k, p), as weights of all scaled inputs, shape (k, n_given)."""
        return weights @ self.axes.T


@dataclass(frozen=True)
class SparseRowSpace:
    """The same, the axes as combinations of centred sparse rows: ``axes = (rows - shift)' mix``, never a matrix.

    Parameters
    ----------
    rows : csr_array of shape (m, n_given)
        Scaled inputs.
    shift : ndarray of shape (n_given,)
        Their means.
    mix : ndarray of shape (m, p)
        What makes axes of the centred rows.
    """

    rows: csr_array
    shift: np.ndarray
    mix: np.ndarray

    def of_given(self, weights):
        """Return the part of weights of all scaled inputs, shape (k, n_given), along the axes, shape (k, p)."""
        return ((self.rows @ weights.T).T - (weights @ self.shift)[:, None]) @ self.mix

    def of_rows(self, rows):
        """Return the coordinates of scaled inputs before they are centred, CSR of shape (k, n_given), shape (k, p)."""
        return centred_products(rows, self.rows, self.shift) @ self.mix

    def as_given(self, weights):
        """Return weights of the coordinates, shape (k, p), as weights of all scaled inputs, shape (k, n_given)."""
        of_rows = weights @ self.mix.T
        return (self.rows.T @ of_rows.T).T - np.outer(of_rows.sum(axis=1), self.shift)


@dataclass(frozen=True)
class InTurn:
    """Coordinates of coordinates.

    Parameters
    ----------
    first, second : SomeInputs, RowSpace or SparseRowSpace
        What is made of the inputs as given, and what of that.
    """

    first: SomeInputs
    second: RowSpace | SparseRowSpace

    def of_given(self, weights):
        """Return weights of all scaled inputs, shape (k, n_given), as those of the coordinates, shape (k, p)."""
        return self.second.of_given(self.first.of_given(weights))

    def as_given(self, weights):
        """Return weights of the coordinates, shape (k, p), as weights of all scaled inputs, shape (k, n_given)."""
        return self.first.as_given(self.second.as_given(weights))
