"""From fitted scikit-learn models to rules with the same outputs."""

from typing import Any

from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skimplicit.activations import Exponential, softmax
from skimplicit.composition import activate, affine_rule, cascade
from skimplicit.networks.comparison import compare
from skimplicit.networks.exact_types import in_list, names_in, type_name
from skimplicit.networks.sklearn_predictors import PREDICTORS
from skimplicit.networks.sklearn_transformers import selection, steps_of, transformer_rule
from skimplicit.rule import ImplicitRule

__all__ = ["from_sklearn"]


def from_sklearn(model: Any, *, output: str = "decision") -> ImplicitRule:
    """Return the rule that computes what a fitted scikit-learn model does.

    Parameters
    ----------
    model : estimator, Pipeline or search
        See the notes for what can be converted.
    output : {"decision", "probability"}
        Outputs for a classifier. "decision": the values before the last sigmoid or softmax, which are those of
        ``decision_function`` if there is one. "probability": the probabilities, as further states; for two classes one
        column, the probability of ``classes_[1]``. A regressor has only "decision", the values of ``predict``.

    Returns
    -------
    ImplicitRule
        ``predict`` returns two-dimensional outputs, also when the model's are one-dimensional.

    Raises
    ------
    TypeError
        If the model, or a step of the pipeline, is of another type than those below, be it a subclass of one; the
        message names it.
    ValueError
        If it is not fitted, its settings are not among those below, it gives no such output, or the rule differs from
        the model on sample points.

    See Also
    --------
    from_torch : The same for torch.
    skimplicit.ImplicitRegressor.from_rule : Back to an estimator.
    skimplicit.distill.distill : A sparse rule with the states of a network.

    Notes
    -----
    What can be converted, by exact type, for a subclass may compute anything:

    - MLPRegressor and MLPClassifier;
    - linear models: of ``linear_model`` LinearRegression, Ridge, Lasso, ElasticNet, MultiTaskLasso, Lars,
      OrthogonalMatchingPursuit and their relatives with cross-validation, BayesianRidge, ARDRegression, HuberRegressor,
      QuantileRegressor, TheilSenRegressor, SGDRegressor, SGDClassifier, Perceptron, RidgeClassifier and
      LogisticRegression; LinearSVR, LinearSVC and LinearDiscriminantAnalysis; PLSRegression, PLSCanonical and CCA;
      SVR, NuSVR, SVC and NuSVC with a linear kernel (of three classes, with ``decision_function_shape="ovo"``);
    - PoissonRegressor, GammaRegressor and TweedieRegressor, the exponential of a logarithmic link as output states;
    - the regressors and classifiers of this package, its feature selector, and rules in them;
    - a Pipeline that ends in one of these, after StandardScaler, RobustScaler, MaxAbsScaler or MinMaxScaler (clipping
      as further states), PCA, IncrementalPCA, TruncatedSVD, random projections, the selectors of ``feature_selection``,
      a FunctionTransformer without a function, or an estimator of this package, whose ``transform`` gives its states;
    - TransformedTargetRegressor of one of these, its targets scaled by such a scaler without clipping;
    - GridSearchCV, RandomizedSearchCV and the halving searches, refitted on one of these.

    Every rule is compared with its model, on random points about the centre of what the model has learned and far
    outside, before it is returned.

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
    rule, link = _convert(model)
    name, classifies = type_name(model), hasattr(model, "classes_")
    if output == "probability" and not classifies:
        raise ValueError(f"output='probability' is for classifiers; this {name} predicts numbers: use 'decision'.")
    if output == "probability" and link is None:
        raise ValueError(f"This {name} has no probabilities of its decision values alone.")
    linked = _linked(rule, link)
    if not classifies:
        compare(linked, model.predict, name, _CONVERTIBLE)
        return linked
    if output == "probability" or not hasattr(model, "decision_function"):

        def probabilities(U):
            # Of two classes the second: a single sigmoid. Of several labels, all.
            return model.predict_proba(U)[:, -linked.n_outputs :]

        compare(linked, probabilities, name, _CONVERTIBLE)
    else:
        compare(rule, model.decision_function, name, _CONVERTIBLE)
    return rule if output == "decision" else linked


def _linked(rule, link):
    """Return the rule with its link as further states."""
    if link is None:
        return rule
    phi = {"softmax": softmax(max(rule.n_outputs, 1)), "exp": Exponential()}.get(link, link)
    return activate(rule, phi)


def _convert(model):
    """Return the rule of a fitted model, and its link."""
    inside = in_list(_MADE_OF_MODELS, model)
    if inside is not None:
        return inside(model)
    convert = in_list(PREDICTORS, model)
    if convert is None:
        raise TypeError(f"A {type_name(model)} cannot be converted to a rule. What can be converted: {_CONVERTIBLE}.")
    check_is_fitted(model)
    return convert(model)


def _pipeline(model):
    if not steps_of(model) or model.steps[-1][1] in (None, "passthrough"):
        raise ValueError("A Pipeline that does not end in a model cannot be converted to a rule.")
    *before, last = steps_of(model)
    rule, link = _convert(last)
    return cascade(*map(transformer_rule, before), rule), link


def _search(model):
    check_is_fitted(model)
    if not hasattr(model, "best_estimator_"):
        raise ValueError(f"This {type(model).__name__} has refit=False and no best estimator to convert.")
    return _convert(model.best_estimator_)


def _selected(model):
    check_is_fitted(model)
    rule, link = _convert(model.estimator_)
    support = model.get_support()
    # Where none is selected the rule sees a column of zeros.
    seen = selection(model) if support.any() else affine_rule(sparse.csr_array((1, support.size)))
    return cascade(seen, rule), link


def _transformed_target(model):
    check_is_fitted(model)
    forward = transformer_rule(model.transformer_)
    gain = forward.D.diagonal()
    scales = forward.n_hidden == 0 and forward.n_inputs == forward.n_outputs and gain.all()
    if not scales or abs(forward.D - sparse.diags_array(gain)).max() > 0:
        raise ValueError(
            f"A TransformedTargetRegressor with the transformer {type_name(model.transformer_)} and these settings "
            "cannot be converted to a rule: only one that scales and shifts each target can."
        )
    backward = affine_rule(sparse.diags_array(1 / gain, format="csr"), -forward.c / gain)
    return cascade(_linked(*_convert(model.regressor_)), backward), None


#: How to convert the models that are made of others.
_MADE_OF_MODELS = {
    "sklearn.pipeline": {"Pipeline": _pipeline},
    "sklearn.compose": {"TransformedTargetRegressor": _transformed_target},
    "sklearn.model_selection": dict.fromkeys(
        ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"), _search
    ),
    "skimplicit": {"ImplicitFeatureSelector": _selected},
}
_CONVERTIBLE = names_in(PREDICTORS, _MADE_OF_MODELS)
