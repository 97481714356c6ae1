"""Fitted scikit-learn transformers as rules: scalers, projections, selections, and the states of this package's own."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skimplicit.activations import hardtanh
from skimplicit.composition import activate, affine_rule, cascade
from skimplicit.networks.exact_types import in_list, names_in, type_name
from skimplicit.rule import ImplicitRule

__all__ = ["TRANSFORMERS", "selection", "steps_of", "transformer_rule"]


def transformer_rule(step):
    """Return the rule that computes what ``step.transform`` does.

    Parameters
    ----------
    step : transformer
        A fitted transformer on the white list.

    Returns
    -------
    ImplicitRule
        Without states, unless the transformer clips or has states of its own.

    Raises
    ------
    TypeError
        If its type is not on the list.
    ValueError
        If its settings cannot be converted.
    """
    convert = in_list(TRANSFORMERS, step)
    if convert is None:
        raise TypeError(
            f"The step {type_name(step)} cannot be converted to a rule. Steps that can: {names_in(TRANSFORMERS)}."
        )
    check_is_fitted(step)
    return convert(step)


def _scaled(gain, offset):
    return affine_rule(sparse.diags_array(np.asarray(gain, dtype=float), format="csr"), offset)


def _standard(step):
    n = step.n_features_in_
    scale = np.ones(n) if step.scale_ is None else np.asarray(step.scale_, dtype=float)
    return _scaled(1 / scale, -step.mean_ / scale if step.with_mean else np.zeros(n))


def _robust(step):
    n = step.n_features_in_
    scale = np.asarray(step.scale_, dtype=float) if step.with_scaling else np.ones(n)
    return _scaled(1 / scale, -step.center_ / scale if step.with_centering else np.zeros(n))


def _max_abs(step):
    rule = _scaled(1 / np.asarray(step.scale_, dtype=float), np.zeros(step.n_features_in_))
    return activate(rule, hardtanh(-1.0, 1.0)) if getattr(step, "clip", False) else rule


def _min_max(step):
    rule = _scaled(step.scale_, step.min_)
    return activate(rule, hardtanh(*step.feature_range)) if step.clip else rule


def _principal(step):
    W = np.asarray(step.components_, dtype=float)
    if step.whiten:
        spread = np.sqrt(step.explained_variance_)
        W = W / np.maximum(spread, np.finfo(spread.dtype).eps)[:, None]
    return affine_rule(W, -W @ step.mean_)


def _projection(step):
    return affine_rule(step.components_)


def selection(step):
    """Return the rule that keeps the inputs that a fitted selector has selected.

    Parameters
    ----------
    step : selector
        With ``get_support``.

    Returns
    -------
    ImplicitRule
        Without states, D sparse.
    """
    support = step.get_support()
    return affine_rule(sparse.eye_array(support.size, format="csr")[support])


def _identity(step):
    if step.func is not None:
        raise ValueError("A FunctionTransformer with a function of its own cannot be converted to a rule.")
    return affine_rule(sparse.eye_array(step.n_features_in_, format="csr"))


def steps_of(pipeline):
    """Return the steps of a Pipeline that do something.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline.

    Returns
    -------
    list
        Its estimators, "passthrough" left out.
    """
    return [step for _, step in pipeline.steps if step is not None and step != "passthrough"]


def _chain(step):
    inner = steps_of(step)
    if not inner:
        raise ValueError("A Pipeline without steps cannot be converted to a rule.")
    return cascade(*map(transformer_rule, inner))


def _states(step):
    rule = step.clipped_rule()
    # The states that cut the inputs stand behind those of the estimator.
    first = sparse.eye_array(step.rule_.n_hidden, rule.n_hidden, format="csr")
    return ImplicitRule(rule.A, rule.B, first, None, rule.b, None, rule.activation)


_OF_SCORES = ("SelectKBest", "SelectPercentile", "SelectFpr", "SelectFdr", "SelectFwe", "GenericUnivariateSelect")
_OF_MODELS = ("VarianceThreshold", "SelectFromModel", "SequentialFeatureSelector", "RFE", "RFECV")
_OWN = ("ImplicitRegressor", "ImplicitClassifier", "ImplicitRegressorCV", "ImplicitClassifierCV")

#: How to convert the transformers that can be converted.
TRANSFORMERS = {
    "sklearn.preprocessing": {
        "StandardScaler": _standard,
        "RobustScaler": _robust,
        "MaxAbsScaler": _max_abs,
        "MinMaxScaler": _min_max,
        "FunctionTransformer": _identity,
    },
    "sklearn.decomposition": {"PCA": _principal, "IncrementalPCA": _principal, "TruncatedSVD": _projection},
    "sklearn.pipeline": {"Pipeline": _chain},
    "sklearn.random_projection": {"GaussianRandomProjection": _projection, "SparseRandomProjection": _projection},
    "sklearn.feature_selection": dict.fromkeys((*_OF_SCORES, *_OF_MODELS), selection),
    "skimplicit": {"ImplicitFeatureSelector": selection, **dict.fromkeys(_OWN, _states)},
}
