"""The column budget of an estimator: what it needs, and what it is in the units of training."""

from dataclasses import replace

import numpy as np

from skimplicit.activations import get_activation
from skimplicit.projections import ColumnBudget

__all__ = ["budget_of", "check_budget", "members_within_budget"]

# A smaller budget, of inputs divided by their deviations, would put the squares of states out of the range of numbers.
_LEAST_BUDGET = 1e-60


def check_budget(estimator, direct):
    """Refuse a column budget that would mean nothing with the other parameters.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    direct : bool
        Whether its rule has a direct term.

    Raises
    ------
    ValueError
        If there is a budget and a direct term, no ridge, nothing that could choose it, or members whose mean cannot be
        brought within it.
    """
    if estimator.column_budget is None:
        return
    if direct:
        raise ValueError(
            "column_budget needs direct=False (or 'auto'): it bounds the columns of B, and a direct term D would let "
            "an input that B drops reach the output all the same."
        )
    if estimator.column_budget == "auto" and estimator.alpha != "auto":
        raise ValueError(
            f"column_budget='auto' needs alpha='auto', which holds rows out, got alpha={estimator.alpha!r}."
        )
    if estimator.alpha == 0:
        raise ValueError(
            "column_budget needs alpha > 0: without a ridge on C, B can shrink and C grow without changing the rule, "
            "so that the budget would mean nothing."
        )
    if estimator.n_members not in ("auto", 1) and not get_activation(estimator.activation).homogeneous:
        raise ValueError(
            f"column_budget with n_members={estimator.n_members!r} needs a positively homogeneous activation, so that "
            f"the members together can be brought within the budget, got activation={estimator.activation!r}; leave "
            "n_members='auto'."
        )


def budget_of(estimator, samples):
    """Return the column budget of an estimator for its training set.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator; what it chooses itself counts once it is chosen.
    samples : Samples
        The training set.

    Returns
    -------
    ColumnBudget or None
        The budget, in the units of training; None for no bound.

    Raises
    ------
    ValueError
        If it leaves nothing of B.
    """
    bound = estimator.column_budget
    if bound == "auto":
        bound = getattr(estimator, "column_budget_", None)
    if bound is None:
        return None
    bound = float(bound)  # one of NumPy, in single precision, would make what is computed with it so
    if bound * samples.U_scale.max(initial=1.0) < _LEAST_BUDGET:
        raise ValueError(
            f"column_budget={bound!r} leaves nothing of B: it bounds weights of inputs whose standard deviations are "
            f"at most {samples.U_scale.max():.0e}; raise it in proportion to one over those."
        )
    return ColumnBudget(bound, samples.budget_weights())


def members_within_budget(estimator, rules):
    """Return the same maps with states in other units, such that the rules side by side keep the column budget.

    Each member keeps it alone, but ``max_i |B_ij|`` over the states of all of them can be more. Their activation is
    positively homogeneous: ``(A, t B, C / t, D)`` with biases ``t b`` is the same map.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator; what it chooses itself counts once it is chosen.
    rules : list of ImplicitRule
        The members.

    Returns
    -------
    list of ImplicitRule
        The members; as they are if they keep the budget.
    """
    bound = getattr(estimator, "column_budget_", None)
    if bound is None or len(rules) == 1:
        return list(rules)
    used = np.max([np.abs(rule.B).max(axis=0) for rule in rules], axis=0).sum()
    if used <= bound:
        return list(rules)
    factor = bound / used * (1.0 - 4.0 * np.finfo(float).eps)  # or rounding could exceed the bound
    return [replace(rule, B=rule.B * factor, b=rule.b * factor, C=rule.C / factor) for rule in rules]
