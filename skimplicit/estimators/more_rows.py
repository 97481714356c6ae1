"""From few rows to all: a rule that has been trained on some of many rows goes on with more of them."""

from dataclasses import replace

import numpy as np

from skimplicit.estimators.budgets import budget_of
from skimplicit.training import Stage

__all__ = ["joined", "opened_after", "train_on_more"]


def opened_after(open_stages):
    """Open the stages that follow on what has been trained; an interrupt while rows are drawn and measured ends that.

    Parameters
    ----------
    open_stages : callable
        Returns the stages, after some passes through all rows.

    Returns
    -------
    opened : object
        What it returns: after a KeyboardInterrupt, of another call, for the best readout for all rows.
    interrupted : bool
        Whether one came.
    """
    try:
        return open_stages(), False
    except KeyboardInterrupt:
        return open_stages(), True


def train_on_more(estimator, method, stages, rule, alpha, chosen, bridge, keep_interrupted=False):
    """Go on with a rule through later stages.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    method : TrainingMethod
        How to train.
    stages : list of LaterStage
        The stages, the last one on all rows.
    rule : ImplicitRule
        Where to start.
    alpha : float
        The ridge.
    chosen : bool
        Whether it was chosen on the few rows, so that it falls with their share.
    bridge : CallbackBridge
        Reports every iteration.
    keep_interrupted : bool
        Whether a KeyboardInterrupt ends training at the rule so far, with the best readout for all rows.

    Returns
    -------
    TrainingResult
        The end of the last stage, with the course of all.
    """
    before, max_iter = None, None
    for later in stages:
        objective = later.task.objective
        W, b = objective.weights_of(rule)
        n_iter = later.max_iter if max_iter is None else max_iter
        ridge = alpha * later.share if chosen else alpha
        stage = Stage(ridge, budget_of(estimator, objective.samples), n_iter, estimator.tol)
        try:
            result = method.train(later.task, [stage], W, b, bridge.over(objective), keep_interrupted=keep_interrupted)
        except KeyboardInterrupt:
            if not keep_interrupted:
                raise
            result = replace(method.train(later.task, [replace(stage, max_iter=0)], W, b), interrupted=True)
        result = result if before is None else joined(before, result)
        if result.stopped or result.interrupted:
            max_iter = 0  # what follows only chooses the best readout for its rows
        before, rule = result, objective.rule(result.evaluation.point)
    return before


def joined(before, after):
    """Return a result of training with the course of another one in front of its own.

    Parameters
    ----------
    before, after : TrainingResult
        The results.

    Returns
    -------
    TrainingResult
        The end of the second, and the course of both.
    """
    after = after.with_end()
    return replace(
        after,
        objectives=np.append(before.objectives, after.objectives),
        stages=np.append(before.stages, after.stages + int(before.stages.max(initial=-1)) + 1),
        n_iter=before.n_iter + after.n_iter,
        stopped=before.stopped or after.stopped,
        interrupted=before.interrupted or after.interrupted,
    )
