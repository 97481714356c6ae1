"""``rule="all_relevant"``: inputs that stand out from permuted copies of all inputs, on joint paths."""

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

__all__ = ["STANDS_OUT", "check_rule", "shares_above_copies"]

#: Share of the joint paths on which an input that is selected stands out: ``benchmarks/README.md``, "Permuted copies".
STANDS_OUT = 0.7
# How often copies are drawn, with a joint path on each fold every time.
_DRAWS = 2
# Copies there are at least: the largest of few is a low bar.
_FEWEST_COPIES = 20
# Ridge of a joint path, tenfold that of a path which starts a refit. Here the order alone counts: the chance that a
# column comes before a permuted one is .99 for .85 (autompg), .97 for .83 (segment), 1.00 for .97 (concrete).
_ALPHA = 3e-2


def check_rule(selector, search):
    """Refuse what cannot be compared with permuted copies, or would not be.

    Parameters
    ----------
    selector : ImplicitFeatureSelector
        The selector, with its rule.
    search : SubsetSearch
        The search over the inputs.

    Raises
    ------
    ValueError
        If the rule asks for copies, and there are not more rows than inputs and copies, the number of inputs is given,
        or the estimator has constraints.
    """
    if selector.rule != "all_relevant":
        return
    if selector.n_features_to_select is not None:
        raise ValueError("rule='all_relevant' finds the number of inputs: leave n_features_to_select=None.")
    if search.n_units == 1:
        return
    p = search.data.X.shape[1]
    n_columns = p * (1 + _copies_of_each(p))
    if search.data.n_counted <= n_columns:
        raise ValueError(
            f"rule='all_relevant' needs more samples than inputs and their permuted copies, got "
            f"n_samples={search.data.n_counted} (with a weight) and {n_columns} of these (n_features={p}): take 'best'."
        )
    if search.estimator.constraints is not None:
        raise ValueError(
            "rule='all_relevant' compares inputs with permuted copies, of which the constraints of its estimator say "
            "nothing: take 'best'."
        )


def shares_above_copies(search, folds, context):
    """Return on what share of joint paths each input has a larger mean share than any permuted copy.

    A copy of all inputs with its rows in another order keeps how they stand to one another and loses the targets.

    Parameters
    ----------
    search : SubsetSearch
        The search over the inputs.
    folds : list of tuple of ndarray
        Training and held-out rows.
    context : CallbackContext
        Task of the fit. A callback that stops a path ends the draw; a path that is missing counts for no input.

    Returns
    -------
    ndarray of shape (n_units,)
        The shares.
    """
    random_state, n_units, above = check_random_state(search.estimator.random_state), search.n_units, []
    for _ in range(_DRAWS):
        joint = search.beside(_copies(search.data, random_state), path_alpha=_ALPHA)
        for path in joint.scout_paths([train for train, _ in folds], context):
            shares = joint.unit_shares([path])
            above.append(shares[:n_units] > shares[n_units:].max())
    return np.sum(above, axis=0) / (_DRAWS * len(folds))


def _copies_of_each(n_inputs):
    return int(np.ceil(_FEWEST_COPIES / n_inputs))


def _copies(data, random_state):
    """Return the inputs with the rows that count in other orders, side by side."""
    X, counted, copies = data.X, data.counted, []
    for _ in range(_copies_of_each(X.shape[1])):
        order = np.arange(X.shape[0])
        order[counted] = random_state.permutation(counted)
        copies.append(X[order])
    return sparse.hstack(copies, format="csr") if sparse.issparse(X) else np.hstack(copies)
