"""From inputs to what an estimator predicts, as ONNX nodes around the states of its rule."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skimplicit.estimators import ImplicitClassifier, ImplicitClassifierCV, ImplicitRegressor, ImplicitRegressorCV
from skimplicit.export.states import WrittenStates, write_states
from skimplicit.linalg import to_dense
from skimplicit.rows import InputRange
from skimplicit.rule import ImplicitRule
from skimplicit.selection import ImplicitFeatureSelector

__all__ = [
    "ESTIMATORS",
    "ExportedModel",
    "check_labels",
    "open_model",
    "write_classes",
    "write_inputs",
    "write_readout",
    "write_selected",
    "write_selection",
]

#: The estimators that can be exported, by exact type.
ESTIMATORS = (ImplicitRegressor, ImplicitRegressorCV, ImplicitClassifier, ImplicitClassifierCV)


@dataclass(frozen=True)
class ExportedModel:
    """A rule with what surrounds it.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    limits : InputRange or None
        Where inputs are cut.
    support : ndarray of bool or None
        Which inputs the rule sees.
    labels : ndarray of int64 or of str, or None
        Labels of the classes, of which the rule has a logit each.
    """

    rule: ImplicitRule
    limits: InputRange | None = None
    support: np.ndarray | None = None
    labels: np.ndarray | None = None

    @property
    def n_inputs(self):
        """Number of inputs of the model."""
        return self.rule.n_inputs if self.support is None else self.support.size


def open_model(model):
    """Return the :class:`ExportedModel` of a rule or an estimator.

    Parameters
    ----------
    model : ImplicitRule or estimator
        The model.

    Returns
    -------
    ExportedModel
        What is to be written.

    Raises
    ------
    TypeError
        If it is of another type than those of this package.
    """
    if isinstance(model, ImplicitRule):
        return ExportedModel(model)
    if type(model) is ImplicitFeatureSelector:
        check_is_fitted(model)
        return replace(open_model(model.estimator_), support=model.support_)
    if type(model) not in ESTIMATORS:
        parents = [kind.__name__ for kind in (*ESTIMATORS, ImplicitFeatureSelector) if isinstance(model, kind)]
        raise TypeError(
            f"model must be an ImplicitRule or an estimator of skimplicit, got {type(model).__name__}"
            + (f": a subclass of {parents[0]} may compute anything." if parents else ".")
            + " For a pipeline call register_onnx_converters() and then skl2onnx.to_onnx."
        )
    check_is_fitted(model)
    if not hasattr(model, "classes_"):
        return ExportedModel(model.rule_, model._input_range)
    return ExportedModel(_with_all_logits(model.rule_), model._input_range, labels=check_labels(model.classes_))


def _with_all_logits(rule):
    """Return the rule with a logit for each of two classes, 0 for the first."""
    if rule.n_outputs > 1:
        return rule
    C, D = (np.vstack([np.zeros_like(M), M]) for M in (to_dense(rule.C), to_dense(rule.D)))
    return replace(rule, C=C, D=D, c=np.concatenate([[0.0], rule.c]))


def check_labels(classes):
    """Return labels as ONNX has them.

    Parameters
    ----------
    classes : ndarray
        Labels.

    Returns
    -------
    ndarray of int64 or of str
        The same; whole numbers of another type, and truths, as integers.

    Raises
    ------
    ValueError
        If they are neither integers of 64 bits nor strings.
    """
    values = classes.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    if all(isinstance(value, (bool, int, float)) and value == int(value) for value in values):
        whole = [int(value) for value in values]
        if max(whole, default=0) < 2**63 and min(whole, default=0) >= -(2**63):
            return np.array(whole, dtype=np.int64)
    raise ValueError(f"classes_ must be integers or strings for ONNX, integers of 64 bits, got {values}.")


def write_inputs(graph, model, X, dtype):
    """Add the choice of inputs, the cast to the arithmetic and the cut; return the name of what the rule sees.

    Parameters
    ----------
    graph : Graph
        Where to add.
    model : ExportedModel
        The model.
    X : str
        Its inputs.
    dtype : numpy.dtype
        Their type.

    Returns
    -------
    str
        The inputs of the rule.
    """
    U = X if model.support is None else write_selected(graph, model.support, X)
    U = U if np.dtype(dtype) == graph.dtype else graph.cast(U, graph.dtype)
    if model.limits is not None:
        U = graph.node("Max", U, graph.constant(model.limits.lower.astype(float)))
        U = graph.node("Min", U, graph.constant(model.limits.upper.astype(float)))
    return U


def write_selection(graph, support, X):
    """Add the choice of some columns.

    Parameters
    ----------
    graph : Graph
        Where to add.
    support : ndarray of bool of shape (p,)
        Which columns.
    X : str
        All columns.

    Returns
    -------
    str
        The columns.
    """
    return graph.node("Gather", X, graph.constant(np.flatnonzero(support).astype(np.int64)), axis=1)


def write_selected(graph, support, X):
    """Add what the refitted rule of a selector sees.

    Parameters
    ----------
    graph : Graph
        Where to add.
    support : ndarray of bool of shape (p,)
        Which columns are selected.
    X : str
        All columns.

    Returns
    -------
    str
        The columns; of none a column of zeros.
    """
    if support.any():
        return write_selection(graph, support, X)
    first = write_selection(graph, np.arange(support.size) == 0, X)
    return graph.node("Sub", first, first)  # zeros in the type of X


def write_readout(graph, rule, U, stopping):
    """Add ``C x + D u + c``.

    Parameters
    ----------
    graph : Graph
        Where to add.
    rule : ImplicitRule
        The rule.
    U : str
        Its inputs.
    stopping : Stopping
        When loops end.

    Returns
    -------
    outputs : str
        The outputs.
    states : WrittenStates
        The states they are read from.
    """
    states: WrittenStates = write_states(graph, rule, U, stopping)
    if states.name is None:
        return graph.affine(U, rule.D, rule.c), states
    Y = graph.affine(states.name, rule.C[:, states.order], rule.c)
    if rule.D.nonzero()[0].size:
        Y = graph.node("Add", Y, graph.affine(U, rule.D))
    return Y, states


def write_classes(graph, labels, logits, raw_scores=False):
    """Add label and probabilities of the classes.

    Parameters
    ----------
    graph : Graph
        Where to add.
    labels : ndarray of shape (n_classes,)
        Labels, as :func:`check_labels` returns them.
    logits : str
        A logit for each; of two classes zero for the first.
    raw_scores : bool
        Whether decision values take the place of probabilities, of two classes -z and z, as sklearn-onnx has them.

    Returns
    -------
    label, probabilities : str
        Their names.
    """
    place = graph.node("ArgMax", logits, axis=1, keepdims=0)
    label = graph.node("Gather", graph.constant(labels), place, axis=0)
    if not raw_scores:
        return label, graph.node("Softmax", logits, axis=1)
    if len(labels) > 2:
        return label, logits
    other = graph.node("Gather", logits, graph.constant(np.array([1, 0])), axis=1)
    return label, graph.node("Sub", logits, other)
