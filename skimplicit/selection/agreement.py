"""Inputs that stand in for one another where folds vote on what is selected."""

import numpy as np

from skimplicit.rows.columns import in_own_units, shares

__all__ = ["stand_ins"]

# Absolute correlation from which one input stands in for another.
_ALIKE = 0.6
# Deviation, as a share of the largest entry, up to which an input is constant but for rounding.
_ROUNDING = 1e-12


def stand_ins(X, weights, labels):
    """Return which inputs (groups) are so correlated that a fold may select one in place of the other.

    Parameters
    ----------
    X : ndarray of shape (m, k)
        The inputs.
    weights : ndarray of shape (m,)
        Weights of the rows, positive.
    labels : ndarray of int of shape (k,)
        The group of each.

    Returns
    -------
    ndarray of bool of shape (n, n)
        Whether an input of one group, the groups in order, and one of another have a correlation of at least 0.6 or at
        most -0.6; True on the diagonal.

    Notes
    -----
    Source: Faletto and Bien (2022), cluster stability selection: equally good inputs share the votes that one of them
    alone would have.
    """
    weights = shares(weights)
    Z = in_own_units(X)[0]
    Z = np.sqrt(weights)[:, None] * (Z - weights @ Z)
    lengths = np.linalg.norm(Z, axis=0)
    Z /= np.where(lengths > _ROUNDING, lengths, np.inf)  # a constant is like none
    members = labels[:, None] == np.unique(labels)
    return (members.T @ (np.abs(Z.T @ Z) >= _ALIKE) @ members) | np.eye(members.shape[1], dtype=bool)
