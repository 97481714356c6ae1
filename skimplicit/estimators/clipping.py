"""The cut of inputs at the range of the training rows, as a rule."""

import numpy as np

from skimplicit.rule import ImplicitRule

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
        A feedforward rule with p inputs and p outputs.
    """
    p = limits.lower.size
    one, none = np.eye(p), np.zeros((p, p))
    return ImplicitRule(
        A=np.block([[none, -one], [none, none]]),
        B=np.vstack([none, one]),
        C=np.hstack([-one, none]),
        b=np.concatenate([limits.upper - limits.lower, -limits.lower]),
        c=limits.upper,
        activation="relu",
    )
