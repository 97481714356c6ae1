"""Training tasks whose inputs are as few as they can be without a change of what is trained."""

from dataclasses import replace

from sklearn.base import is_classifier

__all__ = ["task_over", "thin_task", "thinned"]


def task_over(estimator, task, changed):
    """Return a task over changed samples.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    task : TrainingTask
        The task.
    changed : callable
        Takes :class:`~skimplicit.rows.Samples` to others of the same rows.

    Returns
    -------
    TrainingTask
        The task, with all that is said about weights in the units of the new samples.
    """
    held_out = None if task.held_out is None else changed(task.held_out)
    other = estimator._task_over(changed(task.objective.samples), task.objective.direct_ridge)
    return replace(other, held_out=held_out, random_state=task.random_state, final_tol=task.final_tol)


def thinned(estimator, samples):
    """Return a function that takes from samples in these units what training has no use for.

    Inputs that do not vary go. Of more inputs than rows their coordinates along the axes of the row space stay, as many
    as there are rows: what is orthogonal to all rows changes no prediction of them, and the ridge of a weight matrix is
    the same in any orthonormal coordinates (kernel ridge regression rests on the same; Schoelkopf, Herbrich and Smola,
    2001). Signs, bounds and other constraints on single inputs are not. For classes, most of whose time goes into
    products with the rows, rows of few entries stay as they are, without axes of any kind: numbers, whose readout is
    exact along the axes, would be several times slower.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    samples : Samples
        What is trained on.

    Returns
    -------
    callable
        Takes :class:`~skimplicit.rows.Samples` to those of fewer inputs.
    """
    if estimator.column_budget is not None or estimator.constraints is not None:
        return lambda others: others
    varying = samples.of_varying()
    if is_classifier(estimator) and varying.has_short_rows:
        return lambda others: others.of_varying().in_products()
    alike = estimator.monotonic_cst is None and estimator.lipschitz is None and estimator.method == "bcd"
    if not (alike and varying.is_wide):
        return lambda others: others.of_varying()
    space = varying.row_space()
    return lambda others: others.of_varying().in_row_space(space)


def thin_task(estimator, task):
    """Return the task over :func:`thinned` samples, in memory; its rules are of all inputs.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    task : TrainingTask
        The task.

    Returns
    -------
    TrainingTask
        The task.
    """
    return task_over(estimator, task, thinned(estimator, task.objective.samples))
