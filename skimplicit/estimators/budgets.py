"""The column budget of an estimator: what it needs, and what it is in the units of training."""

from skimplicit.projections import ColumnBudget

__all__ = ["budget_of", "check_budget"]

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
        If there is a budget and a direct term, no ridge, or nothing that could choose it.
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
    if bound * samples.U_scale.max(initial=1.0) < _LEAST_BUDGET:
        raise ValueError(
            f"column_budget={bound!r} leaves nothing of B: it bounds weights of inputs whose standard deviations are "
            f"at most {samples.U_scale.max():.0e}; raise it in proportion to one over those."
        )
    return ColumnBudget(bound, samples.budget_weights())
