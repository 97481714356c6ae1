"""From cross-fitted members to the estimator's rule: the members trained on, on all rows, and averaged."""

import warnings
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from joblib import delayed
from sklearn.exceptions import ConvergenceWarning

from skimplicit.estimators.budget_choice import choose_budget
from skimplicit.estimators.budgets import budget_of
from skimplicit.estimators.clip_margin import with_clip_margin
from skimplicit.estimators.cross_fit_choice import cross_fit
from skimplicit.estimators.cross_fitting import Member
from skimplicit.estimators.fold_paths import Fold
from skimplicit.estimators.more_rows import opened_after, train_on_more
from skimplicit.estimators.parallel import in_threads
from skimplicit.estimators.rare_inputs import in_units_of_rare_inputs
from skimplicit.estimators.relevance import mean_relevance, with_relevance
from skimplicit.estimators.relevance_choice import choose_relevance
from skimplicit.estimators.thin_tasks import thin_task
from skimplicit.estimators.training_rows import LATER_ITER
from skimplicit.training import Stage

__all__ = ["Averaged", "averaged", "fit_members", "stages_and_task", "warn_interrupted"]

# Most iterations of a member on all rows, as a multiple of those at a ridge, and relative decrease of J that ends it.
_MORE, _TOL = 2, 1e-4
# Tolerance of the states of a rule that is stored.
_FINAL_TOL = 1e-11


@dataclass(frozen=True)
class Averaged:
    """Members trained on all rows.

    Parameters
    ----------
    rules : tuple of ImplicitRule
        The members; their mean is the rule.
    task : TrainingTask
        What they were trained for.
    objectives, stages : ndarray of shape (n_accepted,)
        The objective after each accepted iteration, member by member, the last one that of its end, and the number of
        the stage, which goes on counting from member to member.
    n_iter : int
        Iterations.
    choice : CrossFit or None
        What came of cross-fitting; None at a given ridge.
    alpha : float or None
        The ridge that was chosen; None at a given one.
    interrupted : bool
        Whether a KeyboardInterrupt ended training.
    relevance : ndarray of shape (p,) or None
        By what the last training multiplied scaled inputs; None for ones.
    scores : ndarray
        Scores of the first member on samples that its method has held out; empty without any.
    """

    rules: tuple
    task: object
    objectives: np.ndarray
    stages: np.ndarray
    n_iter: int
    choice: object = None
    alpha: float | None = None
    interrupted: bool = False
    relevance: np.ndarray | None = None
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))

    def averaged_with(self, others):
        """Return these and other members, cross-fitted on the same folds, with ridge and task of these."""
        together = (self, *others)
        return replace(
            self,
            rules=sum((each.rules for each in together), ()),
            objectives=np.concatenate([each.objectives for each in together]),
            stages=_counted_on([each.stages for each in together]),
            n_iter=sum(each.n_iter for each in together),
            choice=self.choice.averaged_with([other.choice for other in others]),
            relevance=mean_relevance([each.relevance for each in together]),
        )


def averaged(task, results, choice=None, alpha=None):
    """Return the :class:`Averaged` of training results.

    Parameters
    ----------
    task : TrainingTask
        What was trained for.
    results : list of TrainingResult
        The results, one for each member.
    choice : CrossFit or None
        What came of cross-fitting.
    alpha : float or None
        The ridge that was chosen.

    Returns
    -------
    Averaged
        The members.
    """
    results = [result.with_end() for result in results]
    return Averaged(
        rules=tuple(task.objective.rule(result.evaluation.point) for result in results),
        task=task,
        objectives=np.concatenate([result.objectives for result in results]),
        stages=_counted_on([result.stages for result in results]),
        n_iter=sum(result.n_iter for result in results) + (0 if choice is None else choice.n_iter),
        choice=choice,
        alpha=alpha,
        interrupted=any(result.interrupted for result in results),
        scores=results[0].scores,
    )


def _counted_on(stages):
    """Return numbers of stages one after another, each list counted on from the end of the one before."""
    firsts = np.cumsum([0, *(int(each.max(initial=-1)) + 1 for each in stages[:-1])])
    return np.concatenate([each + first for each, first in zip(stages, firsts, strict=True)])


def fit_members(estimator, method, X, targets, folds, n_members, seeds, bridge, rows):
    """Cross-fit members, choose the ridge and train the members on, on all rows.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, its choices checked.
    method : TrainingMethod
        How to train.
    X : ndarray or CSR matrix of shape (m, p)
        The rows.
    targets : EncodedTargets
        Their targets and weights.
    folds : list of tuple of ndarray
        Training and held-out rows.
    n_members : int
        Rules to average; more members than folds share folds, from other starts.
    seeds : ndarray of int of shape (max(n_members, n_folds),)
        Seeds of the starting weights.
    bridge : CallbackBridge
        Reports every iteration.
    rows : TrainingRows
        Where all rows are, if X has only those to look at first.

    Returns
    -------
    Averaged
        The members.
    """
    members = [
        Member(estimator, method, X, targets, Fold(*folds[k % len(folds)], int(seed))) for k, seed in enumerate(seeds)
    ]
    jobs_on_few = rows.jobs_on_few(estimator, n_members)
    members, estimator._clip_margin, linear = with_clip_margin(estimator, members)
    members, rarity, linear = in_units_of_rare_inputs(estimator, members, X, targets.row_weights, linear)
    choice = cross_fit(members, jobs_on_few, bridge, linear)
    if estimator.column_budget == "auto":
        choice = choose_budget(choice, jobs_on_few, bridge)
        estimator.column_budget_ = choice.column_budget
    (later, task), cut = opened_after(partial(stages_and_task, estimator, X, targets, rows, n_members))
    choice = replace(choice, interrupted=choice.interrupted or cut)
    judged, relevance = rows.judged(task.objective.samples), None
    try:
        choice, relevance = choose_relevance(estimator, choice, judged, jobs_on_few, bridge)
    except KeyboardInterrupt:  # while importances are taken
        choice = replace(choice, interrupted=True)
    if choice.interrupted:
        warn_interrupted(choice.n_iter)
    as_cross_fitted = not later and _differ_for_good(choice, relevance, task.objective.samples, n_members)
    if as_cross_fitted:
        relevance = mean_relevance([member.relevance for member in choice.members])
    relevance = rarity if relevance is None else relevance

    def as_chosen(task):
        return with_relevance(estimator, task, relevance, choice.direct_ridge)

    later = later and [replace(each, task=as_chosen(each.task)) for each in later]
    task = later[-1].task if later else as_chosen(task)
    if as_cross_fitted:
        ends = zip(choice.members, choice.points, strict=True)
        fitted = _as_they_are(task, choice, [(member.task, point.W, point.b) for member, point in ends])
    else:
        # Rules, and who goes on from the task, know all inputs.
        trained = task if later else thin_task(estimator, task)
        fitted = _train_on(estimator, method, trained, later, choice, n_members, bridge, rows)
    return replace(fitted, task=task, relevance=relevance)


def _differ_for_good(choice, relevance, samples, n_members):
    """Tell whether members with ridges of their own stay as cross-fitting left them: of more inputs than rows.

    Each goes through nearly all of its own targets. One relevance for all rows would make all of them the same such
    rule, and the mean would be no better than one (measured in ``benchmarks/README.md``, "Inputs left out").
    """
    have_ridges = relevance is not None and relevance.all() and not choice.linear
    are_all = len(choice.members) == n_members > 1 and _see_all_others(choice.members)
    return have_ridges and are_all and samples.of_varying().is_wide


def _see_all_others(members):
    """Tell whether members see all rows but those they hold out, and together all: of a series none sees the end."""
    folds, n_rows = [member.fold for member in members], members[0].targets.Y.shape[0]

    def n_in(*parts):
        return np.unique(np.concatenate(parts)).size

    whole = all(n_in(fold.train, fold.test) == n_rows for fold in folds)
    return whole and n_in(*(fold.train for fold in folds)) == n_rows


def _train_on(estimator, method, task, later, choice, n_members, bridge, rows):
    """Return the :class:`Averaged` of members that are trained on, on all rows, from where cross-fitting ended."""
    n, p = estimator.n_hidden, task.objective.samples.n_inputs
    if choice.linear:
        return _as_they_are(task, choice, [(task, np.zeros((n, n + p)), np.zeros(n))], choice.interrupted)
    budget = budget_of(estimator, task.objective.samples)
    n_iter = min(_MORE * method.path_iterations(n, task)[1], estimator.max_iter)

    def train_on(rule):
        if later:
            return train_on_more(estimator, method, later, rule, choice.alpha, chosen=True, bridge=bridge)
        start, stage = task.objective.weights_of(rule), Stage(choice.alpha, budget, n_iter, _TOL)
        return method.train(task, [stage], *start, bridge.over(task.objective))

    pairs = list(zip(choice.members, choice.points, strict=True))[:n_members]
    members = [member.task.objective.rule(point) for member, point in pairs]
    starts = [(task, *task.objective.weights_of(rule)) for rule in members]
    if choice.interrupted:
        return _as_they_are(task, choice, starts, interrupted=True)
    try:
        calls = [delayed(train_on)(rule) for rule in members]
        results = in_threads(calls, rows.jobs(estimator, len(members)), bridge)
    except KeyboardInterrupt:
        warn_interrupted(choice.n_iter)
        return _as_they_are(task, choice, starts, interrupted=True)
    return averaged(task, results, choice, results[0].evaluation.alpha)


def stages_and_task(estimator, X, targets, rows, n_members):
    """Return what members are trained for on all rows, all inputs alike.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator, its choices checked.
    X : ndarray or CSR matrix of shape (m, p)
        The rows.
    targets : EncodedTargets
        Their targets and weights.
    rows : TrainingRows
        Where all rows are, if X has only those to look at first.
    n_members : int
        Rules to average.

    Returns
    -------
    later : list or None
        The stages from few rows to all, where X has only those to look at first.
    task : TrainingTask
        The task on all rows.
    """
    if not rows.store:
        return None, estimator._make_task(X, targets)
    later = rows.later_stages(estimator, min(LATER_ITER, estimator.max_iter), n_members)
    return later, later[-1].task


def _as_they_are(task, choice, members, interrupted=False):
    """Return the :class:`Averaged` of members with states that stay as they are, and the best readout for some rows.

    Each member is a tuple of the task with its rows, W and b.
    """
    ends = [own.objective.evaluate(W, b, choice.alpha, tol=_FINAL_TOL) for own, W, b in members]
    rules = tuple(own.objective.rule(end.point) for (own, *_), end in zip(members, ends, strict=True))
    return Averaged(
        rules=rules,
        task=task,
        objectives=np.array([end.objective for end in ends]),
        stages=np.arange(len(ends)),
        n_iter=choice.n_iter,
        choice=choice,
        alpha=choice.alpha,
        interrupted=interrupted,
    )


def warn_interrupted(n_iter):
    """Warn that an interrupt ended training.

    Parameters
    ----------
    n_iter : int
        Iterations of all members.
    """
    warnings.warn(
        f"Training was interrupted after {n_iter} iterations of the members. The best rule so far is kept.",
        ConvergenceWarning,
        stacklevel=2,
    )
