"""The order that makes A block triangular: which states need which, and in what order to compute them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["StateBlock", "block_triangular_order", "loops_apart", "strong_components"]

# Loops that do not need one another stay together up to this number of states. Products grow with its square, but each
# block takes as many calls: with 32 many rows take a third of the time, and one row three times as long (100 states).
_TOGETHER = 128


@dataclass(frozen=True)
class StateBlock:
    """States that can be computed together, once those of the blocks before are known.

    Parameters
    ----------
    states : ndarray of int of shape (k,)
        Their indices, increasing.
    implicit : bool
        Whether they need one another, or themselves: an equation to solve. If not, one product gives them.
    level : int
        Length of the longest chain of such parts before them. Two blocks of one level do not need each other.
    """

    states: np.ndarray
    implicit: bool
    level: int


def block_triangular_order(A, groups=None):
    """Return the order that makes A block triangular: ``x_i`` needs ``x_j`` where ``A_ij != 0``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    groups : ndarray of int of shape (n,) or None
        States that an activation takes together, see :attr:`BaseActivation.groups`; they stay together.

    Returns
    -------
    list of StateBlock
        All states, each once. A feedforward network has one explicit block for each layer; a full matrix is one
        implicit block.

    Notes
    -----
    Strongly connected components of the graph of A, then layers of the graph of components, in time proportional to the
    number of non-zero entries. Source: El Ghaoui et al. (2021), theorem 2.8: a block triangular rule is well posed
    if and only if its diagonal blocks are.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.linalg import block_triangular_order
    >>> A = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.5]])
    >>> for block in block_triangular_order(A):
    ...     print(block.states, block.implicit)
    [2] True
    [1] False
    [0] False
    """
    n = A.shape[0]
    if n == 0:
        return []
    target, source = A.nonzero()
    if target.size == 0:  # the graph has nothing to tell, and takes longer to make than a small rule to predict
        return [StateBlock(np.arange(n), False, 0)]
    node = np.arange(n) if groups is None else groups
    target, source = node[target], node[source]
    n_components, component = _components(target, source, int(node[-1]) + 1)
    implicit = np.bincount(component, minlength=n_components) > 1
    implicit[component[target[target == source]]] = True
    level = _levels(component[target], component[source], n_components)
    # Explicit and implicit components of one level do not need one another, but are computed in different ways.
    key = (2 * level + implicit)[component[node]]
    order = np.argsort(key, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    return [StateBlock(piece, bool(key[piece[0]] % 2), int(key[piece[0]] // 2)) for piece in pieces]


def strong_components(A, states, groups=None):
    """Return the strongly connected parts of some states: each of its states needs all of the part.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    states : ndarray of int of shape (k,)
        The states to look at; paths through others are not seen.
    groups : ndarray of int of shape (n,) or None
        As for :func:`block_triangular_order`: what one state of a group needs, all of them need.

    Returns
    -------
    list of ndarray of int
        The parts, each with its states in the order given.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.linalg import strong_components
    >>> A = np.array([[0.0, 2.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5]])
    >>> sorted(part.tolist() for part in strong_components(A, np.arange(3)))
    [[0, 1], [2]]
    """
    target, source = A[states][:, states].nonzero()
    nodes, node = np.unique(states if groups is None else groups[states], return_inverse=True)
    component = _components(node[target], node[source], nodes.size)[1][node]
    order = np.argsort(component, kind="stable")
    return np.split(states[order], np.cumsum(np.bincount(component))[:-1]) if states.size else []


def loops_apart(order, A, groups=None):
    """Return an order in which loops that do not need one another, as those of averaged rules, are blocks of their own.

    Parameters
    ----------
    order : list of StateBlock
        What :func:`block_triangular_order` returned for A.
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    groups : ndarray of int of shape (n,) or None
        As for :func:`block_triangular_order`.

    Returns
    -------
    list of StateBlock
        The same states in as many blocks or more: those that need one another in one, and no more than 128 in any that
        could be made of fewer.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.linalg import block_triangular_order, loops_apart
    >>> A = np.kron(np.eye(2), np.full((100, 100), 0.001))
    >>> order = block_triangular_order(A)
    >>> [block.states.size for block in order], [block.states.size for block in loops_apart(order, A)]
    ([200], [100, 100])
    """
    apart = []
    for block in order:
        if not block.implicit or block.states.size <= _TOGETHER:
            apart.append(block)
            continue
        packs, size = [], _TOGETHER
        for part in strong_components(A, block.states, groups):
            if size + part.size > _TOGETHER:
                packs.append([])
                size = 0
            packs[-1].append(part)
            size += part.size
        apart += [StateBlock(np.sort(np.concatenate(pack)), True, block.level) for pack in packs]
    return apart


def _components(target, source, n):
    """Return the number of strongly connected components of n nodes, and that of each node."""
    needs = sparse.coo_array((np.ones(target.size), (target, source)), shape=(n, n)).tocsr()
    return connected_components(needs, directed=True, connection="strong")


def _levels(target, source, n):
    """Return the length of the longest chain that ends in each node of an acyclic graph (self-loops aside)."""
    between = target != source
    feeds = sparse.coo_array((np.ones(between.sum()), (source[between], target[between])), shape=(n, n)).tocsr()
    waiting = np.bincount(feeds.indices, minlength=n)
    level = np.zeros(n, dtype=int)
    ready, depth = np.flatnonzero(waiting == 0), 0
    while ready.size:
        level[ready] = depth
        fed = feeds[ready].indices
        np.subtract.at(waiting, fed, 1)
        fed = np.unique(fed)
        ready, depth = fed[waiting[fed] == 0], depth + 1
    return level
