"""How good a rule is on the held-out samples of a fold: larger is better, with one number for a constant prediction."""

import inspect
from numbers import Real

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring

from skimplicit.losses import cross_entropy
from skimplicit.rows import ROUNDING
from skimplicit.rule import ImplicitRule

__all__ = ["HeldOutSkill", "ScorerOnFolds", "constant_prediction", "constant_score", "make_judge"]


class HeldOutSkill:
    """Share of the held-out loss of a constant that a rule removes: ``1 - mean_k loss_k / mean_folds null_k``.

    The loss is the squared error of each target k, or the log-loss; samples weigh what they weigh in training. The loss
    of the constant, the mean or the shares of the classes in the training part, is averaged over the folds, so that a
    fold may be a single sample.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        What kind of rule it is.
    data : SelectionData
        The data.
    folds : list of tuple of ndarray
        Training and held-out rows.
    """

    def __init__(self, estimator, data, folds):
        self.of_classes = is_classifier(estimator)
        self.targets = data.targets
        self.folds = folds
        # Each target in a power of two near its size: no square overflows or vanishes, and the shares stay the same.
        self._exponents = np.frexp(np.abs(data.targets.Y[data.counted]).max(axis=0))[1]
        nulls = [
            self._mean(self._losses(constant_prediction(data, train, self.of_classes), test), test)
            for train, test in folds
        ]
        self.null = np.mean(nulls, axis=0)
        # A target without variance says nothing about the inputs, nor does what rounding leaves of its mean.
        self._varies = self.null > ROUNDING**2

    def _losses(self, predictions, rows):
        """Return the loss of some rows and each target, for a prediction of each row or one of all."""
        Y = self.targets.Y[rows]
        predictions = np.broadcast_to(predictions, Y.shape)
        if self.of_classes:
            return cross_entropy(predictions, Y)[0][:, None]
        return np.ldexp(predictions - Y, -self._exponents) ** 2

    def _mean(self, losses, rows):
        return np.average(losses, axis=0, weights=None if self.targets.weights is None else self.targets.weights[rows])

    def shares(self, predictions, rows):
        """Return the loss of some rows as a share of the loss of a constant, (k,), for predictions of shape (k, q)."""
        losses, varies = self._losses(predictions, rows), self._varies
        return np.mean(losses[:, varies] / self.null[varies], axis=1) if varies.any() else np.ones(len(losses))

    def __call__(self, model, X, number):
        """Return the score of a fitted estimator on the held-out inputs of a fold."""
        test = self.folds[number][1]
        return float(1.0 - self._mean(self.shares(model.rule_.predict(X), test), test))


class ScorerOnFolds:
    """A scorer of scikit-learn's kind, ``scorer(estimator, X, y)``, on held-out samples.

    Parameters
    ----------
    scorer : callable
        The scorer; gets ``sample_weight`` too where there are weights and it takes them.
    data : SelectionData
        The data.
    folds : list of tuple of ndarray
        Training and held-out rows.
    """

    def __init__(self, scorer, data, folds):
        self.scorer = scorer
        self.data = data
        self.folds = folds
        self.takes_weights = _takes_weights(scorer)

    def __call__(self, model, X, number):
        """Return the score of a fitted estimator on the held-out inputs of a fold."""
        _, y, weights = self.data.rows(self.folds[number][1])
        weighted = {"sample_weight": weights} if weights is not None and self.takes_weights else {}
        try:
            score = self.scorer(model, X, y, **weighted)
        except ValueError as error:  # that a constant can be judged was seen before the work, but not all predictions
            raise ValueError(f"scoring fails on the held-out rows of fold {number} of cv: {error}") from error
        score = score.item() if getattr(score, "size", 0) == 1 else score  # an array of one number, as in scikit-learn
        if not (isinstance(score, Real) and np.isfinite(score)):
            raise ValueError(f"scoring must give a finite number, got {score!r} on fold {number} of cv.")
        return float(score)


def _takes_weights(scorer):
    """Tell whether a scorer takes weights of samples; the call of one of scikit-learn's does, but not every metric."""
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    parameters = inspect.signature(scorer).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def make_judge(scoring, estimator, data, folds):
    """Return what scores rules on held-out samples.

    Parameters
    ----------
    scoring : str, callable or None
        The scorer; None for the share of the loss that is removed.
    estimator : ImplicitRegressor or ImplicitClassifier
        Unfitted.
    data : SelectionData
        The data.
    folds : list of tuple of ndarray
        Training and held-out rows.

    Returns
    -------
    HeldOutSkill or ScorerOnFolds
        The judge.
    """
    if scoring is None:
        return HeldOutSkill(estimator, data, folds)
    return ScorerOnFolds(check_scoring(estimator, scoring=scoring), data, folds)


def constant_prediction(data, train, of_classes):
    """Return the best constant prediction on training rows: the mean, or the logits of the shares of the classes.

    Parameters
    ----------
    data : SelectionData
        The data.
    train : ndarray of int
        The rows.
    of_classes : bool
        Whether the targets are classes.

    Returns
    -------
    ndarray of shape (q,)
        The prediction.
    """
    Y, weights = data.targets.Y[train], data.targets.weights
    mean = np.average(Y, axis=0, weights=None if weights is None else weights[train])
    if not of_classes:
        return mean
    half = 0.5 / len(train)  # a class that is missing counts half a sample, or its loss would drown all others
    shares = np.clip(mean, half, 1.0 - half)
    return np.log(shares) - (np.log1p(-shares) if shares.size == 1 else 0.0)


def constant_score(judge, estimator, data, folds):
    """Return the mean held-out score of a constant prediction.

    Parameters
    ----------
    judge : HeldOutSkill or ScorerOnFolds
        What scores.
    estimator : ImplicitRegressor or ImplicitClassifier
        Unfitted.
    data : SelectionData
        The data.
    folds : list of tuple of ndarray
        Training and held-out rows.

    Returns
    -------
    float
        The score.
    """
    scores = []
    for number, (train, test) in enumerate(folds):
        model, c = clone(estimator), constant_prediction(data, train, is_classifier(estimator))
        rule = ImplicitRule(np.zeros((1, 1)), np.zeros((1, data.X.shape[1])), np.zeros((c.size, 1)), c=c)
        vars(model).update(model._fitted_attributes(data.targets, None, [rule]))
        scores.append(judge(model, data.X[test], number))
    return float(np.mean(scores))
