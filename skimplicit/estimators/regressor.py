"""ImplicitRegressor: squared loss."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skimplicit.composition import check_rule
from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.from_rule import FromRuleMixin
from skimplicit.estimators.intervals import root_mean_square
from skimplicit.estimators.lazy_columns import ScoreMixin, predict_lazily
from skimplicit.estimators.parameter_types import RegressorParameters
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.linalg import MatrixLike
from skimplicit.rows import LARGEST_MATRIX, ROUNDING, is_lazy
from skimplicit.rule import ImplicitRule
from skimplicit.training import SquaredObjective

__all__ = ["ImplicitRegressor"]


class ImplicitRegressor(ScoreMixin, RegressorMixin, MultiOutputMixin, FromRuleMixin, ImplicitEstimator):
    """Regression by an implicit rule: ``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    Trained, by default by block coordinate descent, on ::

        min  1/2m ||Y - X C' - U D' - 1 c'||_F^2 + alpha/2 (||A||_F^2 + ||B||_F^2 + ||C||_F^2 + ||D||_F^2)
        s.t. X = phi(X A' + U B' + 1 b'),   ||A||_inf <= kappa,   sum_j max_i |B_ij| <= column_budget,

    where the ridge (not the budget) applies to inputs and targets divided by their standard deviations (without
    intercepts, by their root mean squares), so that ``alpha`` means the same and predictions are the same in any unit.
    With ``alpha="auto"``, columns j of B and D end with the ridge ``alpha_ / relevance_[j]**2`` where ``relevance_`` is
    not None (with more inputs than rows, each member has such ridges of its own).

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitClassifier : The same model for classes.
    ImplicitRegressorCV : Alpha chosen from a grid by cross-validation, for a single rule.
    ImplicitFeatureSelector : Select the inputs that a rule needs.
    skimplicit.inspection.explain : Contributions of the inputs to predictions.
    sklearn.neural_network.MLPRegressor : Layers in place of an equilibrium.

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

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[RegressorParameters]) -> None: ...

    @classmethod
    def from_rule(cls, rule: ImplicitRule, **parameters: Any) -> Self:
        """Return a fitted regressor around a rule: ``predict`` is ``rule.predict``.

        With ``warm_start=True``, ``fit`` continues from the rule as it does from the last fit, at the ridge ``alpha``
        (0.03 for ``"auto"``), if the number of inputs is the same and all states have one activation. A rule outside
        the bound kappa is first rescaled into it where that leaves its outputs unchanged, and projected otherwise.

        Parameters
        ----------
        rule : ImplicitRule
            Any rule: trained, converted, distilled, composed. A single output is predicted as a vector.
        **parameters
            Parameters of the estimator. ``n_hidden`` and ``activation`` come from the rule. ``clip`` is False unless
            given; as the range of the rule's training rows is not known, inputs are clipped only after a fit.

        Returns
        -------
        ImplicitRegressor
            The fitted estimator. What needs training rows is None (``alpha_``, the scores and predictions of held-out
            rows, ``is_linear_``), ``objective_history_`` is empty and ``n_iter_`` is 0. ``feature_importances_`` are
            the mean over outputs of the bound ``sensitivity_``, for inputs and targets of deviation one. ``clone``
            drops the rule, so that a cross-validation trains anew; ``sklearn.frozen.FrozenEstimator`` keeps it.

        Raises
        ------
        TypeError
            If ``rule`` is not a rule, or ``n_hidden`` or ``activation`` are among the parameters.

        Examples
        --------
        >>> from skimplicit import ImplicitRegressor, ImplicitRule
        >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[1.0])
        >>> ImplicitRegressor.from_rule(rule).predict([[3.0], [-1.0]])
        array([13.,  1.])
        """
        return cls._around(check_rule(rule), {"_flat_target": rule.n_outputs == 1}, parameters)

    @overload
    def predict(self, X: MatrixLike, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X: MatrixLike, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(self, X: MatrixLike, return_std: bool) -> Any: ...

    def predict(self, X: MatrixLike, return_std: bool = False) -> Any:
        """Return ``C x + D u + c`` for every row u of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return the standard error of each prediction too; it does not include the noise of the targets,
            for which see :meth:`predict_interval`. It is the larger one of two. The first takes A, B and the choices of
            the fit as known: the error of the readout, by the delta method with the variance of the held-out residuals,
            and the spread of the members. The second, for rules with states, is that of a jackknife by folds (Shao and
            Wu, 1989): the spread of the rules that have each not seen a fold, times ``sqrt(K - 1)`` for K of them.
            Neither knows the bias that all have, such as that of the ridge. On nine kinds of data of 100 to 1,500 rows
            1.645 standard errors held the true mean for .80 to .98 of new rows in place of .9, on 40 rows of 60 inputs
            for .45. A ValueError is raised with a number for ``alpha``, and where a direct term of k inputs that are
            not left out, on m distinct rows, would need ``k min(k, m)`` numbers, more than 4,000 x 4,000.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, with as many dimensions as the targets in ``fit``; for a Dask collection a lazy Dask array.
        std : ndarray of the same shape
            Standard errors; only with ``return_std=True``.
        """
        check_is_fitted(self)
        if is_lazy(X):
            if return_std:
                raise ValueError("return_std=True gives two arrays, which a lazy prediction cannot; give X.compute().")
            return predict_lazily(self, "predict", X, None if self._flat_target else self.rule_.n_outputs)
        if not return_std:
            Y = self._by_rows(X, self.rule_.predict)
            return Y.ravel() if self._flat_target else Y
        given = self._check_inputs(X, cut=False)
        self._check_held_out("return_std=True")
        if self._covariances is None:
            raise ValueError(
                f"return_std=True would need more than {LARGEST_MATRIX} x {LARGEST_MATRIX} numbers for the inputs of "
                "the direct term; use predict_interval, or fit with direct=False."
            )
        X = self._within_range(given)
        Y = self.rule_.predict(X)
        noise = self._residuals.deviation()
        readout = np.mean([covariance.variance(X) for covariance in self._covariances], axis=0)
        members = np.array([rule.predict(X) for rule in self.rules_])
        spread = root_mean_square(members - members.mean(axis=0))
        std = np.hypot(np.sqrt(readout)[:, None] * noise, spread / np.sqrt(len(members)))
        std = np.maximum(std, self._residuals.standard_error(given))
        return (Y.ravel(), std.ravel()) if self._flat_target else (Y, std)

    def predict_interval(self, X: MatrixLike, coverage: float = 0.9) -> np.ndarray:
        """Return intervals ``low(u) <= predict(u) <= high(u)`` that hold a new target with about a given probability.

        They are made from the residuals of held-out rows (CV+), and so require ``alpha="auto"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.9
            Share of new targets that the intervals should contain, in (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, 2, n_outputs)
            Lower and upper bounds.

        Notes
        -----
        The coverage is approximate, and an average over rows drawn independently from the same source as the training
        rows; with a ``cv`` that keeps groups or times together, over new groups or times. It is measured, not
        guaranteed: .90 to .95 for .9 on nine sets with more rows than inputs, .88 to .95 on four with more inputs than
        rows. A small ``coverage`` on clean data is exceeded. With one member (``cv`` of one split) this is split
        conformal prediction around that member, and at least as wide around the prediction, with two differences: the
        same rows have chosen the ridge, and where fewer than ``1 / (1 - coverage)`` rows are held out, the largest
        residual is used (90 % intervals from 5, 8 and 30 rows held .76, .85 and .91). With several members, residuals
        are reduced by as much as the mean errs less than the members. Source: Barber, Candes, Ramdas and Tibshirani
        (2021), Predictive inference with the jackknife+, Annals of Statistics 49(1).
        """
        if not (isinstance(coverage, Real) and 0 < coverage < 1):
            raise ValueError(f"coverage must be a number in (0, 1), got {coverage!r}.")
        X = self._check_inputs(X, cut=False)
        self._check_held_out("predict_interval")
        Y = self.rule_.predict(self._within_range(X))
        bounds = self._residuals.interval(X, Y, coverage)
        return bounds[:, :, 0] if self._flat_target else bounds

    def _check_held_out(self, what):
        if self._residuals is None:
            raise ValueError(
                f"{what} needs residuals of rows that were held out: fit ImplicitRegressor with alpha='auto', not from "
                "a warm start, on four distinct rows or more."
            )

    def _make_objective(self, samples, activation, direct, direct_ridge=1.0, readout_set=None, recurrent=True):
        return SquaredObjective(samples, activation, direct, direct_ridge, readout_set, recurrent)

    def _path_scores(self, choice):
        null = 0.5 * choice.members[0].task.objective.samples.n_outputs  # targets are scaled to variance one
        return 1.0 - choice.losses / null

    def _held_out_score(self, choice, Y, seen, weights):
        """Return R2 of the mean of the members on new rows, averaged over the targets."""
        Y, predictions = Y / choice.unit, choice.predictions / choice.unit
        error = np.average((Y - predictions)[seen] ** 2, axis=0, weights=weights[seen])
        variance = np.average((Y - np.average(Y, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
        _, error = choice.errors(error, seen, weights)
        # Less than none, where few held-out rows do not show how members differ: new rows are not predicted better.
        known = np.average((Y - np.mean(choice.kept, axis=0) / choice.unit) ** 2, axis=0, weights=weights)
        error = np.where(error < 0, known, error)
        varies = variance > ROUNDING**2
        missed = (error > ROUNDING).astype(np.float64)  # what score makes of a constant that is not foreseen: 0
        r2 = 1.0 - np.divide(error, variance, out=missed, where=varies)
        return float(np.mean(r2))

    def _as_predictions(self, Y, targets):
        return Y.ravel() if targets.attributes["_flat_target"] else Y

    def _encode_targets(self, y, sample_weight):
        flat = y.ndim == 1
        Y = np.asarray(y, dtype=np.float64)
        return EncodedTargets(Y[:, None] if flat else Y, sample_weight, scale=True, attributes={"_flat_target": flat})
