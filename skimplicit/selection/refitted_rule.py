"""What a fitted selector can do because its refitted rule can."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators import ImplicitRegressor
from skimplicit.estimators.lazy_columns import check_lazy_columns, check_lazy_output
from skimplicit.estimators.predicting import by_rows
from skimplicit.estimators.validation import validate_named
from skimplicit.linalg import MatrixLike
from skimplicit.rows import is_lazy
from skimplicit.selection.selection_rows import selected_columns
from skimplicit.selection.target_kind import natural_type

__all__ = ["RefittedRuleMixin"]


_DOCSTRING = """Return the {what} of the refitted rule.

Parameters
----------
X : {{array-like, sparse matrix, Dask collection}} of shape (n_samples, n_features)
    All inputs; the selected ones are used.

Returns
-------
ndarray of shape {shape}
    {result} Of a Dask collection a lazy Dask array.
"""


def _offered(name):
    """Offer a method when the refitted estimator (before ``fit``: the estimator) has it."""

    def check(self):
        getattr(self._rule_estimator, name)
        return True

    return available_if(check)


def _delegated(name, what, shape, result):
    """Return the method of this name that asks the refitted estimator."""

    def method(self, X: MatrixLike) -> np.ndarray:
        check_is_fitted(self)
        function = getattr(self.estimator_, name)
        return function(self._selected(X)) if is_lazy(X) else by_rows(self._selected, X, function)

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
        if is_lazy(X):
            check_lazy_columns(self, X)
        else:
            X = validate_named(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
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
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
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
        check_is_fitted(self)
        # By the predictions of the selector, which takes the selected inputs of some rows at a time.
        y = y if is_lazy(y) else natural_type(y)  # as ``fit`` takes them
        return type(self._rule_estimator).score(self, X, y, sample_weight)

    def transform(self, X: MatrixLike) -> Any:
        """Return the selected inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            All inputs.

        Returns
        -------
        {array, sparse matrix} of shape (n_samples, k)
            The k selected ones; of a Dask collection a lazy Dask array.
        """
        if not is_lazy(X):
            return super().transform(X)  # type: ignore[misc]  # that of SelectorMixin, which comes next
        check_is_fitted(self)
        check_lazy_output(self)
        return self._selected(X)

    @property
    def classes_(self):
        """Classes of the refitted classifier."""
        return self.estimator_.classes_
