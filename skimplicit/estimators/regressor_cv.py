"""ImplicitRegressorCV: the ridge chosen by cross-validation along a warm-started path."""

from typing import TYPE_CHECKING, Unpack

import numpy as np

from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.parameter_types import RegressorCVParameters
from skimplicit.estimators.regressor import ImplicitRegressor
from skimplicit.parameters import Attribute

__all__ = ["ImplicitRegressorCV"]


class ImplicitRegressorCV(RidgePathMixin, ImplicitRegressor):
    """Regression with ``alpha`` chosen by cross-validation: ``alpha_ = argmin mean_folds ||y - yhat(alpha)||^2``.

    On every fold, rules are trained for the ridges from the smallest to the largest, each started from the rule of the
    ridge before; a single fit reaches a large ridge in the same way, without collapsing to a linear rule. A rule is
    then fitted to all data at ``alpha_``. ``verbose`` concerns that fit only.

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitRegressor : Alpha chosen by the rows held out from its members.
    sklearn.linear_model.RidgeCV : The same for a linear model.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skimplicit import ImplicitRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ImplicitRegressorCV(n_hidden=5, alphas=[0.01, 0.1, 1.0], cv=2, random_state=0).fit(X, y)
    >>> model.mse_path_.shape
    (3, 2)
    """

    _attributes = {
        "mse_path_": Attribute(
            "ndarray of shape (n_alphas, n_folds)", "Mean squared error on the held-out fold, averaged over targets."
        )
    }
    mse_path_: np.ndarray
    _fixed_alpha_class = ImplicitRegressor
    _path_name = "mse_path_"

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[RegressorCVParameters]) -> None: ...

    @staticmethod
    def _sample_losses(predictions, Y):
        """Return the squared error of each sample, averaged over targets, shape (m,)."""
        return np.mean((predictions - Y) ** 2, axis=1)
