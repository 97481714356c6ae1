"""The folds of a cross-fit: drawn from the distinct rows, or by the user's splitter."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

__all__ = ["canonical_order", "shuffled_folds", "user_folds"]

# Folds of the default. With many rows two of the five are held out: they tell enough, and the others cost as much.
_N_FOLDS, _MANY_ROWS, _FEW_FOLDS = 5, 2500, 2
# Entries up to which a sparse matrix is made dense to order its rows.
_DENSE_SIZE = 10**7


def canonical_order(U, Y):
    """Return an order of distinct rows of [U Y] that does not depend on how they are given, nor on their units.

    Parameters
    ----------
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct rows.

    Returns
    -------
    ndarray of int of shape (m,)
        The order: by the first input, then the second, and so on. That of a large sparse matrix is the given one.
    """
    if sparse.issparse(U):
        if U.shape[0] * U.shape[1] > _DENSE_SIZE:
            return np.arange(U.shape[0])
        U = U.toarray()
    return np.lexsort(np.hstack([U, Y]).T[::-1])


def shuffled_folds(U, Y, labels, random_state):
    """Return folds of distinct rows, shuffled, and stratified where there are labels.

    Parameters
    ----------
    U, Y : ndarray or CSR matrix of shape (m, p), ndarray of shape (m, q)
        Distinct rows.
    labels : ndarray of shape (m,) or None
        Classes.
    random_state : int
        Seed.

    Returns
    -------
    list of tuple of ndarray
        Training and held-out rows; the first two of five folds where there are more than 2,500 rows, and none where
        there are fewer than four.
    """
    m = U.shape[0]
    if m < 4:
        return []
    order = canonical_order(U, Y)
    n_folds = min(_N_FOLDS, m // 2)
    splitter = (KFold if labels is None else StratifiedKFold)(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is in some of them only
        if labels is not None and np.unique(labels, return_counts=True)[1].max() < n_folds:
            splitter = KFold(n_folds, shuffle=True, random_state=random_state)
        folds = [
            (order[train], order[test])
            for train, test in splitter.split(order, labels if labels is None else labels[order])
        ]
    return folds[:_FEW_FOLDS] if m > _MANY_ROWS else folds


def user_folds(cv, X, y, classifier, routed):
    """Return the folds of a user's splitter.

    Parameters
    ----------
    cv : cross-validation splitter or iterable
        The splitter.
    X, y : array-like
        The data.
    classifier : bool
        Whether y holds classes.
    routed : dict
        Metadata for its ``split``.

    Returns
    -------
    list of tuple of ndarray
        Training and held-out rows.

    Raises
    ------
    ValueError
        If there is no fold, as with a generator that has been used up.
    """
    folds = list(check_cv(cv, y, classifier=classifier).split(X, y, **routed))
    if not folds:
        raise ValueError("cv has no folds: a generator can be used once only.")
    return folds
