"""How many of the ranked inputs are enough: refits on nested subsets, scored on held-out folds."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skimplicit.activations import get_activation
from skimplicit.estimators.clip_margin import margin_on
from skimplicit.estimators.side_by_side import run_side_by_side
from skimplicit.linalg import to_dense
from skimplicit.rows import measured_units
from skimplicit.rows.columns import canonical
from skimplicit.selection.agreement import stand_ins
from skimplicit.selection.budget_path import check_budgets
from skimplicit.selection.followed_path import follow
from skimplicit.selection.selected_constraints import restrict
from skimplicit.selection.subset_refits import Refit, score_subset
from skimplicit.selection.subset_size import Tried, sizes_to_try

__all__ = ["SubsetSearch"]

# Ridges of a refit where the estimator chooses its own: on the way up each size is judged at the one that is best for
# it, and those in between at that of the best size.
_SEARCH_ALPHAS = (1e-3, 1e-2, 1e-1)
# Widest gaps between consecutive shares on the paths, whose sizes are tried first, and the factor by which the widest
# has to be wider than another one of more inputs: to go on from a few takes more sizes.
_GAPS, _CLEARLY = 3, 1.25
# Shares below so much of the largest are no input's: of two of them one may be a thousand times the other.
_LEAST_SHARE = 1e-3
# Budgets of a path: enough to rank the inputs.
_N_BUDGETS = 8
# Rules without recurrence have this many times the states: of 40 paths on 320 rows of Friedman 1 with 45 inputs of
# noise, 27 have the five true inputs in front with as many states, 32 with half as many again, 26 with twice as many.
_MORE_STATES = 1.5
# Share of the folds that must select an input for the rule "best", all of five: noise changes from fold to fold. With
# four of five one fold of ten of Friedman 1 keeps an input of noise. Then the share with more inputs than rows, three
# of five, with the votes of stand-ins: folds differ more there, and lose true ones too (``benchmarks/README.md``).
_UNDISPUTED, _UNDISPUTED_OF_WIDE = 0.9, 0.6
# Inputs, in whole groups (one at least), that are asked where inputs are clipped: so few are asked in no time.
_MOST_ASKED = 32
# Path and refit differ in what alpha has to do: the path starts flexible.
_LARGEST_PATH_ALPHA = 3e-3


class SubsetSearch:
    """Paths that rank inputs, and refits on the first few of a ranking.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        The rule to train, with a number for its seed.
    data : SelectionData
        The data.
    column_budgets : int, array-like or None
        Budgets of the paths.
    groups : ndarray of int of shape (p,) or None
        Inputs that are selected together; a ranking then orders groups.
    n_jobs : int or None
        Fits that run side by side.
    owner : ImplicitFeatureSelector
        The selector, for callbacks.
    twins : bool
        Whether the second half of the inputs are knockoffs of the first.
    """

    def __init__(self, estimator, data, column_budgets, groups, n_jobs, owner, twins=False):
        self.estimator = estimator
        self.data = data
        self.column_budgets = column_budgets
        self.groups = groups
        self.n_jobs = n_jobs
        self.owner = owner
        self.twins = twins
        self._starts = check_random_state(estimator.random_state)  # of each round its own
        n_features = data.X.shape[1]
        self.labels = np.arange(n_features) if groups is None else groups
        self.n_units = int(self.labels.max()) + 1

    @cached_property
    def units(self):
        """What inputs are divided by where a budget compares them: their deviations over all rows, (p,)."""
        counted, X = self.data.counted, self.data.X
        targets = self.data.targets.rows(counted)
        rows = canonical(X if counted.size == X.shape[0] else X[counted]), targets.Y, targets.row_weights
        centre = self.estimator.fit_intercept
        return measured_units(lambda f, *numbers: [f(*rows, *numbers)], centre, targets.scale).U_scale

    def beside(self, made):
        """Return the search over the inputs and their knockoffs, which come after them.

        Parameters
        ----------
        made : ndarray of shape (m, p)
            The knockoffs; what is asked of an input (its direction, its group) is asked of its knockoff too.

        Returns
        -------
        SubsetSearch
            The search.
        """
        estimator, groups = clone(self.estimator), self.groups
        if estimator.monotonic_cst is not None:
            estimator.set_params(monotonic_cst=np.tile(estimator.monotonic_cst, 2))
        groups = None if groups is None else np.concatenate([groups, groups + self.n_units])
        data = replace(self.data, X=np.hstack([self.data.X, made]))
        return SubsetSearch(estimator, data, self.column_budgets, groups, self.n_jobs, self.owner, twins=True)

    def path(self, context):
        """Return the :class:`FollowedPath` on all data, as a task of the fit whose context is given."""
        model = self._path_estimator(_without_recurrence(self.estimator))
        return self._follow([model], [None], context, "path")[0]

    def settle_clipping(self, path, folds):
        """Let rules that are compared clip inputs further out, if those that lead a path of all data speak for it."""
        ranking = self.rank(path)
        n_asked = np.cumsum(np.bincount(self.labels)[ranking])
        support = self.columns(ranking[: max(np.count_nonzero(n_asked <= _MOST_ASKED), 1)])
        inputs = self.data.of_columns(np.flatnonzero(support)).X
        self.estimator._clip_margin = margin_on(self.refit_estimator(support), inputs, self.data.targets, folds)

    def _follow(self, models, parts, context, name):
        """Return the :class:`FollowedPath` of each model on its part of the rows, None for all."""
        budgets = check_budgets(_N_BUDGETS if self.column_budgets is None else self.column_budgets)
        calls = [
            (model, self.data, budgets, self.groups, self.units, rows, self.twins)
            for model, rows in zip(models, parts, strict=True)
        ]
        return self._side_by_side(follow, calls, context, name)

    def _path_estimator(self, estimator, **parameters):
        alpha = min(_search_alphas(estimator)[-1], _LARGEST_PATH_ALPHA) or _LARGEST_PATH_ALPHA
        return clone(estimator).set_params(alpha=alpha, column_budget=1.0, direct=False, **parameters)

    def _side_by_side(self, function, calls, context, name):
        return run_side_by_side(function, calls, owner=self.owner, context=context, task_name=name, n_jobs=self.n_jobs)

    def rank(self, *paths):
        """Return the inputs (groups) from the largest mean share in some paths to the smallest, an ndarray of int.

        Those that are on none of the paths come last.
        """
        absent = ~np.isin(np.arange(self.n_units), np.concatenate([self.labels[path.columns] for path in paths]))
        return np.lexsort((-self.unit_shares(paths), absent))

    def gaps(self, *paths):
        """Return the sizes at which the sorted mean shares fall most steeply, a list of int."""
        shares = np.sort(self.unit_shares(paths))[::-1]
        shares = shares[shares > 0]  # those of constants are not, and say nothing about the others
        shares = np.maximum(shares, _LEAST_SHARE * shares.max(initial=0.0))
        falls = shares[:-1] / shares[1:]
        widest = np.argsort(-falls, kind="stable")[:_GAPS]
        alike = _CLEARLY * falls[widest] >= falls[widest].max(initial=0.0)
        first = widest[alike].max(initial=0)
        return [int(position) + 1 for position in (first, *widest[widest != first])]

    def agree(self, ranking, rankings, size):
        """Return the ranking by how many of the folds' rankings have an input (group) among the first ``size``.

        Inputs that as many folds select stay in the order of ``ranking``, that of all paths together.
        """
        return ranking[np.argsort(-self.votes(rankings, size)[ranking], kind="stable")]

    def votes(self, rankings, size):
        """Return how many rankings have each input (group) among the first ``size``."""
        votes = np.zeros(self.n_units, dtype=int)
        for of_fold in rankings:
            votes[of_fold[:size]] += 1
        return votes

    def undisputed(self, rankings, size):
        """Return the mask over inputs (groups) that nearly all rankings of folds have among the first ``size``.

        With more inputs than rows it is enough that most of them have it, or an input that stands in for it.
        """
        m, p = self.data.n_counted, self.data.X.shape[1]
        votes = self.votes(rankings, size)
        if m >= p:
            return votes >= _UNDISPUTED * len(rankings)
        some, rows = np.flatnonzero(votes), self.data.counted
        columns = np.flatnonzero(self.columns(some))
        inputs = to_dense(self.data.of_columns(columns).X[rows])
        alike = stand_ins(inputs, self.data.targets.row_weights[rows], self.labels[columns])
        chosen = np.array([np.isin(some, of_fold[:size]) for of_fold in rankings])
        votes[some] = np.sum(chosen @ alike, axis=0)
        return votes >= _UNDISPUTED_OF_WIDE * len(rankings)

    def columns(self, units):
        """Return the mask over the inputs of some inputs (groups), an ndarray of bool."""
        return np.isin(self.labels, units)

    def positions(self, ranking, size):
        """Return 1 for the first ``size`` of a ranking, then 2, 3, ..., for every input."""
        position = np.empty(ranking.size, dtype=int)
        position[ranking] = np.maximum(np.arange(ranking.size) - size + 2, 1)
        return position[self.labels]

    def refit_estimator(self, support):
        """Return the unfitted rule of the selected inputs, all of which it uses; constraints still speak of all."""
        model = restrict(clone(self.estimator), support)
        model._keeps_inputs = True
        return model

    def _compared(self, support):
        model = _without_recurrence(self.refit_estimator(support))
        model._clip_margin = self.estimator._clip_margin
        return model

    def scout_paths(self, parts, context):
        """Return the :class:`FollowedPath` on parts of the rows, each from a start of its own, without recurrence.

        Parameters
        ----------
        parts : list of ndarray of int or None
            Rows, those of every fold to train on for instance; None for all.
        context : CallbackContext
            Task of the fit. A callback that stops a path ends the round: then there are fewer paths.

        Returns
        -------
        list of FollowedPath
            The paths.
        """
        seeds = self._starts.randint(np.iinfo(np.int32).max, size=len(parts))
        scout = _without_recurrence(self.estimator)
        paths = context.subcontext(task_name="paths", max_subtasks=len(parts))
        paths.call_on_fit_task_begin(estimator=self.owner)
        models = [self._path_estimator(scout, random_state=int(seed)) for seed in seeds]
        followed = self._follow(models, parts, paths, "fold")
        paths.call_on_fit_task_end(estimator=self.owner)
        return followed

    def cross_validate(self, folds, paths, judge, gaps, rule, context, every_ridge=False, before=None):
        """Score nested subsets on held-out folds: the first few inputs of each fold's own ranking.

        Parameters
        ----------
        folds : list of tuple of ndarray
            Training and held-out rows.
        paths : list of FollowedPath
            The paths of the first folds.
        judge : HeldOutSkill or ScorerOnFolds
            What scores.
        gaps : list of int
            Sizes to try first, the most promising one in front.
        rule : {"one_standard_error", "best"}
            How a size will be chosen.
        context : CallbackContext
            Task of the fit. A callback that stops the refits of a size ends the search.
        every_ridge : bool
            Whether also sizes in between are judged at every ridge: then that of the first folds cannot favour others.
        before : Tried or None
            What was tried on other folds, to be tried on these too; None to search.

        Returns
        -------
        Tried or None
            Held-out scores of the refitted rules, with those before; None where these folds do not score all of them.
        """
        rankings = [self.rank(path) for path in paths]
        folds = folds[: len(rankings)]
        sizes = context.subcontext(task_name="sizes", max_subtasks=None)
        sizes.call_on_fit_task_begin(estimator=self.owner)
        most = min(np.unique(self.labels[path.columns]).size for path in paths)
        scores, tried, ridge, every = {}, {}, None, _search_alphas(self.estimator)
        refits = {most: [Refit(path.path.dense_rule, path.bias, path.columns, of_path=True) for path in paths]}
        if before is None:
            # What no path uses, a constant for instance, is no input that one more size could try.
            used = min(most, np.count_nonzero(self.unit_shares(paths)))
            in_turn = sizes_to_try(scores, used, [gap for gap in gaps if gap <= used], rule)
        else:
            in_turn = [size for size in sorted(before.tables, reverse=True) if size <= most]
        for size in in_turn:
            nearest = refits[min(known for known in refits if known >= size)]
            supports = [self.columns(ranking[:size]) for ranking in rankings]
            alphas = every if every_ridge or size > max(scores, default=0) else (ridge,)
            results, stop = self._score_size(size, folds, supports, nearest, judge, alphas, sizes)
            if len(results) == len(folds) or not scores:
                tried[size] = alphas, np.array([values for values, _ in results])[None]
                refits[size] = [refit for _, refit in results]
                so_far = Tried(tried)
                scores[size], ridge = so_far.scores[size], so_far.ridge
            if stop or len(results) < len(folds):
                break
        sizes.call_on_fit_task_end(estimator=self.owner)
        return Tried(tried) if before is None else before.and_on_others(Tried(tried))

    def _score_size(self, size, folds, supports, starts, judge, alphas, context):
        """Return scores and refits of one size, and whether a callback asks to stop."""
        task = context.subcontext(task_name=f"{size} inputs", max_subtasks=len(folds))
        task.call_on_fit_task_begin(estimator=self.owner)
        calls = [
            (self._compared(support), self.data, number, fold, start, support, judge, alphas)
            for number, (fold, start, support) in enumerate(zip(folds, starts, supports, strict=True))
        ]
        results = self._side_by_side(score_subset, calls, task, "fold")
        return results, task.call_on_fit_task_end(estimator=self.owner)

    def unit_shares(self, paths, power=1):
        """Return the mean share (n_units,) of every input (group) on some paths, of norms to a power; 0 off a path."""
        shares = np.zeros(self.n_units)
        for followed in paths:
            of_path = np.zeros(self.n_units)
            of_path[self.labels[followed.columns]] = followed.path.power_shares(power)
            shares += of_path / len(paths)
        return shares


def _without_recurrence(estimator):
    """Return a copy of an estimator whose rules have A = 0, where no constraints speak of A.

    Inputs enter a rule through B. A step without the loops costs a third, which pays for more states, and its rankings
    are better.
    """
    model = clone(estimator)
    if model.constraints is not None:
        return model
    more = _MORE_STATES if get_activation(model.activation).size is None else 1  # blocks of states have their sizes
    return model.set_params(kappa=0.0, structure=None, n_hidden=int(more * model.n_hidden))


def _search_alphas(model):
    """Return the rising ridges of the rules that are compared: that of the estimator alone where it is a number."""
    return _SEARCH_ALPHAS if model.alpha == "auto" else (float(model.alpha),)
