"""Converters for ``skl2onnx``: this package's estimators as steps of scikit-learn's pipelines.

A step of a pipeline that is not the last one transforms, and so does each part of a FeatureUnion or ColumnTransformer;
the last step predicts. ``skl2onnx`` does not tell a step where it stands, so the parsers of what is made of steps are
wrapped: they note which steps transform before they parse them.
"""

from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from skimplicit.equilibrium import Stopping
from skimplicit.export.graph import Graph
from skimplicit.export.predictions import (
    ESTIMATORS,
    check_labels,
    open_model,
    write_classes,
    write_inputs,
    write_readout,
    write_selected,
    write_selection,
)
from skimplicit.export.states import write_states
from skimplicit.selection import ImplicitFeatureSelector

__all__ = ["register_onnx_converters"]

_STATES, _SELECTION, _SELECTED = "SkimplicitStates", "SkimplicitSelection", "SkimplicitSelected"
# What is made of classifiers (CalibratedClassifierCV, OneVsOneClassifier) asks for raw scores where it may.
_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}
# The steps, by id, that transform in the conversion that is under way.
_TRANSFORMING = ContextVar("transforming", default=frozenset())


def register_onnx_converters() -> None:
    """Teach ``skl2onnx`` the estimators of this package, so that ``skl2onnx.to_onnx(pipeline, X)`` takes them.

    Before the last step of a pipeline, an ImplicitFeatureSelector selects columns and another estimator outputs its
    states, as ``transform`` does; the last step predicts. Types follow the inputs, the arithmetic is in float64, and
    the tolerance is that of :meth:`ImplicitRule.predict <skimplicit.ImplicitRule.predict>`. Calling it again changes
    nothing.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from skimplicit.export import register_onnx_converters
    >>> register_onnx_converters()  # doctest: +SKIP
    """
    try:
        import skl2onnx
        from skl2onnx._parse import sklearn_parsers_map
        from skl2onnx.common import _registration
    except ImportError as error:
        raise ImportError('Pipelines need skl2onnx: pip install "skimplicit[onnx]".') from error
    for estimator in (*ESTIMATORS, ImplicitFeatureSelector):
        alias, parse = f"Skimplicit{estimator.__name__}", _parse_estimator
        if estimator is ImplicitFeatureSelector:
            parse = _parse_selector
        skl2onnx.update_registered_converter(
            estimator, alias, _set_prediction_types, _convert_prediction, parser=parse, options=_OPTIONS
        )
    converters = {_STATES: _convert_states, _SELECTION: _convert_selection, _SELECTED: _convert_selected}
    for alias, convert in converters.items():
        _registration.register_converter(alias, convert, overwrite=True)
        _registration.register_shape_calculator(alias, _set_float_type, overwrite=True)
    for kind in (Pipeline, FeatureUnion, ColumnTransformer, GridSearchCV):
        if sklearn_parsers_map[kind].__name__ != _noting_parser.__name__:
            sklearn_parsers_map[kind] = _noting_parser(sklearn_parsers_map[kind])
    # A pipeline inside a search is parsed by its converter.
    convert = _registration.get_converter("SklearnPipeline")
    if convert._fct.__name__ != _noting_converter.__name__:
        _registration.register_converter(
            "SklearnPipeline", _noting_converter(convert._fct), overwrite=True, options=convert.get_allowed_options()
        )


def _transforming_parts(model):
    """Return the ids of the parts of a pipeline, union, column transformer or search that transform."""
    if isinstance(model, Pipeline):
        last = model.steps[-1:] if id(model) in _TRANSFORMING.get() else []
        return {id(step) for _, step in model.steps[:-1] + last}
    if isinstance(model, GridSearchCV):
        return {id(model.best_estimator_)} if id(model) in _TRANSFORMING.get() else set()
    parts = model.transformers_ if isinstance(model, ColumnTransformer) else model.transformer_list
    return {id(part[1]) for part in parts}


@contextmanager
def _noted(model):
    """Note the parts that transform while a model is parsed."""
    token = _TRANSFORMING.set(_TRANSFORMING.get() | _transforming_parts(model))
    try:
        yield
    finally:
        _TRANSFORMING.reset(token)


def _noting_parser(parse):
    def _noting_parser(scope, model, inputs, custom_parsers=None):
        with _noted(model):
            return parse(scope, model, inputs, custom_parsers=custom_parsers)

    return _noting_parser


def _noting_converter(convert):
    def _noting_converter(scope, operator, container):
        with _noted(operator.raw_operator):
            return convert(scope, operator, container)

    return _noting_converter


def _parse_estimator(scope, model, inputs, custom_parsers=None):
    """Parse an estimator of this package as one that gives states, or predicts."""
    from skl2onnx._parse import _parse_sklearn_classifier, _parse_sklearn_simple_model

    inputs = _joined(scope, inputs)
    if id(model) in _TRANSFORMING.get():
        return _one_output(scope, _STATES, model, inputs)
    parse = _parse_sklearn_classifier if is_classifier(model) else _parse_sklearn_simple_model
    return parse(scope, model, inputs, custom_parsers=custom_parsers)


def _parse_selector(scope, model, inputs, custom_parsers=None):
    """Parse a selector as a choice of columns and, where it predicts, its refitted estimator behind."""
    inputs = _joined(scope, inputs)
    if id(model) in _TRANSFORMING.get():
        return _one_output(scope, _SELECTION, model, inputs)
    if scope.options is not None and is_classifier(model):
        scope.add_options(id(model.estimator_), scope.get_options(model, {"zipmap": True}))
    selected = _one_output(scope, _SELECTED, model, inputs)
    return _parse_estimator(scope, model.estimator_, selected, custom_parsers=custom_parsers)


def _joined(scope, inputs):
    """Return one input: columns that are given apart side by side."""
    return inputs if len(inputs) == 1 else _one_output(scope, "SklearnConcat", None, inputs)


def _one_output(scope, alias, model, inputs):
    from skl2onnx.common.data_types import guess_tensor_type

    # Not as the raw operator: a search replaces the operators of its best estimator by its own, which predicts.
    operator = scope.declare_local_operator(alias)
    operator.inputs, operator.operand = inputs, model
    operator.outputs.append(scope.declare_local_variable("transformed", guess_tensor_type(inputs[0].type)))
    return operator.outputs


def _set_prediction_types(operator):
    from skl2onnx.common import shape_calculator

    if is_classifier(operator.raw_operator):
        check_labels(operator.raw_operator.classes_)
        shape_calculator.calculate_linear_classifier_output_shapes(operator)
    else:
        _set_float_type(operator)


def _set_float_type(operator):
    """Set the type and the shape of a single output."""
    from skl2onnx.common.data_types import guess_tensor_type

    shape = [operator.inputs[0].get_first_dimension(), None]
    if operator.type == _SELECTION:
        shape[1] = int(operator.operand.n_features_)
    elif operator.type == _SELECTED:
        shape[1] = operator.operand.estimator_.n_features_in_
    elif operator.type == _STATES:
        shape[1] = operator.operand.rule_.n_hidden
    else:
        shape[1] = open_model(operator.raw_operator).rule.n_outputs
    kind = type(guess_tensor_type(operator.inputs[0].type))
    operator.outputs[0].set_type(kind(shape))


@contextmanager
def _graph(scope, container):
    """Yield a graph of which everything is added to the container."""
    graph = Graph(np.float64, container.target_opset, scope.get_unique_variable_name)
    yield graph
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)
    container.node_domain_version_pair_sets.add(("", graph.opset))


def _give(graph, operator, place, value, cast=True):
    """Add the output of an operator, cast to its type."""
    from skl2onnx.common.data_types import guess_proto_type

    output = operator.outputs[place]
    attributes = {"to": guess_proto_type(output.type)} if cast else {}
    make_node = graph.onnx.helper.make_node
    graph.nodes.append(make_node("Cast" if cast else "Identity", [value], [output.full_name], **attributes))


def _convert_states(scope, operator, container):
    model = open_model(operator.operand)
    with _graph(scope, container) as graph:
        U = _inputs(graph, model, operator)
        states = write_states(graph, model.rule, U, Stopping())
        # Back to the order of the rule. Where it has no states, none of the columns of U.
        place = graph.constant(np.argsort(states.order).astype(np.int64))
        _give(graph, operator, 0, graph.node("Gather", states.name or U, place, axis=1))


def _convert_selection(scope, operator, container):
    with _graph(scope, container) as graph:
        _give(graph, operator, 0, write_selection(graph, operator.operand.support_, operator.inputs[0].full_name))


def _convert_selected(scope, operator, container):
    with _graph(scope, container) as graph:
        _give(graph, operator, 0, write_selected(graph, operator.operand.support_, operator.inputs[0].full_name))


def _convert_prediction(scope, operator, container):
    model = open_model(operator.raw_operator)
    with _graph(scope, container) as graph:
        Y, _ = write_readout(graph, model.rule, _inputs(graph, model, operator), Stopping())
        if model.labels is None:
            _give(graph, operator, 0, Y)
            return
        # Parsers give the options of what they parse to its parts in the scope alone, converters in both.
        asked = scope.get_options(operator.raw_operator, {"raw_scores": False, "nocl": False})
        asked = container.get_options(operator.raw_operator, asked)
        # Without class labels: their positions.
        labels = np.arange(len(model.labels)) if asked["nocl"] else model.labels
        label, probabilities = write_classes(graph, labels, Y, asked["raw_scores"])
        _give(graph, operator, 0, label, cast=False)
        _give(graph, operator, 1, probabilities)


def _inputs(graph, model, operator):
    """Add what the rule sees of the inputs of an operator."""
    from skl2onnx.common.data_types import guess_proto_type

    source = operator.inputs[0]
    dtype = graph.onnx.helper.tensor_dtype_to_np_dtype(guess_proto_type(source.type))
    return write_inputs(graph, model, source.full_name, dtype)
