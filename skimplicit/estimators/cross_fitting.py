"""Members trained along rising ridges, each on the rows outside a fold of its own, and judged on that fold.

No approximation is made: predictions of rows that a member has not seen tell which ridge is best, for any loss, method
and size of data.
"""

from copy import copy
from dataclasses import replace
from numbers import Integral

import numpy as np

from skimplicit.estimators.budgets import budget_of
from skimplicit.estimators.fold_paths import FoldPath
from skimplicit.estimators.folds import row_counts
from skimplicit.estimators.relevance import with_relevance
from skimplicit.estimators.thin_tasks import task_over, thinned
from skimplicit.marginal_screening import OneInputStates, standing_out
from skimplicit.projections import ColumnBudget
from skimplicit.rows import InputRange, evenly_spaced, unit_of
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, falling_budgets, random_weights

__all__ = ["FAR_WORSE", "HIGHEST_RUNG", "STRIDE", "WAY_DIRECT_RIDGE", "WORSE", "Member", "ridge_of"]

# Ridges are the rungs of one ladder, two to a factor of ten: the first one of a path, and the last ones either way. A
# path takes every other one; the one in between is trained where it may be the best (friedman1, concrete, autompg,
# airfoil: all of them on the way took half as long again and were better by 0 to .002 R2).
_FIRST_RUNG, _LOWEST_RUNG, HIGHEST_RUNG, STRIDE = -8, -16, 6, 2  # 1e-4, 1e-8 and 1e3
# The first one for classes, 1e-3: what overfits at a smaller one is not mended on the way up.
_FIRST_RUNG_OF_CLASSES = -6
# A path ends where its loss is this much above its least one. Up to this rung (0.1) a path for numbers goes on unless
# it is far above it, for a loss can rise by up to a fifth and fall again at small ridges.
WORSE, FAR_WORSE = 1.02, 1.3
_LEAST_RUNG = -2
# And before a ridge that makes the loss this much larger by the readout alone: training there hardly helps. Of five
# members on sixteen sets each such step ended at least an eighth above the least loss, most of them far above.
_WORSE_UNTRAINED = 1.15
# Downwards it ends where a ten times smaller ridge takes less than this share of the loss away, if there are fewer
# distinct rows than inputs, or than so many for each state: they leave no more to learn, every smaller ridge is as
# good, and its programs take ten times as long. Of more the next may be better again (phoneme: .3203, .3179, .3178).
_LEAST_GAIN, _FEW_ROWS = 1e-3, 4
# Relative decrease of J that ends a stage: it only has to lead the way.
_STAGE_TOL = 1e-3
# Ridge of the direct term beside alpha on the way.
WAY_DIRECT_RIDGE = 0.3
# Iterations at each of the falling budgets of a path, and their number.
_BUDGET_ITER, _N_BUDGETS = 5, 10
# Most rows that are asked which inputs stand out.
_MOST_ROWS_ALONE = 2000
# Tolerance of the states where a readout is chosen anew for a rule that is there, and of those that predict.
_READOUT_TOL, _PREDICTION_TOL = 1e-5, 1e-8


def ridge_of(rung):
    """Return the ridge ``10^(rung / 2)``.

    Parameters
    ----------
    rung : int
        A rung of the ladder.

    Returns
    -------
    float
        Its ridge.
    """
    return 10.0 ** (rung / 2)


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
        self.fold, self.method, self.targets, self._X = fold, method, targets, X
        self.first_rung = _FIRST_RUNG if targets.scale else _FIRST_RUNG_OF_CLASSES
        self.least_rung = _LEAST_RUNG if targets.scale else _FIRST_RUNG_OF_CLASSES
        self.max_iter = estimator.max_iter
        #: Powers of two near the largest targets, (q,); ones for classes.
        self.unit = unit_of(targets.Y) if targets.scale else np.ones(targets.Y.shape[1])
        # Losses of members are added up. In the deviations of their own rows, the fold of a target far from all others,
        # which these do not have, would count many times.
        self._deviations = targets.deviations
        self.range = InputRange.of(X[fold.train]) if estimator.clip else None
        self._open(estimator, None, WAY_DIRECT_RIDGE)
        self.judged = targets.judged(fold.train)
        self.budget = budget_of(estimator, self.task.objective.samples)
        self.n_hidden = estimator.n_hidden
        weights = targets.weights
        self.fold_weight = fold.test.size if weights is None else float(weights[fold.test].sum())
        #: The FoldPath so far, and whether an interrupt has ended its way upwards; None before there is one.
        self.path, self.interrupted = None, False

    def _open(self, estimator, factors, direct_ridge):
        """Make the task, scaled inputs multiplied by factors (p,) or None, and all rows in its units."""
        self.relevance = factors
        counts = row_counts(self.fold.train, self._X.shape[0])
        # Made again it draws the same rows to stop by, whatever the state of a generator is by then.
        seed = estimator.random_state if isinstance(estimator.random_state, Integral) else self.fold.seed
        task = estimator._make_task(
            self._X, self.targets.weighted(counts), direct_ridge=direct_ridge, random_state=seed
        )
        own = task.objective.samples.rows(np.arange(0))
        if factors is not None:
            task = with_relevance(estimator, task, factors)
        thin = thinned(estimator, task.objective.samples)
        self.task = replace(task_over(estimator, task, thin), final_tol=_READOUT_TOL)

        def in_units_of_task(inputs):
            rows = own.like(inputs, self.targets.Y, np.ones(inputs.shape[0]))
            return thin(rows if factors is None else rows.rescaled(factors))

        self._in_units_of_task = in_units_of_task
        self._clip_at(self.range)

    def _clip_at(self, limits):
        self.range = limits
        self._all_rows = self._in_units_of_task(self._X if limits is None else limits.cut(self._X))

    def beyond_range(self):
        """Return by how many widths of the range each row held out is beyond it at most, in any input, (k,)."""
        return self.range.excess(self._X[self.fold.test])

    def clipped_at(self, limits):
        """Return this member, without a path, with inputs of all rows clipped at another range than that of its own."""
        other = copy(self)
        other._clip_at(limits)
        return other

    def loss(self, predictions, rows=slice(None)):
        """Return the mean loss of predictions (k, q) of some rows, an ndarray of int of shape (k,), a float."""
        weights = self.targets.weights
        losses = self.losses(predictions, rows)
        return float(np.average(losses, weights=None if weights is None else weights[rows]))

    def losses(self, predictions, rows=slice(None)):
        """Return the loss of each of some rows, shape (k,); the arguments are those of :meth:`loss`."""
        mean = self.task.objective.samples.Y_mean
        scaled = ((values - mean) / self._deviations for values in (predictions, self.judged[rows]))
        return self.task.objective.sample_loss.value(*scaled)

    def loss_at(self, rung):
        """Return the held-out loss at a rung of the path, a float."""
        return self.loss(self.path.at(rung)[1][self.fold.test], self.fold.test)

    def least_loss(self):
        """Return the least held-out loss along the path, a float."""
        return min(map(self.loss_at, self.path.rungs))

    def predict(self, point, rows=None):
        """Return what a point predicts for some rows, an ndarray of int of shape (k,), or all: shape (k, q)."""
        objective = self.task.objective.over(self._all_rows if rows is None else self._all_rows.rows(rows))
        return objective.samples.Y_mean + objective.samples.Y_scale * objective.predictions_at(point, _PREDICTION_TOL)

    def rise(self, bridge):
        """Train along rising ridges until the held-out loss rises; an interrupt keeps the :class:`FoldPath` so far."""
        self._in_units_of_task = None  # it may hold axes of all inputs; where these are clipped is settled
        samples, constraints = self.task.objective.samples, self.task.constraints
        start = random_weights(self.n_hidden, samples, constraints, np.random.RandomState(self.fold.seed))
        n_iter, alpha = self._iterations()[0], ridge_of(self.first_rung)
        if self.budget is None:
            schedule = [self._stage(self.first_rung, n_iter)]
        else:
            schedule = continuation(alpha, self.budget, n_iter, _STAGE_TOL)
        rungs = range(self.first_rung, HIGHEST_RUNG + 1, STRIDE)
        self.path, self.interrupted = self._walk(schedule, start, rungs, bridge, keep_interrupted=True)
        if self.interrupted:
            raise KeyboardInterrupt

    def fall(self, bridge):
        """Train on from the first ridge of the path to smaller ones, as long as that helps."""
        rungs = range(self.path.rungs[0] - STRIDE, _LOWEST_RUNG - 1, -STRIDE)
        start, test = self.path.points[0], self.fold.test
        above = self.loss(self.path.predictions[0][test], test)
        below, _ = self._walk([self._stage(rungs[0])], (start.W, start.b), rungs, bridge, above)
        self.path = self.path.joined(below.reversed())

    def go_to(self, rung, bridge):
        """Train on to a rung from the one before it on the path."""
        before, after = self.path.upto(max(known for known in self.path.rungs if known < rung))
        start = before.points[-1]
        result = self.method.train(self.task, [self._stage(rung)], start.W, start.b, bridge.over(self.task.objective))
        self.path = after.joined(self._path((rung,), result.ends, [], result.n_iter).joined(before))

    def _walk(self, schedule, start, rungs, bridge, above=None, keep_interrupted=False):
        """Go from rung to rung, the first by ``schedule``, until the held-out loss gets worse.

        Downwards, from a rung with the loss ``above``, where there are few rows until it hardly gets better.
        """
        samples = self.task.objective.samples
        weights = max(_FEW_ROWS * self.n_hidden, np.count_nonzero(~samples.given.constant))
        few_downwards = above is not None and samples.n_samples < weights
        losses, predictions, untrained, test = [], [], None, self.fold.test

        def go_on(evaluation):
            nonlocal untrained
            predictions.append(self.predict(evaluation.point))
            losses.append(self.loss(predictions[-1][test], test))
            rung = rungs[len(losses) - 1]
            limit = FAR_WORSE if self.first_rung <= rung < self.least_rung else WORSE
            if losses[-1] > limit * min(losses) or len(losses) == len(rungs):
                return []
            if few_downwards and losses[-1] > (1 - _LEAST_GAIN) * [above, *losses][-2]:
                return []
            following = rungs[len(losses)]
            point = self.task.objective.at_ridge(evaluation, ridge_of(following)).point
            if self.loss(self.predict(point, test), test) > _WORSE_UNTRAINED * min(losses):
                untrained = FoldPath((following,), (point,), (self.predict(point),), 0)
                return []
            return [self._stage(following), go_on]

        callback = bridge.over(self.task.objective)
        result = self.method.train(self.task, [*schedule, go_on], *start, callback, keep_interrupted=keep_interrupted)
        # A stage that was ended from outside has been judged too, when the run asked what would have come next. Under a
        # budget the first stages only lead to where the path begins; if one of them was, the end of the run meets it.
        ends, outside = result.ends[-len(losses) :], result.stopped or result.interrupted
        if outside and self.budget is not None and len(losses) == 1:
            ends, predictions = (result.evaluation,), []
        path = self._path(rungs[: len(losses)], ends, predictions, result.n_iter)
        return path if outside or untrained is None else untrained.joined(path), result.interrupted

    def _stage(self, rung, n_iter=None):
        n_iter = self._iterations()[1] if n_iter is None else n_iter
        return Stage(ridge_of(rung), self.budget, n_iter, _STAGE_TOL)

    def _path(self, rungs, ends, predictions, n_iter):
        """Return the :class:`FoldPath` of stages that ended at rungs; the first ones have predicted already."""
        points = tuple(end.point for end in ends)
        rest = map(self.predict, points[len(predictions) :])
        return FoldPath(tuple(rungs)[: len(points)], points, (*predictions, *rest), n_iter)

    def _iterations(self):
        return [min(n, self.max_iter) for n in self.method.path_iterations(self.n_hidden, self.task)]

    def evaluated(self, point, alpha):
        """Return the :class:`Evaluation` of a point's W and b at a ridge alpha."""
        return self.task.objective.evaluate(point.W, point.b, alpha, tol=_READOUT_TOL)

    def budgets(self, point, alpha):
        """Return falling bounds on the columns of B, shape (k,), from what a point at a ridge alpha uses."""
        budget = ColumnBudget(weights=self.task.objective.samples.budget_weights())
        return falling_budgets(self.evaluated(point, alpha), budget, _N_BUDGETS)

    def tighten(self, point, alpha, bounds, bridge):
        """Train on from a point at a ridge alpha through falling bounds (k,); return what can be kept at each.

        Parameters
        ----------
        point : Point
            The rule without a bound.
        alpha : float
            The ridge.
        bounds : ndarray of shape (k,)
            Falling bounds on the columns of B.
        bridge : CallbackBridge
            Reports every iteration; one that stops training leaves fewer bounds.

        Returns
        -------
        kept : list of tuple
            Point and predictions at each bound.
        n_iter : int
            Iterations.
        """
        weights, n_iter = self.task.objective.samples.budget_weights(), min(_BUDGET_ITER, self.max_iter)
        stages = [Stage(alpha, ColumnBudget(float(bound), weights), n_iter, _STAGE_TOL) for bound in bounds]
        result = self.method.train(self.task, stages, point.W, point.b, bridge.over(self.task.objective))
        return [(end.point, self.predict(end.point)) for end in result.ends], result.n_iter

    def standing_out(self, most):
        """Return the inputs that stand out from noise on the member's own rows, at most so many, an ndarray of int."""
        targets = self.targets.weighted(row_counts(self.fold.train, self._X.shape[0]))
        rows = np.flatnonzero(targets.weights > 0)
        rows = rows[evenly_spaced(rows.size, _MOST_ROWS_ALONE)]
        labels = np.arange(self._X.shape[1])
        states = OneInputStates(self._X, targets.rows(rows), rows, self.task.objective.samples.centre, labels)
        return standing_out(states, states.explain(states.Y), most)

    def rescaled(self, estimator, factors, direct_ridge):
        """Return this member, without a path, with scaled inputs multiplied by factors (p,), at a direct ridge."""
        other = copy(self)
        other._open(estimator, factors, direct_ridge)
        other.path, other.interrupted = None, False
        return other

    def train_on(self, rule, alpha, bridge):
        """Train on from a rule at a ridge alpha; return the point, what it predicts for all rows, and iterations."""
        objective = self.task.objective
        stage = Stage(alpha, self.budget, self._iterations()[1], _STAGE_TOL)
        result = self.method.train(self.task, [stage], *objective.weights_of(rule), bridge.over(objective))
        point = result.evaluation.point
        return point, self.predict(point), result.n_iter

    def with_direct_ridge(self, evaluation, direct_ridge):
        """Return the point of an evaluation with the readout that is best at another ridge of the direct term."""
        return self.task.objective.with_direct_ridge(direct_ridge).at_ridge(evaluation, evaluation.alpha).point

    def without_states(self, alphas):
        """Yield the points whose prediction is linear, the readouts the best ones at some ridges, one after another."""
        objective = self.task.objective.with_direct_ridge(1.0)
        n, p = self.n_hidden, objective.samples.n_inputs
        W, b, end = np.zeros((n, n + p)), np.zeros(n), None
        for alpha in alphas:
            end = objective.at_ridge(end, alpha) if end else objective.evaluate(W, b, alpha, tol=_READOUT_TOL)
            yield end.point
