"""What inputs matter: by what the last training of cross-fitted members multiplies each scaled input."""

from dataclasses import replace

import numpy as np

from skimplicit.estimators.importance import input_importances
from skimplicit.estimators.thin_tasks import task_over

__all__ = ["mean_relevance", "relevance_factors", "with_relevance"]

# Least factor, as a share of the largest: an input that hardly mattered pays a thousand times the ridge, and can come
# back.
_LEAST = 0.03


def relevance_factors(rules, samples, n_inputs=None, first=(), power=1.0):
    """Return the importances of inputs to the mean of rules, or powers of them, divided by their root mean square.

    With the importance s_j the ridge of input j is divided by its square: that of automatic relevance determination
    (MacKay, 1994; Neal, 1996), which has the evidence choose it. With its root it is divided by s_j: the weighted
    squares by which the lasso is solved (Grandvalet, 1998).

    Parameters
    ----------
    rules : sequence of ImplicitRule
        The rules.
    samples : Samples
        Rows that importances are taken over.
    n_inputs : int or None
        How many inputs to leave, those that matter most; None for all. The others have the factor 0.
    first : ndarray of int
        Inputs that come before all others, no more than are to be left. Their factors are not below the root mean
        square: a rule that has not found them says nothing of them.
    power : float
        The importances are taken to this power.

    Returns
    -------
    ndarray of shape (p,) or None
        The factors, with a root mean square of one over the inputs that vary and are left; one for an input that never
        varies, of which nothing is known. None where no input matters.
    """
    importances = input_importances(rules, samples, np.ones((samples.n_outputs, samples.n_inputs), dtype=bool))
    if not importances.max(initial=0.0) > 0:
        return None
    factors = np.maximum(importances / importances.max(), _LEAST) ** power
    left = ~samples.constant
    if n_inputs is not None:
        comes_first = np.isin(np.arange(left.size), first)
        order = np.lexsort((-importances, ~comes_first, ~left))
        out = order[n_inputs : np.count_nonzero(left)]
        factors[out], left[out] = 0.0, False
        factors[comes_first] = np.maximum(factors[comes_first], _root_mean_square(factors[left]))
    factors /= _root_mean_square(factors[left])
    factors[samples.constant] = 1.0
    return factors


def _root_mean_square(values):
    return np.sqrt(np.mean(values**2))


def mean_relevance(relevances):
    """Return the factors that speak for several rules: 0 for an input that all of them leave out.

    Parameters
    ----------
    relevances : list of (ndarray of shape (p,) or None)
        The factors of each; None for ones.

    Returns
    -------
    ndarray of shape (p,) or None
        The root of the mean of their squares; None where all are None.
    """
    if all(each is None for each in relevances):
        return None
    squares = [1.0 if each is None else each**2 for each in relevances]
    return np.sqrt(sum(squares) / len(squares))


def with_relevance(estimator, task, factors, direct_ridge=None):
    """Return a :class:`TrainingTask` whose scaled inputs are multiplied by factors.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    task : TrainingTask
        The task.
    factors : ndarray of shape (p,) or None
        The factors; None for ones. An input with the factor 0 is left out, as if it were constant.
    direct_ridge : float or None
        Another ridge of the direct term, a multiple of alpha; None for that of the task.

    Returns
    -------
    TrainingTask
        The task, with all that is said about weights in its units.
    """
    if direct_ridge is not None:
        task = replace(task, objective=task.objective.with_direct_ridge(direct_ridge))
    if factors is None:
        return task
    return task_over(estimator, task, lambda samples: samples.rescaled(factors))
