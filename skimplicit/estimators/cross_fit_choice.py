"""The ridge by held-out predictions, and what else they tell: the score on new rows, and whether states help at all."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from skimplicit.estimators.cross_fitting import HIGHEST_RUNG, STRIDE, WAY_DIRECT_RIDGE, ridge_of

__all__ = ["CrossFit", "cross_fit"]

# Ridges of the direct term, beside alpha, among which the held-out loss decides.
_DIRECT_RIDGES = (0.03, WAY_DIRECT_RIDGE, 1.0)
# Ridges of the rule without states.
_LINEAR_ALPHAS = np.geomspace(1e-4, 1e3, 15)


@dataclass(frozen=True)
class CrossFit:
    """What comes of cross-fitting.

    Parameters
    ----------
    alpha, direct_ridge : float
        The best ridge, and that of the direct term as a multiple of it.
    alphas, losses : ndarray of shape (k,)
        The ridges tried, and the held-out loss of the mean of the members at each.
    members : tuple of Member
        The members.
    points : tuple of Point
        Their rules at the best ridge.
    predictions : ndarray of shape (m, q)
        Held-out predictions, the mean where a row is held out by several members, NaN where by none.
    spread : ndarray of shape (q,)
        Mean variance of the members' predictions about their mean; zero for a loss that is not the squared one.
    linear : bool
        Whether a rule without states has the least held-out loss.
    n_iter : int
        Iterations of all members.
    """

    alpha: float
    direct_ridge: float
    alphas: np.ndarray
    losses: np.ndarray
    members: tuple
    points: tuple
    predictions: np.ndarray
    spread: float
    linear: bool
    n_iter: int


def cross_fit(members, n_jobs, bridge):
    """Train members along rising ridges and choose by the rows that each has not seen.

    Parameters
    ----------
    members : list of Member
        The members, each with its fold.
    n_jobs : int or None
        Members trained side by side, in threads.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    CrossFit
        The choice.
    """
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    paths = parallel(delayed(member.rise)(bridge) for member in members)
    rungs, losses = _mean_losses(members, paths)
    if np.argmin(losses) == 0:
        # The smallest ridge wins: the best one may be smaller still.
        paths = parallel(delayed(m.fall)(path, bridge) for m, path in zip(members, paths, strict=True))
        rungs, losses = _mean_losses(members, paths)

    def all_to(rung):
        short = [k for k, path in enumerate(paths) if rung not in path.rungs]
        longer = parallel(delayed(members[k].go_to)(paths[k], rung, bridge) for k in short)
        for k, path in zip(short, longer, strict=True):
            paths[k] = path
        return _mean_losses(members, paths)

    while np.argmin(losses) == len(losses) - 1 and rungs[-1] < HIGHEST_RUNG:
        # The largest ridge that all have wins: those that stopped there go on.
        rungs, losses = all_to(rungs[-1] + STRIDE)
    best = rungs[_best(losses)]
    between = _halfway(rungs, losses, best)
    if between is not None:
        rungs, losses = all_to(between)
    rung = min(best if between is None else between, best, key=lambda rung: losses[rungs.index(rung)])
    alphas, alpha = np.array([ridge_of(rung) for rung in rungs]), ridge_of(rung)
    points, kept = map(list, zip(*(path.at(rung) for path in paths), strict=True))
    direct_ridge, points, kept, loss = _choose_direct_ridge(members, points, kept, alpha)
    linear = _best_linear(members)
    if linear is not None and linear[-1] <= loss:
        alpha, points, kept, _ = linear
        direct_ridge = 1.0
    return CrossFit(
        alpha,
        direct_ridge,
        alphas,
        losses,
        tuple(members),
        tuple(points),
        _held_out(members, kept),
        _spread(members, kept),
        linear is not None and linear[-1] <= loss,
        sum(path.n_iter for path in paths),
    )


def _best(losses):
    """Return the position of the least loss of a path, an int, each taken with its neighbours: one may be luck."""
    padded = np.concatenate([losses[:1], losses, losses[-1:]])
    return int(np.argmin(padded[:-2] + 2 * padded[1:-1] + padded[2:]))


def _halfway(rungs, losses, best):
    """Return the rung on that side of the best one where losses are less, None at the end of the path."""
    k = rungs.index(best)
    left = losses[k - 1] if k else np.inf
    right = losses[k + 1] if k + 1 < len(rungs) else np.inf
    if left == right:
        return None
    neighbour = rungs[k - 1] if left < right else rungs[k + 1]
    return (best + neighbour) // 2 if abs(best - neighbour) > 1 else None


def _mean_losses(members, paths):
    """Return the increasing rungs that all members have, and the held-out loss of their mean at each."""
    rungs = sorted(set.intersection(*(set(path.rungs) for path in paths)))
    kept = [[path.at(rung)[1] for path in paths] for rung in rungs]
    return rungs, np.array([_mean_loss(members, predictions) for predictions in kept])


def _mean_loss(members, kept):
    """Return the held-out loss of the mean of members, from the predictions (m, q) of all rows by each.

    A row is held out by one member, but predicted by the mean of all. For the squared loss the mean's is less than the
    members' by their variance (Krogh and Vedelsby, 1995), which the other rows show.
    """
    losses = [m.loss(predictions[m.fold.test], m.fold.test) for m, predictions in zip(members, kept, strict=True)]
    sizes = [m.fold_weight for m in members]
    return float(np.average(losses, weights=sizes)) - 0.5 * float(
        np.sum(_spread(members, kept) / members[0].task.objective.samples.Y_scale ** 2)
    )


def _spread(members, kept):
    """Return the mean variance of predictions about their mean (q,); zeros for a loss that is not the squared one."""
    if len(members) == 1 or not members[0].targets.scale:
        return np.zeros(kept[0].shape[1])
    return np.average(np.var(kept, axis=0), axis=0, weights=members[0].targets.weights)


def _choose_direct_ridge(members, points, kept, alpha):
    """Return the best ridge of the direct term with points, predictions and loss there; states stay as they are."""
    choice = WAY_DIRECT_RIDGE, points, kept, _mean_loss(members, kept)
    if points[0].readout.D is None:
        return choice
    for ratio in _DIRECT_RIDGES:
        if ratio == WAY_DIRECT_RIDGE:
            continue
        others = [m.with_direct_ridge(point, alpha, ratio) for m, point in zip(members, points, strict=True)]
        predictions = [m.predict(point) for m, point in zip(members, others, strict=True)]
        loss = _mean_loss(members, predictions)
        if loss < choice[-1]:
            choice = ratio, others, predictions, loss
    return choice


def _best_linear(members):
    """Return the best ridge of a rule without states, with points, predictions and loss; None without a direct term."""
    if not members[0].task.objective.direct:
        return None
    best = None
    for alpha in _LINEAR_ALPHAS:
        points = [member.without_states(alpha) for member in members]
        kept = [m.predict(point) for m, point in zip(members, points, strict=True)]
        loss = _mean_loss(members, kept)
        if best is None or loss < best[-1]:
            best = float(alpha), points, kept, loss
    return best


def _held_out(members, kept):
    """Return the mean prediction of each row by the members that have not seen it, NaN where all have."""
    total, count = np.zeros_like(kept[0]), np.zeros((len(kept[0]), 1))
    for member, predictions in zip(members, kept, strict=True):
        rows = np.unique(member.fold.test)
        total[rows] += predictions[rows]
        count[rows] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
