"""Whether some inputs matter more than others, and some not at all: held-out rows decide."""

from dataclasses import replace

import numpy as np
from joblib import delayed

from skimplicit.estimators.cross_fit_choice import best_linear, cross_fit
from skimplicit.estimators.cross_fitting import WAY_DIRECT_RIDGE
from skimplicit.estimators.parallel import Parallel, in_threads
from skimplicit.estimators.relevance import relevance_factors
from skimplicit.rows import evenly_spaced

__all__ = ["choose_relevance"]

# Of more inputs than these a path takes minutes, and all are alike.
_MOST_INPUTS = 100_000
# Most rows that importances are taken over.
_MOST_ROWS = 2000
# Inputs from which on some are left out: first half of them, or so many, then half of those, down to the fewest.
# Measured in ``benchmarks/README.md``, "Inputs left out".
_MANY_INPUTS, _MOST_LEFT, _FEWEST_LEFT = 17, 32, 5
# By how many of its standard errors the held-out loss has to be lower without them.
_CLEARLY = 1.0
# Members that go first with half of the inputs: where they are not better without the others, the rest is not tried.
_SCOUTS = 2
# Weights of the readout, q (n + p + 1), from which on none are left out: of many classes a path is dear.
_MOST_READOUT = 500
# Power of the importances that are the factors of a linear rule, which are its coefficients: one step of reweighted
# squares toward the lasso. The squares of few coefficients would mislead where all are alike, and what is gained where
# they are not is as much (``benchmarks/README.md``, "A ridge for each input of a linear rule").
_POWER_OF_LINEAR = 0.5


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
        What :func:`relevance_factors` returns; 0 for an input that is left out. None where inputs stay alike:
        where held-out rows do not want it; under a budget or constraints, which say themselves what inputs may do; of
        very many inputs.
    """
    given = estimator.column_budget is not None or estimator.constraints is not None
    if given or choice.interrupted or samples.n_inputs > _MOST_INPUTS:
        return choice, None
    # Of more inputs than rows a linear rule goes through nearly all targets, and so does one with other ridges: where
    # held-out rows hardly tell them apart, all inputs alike are what loses least.
    wide = np.count_nonzero(~samples.constant) > samples.n_samples
    if samples.n_samples > _MOST_ROWS:
        samples = samples.rows(evenly_spaced(samples.n_samples, _MOST_ROWS))
    choice, n_left = _with_fewer_inputs(estimator, choice, samples, n_jobs, bridge)
    if n_left is not None:
        return choice, relevance_factors(choice.rules, samples, n_left)
    least = _CLEARLY if wide and choice.linear else 0.0
    return _with_ridges(estimator, choice, samples, least, n_jobs, bridge)


def _with_fewer_inputs(estimator, choice, samples, n_jobs, bridge):
    """Return the choice of members that use fewer inputs each, and how many; as it was and None where all are needed.

    Recursive feature elimination (Guyon, Weston, Barnhill and Vapnik, 2002) inside the cross-fit: each member leaves
    out what matters least to itself, on its own rows, and starts anew, at random and at the smallest ridge. So noise no
    longer hides what is bent.

    Where more than half of them go at once, inputs that stand out from noise, by themselves or beside others that do,
    as they are or bent, come before all others: a rule of many inputs may have found only what is linear.
    """
    whole, n_left = choice.members, None
    n_varying = np.count_nonzero(~samples.constant)
    n_next = min(n_varying // 2, _MOST_LEFT)
    many = n_varying >= _MANY_INPUTS and not estimator._keeps_inputs
    if not many or samples.n_outputs * (estimator.n_hidden + n_next + 1) > _MOST_READOUT:
        return choice, None
    ranked, n_iter = choice, choice.n_iter
    try:
        first = _standing_out(whole, n_varying, n_next, n_jobs)
        while n_next >= _FEWEST_LEFT:
            members = _rescaled(estimator, whole, ranked, samples, WAY_DIRECT_RIDGE, n_next, first)
            if members is None:
                break
            in_vain = n_left is None and _are_in_vain(choice, members, n_jobs, bridge)
            ranked = None if in_vain else cross_fit(members, n_jobs, bridge)
            n_iter += sum(member.path.n_iter for member in members if member.path is not None)
            above = np.inf if in_vain or ranked.interrupted else ranked.standard_errors_above(choice)
            if above < -_CLEARLY:
                choice, n_left = ranked, n_next
            elif n_left is None or not above < 0.0:
                break
            n_next, first = n_next // 2, None
    except KeyboardInterrupt:
        return replace(choice, n_iter=n_iter, interrupted=True), n_left
    interrupted = ranked is not None and ranked.interrupted
    return replace(choice, n_iter=n_iter, interrupted=interrupted), n_left


def _standing_out(members, n_varying, n_left, n_jobs):
    """Return for each member the inputs that stand out; None where its rule can be trusted with what to leave out.

    No more than half of those to be left, in the order of which the rule has a say as well.
    """
    if n_left == n_varying // 2:
        return None
    return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(member.standing_out)(n_left // 2) for member in members)


def _are_in_vain(choice, members, n_jobs, bridge):
    """Let the first of some members rise; tell whether they are no better than those there are."""
    scouts, before = members[:_SCOUTS], choice.members[:_SCOUTS]
    in_threads([delayed(member.rise)(bridge) for member in scouts], n_jobs, bridge)
    return not sum(member.least_loss() for member in scouts) < sum(member.least_loss() for member in before)


def _with_ridges(estimator, choice, samples, least, n_jobs, bridge):
    """Return the choice of members with a ridge for each input, and the factors; as it was and None where not better.

    Better is a loss of held-out rows that is lower by more than ``least`` of its standard errors.

    Each member is trained on, on its own rows, with the importances of inputs to itself as factors: so it knows
    nothing of the others, and what it predicts of them is what a rule with a ridge for each input does. In the last
    training, on all rows, the factors are the importances to the mean of the members after that. A linear rule has the
    roots of importances, and a ridge that is chosen anew.
    """
    if choice.interrupted:
        return choice, None
    power = _POWER_OF_LINEAR if choice.linear else 1.0
    members = _rescaled(estimator, choice.members, choice, samples, choice.direct_ridge, power=power)
    if members is None:
        return choice, None
    other = _trained_on(choice, members, n_jobs, bridge)
    if other.standard_errors_above(choice) < -least:
        return other, relevance_factors(other.rules, samples, power=power)
    return replace(choice, n_iter=other.n_iter, interrupted=other.interrupted), None


def _rescaled(estimator, members, choice, samples, direct_ridge, n_inputs=None, first=None, power=1.0):
    """Return members with factors by what matters to their rules; None where to one of these nothing does."""
    first = [()] * len(members) if first is None else first
    pairs = zip(choice.rules, first, strict=True)
    factors = [relevance_factors([rule], samples, n_inputs, own, power) for rule, own in pairs]
    if any(own is None for own in factors):
        return None
    pairs = zip(members, factors, strict=True)
    return tuple(member.rescaled(estimator, own, direct_ridge) for member, own in pairs)


def _trained_on(choice, members, n_jobs, bridge):
    """Return the choice of other members, trained on from the rules of these; as it was after a KeyboardInterrupt."""
    pairs = zip(members, choice.rules, strict=True)
    try:
        if choice.linear:
            alpha, points, kept, _ = best_linear(members)
            return choice.predicting(kept, 0, members, points=tuple(points), alpha=alpha)
        calls = [delayed(member.train_on)(rule, choice.alpha, bridge) for member, rule in pairs]
        results = in_threads(calls, n_jobs, bridge)
    except KeyboardInterrupt:
        return replace(choice, interrupted=True)
    points, kept, n_iter = zip(*results, strict=True)
    return choice.predicting(kept, sum(n_iter), members, points=points)
