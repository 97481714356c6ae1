"""Rules and estimators as ONNX models."""

import json
from typing import Any

import numpy as np

from skimplicit._version import __version__
from skimplicit.equilibrium import Stopping
from skimplicit.export.graph import Graph, import_onnx
from skimplicit.export.predictions import open_model, write_classes, write_inputs, write_readout
from skimplicit.linalg import to_dense

__all__ = ["to_onnx"]

# Old enough for runtimes of several years, new enough for all that is used.
_OPSET, _IR_VERSION = 18, 8
_MEANING = (
    "For every row, rounding aside: states are within certified_error * max_i |x_i| of the exact ones, and output i "
    "(of a classifier: logit i) within certified_output_error[i] * max_i |x_i|."
)


def to_onnx(
    model: Any, *, dtype: str = "float32", arithmetic: str = "float64", rtol: float = 1e-10, max_iter: int = 10_000
) -> Any:
    """Return the ONNX model of ``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    The states of a feedforward rule are computed layer by layer. If states depend on one another, a Loop repeats the
    sweep that is certified to find them, until every row of the batch is certified to be within the tolerance.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule, or a fitted estimator of this package. The clipping of inputs (``clip``) and the selection of an
        ImplicitFeatureSelector are part of the model. For pipelines see :func:`register_onnx_converters`.
    dtype : {"float32", "float64"}, default="float32"
        Type of inputs and outputs.
    arithmetic : {"float64", "float32"}, default="float64"
        Type of the computation in between. Loops can amplify rounding errors: use float32 only for a device that has no
        float64; the tolerance is then no smaller than float32 allows.
    rtol : float, default=1e-10
        Error allowed in the states of a row, as a share of its largest state.
    max_iter : int, default=10_000
        Maximum number of passes of a loop. ONNX has no warnings: a loop that ends there is not reported.

    Returns
    -------
    onnx.ModelProto
        With the input ``X`` of shape (m, p), and the output ``variable`` (m, q) of a rule or a regressor, or ``label``
        (m,), int64 or string, and ``probabilities`` (m, n_classes) of a classifier, as sklearn-onnx has them. The
        certified error of the tolerance is in ``metadata_props``: ``certified_error`` for the states,
        ``certified_output_error``, a JSON list, for the outputs, and ``certified_error_meaning`` in words.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the model is neither a rule nor an estimator of this package; a subclass may compute anything.
    ValueError
        If an activation has no ONNX form (it is named), no test certifies that an iteration finds the states, labels
        are neither integers nor strings, the matrices take over 2 GB, or an argument is out of range.

    See Also
    --------
    register_onnx_converters : For pipelines, by ``skl2onnx.to_onnx``.

    Notes
    -----
    Every row of a batch goes through as many passes as the slowest one, so that a prediction depends on the other rows
    by less than the tolerance.
    """
    onnx = import_onnx()
    dtype, stopping = _checked_type(dtype, "dtype"), Stopping(rtol, 0.0, max_iter)
    graph, opened = Graph(_checked_type(arithmetic, "arithmetic"), _OPSET), open_model(model)
    Y, states = write_readout(graph, opened.rule, write_inputs(graph, opened, "X", dtype), stopping)
    q, float_type = opened.rule.n_outputs, graph.type_of(dtype)
    make = onnx.helper.make_tensor_value_info
    if opened.labels is None:
        results = {"variable": Y}
        outputs = [make("variable", float_type, [None, q])]
    else:
        label_type = onnx.TensorProto.STRING if opened.labels.dtype == object else onnx.TensorProto.INT64
        results = dict(zip(("label", "probabilities"), write_classes(graph, opened.labels, Y), strict=True))
        outputs = [make("label", label_type, [None]), make("probabilities", float_type, [None, q])]
    for name, value in results.items():
        cast = {} if name == "label" else {"to": float_type}
        graph.nodes.append(onnx.helper.make_node("Cast" if cast else "Identity", [value], [name], **cast))
    inputs = [make("X", float_type, [None, opened.n_inputs])]
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "skimplicit", inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="skimplicit",
        producer_version=__version__,
    )
    onnx.helper.set_model_props(proto, _properties(states, opened.rule, stopping))
    return proto


def _checked_type(value, name):
    """Return the dtype of a float type that is named, or given as NumPy's type."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be 'float32' or 'float64', got {value!r}.")
    return dtype


def _properties(states, rule, stopping):
    """Return the ``metadata_props``: how the states are found, and how exactly."""
    readout = np.abs(to_dense(rule.C)).sum(axis=1)
    # Where nothing is certified, an output that reads no state is exact all the same.
    error = np.where(readout > 0, states.error, 0.0) * np.where(readout > 0, readout, 1.0)
    return {
        "equilibrium": "loop" if states.has_loop else "substitution",
        "rtol": repr(float(stopping.rtol)),
        "max_iter": str(stopping.max_iter),
        "certified_error": repr(float(states.error)),
        "certified_output_error": json.dumps(error.tolist()),
        "certified_error_meaning": _MEANING,
    }
