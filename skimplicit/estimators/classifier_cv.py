"""ImplicitClassifierCV: the ridge chosen by cross-validated log-loss along a warm-started path."""

from typing import TYPE_CHECKING, Unpack

from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.estimators.classifier import ImplicitClassifier
from skimplicit.estimators.parameter_types import ClassifierCVParameters
from skimplicit.losses import cross_entropy
from skimplicit.parameters import Attribute

__all__ = ["ImplicitClassifierCV"]


class ImplicitClassifierCV(RidgePathMixin, ImplicitClassifier):
    """Classification with ``alpha`` chosen by log-loss: ``alpha_ = argmin mean_folds -log p_alpha(y)``.

    On every stratified fold one run goes through the ridges from the smallest to the largest, each started from the
    rule of the one before. The rule is then fitted to all data at ``alpha_``. The log-loss of a held-out fold is that
    of the objective: samples weigh there what they weigh in training, ``class_weight`` included. A class without a
    sample in the training part of a fold is part of the model all the same, with a probability near zero.
    Balanced weights of the classes are those of all data.

    ``verbose`` is that of the fit to all data.

    {parameters}

    {attributes}

    See Also
    --------
    ImplicitClassifier : Alpha chosen by the rows that its members have not seen.
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
    _fixed_alpha_class = ImplicitClassifier
    _path_name = "log_loss_path_"

    if TYPE_CHECKING:

        def __init__(self, **parameters: Unpack[ClassifierCVParameters]) -> None: ...

    @staticmethod
    def _sample_losses(logits, Y):
        """Return the log-loss of each sample, shape (m,)."""
        return cross_entropy(logits, Y)[0]
