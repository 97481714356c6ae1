"""How much each input matters to a rule."""

from dataclasses import replace

import numpy as np

from skimplicit.linalg import to_dense

__all__ = ["input_importances", "sensitivity"]


def sensitivity(rule):
    """Return ``S = gamma |C| (I - gamma |A|)^-1 |B| + |D|``, with ``|y(u) - y(u')| <= S |u - u'|``.

    Parameters
    ----------
    rule : ImplicitRule
        A rule whose ``gamma |A|`` has Perron-Frobenius value below 1, gamma the Lipschitz constant of phi.

    Returns
    -------
    ndarray of shape (q, p)
        The sensitivity matrix. ``S_ij`` is zero exactly when no path leads from input j to output i.

    Notes
    -----
    The inverse is applied as ``(I + M)(I + M^2)(I + M^4)...``: sums and products of non-negative numbers, which neither
    cancel nor fill in. Source: El Ghaoui et al. (2021), theorem 4.3.
    """
    slope = rule.activation.lipschitz
    M = slope * np.abs(to_dense(rule.A))
    reached = slope * np.abs(to_dense(rule.B))
    while M.any():
        step = M @ reached
        reached = reached + step
        if np.all(step <= np.finfo(float).eps * reached):
            break
        M = M @ M
    return np.abs(to_dense(rule.C)) @ reached + np.abs(to_dense(rule.D))


def input_importances(rule, input_spread, target_spread):
    """Return the mean over outputs i of ``S_ij sd(input j) / sd(target i)``.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    input_spread : ndarray of shape (p,)
        Standard deviations of the inputs.
    target_spread : ndarray of shape (q,)
        Standard deviations of the targets.

    Returns
    -------
    ndarray of shape (p,)
        The importances.
    """
    # In units of the spreads: in the user's own, what is multiplied on the way could exceed the range of numbers.
    scaled = replace(
        rule,
        B=to_dense(rule.B) * input_spread,
        C=to_dense(rule.C) / target_spread[:, None],
        D=to_dense(rule.D) / target_spread[:, None] * input_spread,
    )
    return np.mean(sensitivity(scaled), axis=0)
