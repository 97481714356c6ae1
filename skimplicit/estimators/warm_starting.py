"""What a fit, or a pass, goes on with from the last one: its rules, its ridge and that of the direct term."""

import numpy as np

from skimplicit.estimators.automatic import FALLBACK_ALPHA, wants_one_rule

__all__ = ["can_warm_start", "carry_on", "rules_so_far"]

# What says how dear weights are: alpha, the multiple of it for the direct term, and factors of the inputs.
_RIDGES = ("alpha_", "_direct_ridge", "relevance_")


def can_warm_start(estimator, n_inputs, names=None):
    """Tell whether ``fit`` goes on from the rules that there are.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    n_inputs : int
        Number of inputs.
    names : ndarray of str of shape (n_inputs,) or None
        Names of the columns that the rules were fitted to.

    Returns
    -------
    bool
        Whether that is wanted, the rules have this size, a budget that is not given was chosen for them, and an input
        reaches the states: where all of A and B is zero no descent leads away from it.

    Raises
    ------
    ValueError
        If it is wanted, the rules have this size, and columns have other names than before.
    """
    rules = getattr(estimator, "rules_", None) or []
    sizes = {(rule.n_hidden, rule.n_inputs) for rule in rules}
    if not estimator.warm_start or sizes != {(estimator.n_hidden, n_inputs)}:
        return False
    _refuse_other_names(names, getattr(estimator, "feature_names_in_", None))
    if estimator.column_budget == "auto" and getattr(estimator, "column_budget_", None) is None:
        return False
    return any(abs(rule.B).max() > 0 for rule in rules)


def _refuse_other_names(before, now):
    """Raise if columns have other names than before, or another order: the weights of one would be those of another."""
    if before is None or now is None or np.array_equal(before, now):
        return
    j = int(np.flatnonzero(before != now)[0])
    raise ValueError(
        f"warm_start=True goes on with the columns of the last fit, in their order, but column {j} of X is "
        f"{str(now[j])!r}, and was {str(before[j])!r}; set warm_start=False to fit other columns."
    )


def rules_so_far(estimator):
    """Return the rules to go on from, a list of ImplicitRule: of more than are wanted the first.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    list of ImplicitRule
        The rules; none before there is a fit.
    """
    rules = list(getattr(estimator, "rules_", None) or [])
    if estimator.n_members != "auto":
        return rules[: estimator.n_members]
    return rules[:1] if wants_one_rule(estimator) else rules


def carry_on(estimator):
    """Set the attributes of a fit, or a pass, that chooses no ridge: those of the last one, if they still hold.

    With a number for alpha that is the ridge, of the direct term and of every input too; where nothing was chosen yet
    it is a fixed one.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    """
    alpha, direct_ridge, relevance = (getattr(estimator, name, None) for name in _RIDGES)
    if estimator.alpha != "auto":
        alpha, direct_ridge = float(estimator.alpha), 1.0
    estimator.alpha_ = FALLBACK_ALPHA if alpha is None else alpha
    estimator._direct_ridge = 1.0 if direct_ridge is None else direct_ridge
    if relevance is not None and (estimator.alpha != "auto" or wants_one_rule(estimator)):
        units = getattr(estimator, "_units", None)
        if units is not None:  # that a pass goes on in: of inputs multiplied by it
            estimator._units = units.units_before(relevance)
        relevance = None
    estimator.relevance_ = relevance
