"""Where training starts, and how it is led from a loose problem to the wanted one.

A cold start at a large ridge or a small budget collapses to a nearly linear rule. Raising the ridge, then tightening
the budget, each in warm-started stages, does not.
"""

from dataclasses import replace

import numpy as np

from skimplicit.projections import project_rows_l1
from skimplicit.training.base import Stage

__all__ = ["alpha_schedule", "budget_schedule", "continuation", "falling_budgets", "last_budget", "random_weights"]

# All of these are measured in ``benchmarks/README.md``, "Constants of a fit": that there is a schedule matters, how
# fine it is matters little.

# Ridge of the first stage.
_FIRST_ALPHA = 1e-3
# Factor between the ridges of consecutive stages, and between consecutive budgets.
_ALPHA_FACTOR = 3.2
_BUDGET_FACTOR = 0.6
# Share of the iterations for the stages before the last.
_EARLY_SHARE = 0.6
# A stage before the last ends when J falls by less than this: it only has to lead the way.
_EARLY_TOL = 1e-3
# Share of the iterations for the dense fit when a budget follows.
_DENSE_SHARE = 0.4
# Share of the explained variance at which a path of budgets ends.
_END_SHARE = 0.02
# Random starts, for scaled inputs: share of kappa that the rows of A use, deviation of a row of B u, and that of b.
_START_A, _START_B, _START_INTERCEPT = 0.5, 0.5, 0.25


def continuation(alpha, column_budget, max_iter, tol, raise_alpha=True):
    """Return the schedule that raises the ridge to ``alpha`` and then tightens the budget.

    Parameters
    ----------
    alpha : float
        The wanted ridge.
    column_budget : ColumnBudget or None
        The wanted budget; None for no bound.
    max_iter : int
        Iterations of all stages together.
    tol : float
        Tolerance of the last stage.
    raise_alpha : bool
        Whether the ridge starts small; otherwise it is the wanted one from the start.

    Returns
    -------
    list
        Schedule for :meth:`~skimplicit.training.TrainingMethod.train`.
    """

    def dense(max_iter):
        return alpha_schedule(alpha, max_iter, tol) if raise_alpha else [Stage(alpha, None, max_iter, tol)]

    if column_budget is None:
        return dense(max_iter)
    if max_iter == 1:  # no iteration to spare for the way: the wanted problem alone
        return [Stage(alpha, column_budget, max_iter, tol)]
    dense_iter = max(int(_DENSE_SHARE * max_iter), 1)

    def tighten(evaluation):
        B = evaluation.point.W[:, evaluation.point.b.size :]
        return budget_schedule(alpha, column_budget.norm(B), column_budget, max_iter - dense_iter, tol)

    return [*dense(dense_iter), tighten]


def last_budget(evaluation, column_budget, share):
    """Return the budget at which almost nothing is left, judged from a dense rule.

    The states are shrunk until the best readout of them explains ``share`` of what it explains of the targets at full
    size; the budget is what the largest column uses of it then, since few columns are left at the end of a path.

    Parameters
    ----------
    evaluation : Evaluation
        The dense rule.
    column_budget : ColumnBudget
        Weights and groups of the budget; its bound is not used.
    share : float
        Share of the explained variance, in (0, 1).

    Returns
    -------
    float
        The budget.
    """
    variances, axes = np.linalg.eigh(evaluation.moments.XX)
    variances = np.maximum(variances, 0.0)
    signal = np.sum((axes.T @ evaluation.moments.XY) ** 2, axis=1)

    def explained(size):
        return np.sum(size**2 * signal / (size**2 * variances + evaluation.alpha))

    sizes = np.geomspace(1.0, 1e-6, 400)
    enough = np.array([explained(size) for size in sizes]) >= share * explained(1.0)
    size = sizes[np.flatnonzero(enough)[-1]]
    B = evaluation.point.W[:, evaluation.point.b.size :]
    return float(size * np.max(column_budget.weighted_norms(B), initial=0.0))


def falling_budgets(evaluation, column_budget, number):
    """Return budgets from what a dense rule uses down to where almost nothing is left, in equal factors.

    Parameters
    ----------
    evaluation : Evaluation
        The dense rule.
    column_budget : ColumnBudget
        Weights and groups of the budget; its bound is not used.
    number : int
        How many.

    Returns
    -------
    ndarray of shape (number,)
        The bounds. Of a rule without inputs no budget means anything, and these are any.
    """
    used = column_budget.norm(evaluation.point.W[:, evaluation.point.b.size :])
    end = last_budget(evaluation, column_budget, _END_SHARE)
    return np.geomspace(*((used, end) if 0 < end < used else (1.0, 1e-3)), number)


def random_weights(n_hidden, samples, constraints, random_state):
    """Draw ``W = [A B]`` and b for scaled inputs.

    Parameters
    ----------
    n_hidden : int
        Number n of states.
    samples : Samples
        The training set: its number p of inputs, and whether the rule has intercepts.
    constraints : Constraints
        Bound on the row sums of A, of which the draw uses half, entries that may be non-zero, signs and balls of rows.
    random_state : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    W : ndarray of shape (n, n + p)
        Weights.
    b : ndarray of shape (n,)
        Intercept; zeros without intercepts.
    """
    A = random_state.standard_normal((n_hidden, n_hidden)) / np.sqrt(n_hidden)
    if constraints.structure is not None:
        A = np.where(constraints.structure, A, 0.0)
    A = project_rows_l1(A, _START_A * constraints.kappa)
    # An input that is the same in all rows neither moves nor changes where the others start.
    varying = ~samples.given.constant
    n_varying = np.count_nonzero(varying)
    B = np.zeros((n_hidden, varying.size))
    B[:, varying] = random_state.standard_normal((n_hidden, n_varying)) * (_START_B / np.sqrt(max(n_varying, 1)))
    W = np.hstack([A, samples.of_given(B)])
    if constraints.row_set is not None:
        W = constraints.row_set.project(constraints.row_set.turned(W))
    b = _START_INTERCEPT * random_state.standard_normal(n_hidden)
    return W, b if samples.centre else np.zeros_like(b)


def alpha_schedule(alpha, max_iter, tol):
    """Return the stages that raise the ridge from a small value to ``alpha`` in equal factors.

    Parameters
    ----------
    alpha : float
        The wanted ridge.
    max_iter : int
        Iterations of all stages together.
    tol : float
        Tolerance of the last stage.

    Returns
    -------
    list of Stage
        The schedule; the last stage has the wanted alpha and at least its share of the iterations.
    """
    n_early = int(np.ceil(np.log(alpha / _FIRST_ALPHA) / np.log(_ALPHA_FACTOR))) if alpha > _FIRST_ALPHA else 0
    alphas = np.geomspace(_FIRST_ALPHA, alpha, n_early + 1)[:-1] if n_early else []
    return _stages([(a, None) for a in alphas], (alpha, None), max_iter, tol)


def budget_schedule(alpha, used, column_budget, max_iter, tol):
    """Return the stages that tighten the budget from what a dense rule uses to ``column_budget``.

    Parameters
    ----------
    alpha : float
        Ridge of every stage.
    used : float
        ``sum_j w_j max_i |B_ij|`` of the dense rule.
    column_budget : ColumnBudget
        The wanted budget.
    max_iter : int
        Iterations of all stages together.
    tol : float
        Tolerance of the last stage.

    Returns
    -------
    list of Stage
        The schedule.
    """
    ratio = column_budget.bound / used if used > 0 else 1.0
    n_early = int(np.ceil(np.log(ratio) / np.log(_BUDGET_FACTOR))) - 1 if ratio < 1 else 0
    budgets = used * np.geomspace(1.0, ratio, n_early + 2)[1:-1] if n_early > 0 else []
    early = [(alpha, replace(column_budget, bound=float(bound))) for bound in budgets]
    return _stages(early, (alpha, column_budget), max_iter, tol)


def _stages(early, last, max_iter, tol):
    each = int(_EARLY_SHARE * max_iter) // len(early) if early else 0
    # With fewer iterations than stages, the wanted problem alone is solved.
    stages = [Stage(alpha, budget, each, max(tol, _EARLY_TOL)) for alpha, budget in early] if each else []
    return [*stages, Stage(*last, max_iter - each * len(stages), tol)]
