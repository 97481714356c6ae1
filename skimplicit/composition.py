"""Rules made of rules: in a row, side by side, averaged. The result is exact, and an :class:`ImplicitRule` again.

The arrays are stacked in :mod:`skimplicit.stacking`. Source of the formulas: El Ghaoui et al. (2021), section 2.4;
those for sums are completed here.
"""

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.activations import get_activation
from skimplicit.linalg import MatrixLike, checked_array
from skimplicit.rule import ImplicitRule
from skimplicit.stacking import (
    added,
    cascaded,
    checked_map,
    diagonal_blocks,
    input_blocks,
    join_blocks,
    stack,
)

__all__ = [
    "activate",
    "affine",
    "affine_rule",
    "average",
    "cascade",
    "check_rule",
    "concatenate",
    "parallel",
]


def check_rule(rule, name="rule"):
    """Return a rule.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    name : str
        What the argument is called.

    Returns
    -------
    ImplicitRule
        The same.

    Raises
    ------
    TypeError
        If it is something else; the message says how to get a rule.
    """
    if not isinstance(rule, ImplicitRule):
        raise TypeError(
            f"{name} must be an ImplicitRule, got {type(rule).__name__}; a fitted estimator of skimplicit has one in "
            "rule_, and with the cut of its inputs in clipped_rule(); skimplicit.networks.from_sklearn and from_torch "
            "make rules of networks."
        )
    return rule


def affine_rule(D: MatrixLike, c: ArrayLike | None = None) -> ImplicitRule:
    """Return the rule without states ``y = D u + c``.

    Parameters
    ----------
    D : array-like or sparse of shape (q, p)
        Weights.
    c : array-like of shape (q,) or None
        Intercept; None for zeros.

    Returns
    -------
    ImplicitRule
        A rule with n = 0.

    Raises
    ------
    ValueError
        If D or c are no arrays of finite numbers, or their shapes do not fit.
    """
    D = checked_array(D, "D")
    D = D if sparse.issparse(D) else np.atleast_2d(D)
    q, p = D.shape[:2]
    zeros = sparse.csr_array if sparse.issparse(D) else np.zeros
    return ImplicitRule(zeros((0, 0)), zeros((0, p)), zeros((q, 0)), D, None, c, "identity")


def cascade(*rules: ImplicitRule) -> ImplicitRule:
    """Return the rule that feeds each rule with the outputs of the one before: ``u -> rules[0] -> rules[1] -> ...``.

    Parameters
    ----------
    *rules : ImplicitRule
        At least one. ``cascade(first, second)`` is also written ``second @ first``.

    Returns
    -------
    ImplicitRule
        With two rules: states ``(x2, x1)``, ``A = [[A2, B2 C1], [0, A1]]``, ``B = [B2 D1; B1]``, ``C = [C2, D2 C1]``,
        ``D = D2 D1``. Well posed if both are; the norm of A is not kept, see :meth:`ImplicitRule.rescaled`.

    Raises
    ------
    ValueError
        If a rule does not have as many inputs as the one before has outputs.
    TypeError
        If what is given is no rule.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.networks import cascade
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[1.0])
    >>> cascade(rule, rule).predict([[3.0]])
    array([[53.]])
    """
    if not rules:
        raise ValueError("cascade needs at least one rule.")
    return reduce(lambda first, second: ImplicitRule(**cascaded(first, second)), map(check_rule, rules))


def average(*rules: ImplicitRule) -> ImplicitRule:
    """Return the mean of rules, ``y = (y_1(u) + ... + y_k(u)) / k``: states side by side, C divided by their number.

    Parameters
    ----------
    *rules : ImplicitRule
        At least one, with the same inputs and outputs.

    Returns
    -------
    ImplicitRule
        A is block diagonal: its norm is the largest of the rules', so every guarantee of all of them holds.

    Raises
    ------
    ValueError
        If the numbers of inputs or outputs do not fit.
    TypeError
        If what is given is no rule.
    """
    if not rules:
        raise ValueError("average needs at least one rule.")
    if len(rules) == 1:
        return parallel(*rules)
    mean = parallel(*rules, weights=[1.0 / len(rules)] * len(rules))
    c = np.asarray([rule.c for rule in rules])
    return replace(mean, c=c[0] + np.mean(c - c[0], axis=0))  # of equal constants, that constant


def parallel(*rules: ImplicitRule, weights: ArrayLike | None = None, shared_input: bool = True) -> ImplicitRule:
    """Return the sum of rules: ``y = sum_i weights_i y_i(u)``.

    Parameters
    ----------
    *rules : ImplicitRule
        With the same number of outputs. ``parallel(first, second)`` is also written ``first + second``.
    weights : sequence of float or None
        One for each rule; None for ones.
    shared_input : bool
        Whether all get the same u; if not, each gets its own part of ``u = (u_1, u_2, ...)``.

    Returns
    -------
    ImplicitRule
        A is block diagonal.

    Raises
    ------
    ValueError
        If the numbers of inputs or outputs do not fit, or weights are not one number for each rule.
    TypeError
        If what is given is no rule.
    """
    weights = [1.0] * len(rules) if weights is None else checked_array(weights, "weights", 1).tolist()
    if not rules or len(weights) != len(rules):
        raise ValueError(f"parallel needs at least one rule and a weight for each, got {len(rules)}, {len(weights)}.")
    return ImplicitRule(**added([check_rule(rule) for rule in rules], weights, shared_input))


def concatenate(*rules: ImplicitRule, shared_input: bool = True) -> ImplicitRule:
    """Return the rule with the outputs of all: ``y = (y_1(u), y_2(u), ...)``.

    Parameters
    ----------
    *rules : ImplicitRule
        At least one.
    shared_input : bool
        Whether all get the same u; if not, each gets its own part of ``u = (u_1, u_2, ...)``.

    Returns
    -------
    ImplicitRule
        A and C are block diagonal.

    Raises
    ------
    ValueError
        If the numbers of inputs do not fit.
    TypeError
        If what is given is no rule.
    """
    if not rules:
        raise ValueError("concatenate needs at least one rule.")
    rules = [check_rule(rule) for rule in rules]
    B, D = input_blocks(rules, [rule.D for rule in rules], shared_input)
    stacked = stack(
        rules,
        A=diagonal_blocks([rule.A for rule in rules]),
        B=B,
        C=diagonal_blocks([rule.C for rule in rules]),
        D=join_blocks([[part] for part in D] if shared_input else diagonal_blocks(D)),
        b=[rule.b for rule in rules],
        c=np.concatenate([rule.c for rule in rules]),
    )
    return ImplicitRule(**stacked)


def affine(
    rule: ImplicitRule,
    *,
    G: MatrixLike | None = None,
    g: ArrayLike | None = None,
    H: MatrixLike | None = None,
    h: ArrayLike | None = None,
) -> ImplicitRule:
    """Return ``v -> G y(H v + h) + g``.

    Parameters
    ----------
    rule : ImplicitRule
        The rule y.
    G : array-like or sparse of shape (r, q), or None
        Weights after it; None for the identity.
    g : array-like of shape (r,) or None
        Intercept after it; None for zeros.
    H : array-like or sparse of shape (p, s), or None
        Weights before it; None for the identity.
    h : array-like of shape (p,) or None
        Intercept before it; None for zeros.

    Returns
    -------
    ImplicitRule
        Same states: ``B H``, ``G C``, ``G D H``, ``b + B h``, ``G (c + D h) + g``.

    Raises
    ------
    TypeError
        If ``rule`` is no rule.
    ValueError
        If G, g, H or h do not fit; the message names it.
    """
    check_rule(rule)
    if H is not None or h is not None:
        rule = cascade(affine_rule(*checked_map(H, h, "Hh", (rule.n_inputs, None))), rule)
    if G is not None or g is not None:
        rule = cascade(rule, affine_rule(*checked_map(G, g, "Gg", (None, rule.n_outputs))))
    return rule


def activate(rule: ImplicitRule, activation: Any) -> ImplicitRule:
    """Return ``u -> phi(y(u))``: the outputs become states.

    Parameters
    ----------
    rule : ImplicitRule
        The rule y.
    activation : str or BaseActivation
        phi.

    Returns
    -------
    ImplicitRule
        States ``(phi(y), x)``.

    Raises
    ------
    TypeError
        If ``rule`` is no rule.
    """
    identity = sparse.eye_array(check_rule(rule).n_outputs, format="csr")
    none = sparse.csr_array(identity.shape)
    return cascade(rule, ImplicitRule(none, identity, identity, activation=get_activation(activation)))
