"""ImplicitRegressorCV: the ridge chosen by cross-validation along a warm-started path."""

import numpy as np

from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.regressor import ImplicitRegressor

__all__ = ["ImplicitRegressorCV"]


class ImplicitRegressorCV(RidgePathMixin, ImplicitRegressor):
    """Regression with ``alpha`` chosen by cross-validation: ``alpha_ = argmin mean_folds ||y - yhat(alpha)||^2``.

    On every fold one run goes through the ridges from the smallest to the largest, each started from the rule of the
    one before, which is also how a single fit reaches a large ridge without collapsing to a linear rule. The rule is
    then fitted to all data at ``alpha_``.

    Parameters
    ----------
    n_hidden, activation, kappa, column_budget : int, str or Activation, float, float or None
        As for :class:`ImplicitRegressor`.
    alphas : int or array-like of float
        The ridges, or their number: then they are spaced geometrically from 1e-3 to 1.
    direct, fit_intercept, structure, constraints, solver, method : bool or "auto", bool, array-like, callable, str, str
        As for :class:`ImplicitRegressor`.
    max_iter, tol, warm_start, random_state, verbose, n_init : int, float, bool, int, int, int
        As for :class:`ImplicitRegressor`, for the fit to all data.
    batch_size, learning_rate_init, early_stopping : int or "auto", float, bool
        As for :class:`ImplicitRegressor`, for ``method="gradient"``.
    validation_fraction, n_iter_no_change : float, int
        As for :class:`ImplicitRegressor`, for ``method="gradient"``.
    cv : int, cross-validation splitter, iterable or None
        Folds, as in scikit-learn; None for five.
    n_jobs : int or None
        Folds that run side by side.

    Attributes
    ----------
    alpha_ : float
        The chosen ridge.
    alphas_ : ndarray of shape (n_alphas,)
        The ridges, increasing, as the path goes.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared error on the held-out fold, averaged over targets.
    rule_ : ImplicitRule
        The rule fitted to all data at ``alpha_``; this and all other attributes as for :class:`ImplicitRegressor`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skimplicit import ImplicitRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ImplicitRegressorCV(n_hidden=5, alphas=[0.01, 0.1, 1.0], random_state=0).fit(X, y)
    >>> model.mse_path_.shape
    (3, 5)
    """

    _single = ImplicitRegressor
    _path_name = "mse_path_"
    _parameter_constraints = {
        **{name: rule for name, rule in ImplicitRegressor._parameter_constraints.items() if name != "alpha"},
        **RidgePathMixin._path_constraints,
    }

    def __init__(
        self,
        *,
        n_hidden=20,
        activation="relu",
        kappa=0.95,
        column_budget=None,
        alphas=8,
        direct="auto",
        fit_intercept=True,
        structure=None,
        constraints=None,
        solver="auto",
        method="bcd",
        max_iter=200,
        tol=1e-5,
        warm_start=False,
        random_state=None,
        verbose=0,
        n_init=1,
        batch_size="auto",
        learning_rate_init=0.01,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        cv=None,
        n_jobs=None,
    ):
        super().__init__(
            n_hidden=n_hidden,
            activation=activation,
            kappa=kappa,
            column_budget=column_budget,
            alphas=alphas,
            direct=direct,
            fit_intercept=fit_intercept,
            structure=structure,
            constraints=constraints,
            solver=solver,
            method=method,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            n_init=n_init,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            cv=cv,
            n_jobs=n_jobs,
        )

    @staticmethod
    def _sample_losses(predictions, Y):
        """Return the squared error of each sample, averaged over targets, shape (m,)."""
        return np.mean((predictions - Y) ** 2, axis=1)
