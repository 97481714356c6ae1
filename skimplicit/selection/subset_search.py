"""How many of the ranked inputs are enough: refits on nested subsets, scored on held-out folds."""

import warnings
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing

from skimplicit.selection.budget_path import implicit_path

__all__ = ["SubsetSearch", "choose_size"]

# Refits in the search only have to rank subsets against each other. They start from the dense rule of their fold: on
# Friedman 1 with 40 noise inputs 15 iterations then score .918 for the right inputs, 30 from a random start .923.
_SEARCH_ITER, _SEARCH_TOL = 15, 1e-3
# Widest gaps between consecutive shares on the path, whose sizes are tried first, and the factor between larger sizes.
_GAPS, _GROWTH = 3, 2
# Budgets of a fold's path: enough to rank the inputs.
_FOLD_BUDGETS = 10
# Refits from random starts end in different minima. Mean scores s and s + d whose difference d is below this share of
# s (1 - s) are no evidence that inputs are missed; losing one that matters costs two to three times as much.
_REFIT_SPREAD = 0.15
# Path and refit differ in what alpha has to do: the path starts flexible.
_LARGEST_PATH_ALPHA = 3e-3


def choose_size(scores):
    """Return the smallest size whose mean score is as good as the best, up to the spread of folds and of refits.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,)
        Held-out scores for each size, at most 1.

    Returns
    -------
    int
        The size.

    Notes
    -----
    The one-standard-error rule, with the standard error of the best mean score over the folds, or the spread between
    refits when that is larger: with many targets or little noise, folds differ less than the minima that refits end in.
    """
    means = {size: float(np.mean(values)) for size, values in scores.items()}
    best = max(means, key=lambda size: (means[size], -size))
    return min(size for size in means if means[size] >= means[best] - _spread(scores[best]))


def _spread(values):
    """Return by how much a mean score may be lower than that of ``values`` without being worse."""
    mean = float(np.mean(values))
    return max(np.std(values, ddof=1) / np.sqrt(len(values)), _REFIT_SPREAD * max(mean, 0.0) * (1.0 - mean))


class SubsetSearch:
    """Paths that rank inputs, and refits on the first few of a ranking.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        The rule to train.
    column_budgets : int, array-like or None
        Budgets of the paths.
    groups : ndarray of int of shape (p,) or None
        Inputs that are selected together; a ranking then orders groups.
    seed : int
        Seed of every fit.
    n_jobs : int or None
        Fits that run side by side.
    """

    def __init__(self, estimator, column_budgets, groups, seed, n_jobs):
        self.estimator = estimator
        self.column_budgets = column_budgets
        self.groups = groups
        self.seed = seed
        self.n_jobs = n_jobs

    def path(self, X, y, sample_weight, column_budgets=None):
        """Return the :class:`ImplicitPath` on these data; ``column_budgets`` is their number where it is not given."""
        return implicit_path(
            X,
            y,
            column_budgets=column_budgets if self.column_budgets is None else self.column_budgets,
            alpha=min(self.estimator.alpha, _LARGEST_PATH_ALPHA) or _LARGEST_PATH_ALPHA,
            groups=self.groups,
            estimator=self.estimator,
            sample_weight=sample_weight,
            random_state=self.seed,
        )

    def _follow_fold(self, X, y, sample_weight):
        path = self.path(X, y, sample_weight, _FOLD_BUDGETS)
        return self.rank(path), path.dense_rule

    def rank(self, path):
        """Return the inputs (groups) from the largest share in the path to the smallest, an ndarray of int."""
        return np.argsort(-self._unit_shares(path), kind="stable")

    def gaps(self, path):
        """Return the sizes at which the sorted shares fall most steeply, a list of int."""
        shares = np.sort(self._unit_shares(path))[::-1]
        falls = shares[:-1] / np.maximum(shares[1:], shares[0] * np.finfo(float).eps)
        return [int(position) + 1 for position in np.argsort(-falls, kind="stable")[:_GAPS]]

    def columns(self, units):
        """Return the mask over the inputs of some inputs (groups), an ndarray of bool."""
        n_features = self._n_features if self.groups is None else self.groups.size
        labels = np.arange(n_features) if self.groups is None else self.groups
        return np.isin(labels, units)

    def positions(self, ranking, size):
        """Return 1 for the first ``size`` of a ranking, then 2, 3, ..., for every input."""
        position = np.empty(ranking.size, dtype=int)
        position[ranking] = np.maximum(np.arange(ranking.size) - size + 2, 1)
        return position if self.groups is None else position[self.groups]

    def refit_estimator(self):
        """Return an unfitted rule without a budget."""
        return clone(self.estimator).set_params(column_budget=None, direct="auto", random_state=self.seed)

    def cross_validate(self, X, y, sample_weight, folds, gaps):
        """Score nested subsets on held-out folds.

        Parameters
        ----------
        X, y, sample_weight : array-like
            The data.
        folds : list of tuple of ndarray
            Training and test rows.
        gaps : list of int
            Sizes to try first, the most promising one in front.

        Returns
        -------
        rankings : list of ndarray of int
            The ranking of each fold's path.
        scores : dict of int to ndarray of shape (n_folds,)
            Held-out scores of the refitted rules.
        """
        with Parallel(n_jobs=self.n_jobs) as parallel:
            followed = parallel(
                delayed(self._follow_fold)(*(_rows(data, train) for data in (X, y, sample_weight)))
                for train, _ in folds
            )
            rankings, dense_rules = map(list, zip(*followed, strict=True))
            n_units = rankings[0].size
            scores = {}

            def score(size):
                values = parallel(
                    delayed(self._score)(X, y, sample_weight, *fold, rule, ranking[:size])
                    for fold, rule, ranking in zip(folds, dense_rules, rankings, strict=True)
                )
                scores[size] = np.array(values)

            # From the widest gap upwards, until more inputs only do harm ...
            size = gaps[0] if gaps else 1
            score(size)
            while size < n_units:
                size = min(_GROWTH * size, n_units)
                score(size)
                if _falls_short(scores, size):
                    inside = round(size / np.sqrt(_GROWTH))  # where many do harm, a few more may still do good
                    if inside not in scores:
                        score(inside)
                    break
            # ... then close in on the smallest size that is good enough, from below.
            while True:
                size = choose_size(scores)
                below = max((s for s in scores if s < size), default=0)
                if below == size - 1:
                    return rankings, scores
                score(_between(below, size, scores, gaps))

    def constant_score(self, X, y, sample_weight, folds):
        """Return the mean held-out score of a constant prediction, a float."""
        dummy = DummyClassifier() if is_classifier(self.estimator) else DummyRegressor()
        return float(np.mean([_fit_and_score(dummy, X, y, sample_weight, train, test) for train, test in folds]))

    def _score(self, X, y, sample_weight, train, test, dense_rule, units):
        support = self.columns(units)
        selected = _safe_indexing(X, np.flatnonzero(support), axis=1)
        estimator = self.refit_estimator().set_params(max_iter=_SEARCH_ITER, tol=_SEARCH_TOL, warm_start=True)
        estimator.rule_ = replace(dense_rule, B=dense_rule.B[:, support], D=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a search needs no finished rules
            return _fit_and_score(estimator, selected, y, sample_weight, train, test)

    def _unit_shares(self, path):
        self._n_features = path.column_norms.shape[1]
        if self.groups is None:
            return path.shares
        shares = np.zeros(int(self.groups.max()) + 1)
        shares[self.groups] = path.shares
        return shares


def _falls_short(scores, size):
    """Tell whether a size scores worse than the best by more than the spread."""
    best = max(scores.values(), key=np.mean)
    return np.mean(best) - np.mean(scores[size]) > _spread(best)


def _between(below, size, scores, gaps):
    """Return the size to try next between one that is too small and one that is good enough."""
    if size in gaps and size + 1 not in scores:
        return size - 1  # if that is too small, the gap was the right one and all is said
    return next((gap for gap in gaps if below < gap < size), (below + size) // 2)


def _rows(data, rows):
    return None if data is None else _safe_indexing(data, rows)


def _fit_and_score(estimator, X, y, sample_weight, train, test):
    weights = [{} if sample_weight is None else {"sample_weight": sample_weight[rows]} for rows in (train, test)]
    estimator.fit(_rows(X, train), _rows(y, train), **weights[0])
    return estimator.score(_rows(X, test), _rows(y, test), **weights[1])
