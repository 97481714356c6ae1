"""Knockoffs: made columns that stand to one another as the inputs do, and know nothing of the targets."""

import numpy as np

__all__ = ["knockoff_columns", "knockoff_threshold"]

# Sweeps over the inputs that bring a knockoff as far from its input as the others allow, and relative change that ends
# them. Whatever the last sweep has left is valid: more of them only give more power.
_SWEEPS, _TOL = 50, 1e-3
# Shares by which the covariance may be shrunk, the first one at least: it is inverted, and two columns may be the same.
_SHRINKAGES = np.geomspace(1e-6, 1.0, 49)


def knockoff_columns(X, weights, labels, random_state):
    """Draw knockoffs: ``Xk = X - X R^-1 S + N(0, 2 S - S R^-1 S)`` for inputs of correlation R.

    Then ``[X Xk]`` has the covariance ``[[R, R - S], [R - S, R]]``, which does not change when an input and its
    knockoff change places; S, block diagonal over groups of inputs, is that of the largest entropy,
    ``log det S + log det(2 R - S)``.

    Parameters
    ----------
    X : ndarray of shape (m, p)
        Inputs.
    weights : ndarray of shape (m,) or None
        Weights of the rows for means and covariances; None for ones.
    labels : ndarray of int of shape (p,)
        Groups of inputs that change places together, numbered from 0.
    random_state : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    ndarray of shape (m, p)
        The knockoffs, in the units of the inputs; that of a constant column is the column.

    Notes
    -----
    R is shrunk towards the identity by the share at which rows that are left out are most likely. A share that brings R
    itself nearest to the truth (Ledoit and Wolf, 2004) is far too large where inputs nearly determine one another:
    knockoffs then stand to the others as their inputs do not. Sources: Candes, Fan, Janson and Lv (2018), "Panning for
    gold"; for groups Dai and Barber (2016); for S Gimenez and Zou (2019); for R Hoffbeck and Landgrebe (1996).
    """
    weights = np.full(X.shape[0], 1.0 / X.shape[0]) if weights is None else weights / weights.sum()
    counted = weights > 0
    knockoffs = X.copy()  # rows without weight draw nothing: they are as good as left out
    knockoffs[counted] = _drawn(X[counted], weights[counted], labels, random_state)
    return knockoffs


def _drawn(X, weights, labels, random_state):
    """Return knockoffs (m, p) of rows with positive weights (m,) that sum to 1."""
    mean = weights @ X
    scale = np.abs(X - mean).max(axis=0)
    scale[X.max(axis=0) == X.min(axis=0)] = 0.0  # of a constant, the rest is rounding
    Z = np.divide(X - mean, scale, out=np.zeros_like(X), where=scale > 0)
    deviation = np.sqrt(weights @ Z**2)
    Z = np.divide(Z, deviation, out=np.zeros_like(X), where=deviation > 0)
    R = _shrunk_correlation(Z, weights)
    S = _largest_entropy(R, labels)
    pull = np.linalg.solve(R, S)
    noise = _root(2.0 * S - S @ pull)
    knockoffs = Z - Z @ pull + random_state.standard_normal(X.shape) @ noise
    return np.where(scale > 0, mean + scale * deviation * knockoffs, X)


def _shrunk_correlation(Z, weights):
    """Return the correlation of standardised columns, shrunk towards the identity as far as left-out rows tell.

    With the share a, G without row i is ``G - (1 - a) w_i z_i z_i'``: determinant and inverse follow from those of G.
    """
    R = Z.T @ (weights[:, None] * Z)
    np.fill_diagonal(R, 1.0)  # of a constant too, which says nothing of the share
    values, vectors = np.linalg.eigh(R)
    values = (1.0 - _SHRINKAGES)[:, None] * np.maximum(values, 0.0) + _SHRINKAGES[:, None]
    lengths = (Z @ vectors) ** 2 @ (1.0 / values).T
    left = 1.0 - weights[:, None] * (1.0 - _SHRINKAGES) * lengths
    possible = np.all(left > 0, axis=0)  # of the last share it always is
    lengths, left, shares = lengths[:, possible], left[:, possible], _SHRINKAGES[possible]
    unlikeliness = np.log(values[possible]).sum(axis=1) + weights @ (np.log(left) + lengths / left)
    share = shares[np.argmin(unlikeliness)]
    return (1.0 - share) * R + share * np.eye(len(R))


def _largest_entropy(R, labels):
    """Return ``argmax log det S + log det(2 R - S)`` over the S that are block diagonal over groups.

    Block by block: with the others fixed the condition ``S_g^-1 = [(2 R - S)^-1]_gg`` has a closed form, and the
    inverse changes by the rank of the block.
    """
    groups = [np.flatnonzero(labels == group) for group in range(labels.max() + 1)]
    S = np.eye(len(R)) * np.linalg.eigvalsh(R)[0]
    inverse = np.linalg.inv(2.0 * R - S)
    for _ in range(_SWEEPS):
        before = np.diag(S).copy()
        for group in groups:
            block = np.ix_(group, group)
            wanted = 0.5 * (S[block] + np.linalg.inv(inverse[block]))
            change, columns = wanted - S[block], inverse[:, group]
            inverse += columns @ np.linalg.solve(np.eye(group.size) - change @ inverse[block], change @ columns.T)
            S[block] = wanted
        if np.max(np.abs(np.diag(S) - before)) < _TOL:
            break
    return S


def _root(M):
    """Return F with ``F' F = M`` of a matrix that is positive semidefinite up to rounding."""
    values, vectors = np.linalg.eigh(M)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def knockoff_threshold(statistics, fdr):
    """Return the least t > 0 with ``(1 + #{W_j <= -t}) / #{W_j >= t} <= fdr``, the knockoff+ threshold.

    Parameters
    ----------
    statistics : ndarray of shape (p,)
        W, which changes its sign when an input and its knockoff change places.
    fdr : float
        Expected share of wrong inputs.

    Returns
    -------
    float
        The threshold; infinity where there is none, so that nothing is selected.
    """
    levels = np.unique(np.abs(statistics[statistics != 0]))
    for level in levels:
        # Of whole numbers the quotient is rounded as fdr is: 1/49 times 49 would be less than 1.
        if (1 + np.sum(statistics <= -level)) / max(np.sum(statistics >= level), 1) <= fdr:
            return float(level)
    return np.inf
