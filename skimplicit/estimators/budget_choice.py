"""The column budget by held-out losses, once the ridge is chosen."""

from dataclasses import replace

import numpy as np
from joblib import delayed

from skimplicit.estimators.parallel import in_threads

__all__ = ["choose_budget"]


def choose_budget(choice, n_jobs, bridge):
    """Bound the columns of B by the smallest budget that rows that members have not seen allow.

    One rule is trained under the budget, not the mean of all: the losses are those of single members. The smallest
    budget wins whose loss is not worse than the best by more than a standard error of their difference over the folds.

    Parameters
    ----------
    choice : CrossFit
        The ridge, and the members at it without a bound.
    n_jobs : int or None
        Members trained side by side, in threads.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    CrossFit
        The choice with the budget; as it was, where it is interrupted before or a KeyboardInterrupt comes.
    """
    if choice.interrupted:
        return choice
    members, starts = choice.members, choice.points
    ways = [m.budgets(point, choice.alpha) for m, point in zip(members, starts, strict=True)]
    bounds = np.geomspace(max(way[0] for way in ways), min(way[-1] for way in ways), len(ways[0]))
    try:
        calls = [delayed(m.tighten)(own, choice.alpha, bounds, bridge) for m, own in zip(members, starts, strict=True)]
        results = in_threads(calls, n_jobs, bridge)
    except KeyboardInterrupt:
        return replace(choice, interrupted=True)
    paths, n_iter = zip(*results, strict=True)
    steps = list(zip(*paths, strict=False))  # up to where all members came
    losses = np.array(
        [[m.loss(kept[m.fold.test], m.fold.test) for m, (_, kept) in zip(members, step, strict=True)] for step in steps]
    )
    weights = np.array([m.fold_weight for m in members])
    k = _smallest_good(losses, weights / weights.sum())
    points, kept = zip(*steps[k], strict=True)
    return choice.predicting(kept, sum(n_iter), points=points, column_budget=float(bounds[k]))


def _smallest_good(losses, weights):
    """Return the last position of losses (k, n_folds) not worse than the best by more than a standard error."""
    best = int(np.argmin(losses @ weights))
    apart = losses - losses[best]
    mean = apart @ weights
    error = np.sqrt(np.sum(weights**2 * (apart - mean[:, None]) ** 2, axis=1) * len(weights) / max(len(weights) - 1, 1))
    return int(np.flatnonzero(mean <= error)[-1])
