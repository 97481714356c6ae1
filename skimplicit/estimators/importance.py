"""How much each input matters to a rule."""

from dataclasses import replace

import numpy as np

from skimplicit.linalg import row_scaled, to_dense
from skimplicit.wellposedness import block_norms

__all__ = ["input_importances", "sensitivity"]


def sensitivity(rule):
    """Return ``S = |C| (I - Gamma |A|)^-1 Gamma |B| + |D|``, with ``|y(u) - y(u')| <= S |u - u'|``.

    Parameters
    ----------
    rule : ImplicitRule
        Any rule. Gamma is diagonal, with the Lipschitz constant of phi at each state: its rows count, not its columns.

    Returns
    -------
    ndarray of shape (q, p)
        The sensitivity matrix. ``S_ij`` is zero exactly when no path leads from input j to output i, and infinite where
        one does and the Perron-Frobenius value of ``Gamma |A|`` is not certified to be below 1.

    Notes
    -----
    An activation of groups is bounded in the largest entry of each group: A is then the matrix of its block norms, the
    rows of ``|B|`` in a group are replaced by their largest entries and the columns of ``|C|`` are added up. The
    inverse is applied as ``(I + M)(I + M^2)(I + M^4)...``: sums and products of non-negative numbers, which neither
    cancel nor fill in. Source: El Ghaoui et al. (2021), theorem 4.3.
    """
    phi = rule.activation
    M = to_dense(block_norms(rule.A, phi.lipschitz, phi.groups))
    reached, readout = to_dense(row_scaled(abs(rule.B), phi.lipschitz)), np.abs(to_dense(rule.C))
    if phi.groups is not None:
        starts = np.flatnonzero(np.diff(phi.groups, prepend=-1))
        reached, readout = np.maximum.reduceat(reached, starts), np.add.reduceat(readout, starts, axis=1)
    direct = np.abs(to_dense(rule.D))
    if not rule.is_well_posed():
        return np.where((readout > 0) @ _reachable(M > 0, reached > 0), np.inf, direct)
    while M.any():
        step = M @ reached
        reached = reached + step
        if np.all(step <= np.finfo(float).eps * reached):
            break
        M = M @ M
    return readout @ reached + direct


def _reachable(links, reached):
    """Return which states each input reaches, from those it feeds, along the links between states."""
    while True:
        wider = reached | (links @ reached)
        if np.array_equal(wider, reached):
            return reached
        reached = wider


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
