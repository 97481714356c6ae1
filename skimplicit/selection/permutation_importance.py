"""Inputs without whose values the rules of the folds are clearly worse on rows that they have not seen."""

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from skimplicit.linalg import to_dense
from skimplicit.rows.columns import shares
from skimplicit.selection.held_out_score import HeldOutSkill

__all__ = ["above_noise", "permutation_scores"]

# Rows that an input is permuted in, at least: the held-out ones of a fold again and again.
_PERMUTED_ROWS = 1_000
# Rises below this share of the loss of a constant are rounding, or what a solver leaves of a constraint.
_ROUNDING = 1e-9


def permutation_scores(search, folds, paths, units):
    """Return ``mean_i d_ij / se_i(d_ij)`` for every input j, ``d_ij`` what the loss of row i rises by without it.

    The loss is that of rules that have not seen the row, less what it is where the values of the input (group) come
    from other held-out rows: nothing in the mean where the input is noise to the rule.

    Parameters
    ----------
    search : SubsetSearch
        The search over the inputs.
    folds : list of tuple of ndarray
        Training and held-out rows; each row may be held out several times.
    paths : list of FollowedPath
        A path of each fold. Its dense rule, without a budget, predicts.
    units : ndarray of int
        The inputs (groups) in question.

    Returns
    -------
    ndarray of shape (n_units,)
        Their scores, nearly standard normal for noise, 0 for an input that no rule uses; NaN for all others.

    Notes
    -----
    Source: Breiman (2001), section 10, and the paired test of Watson and Wright (2021) with permuted values in place of
    knockoffs.
    """
    data, judge = search.data, HeldOutSkill(search.estimator, search.data, folds)
    random_state = check_random_state(search.estimator.random_state)
    scores = np.full(search.n_units, np.nan)
    scores[units] = 0.0
    units = np.intersect1d(units, np.concatenate([search.labels[path.columns] for path in paths]))  # few of wide data
    rises, times = np.zeros((data.X.shape[0], units.size)), np.zeros(data.X.shape[0])
    for (train, test), path in zip(folds, paths, strict=True):
        rule, labels = path.path.dense_rule, search.labels[path.columns]
        inputs, others = _inputs(search, path, train, test)
        rises[test] += _rises(partial(_losses, judge, rule, test), inputs, others, labels, units, random_state)
        times[test] += 1
    rows = np.flatnonzero(times)
    weights = shares(data.targets.row_weights[rows])
    rises = rises[rows] / times[rows, None]
    mean = weights @ rises
    # Of a weighted mean; with equal weights the deviation over the root of the number of rows.
    spread = np.sqrt(weights**2 @ (rises - mean) ** 2 * (rows.size / max(rows.size - 1, 1)))
    scores[units] = np.divide(mean, spread, out=np.zeros_like(mean), where=(spread > 0) & (np.abs(mean) > _ROUNDING))
    return scores


def above_noise(n_units, wrong):
    """Return ``sqrt(2 log(n_units / wrong))``, the score that an input has to reach to be more than noise.

    A normal deviate exceeds it with a probability of less than ``wrong / n_units``. The quantile itself would be too
    low: rules of different folds have seen the same rows, so that noise fools them alike.

    Parameters
    ----------
    n_units : int
        Number of inputs (of groups).
    wrong : float
        How many of them may reach it in the mean if all are noise.

    Returns
    -------
    float
        The score.
    """
    return float(np.sqrt(2.0 * np.log(n_units / wrong)))


def _inputs(search, path, train, test):
    """Return the inputs of a path, dense, on held-out rows, (k, p'), and on those that others' values come from.

    These are the held-out rows, or the training rows where one alone is held out; all are cut at the range of the
    latter.
    """
    of_path = search.data.of_columns(path.columns).X
    trained_on, held_out = of_path[train], of_path[test]
    limits = search.estimator._where_clipped(search.estimator._limits(trained_on, search.data.targets.rows(train)))
    parts = held_out, held_out if test.size > 1 else trained_on
    return [to_dense(part if limits is None else limits.cut(part)) for part in parts]


def _losses(judge, rule, test, inputs):
    """Return the loss at each row of inputs, (t k, p'), t times the held-out rows, as a share of a constant's."""
    return judge.shares(rule.predict(inputs), np.tile(test, len(inputs) // test.size))


def _rises(losses, inputs, others, labels, units, random_state):
    """Return what the loss of each row rises by where the inputs of each unit have the values of others, (k, n)."""
    k = len(inputs)
    times = -(-_PERMUTED_ROWS // k)
    draws = -(-times * k // len(others))
    orders = np.concatenate([random_state.permutation(len(others)) for _ in range(draws)])[: times * k]
    before, repeated = losses(inputs), np.tile(inputs, (times, 1))
    rises = np.zeros((k, units.size))
    for place in np.flatnonzero(np.isin(units, labels)):
        own = np.flatnonzero(labels == units[place])
        permuted = repeated.copy()
        permuted[:, own] = others[np.ix_(orders, own)]
        rises[:, place] = losses(permuted).reshape(times, k).mean(axis=0) - before
    return rises
