"""What rows that a member of a cross-fit has not seen tell of it, and of the mean of all members."""

import numpy as np

from skimplicit.estimators.intervals import root_mean_square, upper_quantile

__all__ = [
    "better_beyond",
    "but_for_row_that_differs_most",
    "difference",
    "distances_of",
    "error_left",
    "held_out_predictions",
    "mean_loss",
    "mean_losses",
    "mean_share_held_out",
    "spread_of",
    "standard_errors_above",
    "where_alike",
]

# Where the variance of members is so many times its median they disagree as nowhere else: ten deviations. On
# twelve kinds of data the largest was 4 to 33 times the median, with far rows or rare inputs 150 to 10^6 times.
_FAR = 100.0
# Members that miss what they have seen less than this share of what they miss others by go nearly through it.
_TELLING = 0.3


def held_out_predictions(members, kept):
    """Return the mean prediction of each row by the members that have not seen it.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.

    Returns
    -------
    ndarray of shape (m, q)
        The means, NaN where all members have seen a row.
    """
    return _by_members(members, kept, "test")


def _by_members(members, kept, part):
    """Return the mean prediction of each row by the members that have it in a part of their fold, NaN for none."""
    total, count = np.zeros_like(kept[0]), np.zeros((len(kept[0]), 1))
    for member, predictions in zip(members, kept, strict=True):
        rows = np.unique(getattr(member.fold, part))
        total[rows] += predictions[rows]
        count[rows] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def where_alike(members, kept, rows):
    """Tell at which rows members do not disagree far more than at most rows.

    A few rows far from all others, which a member has not seen, can make up all of the members' variance.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.
    rows : ndarray of bool of shape (m,)
        The rows that count as most rows; at least half of their weight is of rows that are alike.

    Returns
    -------
    ndarray of bool of shape (m,)
        The rows.
    """
    variances = np.var(np.asarray(kept) / members[0].unit, axis=0)
    weights = members[0].targets.row_weights[rows]
    usual = upper_quantile(variances[rows].T, weights, 0.5)
    times = np.divide(variances, usual, out=np.zeros_like(variances), where=usual > 0).max(axis=1)
    return times <= _FAR * upper_quantile(times[None, rows], weights, 0.5)


def spread_of(members, kept, among=True):
    """Return the mean variance of the predictions of members about their mean.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.
    among : ndarray of bool of shape (m,) or bool
        Rows to take it over, of those that all members know.

    Returns
    -------
    ndarray of shape (q,)
        In squared units of the members; zeros for classes.
    """
    apart, weights = _apart(members, kept, among)
    if len(members) == 1 or not members[0].targets.scale or weights.size == 0:
        return np.zeros(kept[0].shape[1])
    return np.average(np.mean(apart**2, axis=0), axis=0, weights=weights)


def distances_of(members, kept, among=True):
    """Return how far the predictions of each member are from the mean of all, a root mean square.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.
    among : ndarray of bool of shape (m,) or bool
        Rows to take it over, of those that all members know.

    Returns
    -------
    ndarray of shape (K, q) or None
        The distances of K members; None where there are no such rows.
    """
    apart, weights = _apart(members, kept, among)
    if weights.size == 0:
        return None
    return np.array([root_mean_square(own, weights) for own in apart]) * members[0].unit


def _apart(members, kept, among):
    """Return how far K members are from their mean, in their unit, (K, k, q), and the weights of the k rows."""
    rows = _known_to_all(members, len(kept[0]), among)
    scaled = np.asarray(kept)[:, rows] / members[0].unit
    return scaled - scaled.mean(axis=0), members[0].targets.row_weights[rows]


def error_left(members, kept, held_out, predictions):
    """Return how many times as far from the targets as members a rule is that was trained on from them, at most 1.

    Members stop where the ridge is known; what goes on from there, on all rows, comes nearer to clean targets. It is
    seen on rows that are not held out, and new rows are missed so many times less as well: where that was .48 (in the
    mean), new rows were missed .41 times as far as held-out ones, .58 where it was .62, .75 for .77, .86 for .92. What
    is more than 1 tells nothing of new rows, and little does what is left of targets that members go nearly through.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.
    held_out, predictions : ndarray of shape (m, q)
        What :func:`held_out_predictions` makes of that, and what the rule predicts.

    Returns
    -------
    ndarray of shape (q,)
        The factors of the mean absolute error.
    """
    targets, seen = members[0].targets, _by_members(members, kept, "train")
    known, unseen = (np.isfinite(each).all(axis=1) for each in (seen, held_out))
    before, after, of_new = (
        np.average(np.abs(targets.Y - each)[rows] / members[0].unit, axis=0, weights=targets.row_weights[rows])
        for each, rows in ((seen, known), (predictions, known), (held_out, unseen))
    )
    left = np.divide(after, before, out=np.ones_like(after), where=after < before)
    told = np.divide(before, _TELLING * of_new, out=np.ones_like(before), where=before < _TELLING * of_new)
    return 1.0 - told * (1.0 - left)


def mean_share_held_out(members, rows, weights):
    """Return the mean, over rows, of one over the number of members that have not seen a row.

    A held-out prediction is the mean of as many members: with V the variance of members, its expected squared error is
    this times V above what it would be of infinitely many.

    Parameters
    ----------
    members : sequence of Member
        The members.
    rows : ndarray of bool of shape (m,)
        Rows that one of them has not seen.
    weights : ndarray of shape (m,)
        Weights of the rows.

    Returns
    -------
    float
        1 where every row is held out once.
    """
    count = np.zeros(rows.size)
    for member in members:
        count[np.unique(member.fold.test)] += 1
    return float(np.average(1.0 / count[rows], weights=weights[rows]))


def mean_losses(members):
    """Return the held-out loss of the mean of members along their paths.

    Parameters
    ----------
    members : sequence of Member
        The members, each with its path.

    Returns
    -------
    rungs : list of int
        The rungs that all have, increasing.
    losses : ndarray of shape (n_rungs,)
        :func:`mean_loss` at each.
    """
    paths = [member.path for member in members]
    rungs = sorted(set.intersection(*(set(path.rungs) for path in paths)))
    return rungs, np.array([mean_loss(members, [path.at(rung)[1] for path in paths]) for rung in rungs])


def better_beyond(members, rung, least):
    """Tell whether a ridge that only some members have come to may be the best: these have so low a loss there.

    Parameters
    ----------
    members : sequence of Member
        The members, each with its path.
    rung : int
        The ridge.
    least : float
        The least loss at the ridges that all have come to.

    Returns
    -------
    bool
        Whether the loss is less there, if that of members which ended before is the least one of their paths.
    """
    if not any(rung in member.path.rungs for member in members):
        return False
    losses = [member.loss_at(rung) if rung in member.path.rungs else member.least_loss() for member in members]
    return bool(np.average(losses, weights=[member.fold_weight for member in members]) < least)


def mean_loss(members, kept):
    """Return the held-out loss of the mean of members.

    Parameters
    ----------
    members : sequence of Member
        The members.
    kept : sequence of ndarray of shape (m, q)
        What each predicts for all rows.

    Returns
    -------
    float
        The loss.

    Notes
    -----
    A row is held out by one member, but predicted by the mean of all. A convex loss of the mean is less than that of
    the members by their disagreement, which the other rows show: for the squared loss the members' variance (Krogh and
    Vedelsby, 1995). Rows that a member neither is trained on nor is judged by, since they are later than both in a
    series, show how far it is from them instead.

    A member of few held-out rows may be far from all others where it is not judged, which alone would make the loss
    less than none at all. Then it is that of known rows: new ones are not predicted better.
    """
    losses = [m.loss(predictions[m.fold.test], m.fold.test) for m, predictions in zip(members, kept, strict=True)]
    loss = float(np.average(losses, weights=[m.fold_weight for m in members]))
    rows = _known_to_all(members, len(kept[0]))
    if rows.size == 0:
        return loss
    judge, known = members[0], [predictions[rows] for predictions in kept]
    of_mean = judge.loss(np.mean(known, axis=0), rows)
    of_new = loss - (np.mean([judge.loss(each, rows) for each in known]) - of_mean)
    return of_new if of_new >= 0 else min(of_mean, loss)


def _known_to_all(members, m, among=True):
    """Return those of m rows, or of a mask over them, that every member is trained on or judged by."""
    known = np.full(m, among)
    for member in members:
        own = np.zeros(m, dtype=bool)
        own[member.fold.train] = own[member.fold.test] = True
        known &= own
    return np.flatnonzero(known)


def difference(judge, predictions, others):
    """Return by how much the loss of held-out predictions exceeds that of others, row by row.

    Parameters
    ----------
    judge : Member
        Any member, whose loss and weights count.
    predictions, others : ndarray of shape (m, q)
        What :func:`held_out_predictions` returns for the same folds.

    Returns
    -------
    mean, error : float
        The mean difference, and its standard error.
    """
    rows, above = _losses_above(judge, predictions, others)
    weights = judge.targets.weights
    weights = np.full(rows.size, 1 / rows.size) if weights is None else weights[rows] / weights[rows].sum()
    mean = float(weights @ above)
    apart = weights * (above - mean) / np.sqrt(judge.targets.times_drawn[rows])
    return mean, float(np.sqrt(np.sum(apart**2)))


def _losses_above(judge, predictions, others):
    """Return the rows that are held out, and by how much the loss of each exceeds that of others."""
    rows = np.flatnonzero(np.isfinite(predictions).all(axis=1))
    return rows, judge.losses(predictions[rows], rows) - judge.losses(others[rows], rows)


def but_for_row_that_differs_most(judge, predictions, others):
    """Return held-out predictions without those of the row where their loss differs most from that of others.

    Parameters
    ----------
    judge : Member
        Any member, whose loss and weights count.
    predictions, others : ndarray of shape (m, q)
        What :func:`held_out_predictions` returns for the same folds.

    Returns
    -------
    ndarray of shape (m, q)
        The predictions, NaN there.
    """
    rows, above = _losses_above(judge, predictions, others)
    rest = predictions.copy()
    rest[rows[np.argmax(judge.targets.row_weights[rows] * np.abs(above))]] = np.nan
    return rest


def standard_errors_above(judge, predictions, others):
    """Return by how many of its standard errors the loss of held-out predictions exceeds that of others.

    Parameters
    ----------
    judge : Member
        Any member, whose loss and weights count.
    predictions, others : ndarray of shape (m, q)
        What :func:`held_out_predictions` returns for the same folds.

    Returns
    -------
    float
        The :func:`difference` over its standard error; 0 where there is none, or infinity if it is larger all the same.
    """
    mean, error = difference(judge, predictions, others)
    return mean / error if error > 0 else 0.0 if mean <= 0 else np.inf
