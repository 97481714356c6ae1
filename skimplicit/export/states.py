"""The states of a rule as ONNX nodes: layer by layer, and by a loop where states need one another."""

from dataclasses import dataclass

import numpy as np

from skimplicit.equilibrium import AveragedSweep, ForwardSweep, ResolventSweep, Substitution
from skimplicit.export.activations import write_activation
from skimplicit.linalg import block_triangular_order, to_dense
from skimplicit.wellposedness import Condition, well_posedness

__all__ = ["WrittenStates", "write_states"]


@dataclass(frozen=True)
class WrittenStates:
    """The states of a rule in a graph, in the order in which they are computed.

    Parameters
    ----------
    order : ndarray of int of shape (n,)
        Which state stands in each place.
    name : str or None
        The matrix of all of them; None without states.
    has_loop : bool
        Whether any of them took a loop.
    error : float
        ``max_i |x_i - x*_i| <= error * max_i |x_i|`` in every row, rounding aside; infinite if nothing is certified.
    """

    order: np.ndarray
    name: str | None
    has_loop: bool
    error: float


def write_states(graph, rule, U, stopping):
    """Add the nodes of ``x = phi(A x + B u + b)``.

    Parameters
    ----------
    graph : Graph
        Where to add.
    rule : ImplicitRule
        The rule.
    U : str
        The inputs.
    stopping : Stopping
        When loops end; a row of a loop is asked for no more than the arithmetic allows.

    Returns
    -------
    WrittenStates
        The states.

    Raises
    ------
    ValueError
        If an activation has no ONNX form, or no test certifies that an iteration finds the states.
    """
    order = block_triangular_order(rule.A, rule.activation.groups)
    growth = Substitution(rule).amplification
    sharp, places, names, error = stopping.tightened(growth), [], [], 0.0
    block_of = np.full(rule.n_hidden, -1)  # of each state that is written already
    for block in order:
        rows, phi = block.states, rule.activation.restricted(block.states)
        A = rule.A[rows]
        sources = np.setdiff1d(block_of[A.nonzero()[1]], [-1])
        if not sources.size:
            Z = graph.affine(U, rule.B[rows], rule.b[rows])
        else:
            known = [names[k] for k in sources]
            weights = A[:, np.concatenate([places[k] for k in sources])]
            X = known[0] if len(known) == 1 else graph.node("Concat", *known, axis=1)
            Z = graph.affine(X, weights, rule.b[rows])
            if rule.B[rows].nonzero()[0].size:  # matrices are dense in ONNX: one of zeros costs as much as any
                Z = graph.node("Add", Z, graph.affine(U, rule.B[rows]))
        if block.implicit:
            name, own = _write_loop(graph, _certified_sweep(to_dense(A[:, rows]), phi), Z, rows.size, sharp)
            error = max(error, own * growth)
        else:
            name = write_activation(graph, phi, Z, rows.size)
        block_of[rows] = len(places)
        places.append(rows)
        names.append(name)
    together = names[0] if len(names) == 1 else graph.node("Concat", *names, axis=1) if names else None
    places = np.concatenate(places) if places else np.empty(0, dtype=int)
    return WrittenStates(places, together, any(block.implicit for block in order), error)


def _certified_sweep(A, activation):
    """Return the sweep that is certified to find the states of a block."""
    forward = ForwardSweep(A, activation)
    if forward.contracts:
        return forward
    condition = well_posedness(A, activation, lmi=False).condition
    if condition is Condition.MU_INF:
        return AveragedSweep(A, activation)
    if condition is Condition.MONOTONE:
        return ResolventSweep(A, activation)
    raise ValueError(
        "The rule cannot be exported: no test certifies that an iteration finds its states "
        "(rule.well_posedness() reports on it). ONNX has no Newton's method that could be tried instead."
    )


def _write_loop(graph, sweep, Z, size, stopping):
    """Add the loop of a sweep; return the name of the states and their certified error, relative to the largest."""
    # What rounding alone can leave, which the sweep knows for float64.
    rounding = sweep.rounding * np.finfo(graph.dtype).eps / np.finfo(np.float64).eps
    limit = max(stopping.tightened(sweep.amplification).rtol, rounding)
    writer = _WRITERS[type(sweep)](sweep, size)
    Z = writer.prepare(graph, Z)

    def body(inner, iterate):
        following, states, change = writer.step(inner, iterate, Z)
        size, change = (inner.largest(inner.node("Abs", name)) for name in (states, change))
        is_open = inner.node("Greater", change, inner.node("Mul", size, inner.constant(limit)))
        # A sum of counts and not a maximum, which an empty batch does not have.
        n_open = inner.node("ReduceSum", inner.cast(is_open, np.int64), keepdims=0)
        return following, inner.node("Greater", n_open, inner.constant(np.array(0, dtype=np.int64)))

    last = graph.loop(writer.start(graph, Z), size, body, stopping.max_iter)
    return writer.states(graph, last, Z), limit * sweep.amplification


class _ForwardWriter:
    """``x <- psi(x M' + z')``, see :class:`~skimplicit.equilibrium.ForwardSweep`."""

    def __init__(self, sweep, size):
        self.sweep, self.size = sweep, size

    def prepare(self, graph, Z):
        gain = self.sweep.gain
        return Z if gain is None else graph.node("Mul", Z, graph.constant(gain))

    def start(self, graph, Z):
        return self._activate(graph, Z)

    def step(self, graph, X, Z):
        following = self._activate(graph, graph.node("Add", graph.affine(X, self.sweep.transposed.T), Z))
        return following, following, graph.node("Sub", following, X)

    def states(self, graph, X, Z):
        return X

    def _activate(self, graph, Z):
        leak = self.sweep.leak
        if leak is None:
            return write_activation(graph, self.sweep.activation, Z, self.size)
        if not leak.any():
            return graph.node("Relu", Z)
        zero = graph.constant(0.0)
        below = graph.node("Mul", graph.node("Min", Z, zero), graph.constant(leak))
        return graph.node("Add", graph.node("Max", Z, zero), below)


class _AveragedWriter:
    """``x <- x + alpha (phi(A x + z) - x)``, see :class:`~skimplicit.equilibrium.AveragedSweep`."""

    def __init__(self, sweep, size):
        self.sweep, self.size = sweep, size

    def prepare(self, graph, Z):
        return Z

    def start(self, graph, Z):
        return write_activation(graph, self.sweep.activation, Z, self.size)

    def step(self, graph, X, Z):
        drive = graph.node("Add", graph.affine(X, self.sweep.A), Z)
        target = write_activation(graph, self.sweep.activation, drive, self.size)
        change = graph.node("Mul", graph.node("Sub", target, X), graph.constant(self.sweep.alpha))
        following = graph.node("Add", X, change)
        return following, following, change

    def states(self, graph, X, Z):
        return X


class _ResolventWriter:
    """``w <- w + 2 (h - x) / gamma`` with ``x = phi(w + z)``, see :class:`~skimplicit.equilibrium.ResolventSweep`."""

    def __init__(self, sweep, size):
        self.sweep, self.size = sweep, size

    def prepare(self, graph, Z):
        return Z

    def start(self, graph, Z):
        return graph.node("Sub", Z, Z)

    def step(self, graph, W, Z):
        gamma, X = graph.constant(self.sweep.gamma), self.states(graph, W, Z)
        right = graph.node("Sub", graph.node("Mul", X, graph.constant(2.0)), graph.node("Mul", W, gamma))
        H = graph.affine(right, self.sweep.inverse.T)
        move = graph.node("Mul", graph.node("Sub", H, X), graph.constant(2.0 / self.sweep.gamma))
        following = graph.node("Add", W, move)
        states = self.states(graph, following, Z)
        drive = graph.node("Add", graph.affine(states, self.sweep.A_transposed.T), Z)
        again = write_activation(graph, self.sweep.activation, drive, self.size)
        return following, states, graph.node("Sub", again, states)

    def states(self, graph, W, Z):
        return write_activation(graph, self.sweep.activation, graph.node("Add", W, Z), self.size)


_WRITERS = {ForwardSweep: _ForwardWriter, AveragedSweep: _AveragedWriter, ResolventSweep: _ResolventWriter}
