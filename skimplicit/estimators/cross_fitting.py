"""Members trained along rising ridges, each on the rows outside a fold of its own, and judged on that fold.

No approximation is made: predictions of rows that a member has not seen tell which ridge is best, for any loss, method
and size of data.
"""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.estimators.folds import row_counts
from skimplicit.rows import InputRange
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["LARGEST_ALPHA", "Fold", "FoldPath", "Member", "WAY_DIRECT_RIDGE"]

# First ridge of a path, the factor between ridges, and how far a path goes at the most in either direction.
_FIRST_ALPHA, _FACTOR = 1e-4, 10**0.5
_SMALLEST_ALPHA, LARGEST_ALPHA = 1e-8, 1e3
# A path ends where its held-out loss has been this much above its least one at two ridges in a row.
_WORSE, _PATIENCE = 1.02, 2
# Relative decrease of J that ends a stage: it only has to lead the way.
_STAGE_TOL = 1e-3
# Ridge of the direct term beside alpha on the way.
WAY_DIRECT_RIDGE = 0.3
# Tolerance of the states where a readout is chosen anew for a rule that is there.
_READOUT_TOL = 1e-5


@dataclass(frozen=True)
class Fold:
    """Who trains a member, who judges it, and where it starts.

    Parameters
    ----------
    train, test : ndarray of int
        Rows.
    seed : int
        Seed of the starting weights.
    """

    train: np.ndarray
    test: np.ndarray
    seed: int


@dataclass(frozen=True)
class FoldPath:
    """A member along its ridges.

    Parameters
    ----------
    alphas : tuple of float
        The ridges, in the order of training.
    points : tuple of Point
        The rule at each, in the units of training.
    predictions : tuple of ndarray of shape (m, q)
        What each predicts for all rows.
    n_iter : int
        Iterations.
    """

    alphas: tuple
    points: tuple
    predictions: tuple
    n_iter: int

    def reversed(self):
        """Return the same path with its ridges the other way round."""
        return FoldPath(self.alphas[::-1], self.points[::-1], self.predictions[::-1], self.n_iter)

    def joined(self, before):
        """Return this path with another one in front of it."""
        return FoldPath(
            before.alphas + self.alphas,
            before.points + self.points,
            before.predictions + self.predictions,
            before.n_iter + self.n_iter,
        )


class Member:
    """Trains one member of a cross-fit.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, its choices checked.
    method : TrainingMethod
        How to train.
    X : ndarray or CSR matrix of shape (m, p)
        All rows.
    targets : EncodedTargets
        Their targets and weights.
    fold : Fold
        The fold.
    """

    def __init__(self, estimator, method, X, targets, fold):
        self.fold, self.method, self.targets = fold, method, targets
        self.max_iter = estimator.max_iter
        counts = row_counts(fold.train, X.shape[0])
        self.task = estimator._make_task(X, targets.weighted(counts), direct_ridge=WAY_DIRECT_RIDGE)
        self.budget = estimator._make_budget(self.task.objective.samples)
        self.range = InputRange.of(X[fold.train]) if estimator.clip else None
        self.inputs = X if self.range is None else self.range.cut(X)
        self.n_hidden = estimator.n_hidden
        weights = targets.weights
        self.fold_weight = fold.test.size if weights is None else float(weights[fold.test].sum())

    def loss(self, predictions, rows):
        """Return the mean loss of predictions (k, q) of some rows, an ndarray of int of shape (k,), a float."""
        objective = self.task.objective
        samples, weights = objective.samples, self.targets.weights
        scaled = ((values - samples.Y_mean) / samples.Y_scale for values in (predictions, self.targets.Y[rows]))
        losses = objective.sample_loss.value(*scaled)
        return float(np.average(losses, weights=None if weights is None else weights[rows]))

    def predict(self, point, rows=slice(None)):
        """Return what a point predicts for some rows, shape (k, q)."""
        return self.task.objective.rule(point).predict(self.inputs[rows])

    def rise(self, bridge):
        """Train along rising ridges until the held-out loss rises; return the :class:`FoldPath`."""
        samples, constraints = self.task.objective.samples, self.task.constraints
        start = random_weights(self.n_hidden, samples, constraints, np.random.RandomState(self.fold.seed))
        first, later = self._iterations()
        if self.budget is None:
            schedule = [Stage(_FIRST_ALPHA, None, first, _STAGE_TOL)]
        else:
            schedule = continuation(_FIRST_ALPHA, self.budget, first, _STAGE_TOL)
        return self._walk(schedule, start, later, _FACTOR, LARGEST_ALPHA, _PATIENCE, bridge)

    def fall(self, path, bridge):
        """Train on from the first ridge of a path to smaller ones, as long as that helps; return the joined path."""
        first, later = path.points[0], self._iterations()[1]
        schedule = [Stage(path.alphas[0] / _FACTOR, self.budget, later, _STAGE_TOL)]
        below = self._walk(schedule, (first.W, first.b), later, 1 / _FACTOR, _SMALLEST_ALPHA, 1, bridge)
        return path.joined(below.reversed())

    def go_further(self, path, bridge):
        """Train on from the last ridge of a path to the next two, whatever they bring; return the joined path."""
        last, alpha = path.points[-1], path.alphas[-1]
        stages = [Stage(alpha * _FACTOR**k, self.budget, self._iterations()[1], _STAGE_TOL) for k in (1, 2)]
        result = self.method.train(self.task, stages, last.W, last.b, bridge.over(self.task.objective))
        return self._path(result).joined(path)

    def _path(self, result):
        """Return the :class:`FoldPath` of the stages of a training result."""
        points = tuple(end.point for end in result.ends)
        alphas = tuple(end.stage.alpha for end in result.ends)
        return FoldPath(alphas, points, tuple(map(self.predict, points)), result.n_iter)

    def _iterations(self):
        n_inputs = self.task.objective.samples.n_inputs
        return [min(n, self.max_iter) for n in self.method.path_iterations(self.n_hidden, n_inputs, self.task)]

    def _walk(self, schedule, start, later, factor, last, patience, bridge):
        """Go from ridge to ridge until the held-out loss has been worse for a while, or ``last`` is reached."""
        losses = []

        def go_on(evaluation):
            losses.append(self.loss(self.predict(evaluation.point, self.fold.test), self.fold.test))
            worse = len(losses) > patience and min(losses[-patience:]) > _WORSE * min(losses)
            alpha = evaluation.alpha * factor
            if worse or (alpha - last) * np.sign(factor - 1) > 0:
                return []
            return [Stage(alpha, self.budget, later, _STAGE_TOL), go_on]

        result = self.method.train(self.task, [*schedule, go_on], *start, bridge.over(self.task.objective))
        # Under a budget the first stages only lead to where the path begins.
        return self._path(replace(result, ends=result.ends[-len(losses) :]))

    def with_direct_ridge(self, point, alpha, direct_ridge):
        """Return a point with the readout that is best at another ridge of the direct term."""
        objective = replace_direct_ridge(self.task.objective, direct_ridge)
        return objective.evaluate(point.W, point.b, alpha, tol=_READOUT_TOL).point

    def without_states(self, alpha):
        """Return the point whose prediction is linear, the readout the best one at a ridge."""
        objective = replace_direct_ridge(self.task.objective, 1.0)
        n, p = self.n_hidden, objective.samples.n_inputs
        return objective.evaluate(np.zeros((n, n + p)), np.zeros(n), alpha, tol=_READOUT_TOL).point


def replace_direct_ridge(objective, direct_ridge):
    """Return the same objective with another ridge of the direct term, a multiple of alpha."""
    return type(objective)(objective.samples, objective.activation, objective.direct, direct_ridge)
