"""Samples held out, for a training method that stops early."""

import numpy as np
from sklearn.model_selection import train_test_split

__all__ = ["validation_split"]


def validation_split(U, Y, fraction, stratify, random_state):
    """Split the rows into those to train on and those to judge by.

    Parameters
    ----------
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct samples.
    fraction : float
        Share of the rows to judge by, in (0, 1).
    stratify : bool
        Whether every class goes to both sides in its proportion.
    random_state : int, RandomState instance or None
        Source of the choice.

    Returns
    -------
    train, test : ndarray of int
        The rows.

    Raises
    ------
    ValueError
        If a side would be empty, or would miss a class that has more than one sample.
    """
    rows = np.arange(U.shape[0])
    labels = Y @ np.arange(1, Y.shape[1] + 1) if stratify else np.zeros(U.shape[0])
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone = (counts[codes] == 1) & stratify  # the only sample of a class is one to train on
    try:
        train, test = train_test_split(
            rows[~alone],
            test_size=fraction,
            random_state=random_state,
            stratify=codes[~alone],
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True cannot hold out validation_fraction={fraction} of the distinct "
            f"samples, n_samples={U.shape[0]}: {error}"
        ) from error
    train = np.concatenate([train, rows[alone]])
    return np.sort(train), np.sort(test)
