"""Rules of some inputs, trained for a few iterations to be compared with one another on held-out rows."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.utils import _safe_indexing

from skimplicit.estimators.folds import row_counts
from skimplicit.rule import ImplicitRule
from skimplicit.selection.budget_path import path_method
from skimplicit.training import Stage

__all__ = ["Refit", "score_subset"]

# Iterations of a refit at its first ridge, where it starts from a path, and at each later one, or from another refit.
# Refits only have to rank subsets against each other.
_FIRST_ITER, _LATER_ITER, _SEARCH_TOL = 10, 5, 1e-3


@dataclass(frozen=True)
class Refit:
    """A rule of some inputs, to start others from that have fewer.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    bias : ndarray of shape (n,)
        Its b where all inputs have a mean of zero, as in training: then no bias moves with an input that goes.
    columns : ndarray of int
        Its inputs, in order.
    of_path : bool
        Whether it is the dense rule of a path, flexible and of all inputs, rather than a refit of a few more.
    """

    rule: ImplicitRule
    bias: np.ndarray
    columns: np.ndarray
    of_path: bool = False

    def weights(self, objective, columns):
        """Return W and b to start a rule of some of the inputs from, an increasing ndarray of int."""
        rule = replace(self.rule, B=self.rule.B[:, np.searchsorted(self.columns, columns)], D=None)
        return objective.weights_of(rule)[0], self.bias


@with_callbacks
def score_subset(model, data, number, fold, start, support, judge, alphas):
    """Train a rule of some inputs at rising ridges, and judge it at each.

    Parameters
    ----------
    model : ImplicitRegressor or ImplicitClassifier
        Unfitted; changed in place.
    data : SelectionData
        The data, of all inputs.
    number : int
        Which fold it is.
    fold : tuple of ndarray of int
        Its training and held-out rows.
    start : Refit
        A rule of these inputs and others.
    support : ndarray of bool of shape (p,)
        The inputs.
    judge : HeldOutSkill or ScorerOnFolds
        What scores.
    alphas : tuple of float
        The ridges.

    Returns
    -------
    result : tuple of list and Refit
        The held-out score at each ridge, and the rule at the first one.
    stop : bool
        Whether a callback asks to stop.
    """
    train, test = fold
    columns = np.flatnonzero(support)
    X = _safe_indexing(data.X, columns, axis=1)
    targets = data.targets.weighted(row_counts(train, X.shape[0]))
    task = model._make_task(X, targets)
    _, y, weights = data.rows(train)
    first_iter = _FIRST_ITER if start.of_path else _LATER_ITER
    schedule = [
        Stage(alpha, None, _LATER_ITER if stage else first_iter, _SEARCH_TOL) for stage, alpha in enumerate(alphas)
    ]
    limits, n_iter = model._limits(X[train], targets.rows(train)), sum(stage.max_iter for stage in schedule)
    bridge = model._open_bridge(targets, (X[train], y, weights), n_iter, limits)
    W, b = start.weights(task.objective, columns)
    ends = path_method(model).train(task, schedule, W, b, bridge.over(task.objective)).ends
    limits, scores = model._where_clipped(limits), []
    held_out = X[test] if limits is None else limits.cut(X[test])
    for end in ends:
        vars(model).update(model._fitted_attributes(targets, None, [task.objective.rule(end.point)]))
        scores.append(judge(model, held_out, number))
    scores += scores[-1:] * (len(alphas) - len(ends))  # after a stop, the rule is what it is at every ridge
    stop = bridge.close(model.rules_)
    return (scores, Refit(task.objective.rule(ends[0].point), ends[0].point.b, columns)), stop
