"""What inputs matter: by what the last training of cross-fitted members, on all rows, multiplies each scaled input."""

from dataclasses import replace

import numpy as np

from skimplicit.estimators.importance import input_importances
from skimplicit.rows import LARGEST_MATRIX

__all__ = ["relevance_of", "with_relevance"]

# Least factor, as a share of the largest: an input that hardly mattered pays a thousand times the ridge, and can come
# back. Most rows that importances are taken over.
_LEAST, _MOST_ROWS = 0.03, 2000


def relevance_of(estimator, choice, samples):
    """Return the factors ``s_j^R2`` of importances s, divided by their root mean square.

    The ridge on the weights of input j is divided by the square of its factor: what held-out rows do not need pays
    more. The importances are those of the mean of the members at the ridge that was chosen. They are known as well as
    the members predict, so that R2, of the rows that members have not seen, says how far to go: at 0 all inputs are
    alike, at 1 the ridge is that of automatic relevance determination, one over the squared importance.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    choice : CrossFit
        What came of cross-fitting.
    samples : Samples
        Rows that importances are taken over.

    Returns
    -------
    ndarray of shape (p,) or None
        The factors. None where all inputs stay alike: for classes, whose importances say too little of new rows; under
        a budget or constraints, which say themselves what inputs may do; of very many inputs.

    Notes
    -----
    MacKay (1994) and Neal (1996) have a ridge for each input, chosen by the evidence.
    """
    varying = ~samples.constant
    given = estimator.column_budget is not None or estimator.constraints is not None
    if given or not choice.members[0].targets.scale or samples.n_inputs > LARGEST_MATRIX:
        return None
    if samples.n_samples > _MOST_ROWS:
        samples = samples.rows(np.linspace(0, samples.n_samples - 1, _MOST_ROWS).astype(int))
    reachable = np.ones((samples.n_outputs, samples.n_inputs), dtype=bool)
    importances = input_importances(choice.rules, samples, reachable)
    if not importances.max(initial=0.0) > 0:
        return None
    factors = np.maximum((importances / importances.max()) ** _explained(choice), _LEAST)
    return factors / np.sqrt(np.mean(factors[varying] ** 2))


def _explained(choice):
    """Return the share of the variance, between 0 and 1, that held-out predictions explain."""
    judge = choice.members[0]
    rows = np.flatnonzero(np.isfinite(choice.predictions).all(axis=1))
    Y, weights = judge.targets.Y[rows], judge.targets.row_weights[rows]
    constant = judge.loss(np.broadcast_to(np.average(Y, axis=0, weights=weights), Y.shape), rows)
    return max(1.0 - judge.loss(choice.predictions[rows], rows) / constant, 0.0) if constant > 0 else 0.0


def with_relevance(estimator, task, factors):
    """Return a :class:`TrainingTask` whose scaled inputs are multiplied by factors.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    task : TrainingTask
        The task.
    factors : ndarray of shape (p,) or None
        The factors; None for ones.

    Returns
    -------
    TrainingTask
        The task, with all that is said about weights in its units.
    """
    if factors is None:
        return task
    held_out = None if task.held_out is None else task.held_out.rescaled(factors)
    rescaled = estimator._task_over(task.objective.samples.rescaled(factors), task.objective.direct_ridge)
    return replace(rescaled, held_out=held_out, random_state=task.random_state)
