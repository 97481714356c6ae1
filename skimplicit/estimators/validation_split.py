"""Samples held out, for a training method that stops early."""

import numpy as np
from sklearn.model_selection import train_test_split

from skimplicit.estimators.repeats import natural_repeats, parts
from skimplicit.rows import merge_duplicates

__all__ = ["validation_split"]

# A share below is that of rounding errors.
_NOTHING = 1e-9


def validation_split(X, targets, fraction, random_state):
    """Split the distinct rows into those to train on and those to judge by.

    A row that was drawn again and again is on both sides with a part of its weight; copies of a row are not.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        Inputs.
    targets : EncodedTargets
        Their targets and weights.
    fraction : float
        Share of the rows to judge by, in (0, 1). Every class goes to both sides in its proportion.
    random_state : int, RandomState instance or None
        Source of the choice.

    Returns
    -------
    train, test : tuple of U, Y and weights
        Distinct rows.

    Raises
    ------
    ValueError
        If a side would be empty, or would miss a class that has more than one sample.
    """
    U, Y, weights, place = merge_duplicates(X, targets.Y, targets.weights, return_place=True)
    m = U.shape[0]
    row, _, share = parts(natural_repeats(U, Y, place, targets.times), round(1 / fraction))
    numbers = np.arange(row.size)
    labels = (np.zeros(m) if targets.scale else Y @ np.arange(1, Y.shape[1] + 1))[row]
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone = (counts[codes] == 1) & (not targets.scale)  # the only sample of a class is one to train on
    try:
        _, test = train_test_split(
            numbers[~alone],
            test_size=fraction,
            random_state=random_state,
            stratify=codes[~alone],
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True cannot hold out validation_fraction={fraction} of the distinct "
            f"samples, n_samples={m}: {error}"
        ) from error
    held_out = np.bincount(row[test], share[test], minlength=m)
    return tuple(_weighted(U, Y, weights, of_side) for of_side in (1.0 - held_out, held_out))


def _weighted(U, Y, weights, shares):
    """Return the rows of which a share is not 0, and their weights."""
    some = np.flatnonzero(shares > _NOTHING)
    return U[some], Y[some], weights[some] * shares[some]
