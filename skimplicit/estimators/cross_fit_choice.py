"""The ridge by held-out predictions, and what else they tell: the score on new rows, and whether states help at all."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
from joblib import delayed

from skimplicit.composition import average
from skimplicit.estimators.cross_fitting import FAR_WORSE, HIGHEST_RUNG, STRIDE, WAY_DIRECT_RIDGE, WORSE, ridge_of
from skimplicit.estimators.held_out_losses import (
    better_beyond,
    difference,
    held_out_predictions,
    mean_loss,
    mean_losses,
    mean_share_held_out,
    spread_of,
    standard_errors_above,
)
from skimplicit.estimators.parallel import in_threads

__all__ = ["CrossFit", "best_linear", "best_linear_of_each", "cross_fit"]

# Ridges of the direct term, beside alpha, among which the held-out loss decides.
_DIRECT_RIDGES = (0.03, WAY_DIRECT_RIDGE, 1.0)
# Ridges of the rule without states, from large to small: each readout is near the one before. They end where the loss
# is clearly above the least one, for a small ridge of classes that a plane separates takes many steps. At ridges that
# leave next to nothing, what is least is noise: up to this one they go on unless the loss is far above it. (Of 80
# spectra of 400 channels the loss was .508 at 1e3, .530 at 3, .0005 at 1e-4.)
_LINEAR_ALPHAS, _TELLING_ALPHA = np.geomspace(1e3, 1e-4, 15), 0.3


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
    kept : tuple of ndarray of shape (m, q)
        What each of these predicts for all rows.
    predictions : ndarray of shape (m, q)
        Held-out predictions, the mean where a row is held out by several members, NaN where by none.
    unit : ndarray of shape (q,)
        A power of two near the largest target, ones for classes: in these units no square overflows or vanishes.
    spread : ndarray of shape (q,)
        Mean variance of the members' predictions about their mean, in squared units; zero for a loss that is not the
        squared one.
    linear : bool
        Whether a rule without states has the least held-out loss.
    n_iter : int
        Iterations of all members.
    interrupted : bool
        Whether a KeyboardInterrupt came before all members were at the end of their paths.
    column_budget : float or None
        The bound on the columns of B that was chosen; None where none was wanted.
    beside : tuple of CrossFit
        Other choices on the same folds, with whose members these are averaged. What is kept, predicted and spread is
        then that of the means.
    left : ndarray of shape (q,) or float
        How many times the error of the mean of the members that of the rule which comes of them is.
    """

    alpha: float
    direct_ridge: float
    alphas: np.ndarray
    losses: np.ndarray
    members: tuple
    points: tuple
    kept: tuple
    predictions: np.ndarray
    unit: np.ndarray
    spread: np.ndarray
    linear: bool
    n_iter: int
    interrupted: bool
    column_budget: float | None = None
    beside: tuple[Self, ...] = ()
    left: np.ndarray | float = 1.0

    @property
    def rules(self):
        """The rule of each member, a tuple of ImplicitRule."""
        own = tuple(m.task.objective.rule(point) for m, point in zip(self.members, self.points, strict=True))
        return tuple(map(average, own, *(other.rules for other in self.beside))) if self.beside else own

    def errors(self, error, rows, weights):
        """Return the expected squared error, (q,), of a member and of what comes of all, from that of ``predictions``.

        Each of some rows, a mask (m,) with weights (m,), is predicted by the members that have not seen it.
        """
        n = len(self.members)
        share = mean_share_held_out(self.members, rows, weights)
        variance = self.spread * n / max(n - 1, 1)
        of_mean = error - (n * share - 1.0) / max(n - 1, 1) * self.spread
        return error + (1.0 - share) * variance, self.left**2 * of_mean

    def has_folds_of(self, other):
        """Tell whether the members of another choice hold out the same rows as these, one by one."""
        pairs = zip(self.members, other.members, strict=False)
        same = len(self.members) == len(other.members)
        return same and all(np.array_equal(mine.fold.test, its.fold.test) for mine, its in pairs)

    def standard_errors_above(self, other):
        """Return by how many of its standard errors the held-out loss exceeds that of another choice, row by row."""
        return standard_errors_above(self.members[0], self.predictions, other.predictions)

    def predicting(self, kept, n_iter, members=None, **changes):
        """Return the choice whose members, or others for them, predict ``kept`` after n_iter more iterations."""
        members = self.members if members is None else members
        return replace(
            self,
            members=members,
            kept=kept,
            predictions=held_out_predictions(members, kept),
            spread=spread_of(members, kept),
            n_iter=self.n_iter + n_iter,
            **changes,
        )

    def averaged_with(self, others):
        """Return the choice whose members are the means of these and those of others on the same folds."""
        kept = [np.mean(each, axis=0) for each in zip(self.kept, *(other.kept for other in others), strict=True)]
        return self.predicting(kept, sum(other.n_iter for other in others), beside=tuple(others))


def cross_fit(members, n_jobs, bridge, linear=None):
    """Train members along rising ridges and choose by the rows that each has not seen.

    Parameters
    ----------
    members : list of Member
        The members, each with its fold.
    n_jobs : int or None
        Members trained side by side, in threads.
    bridge : CallbackBridge
        Reports every iteration.
    linear : tuple or None
        The :func:`best_linear` of the members, if it is known.

    Returns
    -------
    CrossFit
        The choice. After a KeyboardInterrupt that of the members so far: those at the end of their rise, or those on
        their way.

    Raises
    ------
    KeyboardInterrupt
        If there is no rule yet.
    """
    scored, interrupted = None, False
    try:
        scored = _follow_paths(members, n_jobs, bridge)
    except KeyboardInterrupt:
        begun = [member for member in members if member.path is not None]
        members, interrupted = [member for member in begun if not member.interrupted] or begun, True
        if not members:
            raise
    if linear is None or interrupted:  # of those members that there are
        linear = best_linear(members)
    return _choose(members, _scored(members) if scored is None else scored, linear, interrupted)


def _follow_paths(members, n_jobs, bridge):
    """Train every member at all ridges that may be the best; return these as :func:`_scored` does."""
    parallel = partial(in_threads, n_jobs=n_jobs, bridge=bridge)
    parallel(delayed(member.rise)(bridge) for member in members if member.path is None)
    rungs, losses = mean_losses(members)

    def all_to(rung):
        parallel(delayed(member.go_to)(rung, bridge) for member in members if rung not in member.path.rungs)
        return mean_losses(members)

    # A member whose path ended early would keep all from a ridge that suits the others.
    while better_beyond(members, rungs[-1] + STRIDE, losses.min()):
        rungs, losses = all_to(rungs[-1] + STRIDE)
    if np.argmin(losses) == 0:  # the best ridge may be smaller still
        parallel(delayed(member.fall)(bridge) for member in members)
        rungs, losses = mean_losses(members)
    while np.argmin(losses) == len(losses) - 1 and rungs[-1] < HIGHEST_RUNG:
        # The largest ridge that all have wins: those that stopped there go on.
        rungs, losses = all_to(rungs[-1] + STRIDE)
    best = rungs[_best(losses, smoothed=members[0].targets.scale)]
    between = _halfway(rungs, losses, best)
    if between is None:
        return rungs, losses, best
    rungs, losses = all_to(between)
    return rungs, losses, min(between, best, key=lambda rung: losses[rungs.index(rung)])


def _scored(members):
    """Return the rungs that all members have, the held-out losses there, and the rung of the best ridge, an int."""
    rungs, losses = mean_losses(members)
    return rungs, losses, rungs[_best(losses, smoothed=members[0].targets.scale)]


def _choose(members, scored, linear, interrupted):
    """Return the :class:`CrossFit` of members that have followed their paths, which have been :func:`_scored`."""
    paths, (rungs, losses, rung) = [member.path for member in members], scored
    if not members[0].targets.scale:
        rung = _least_alike(members, rungs, losses, rung)
    alphas, alpha = np.array([ridge_of(rung) for rung in rungs]), ridge_of(rung)
    points, kept = map(list, zip(*(path.at(rung) for path in paths), strict=True))
    loss = losses[rungs.index(rung)]
    direct_ridge, points, kept, loss = _choose_direct_ridge(members, points, kept, loss, alpha)
    is_linear = linear is not None and bool(linear[-1] <= loss)
    if is_linear:
        direct_ridge, (alpha, points, kept, _) = 1.0, linear
    return CrossFit(
        alpha=alpha,
        direct_ridge=direct_ridge,
        alphas=alphas,
        losses=losses,
        members=tuple(members),
        points=tuple(points),
        kept=tuple(kept),
        predictions=held_out_predictions(members, kept),
        unit=members[0].unit,
        spread=spread_of(members, kept),
        linear=is_linear,
        n_iter=sum(path.n_iter for path in paths),
        interrupted=interrupted,
    )


def _least_alike(members, rungs, losses, best):
    """Return the least rung whose loss is not above that of the best one by more than its standard error over rows.

    Held-out rows judge members that have seen fewer rows, and the disagreement of members is taken from rows that most
    of them have seen. The mean of all, trained on all rows, needs less of a ridge.
    """

    def predicted(rung):
        return held_out_predictions(members, [member.path.at(rung)[1] for member in members])

    at_best, least = predicted(best), losses[rungs.index(best)]

    def is_alike(rung):
        _, error = difference(members[0], predicted(rung), at_best)
        return losses[rungs.index(rung)] - least <= error

    return next(rung for rung in rungs if rung == best or is_alike(rung))


def _best(losses, smoothed):
    """Return the position of the least loss of a path, an int, if ``smoothed`` each taken with its neighbours.

    One alone may be luck. But the cross-entropy rises so steeply toward small ridges that a neighbour would decide:
    segment, .225, .118, .122 at three ridges in a row, and .080 and .105 on new rows at the last two of them.
    """
    if not smoothed:
        return int(np.argmin(losses))
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


def _choose_direct_ridge(members, points, kept, loss, alpha):
    """Return the best ridge of the direct term, with points, predictions and loss there.

    Those given are at the ridge of the way. States stay as they are.
    """
    best = WAY_DIRECT_RIDGE, points, kept, loss
    if points[0].readout.D is None:
        return best
    ends = [m.evaluated(point, alpha) for m, point in zip(members, points, strict=True)]
    for ratio in _DIRECT_RIDGES:
        if ratio == WAY_DIRECT_RIDGE:
            continue
        others = [m.with_direct_ridge(end, ratio) for m, end in zip(members, ends, strict=True)]
        predictions = [m.predict(point) for m, point in zip(members, others, strict=True)]
        other_loss = mean_loss(members, predictions)
        if other_loss < loss:
            best, loss = (ratio, others, predictions, other_loss), other_loss
    return best


def best_linear(members):
    """Return the best ridge of a rule without states, by the rows that members have not seen.

    Parameters
    ----------
    members : sequence of Member
        The members.

    Returns
    -------
    tuple of float, list of Point, list of ndarray of shape (m, q), float, or None
        The ridge, the rules, what each predicts for all rows, and the held-out loss; None without a direct term.
    """
    return best_linear_of_each(members)[0]


def best_linear_of_each(members, *others):
    """Return :func:`best_linear` of members, and of others that differ from them in where inputs are clipped.

    Within the range of its own rows a member is the same wherever it clips: its readouts are found once.

    Parameters
    ----------
    members : sequence of Member
        The members.
    *others : sequence of Member
        What :meth:`Member.clipped_at` makes of them.

    Returns
    -------
    list of tuple or None
        What is best for each of these; None without a direct term.
    """
    teams = members, *others
    best = [None for _ in teams]
    if not members[0].task.objective.direct:
        return best
    ends = [member.without_states(_LINEAR_ALPHAS) for member in members]
    for alpha, *points in zip(_LINEAR_ALPHAS, *ends, strict=True):
        worse = []
        for number, team in enumerate(teams):
            kept = [m.predict(point) for m, point in zip(team, points, strict=True)]
            loss = mean_loss(team, kept)
            if best[number] is None or loss < best[number][-1]:
                best[number] = float(alpha), points, kept, loss
            worse.append(loss > (WORSE if alpha < _TELLING_ALPHA else FAR_WORSE) * best[number][-1])
        if all(worse):
            break
    return best
