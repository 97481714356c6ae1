"""From fitted scikit-learn models to rules with the same outputs."""

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skimplicit.activations import softmax
from skimplicit.composition import activate, affine_rule, cascade
from skimplicit.networks.feedforward import feedforward
from skimplicit.rule import ImplicitRule

__all__ = ["from_sklearn"]

_ACTIVATIONS = {"logistic": "sigmoid"}  # all others have the same name here


def from_sklearn(model, *, output="decision"):
    """Return the rule that computes what a fitted scikit-learn model does.

    Parameters
    ----------
    model : estimator or Pipeline
        An MLPRegressor or MLPClassifier, a linear model (with ``coef_`` and ``intercept_``), a model with a ``rule_``,
        or a Pipeline that ends in one of these after StandardScaler, MinMaxScaler, MaxAbsScaler or PCA.
    output : {"decision", "probability"}
        What a classifier returns. "decision": the values before the last sigmoid or softmax, what ``decision_function``
        gives if there is one. "probability": after it, as further states; one column, the probability of
        ``classes_[1]``, when there are two classes. Regressors have one output only and ignore it.

    Returns
    -------
    ImplicitRule
        ``predict`` returns two-dimensional outputs, also when the model's are one-dimensional.

    Raises
    ------
    TypeError
        If the model, or a step of the pipeline, cannot be converted; the message names it.
    ValueError
        If it is not fitted, or gives no such output.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skimplicit.networks import from_sklearn
    >>> U = np.array([[0.0], [1.0], [2.0]])
    >>> rule = from_sklearn(LinearRegression().fit(U, [1.0, 3.0, 5.0]))
    >>> rule.predict([[10.0]]).round(6)
    array([[21.]])
    """
    if output not in ("decision", "probability"):
        raise ValueError(f"output must be 'decision' or 'probability', got {output!r}.")
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        if not steps:
            raise TypeError("A Pipeline without steps cannot be converted.")
        return cascade(*map(_preprocessing, steps[:-1]), from_sklearn(steps[-1], output=output))
    if isinstance(getattr(model, "rule_", None), ImplicitRule):
        rule, last = model.rule_, "softmax" if model.rule_.n_outputs > 1 else "sigmoid"
    elif isinstance(model, MLPRegressor | MLPClassifier):
        rule, last = _perceptron(model)
    elif hasattr(model, "coef_") and hasattr(model, "intercept_"):
        rule, last = _linear(model)
    else:
        check_is_fitted(model)
        raise TypeError(f"A {type(model).__name__} cannot be converted to a rule.")
    if output == "decision" or not hasattr(model, "classes_"):
        return rule
    if not hasattr(model, "predict_proba") or last is None:
        raise ValueError(f"This {type(model).__name__} has no probabilities of its decision values alone.")
    return activate(rule, softmax(rule.n_outputs) if last == "softmax" else "sigmoid")


def _perceptron(model):
    check_is_fitted(model)
    last = {"identity": None, "logistic": "sigmoid", "softmax": "softmax"}
    if model.out_activation_ not in last:
        raise TypeError(
            f"An output activation {model.out_activation_!r} cannot be part of a rule: its slope is unbounded."
        )
    activation = _ACTIVATIONS.get(model.activation, model.activation)
    return feedforward([W.T for W in model.coefs_], model.intercepts_, activation), last[model.out_activation_]


def _linear(model):
    coef = model.coef_ if sparse.issparse(model.coef_) else np.atleast_2d(model.coef_)
    rule = affine_rule(coef, np.broadcast_to(model.intercept_, coef.shape[0]))
    # Only for logistic regression are probabilities the sigmoid or the softmax of the decision values.
    if type(model).__name__ not in ("LogisticRegression", "LogisticRegressionCV"):
        return rule, None
    return rule, "softmax" if rule.n_outputs > 1 else "sigmoid"


def _preprocessing(step):
    """Return the affine rule of a transformer."""
    if isinstance(step, StandardScaler | MaxAbsScaler):
        check_is_fitted(step)
        n = step.n_features_in_
        scale = np.ones(n) if step.scale_ is None else step.scale_
        mean = getattr(step, "mean_", None) if getattr(step, "with_mean", False) else None
        return affine_rule(sparse.diags_array(1 / scale, format="csr"), np.zeros(n) if mean is None else -mean / scale)
    if isinstance(step, MinMaxScaler):
        check_is_fitted(step)
        if step.clip:
            raise TypeError("A MinMaxScaler that clips cannot be converted to a rule.")
        return affine_rule(sparse.diags_array(step.scale_, format="csr"), step.min_)
    if isinstance(step, PCA):
        check_is_fitted(step)
        W = step.components_
        if step.whiten:
            W = W / np.sqrt(step.explained_variance_)[:, None]
        return affine_rule(W, -W @ step.mean_)
    raise TypeError(f"The pipeline step {type(step).__name__} cannot be converted to a rule.")
