"""Wide data: the inputs that a path starts with, by what each alone explains, as it is and bent."""

import numpy as np
from scipy import sparse

from skimplicit.rows import Samples

__all__ = ["promising_columns"]

# Up to this many inputs (or up to the number of rows, if that is larger) all of them take part in a path.
_MOST_UNITS = 200
# Of more, one for so many rows takes part, and not fewer than the second number. A dense rule of as many inputs as rows
# fits anything, and its path loses what has no linear trace: of 1,000 inputs and 300 rows, five inputs acting, it then
# found the three with one (R2 of the refit .68 with 200 rows), and all five (.93) with a path of 75.
_ROWS_PER_UNIT, _LEAST_UNITS = 4, 50
# Kinks of the relu states that look at one input, in standard deviations: it may matter without a linear trace.
_KINKS = (-0.7, 0.0, 0.7)
# Ridge of the regressions on these states, which are nearly dependent where an input has few distinct values.
_RIDGE = 1e-3
# Entries of a block of columns that are looked at together: memory stays a small multiple of the data.
_BLOCK = 1 << 20


def promising_columns(X, targets, centre, labels):
    """Return the inputs that alone explain most of the targets: all of them where they are few.

    These are the rule's first-order conditions at ``B = 0`` for states that see a single input: the identity, for one
    half of what is kept, and relus with their kinks inside the data, for the other. An input that acts only together
    with others, without any trace of its own, cannot be seen so.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        All inputs.
    targets : EncodedTargets
        Targets and weights; rows without weight are not looked at.
    centre : bool
        Whether rules have intercepts.
    labels : ndarray of int of shape (p,)
        Groups of inputs, which stay together.

    Returns
    -------
    ndarray of int
        The inputs, in order.
    """
    rows = np.arange(X.shape[0]) if targets.weights is None else np.flatnonzero(targets.weights > 0)
    n_units = int(labels.max()) + 1
    if n_units <= max(_MOST_UNITS, rows.size):
        return np.arange(X.shape[1])
    most = max(rows.size // _ROWS_PER_UNIT, _LEAST_UNITS)
    of_columns = np.concatenate(list(_explained(X, targets.rows(rows), rows, centre)))
    of_units = np.zeros((n_units, 2))
    np.maximum.at(of_units, labels, of_columns)
    linear, bent = np.argsort(-of_units, axis=0, kind="stable").T
    kept = linear[: most // 2]
    kept = np.concatenate([kept, bent[~np.isin(bent, kept)][: most - kept.size]])
    return np.flatnonzero(np.isin(labels, kept))


def _explained(X, targets, rows, centre):
    """Yield, block by block, what each column explains of the targets, linearly and bent, shape (k, 2)."""
    X = X.tocsc() if sparse.issparse(X) else X
    size = max(_BLOCK // rows.size, 1)
    for first in range(0, X.shape[1], size):
        block = X[:, first : first + size]
        block = block.tocsr()[rows] if sparse.issparse(block) else block[rows]
        samples = Samples(block, targets.Y, targets.weights, centre, targets.scale)
        weights = samples.weights
        U = samples.weighted_inputs() / np.sqrt(weights)[:, None]
        Y = samples.Y - weights @ samples.Y
        features = np.stack([U, *(np.maximum(U - kink, 0.0) for kink in _KINKS)])
        features -= np.einsum("i,aij->aj", weights, features)[:, None]
        cross = np.einsum("aij,iq->jaq", features, weights[:, None] * Y)
        features *= np.sqrt(weights)[:, None]
        gram = np.einsum("aij,bij->jab", features, features)
        gram[:, range(len(gram[0])), range(len(gram[0]))] += _RIDGE
        linear = np.sum(cross[:, 0] ** 2, axis=1) / gram[:, 0, 0]
        yield np.column_stack([linear, np.sum(cross * np.linalg.solve(gram, cross), axis=(1, 2))])
