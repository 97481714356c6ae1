"""The rows of a fit: all of them in memory, or few of them in memory and all of them in blocks."""

from collections import deque
from dataclasses import dataclass, replace
from functools import partial, reduce
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import _check_n_features

from skimplicit.estimators.targets import EncodedTargets
from skimplicit.estimators.validation import validate_named
from skimplicit.losses import class_codes
from skimplicit.rows import ArrayStore, InputRange, RowBlocks, SelectedColumns, draw_rows, reads_rows

__all__ = [
    "LATER_ITER",
    "LaterStage",
    "MANY_ROWS",
    "TrainingRows",
    "bounds_classes",
    "few_rows",
    "fixed_folds",
    "open_rows",
]

#: Rows from which on fewer are looked at first. Of this many that takes half of the time or less, and costs some
#: hundredths of the loss; of 20,000 it saves nothing for classes. This and what follows is measured in
#: ``benchmarks/README.md``, "Many rows".
MANY_ROWS = 40_000
# Rows that a rule is started and its ridge chosen on, and those for classes, of which a label says less than a number.
_FEW_ROWS, _FEW_ROWS_OF_CLASSES = 4_000, 10_000
# Rows of the stage that follows; iterations of that stage and of the last one, on all rows; the power of the share of
# rows looked at by which a chosen ridge falls on the way.
_MORE_ROWS, _MORE_ITER, _LAST_ITER, _RIDGE_POWER = 20_000, 6, 1, 0.5
# Doubles of states over all rows that may be held at a time, 64 MB: up to it, members train side by side.
_STATES_TOGETHER = 1 << 23


#: Iterations of both.
LATER_ITER = _MORE_ITER + _LAST_ITER


@dataclass(frozen=True)
class LaterStage:
    """A stage of training on more rows than before.

    Parameters
    ----------
    task : TrainingTask
        Its rows.
    max_iter : int
        Most iterations.
    share : float
        By what a ridge that has been chosen on the few rows is multiplied: more rows need less of it.
    """

    task: object
    max_iter: int
    share: float


@dataclass(frozen=True)
class TrainingRows:
    """What is trained on.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        Inputs: of all rows, or of those that are looked at first.
    y : array-like of shape (m,) or (m, q), or None
        Validated targets, for a splitter; None where rows are drawn.
    sample_weight : ndarray of shape (m,) or None
        Weights that a score has.
    targets : EncodedTargets
        Targets and weights as training takes them.
    limits : InputRange or None
        Range of all rows, None where inputs are not cut.
    given : tuple
        X, y and weights for callbacks.
    store : LoadedStore or another with its methods, or None
        All rows, in blocks; None where X has them all.
    place : ndarray of int of shape (m,) or None
        Positions of the rows of X among all; None for all of them.
    n_rows : int
        Number of all rows, those of weight zero included.
    seed : int
        Seed of the choice of rows.
    """

    X: np.ndarray
    y: object
    sample_weight: np.ndarray | None
    targets: EncodedTargets
    limits: InputRange | None
    given: tuple
    store: object = None
    place: np.ndarray | None = None
    n_rows: int = 0
    seed: int = 0

    def task(self, estimator, direct_ridge=1.0, groups=None):
        """Return the :class:`TrainingTask` over all rows."""
        if self.store is None:
            return estimator._make_task(self.X, self.targets, groups, direct_ridge)
        return self._task_over(estimator, self.store, direct_ridge, groups)

    def _task_over(self, estimator, store, direct_ridge=1.0, groups=None):
        samples = RowBlocks(store, estimator.fit_intercept, self.targets.scale, groups)
        return estimator._task_over(samples, direct_ridge)

    def drawn(self, estimator):
        """Return X, y and weights of the rows of X as they would be given in memory, the weights None for ones."""
        classes = self.targets.attributes.get("classes_")
        Y = self.targets.Y
        y = estimator._as_predictions(Y, self.targets) if classes is None else classes[class_codes(Y)]
        return self.X, y, self.sample_weight

    def jobs(self, estimator, n_members):
        """Return how many members to train over all rows side by side, as ``n_jobs`` of joblib."""
        if self.store is None:
            return estimator.n_jobs
        if self.store.takes_passes_together:
            return n_members
        held = max(self.n_rows * estimator.n_hidden, 1)
        return max(min(effective_n_jobs(estimator.n_jobs), n_members, _STATES_TOGETHER // held), 1)

    def jobs_on_few(self, estimator, n_members):
        """Return how many members to train on the few rows of X side by side, as ``n_jobs`` of joblib."""
        idle = self.store is not None and self.store.takes_passes_together  # the workers of a cluster, meanwhile
        return n_members if idle else estimator.n_jobs

    def later_stages(self, estimator, max_iter, n_members):
        """Return the :class:`LaterStage` list of what follows on the few rows of X, of ``max_iter`` iterations in all.

        The last one, whose task is that over all rows, has one at least. Members side by side share the threads.
        """
        n_threads = max(effective_n_jobs(estimator.n_jobs) // self.jobs(estimator, n_members), 1)
        more = ArrayStore(*draw_rows(self.store, _MORE_ROWS, self.seed, classes=not self.targets.scale)[:3], n_threads)
        all_rows = self.store if self.store.takes_passes_together else self.store.with_jobs(n_threads)
        last, few = min(_LAST_ITER, max_iter), self.X.shape[0]
        stages = [
            (min(max_iter - last, _MORE_ITER), self._task_over(estimator, more)),
            (last, self._task_over(estimator, all_rows)),
        ]
        return [
            LaterStage(task, n_iter, (few / task.objective.samples.n_samples) ** _RIDGE_POWER)
            for n_iter, task in stages
            if n_iter
        ]

    def judged(self, samples):
        """Return the rows that importances are taken over, in the units of all rows: :class:`Samples`."""
        if self.store is None:
            return samples
        return samples.like(self.X, self.targets.Y, self.targets.row_weights)

    def spread(self, values):
        """Return an array of a row for each row of X as one with a row for each of all, NaN for the others.

        Those of a Dask collection have no place: None.
        """
        if self.place is None:
            return values if self.store is None else None
        out = np.full((self.n_rows, *values.shape[1:]), np.nan)
        out[self.place] = values
        return out


def open_rows(estimator, chosen, X, y, sample_weight, cv=None):
    """Validate data and return the :class:`TrainingRows`.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    chosen : Choices
        What its parameters stand for.
    X, y, sample_weight : array-like
        The data.
    cv : object
        Folds that the rows are opened for beside those of the estimator; None for none.

    Returns
    -------
    TrainingRows
        With more than ``MANY_ROWS`` rows, and a method and folds that can do with it, few of them and a store of all.
    """
    as_it_is = reads_rows(X) and _goes_by_blocks(estimator, chosen, X, cv)
    if isinstance(X, SelectedColumns):
        _check_n_features(estimator, X, reset=True)
        y = validate_named(estimator, y=y, **estimator._target_checks)
    else:
        X, y = estimator._validate_data(X, y, as_it_is=as_it_is)
    targets = estimator._encode(X, y, sample_weight)
    given = X, y, sample_weight
    if not _goes_by_blocks(estimator, chosen, X, cv):
        limits = estimator._limits(X, targets)
        return TrainingRows(X, y, sample_weight, targets, limits, given, n_rows=X.shape[0])
    store = ArrayStore(X, targets.Y, targets.weights, estimator.n_jobs)
    if as_it_is:
        # Of rows without weight too, as of less data.
        name = type(estimator).__name__
        deque(ArrayStore(X, targets.Y, None, estimator.n_jobs).sweep(partial(_check_finite, name)), maxlen=0)
    rows = few_rows(estimator, store, targets, given, X.shape[0])
    place = rows.place if targets.weights is None else np.flatnonzero(targets.weights > 0)[rows.place]
    return replace(rows, place=place)


def few_rows(estimator, store, targets, given, n_rows):
    """Return the :class:`TrainingRows` of rows drawn from a store.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    store : LoadedStore or another with its methods
        All rows.
    targets : EncodedTargets
        What is known of all targets beside themselves.
    given : tuple
        X, y and weights for callbacks.
    n_rows : int
        Number of all rows.

    Returns
    -------
    TrainingRows
        The rows; ``place`` counts those of positive weight.
    """
    seed = check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max)
    size = _FEW_ROWS if targets.scale else _FEW_ROWS_OF_CLASSES
    U, Y, weights, place = draw_rows(store, size, seed, classes=not targets.scale)
    weights = None if np.all(weights == weights[0]) else weights
    limits = reduce(InputRange.joined, store.sweep(_range)) if estimator.clip else None
    few = replace(targets, Y=Y, weights=weights)
    return TrainingRows(U, None, few.unweighted(), few, limits, given, store, place, n_rows, seed)


def _check_finite(estimator_name, U, Y, weights):
    assert_all_finite(U, estimator_name=estimator_name, input_name="X")


def _range(U, Y, weights):
    return InputRange.of(U)


def fixed_folds(estimator, cv=None):
    """Return folds that are not drawn here, so that they cannot be drawn from a few of the rows.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, whose ``cv`` counts where it chooses its ridge.
    cv : object
        Other folds; None for none.

    Returns
    -------
    object
        A ``cv`` that is neither a number nor None; None where there is none.
    """
    own = estimator.cv if estimator.alpha == "auto" else None
    return next((folds for folds in (own, cv) if not (folds is None or isinstance(folds, Integral))), None)


def bounds_classes(estimator):
    """Tell whether the readout of classes is constrained: its program takes the states of all rows at once.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.

    Returns
    -------
    bool
        Whether it is.
    """
    bounds = estimator.constraints, estimator.lipschitz, estimator.monotonic_cst
    return is_classifier(estimator) and any(bound is not None for bound in bounds)


def _goes_by_blocks(estimator, chosen, X, cv):
    """Tell whether there are many rows, and a method and folds for which few of them can stand for all at first."""
    many = X.ndim == 2 and X.shape[0] > MANY_ROWS
    free = fixed_folds(estimator, cv) is None
    return many and free and chosen.method.takes_blocks and not bounds_classes(estimator)
