"""How much each input matters to a rule."""

from dataclasses import replace

import numpy as np

from skimplicit.linalg import to_dense
from skimplicit.wellposedness import sensitivity

__all__ = ["input_importances"]


def input_importances(rule, input_std, target_std):
    """Return the mean over outputs i of ``S_ij sd(input j) / sd(target i)``.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    input_std : ndarray of shape (p,)
        Standard deviations of the inputs.
    target_std : ndarray of shape (q,)
        Standard deviations of the targets.

    Returns
    -------
    ndarray of shape (p,)
        The importances.
    """
    # In units of the deviations: in the user's own, what is multiplied on the way could exceed the range of numbers.
    scaled = replace(
        rule,
        B=to_dense(rule.B) * input_std,
        C=to_dense(rule.C) / target_std[:, None],
        D=to_dense(rule.D) / target_std[:, None] * input_std,
    )
    return np.mean(sensitivity(scaled), axis=0)
