"""Fitted scikit-learn models as rules, with the link from what the rule computes to what the model predicts."""

import numpy as np
from scipy import sparse

from skimplicit.composition import affine_rule
from skimplicit.networks.feedforward import feedforward

__all__ = ["PREDICTORS"]

# Each converter returns a rule and the name of what comes after it in ``predict_proba`` ("sigmoid", "softmax"; None
# where decision values alone do not give probabilities) or, for a regressor, in ``predict`` ("exp").


def _linear(model):
    coef = model.coef_ if sparse.issparse(model.coef_) else np.atleast_2d(model.coef_)
    # One intercept may stand for all outputs.
    return affine_rule(coef, np.broadcast_to(np.ravel(model.intercept_), coef.shape[0])), None


def _logistic(model):
    rule, _ = _linear(model)
    return rule, "softmax" if rule.n_outputs > 1 else "sigmoid"


def _support_vectors(model):
    if model.kernel != "linear":
        raise ValueError(f"A {type(model).__name__} with kernel={model.kernel!r} cannot be converted to a rule.")
    if len(getattr(model, "classes_", ())) > 2 and model.decision_function_shape != "ovo":
        raise ValueError(
            f"A {type(model).__name__} of three classes or more cannot be converted to a rule: its decision values are "
            "votes of pairs. With decision_function_shape='ovo' it can, as can a LinearSVC."
        )
    return _linear(model)


def _latent(model):
    # The mean that it subtracts is in no public attribute, but it predicts with it.
    coef = np.asarray(model.coef_, dtype=float)
    return affine_rule(coef, np.ravel(model.predict(np.zeros((1, coef.shape[1]))))), None


def _logarithmic(model):
    return _linear(model)[0], "exp"


def _tweedie(model):
    identity = model.power <= 0 if model.link == "auto" else model.link == "identity"
    return _linear(model)[0], None if identity else "exp"


def _perceptron(model):
    activation = {"logistic": "sigmoid"}.get(model.activation, model.activation)
    last = {"identity": None, "logistic": "sigmoid"}.get(model.out_activation_, model.out_activation_)
    return feedforward([W.T for W in model.coefs_], model.intercepts_, activation), last


def _own_regressor(model):
    return model.clipped_rule(), None


def _own_classifier(model):
    return model.clipped_rule(), "softmax" if model.rule_.n_outputs > 1 else "sigmoid"


_REGRESSORS = """
    ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV LassoLars LassoLarsCV
    LassoLarsIC LinearRegression MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
    OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV PassiveAggressiveRegressor QuantileRegressor Ridge RidgeCV
    SGDRegressor TheilSenRegressor
""".split()
_CLASSIFIERS = "PassiveAggressiveClassifier Perceptron RidgeClassifier RidgeClassifierCV SGDClassifier".split()

#: How to convert the models that can be converted.
PREDICTORS = {
    "sklearn.linear_model": {
        **dict.fromkeys((*_REGRESSORS, *_CLASSIFIERS), _linear),
        **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV"), _logistic),
        **dict.fromkeys(("PoissonRegressor", "GammaRegressor"), _logarithmic),
        "TweedieRegressor": _tweedie,
    },
    "sklearn.discriminant_analysis": {"LinearDiscriminantAnalysis": _logistic},
    "sklearn.cross_decomposition": dict.fromkeys(("PLSRegression", "PLSCanonical", "CCA"), _latent),
    "sklearn.neural_network": dict.fromkeys(("MLPRegressor", "MLPClassifier"), _perceptron),
    "sklearn.svm": {
        **dict.fromkeys(("LinearSVC", "LinearSVR"), _linear),
        **dict.fromkeys(("SVC", "SVR", "NuSVC", "NuSVR"), _support_vectors),
    },
    "skimplicit": {
        **dict.fromkeys(("ImplicitRegressor", "ImplicitRegressorCV"), _own_regressor),
        **dict.fromkeys(("ImplicitClassifier", "ImplicitClassifierCV"), _own_classifier),
    },
}
