"""A ridge that is given: members trained from different starts, the best start of each kept."""

import warnings
from dataclasses import replace

from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skimplicit.estimators.from_rule import to_start_from
from skimplicit.estimators.members import averaged
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["fit_at_given_ridge"]

# Training that runs out of iterations is worth a warning when the last ones still lowered the objective by this share.
_RECENT, _UNFINISHED = 10, 0.02


def fit_at_given_ridge(estimator, chosen, X, targets, bridge):
    """Train members from different starts; warn where they need more iterations, or were interrupted.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    chosen : Choices
        What its parameters stand for.
    X : ndarray or CSR matrix of shape (m, p)
        The rows.
    targets : EncodedTargets
        Their targets and weights.
    bridge : CallbackBridge
        Reports every iteration.

    Returns
    -------
    Averaged
        The members.
    """
    task = estimator._make_task(X, targets)
    starts = _starts(estimator, task, chosen.method, check_random_state(estimator.random_state))
    results = Parallel(n_jobs=estimator.n_jobs, prefer="threads")(
        delayed(_train)(chosen.method, task, some, bridge) for some in starts
    )
    result = results[0]
    if any(result.interrupted for result in results):
        warnings.warn(
            f"Training was interrupted after {result.n_iter} iterations of a start. The best rule so far is kept.",
            ConvergenceWarning,
            stacklevel=2,
        )
    elif not (result.converged or result.stopped) and _still_falling(result):
        warnings.warn(
            f"Training stopped after max_iter={estimator.max_iter} iterations while the objective was still falling by "
            f"more than {_UNFINISHED:.0%} in {_RECENT} iterations. The rule is usable; raise max_iter.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return averaged(task, results)


def _starts(estimator, task, method, random_state):
    """Return for each member where to start from, and by which schedule: the best of them is kept."""
    samples = task.objective.samples
    budget = estimator._make_budget(samples)
    known = estimator.rules_ if estimator._can_warm_start(samples.n_inputs) else []
    n_members = estimator.n_members if estimator.n_members != "auto" else max(len(known), 1)
    alpha, max_iter, tol = estimator.alpha_, estimator.max_iter, estimator.tol
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


def _train(method, task, starts, bridge):
    """Return the best :class:`TrainingResult` over the starts."""
    best = None
    for schedule, start in starts:
        try:
            result = method.train(task, schedule, *start, bridge.over(task.objective), keep_interrupted=True)
        except KeyboardInterrupt:
            if best is None:
                raise
            return replace(best, interrupted=True)
        if best is None or result.evaluation.objective < best.evaluation.objective:
            best = result
        if result.stopped or result.interrupted:
            return replace(best, stopped=result.stopped, interrupted=result.interrupted)
    return best


def _still_falling(result):
    """Tell whether the last iterations of the last stage still lowered the objective noticeably."""
    last = result.objectives[result.stages == result.stages.max(initial=0)][-_RECENT:]
    return last.size < _RECENT or last[-1] < (1 - _UNFINISHED) * last[0]
