"""The ``monotonic_cst`` parameter of the estimators: signs of weights that make an output rise with an input."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skimplicit.activations import BlockActivation
from skimplicit.feature_names import in_order_of_columns, position_of

__all__ = ["check_monotonic_cst", "in_place", "monotone_signs", "state_signs"]


def check_monotonic_cst(monotonic_cst, n_inputs, names=None):
    """Return the directions that ``monotonic_cst`` asks for.

    Parameters
    ----------
    monotonic_cst : None, array-like of int of shape (p,), or dict of str to int
        1 for inputs with which the prediction must not fall, -1 for those with which it must not rise, 0 for others; a
        dict has them by name, others are 0, and a Series of pandas has all of them by name.
    n_inputs : int
        Number p of inputs.
    names : array-like of str of shape (p,) or None
        Names of the inputs.

    Returns
    -------
    ndarray of int of shape (p,) or None
        The directions; None if there are none but 0.

    Raises
    ------
    ValueError
        If there are other values, names that no input has, or values for another number of inputs.

    Notes
    -----
    The convention of scikit-learn's ``HistGradientBoostingRegressor``.
    """
    if monotonic_cst is None:
        return None
    if isinstance(monotonic_cst, Mapping):
        directions = _by_name(monotonic_cst, n_inputs, names)
    else:
        directions = np.asarray(in_order_of_columns(monotonic_cst, names, "monotonic_cst"))
    if directions.shape != (n_inputs,):
        raise ValueError(
            f"monotonic_cst has shape {directions.shape}, but X has {n_inputs} features: it must have shape "
            f"({n_inputs},)."
        )
    wrong = [value for value in directions.tolist() if isinstance(value, bool) or value not in (-1, 0, 1)]
    if wrong:
        raise ValueError(f"monotonic_cst must have the values -1, 0 and 1, got {wrong[0]!r}.")
    return directions.astype(int) if directions.any() else None


def _by_name(monotonic_cst, n_inputs, names):
    if names is None:
        raise ValueError("monotonic_cst was given as a dict, but X has no feature names: pass an array instead.")
    directions = np.zeros(n_inputs, dtype=object)
    for name, value in monotonic_cst.items():
        directions[position_of(name, names, "monotonic_cst has a value for")] = value
    return directions


def state_signs(n_hidden):
    """Return the signs of the states.

    A rising state (1) adds to the outputs what its activation is, a falling one (-1) its mirror image: with both, an
    increasing response may be convex in one place and concave in another.

    Parameters
    ----------
    n_hidden : int
        Number n of states.

    Returns
    -------
    ndarray of int of shape (n_hidden,)
        1 and -1 in turn.
    """
    return 1 - 2 * (np.arange(n_hidden) % 2)


def monotone_signs(directions, n_hidden, n_outputs, direct):
    """Return signs of ``[A B]`` and ``[C D]`` that make all outputs monotone, for increasing phi and ``||A|| < 1``.

    With signs s of the states and directions d of the inputs, ``s_i A_ik s_k >= 0`` for i != k, ``s_i B_ij d_j >= 0``,
    ``C_oi s_i >= 0`` and ``D_oj d_j >= 0``: then the sign of every path from an input to an output is the direction of
    the input. Inputs of direction 0 have weights of any sign.

    Parameters
    ----------
    directions : ndarray of int of shape (p,)
        The directions.
    n_hidden, n_outputs : int
        Numbers n of states and q of outputs.
    direct : bool
        Whether there is a direct term.

    Returns
    -------
    W_signs : ndarray of int of shape (n, n + p)
        Signs of the entries of ``[A B]``, 0 for an entry of either sign.
    V_signs : ndarray of int of shape (q, n + p) or (q, n)
        Those of ``[C D]``, or of C without a direct term.
    """
    s = state_signs(n_hidden)
    A = np.outer(s, s)
    np.fill_diagonal(A, 0)
    V = np.concatenate([s, directions]) if direct else s
    return np.hstack([A, np.outer(s, directions)]), np.tile(V, (n_outputs, 1))


def in_place(rule):
    """Return a rule with its states in another order, so that as many as can be are where their sign is wanted.

    Parameters
    ----------
    rule : ImplicitRule
        A rule of dense matrices to start from.

    Returns
    -------
    ImplicitRule
        The same map. All states stay where they are if they have activations of their own.
    """
    if isinstance(rule.activation, BlockActivation):
        return rule
    wanted = state_signs(rule.n_hidden)
    # The sign of a state's effect on the outputs, on all paths where these agree.
    found = np.sign(np.linalg.solve(np.eye(rule.n_hidden) - rule.A.T, rule.C.sum(axis=0)))
    order = np.arange(rule.n_hidden)
    for sign in (1, -1):
        misplaced = np.flatnonzero((found == sign) & (wanted == -sign))
        # In exchange for one that is misplaced too, or else for one without an effect.
        places = [np.flatnonzero((found == other) & (wanted == sign)) for other in (-sign, 0)]
        for first, second in zip(misplaced, np.concatenate(places), strict=False):
            order[[first, second]] = order[[second, first]]
            found[[first, second]] = found[[second, first]]
    A, B, C, b = rule.A[order][:, order], rule.B[order], rule.C[:, order], rule.b[order]
    return replace(rule, A=A, B=B, C=C, b=b)
