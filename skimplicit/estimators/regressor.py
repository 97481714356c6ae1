"""ImplicitRegressor: squared loss."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.preparation import EncodedTargets
from skimplicit.training import SquaredObjective

__all__ = ["ImplicitRegressor"]


class ImplicitRegressor(RegressorMixin, MultiOutputMixin, ImplicitEstimator):
    """Regression by an implicit rule: ``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    Trained, by default by block coordinate descent, on ::

        min  1/2m ||Y - X C' - U D' - 1 c'||_F^2 + alpha/2 (||A||_F^2 + ||B||_F^2 + ||C||_F^2 + ||D||_F^2)
        s.t. X = phi(X A' + U B' + 1 b'),   ||A||_inf <= kappa,   sum_j max_i |B_ij| <= column_budget,

    where the ridge (not the budget) is measured with every input and target divided by its standard deviation, so that
    ``alpha`` means the same in any unit and predictions do not depend on the units.

    Parameters
    ----------
    n_hidden : int
        Number n of hidden features, the size of the state x.
    activation : str or Activation
        phi: ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``, ``"elu"``, ``"softplus"``,
        ``"silu"``, ``"gelu"``, or an :class:`~skimplicit.Activation`. If its slopes exceed 1, the bound on A is kappa
        divided by the largest.
    kappa : float
        Bound on the infinity norm of A, in [0, 1). The stored A satisfies it exactly.
    column_budget : float or None
        Bound k on ``sum_j max_i |B_ij|``, for inputs as they are given; drives whole columns of B to zero, so that
        inputs drop out. It acts together with alpha, essentially through ``alpha / k^2``. None for no bound.
    alpha : float
        Ridge on A, B, C and D, not on the intercepts. With block coordinate descent, ``fit`` starts at a small value
        and raises it in warm-started steps.
    direct : bool or "auto"
        Whether there is a direct term D u. ``"auto"``: yes without a budget, no with one.
    fit_intercept : bool
        Whether there are intercepts b and c.
    structure : None, array-like of bool of shape (n_hidden, n_hidden), or list of int
        Entries of A that may be non-zero: a mask, or the sizes of the hidden layers of a feedforward network.
    constraints : callable or None
        ``constraints(A, B)`` returns a list of convex CVXPY constraints on the CVXPY expressions A (n, n) and B (n, p);
        forces ``solver="cvxpy"``.
    solver : {"auto", "cvxpy", "projected", "adam", "sgd"}
        With ``method="bcd"`` and ``"lifted"``, the solver of the block of A and B: CVXPY, the reference, or accelerated
        projected gradient, which is faster; ``"auto"`` takes CVXPY for custom constraints only. With
        ``method="gradient"``, the optimiser: Adam, which ``"auto"`` takes, or ``"sgd"`` with Nesterov's momentum.
    method : {"bcd", "gradient", "lifted"}
        How to train: block coordinate descent with the states at equilibrium; projected implicit gradient over batches
        of samples, for many rows and hundreds of states; or lifted (Fenchel) block coordinate descent, which knows
        ``"relu"``, ``"leaky_relu"``, ``"identity"``, ``"tanh"`` and ``"sigmoid"``.
    max_iter : int
        Most outer iterations (epochs, for the gradient), all steps of the schedule together.
    tol : float
        Relative decrease of the objective that counts as progress; training ends after three iterations without
        (``n_iter_no_change`` epochs, for the gradient).
    warm_start : bool
        Whether ``fit`` starts from the rule of the last ``fit``, at the wanted alpha and budget.
    random_state : int, RandomState instance or None
        Source of the starting weights.
    verbose : int
        Print a line every ``verbose`` iterations.
    n_init : int
        Number of random starts; the one with the best objective is kept.
    batch_size : int or "auto"
        Samples in a batch, for ``method="gradient"`` only, like all parameters below; ``"auto"``: at most 200.
    learning_rate_init : float
        Learning rate at the start; it is halved when epochs do not lower the objective.
    early_stopping : bool
        Whether to hold samples out, end training when the rule does not get better on them, and keep the rule that did
        best there.
    validation_fraction : float
        Share of the samples to hold out, in (0, 1).
    n_iter_no_change : int
        Epochs in a row with less progress than ``tol`` after which training ends.

    Attributes
    ----------
    rule_ : ImplicitRule
        The trained rule, in the units of the data: ``rule_.predict(X)`` equals ``predict(X)``.
    n_iter_ : int
        Outer iterations run.
    objective_history_ : ndarray
        True objective after each accepted iteration: to 1e-3 on the way, and to 1e-6 in the last value, that of
        ``rule_`` (unless ``early_stopping`` goes back to an earlier rule). It never rises within a step.
    objective_stages_ : ndarray of int
        Step of the schedule that each value belongs to.
    validation_scores_ : ndarray or None
        Share of the loss of a constant prediction that the rule removes on the held-out samples, after every epoch of
        the last step of the schedule; None without ``early_stopping``.
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

    def __init__(
        self,
        *,
        n_hidden=20,
        activation="relu",
        kappa=0.95,
        column_budget=None,
        alpha=0.03,
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
    ):
        super().__init__(
            n_hidden=n_hidden,
            activation=activation,
            kappa=kappa,
            column_budget=column_budget,
            alpha=alpha,
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
        )

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
