"""ImplicitRegressor: squared loss."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Self, Unpack

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

    where the ridge (not the budget) is measured with every input and target divided by its standard deviation (its
    root mean square, without intercepts), so that ``alpha`` means the same in any unit and predictions do not depend on
    the units. With ``alpha="auto"``, columns j of B and D have the ridge ``alpha_ / relevance_[j]**2`` in the end,
    where ``relevance_`` is not None (of more inputs than rows, a ridge of this kind for each member).

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitClassifier : Classes.
    ImplicitRegressorCV : Alpha by cross-validation over a grid, for one rule.
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

        With ``warm_start=True``, ``fit`` goes on from the rule as it does from the last fit, at the ridge ``alpha``
        (0.03 for ``"auto"``): where the inputs are as many and the activation is one for all states. A rule outside the
        bound kappa is rescaled into it first if that changes nothing, and projected otherwise.

        Parameters
        ----------
        rule : ImplicitRule
            Any rule: trained, converted, distilled, composed. One output is predicted as a vector.
        **parameters
            Parameters of the estimator. ``n_hidden`` and ``activation`` are those of the rule, ``clip`` is False unless
            given: the range of its training rows is not known, so inputs are cut only after a fit.

        Returns
        -------
        ImplicitRegressor
            What needs training rows is None: ``alpha_``, the scores and predictions of held-out rows, ``is_linear_``;
            ``objective_history_`` is empty, ``n_iter_`` 0. ``feature_importances_`` are the mean over outputs of the
            bound ``sensitivity_``, for inputs and targets of deviation one. Like any estimator it is trained anew by
            ``clone`` and ``fit``, as in a cross-validation; ``sklearn.frozen.FrozenEstimator`` keeps it.

        Raises
        ------
        TypeError
            If it is not a rule, or ``n_hidden`` or ``activation`` are among the parameters.

        Examples
        --------
        >>> from skimplicit import ImplicitRegressor, ImplicitRule
        >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[1.0])
        >>> ImplicitRegressor.from_rule(rule).predict([[3.0], [-1.0]])
        array([13.,  1.])
        """
        return cls._around(check_rule(rule), {"_flat_target": rule.n_outputs == 1}, parameters)

    def predict(self, X: MatrixLike, return_std: bool = False) -> Any:
        """Return ``C x + D u + c`` for every row u of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return the standard error of each prediction too. It has two parts: that of the readout, by the
            delta method with the variance of the held-out residuals, and the spread of the members, of which one alone
            has none. Where those residuals are bias more than noise, as of clean data with more inputs than rows, it is
            far too large. Else it is on the small side: A, B and the choices of a fit count as known, and bias, such as
            that of the ridge, is no part of it. Of ``|u_1|`` and a line with noise, 1.645 of it held the true mean for
            .8 of new rows in place of .9 (100 and 400 rows), for .67 (20 rows), for .4 (40 rows of 60 inputs). Noise of
            the targets is not part of it either; for that see :meth:`predict_interval`. A ValueError tells
            where there is none: with a number for ``alpha``, and where a direct term of k inputs that are not left out,
            on m distinct rows, would need more than 4,000 x 4,000 numbers, ``k min(k, m)``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, of the dimension of the targets in ``fit``; for a Dask collection a lazy Dask array.
        std : ndarray of the same shape
            With ``return_std`` only.
        """
        check_is_fitted(self)
        if is_lazy(X):
            if return_std:
                raise ValueError("return_std=True has two results, which a lazy Dask array has not; compute X.")
            return predict_lazily(self, "predict", X, None if self._flat_target else self.rule_.n_outputs)
        if not return_std:
            Y = self._by_rows(X, self.rule_.predict)
            return Y.ravel() if self._flat_target else Y
        X = self._check_inputs(X)
        self._check_held_out("return_std=True")
        if self._covariances is None:
            raise ValueError(
                f"return_std=True would need more than {LARGEST_MATRIX} x {LARGEST_MATRIX} numbers for the inputs of "
                "the direct term; use predict_interval, or fit with direct=False."
            )
        Y = self.rule_.predict(X)
        noise = self._residuals.deviation()
        readout = np.mean([covariance.variance(X) for covariance in self._covariances], axis=0)
        members = np.array([rule.predict(X) for rule in self.rules_])
        spread = root_mean_square(members - members.mean(axis=0))
        std = np.hypot(np.sqrt(readout)[:, None] * noise, spread / np.sqrt(len(members)))
        return (Y.ravel(), std.ravel()) if self._flat_target else (Y, std)

    def predict_interval(self, X: MatrixLike, coverage: float = 0.9) -> np.ndarray:
        """Return intervals ``low(u) <= predict(u) <= high(u)`` that hold a new target with about a given probability.

        By the residuals of held-out rows (CV+).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.9
            Share of new targets that the intervals are to hold, in (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, 2, n_outputs)
            Lower and upper bounds.

        Notes
        -----
        The coverage holds about, in the mean over rows that are drawn independently of one another, from where the
        training rows came from; with a ``cv`` that keeps groups or times together, over new groups or times. It is
        measured (.90 to .95 for .9 on nine sets with more rows than inputs, .88 to .95 on four with more inputs than
        rows), not guaranteed; where little is to be held of clean data, more is. With one member (``cv`` of one split)
        it is split conformal prediction, about that member and at least as wide about the prediction, but for two
        things: the same rows have chosen the ridge, and where fewer than ``1 / (1 - coverage)`` are held out the
        largest residual has to do (90 % intervals from 5, 8 and 30 rows held .76, .85 and .91). With several members
        residuals are reduced by what the mean errs less than they. Source: Barber, Candes, Ramdas and Tibshirani
        (2021), Predictive inference with the jackknife+, Annals of Statistics 49(1).
        """
        if not (isinstance(coverage, Real) and 0 < coverage < 1):
            raise ValueError(f"coverage must be a number in (0, 1), got {coverage!r}.")
        X = self._check_inputs(X, cut=False)
        self._check_held_out("predict_interval")
        Y = self.rule_.predict(X if self._input_range is None else self._input_range.cut(X))
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
