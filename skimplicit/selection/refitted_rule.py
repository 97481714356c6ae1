"""What a fitted selector can do because its refitted rule can."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skimplicit.estimators import ImplicitRegressor
from skimplicit.linalg import MatrixLike

__all__ = ["RefittedRuleMixin", "selected_columns"]


_DOCSTRING = """Return the {what} of the refitted rule.

Parameters
----------
X : {{array-like, sparse matrix}} of shape (n_samples, n_features)
    All inputs; the selected ones are used.

Returns
-------
ndarray of shape {shape}
    {result}
"""


def selected_columns(X, support):
    """Return the selected columns; of none, a column of zeros, for which a rule is a constant.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (m, p)
        Inputs.
    support : ndarray of bool of shape (p,)
        The k selected ones.

    Returns
    -------
    ndarray or sparse matrix of shape (m, max(k, 1))
        Their columns.
    """
    if not support.any():
        return np.zeros((X.shape[0], 1))
    return _safe_indexing(X, np.flatnonzero(support), axis=1)


def _offered(name):
    """Offer a method when the refitted estimator (before ``fit``: the estimator) has it."""

    def check(self):
        getattr(self._rule_estimator, name)
        return True

    return available_if(check)


def _delegated(name, what, shape, result):
    """Return the method of this name that asks the refitted estimator."""

    def method(self, X: MatrixLike) -> np.ndarray:
        X = self._selected(X)
        return getattr(self.estimator_, name)(X)

    method.__name__, method.__qualname__ = name, f"RefittedRuleMixin.{name}"
    method.__doc__ = _DOCSTRING.format(what=what, shape=shape, result=result)
    return _offered(name)(method)


class RefittedRuleMixin:
    """Predictions and scores of ``estimator_`` for all inputs, of which it sees those in ``support_``."""

    @property
    def _rule_estimator(self):
        """The refitted estimator; before ``fit`` the one that is given, or else a regressor."""
        unfitted = ImplicitRegressor() if self.estimator is None else self.estimator
        return getattr(self, "estimator_", unfitted)

    def _selected(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return selected_columns(X, self.support_)

    predict = _delegated("predict", "predictions", "(n_samples,) or (n_samples, n_outputs)", "Predictions.")
    predict_proba = _delegated(
        "predict_proba", "class probabilities", "(n_samples, n_classes)", "Probabilities, in the order of ``classes_``."
    )
    predict_log_proba = _delegated(
        "predict_log_proba", "logarithms of the class probabilities", "(n_samples, n_classes)", "Logarithms."
    )
    decision_function = _delegated(
        "decision_function",
        "logits",
        "(n_samples,) or (n_samples, n_classes)",
        "Logits; for two classes that of the second.",
    )

    @_offered("score")
    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the refitted rule: R2, or accuracy for classes, whatever ``scoring`` chose the inputs by.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            All inputs; the selected ones are used.
        y : array-like
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples.

        Returns
        -------
        float
            The score.
        """
        X = self._selected(X)
        return self.estimator_.score(X, y, sample_weight)

    @property
    def classes_(self):
        """Classes of the refitted classifier."""
        return self.estimator_.classes_
