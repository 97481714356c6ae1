"""ImplicitClassifierCV: the ridge chosen by cross-validated log-loss along a warm-started path."""

from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.losses import cross_entropy

__all__ = ["ImplicitClassifierCV"]


class ImplicitClassifierCV(RidgePathMixin, ImplicitClassifier):
    """Classification with ``alpha`` chosen by log-loss: ``alpha_ = argmin mean_folds -log p_alpha(y)``.

    On every stratified fold one run goes through the ridges from the smallest to the largest, each started from the
    rule of the one before. The rule is then fitted to all data at ``alpha_``. The log-loss of a held-out fold is that
    of the objective: samples weigh there what they weigh in training, ``class_weight`` included. A class without a
    sample in the training part of a fold is part of the model all the same, with a probability near zero.

    Parameters
    ----------
    n_hidden, activation, kappa, column_budget : int, str or Activation, float, float or None
        As for :class:`ImplicitClassifier`.
    alphas : int or array-like of float
        The ridges, or their number: then they are spaced geometrically from 1e-3 to 1.
    direct, fit_intercept, class_weight : bool or "auto", bool, dict or "balanced" or None
        As for :class:`ImplicitClassifier`; balanced weights are those of all data.
    structure, constraints, solver, method : array-like, callable, str, str
        As for :class:`ImplicitClassifier`.
    max_iter, tol, warm_start, random_state, verbose, n_init : int, float, bool, int, int, int
        As for :class:`ImplicitClassifier`, for the fit to all data.
    batch_size, learning_rate_init, early_stopping : int or "auto", float, bool
        As for :class:`ImplicitClassifier`, for ``method="gradient"``.
    validation_fraction, n_iter_no_change : float, int
        As for :class:`ImplicitClassifier`, for ``method="gradient"``.
    cv : int, cross-validation splitter, iterable or None
        Folds, as in scikit-learn; a number gives stratified folds, None five of them.
    n_jobs : int or None
        Folds that run side by side.

    Attributes
    ----------
    alpha_ : float
        The chosen ridge.
    alphas_ : ndarray of shape (n_alphas,)
        The ridges, increasing, as the path goes.
    log_loss_path_ : ndarray of shape (n_alphas, n_folds)
        Log-loss on the held-out fold, in nats.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    rule_ : ImplicitRule
        The rule fitted to all data at ``alpha_``; this and all other attributes as for :class:`ImplicitClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skimplicit import ImplicitClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ImplicitClassifierCV(n_hidden=2, alphas=[0.05, 0.5], cv=2, tol=1e-2, random_state=0).fit(X, y)
    >>> model.log_loss_path_.shape
    (2, 2)
    """

    _single = ImplicitClassifier
    _path_name = "log_loss_path_"
    _parameter_constraints = {
        **{name: rule for name, rule in ImplicitClassifier._parameter_constraints.items() if name != "alpha"},
        **RidgePathMixin._path_constraints,
    }

    def __init__(
        self,
        *,
        n_hidden=20,
        activation="relu",
        kappa=0.5,
        column_budget=None,
        alphas=8,
        direct="auto",
        fit_intercept=True,
        class_weight=None,
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
            class_weight=class_weight,
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
    def _sample_losses(logits, Y):
        """Return the log-loss of each sample, shape (m,)."""
        return cross_entropy(logits, Y)[0]
