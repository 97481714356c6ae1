"""Inputs that are the same in most rows, as the words of texts are: whether they are taken in units of their own."""

import numpy as np
from scipy import sparse

from skimplicit.estimators.cross_fit_choice import best_linear
from skimplicit.estimators.cross_fitting import WAY_DIRECT_RIDGE
from skimplicit.estimators.held_out_losses import held_out_predictions, standard_errors_above
from skimplicit.estimators.intervals import upper_quantile
from skimplicit.rows import measured_units

__all__ = ["in_units_of_rare_inputs", "rarity_factors"]

# Inputs of which at least half are rare, other than in most rows in at most this share of them; fewer inputs say little
# of whether it matters.
_RARE, _FEWEST_INPUTS = 0.1, 17
# By how many of its standard errors the held-out loss of a linear rule has to be lower with these units.
_CLEARLY = 1.0


def in_units_of_rare_inputs(estimator, members, X, weights, linear=None):
    """Return members with :func:`rarity_factors`, if a linear rule of them predicts rows that it has not seen better.

    Of both kinds of factors those count with which it predicts them best.

    Parameters
    ----------
    estimator : ImplicitEstimator
        The estimator.
    members : list of Member
        Members before they have a path, all inputs alike.
    X : ndarray or CSR matrix of shape (m, p)
        The inputs of all rows.
    weights : ndarray of shape (m,)
        Weights of the rows.
    linear : tuple or None
        The :func:`best_linear` of the members, if it is known.

    Returns
    -------
    members : list of Member
        The same, or others for them.
    factors : ndarray of shape (p,) or None
        The factors; None where inputs stay alike.
    linear : tuple or None
        The :func:`best_linear` of the members, if it is known.
    """
    if estimator.column_budget is not None or estimator.constraints is not None:
        return members, None, linear  # these say themselves what inputs may do
    candidates = rarity_factors(X, weights)
    if candidates is None:
        return members, None, linear
    linear = best_linear(members) if linear is None else linear
    if linear is None:
        return members, None, None
    of_rarity = (_rescaled(estimator, members, factors) for factors in candidates)
    best = min(of_rarity, key=lambda scaled: scaled[-1][-1])
    predictions = [held_out_predictions(members, kept) for _, _, kept, _ in (best[-1], linear)]
    clearly_better = standard_errors_above(members[0], *predictions) < -_CLEARLY
    return best if clearly_better else (members, None, linear)


def _rescaled(estimator, members, factors):
    """Return members with factors, the factors, and the :func:`best_linear` of these members."""
    others = [member.rescaled(estimator, factors, WAY_DIRECT_RIDGE) for member in members]
    return others, factors, best_linear(others)


def rarity_factors(X, weights):
    """Return the roots of shares of rows in which inputs are other than in most, and these by a frequency's inverse.

    In units of its deviation a word that is in one of a thousand texts is sixteen times as large there as one that is
    in every second text, and can explain as much with a sixteenth of the weight. With these factors the entries that
    are other than in most rows are of one size, as far as the inputs are. Those of rarer inputs may mean more: the
    second kind is the first times ``1 + log(1 / share)`` (inverse document frequency; Spaerck Jones, 1972).

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        The inputs.
    weights : ndarray of shape (m,)
        Weights of the rows.

    Returns
    -------
    ndarray of shape (2, p) or None
        Factors of both kinds, each divided by its root mean square, ones for an input that never varies; None unless
        half of the inputs that vary are rare.
    """
    if X.shape[1] < _FEWEST_INPUTS:
        return None
    rows = X, np.empty((X.shape[0], 0)), weights
    constant = measured_units(lambda f, *numbers: [f(*rows, *numbers)]).constant  # up to rounding too
    shares = np.where(constant, 0.0, _shares_other_than_most(X, weights / weights.sum()))
    varies = shares > 0
    if np.count_nonzero(varies) < _FEWEST_INPUTS or np.median(shares[varies]) > _RARE:
        return None
    shares = np.where(varies, np.minimum(shares, 0.5), 0.5)
    roots = np.sqrt(shares)
    factors = np.stack([roots, roots * (1.0 - np.log(shares))])
    factors /= np.sqrt(np.mean(factors[:, varies] ** 2, axis=1, keepdims=True))
    return np.where(varies, factors, 1.0)


def _shares_other_than_most(X, weights):
    """Return the shares of the rows in which inputs are not what they are in most rows, or not the median, (p,).

    Most rows are those with most of the weight: a weight of 2 is a row given twice.
    """
    if not sparse.issparse(X):
        return weights @ (X != upper_quantile(X.T, weights, 0.5))
    X = X.tocsc()
    shares = weights @ (X != 0)
    filled = 2 * shares >= 1.0
    shares[filled] = _shares_other_than_most(X[:, filled].toarray(), weights)
    return shares
