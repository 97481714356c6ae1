"""The rows that members are cross-fitted on: every distinct one once, or in parts where it was drawn several times."""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.estimators.distinct_folds import shuffled_folds
from skimplicit.estimators.repeats import labels_told, natural_repeats
from skimplicit.estimators.targets import check_weights
from skimplicit.losses import class_codes
from skimplicit.rows import in_own_units, merge_duplicates

__all__ = ["DistinctRows", "folds_of_distinct_rows", "in_numbers_of_counted_rows", "in_own_unit"]


@dataclass(frozen=True)
class DistinctRows:
    """The rows that members are cross-fitted on: distinct ones, or parts of them.

    Parameters
    ----------
    U : ndarray or CSR matrix of shape (k, p)
        Inputs of each part.
    targets : EncodedTargets
        Their targets, and weights in training.
    weights : ndarray of shape (k,)
        Weights of a score.
    row : ndarray of int of shape (k,)
        The distinct row that each is a part of.
    place : ndarray of int of shape (m,)
        Which distinct row each row is that was given; -1 for one without weight.
    """

    U: object
    targets: object
    weights: np.ndarray
    row: np.ndarray
    place: np.ndarray

    def as_given(self, values):
        """Return the mean of values (k, q) over the parts of each row that was given, (m, q); NaN where there is none.

        Parts whose values are NaN do not count.
        """
        known, kept = np.isfinite(values).all(axis=1), self.place >= 0
        count = np.bincount(self.row, known)[:, None]
        total = np.zeros((count.size, values.shape[1]))
        np.add.at(total, self.row[known], values[known])
        means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        given = np.full((self.place.size, values.shape[1]), np.nan)
        given[kept] = means[self.place[kept]]
        return given


def folds_of_distinct_rows(estimator, rows, targets, seed):
    """Return the folds of an estimator, and the distinct rows whose numbers they have.

    Copies of a row never stand on both sides of a fold, and a weight of 2 is a row given twice.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator; its ``cv`` is a number or None.
    rows : TrainingRows
        The rows; their ``sample_weight`` is that of a score.
    targets : EncodedTargets
        Their targets, and weights in training.
    seed : int
        Seed of the folds.

    Returns
    -------
    folds : list of tuple of ndarray
        Training and held-out rows; none where there are too few to hold any out.
    distinct : DistinctRows
        The rows.
    """
    U, Y, weights, place = merge_duplicates(rows.X, targets.Y, targets.weights, return_place=True)
    kept, m = np.flatnonzero(place >= 0), U.shape[0]
    repeats = natural_repeats(U, Y, place, rows.targets.times)
    labels = None if targets.scale else class_codes(Y)
    folds, row, share = shuffled_folds(Y, labels, estimator.cv, seed, estimator.n_hidden, repeats)
    given = np.bincount(place[kept], _score_weights(rows)[kept], minlength=m)
    told = None if targets.scale else labels_told(U, place, rows.targets.times, repeats)[row] * share
    targets = replace(targets, Y=Y[row], weights=weights[row] * share, repeats=repeats[row] * share, labels_told=told)
    return folds, DistinctRows(U[row], targets, given[row] * share, row, place)


def in_numbers_of_counted_rows(rows, targets, folds):
    """Return given folds, and the rows whose numbers they then have: those with a weight, each as it was given.

    Parameters
    ----------
    rows : TrainingRows
        The rows; their ``sample_weight`` is that of a score.
    targets : EncodedTargets
        Their targets, and weights in training.
    folds : list of tuple of ndarray
        Training and held-out rows, all of them with a weight.

    Returns
    -------
    folds : list of tuple of ndarray
        The folds.
    distinct : DistinctRows
        The rows.
    """
    counted = np.flatnonzero(targets.row_weights > 0)
    row, place = np.arange(counted.size), np.full(rows.X.shape[0], -1)
    place[counted] = row
    folds = [tuple(place[part] for part in fold) for fold in folds]
    targets = targets.rows(counted)
    if not targets.scale:
        U, Y, _, which = merge_duplicates(rows.X[counted], targets.Y, return_place=True)
        times = rows.targets.times[counted]
        told = labels_told(U, which, times, natural_repeats(U, Y, which, times))
        targets = replace(targets, labels_told=(told / np.bincount(which))[which])
    return folds, DistinctRows(rows.X[counted], targets, _score_weights(rows)[counted], row, place)


def _score_weights(rows):
    """Return the weights that a score has, (m,), in a unit near the largest, ones where there are none."""
    if rows.sample_weight is None:
        return np.ones(rows.X.shape[0])
    return in_own_unit(check_weights(rows.sample_weight, rows.X))


def in_own_unit(weights):
    """Return weights in a unit near the largest, a power of two.

    Parameters
    ----------
    weights : ndarray of shape (m,) or None
        The weights.

    Returns
    -------
    ndarray of shape (m,) or None
        The same, so that their sum is a number.
    """
    return None if weights is None else in_own_units(weights[:, None])[0][:, 0]
