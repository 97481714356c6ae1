"""Fitted estimators around a rule that was not trained here: converted, distilled, composed."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse

from skimplicit.activations import ACTIVATIONS
from skimplicit.composition import affine, check_rule
from skimplicit.estimators.automatic import HELD_OUT_ATTRIBUTES
from skimplicit.estimators.importance import input_importances
from skimplicit.estimators.monotonic import in_place
from skimplicit.estimators.validation import as_labels
from skimplicit.linalg import to_dense
from skimplicit.wellposedness import perron_certificate, sensitivity

__all__ = ["FromRuleMixin", "rule_of_classes", "to_start_from"]

# What only training can tell, beside what held-out rows tell.
_OF_TRAINING = (
    "alpha_",
    "best_validation_score_",
    "column_budget_",
    "relevance_",
    "validation_scores_",
    "_beginning",
    "_direct_ridge",
    "_progress",
    "_units",
)


class FromRuleMixin:
    """An estimator that can be made around a rule; subclasses offer ``from_rule``."""

    @classmethod
    def _around(cls, rule, attributes, parameters):
        """Return a fitted estimator with a rule, the attributes of its targets and parameters for its constructor."""
        taken = sorted({"n_hidden", "activation"} & parameters.keys())
        if taken:
            raise TypeError(
                f"from_rule takes {' and '.join(taken)} from the rule; leave {'them' if taken[1:] else 'it'} out."
            )
        known = ACTIVATIONS.get(rule.activation.name) == rule.activation
        # Nothing says what range of inputs the rule was made for.
        parameters = {"clip": False, **parameters}
        # Without states there is nothing to go on from: a fit would start with the default number.
        size = {"n_hidden": rule.n_hidden} if rule.n_hidden else {}
        model = cls(**size, activation=rule.activation.name if known else rule.activation, **parameters)
        untold = dict.fromkeys((*HELD_OUT_ATTRIBUTES, *_OF_TRAINING))
        told = {
            "rule_": rule,
            "rules_": [rule],
            "n_features_in_": rule.n_inputs,
            "n_iter_": 0,
            "objective_history_": np.empty(0),
            "objective_stages_": np.empty(0, dtype=int),
            "column_norms_": _largest_in_columns(rule.B),
            "_n_features_out": rule.n_hidden,
        }
        vars(model).update({**untold, **told, **attributes})
        return model

    @cached_property
    def sensitivity_(self):
        """Bound S on all derivatives, of a rule that was not trained here; infinite where nothing is certified."""
        return sensitivity(self._rule_for("sensitivity_"))

    @cached_property
    def feature_importances_(self):
        """Those over the rows of the last ``partial_fit``, when first asked for; without rows the mean of ``S_ij``.

        The latter, over outputs i, is the bound, for inputs and targets of deviation one.
        """
        self._rule_for("feature_importances_")
        rows = vars(self).get("_judged_rows")
        if rows is None:
            return np.mean(self.sensitivity_, axis=0)
        importances = input_importances(self.rules_, rows, self.sensitivity_ > 0)
        # Once they are stored: what another thread, or an interrupted look, finds before that are still the rows.
        self.feature_importances_ = importances
        self._judged_rows = None
        return importances

    def _judge_by(self, rows, now):
        """Let the importances be those over some rows, at once or when somebody looks.

        After a partial_fit they wait: they take a good part of the time of a pass.
        """
        vars(self).pop("feature_importances_", None)
        self._judged_rows = rows
        if now:
            self.feature_importances_  # noqa: B018

    def __getstate__(self):
        """Store the importances in the place of the rows that they are waiting for."""
        if vars(self).get("_judged_rows") is not None:
            self.feature_importances_  # noqa: B018
        return super().__getstate__()

    def _rule_for(self, name):
        rule = vars(self).get("rule_")
        if rule is None:
            raise AttributeError(f"This {type(self).__name__} has no {name} before it is fitted.")
        return rule


def rule_of_classes(rule, classes):
    """Return the rule with the logits of sorted classes, and these.

    Parameters
    ----------
    rule : ImplicitRule
        One logit, of the second of two classes, or one for each class.
    classes : array-like of shape (n_classes,)
        Labels, in the order of the outputs.

    Returns
    -------
    rule : ImplicitRule
        The outputs in the order of the sorted labels; for two classes the one logit that the estimators have, the
        difference of two.
    classes : ndarray of shape (n_classes,)
        Sorted labels.

    Raises
    ------
    TypeError
        If it is not a rule.
    ValueError
        If labels repeat or one is missing, or their number does not fit the outputs.
    """
    q, classes = check_rule(rule).n_outputs, as_labels(classes)
    if classes.ndim != 1 or classes.size != max(q, 2) or np.unique(classes).size != classes.size:
        raise ValueError(
            f"classes must be {max(q, 2)} different labels, for the {q} output{'s' * (q != 1)} of the rule, "
            f"got {classes.tolist()}."
        )
    order = np.argsort(classes)
    if classes.size > 2:
        G = None if np.array_equal(order, np.arange(q)) else np.eye(q)[order]
    else:
        sign = 1.0 if order[0] == 0 else -1.0
        G = np.array([[-sign, sign]]) if q == 2 else None if sign > 0 else np.array([[-1.0]])
    return (rule if G is None else affine(rule, G=G)), classes[order]


def to_start_from(rule, constraints):
    """Return a rule of dense matrices as training can start from it.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    constraints : Constraints
        The bound kappa on the infinity norm of A, and signs of weights, for which states can change places.

    Returns
    -------
    ImplicitRule
        The same map, rescaled into the bound where its activation allows it and its A has it in it. Another rule stays
        outside; training projects its weights.
    """
    rule, kappa = replace(rule, **{name: to_dense(getattr(rule, name)) for name in "ABCD"}), constraints.kappa
    if constraints.row_set is not None and constraints.row_set.signs is not None and constraints.structure is None:
        rule = in_place(rule)
    fits = rule.inf_norm <= kappa or kappa == 0 or not rule.activation.homogeneous
    if fits or perron_certificate(rule.A, 1.0 / kappa, rule.activation.groups) is None:
        return rule
    return rule.rescaled(kappa)


def _largest_in_columns(B):
    """Return ``max_i |B_ij|`` of a dense or sparse matrix, zeros where it has no rows."""
    if B.shape[0] == 0:
        return np.zeros(B.shape[1])
    largest = abs(B).max(axis=0)
    return largest.toarray().ravel() if sparse.issparse(largest) else largest
