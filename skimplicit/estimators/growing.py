"""``n_hidden="auto"``: rules of more and more states, as long as rows that were held out gain from them."""

from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_features

from skimplicit.estimators.automatic import told_by_held_out
from skimplicit.estimators.distinct_rows import DistinctRows
from skimplicit.estimators.folds import SplitOnce
from skimplicit.estimators.members import Averaged, stages_and_task, warn_interrupted
from skimplicit.estimators.relevance import with_relevance
from skimplicit.estimators.side_by_side import data_of, fit_as_task, take_over
from skimplicit.estimators.training_rows import TrainingRows

__all__ = ["Trained", "fit_growing"]

# Numbers of states, each tried while the one before has paid.
_SIZES = (5, 10, 20, 40, 80)
# Where there are too few rows to hold any out.
_WITHOUT_SCORES = 20
# Share of the held-out loss by which twice the states have to lower it to be worth another step.
_WORTHWHILE = 0.01
# Standard errors of the difference of two held-out losses, row by row, from which on they are told apart; measured in
# ``benchmarks/README.md``, "The number of states".
_TOLD_APART = 1.5
# What a warm start goes on from beside rules: what was chosen for them, and the columns that they belong to.
_CARRIED_ON = ("alpha_", "column_budget_", "_clip_margin", "_direct_ridge", "relevance_", "feature_names_in_")


@dataclass(frozen=True)
class Trained:
    """What a fit comes from, and does not keep.

    Parameters
    ----------
    rows : TrainingRows or None
        The rows; None where they are no longer needed.
    fitted : Averaged
        The members.
    held_out : dict
        The attributes that held-out rows tell.
    distinct : DistinctRows or None
        What members were cross-fitted on; None where nothing was held out.
    """

    rows: TrainingRows | None
    fitted: Averaged
    held_out: dict
    distinct: DistinctRows | None


def fit_growing(estimator, X, y, sample_weight, params):
    """Fit with the number of states that the held-out rows of ``alpha="auto"`` speak for.

    Every number is a fit of its own, with the ridge that suits it: the one that this number as ``n_hidden`` and the
    same integer as ``random_state`` give. Numbers double until the least held-out loss along the ridges no longer falls
    by a hundredth. The best fit is then averaged with those that the same rows do not tell from it.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator; gets the fitted attributes.
    X, y, sample_weight : array-like
        The data.
    params : dict
        Metadata for the splitter.

    Returns
    -------
    ImplicitEstimator
        The estimator.

    Raises
    ------
    ValueError
        If ``alpha`` is a number, so that nothing is held out, or ``structure`` says how many states there are.
    """
    _check(estimator)
    # A warm start goes on from the rules there are, without holding rows out: their number of states stays.
    rules = getattr(estimator, "rules_", None)
    warm = estimator.warm_start and bool(rules) and rules[0].n_inputs == _num_features(X)
    sizes = (estimator.rules_[0].n_hidden,) if warm else _SIZES
    kind = _own_class(estimator)
    given = _given_to_all(estimator, kind)
    context = estimator._init_callback_context(max_subtasks=len(sizes))
    data = data_of(X, y, sample_weight)
    context.call_on_fit_task_begin(estimator=estimator, **data)

    def fitted(n_hidden):
        """Return a fitted copy with so many states, its held-out loss, and whether to stop: a callback, or Ctrl-C."""
        model = _of_size(estimator, kind(**given, n_hidden=n_hidden), warm)
        name, everything = f"{n_hidden} states", (X, y, sample_weight)
        stop = fit_as_task(model, everything, params, owner=estimator, context=context, task_name=name, data=data)
        return model, _held_out_loss(model), stop or model._trained.fitted.interrupted

    best, least, stop = fitted(sizes[0])
    if least is None and not (warm or stop):
        best, least, _ = fitted(_WITHOUT_SCORES)
        stop = True
    tried = [best]
    for n_hidden in sizes[1:]:
        if stop:
            break
        try:
            model, loss, stop = fitted(n_hidden)
        except KeyboardInterrupt:  # before this number has a rule
            warn_interrupted(sum(each.n_iter_ for each in tried))
            break
        tried.append(model)
        stop |= not loss < (1.0 - _WORTHWHILE) * least
        if loss < least:
            best, least = model, loss
        _let_rows_go(each for each in tried if each is not best)
    if least is not None:
        _average_with_others(best, tried)
    del best._trained
    vars(estimator).pop("feature_names_in_", None)  # of a fit before, where inputs have no names now
    take_over(estimator, best)
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=lambda: vars(estimator).copy(), **data)
    return estimator


def _of_size(estimator, model, warm):
    """Return a copy of an estimator with its own number of states, ready for its fit; a warm one has its rules."""
    for name in _CARRIED_ON if warm else ():
        setattr(model, name, getattr(estimator, name, None))
    if warm:
        model.rules_ = [rule for rule in estimator.rules_ if rule.n_hidden == model.n_hidden]
    model._trained = None  # asks for it
    model._keeps_inputs = estimator._keeps_inputs
    return model


def _let_rows_go(models):
    """Let fits that are not the best have no rows: each may hold all of them once, as floats or on the workers."""
    for model in models:
        trained = model._trained
        model._trained = replace(trained, rows=None, fitted=replace(trained.fitted, task=None))


def _own_class(estimator):
    """Return the class of this package: a subclass may have other parameters, and a ``fit`` that does more once."""
    package = __name__.partition(".")[0]
    return next(kind for kind in type(estimator).__mro__ if kind.__module__.partition(".")[0] == package)


def _given_to_all(estimator, kind):
    """Return the parameters of the fits of all numbers of states, with one seed, and the same splits for all."""
    given = {name: getattr(estimator, name) for name in kind().get_params(deep=False) if name != "n_hidden"}
    if not isinstance(given["random_state"], Integral):
        given["random_state"] = check_random_state(given["random_state"]).randint(np.iinfo(np.int32).max)
    if hasattr(given["cv"], "split"):
        given["cv"] = SplitOnce(given["cv"])
    elif not (given["cv"] is None or isinstance(given["cv"], Integral)):
        given["cv"] = list(given["cv"])  # splits may be given once only, and every number takes them
    return given


def _check(estimator):
    if estimator.alpha != "auto":
        raise ValueError(f"n_hidden='auto' needs alpha='auto', which holds rows out, got alpha={estimator.alpha!r}.")
    if estimator.structure is not None:
        raise ValueError(f"n_hidden='auto' needs structure=None, got structure={estimator.structure!r}.")


def _average_with_others(best, tried):
    """Let a fitted estimator be the mean of itself and of all that held-out rows do not tell from it."""
    mine = best._trained
    if mine.fitted.choice.linear or len(mine.fitted.rules) == 1:
        return  # one rule was wanted, as under a budget, or none with states
    others = [model._trained for model in tried if model is not best and _is_level(model._trained, mine)]
    if not others:
        return
    fitted = _with_all_inputs(best, mine, mine.fitted.averaged_with([its.fitted for its in others]))
    covariances = [trained.held_out["_covariances"] for trained in (mine, *others)]
    held_out = {
        **told_by_held_out(best, fitted, mine.distinct, mine.rows),
        "_covariances": None if None in covariances else sum(covariances, ()),
    }
    best.relevance_ = fitted.relevance
    best._take(mine.rows, fitted, held_out)


def _with_all_inputs(best, mine, fitted):
    """Return members whose task knows all inputs that any of them uses: that of the best leaves out its own."""
    if fitted.relevance is None:
        return fitted
    _, task = stages_and_task(best, mine.distinct.U, mine.distinct.targets, mine.rows, len(mine.fitted.rules))
    return replace(fitted, task=with_relevance(best, task, fitted.relevance, fitted.choice.direct_ridge))


def _is_level(its, mine):
    """Tell whether one fit has as many members, of the same folds, and no loss that is clearly above another's."""
    choice, best = its.fitted.choice, mine.fitted.choice
    alike = not choice.linear and len(its.fitted.rules) == len(mine.fitted.rules) and choice.has_folds_of(best)
    return alike and choice.standard_errors_above(best) < _TOLD_APART


def _held_out_loss(model):
    """Return the least held-out loss along the ridges, of numbers as a share of their variance; None without one."""
    if model.heldout_scores_ is None:
        return None
    return float((0.0 if is_classifier(model) else 1.0) - np.max(model.heldout_scores_))
