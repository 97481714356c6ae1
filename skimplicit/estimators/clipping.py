"""The cut of inputs at the range of the training rows, as a rule."""

import numpy as np
from scipy import sparse

from skimplicit.rows import LARGEST_MATRIX
from skimplicit.rule import ImplicitRule
from skimplicit.stacking import join_blocks

__all__ = ["clip_rule"]


def clip_rule(limits):
    """Return ``min(max(u, l), h) = h - relu(h - l - relu(u - l))`` as a rule with 2p states.

    One cut after the other: ``l + relu(u - l) - relu(u - h)`` would be l, by rounding, far above h.

    Parameters
    ----------
    limits : InputRange
        Least and largest value l and h of each input, shape (p,).

    Returns
    -------
    ImplicitRule
        A feedforward rule with p inputs and p outputs, sparse where a dense A would be too large.
    """
    p = limits.lower.size
    one, none = sparse.eye_array(p, format="csr"), sparse.csr_array((p, p))
    if 2 * p <= LARGEST_MATRIX:
        one, none = one.toarray(), none.toarray()
    return ImplicitRule(
        A=join_blocks([[none, -one], [none, none]]),
        B=join_blocks([[none], [one]]),
        C=join_blocks([[-one, none]]),
        b=np.concatenate([limits.upper - limits.lower, -limits.lower]),
        c=limits.upper,
        activation="relu",
    )
