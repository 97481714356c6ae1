"""``fdr=``: inputs beside their knockoffs on joint paths, and which of them stand out far enough."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skimplicit.selection.knockoffs import knockoff_columns, knockoff_threshold
from skimplicit.selection.selected import Selected

__all__ = ["beside_knockoffs", "check_fdr_data", "check_fdr_parameters"]

# Joint paths from different starts, whose mean decides: of 15 true inputs of 50 (twelve sets of 500 rows, fdr=.1), five
# find .83 and three find .79 (other sets), and .81 and .86 where inputs are correlated.
_N_STARTS = 5
# Shares are those of the squared norms: 5 % more power there than by the norms, 10 to 25 % where inputs are correlated.
_POWER = 2
# What speaks of held-out samples, of which there are none here, or of the number, which is found: name and default.
_WITHOUT_EFFECT = {"n_features_to_select": None, "scoring": None, "rule": "best", "cv": None}


def check_fdr_parameters(selector, estimator, metadata):
    """Refuse what would have no effect with ``fdr``, or would make its promise void.

    Parameters
    ----------
    selector : ImplicitFeatureSelector
        The selector, with an ``fdr``.
    estimator : ImplicitRegressor or ImplicitClassifier
        Its estimator.
    metadata : dict
        What ``fit`` was given for the splitter.

    Raises
    ------
    ValueError
        If the number of inputs or the scoring of held-out samples is given too, or the estimator has constraints.
    """
    for name, default in _WITHOUT_EFFECT.items():
        value = getattr(selector, name)
        if not (value is None or isinstance(value, (str, Integral))) or value != default:
            raise ValueError(
                f"fdr={selector.fdr!r} finds the number of inputs beside knockoffs, without held-out samples, so that "
                f"{name} would have no effect: leave {name}={default!r}, or fdr=None."
            )
    if metadata:
        raise ValueError(f"fdr takes rows as independent and makes no folds, got {', '.join(sorted(metadata))}.")
    if estimator.constraints is not None:
        raise ValueError("fdr compares inputs with knockoffs, of which the constraints of its estimator say nothing.")


def check_fdr_data(fdr, data, n_units):
    """Refuse data of which no selection at a level ``fdr`` can come.

    Parameters
    ----------
    fdr : float
        The level.
    data : SelectionData
        The data.
    n_units : int
        Number of inputs (of groups).

    Raises
    ------
    ValueError
        If X is sparse, there are no more rows than inputs, or fewer inputs than ``1 / fdr``.
    """
    if sparse.issparse(data.X):
        raise ValueError("fdr draws knockoffs, which are dense: X must not be sparse; give X.toarray().")
    if data.n_counted <= data.X.shape[1]:
        raise ValueError(
            f"fdr needs more samples than inputs, to know the covariance that knockoffs must have, got "
            f"n_samples={data.n_counted} (with a weight) and n_features={data.X.shape[1]}."
        )
    least = int(np.ceil(1.0 / fdr - 1e-9))
    if n_units < least:
        raise ValueError(
            f"fdr={fdr!r} can only be held with {least} selected inputs or more (one wrong input in {least}), got "
            f"{n_units} inputs (or groups) in all: raise fdr, or give n_features_to_select."
        )


def beside_knockoffs(search, fdr, context):
    """Follow joint paths over inputs and their knockoffs, and find who stands out.

    Parameters
    ----------
    search : SubsetSearch
        The search over the inputs.
    fdr : float
        Expected share of wrong inputs among those selected.
    context : CallbackContext
        Task of the fit. A callback that stops a path ends the round: then fewer paths decide.

    Returns
    -------
    Selected
        The selection, with statistics and threshold; its rankings are those of the single paths.
    """
    random_state = check_random_state(search.estimator.random_state)
    made = knockoff_columns(search.data.X, search.data.targets.weights, search.labels, random_state)
    joint = search.beside(made)
    paths = joint.scout_paths([None] * _N_STARTS, context)
    shares = np.array([joint.unit_shares([path], _POWER) for path in paths])
    statistics = _signed_maxima(shares.mean(axis=0))
    threshold = knockoff_threshold(statistics, fdr)
    size = int(np.sum(statistics >= threshold))
    rankings = list(np.argsort(-_signed_maxima(shares), axis=1, kind="stable"))
    ranking = np.argsort(-statistics, kind="stable")
    return Selected(ranking, rankings, size, size, statistics=statistics, threshold=threshold)


def _signed_maxima(shares):
    """Return ``sign(a - b) max(a, b)`` for shares (..., 2 n_units) of inputs, a, and of their knockoffs, b."""
    own, other = np.split(shares, 2, axis=-1)
    return np.sign(own - other) * np.maximum(own, other)
