"""ImplicitClassifierCV: the ridge chosen by cross-validated log-loss along a warm-started path."""

from typing import TYPE_CHECKING, Unpack

import numpy as np

from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.estimators.parameter_types import ClassifierCVParameters
from skimplicit.losses import cross_entropy
from skimplicit.parameters import Attribute

__all__ = ["ImplicitClassifierCV"]


class ImplicitClassifierCV(RidgePathMixin, ImplicitClassifier):
    """Classification with ``alpha`` chosen by log-loss: ``alpha_ = argmin mean_folds -log p_alpha(y)``.

    On every stratified fold, rules are trained for the ridges from the smallest to the largest, each started from the
    rule of the ridge before. A rule is then fitted to all data at ``alpha_``; ``verbose`` concerns that fit only. In
    the log-loss of a held-out fold, samples have the same weights as in training, ``class_weight`` included;
    ``"balanced"`` weights are those of all data. A class without a sample in the training part of a fold is still part
    of the model, with a probability near zero.

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitClassifier : Alpha chosen by the rows held out from its members.
    sklearn.linear_model.LogisticRegressionCV : The same for a linear model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skimplicit import ImplicitClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ImplicitClassifierCV(n_hidden=2, alphas=[0.05, 0.5], cv=2, max_iter=50, tol=1e-2, random_state=0)
    >>> model = model.fit(X, y)
    >>> model.log_loss_path_.shape
    (2, 2)
    """

    _attributes = {
        "log_loss_path_": Attribute("ndarray of shape (n_alphas, n_folds)", "Log-loss on the held-out fold, in nats.")
    }
    log_loss_path_: np.ndarray
    _fixed_alpha_class = ImplicitClassifier
    _path_name = "log_loss_path_"

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[ClassifierCVParameters]) -> None: ...

    @staticmethod
    def _sample_losses(logits, Y):
        """Return the log-loss of each sample, shape (m,)."""
        return cross_entropy(logits, Y)[0]
