"""What a bound needs of a model: its rule, where the model cuts its inputs, and its labels."""

from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skimplicit.linalg import to_dense
from skimplicit.rule import ImplicitRule

__all__ = ["OpenedModel", "open_model"]


@dataclass(frozen=True)
class OpenedModel:
    """A rule with what surrounds it.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    limits : tuple of ndarray of shape (p,), or None
        Least and largest value at which inputs are cut before they reach the rule.
    classes : ndarray or None
        Labels, when the outputs of the rule are logits: two for one output, else one for each.
    """

    rule: ImplicitRule
    limits: tuple | None = None
    classes: np.ndarray | None = None

    def cut(self, U):
        """Return the inputs as the rule sees them."""
        return U if self.limits is None else np.clip(to_dense(U), *self.limits)

    def label_codes(self, y, n_samples):
        """Return the place of each label among the classes, (m,).

        Parameters
        ----------
        y : array-like of shape (m,)
            Labels.
        n_samples : int
            m.

        Returns
        -------
        ndarray of int of shape (m,)
            Places.

        Raises
        ------
        ValueError
            If the shape does not fit or a label is not one of the classes.
        """
        y = np.asarray(y)
        if y.shape != (n_samples,):
            raise ValueError(f"y must have shape ({n_samples},), got {y.shape}.")
        known = set(self.classes.tolist())
        unknown = list(dict.fromkeys(label for label in y.tolist() if label not in known))  # None has no order
        if unknown:
            raise ValueError(f"y has labels that are not among the classes: {unknown[:5]}.")
        order = np.argsort(self.classes, kind="stable")
        return order[np.searchsorted(self.classes, y, sorter=order)]

    def labels(self, outputs):
        """Return the places of the labels that outputs stand for, (m,)."""
        return (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)

    def margins_of(self, code):
        """Return G with ``G y > 0`` exactly where the outputs y say this label: logit differences, (k, q)."""
        q = self.rule.n_outputs
        if q == 1:
            return np.array([[1.0 if code else -1.0]])
        return np.delete(np.eye(q)[code] - np.eye(q), code, axis=0)


def open_model(model, classes=None, *, labelled=False):
    """Return the rule of a model with what surrounds it.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule, or a fitted estimator with a ``rule_`` in the units of its inputs.
    classes : array-like or None
        Labels of the outputs; None for those of the model, or 0, 1, ... of a rule.
    labelled : bool
        Whether the outputs have to be logits.

    Returns
    -------
    OpenedModel
        The rule with its surroundings.

    Raises
    ------
    TypeError
        If there is no rule, or an estimator has no classes where they are needed.
    ValueError
        If the number of classes does not fit the outputs.
    """
    limits = None
    if isinstance(model, ImplicitRule):
        rule = model
    else:
        if hasattr(model, "fit") and hasattr(model, "clipped_rule"):
            check_is_fitted(model)
        rule = getattr(model, "rule_", None)
        if not isinstance(rule, ImplicitRule):
            if isinstance(model, Pipeline) and hasattr(model[-1], "rule_"):
                advice = "give its last step, model[-1], and inputs as this sees them, model[:-1].transform(X)"
            elif hasattr(model, "support_") and hasattr(getattr(model, "estimator_", None), "rule_"):  # of a selection
                advice = "give its refitted rule, model.estimator_, and inputs as this sees them, model.transform(X)"
            else:
                advice = "skimplicit.networks.from_sklearn and from_torch make rules of networks and of pipelines"
            raise TypeError(
                f"Expected an ImplicitRule or a fitted estimator with a rule_, got {type(model).__name__}; {advice}."
            )
        if labelled and classes is None and not hasattr(model, "classes_"):
            raise TypeError(f"Certificates of labels need a classifier, got {type(model).__name__}.")
        classes = getattr(model, "classes_", None) if classes is None else classes
        rule, limits = _with_limits(model, rule)
    if not labelled and classes is None:
        return OpenedModel(rule, limits)
    n_classes = max(rule.n_outputs, 2)
    classes = np.arange(n_classes) if classes is None else np.asarray(classes)
    if classes.shape != (n_classes,) or np.unique(classes).size != n_classes:
        raise ValueError(f"classes must be {n_classes} different labels to fit the outputs, got {classes.tolist()}.")
    return OpenedModel(rule, limits, classes)


def _with_limits(model, rule):
    """Return the rule of an estimator and where it cuts its inputs.

    An estimator that cuts says so by ``clipped_rule()``. When it also says where (``_input_range``, with ``lower`` and
    ``upper``), boxes are cut, which is exact; otherwise the rule that cuts by states of its own is taken.
    """
    if not hasattr(model, "clipped_rule"):
        return rule, None
    if not hasattr(model, "_input_range"):
        return model.clipped_rule(), None
    found = model._input_range
    return rule, None if found is None else (np.asarray(found.lower, float), np.asarray(found.upper, float))
