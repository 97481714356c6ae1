"""``alpha="auto"`` and averages: how an estimator fits cross-fitted members, and what it stores of them."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from skimplicit.estimators.distinct_rows import folds_of_distinct_rows, in_numbers_of_counted_rows, in_own_unit
from skimplicit.estimators.held_out_losses import distances_of, error_left, spread_of, where_alike
from skimplicit.estimators.intervals import HeldOutResiduals
from skimplicit.estimators.members import fit_members
from skimplicit.estimators.readout_covariance import ReadoutCovariance, inputs_left
from skimplicit.rows import LARGEST_MATRIX

__all__ = [
    "FALLBACK_ALPHA",
    "HELD_OUT_ATTRIBUTES",
    "fit_automatically",
    "told_by_held_out",
    "wants_one_rule",
]

#: The ridge where there are too few rows to hold any out: the compromise between noisy and clean data in the table
#: "R2 over alpha" of ``benchmarks/README.md``.
FALLBACK_ALPHA = 0.03
# Members, unless more are asked for: ten in place of five change a score by less than its noise.
_MOST_MEMBERS = 5
#: What rows that members have not seen tell; None where none are held out.
HELD_OUT_ATTRIBUTES = (
    "alphas_",
    "heldout_scores_",
    "heldout_score_",
    "heldout_prediction_",
    "is_linear_",
    "_residuals",
    "_covariances",
)


def fit_automatically(estimator, chosen, rows, params, bridge):
    """Fit cross-fitted members at the ridge that held-out predictions choose.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    chosen : Choices
        What its parameters stand for.
    rows : TrainingRows
        The rows; their ``sample_weight`` is that of the score, in which classes have no weights of their own.
    params : dict
        Metadata for the splitter ``cv``.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    fitted : Averaged or None
        The members; None where there are too few rows to hold any out.
    attributes : dict
        What the rows that members have not seen tell, for the rows as they were given.
    distinct : DistinctRows or None
        What members were cross-fitted on.
    """
    # Only shares of the weights matter, and their sum need not be a number.
    targets = replace(rows.targets, weights=in_own_unit(rows.targets.weights))
    random_state = check_random_state(estimator.random_state)
    seed = random_state.randint(np.iinfo(np.int32).max)
    if estimator.cv is None or isinstance(estimator.cv, Integral):
        folds, distinct = folds_of_distinct_rows(estimator, rows, targets, seed)
        if not folds:
            return None, dict.fromkeys(HELD_OUT_ATTRIBUTES), None
    else:
        folds = estimator._make_folds(rows.X, rows.y, is_classifier(estimator), seed, params, targets.weights)
        folds, distinct = in_numbers_of_counted_rows(rows, targets, folds)
    n_members = _n_members(estimator, len(folds))
    seeds = random_state.randint(np.iinfo(np.int32).max, size=max(n_members, len(folds)))
    fitted = fit_members(estimator, chosen.method, distinct.U, distinct.targets, folds, n_members, seeds, bridge, rows)
    choice = fitted.choice
    if estimator.verbose:
        margin = estimator._clip_margin
        beyond = f", inputs clipped {margin:.3g} widths beyond their range" if margin else ""
        states = ", without states" if choice.linear else ""
        print(f"[{type(estimator).__name__}] alpha={choice.alpha:.3g}{states}{beyond}")
    attributes = told_by_held_out(estimator, fitted, distinct, rows)
    return fitted, {**attributes, "_covariances": _covariances(fitted, distinct.U, chosen, rows)}, distinct


def told_by_held_out(estimator, fitted, distinct, rows):
    """Return the attributes that held-out rows tell, but for the covariances of the readouts.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    fitted : Averaged
        Its members, with the choice that they come from.
    distinct : DistinctRows
        What they were cross-fitted on.
    rows : TrainingRows
        The rows that were given.

    Returns
    -------
    dict
        The attributes.
    """
    choice = fitted.choice
    if distinct.targets.scale:
        predictions = np.mean([rule.predict(distinct.U) for rule in fitted.rules], axis=0)
        left = error_left(choice.members, choice.kept, choice.predictions, predictions)
        choice = replace(choice, left=left)
        fitted = replace(fitted, choice=choice)
    seen = np.isfinite(choice.predictions).all(axis=1)
    spread = rows.spread(distinct.as_given(choice.predictions))
    return {
        "alpha_": fitted.alpha,
        "alphas_": choice.alphas,
        "heldout_scores_": estimator._path_scores(choice),
        "heldout_score_": estimator._held_out_score(choice, distinct.targets.Y, seen, distinct.weights),
        "heldout_prediction_": spread if spread is None else estimator._as_predictions(spread, distinct.targets),
        "is_linear_": choice.linear,
        "_residuals": _residuals(fitted, distinct.targets, rows) if distinct.targets.scale else None,
    }


def _n_members(estimator, n_folds):
    if estimator.n_members != "auto":
        return estimator.n_members
    return 1 if wants_one_rule(estimator) else min(n_folds, _MOST_MEMBERS)


def wants_one_rule(estimator):
    """Tell whether ``n_members="auto"`` is one: the mean of rules keeps an input that any of them keeps.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    bool
        Whether there is a budget, or there are constraints.
    """
    return estimator.column_budget is not None or estimator.constraints is not None


def _residuals(fitted, targets, rows):
    """Return the :class:`HeldOutResiduals` of the members."""
    choice, residuals, weights = fitted.choice, [], []
    members = choice.members
    seen = np.isfinite(choice.predictions).all(axis=1)
    # A row that several members have not seen is one row all the same.
    n_rows = float(targets.times_drawn[seen].sum())
    share = _share_of_spread(choice, targets, seen)
    # It shortens all residuals alike: not by what only the few rows tell where members disagree as nowhere else.
    alike = where_alike(members, choice.kept, seen)
    if not alike.all():
        elsewhere = replace(choice, spread=spread_of(members, choice.kept, alike))
        share = np.minimum(share, _share_of_spread(elsewhere, targets, seen & alike))
    for member, kept in zip(members, choice.kept, strict=True):
        test = member.fold.test
        residuals.append(np.abs(targets.Y - kept)[test])
        weights.append(targets.row_weights[test])
    ranges = tuple(m.range for m in members)
    distances = distances_of(members, choice.kept, alike)
    # Of a rule without states the error of the readout is all there is.
    of_members = 0.0 if choice.linear else _seen_by_unseen(members, targets.row_weights)
    jackknife = of_members / _times_more_rows(fitted, targets, rows)
    return HeldOutResiduals(
        choice.rules, ranges, tuple(residuals), tuple(weights), share, n_rows, distances, jackknife, choice.left
    )


def _seen_by_unseen(members, weights):
    """Return the mean, over members, of the weight of the rows that each has seen over that of the others."""
    seen = np.array([weights[np.unique(member.fold.train)].sum() for member in members]) / weights.sum()
    left_out = seen < 1.0 - weights.size * np.finfo(float).eps
    return float(np.mean(np.divide(seen, 1.0 - seen, out=np.zeros_like(seen), where=left_out)))


def _times_more_rows(fitted, targets, rows):
    """Return how many times the rows that members were cross-fitted on all rows are."""
    n_rows = targets.times_drawn.sum()
    return 1.0 if rows.store is None else fitted.task.objective.samples.n_samples / n_rows


def _share_of_spread(choice, targets, rows):
    """Return the share of the mean squared residual of some rows, a mask, that the spread of a choice is, (q,)."""
    missed = ((targets.Y - choice.predictions) / choice.unit)[rows]
    error = np.average(missed**2, axis=0, weights=targets.row_weights[rows])
    error, _ = choice.errors(error, rows, targets.row_weights)
    return np.minimum(np.divide(choice.spread, error, out=np.zeros_like(error), where=error > 0), 1.0)


def _covariances(fitted, U, chosen, rows):
    """Return the :class:`ReadoutCovariance` of the rules, of moments over U and of a variance by all rows, in a tuple.

    None for classes, and where the axes of the inputs would be too large a matrix.
    """
    n_left = inputs_left(fitted.relevance, U.shape[1]).size
    too_many = chosen.direct and n_left * min(n_left, U.shape[0]) > LARGEST_MATRIX**2
    if not fitted.choice.members[0].targets.scale or too_many:
        return None
    choice, targets = fitted.choice, fitted.choice.members[0].targets
    weights = targets.row_weights / targets.row_weights.sum()
    times = targets.times_drawn
    more = np.sum(weights**2) / np.sum(weights**2 / times)
    more *= _times_more_rows(fitted, targets, rows)
    intercept = choice.members[0].task.objective.samples.centre
    covariance = ReadoutCovariance.of(
        fitted.rules, U, weights, fitted.alpha, chosen.direct, choice.direct_ridge, fitted.relevance, intercept
    )
    return (covariance.of_more_rows(more),)
