"""What inputs matter: by what the last training of cross-fitted members multiplies each scaled input."""

from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from skimplicit.estimators.importance import input_importances
from skimplicit.rows import LARGEST_MATRIX

__all__ = ["choose_relevance", "with_relevance"]

# Least factor, as a share of the largest: an input that hardly mattered pays a thousand times the ridge, and can come
# back. Most rows that importances are taken over.
_LEAST, _MOST_ROWS = 0.03, 2000


def choose_relevance(estimator, choice, samples, n_jobs, bridge):
    """Return what comes of a ridge for each input, if rows that members have not seen are better predicted with it.

    Each member is trained on, on its own rows, with the importances of inputs to itself as factors: so it knows
    nothing of the others, and what it predicts of them is what a rule with a ridge for each input does. In the last
    training, on all rows, the factors are the importances to the mean of the members after that.

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
        Importances, divided by their root mean square. None where inputs stay alike: where held-out rows do not
        want it; under a budget or constraints, which say themselves what inputs may do; of very many inputs.

    Notes
    -----
    With the importance s_j the ridge of input j is divided by its square: that of automatic relevance determination
    (MacKay, 1994; Neal, 1996), which has the evidence choose it.
    """
    given = estimator.column_budget is not None or estimator.constraints is not None
    if given or choice.interrupted or samples.n_inputs > LARGEST_MATRIX:
        return choice, None
    if samples.n_samples > _MOST_ROWS:
        samples = samples.rows(np.linspace(0, samples.n_samples - 1, _MOST_ROWS).astype(int))
    factors = [_factors([rule], samples) for rule in choice.rules]
    if any(own is None for own in factors):
        return choice, None
    pairs = zip(choice.members, factors, strict=True)
    members = tuple(member.rescaled(estimator, own, choice.direct_ridge) for member, own in pairs)
    other = _trained_on(choice, members, n_jobs, bridge)
    if other.standard_errors_above(choice) < 0.0:
        return other, _factors(other.rules, samples)
    return replace(choice, n_iter=other.n_iter, interrupted=other.interrupted), None


def _factors(rules, samples):
    """Return the importances of inputs to the mean of rules, root mean square 1; None where no input matters."""
    importances = input_importances(rules, samples, np.ones((samples.n_outputs, samples.n_inputs), dtype=bool))
    if not importances.max(initial=0.0) > 0:
        return None
    factors = np.maximum(importances / importances.max(), _LEAST)
    return factors / np.sqrt(np.mean(factors[~samples.constant] ** 2))


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


def with_relevance(estimator, task, factors):
    """Return a :class:`TrainingTask` whose scaled inputs are multiplied by factors.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    task : TrainingTask
        The task.
    factors : ndarray of shape (p,) or None
        The factors; None for ones.

    Returns
    -------
    TrainingTask
        The task, with all that is said about weights in its units.
    """
    if factors is None:
        return task
    held_out = None if task.held_out is None else task.held_out.rescaled(factors)
    rescaled = estimator._task_over(task.objective.samples.rescaled(factors), task.objective.direct_ridge)
    return replace(rescaled, held_out=held_out, random_state=task.random_state, final_tol=task.final_tol)
