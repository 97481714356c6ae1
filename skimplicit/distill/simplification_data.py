"""What ``simplify`` is given, checked before any work, and the rows that it holds out."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators import ImplicitClassifier, ImplicitRegressor
from skimplicit.linalg import MatrixLike

__all__ = ["SimplificationData", "open_data"]


@dataclass(frozen=True)
class SimplificationData:
    """Rows that have been validated, some of which are held out.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (m, p)
        Inputs.
    y : ndarray
        Targets.
    train, test : ndarray of int
        The rows to train on and those that are held out.
    folds : object
        ``cv`` of a fit to the rows to train on.
    """

    X: MatrixLike
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray
    folds: Any

    @property
    def part(self):
        """X and y of the rows to train on."""
        return self.X[self.train], self.y[self.train]

    @property
    def held_out(self):
        """X and y of the rows that are held out."""
        return self.X[self.test], self.y[self.test]


def open_data(estimator, X, y, tolerance, test_size, random_state):
    """Check the arguments of ``simplify`` and return the :class:`SimplificationData`.

    Parameters
    ----------
    estimator, X, y, tolerance, test_size : object
        As for :func:`~skimplicit.distill.simplify`.
    random_state : RandomState instance
        Source of the rows that are held out.

    Returns
    -------
    SimplificationData
        The rows.

    Raises
    ------
    TypeError
        If the estimator is of another type.
    ValueError
        If an argument is not as it should be; the message names it.
    """
    _check_estimator(estimator)
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number of at least 0, got {tolerance!r}.")
    if isinstance(test_size, bool) or not isinstance(test_size, Real) or not 0 < test_size < 1:
        raise ValueError(f"test_size must be a number in (0, 1), got {test_size!r}.")
    X, y = estimator._validate_data(X, y, reset=False)
    _check_targets(estimator, y)
    train, test = _split(y, is_classifier(estimator), test_size, random_state)
    return SimplificationData(X, y, train, test, _folds_of_others(estimator, X, y, train))


def _check_estimator(estimator):
    if type(estimator) not in (ImplicitRegressor, ImplicitClassifier):
        raise TypeError(
            f"estimator must be an ImplicitRegressor or ImplicitClassifier, got {type(estimator).__name__}."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ValueError("estimator must be fitted.") from error
    unheeded = ("structure", "constraints", "monotonic_cst", "lipschitz", "column_budget")
    given = [name for name in unheeded if getattr(estimator, name) is not None]
    if given:
        raise ValueError(f"simplify does not heed {', '.join(given)}; fit an estimator without.")


def _check_targets(estimator, y):
    """Refuse targets that are not those of the estimator."""
    targets = estimator._encode_targets(y, None)
    if is_classifier(estimator):
        classes = targets.attributes["classes_"]
        if not np.array_equal(classes, estimator.classes_):
            raise ValueError(
                f"y must have the classes of the estimator, {estimator.classes_.tolist()}, got {classes.tolist()}."
            )
    elif targets.Y.shape[1] != estimator.rule_.n_outputs:
        raise ValueError(
            f"y must have as many targets as the estimator, {estimator.rule_.n_outputs}, got {targets.Y.shape[1]}."
        )


def _split(y, classifies, test_size, random_state):
    """Return the rows to train on and those to hold out: of each class its share, but not the only row of one."""
    rows = np.arange(len(y))
    alone, labels = np.zeros(len(y), dtype=bool), None
    if classifies:
        _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        alone = counts[codes] == 1
        labels = codes[~alone]
    try:
        train, test = train_test_split(rows[~alone], test_size=test_size, random_state=random_state, stratify=labels)
    except ValueError as error:
        raise ValueError(f"test_size={test_size} of n_samples={len(y)} cannot be held out: {error}") from error
    train = np.concatenate([train, rows[alone]])
    if classifies:
        missing = np.setdiff1d(y, y[train])
        if missing.size:
            raise ValueError(f"test_size={test_size} leaves no row of class {missing[0]!r} to train on.")
    elif test.size < 2:
        raise ValueError(f"test_size={test_size} of n_samples={len(y)} holds out one row; R2 needs two or more.")
    return train, test


def _folds_of_others(estimator, X, y, train):
    """Return ``cv`` of a fit to the rows to train on: of splits that are listed, what is left without the others."""
    cv, classifies = estimator.cv, is_classifier(estimator)
    if estimator.alpha != "auto" or cv is None or isinstance(cv, Integral):
        return cv
    if hasattr(cv, "split"):
        try:
            # A copy, as the fit has one: what is drawn here is not missing there.
            return clone(estimator)._make_folds(X[train], y[train], classifies, None, {})
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"cv={cv!r} makes no folds of the rows that are not held out: {error.__cause__ or error} It is given X "
                "and y alone; where it needs more, fit with a list of its splits, cv=list(cv.split(X, y, groups))."
            ) from error
    number = np.full(len(y), -1)
    number[train] = np.arange(train.size)
    folds = [
        tuple(part[part >= 0] for part in (number[rows] for rows in fold))
        for fold in estimator._make_folds(X, y, classifies, None, {})
    ]
    folds = [fold for fold in folds if all(part.size for part in fold)]
    if not folds:
        raise ValueError("Of no split of cv are there rows to train on and others left without those held out.")
    return folds
