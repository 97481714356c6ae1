"""How many of the ranked inputs are enough: refits on nested subsets, scored on held-out folds."""

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing

from skimplicit.estimators.path import implicit_path

__all__ = ["SubsetSearch", "choose_size"]

# Refits in the search only have to rank subsets against each other.
_SEARCH_ITER, _SEARCH_TOL = 30, 1e-3
# Widest gaps between consecutive shares on the path, whose sizes are tried besides powers of four.
_GAPS = 3
# Refits from random starts end in different minima. Mean scores s and s + d whose difference d is below this share of
# s (1 - s) are no evidence that inputs are missed; losing one that matters costs two to three times as much.
_REFIT_SPREAD = 0.15
# Path and refit differ in what alpha has to do: the path starts flexible.
_LARGEST_PATH_ALPHA = 1e-2


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
    error = np.std(scores[best], ddof=1) / np.sqrt(len(scores[best]))
    spread = _REFIT_SPREAD * max(means[best], 0.0) * (1.0 - means[best])
    return min(size for size in means if means[size] >= means[best] - max(error, spread))


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

    def path(self, X, y, sample_weight):
        """Return the :class:`ImplicitPath` on these data."""
        return implicit_path(
            X,
            y,
            column_budgets=self.column_budgets,
            alpha=min(self.estimator.alpha, _LARGEST_PATH_ALPHA) or _LARGEST_PATH_ALPHA,
            groups=self.groups,
            estimator=self.estimator,
            sample_weight=sample_weight,
            random_state=self.seed,
        )

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
            Sizes to try besides the powers of four.

        Returns
        -------
        rankings : list of ndarray of int
            The ranking of each fold's path.
        scores : dict of int to ndarray of shape (n_folds,)
            Held-out scores of the refitted rules.
        """
        with Parallel(n_jobs=self.n_jobs) as parallel:
            paths = parallel(
                delayed(self.path)(*(_rows(data, train) for data in (X, y, sample_weight))) for train, _ in folds
            )
            rankings = [self.rank(path) for path in paths]
            n_units = rankings[0].size
            scores = {}

            def score(sizes):
                pairs = [(size, fold) for size in sorted(set(sizes) - set(scores)) for fold in range(len(folds))]
                values = parallel(
                    delayed(self._score)(X, y, sample_weight, *folds[fold], rankings[fold][:size])
                    for size, fold in pairs
                )
                for size in {size for size, _ in pairs}:
                    scores[size] = np.array([v for (s, _), v in zip(pairs, values, strict=True) if s == size])

            score([*(4**k for k in range(n_units.bit_length()) if 4**k <= n_units), n_units, *gaps])
            # Close in on the smallest size that is good enough, from below.
            while True:
                size = choose_size(scores)
                below = max((s for s in scores if s < size), default=0)
                if below == size - 1:
                    return rankings, scores
                score([(below + size) // 2])

    def constant_score(self, X, y, sample_weight, folds):
        """Return the mean held-out score of a constant prediction, a float."""
        dummy = DummyClassifier() if is_classifier(self.estimator) else DummyRegressor()
        return float(np.mean([_fit_and_score(dummy, X, y, sample_weight, train, test) for train, test in folds]))

    def _score(self, X, y, sample_weight, train, test, units):
        selected = _safe_indexing(X, np.flatnonzero(self.columns(units)), axis=1)
        estimator = self.refit_estimator().set_params(max_iter=_SEARCH_ITER, tol=_SEARCH_TOL)
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


def _rows(data, rows):
    return None if data is None else _safe_indexing(data, rows)


def _fit_and_score(estimator, X, y, sample_weight, train, test):
    weights = [{} if sample_weight is None else {"sample_weight": sample_weight[rows]} for rows in (train, test)]
    estimator.fit(_rows(X, train), _rows(y, train), **weights[0])
    return estimator.score(_rows(X, test), _rows(y, test), **weights[1])
