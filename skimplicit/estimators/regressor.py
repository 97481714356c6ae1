"""ImplicitRegressor: squared loss."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.training import SquaredObjective

__all__ = ["ImplicitRegressor"]


class ImplicitRegressor(RegressorMixin, MultiOutputMixin, ImplicitEstimator):
    """Regression by an implicit rule: ``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    Trained, by default by block coordinate descent, on ::

        min  1/2m ||Y - X C' - U D' - 1 c'||_F^2 + alpha/2 (||A||_F^2 + ||B||_F^2 + ||C||_F^2 + ||D||_F^2)
        s.t. X = phi(X A' + U B' + 1 b'),   ||A||_inf <= kappa,   sum_j max_i |B_ij| <= column_budget,

    where the ridge (not the budget) is measured with every input and target divided by its standard deviation, so that
    ``alpha`` means the same in any unit and predictions do not depend on the units.

    {parameters}

    Attributes
    ----------
    rule_ : ImplicitRule
        The trained rule, in the units of the data: ``rule_.predict(X)`` equals ``predict(X)``.
    n_iter_ : int
        Outer iterations run.
    objective_history_ : ndarray
        True objective after each accepted iteration; it never rises within a stage of the schedule.
    objective_stages_ : ndarray of int
        Stage of the schedule that each value belongs to.
    validation_scores_ : ndarray or None
        Share of the loss of a constant prediction that the rule removes on the held-out samples, after every epoch of
        the last stage of the schedule; None without ``early_stopping``.
    best_validation_score_ : float or None
        The largest of them.
    column_norms_ : ndarray of shape (n_features,)
        ``max_i |B_ij|`` of each input.
    feature_importances_ : ndarray of shape (n_features,)
        Mean over outputs of ``S_ij sd(input j) / sd(target i)`` with the sensitivity matrix
        ``S = |C| (I - |A|)^-1 |B| + |D|``; zero exactly when no path leads from the input to an output.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the inputs, when they have names.

    References
    ----------
    L. El Ghaoui, F. Gu, B. Travacca, A. Askari, A. Tsai (2021). Implicit Deep Learning. SIAM Journal on Mathematics of
    Data Science 3(3), 930-958.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skimplicit import ImplicitRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ImplicitRegressor(n_hidden=5, alpha=0.1, random_state=0).fit(X, y)
    >>> bool(model.rule_.inf_norm <= model.kappa)
    True
    """

    def predict(self, X):
        """Return ``C x + D u + c`` for every row u of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, of the dimension of the targets in ``fit``.
        """
        X = self._check_inputs(X)
        Y = self.rule_.predict(X)
        return Y.ravel() if self._flat_target else Y

    def _make_objective(self, samples, activation, direct):
        return SquaredObjective(samples, activation, direct)

    def _encode_targets(self, y, sample_weight):
        flat = y.ndim == 1
        Y = np.asarray(y, dtype=np.float64)
        return EncodedTargets(Y[:, None] if flat else Y, sample_weight, scale=True, attributes={"_flat_target": flat})
