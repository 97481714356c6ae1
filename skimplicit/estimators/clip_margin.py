"""How far beyond the range of the training rows inputs are clipped, by the rows that members have not seen."""

from copy import copy

import numpy as np

from skimplicit.estimators.cross_fit_choice import best_linear_of_each
from skimplicit.estimators.cross_fitting import Member
from skimplicit.estimators.fold_paths import Fold
from skimplicit.estimators.held_out_losses import (
    but_for_row_that_differs_most,
    held_out_predictions,
    standard_errors_above,
)

__all__ = ["margin_on", "with_clip_margin"]

# Held-out rows vouch for what they have shown, and others go somewhat further than these: so many times as far.
_FURTHER = 10.0
# To which share, and by how much (half a hundredth of the variance of a target), the held-out loss of a linear rule has
# to be less without the cut, and by how many of its standard errors even without the row that says most: one row alone
# makes one of all rows' standard errors, whatever the others say. Most data stay as they are: measured in
# ``benchmarks/README.md``, "Where inputs are clipped".
_WORTHWHILE, _LEAST_GAIN, _CLEARLY = 0.95, 0.0025, 1.0


def with_clip_margin(estimator, members):
    """Return members that clip inputs further out, if a linear rule of them then predicts unseen rows clearly better.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    members : list of Member
        Members before they have a path, which clip inputs at the range of their rows.

    Returns
    -------
    members : list of Member
        The same, or others for them.
    margin : float
        By how many of its widths a range is wider on either side; zero for the same members.
    linear : tuple or None
        The :func:`best_linear` of the members, if it is known.
    """
    if estimator.clip != "auto" or not members[0].task.objective.direct:
        return members, 0.0, None
    margin = _FURTHER * _second_largest_excess(members)
    if margin == 0.0:
        return members, 0.0, None
    others = [member.clipped_at(member.range.widened(margin)) for member in members]
    with np.errstate(over="ignore", invalid="ignore"):  # the loss of a row too far out is infinite, as it should be
        cut, free = best_linear_of_each(members, others)
    if not free[-1] <= min(_WORTHWHILE * cut[-1], cut[-1] - _LEAST_GAIN):
        return members, 0.0, cut
    judge, (beyond, within) = members[0], [held_out_predictions(members, kept) for _, _, kept, _ in (free, cut)]
    rest = but_for_row_that_differs_most(judge, beyond, within)
    clearly_better = standard_errors_above(judge, rest, within) < -_CLEARLY
    return (others, margin, free) if clearly_better else (members, 0.0, cut)


def _second_largest_excess(members):
    """Return by how many widths the rows held out but one are beyond the range of the others at most.

    The one may be a failure, which says neither how far others will be nor what becomes of them.
    """
    beyond = np.zeros(len(members[0].targets.Y))
    for member in members:
        np.maximum.at(beyond, member.fold.test, member.beyond_range())
    return float(np.sort(beyond)[-2:][0])


def margin_on(estimator, X, targets, folds):
    """Return the margin of an estimator that would cross-fit on some folds, a float; see :func:`with_clip_margin`.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    X : ndarray or CSR matrix of shape (m, p)
        Inputs.
    targets : EncodedTargets
        Their targets and weights.
    folds : list of tuple of ndarray
        Training and held-out rows.

    Returns
    -------
    float
        The margin; zero without folds or a direct term, and with constraints, which make even a linear rule dear.
    """
    if not folds or estimator.clip != "auto" or estimator.constraints is not None:
        return 0.0
    probe = _with_one_state(estimator)
    chosen = probe._check_choices()
    if not chosen.direct:
        return 0.0
    members = [Member(probe, chosen.method, X, targets, Fold(*fold, seed=0)) for fold in folds]
    return with_clip_margin(probe, members)[1]


def _with_one_state(estimator):
    """Return a copy of an estimator whose states cost nothing: only its linear rules are asked."""
    probe = copy(estimator)
    probe.n_hidden, probe.activation, probe.structure = 1, "relu", None
    probe.method, probe.solver, probe.cv = "bcd", "auto", None
    return probe
