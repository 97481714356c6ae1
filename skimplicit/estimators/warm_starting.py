"""What a fit, or a pass, goes on with from the last one: its rules, its ridge and that of the direct term."""

from skimplicit.estimators.automatic import FALLBACK_ALPHA, wants_one_rule

__all__ = ["can_warm_start", "carry_on", "pass_alpha", "pass_direct_ridge", "rules_so_far"]


def can_warm_start(estimator, n_inputs):
    """Tell whether ``fit`` goes on from the rules that there are.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    n_inputs : int
        Number of inputs.

    Returns
    -------
    bool
        Whether that is wanted, the rules have this size, a budget that is not given was chosen for them, and an input
        reaches the states: where all of A and B is zero no descent leads away from it.
    """
    rules = getattr(estimator, "rules_", None) or []
    sizes = {(rule.n_hidden, rule.n_inputs) for rule in rules}
    if not estimator.warm_start or sizes != {(estimator.n_hidden, n_inputs)}:
        return False
    if estimator.column_budget == "auto" and getattr(estimator, "column_budget_", None) is None:
        return False
    return any(abs(rule.B).max() > 0 for rule in rules)


def rules_so_far(estimator):
    """Return the rules to go on from, a list of ImplicitRule: of several the first, where one rule is wanted.

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
    return rules[:1] if estimator.n_members == "auto" and wants_one_rule(estimator) else rules


def pass_alpha(estimator):
    """Return the ridge to go on at: the given one, that of the last fit, or where there was none a fixed one, a float.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    float
        The ridge.
    """
    if estimator.alpha != "auto":
        return estimator.alpha
    known = getattr(estimator, "alpha_", None)
    return FALLBACK_ALPHA if known is None else known


def pass_direct_ridge(estimator):
    """Return the ridge of the direct term to go on at, a multiple of alpha: that of the last fit, 1 at a given alpha.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    float
        The multiple.
    """
    known = getattr(estimator, "_direct_ridge", None)
    return 1.0 if known is None or estimator.alpha != "auto" else known


def carry_on(estimator):
    """Set the attributes of a fit, or a pass, that chooses no ridge: those of the last one, if they still hold.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    """
    relevant = estimator.alpha == "auto" and not wants_one_rule(estimator)
    estimator.alpha_, estimator._direct_ridge = pass_alpha(estimator), pass_direct_ridge(estimator)
    estimator.relevance_ = getattr(estimator, "relevance_", None) if relevant else None
