"""Wide data: the inputs that a path starts with, by what each explains, as it is and bent."""

import numpy as np

from skimplicit.marginal_screening import OneInputStates, standing_out

__all__ = ["promising_columns"]

# Up to this many inputs (or up to the number of rows, if that is larger) all of them take part in a path.
_MOST_UNITS = 200
# Of more, one for so many rows takes part, and not fewer than the second number, as long as nothing is known of them. A
# dense rule of as many inputs as rows fits anything, and its path loses what has no linear trace: of 1,000 inputs and
# 300 rows, five inputs acting, it then found the three with one (R2 of the refit .68 with 200 rows), and all five (.93)
# with a path of 75; of 3,000 and 200 rows, six acting, three of six on a path of 50 and all on one of 12.
_ROWS_PER_UNIT, _LEAST_UNITS = 4, 50
# The more the inputs that stand out explain, the fewer others: if all, as many again, and not fewer than these.
_LEAST_BESIDE_FOUND = 12


def promising_columns(X, targets, centre, labels):
    """Return the inputs that explain most of the targets: all of them where they are few.

    These are the rule's first-order conditions for states that see a single input, the identity, and relus with their
    kinks inside the data. First come those that stand out, one beside the other. Then those that alone, at ``B = 0``,
    explain most by the identity, for one half of the rest, and by all these states; the fewer, the less is left to
    explain. An input that acts only together with others, without any trace of its own, cannot be seen so.

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
    states = OneInputStates(X, targets.rows(rows), rows, centre, labels)
    explained = states.explain(states.Y)
    found = standing_out(states, explained)
    linear, bent = np.argsort(-explained, axis=0, kind="stable").T
    most = _most_units(states, found)
    kept = found
    for order, number in ((linear, (most + found.size) // 2), (bent, most)):
        kept = np.concatenate([kept, order[~np.isin(order, kept)][: max(number - kept.size, 0)]])
    return np.flatnonzero(np.isin(labels, kept))


def _most_units(states, found):
    """Return how many units take part, by how much of the targets is left by those that stand out."""
    m = len(states.Y)
    most = max(m // _ROWS_PER_UNIT, _LEAST_UNITS)
    if not found.size:
        return most
    share = np.sum(states.left_by(found) ** 2) / states.free_beside(found) / (np.sum(states.Y**2) / (m - 1))
    least = max(2 * found.size, _LEAST_BESIDE_FOUND)
    return least + round(min(share, 1.0) * max(most - least, 0))
