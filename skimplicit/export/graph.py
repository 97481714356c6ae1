"""A graph of ONNX nodes as it is written: nodes, constants and names that are used once."""

from itertools import count

import numpy as np

from skimplicit.linalg import to_dense

__all__ = ["Graph", "import_onnx"]

# Protocol buffers, of which an ONNX file is one, hold less than two gigabytes.
_MOST_BYTES = 2**31 - 2**20


def import_onnx():
    """Return the package ``onnx``.

    Returns
    -------
    module
        The package.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to get it.
    """
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError('Export needs onnx: pip install "skimplicit[onnx]".') from error
    return onnx


class Graph:
    """Nodes and constants of an ONNX graph; floats are constants of one type, in which the graph computes.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64, the arithmetic.
    opset : int
        Version of the operators of ONNX's own domain.
    new_name : callable or None
        ``new_name(hint)`` returns a name that nothing else has; None to count.
    """

    def __init__(self, dtype, opset, new_name=None):
        self.onnx, self.dtype, self.opset = import_onnx(), np.dtype(dtype), opset
        numbers = count()
        self.new_name = new_name or (lambda hint: f"{hint}_{next(numbers)}")
        self.nodes, self.constants, self.n_bytes = [], [], 0

    @property
    def float_type(self):
        """ONNX's number for the type of the arithmetic."""
        return self.type_of(self.dtype)

    def type_of(self, dtype):
        """Return ONNX's number for a NumPy type."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def node(self, operator, *inputs, domain="", **attributes):
        """Add a node with one output and return the name of that."""
        output = self.new_name(operator.lower())
        name = self.new_name(f"node_{operator}")
        self.nodes.append(
            self.onnx.helper.make_node(operator, list(inputs), [output], name=name, domain=domain, **attributes)
        )
        return output

    def constant(self, values):
        """Add a constant and return its name: floats as the arithmetic has them, and integers, truths and strings."""
        values = np.asarray(values)
        if values.dtype.kind == "f":
            values = values.astype(self.dtype)
        self.n_bytes += values.nbytes
        if self.n_bytes > _MOST_BYTES:
            raise ValueError("The rule is too large for ONNX: its matrices, which are dense there, take over 2 GB.")
        name = self.new_name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def cast(self, value, dtype):
        """Add a cast to a NumPy type."""
        return self.node("Cast", value, to=self.type_of(dtype))

    def columns(self, value, start, stop):
        """Add the columns from ``start`` to ``stop`` of a matrix."""
        bounds = (self.constant(np.array([bound], dtype=np.int64)) for bound in (start, stop, 1))
        return self.node("Slice", value, *bounds)

    def affine(self, value, weights, offset=None):
        """Add ``value W' + offset`` for weights W of shape (k, n), dense or sparse."""
        rows, columns = weights.nonzero()
        if rows.size and np.array_equal(rows, np.arange(weights.shape[0])) and np.all(weights[rows, columns] == 1):
            # Of pooling and of outputs that are states: as a dense matrix these can take a thousand times as much.
            product = self.node("Gather", value, self.constant(columns.astype(np.int64)), axis=1)
        else:
            product = self.node("MatMul", value, self.constant(np.ascontiguousarray(to_dense(weights).T)))
        return product if offset is None else self.node("Add", product, self.constant(offset))

    def largest(self, value):
        """Add the largest entry along the last axis."""
        if self.opset < 18:  # the axes became an input
            return self.node("ReduceMax", value, axes=[-1], keepdims=1)
        return self.node("ReduceMax", value, self.constant(np.array([-1], dtype=np.int64)), keepdims=1)

    def loop(self, start, width, body, max_iter):
        """Add a loop over one matrix of ``width`` columns and return the name of the last one.

        ``body(graph, iterate)`` writes a pass and returns the names of the next matrix and of whether to go on.
        """
        inner = Graph(self.dtype, self.opset, self.new_name)
        names = [self.new_name(hint) for hint in ("pass", "open", "iterate")]
        following, goes_on = body(inner, names[2])
        goes_on = inner.node("Identity", goes_on)
        make = self.onnx.helper.make_tensor_value_info
        shape, truth = [None, width], self.type_of(np.bool_)
        graph = self.onnx.helper.make_graph(
            inner.nodes,
            self.new_name("body"),
            [
                make(names[0], self.type_of(np.int64), []),
                make(names[1], truth, []),
                make(names[2], self.float_type, shape),
            ],
            [make(goes_on, truth, []), make(following, self.float_type, shape)],
        )
        # Constants stand outside of the loop: they are then the same in each pass.
        self.constants += inner.constants
        self.n_bytes += inner.n_bytes
        limits = self.constant(np.array(max_iter, dtype=np.int64)), self.constant(np.array(True))
        return self.node("Loop", *limits, start, body=graph)
