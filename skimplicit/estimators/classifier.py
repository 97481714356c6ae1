"""ImplicitClassifier: cross-entropy."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skimplicit.estimators._base import ImplicitEstimator
from skimplicit.training.cross_entropy import CrossEntropyObjective

__all__ = ["ImplicitClassifier"]


class ImplicitClassifier(ClassifierMixin, ImplicitEstimator):
    """Classification by an implicit rule: ``p = softmax(C x + D u + c)`` where ``x = phi(A x + B u + b)``.

    Trained by block coordinate descent on ::

        min  -1/m sum_i log p_i[y_i] + alpha/2 (||A||_F^2 + ||B||_F^2 + ||C||_F^2 + ||D||_F^2)
        s.t. X = phi(X A' + U B' + 1 b'),   ||A||_inf <= kappa,   sum_j max_i |B_ij| <= column_budget,

    where the ridge (not the budget) is measured with every input divided by its standard deviation, so that ``alpha``
    means the same in any unit. Two classes have one logit, that of the second, of probability
    ``1 / (1 + exp(-logit))``.

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
        Ridge on A, B, C and D, not on the intercepts. ``fit`` starts at a small value and raises it in warm-started
        steps.
    direct : bool or "auto"
        Whether there is a direct term D u. ``"auto"``: yes without a budget, no with one.
    fit_intercept : bool
        Whether there are intercepts b and c.
    class_weight : dict, "balanced" or None
        Weights of the classes, as ``{label: weight}``; they multiply ``sample_weight``. ``"balanced"``: every class
        weighs the same. None: 1.
    structure : None, array-like of bool of shape (n_hidden, n_hidden), or list of int
        Entries of A that may be non-zero: a mask, or the sizes of the hidden layers of a feedforward network.
    constraints : callable or None
        ``constraints(A, B)`` returns a list of convex CVXPY constraints on the CVXPY expressions A (n, n) and B (n, p);
        forces ``solver="cvxpy"``.
    solver : {"auto", "cvxpy", "projected"}
        Solver of the equilibrium block: CVXPY, the reference, or accelerated projected gradient, which is faster.
        ``"auto"`` takes CVXPY for custom constraints only.
    method : {"bcd", "lifted"}
        How to train: block coordinate descent with the states at equilibrium, or lifted (Fenchel) block coordinate
        descent, which knows ``"relu"``, ``"leaky_relu"``, ``"identity"``, ``"tanh"`` and ``"sigmoid"``.
    max_iter : int
        Most outer iterations, all steps of the schedule together.
    tol : float
        Relative decrease of the objective that counts as progress; training ends after three iterations without.
    warm_start : bool
        Whether ``fit`` starts from the rule of the last ``fit``, at the wanted alpha and budget.
    random_state : int, RandomState instance or None
        Source of the starting weights.
    verbose : int
        Print a line every ``verbose`` iterations.
    n_init : int
        Number of random starts; the one with the best objective is kept.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    rule_ : ImplicitRule
        The trained rule, in the units of the data: ``rule_.predict(X)`` are the logits.
    n_iter_ : int
        Outer iterations run.
    objective_history_ : ndarray
        True objective after each accepted iteration; it never rises within a step of the schedule.
    objective_stages_ : ndarray of int
        Step of the schedule that each value belongs to.
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
    >>> from sklearn.datasets import load_iris
    >>> from skimplicit import ImplicitClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> y = y.map(dict(enumerate(["setosa", "versicolor", "virginica"])))
    >>> model = ImplicitClassifier(n_hidden=5, random_state=0).fit(X, y)
    >>> model.predict(X[:2])
    array(['setosa', 'setosa'], dtype=object)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints = {
        **ImplicitEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _target_checks = {}

    def __init__(
        self,
        *,
        n_hidden=20,
        activation="relu",
        kappa=0.95,
        column_budget=None,
        alpha=0.02,
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
        )
        self.class_weight = class_weight

    def decision_function(self, X):
        """Return the logits ``C x + D u + c`` for every row u of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits of the classes; for two classes that of the second, positive where it is predicted.
        """
        X = self._check_inputs(X)
        logits = self.rule_.predict(X)
        return logits.ravel() if len(self.classes_) == 2 else logits

    def predict(self, X):
        """Return the most probable class of every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        logits = self.decision_function(X)
        return self.classes_[(logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)]

    def predict_proba(self, X):
        """Return the probability of each class for every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        return softmax(self._all_logits(X), axis=1)

    def predict_log_proba(self, X):
        """Return the logarithm of the probability of each class for every row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms, finite also where a probability rounds to zero.
        """
        return log_softmax(self._all_logits(X), axis=1)

    def _all_logits(self, X):
        """Return a logit for each class, zero for the first of two."""
        logits = self.decision_function(X)
        return np.column_stack([np.zeros_like(logits), logits]) if logits.ndim == 1 else logits

    def _make_objective(self, samples, activation, direct):
        return CrossEntropyObjective(samples, activation, direct)

    def _encode_targets(self, y, sample_weight):
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        counted = codes if sample_weight is None else codes[sample_weight > 0]
        present = np.unique(counted)
        if present.size < 2:
            weighted = "" if sample_weight is None else " with a positive sample_weight"
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes{weighted}, got 1 class: "
                f"{classes[present].tolist()}."
            )
        if self.class_weight is not None:
            per_class = compute_class_weight(self.class_weight, classes=classes, y=y, sample_weight=sample_weight)
            sample_weight = per_class[codes] * (1.0 if sample_weight is None else sample_weight)
        if classes.size == 2:
            Y = codes[:, None].astype(np.float64)
        else:
            Y = np.eye(classes.size)[codes]
        return Y, sample_weight, False, {"classes_": classes}
