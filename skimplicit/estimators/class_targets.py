"""Labels of classes as targets: indicators, and the weights of the classes in those of the samples."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skimplicit.estimators.targets import EncodedTargets
from skimplicit.losses import class_indicators

__all__ = ["check_present", "class_targets"]


def class_targets(y, codes, classes, class_weight, sample_weight):
    """Return labels as training takes them.

    Parameters
    ----------
    y : ndarray of shape (m,)
        The labels.
    codes : ndarray of int of shape (m,)
        Their places among the classes.
    classes : ndarray of shape (n_classes,)
        All labels that there are.
    class_weight : dict, "balanced" or None
        Weights of the classes, as an estimator has them.
    sample_weight : ndarray of shape (m,) or None
        Weights of the samples.

    Returns
    -------
    EncodedTargets
        The targets.

    Raises
    ------
    ValueError
        If a weight of a class is no finite number of at least 0.
    """
    per_class = None
    if class_weight is not None:
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        # Balanced weights are those of the classes that count: the share of another is zero.
        known = classes[np.unique(codes[weights > 0])] if class_weight == "balanced" else classes
        rows, per_class = np.isin(y, known), np.zeros(classes.size)
        per_class[np.isin(classes, known)] = compute_class_weight(
            class_weight, classes=known, y=y[rows], sample_weight=weights[rows]
        )
        if not np.all(np.isfinite(per_class) & (per_class >= 0)):
            raise ValueError(f"class_weight must be finite and at least 0, got {class_weight!r}.")
        sample_weight = per_class[codes] * weights
    Y = class_indicators(codes, classes.size)
    return EncodedTargets(Y, sample_weight, False, {"classes_": classes}, per_class)


def check_present(estimator, classes, codes, weights, name):
    """Refuse less than two classes that have a sample of positive weight.

    Parameters
    ----------
    estimator : ImplicitClassifier
        Who needs them, for the message.
    classes : ndarray of shape (n_classes,)
        The labels.
    codes : ndarray of int of shape (m,)
        The class of each sample.
    weights : ndarray of shape (m,) or None
        Weights of the samples.
    name : str
        The parameter to blame for them.

    Raises
    ------
    ValueError
        If there are none, or one.
    """
    present = classes[np.unique(codes if weights is None else codes[weights > 0])]
    if present.size < 2:
        weighted = "" if weights is None else f" with a positive {name}"
        number = "no class" if present.size == 0 else f"1 class: {present.tolist()}"
        raise ValueError(f"{type(estimator).__name__} needs samples of at least 2 classes{weighted}, got {number}.")
