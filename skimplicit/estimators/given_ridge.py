"""A ridge that is given: members trained from different starts, the best start of each kept."""

import warnings
from dataclasses import replace
from functools import partial
from threading import Event

import numpy as np
from joblib import delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skimplicit.estimators.budgets import budget_of
from skimplicit.estimators.from_rule import to_start_from
from skimplicit.estimators.members import averaged
from skimplicit.estimators.more_rows import joined, opened_after, train_on_more
from skimplicit.estimators.parallel import in_threads
from skimplicit.estimators.relevance import with_relevance
from skimplicit.estimators.training_rows import LATER_ITER
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["fit_at_given_ridge"]

# Training that runs out of iterations is worth a warning when the last ones still lowered the objective by this share.
_RECENT, _UNFINISHED = 10, 0.02


def fit_at_given_ridge(estimator, chosen, rows, known, bridge):
    """Train members from different starts; warn where they need more iterations, or were interrupted.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    chosen : Choices
        What its parameters stand for.
    rows : TrainingRows
        The rows; where there are few of them to look at first, members are trained on these, and then on all.
    known : list of ImplicitRule
        Rules to go on from, on all rows at once; none to begin.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    Averaged
        The members.
    """
    few_first = rows.store is not None and not known
    later_iter = min(LATER_ITER, max(estimator.max_iter // 2, 1)) if few_first else 0
    direct_ridge = estimator._direct_ridge
    task = estimator._make_task(rows.X, rows.targets) if few_first else rows.task(estimator, direct_ridge)
    task = with_relevance(estimator, task, estimator.relevance_)
    random_state = check_random_state(estimator.random_state)
    starts = _starts(estimator, known, task, chosen.method, random_state, max(estimator.max_iter - later_iter, 1))
    at_a_time = rows.jobs(estimator, len(starts))
    jobs = rows.jobs_on_few(estimator, len(starts)) if few_first else at_a_time
    interrupted = Event()
    calls = [
        delayed(_train)(chosen.method, task, some, member < len(known), bridge, interrupted)
        for member, some in enumerate(starts)
    ]
    results = [result for result in _made(calls, jobs, bridge, interrupted) if result is not None]
    if few_first:
        few = task.objective
        stages, cut = opened_after(partial(rows.later_stages, estimator, later_iter, len(starts)))
        results = [replace(result, interrupted=result.interrupted or cut) for result in results]
        interrupted = Event()
        calls = [
            delayed(_train_on_more)(estimator, chosen.method, few, stages, some, bridge, interrupted)
            for some in results
        ]
        results = _made(calls, at_a_time, bridge, interrupted)
        task = stages[-1].task
    _warn(estimator, results)
    return averaged(task, results)


def _made(calls, n_jobs, bridge, interrupted):
    """Return the results of calls side by side; those that an interrupt comes before are told of it, one by one.

    It is raised where none has come to anything.
    """
    results = {}
    try:
        return in_threads(calls, n_jobs, bridge, results)
    except KeyboardInterrupt:
        if not any(result is not None for result in results.values()):
            raise
    interrupted.set()
    for k, (function, arguments, keywords) in enumerate(calls):
        if k not in results:
            results[k] = function(*arguments, **keywords)
    return [results[k] for k in range(len(calls))]


def _train_on_more(estimator, method, few, stages, result, bridge, interrupted):
    """Return the :class:`TrainingResult` of going on from one on few rows, on all of them in the end."""
    if interrupted.is_set():
        result = replace(result, interrupted=True)
    if result.stopped or result.interrupted:
        stages = [replace(stages[-1], max_iter=0)]
    rule = few.rule(result.evaluation.point)
    last = train_on_more(
        estimator, method, stages, rule, estimator.alpha_, chosen=False, bridge=bridge, keep_interrupted=True
    )
    # Whether more iterations would have helped, those on the few rows tell.
    return replace(joined(result, last), converged=result.converged or not _still_falling(result))


def _warn(estimator, results):
    """Warn where training was interrupted, or needs more iterations."""
    ended = [result for result in results if result.interrupted]
    if ended:
        warnings.warn(
            f"Training was interrupted after {ended[0].n_iter} iterations of a start. The best rule so far is kept.",
            ConvergenceWarning,
            stacklevel=3,
        )
    elif any(not (result.converged or result.stopped) and _still_falling(result) for result in results):
        warnings.warn(
            f"Training stopped after max_iter={estimator.max_iter} iterations while the objective was still falling by "
            f"more than {_UNFINISHED:.0%} in {_RECENT} iterations. The rule is usable; raise max_iter.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _starts(estimator, known, task, method, random_state, max_iter):
    """Return for each member where to start from, and by which schedule: the best of them is kept."""
    samples = task.objective.samples
    budget = budget_of(estimator, samples)
    n_members = estimator.n_members if estimator.n_members != "auto" else max(len(known), 1)
    alpha, tol = estimator.alpha_, estimator.tol
    starts = []
    for member in range(n_members):
        some = []
        for start in range(estimator.n_init):
            if start == 0 and member < len(known):
                schedule = [Stage(alpha, budget, max_iter, tol)]
                W_b = task.objective.weights_of(to_start_from(known[member], task.constraints))
            else:
                schedule = continuation(alpha, budget, max_iter, tol, method.raises_alpha)
                W_b = random_weights(estimator.n_hidden, samples, task.constraints, random_state)
            some.append((schedule, W_b))
        starts.append(some)
    return starts


def _train(method, task, starts, is_known, bridge, interrupted):
    """Return the best :class:`TrainingResult` over the starts; None for a member that an interrupt came before.

    A rule that was there before stays as it is then, with the best readout.
    """
    if interrupted.is_set():
        schedule, start = starts[0]
        return method.train(task, [replace(schedule[-1], max_iter=0)], *start) if is_known else None
    best = None
    for schedule, start in starts:
        try:
            result = method.train(task, schedule, *start, bridge.over(task.objective), keep_interrupted=True)
        except KeyboardInterrupt:
            interrupted.set()
            if best is None:
                raise
            return replace(best, interrupted=True)
        if best is None or result.evaluation.objective < best.evaluation.objective:
            best = result
        if result.interrupted:
            interrupted.set()
        if result.stopped or result.interrupted:
            return replace(best, stopped=result.stopped, interrupted=result.interrupted)
    return best


def _still_falling(result):
    """Tell whether the last iterations of the last stage still lowered the objective noticeably."""
    last = result.objectives[result.stages == result.stages.max(initial=0)][-_RECENT:]
    if last.size and last[-1] <= np.finfo(float).eps:
        return False  # targets are scaled: of constant ones it falls to 1e-160, which changes no prediction
    return last.size < _RECENT or last[-1] < (1 - _UNFINISHED) * last[0]
