"""The cut of inputs at the range of the training rows, as a rule."""

import numpy as np

from skimplicit.rule import ImplicitRule

__all__ = ["clip_rule"]


def clip_rule(limits):
    """Return ``min(max(u, l), h) = l + relu(u - l) - relu(u - h)`` as a rule with 2p states.

    Parameters
    ----------
    limits : InputRange
        Least and largest value l and h of each input, shape (p,).

    Returns
    -------
    ImplicitRule
        A feedforward rule with p inputs and p outputs.
    """
    p = limits.lower.size
    one = np.eye(p)
    return ImplicitRule(
        A=np.zeros((2 * p, 2 * p)),
        B=np.vstack([one, one]),
        C=np.hstack([one, -one]),
        b=-np.concatenate([limits.lower, limits.upper]),
        c=limits.lower,
        activation="relu",
    )
