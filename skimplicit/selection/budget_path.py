"""implicit_path: rules for ever smaller column budgets, from a dense one to one with no input left."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state

from skimplicit.estimators import ImplicitRegressor
from skimplicit.estimators.lazy_rows import open_given_rows
from skimplicit.estimators.methods import get_method
from skimplicit.linalg import MatrixLike, checked_array
from skimplicit.projections import ColumnBudget
from skimplicit.selection.groups import check_groups
from skimplicit.selection.path import ImplicitPath
from skimplicit.selection.target_kind import check_estimator, check_n_hidden
from skimplicit.training import BlockCoordinateDescent, Stage
from skimplicit.training.continuation import alpha_schedule, falling_budgets, random_weights

__all__ = ["check_budgets", "follow_path", "implicit_path", "path_method"]

# Iterations of the dense rule and at each budget: enough to rank the inputs, which is what a path is for. Measured in
# ``benchmarks/README.md``, "Constants of a fit".
_DENSE_ITER, _BUDGET_ITER = 30, 5
# Tolerance of the states of a readout for many rows, those of the rules that are trained on them.
_READOUT_TOL = 1e-5
# Relative decrease of J that ends a stage early.
_TOL = 1e-3
# Ridge of the path. It starts flexible: alpha / k^2 grows along the path by itself.
_ALPHA = 3e-3
# The path starts with kinks inside the data: B is larger than for a fit by this factor. An input without a linear trace
# (a square) whose column is small at the start can die before it is noticed. Of 18 paths on 640 rows of Friedman 1 with
# 40 noise inputs, 2 rank a true input below noise with this start and ridge, 5 with those of a fit and .01.
_START_SPREAD = 4.0
# Parameters of a fit that a path has no use for.
_WITHOUT_EFFECT = {"clip", "column_budget", "cv", "max_iter", "n_init", "n_members", "tol", "verbose", "warm_start"}


def implicit_path(
    X: MatrixLike,
    y: ArrayLike,
    *,
    column_budgets: int | ArrayLike | None = None,
    alpha: float = _ALPHA,
    groups: ArrayLike | None = None,
    estimator: Any = None,
    sample_weight: ArrayLike | None = None,
    **parameters: Any,
) -> ImplicitPath:
    """Train rules for ever smaller budgets: ``min J(A, B, C, c), ||A||_inf <= kappa, sum_j max_i |B_ij| <= k``.

    The path goes from dense to sparse. Each budget starts from the rule of the budget before, with (B, b) shrunk and C
    grown, which for a positively homogeneous activation leaves the rule unchanged.

    Parameters
    ----------
    X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
        Inputs; standardise them if the budget should treat all alike, as a selector does by itself. With more than
        40,000 rows the path is trained on 4,000 of them (10,000 for classes); the readouts of its rules are then fitted
        to all rows, and ``train_scores`` are over all rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    column_budgets : int, array-like of positive floats, or None
        The budgets, or their number (None for 20), spaced geometrically from what the dense rule uses down to where
        almost nothing of the targets is explained.
    alpha : float
        Ridge, positive. The budget acts together with it, through ``alpha / k^2``.
    groups : array-like of shape (n_features,), dict, list of lists, or None
        Inputs that share one place in the budget and live and die together (one-hot columns): a label for each input,
        or the names or positions of the columns of each group; see :class:`ImplicitFeatureSelector`.
    estimator : ImplicitRegressor, ImplicitClassifier or None
        Gives all other parameters of the rule and of training, its ``alpha`` none; None for ``ImplicitRegressor()``.
        It has neither a ``column_budget`` nor ``direct=True``.
    sample_weight : array-like of shape (n_samples,) or None
        Weights of the samples.
    **parameters
        Parameters to set on the estimator, for instance ``n_hidden=10`` or ``random_state=0``. Those of a single fit
        (``max_iter``, ``tol``, ``n_init``, ``n_members``, ``cv``, ``clip``, ``warm_start``, ``verbose``,
        ``column_budget``) are refused: a path has a schedule of its own, and rules that predict as they are. So is
        ``n_hidden="auto"``: all rules of a path have one number of states.

    Returns
    -------
    ImplicitPath
        Budgets, column norms, rules and training scores.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from skimplicit import implicit_path
    >>> X, y = make_friedman1(200, n_features=7, random_state=0)
    >>> path = implicit_path(X, y, column_budgets=10, n_hidden=10, random_state=0)
    >>> sorted(path.shares.argsort()[-5:].tolist())
    [0, 1, 2, 3, 4]
    """
    ignored = sorted(_WITHOUT_EFFECT & parameters.keys())
    if ignored:
        raise ValueError(f"{', '.join(ignored)} would have no effect on a path, which has a schedule of its own.")
    if not isinstance(alpha, Real):
        raise TypeError(f"alpha must be a number: a path goes through budgets at one ridge, got {alpha!r}.")
    model = clone(ImplicitRegressor() if estimator is None else check_estimator(estimator))
    if model.column_budget is not None:
        raise ValueError(
            f"estimator has column_budget={model.column_budget!r}; it must be None: the budgets are column_budgets."
        )
    model.set_params(**{**parameters, "alpha": alpha, "column_budget": 1.0})
    check_n_hidden(model)
    model._validate_params()
    column_budgets = check_budgets(column_budgets)
    chosen = model._check_choices()  # refuses direct=True
    model.set_params(direct=False)  # of the dense rule too, which has no budget
    rows = open_given_rows(model, chosen, X, y, sample_weight)
    names = getattr(model, "feature_names_in_", None)
    groups = check_groups(groups, rows.X.shape[1], names)
    data = rows.given if rows.store is None else rows.drawn(model)
    path, _, _ = follow_path(model, data, rows.targets, column_budgets, groups)
    if rows.store is not None:
        path = _read_out(rows.task(model, groups=groups).objective, float(alpha), path)
    return replace(path, feature_names_in_=names)


@with_callbacks
def follow_path(model, data, targets, column_budgets, groups, X=None, twins=False, units=None):
    """Train rules for ever smaller budgets on data that have been validated.

    Parameters
    ----------
    model : ImplicitRegressor or ImplicitClassifier
        Unfitted, with the ridge of the path and without a direct term.
    data : tuple of array-like
        X, y and the weights of the samples or None, as callbacks get them.
    targets : EncodedTargets
        Targets and weights as training takes them.
    column_budgets : int or ndarray
        Budgets, or their number.
    groups : ndarray of int of shape (p,) or None
        Groups of inputs.
    X : array-like or None
        Inputs of all targets, when they are more than those in ``data``.
    twins : bool
        Whether the second half of the inputs are twins of the first, to be compared with them: the columns of B of two
        twins start alike, so that nothing but the data tells them apart.
    units : ndarray of shape (p,) or None
        What inputs are divided by where a budget compares them; None for as given. Budgets and column norms are those
        of B in these units, the rules those for inputs as given.

    Returns
    -------
    path : ImplicitPath
        The path, up to where a callback asked to stop; at least its first budget.
    bias : ndarray of shape (n,)
        b of its dense rule where all inputs have a mean of zero, as in training.
    stop : bool
        Whether a callback asks to stop what the path is a part of.
    """
    # In units of their own, the columns of a group need no scale in common.
    task = model._make_task(data[0] if X is None else X, targets, groups if units is None else None)
    method, objective, alpha = path_method(model), task.objective, float(model.alpha)
    weights, units = _weights_and_units(objective.samples, groups, units)
    budget = ColumnBudget(np.inf, weights, groups)
    most = column_budgets if isinstance(column_budgets, Integral) else column_budgets.size
    bridge = model._open_bridge(targets, data, _DENSE_ITER + _BUDGET_ITER * most)
    W, b = random_weights(model.n_hidden, objective.samples, task.constraints, check_random_state(model.random_state))
    W[:, model.n_hidden :] *= _START_SPREAD
    if twins:
        own, other = np.split(W[:, model.n_hidden :], 2, axis=1)
        other[:] = own
    dense = method.train(task, alpha_schedule(alpha, _DENSE_ITER, _TOL), W, b, bridge.over(objective))
    start = dense.evaluation.point
    if isinstance(column_budgets, Integral):
        column_budgets = falling_budgets(dense.evaluation, budget, column_budgets)
    iterations = 0 if dense.stopped else _BUDGET_ITER
    stages = [Stage(alpha, replace(budget, bound=float(bound)), iterations, _TOL) for bound in column_budgets]
    course = method.train(task, stages[:1] if dense.stopped else stages, start.W, start.b, bridge.over(objective))
    stop = bridge.close([objective.rule(course.evaluation.point)])
    return _path_of(objective, start, course, groups, units), start.b, stop


def _weights_and_units(samples, groups, units):
    """Return the weights of a budget on B of the scaled inputs, (p,) or (n_groups,), and the units that they stand for.

    A group has one weight: of its columns, whose scales in some of the rows are not quite the units, the mean.
    """
    if units is None:
        return samples.budget_weights(groups), 1.0
    weights = np.where(samples.constant, 1.0, units / samples.U_scale)
    if groups is None:
        return weights, weights * samples.U_scale
    means = np.bincount(groups, weights) / np.bincount(groups)
    return means, means[groups] * samples.U_scale


def path_method(model):
    """Return the training method of a model on a path and in what is compared with it.

    Parameters
    ----------
    model : ImplicitEstimator
        The model.

    Returns
    -------
    TrainingMethod
        Its own; for block coordinate descent, with the matching block, for which the numbers of iterations were chosen.
    """
    method = get_method(model.method)
    if isinstance(method, BlockCoordinateDescent) and method.block == "auto":
        return BlockCoordinateDescent(block="matching")
    return method


def _read_out(objective, alpha, path):
    """Return a path over some rows with the readouts that are best for all, those of an objective, and scores there."""
    rules, losses = [], []
    for rule in (path.dense_rule, *path.rules):
        end = objective.evaluate(*objective.weights_of(rule), alpha, tol=_READOUT_TOL)
        rules.append(objective.rule(end.point))
        losses.append(end.loss)
    scores = _scores(losses[1:], objective.null_loss)
    return replace(path, dense_rule=rules[0], rules=tuple(rules[1:]), train_scores=scores)


def _scores(losses, null_loss):
    """Return the shares of the loss of a constant that are removed; targets are scaled: what is tiny is rounding."""
    return 1.0 - np.array(losses) / null_loss if null_loss > np.finfo(float).eps else np.zeros(len(losses))


def _path_of(objective, start, course, groups, units):
    """Return the :class:`ImplicitPath` of a course from the point of the dense rule, its norms in units of inputs."""
    rules = tuple(objective.rule(end.point) for end in course.ends)
    n_iter = np.bincount(course.stages, minlength=len(rules))
    return ImplicitPath(
        column_budgets=np.array([end.stage.column_budget.bound for end in course.ends]),
        column_norms=np.array([np.abs(rule.B).max(axis=0) for rule in rules]) * units,
        rules=rules,
        train_scores=_scores([end.loss for end in course.ends], objective.null_loss),
        converged=n_iter < _BUDGET_ITER,
        n_iter=n_iter,
        dense_rule=objective.rule(start),
        groups=groups,
    )


def check_budgets(column_budgets):
    """Return the number of budgets, or decreasing budgets.

    Parameters
    ----------
    column_budgets : int, array-like of positive floats, or None
        Budgets, or their number.

    Returns
    -------
    int or ndarray of shape (n_budgets,)
        The same.

    Raises
    ------
    ValueError
        If it is not a positive whole number or a list of positive finite ones.
    """
    if column_budgets is None:
        return 20
    if isinstance(column_budgets, Integral) and not isinstance(column_budgets, bool):
        if column_budgets < 1:
            raise ValueError(f"column_budgets as a number must be at least 1, got {column_budgets!r}.")
        return int(column_budgets)
    # 2.5 and True are neither
    budgets = np.empty(0) if isinstance(column_budgets, Real) else checked_array(column_budgets, "column_budgets", 1)
    if budgets.size == 0 or not np.all(budgets > 0):
        raise ValueError(
            f"column_budgets must be a number of budgets or a list of positive finite ones, got {column_budgets!r}."
        )
    return np.sort(budgets)[::-1]
