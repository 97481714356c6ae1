"""What targets are, where no estimator says it: numbers or classes; and the estimator for them."""

from numbers import Integral, Number

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skimplicit.estimators import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.lazy_rows import distinct_targets
from skimplicit.rows import is_lazy

__all__ = ["check_estimator", "check_n_hidden", "estimator_for", "holds_classes", "natural_type"]

# Integer targets with more distinct values than this are taken for numbers.
_MOST_CLASSES = 20


def estimator_for(y, estimator, seed):
    """Return a copy of the estimator that selects for some targets, with a number for its seed.

    Parameters
    ----------
    y : array-like or Dask collection
        Targets.
    estimator : ImplicitRegressor, ImplicitClassifier or None
        The estimator as given; None for the default one of such targets.
    seed : int
        Its seed where it has none of its own.

    Returns
    -------
    ImplicitRegressor or ImplicitClassifier
        The copy.

    Raises
    ------
    TypeError
        If it is anything else.
    ValueError
        If it has a column budget, or no number of states.
    """
    if estimator is not None:
        model = clone(check_estimator(estimator))
        if model.column_budget is not None:
            raise ValueError(
                f"estimator has column_budget={model.column_budget!r}; it must be None: the budgets of the path "
                "are column_budgets, and the rule of the selected inputs has none."
            )
        check_n_hidden(model)
    else:
        model = ImplicitClassifier() if holds_classes(y) else ImplicitRegressor()
    if model.random_state is None:
        return model.set_params(random_state=seed)
    if not isinstance(model.random_state, Integral):  # a stream would be used up in another order by side by side
        model.set_params(random_state=check_random_state(model.random_state).randint(np.iinfo(np.int32).max))
    return model


def check_estimator(estimator):
    """Return an estimator that a path can go by.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        The estimator.

    Returns
    -------
    ImplicitRegressor or ImplicitClassifier
        The same.

    Raises
    ------
    TypeError
        If it is anything else, or an estimator that chooses alpha: along a path alpha is one number.
    """
    if not isinstance(estimator, ImplicitEstimator) or isinstance(estimator, RidgePathMixin):
        name = type(estimator).__name__
        advice = ""
        if isinstance(estimator, type):
            name, advice = f"the class {estimator.__name__}", f" Give an instance, {estimator.__name__}()."
        elif isinstance(estimator, RidgePathMixin):
            advice = " To have alpha chosen, give one of these with alpha='auto'."
        elif hasattr(estimator, "steps"):
            advice = " Put the other steps of the pipeline before the selector."
        raise TypeError(f"estimator must be an ImplicitRegressor or ImplicitClassifier, got {name}.{advice}")
    return estimator


def check_n_hidden(model):
    """Refuse a number of states that a fit is to choose: rules that are compared have one.

    Parameters
    ----------
    model : ImplicitRegressor or ImplicitClassifier
        The estimator that a path goes by.

    Raises
    ------
    ValueError
        If ``n_hidden`` is ``"auto"``.
    """
    if model.n_hidden == "auto":
        raise ValueError(
            "n_hidden='auto' grows one rule after another until held-out rows gain no more; a path and a selection "
            "compare rules of one size: give the estimator a number for n_hidden."
        )


def natural_type(y):
    """Return targets of dtype object that are all numbers, or all booleans, as an array of these.

    Parameters
    ----------
    y : array-like
        Targets.

    Returns
    -------
    array-like
        The array of numbers or booleans; otherwise, and where 64 bits do not hold an integer, y as it is.
    """
    values = np.asarray(y)
    if values.dtype != object or values.size == 0:
        return y
    entries = values.ravel().tolist()
    if all(isinstance(entry, (bool, np.bool_)) for entry in entries):
        return values.astype(bool)
    if any(isinstance(entry, (bool, np.bool_)) or not isinstance(entry, Number) for entry in entries):
        return y
    if not all(isinstance(entry, Integral) for entry in entries):
        return values.astype(np.float64)
    largest = np.iinfo(np.int64).max  # of larger ones floats could make the same label
    return values.astype(np.int64) if max(map(abs, entries)) <= largest else y


def holds_classes(y):
    """Tell whether targets are labels: strings, booleans, or few distinct integers, in one column.

    Parameters
    ----------
    y : array-like or Dask collection
        Targets, in their :func:`natural_type` if they are in memory.

    Returns
    -------
    bool
        Whether they are.
    """
    values = np.asarray(natural_type(distinct_targets(y, _MOST_CLASSES + 1)) if is_lazy(y) else y)
    if values.ndim > 1 and values.shape[1] > 1:
        return False
    kind = values.dtype.kind
    if kind == "O" and all(isinstance(entry, Integral) for entry in values.ravel()):  # too large for 64 bits
        kind = "i"
    return kind in "OUSb" or (kind in "iu" and np.unique(values).size <= _MOST_CLASSES)
