"""ImplicitRegressorCV: the ridge chosen by cross-validation along a warm-started path."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval

from skimplicit.estimators.regressor import ImplicitRegressor
from skimplicit.training.continuation import continuation, random_weights
from skimplicit.training.method import Stage

__all__ = ["ImplicitRegressorCV"]

# Ends of the grid of ridges when only their number is given: flexible enough for clean data, stiff enough for noisy
# ones.
_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-3, 1.0
# Iterations at each ridge after the first, and relative decrease of J that ends one.
_STEP_ITER, _STEP_TOL = 40, 1e-4


class ImplicitRegressorCV(ImplicitRegressor):
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

    _parameter_constraints = {
        **{name: rule for name, rule in ImplicitRegressor._parameter_constraints.items() if name != "alpha"},
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "n_jobs": [None, Integral],
    }

    _goes_on = False

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
        self.n_hidden = n_hidden
        self.activation = activation
        self.kappa = kappa
        self.column_budget = column_budget
        self.alphas = alphas
        self.direct = direct
        self.fit_intercept = fit_intercept
        self.structure = structure
        self.constraints = constraints
        self.solver = solver
        self.method = method
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_init = n_init
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.cv = cv
        self.n_jobs = n_jobs

    def _fit(self, X, y, sample_weight):
        alphas = _check_alphas(self.alphas)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        model = self._at(alphas[0], seed)
        model._check_choices()
        X, y = self._validate_data(X, y)
        folds = list(check_cv(self.cv).split(X, y))
        errors = Parallel(n_jobs=self.n_jobs)(
            delayed(_fold_errors)(model, X, y, sample_weight, train_rows, test_rows, alphas)
            for train_rows, test_rows in folds
        )
        mse_path = np.array(errors).T
        alpha = float(alphas[np.argmin(mse_path.mean(axis=1))])
        best = self._at(alpha, seed)
        if self.warm_start and hasattr(self, "rule_"):
            best.rule_ = self.rule_
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="fit at the chosen alpha")
        with task.propagate_callback_context(best):
            best.fit(X, y, sample_weight)
        for name, value in vars(best).items():
            if name not in best.get_params(deep=False) and name != "n_features_in_":
                setattr(self, name, value)
        self.alpha_, self.alphas_, self.mse_path_ = alpha, alphas, mse_path
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=lambda: vars(self).copy())
        return self

    def _at(self, alpha, seed):
        """Return the unfitted regressor with this ridge."""
        names = set(ImplicitRegressor().get_params()) - {"alpha", "random_state"}
        return ImplicitRegressor(**{name: getattr(self, name) for name in names}, alpha=alpha, random_state=seed)


def _fold_errors(model, X, y, sample_weight, train_rows, test_rows, alphas):
    """Return the held-out mean squared errors along the path of ridges, a list of float."""
    weights = [None if sample_weight is None else np.asarray(sample_weight)[rows] for rows in (train_rows, test_rows)]
    prepared = model._prepare(_safe_indexing(X, train_rows), y[train_rows], weights[0])
    objective, constraints = prepared.objective, prepared.constraints
    W, b = random_weights(
        model.n_hidden, X.shape[1], constraints.kappa, constraints.structure, np.random.RandomState(model.random_state)
    )
    b = b if model.fit_intercept else np.zeros_like(b)
    budget = model.column_budget
    first = continuation(alphas[0], budget, constraints, model.max_iter, _STEP_TOL)
    rest = [Stage(alpha, budget, _STEP_ITER, _STEP_TOL) for alpha in alphas[1:]]
    course = prepared.train([*first, *rest], W, b)
    held_out, target = _safe_indexing(X, test_rows), y[test_rows].reshape(test_rows.size, -1)
    return [
        float(np.average(np.mean((objective.rule(end).predict(held_out) - target) ** 2, axis=1), weights=weights[1]))
        for end in course.ends[-len(alphas) :]
    ]


def _check_alphas(alphas):
    """Return increasing ridges."""
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        return np.geomspace(_SMALLEST_ALPHA, _LARGEST_ALPHA, alphas)
    values = np.asarray(alphas, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"alphas must be a number or a list of non-negative finite ridges, got {alphas!r}.")
    return np.sort(values)
