"""Whether some inputs matter more than others, and some not at all: held-out rows decide."""

from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from skimplicit.estimators.cross_fit_choice import cross_fit
from skimplicit.estimators.cross_fitting import WAY_DIRECT_RIDGE
from skimplicit.estimators.relevance import relevance_factors
from skimplicit.rows import LARGEST_MATRIX

__all__ = ["choose_relevance"]

# Most rows that importances are taken over.
_MOST_ROWS = 2000
# Inputs from which on some are left out: first half of them, or so many, then half of those, down to the fewest.
# Measured in ``benchmarks/README.md``, "Inputs left out".
_MANY_INPUTS, _MOST_LEFT, _FEWEST_LEFT = 17, 32, 5
# By how many of its standard errors the held-out loss has to be lower without them.
_CLEARLY = 1.0
# Members that go first: where they are not better without, the others are not tried.
_SCOUTS = 2
# Weights of the readout, q (n + p + 1), from which on none are left out: of many classes a path is dear.
_MOST_READOUT = 500


def choose_relevance(estimator, choice, samples, n_jobs, bridge):
    """Return what comes of a ridge for each input, if rows that members have not seen are better predicted with it.

    Many inputs are halved, the less important ones left out, as long as that makes held-out rows clearly better
    predicted. Fewer, or where all are needed, have ridges by their importance.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    choice : CrossFit
        What came of cross-fitting, all inputs alike.
    samples : Samples
        Rows that importances are taken over.
    n_jobs : int or None
        Members trained side by side, in threads.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    choice : CrossFit
        The choice, with what members predict after that; as it was where inputs stay alike.
    relevance : ndarray of shape (p,) or None
        Importances, divided by their root mean square; 0 for an input that is left out. None where inputs stay alike:
        where held-out rows do not want it; under a budget or constraints, which say themselves what inputs may do; of
        very many inputs.
    """
    given = estimator.column_budget is not None or estimator.constraints is not None
    if given or choice.interrupted or samples.n_inputs > LARGEST_MATRIX:
        return choice, None
    if samples.n_samples > _MOST_ROWS:
        samples = samples.rows(np.linspace(0, samples.n_samples - 1, _MOST_ROWS).astype(int))
    choice, n_left = _with_fewer_inputs(estimator, choice, samples, n_jobs, bridge)
    if n_left is not None:
        return choice, relevance_factors(choice.rules, samples, n_left)
    return _with_ridges(estimator, choice, samples, n_jobs, bridge)


def _with_fewer_inputs(estimator, choice, samples, n_jobs, bridge):
    """Return the choice of members that use fewer inputs each, and how many; as it was and None where all are needed.

    Recursive feature elimination (Guyon, Weston, Barnhill and Vapnik, 2002) inside the cross-fit: each member leaves
    out what matters least to itself, on its own rows, and starts anew, at random and at the smallest ridge. So noise no
    longer hides what is bent.
    """
    whole, n_left = choice.members, None
    n_varying = np.count_nonzero(~samples.constant)
    n_next = min(n_varying // 2, _MOST_LEFT)
    if n_varying < _MANY_INPUTS or samples.n_outputs * (estimator.n_hidden + n_next + 1) > _MOST_READOUT:
        return choice, None
    while n_next >= _FEWEST_LEFT:
        members = _rescaled(estimator, whole, choice, samples, WAY_DIRECT_RIDGE, n_next)
        if members is None:
            break
        try:
            other = _cross_fit_unless_in_vain(choice, members, n_jobs, bridge)
        except KeyboardInterrupt:
            return replace(choice, interrupted=True), n_left
        if other is None or other.interrupted or not other.standard_errors_above(choice) < -_CLEARLY:
            n_iter = choice.n_iter + sum(member.path.n_iter for member in members if member.path is not None)
            return replace(choice, n_iter=n_iter, interrupted=other is not None and other.interrupted), n_left
        choice, n_left = replace(other, n_iter=choice.n_iter + other.n_iter), n_next
        n_next //= 2
    return choice, n_left


def _cross_fit_unless_in_vain(choice, members, n_jobs, bridge):
    """Return the choice of members that start anew; None where the first of them are no better than those there are."""
    scouts = members[:_SCOUTS]
    Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(member.rise)(bridge) for member in scouts)
    before = choice.members[:_SCOUTS]
    if not sum(member.least_loss() for member in scouts) < sum(member.least_loss() for member in before):
        return None
    return cross_fit(members, n_jobs, bridge)


def _with_ridges(estimator, choice, samples, n_jobs, bridge):
    """Return the choice of members with a ridge for each input, and the factors; as it was and None where not better.

    Each member is trained on, on its own rows, with the importances of inputs to itself as factors: so it knows
    nothing of the others, and what it predicts of them is what a rule with a ridge for each input does. In the last
    training, on all rows, the factors are the importances to the mean of the members after that.
    """
    members = None if choice.interrupted else _rescaled(estimator, choice.members, choice, samples, choice.direct_ridge)
    if members is None:
        return choice, None
    other = _trained_on(choice, members, n_jobs, bridge)
    if other.standard_errors_above(choice) < 0.0:
        return other, relevance_factors(other.rules, samples)
    return replace(choice, n_iter=other.n_iter, interrupted=other.interrupted), None


def _rescaled(estimator, members, choice, samples, direct_ridge, n_inputs=None):
    """Return members with factors by what matters to their rules; None where to one of these nothing does."""
    factors = [relevance_factors([rule], samples, n_inputs) for rule in choice.rules]
    if any(own is None for own in factors):
        return None
    pairs = zip(members, factors, strict=True)
    return tuple(member.rescaled(estimator, own, direct_ridge) for member, own in pairs)


def _trained_on(choice, members, n_jobs, bridge):
    """Return the choice of other members, trained on from the rules of these; as it was after a KeyboardInterrupt."""
    pairs = zip(members, choice.rules, strict=True)
    try:
        results = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(member.train_on)(rule, choice.alpha, choice.linear, bridge) for member, rule in pairs
        )
    except KeyboardInterrupt:
        return replace(choice, interrupted=True)
    points, kept, n_iter = zip(*results, strict=True)
    return choice.predicting(kept, sum(n_iter), members, points=points)
