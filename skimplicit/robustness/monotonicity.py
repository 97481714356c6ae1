"""Proofs that an output rises, or falls, with an input, everywhere: signs along all paths of a rule."""

from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components

from skimplicit.activations import max_pool
from skimplicit.feature_names import position_of
from skimplicit.linalg import block_triangular_order, without_diagonal
from skimplicit.robustness.models import open_model
from skimplicit.robustness.relaxations import parts
from skimplicit.wellposedness import perron_certificate

__all__ = ["is_monotone", "monotone_directions"]


def is_monotone(model: Any, j: int | str, *, output: int | None = None) -> int:
    """Return 1 if the outputs provably rise with input j, -1 if they fall, 0 if neither is proved.

    "Rise" is "nowhere fall", for all values of all inputs, not only on data.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule, or a fitted estimator with a ``rule_``; the logits of a classifier.
    j : int or str
        Position of the input, where a negative one counts from the end; or its name, if the estimator was fitted to a
        data frame.
    output : int or None
        Position of the output; None for all, in the same direction.

    Returns
    -------
    int
        1, -1 or 0. An input without a path to the outputs gives 1: it is monotone in both directions, as
        :func:`monotone_directions` says.

    Raises
    ------
    ValueError
        If there is no such input or output.
    TypeError
        If j is neither a position nor a name, output is not an integer, or the model has no rule.

    Notes
    -----
    States between the input and the output get signs s, by colouring the graph of weights, such that
    ``s_i A_ik s_k >= 0`` for i != k, ``s_i B_ij >= 0`` and ``C s`` has one sign, that of D. Then, for increasing phi
    with slopes Lambda and solved self-loops, ``(I - Lambda A)^-1`` has the signs ``s s'``: the similar matrix
    ``I - Lambda S A S`` has no positive entry off its diagonal and is certified to be an M-matrix.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import is_monotone
    >>> rule = ImplicitRule(A=[[0.2, -0.3], [-0.1, -0.4]], B=[[1.0, 1.0], [-2.0, 1.0]], C=[[1.0, -0.5]])
    >>> is_monotone(rule, 0), is_monotone(rule, 1)
    (1, 0)
    """
    rises, falls = monotone_directions(model, j, output=output)
    return 1 if rises else -1 if falls else 0


def monotone_directions(model: Any, j: int | str, *, output: int | None = None) -> tuple[bool, bool]:
    """Return whether the outputs provably never fall, and whether they never rise, with input j.

    Parameters
    ----------
    model : ImplicitRule or estimator
        As in :func:`is_monotone`.
    j : int or str
        Input, as in :func:`is_monotone`.
    output : int or None
        Position of the output; None for all of them.

    Returns
    -------
    rises, falls : bool
        Both for an input without a path to the outputs.

    Raises
    ------
    ValueError
        If there is no such input or output.
    TypeError
        If j is neither a position nor a name, output is not an integer, or the model has no rule.
    """
    rule = open_model(model).rule
    j = _checked_index("j", _position(model, j) if isinstance(j, str) else j, rule.n_inputs)
    outputs = range(rule.n_outputs) if output is None else [_checked_index("output", output, rule.n_outputs)]
    effects = [_effect(rule, j, i) for i in outputs]
    return all(rises for rises, _ in effects), all(falls for _, falls in effects)


def _position(model, name):
    """Return the position of the input of a name."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise TypeError(f"j must be the position of an input where inputs have no names, got {name!r}.")
    return position_of(name, names, "j is")


def _checked_index(name, value, size):
    if isinstance(value, bool) or not isinstance(value, Integral):
        what = "input" if name == "j" else "output"
        raise TypeError(f"{name} must be an integer, the position of the {what}, got {value!r}.")
    if not -size <= value < size:
        raise ValueError(f"{name} must be an index below {size}, got {value!r}.")
    return int(value) % size


def _effect(rule, j, output):
    """Return whether one output never falls and whether it never rises with input j."""
    A, B, C, D = (sparse.csr_array(M) for M in (rule.A, rule.B, rule.C, rule.D))
    states = _between(A, B[:, [j]].toarray().ravel(), C[[output]].toarray().ravel(), rule.activation.groups)
    direct = D[output, j]
    if states.size == 0:
        return bool(direct >= 0), bool(direct <= 0)
    own = _increasing_part(rule, states)
    if own is None:
        return False, False
    # Nodes: the states, then the output, then the input, whose sign is 1.
    edges = sparse.coo_array(own)
    n, ends = states.size, np.arange(states.size)
    into, out = B[states][:, [j]].toarray().ravel(), C[[output]][:, states].toarray().ravel()
    target = np.concatenate([edges.row, ends, np.full(n, n), [n]])
    source = np.concatenate([edges.col, np.full(n, n + 1), ends, [n + 1]])
    sign = _colouring(n + 2, target, source, np.concatenate([edges.data, into, out, [direct]]))
    if sign is None:
        return False, False
    same = sign[n] == sign[n + 1]
    return bool(same), bool(not same)


def _between(A, into, out, groups):
    """Return the states on a path from the input to the output; groups of states go together."""
    n = A.shape[0]
    node = np.arange(n) if groups is None else groups
    size = int(node.max(initial=-1)) + 3
    target, source = A.nonzero()
    first, last = np.flatnonzero(into), np.flatnonzero(out)
    row = np.concatenate([node[source], np.full(first.size, size - 2), node[last]])
    column = np.concatenate([node[target], node[first], np.full(last.size, size - 1)])
    graph = sparse.csr_array((np.ones(row.size), (row, column)), shape=(size, size))
    reached, reaching = (np.zeros(size, dtype=bool) for _ in range(2))
    reached[breadth_first_order(graph, size - 2, return_predecessors=False)] = True
    reaching[breadth_first_order(sparse.csr_array(graph.T), size - 1, return_predecessors=False)] = True
    return np.flatnonzero((reached & reaching)[node])


def _increasing_part(rule, states):
    """Return the weights between these states, self-loops apart, if phi increases there and the loop is certified."""
    A, phi = sparse.csr_array(rule.A)[states][:, states], rule.activation.restricted(states)
    for part, _ in parts(phi, states.size):
        if part.min_slope < 0 and not (hasattr(part, "group_size") and part == max_pool(part.group_size)):
            return None
    slope, pooled = np.broadcast_to(np.asarray(phi.lipschitz, dtype=float), states.size), phi.groups is not None
    if not any(block.implicit for block in block_triangular_order(A, phi.groups)):
        return _pooled(A, phi) if pooled else A  # a sum of finitely many products, whatever the slopes are
    if not np.all(np.isfinite(slope)):
        return None
    if pooled:
        return _pooled(A, phi) if perron_certificate(A, slope, phi.groups) is not None else None
    remaining = 1.0 - slope * A.diagonal()
    others = without_diagonal(A)
    certified = np.all(remaining > 0) and perron_certificate(others, slope / remaining) is not None
    return others if certified else None


def _pooled(A, phi):
    """Return the weights with those of the members of a pooled group, whose signs have to agree, at each of them."""
    # All members of a group get the sign of its maximum: what drives one member must agree with what drives another.
    groups = phi.groups
    n = groups.size
    links = sparse.coo_array(A)
    first = np.searchsorted(groups, groups)
    own = np.arange(n)
    tied = own != first
    row = np.concatenate([links.row, own[tied]])
    column = np.concatenate([links.col, first[tied]])
    data = np.concatenate([links.data, np.ones(np.count_nonzero(tied))])
    return sparse.csr_array((data, (row, column)), shape=(n, n))


def _colouring(n, target, source, weight):
    """Return signs s with ``s_target weight s_source >= 0`` on every edge, or None if a cycle has an odd sign.

    Two copies of each node, one for each sign: an edge joins equal copies if its weight is positive and opposite ones
    if negative. Signs exist if and only if no two copies of a node are connected.
    """
    kept = weight != 0
    target, source, crossed = target[kept], source[kept], (weight[kept] < 0) * n
    row = np.concatenate([target, target + n])
    column = np.concatenate([source + crossed, (source + n + crossed) % (2 * n)])
    graph = sparse.csr_array((np.ones(row.size), (row, column)), shape=(2 * n, 2 * n))
    component = connected_components(graph, directed=False)[1]
    if np.any(component[:n] == component[n:]):
        return None
    # The component of the input's positive copy, the last node, decides; all nodes here are connected to it.
    return np.where(component[:n] == component[n - 1], 1, -1)
