"""How many of the ranked inputs are enough: refits on nested subsets, scored on held-out folds."""

from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.utils import _safe_indexing

from skimplicit.estimators.folds import row_counts
from skimplicit.estimators.side_by_side import run_side_by_side
from skimplicit.selection.budget_path import check_budgets, follow_path, path_method
from skimplicit.selection.selected_constraints import SelectedConstraints
from skimplicit.training import Stage

__all__ = ["SubsetSearch", "choose_size", "standard_error"]

# Refits in the search only have to rank subsets against each other. They start from the dense rule of their fold: on
# Friedman 1 with 40 noise inputs 15 iterations then score .918 for the right inputs, 30 from a random start .923.
_SEARCH_ITER, _SEARCH_TOL = 15, 1e-3
# Widest gaps between consecutive shares on the path, whose sizes are tried first, and the factor between larger sizes.
_GAPS, _GROWTH = 3, 2
# Budgets of a fold's path: enough to rank the inputs.
_FOLD_BUDGETS = 10
# Refits from random starts end in different minima. Mean scores s and s + d in [0, 1] whose difference d is below this
# share of s (1 - s) are no evidence that inputs are missed; losing one that matters costs two to three times as much.
_REFIT_SPREAD = 0.15
# Ridge of the refits that are compared where the estimator chooses its own: less than one that has to find the inputs.
_SEARCH_ALPHA = 1e-2
# Path and refit differ in what alpha has to do: the path starts flexible.
_LARGEST_PATH_ALPHA = 3e-3


def choose_size(scores):
    """Return the smallest size whose mean score is as good as the best, up to the spread of folds and of refits.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,)
        Held-out scores for each size, larger for better.

    Returns
    -------
    int
        The size.

    Notes
    -----
    The one-standard-error rule, with the standard error of the best mean score over the folds, or the spread between
    refits when that is larger: with many targets or little noise, folds differ less than the minima that refits end in,
    and one fold alone has no standard error. The spread between refits is that of scores between 0 and 1.
    """
    means = {size: float(np.mean(values)) for size, values in scores.items()}
    best = max(means, key=lambda size: (means[size], -size))
    return min(size for size in means if means[size] >= means[best] - _spread(scores[best]))


def standard_error(values):
    """Return the standard error of the mean of scores.

    Parameters
    ----------
    values : ndarray of shape (n_folds,)
        The scores.

    Returns
    -------
    float
        The error; 0 for one fold, which does not tell.
    """
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _spread(values):
    """Return by how much a mean score may be lower than that of ``values`` without being worse."""
    share = np.clip(np.mean(values), 0.0, 1.0)
    return max(standard_error(values), _REFIT_SPREAD * share * (1.0 - share))


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
    """

    def __init__(self, estimator, data, column_budgets, groups, n_jobs, owner):
        self.estimator = estimator
        self.data = data
        self.column_budgets = column_budgets
        self.groups = groups
        self.n_jobs = n_jobs
        self.owner = owner
        n_features = data.X.shape[1]
        self.labels = np.arange(n_features) if groups is None else groups
        self.n_units = int(self.labels.max()) + 1

    def path(self, context):
        """Return the :class:`ImplicitPath` on all data, as a task of the fit whose context is given."""
        calls = [(self._path_estimator(), self.data, check_budgets(self.column_budgets), self.groups)]
        return self._side_by_side(_whole_path, calls, context, "path")[0]

    def _path_estimator(self):
        alpha = min(_search_alpha(self.estimator), _LARGEST_PATH_ALPHA) or _LARGEST_PATH_ALPHA
        return clone(self.estimator).set_params(alpha=alpha, column_budget=1.0, direct=False)

    def _side_by_side(self, function, calls, context, name):
        return run_side_by_side(function, calls, owner=self.owner, context=context, task_name=name, n_jobs=self.n_jobs)

    def rank(self, path):
        """Return the inputs (groups) from the largest share in the path to the smallest, an ndarray of int."""
        return np.argsort(-self._unit_shares(path), kind="stable")

    def gaps(self, path):
        """Return the sizes at which the sorted shares fall most steeply, a list of int."""
        shares = np.sort(self._unit_shares(path))[::-1]
        falls = shares[:-1] / np.maximum(shares[1:], shares[0] * np.finfo(float).eps)
        return [int(position) + 1 for position in np.argsort(-falls, kind="stable")[:_GAPS]]

    def agree(self, ranking, rankings, size):
        """Return the ranking by how many of the folds' rankings have an input (group) among the first ``size``.

        Inputs that as many folds select stay in the order of ``ranking``, that of all data.
        """
        votes = np.zeros(self.n_units, dtype=int)
        for of_fold in rankings:
            votes[of_fold[:size]] += 1
        return ranking[np.argsort(-votes[ranking], kind="stable")]

    def columns(self, units):
        """Return the mask over the inputs of some inputs (groups), an ndarray of bool."""
        return np.isin(self.labels, units)

    def positions(self, ranking, size):
        """Return 1 for the first ``size`` of a ranking, then 2, 3, ..., for every input."""
        position = np.empty(ranking.size, dtype=int)
        position[ranking] = np.maximum(np.arange(ranking.size) - size + 2, 1)
        return position[self.labels]

    def refit_estimator(self, support):
        """Return the unfitted rule of the selected inputs; constraints still speak of all inputs."""
        model = clone(self.estimator)
        if model.constraints is not None:
            model.set_params(constraints=SelectedConstraints(model.constraints, support))
        if model.monotonic_cst is not None:
            model.set_params(monotonic_cst=np.asarray(model.monotonic_cst)[support])
        return model

    def cross_validate(self, folds, judge, gaps, context):
        """Score nested subsets on held-out folds.

        Parameters
        ----------
        folds : list of tuple of ndarray
            Training and test rows.
        judge : HeldOutSkill or ScorerOnFolds
            What scores.
        gaps : list of int
            Sizes to try first, the most promising one in front.
        context : CallbackContext
            Task of the fit for the cross-validation. A callback that stops a fold ends the round of folds, and then
            there are fewer of them; one that stops the refits of a size ends the search.

        Returns
        -------
        rankings : list of ndarray of int
            The ranking of each fold's path.
        scores : dict of int to ndarray of shape (n_folds,)
            Held-out scores of the refitted rules.
        """
        budgets = check_budgets(_FOLD_BUDGETS if self.column_budgets is None else self.column_budgets)
        paths = context.subcontext(task_name="paths", max_subtasks=len(folds))
        paths.call_on_fit_task_begin(estimator=self.owner)
        followed = self._side_by_side(
            _fold_path,
            [(self._path_estimator(), self.data, budgets, self.groups, train) for train, _ in folds],
            paths,
            "fold",
        )
        paths.call_on_fit_task_end(estimator=self.owner)
        folds = folds[: len(followed)]
        rankings = [self.rank(path) for path in followed]
        dense_rules = [path.dense_rule for path in followed]
        sizes = context.subcontext(task_name="sizes", max_subtasks=None)
        sizes.call_on_fit_task_begin(estimator=self.owner)
        scores = {}
        for size in _sizes_to_try(scores, self.n_units, gaps):
            supports = [self.columns(ranking[:size]) for ranking in rankings]
            values, stop = self._score_size(size, folds, supports, dense_rules, judge, sizes)
            if len(values) == len(folds) or not scores:
                scores[size] = np.array(values)
            if stop or len(values) < len(folds):
                break
        sizes.call_on_fit_task_end(estimator=self.owner)
        return rankings, scores

    def _score_size(self, size, folds, supports, dense_rules, judge, context):
        """Return the held-out scores of one size, and whether a callback asks to stop."""
        task = context.subcontext(task_name=f"{size} inputs", max_subtasks=len(folds))
        task.call_on_fit_task_begin(estimator=self.owner)
        calls = [
            (self.refit_estimator(support), self.data, number, fold, rule, support, judge)
            for number, (fold, rule, support) in enumerate(zip(folds, dense_rules, supports, strict=True))
        ]
        values = self._side_by_side(_score_subset, calls, task, "fold")
        return values, task.call_on_fit_task_end(estimator=self.owner)

    def _unit_shares(self, path):
        shares = np.zeros(self.n_units)
        shares[self.labels] = path.shares
        return shares


def _whole_path(model, data, budgets, groups):
    return follow_path(model, (data.X, data.y, data.sample_weight), data.targets, budgets, groups)


def _fold_path(model, data, budgets, groups, train):
    """Return the path on the training rows of a fold, and whether a callback asks to stop.

    The rows that are held out stay in the encoded targets, with a weight of 0: all folds know all classes.
    """
    targets = data.targets.weighted(row_counts(train, data.X.shape[0]))
    return follow_path(model, data.rows(train), targets, budgets, groups, X=data.X)


@with_callbacks
def _score_subset(model, data, number, fold, dense_rule, support, judge):
    """Return the held-out score of a rule of some inputs, and whether a callback asks to stop."""
    train, test = fold
    X = _safe_indexing(data.X, np.flatnonzero(support), axis=1)
    targets = data.targets.weighted(row_counts(train, X.shape[0]))
    task = model._make_task(X, targets)
    _, y, weights = data.rows(train)
    bridge = model._open_bridge(targets, (X[train], y, weights), _SEARCH_ITER)
    start = replace(dense_rule, B=dense_rule.B[:, support], D=None)
    schedule = [Stage(_search_alpha(model), None, _SEARCH_ITER, _SEARCH_TOL)]
    course = path_method(model).train(task, schedule, *task.objective.weights_of(start), bridge.over(task.objective))
    for name, value in model._fitted_attributes(targets, None, [task.objective.rule(course.evaluation.point)]).items():
        setattr(model, name, value)
    stop = bridge.close([task.objective.rule(course.evaluation.point)])
    return judge(model, X[test], number), stop


def _search_alpha(model):
    """Return the ridge of the rules that are compared: that of the estimator where it is a number."""
    return _SEARCH_ALPHA if model.alpha == "auto" else model.alpha


def _sizes_to_try(scores, n_units, gaps):
    """Yield the sizes to score, judging by the scores so far."""
    # From the widest gap upwards, until more inputs only do harm ...
    size = gaps[0] if gaps else 1
    yield size
    while size < n_units:
        size = min(_GROWTH * size, n_units)
        yield size
        if _falls_short(scores, size):
            inside = round(size / np.sqrt(_GROWTH))  # where many do harm, a few more may still do good
            if inside not in scores:
                yield inside
            break
    # ... then close in on the smallest size that is good enough, from below.
    while True:
        size = choose_size(scores)
        below = max((s for s in scores if s < size), default=0)
        if below == size - 1:
            return
        yield _between(below, size, scores, gaps)


def _falls_short(scores, size):
    """Tell whether a size scores worse than the best by more than the spread."""
    best = max(scores.values(), key=np.mean)
    return np.mean(best) - np.mean(scores[size]) > _spread(best)


def _between(below, size, scores, gaps):
    """Return the size to try next between one that is too small and one that is good enough."""
    if size in gaps and size + 1 not in scores:
        return size - 1  # if that is too small, the gap was the right one and all is said
    return next((gap for gap in gaps if below < gap < size), (below + size) // 2)
