"""The arrays of rules stacked to those of one rule: what the operators of a rule and the compositions share.

States are stacked downstream first, so a chain of layers has A strictly upper block triangular. A matrix is sparse if a
part of it is. Rules are read here, by their arrays, and never made: the arrays come back by name, ready for a rule.
"""

from functools import reduce
from operator import add

import numpy as np
from scipy import sparse

from skimplicit.activations import join_activations
from skimplicit.linalg import checked_array, to_dense
from skimplicit.parameters import check_truths

__all__ = [
    "added",
    "cascaded",
    "checked_map",
    "diagonal_blocks",
    "input_blocks",
    "join_blocks",
    "joined_activation",
    "stack",
]


def cascaded(first, second):
    """Return the arrays of ``u -> second(first(u))``.

    Parameters
    ----------
    first, second : ImplicitRule
        Rules, (A1, B1, C1, D1) and (A2, B2, C2, D2).

    Returns
    -------
    dict
        The arguments of the rule: ``A = [[A2, B2 C1], [0, A1]]``, ``B = [B2 D1; B1]``, ``C = [C2, D2 C1]``,
        ``D = D2 D1``.

    Raises
    ------
    ValueError
        If the second rule does not have as many inputs as the first has outputs.
    """
    if second.n_inputs != first.n_outputs:
        raise ValueError(f"A rule with {second.n_inputs} inputs cannot follow one with {first.n_outputs} outputs.")
    return stack(
        [second, first],
        A=[[second.A, second.B @ first.C], [None, first.A]],
        B=[[second.B @ first.D], [first.B]],
        C=[[second.C, second.D @ first.C]],
        D=second.D @ first.D,
        b=[second.b + second.B @ first.c, first.b],
        c=second.c + second.D @ first.c,
    )


def checked_map(M, offset, names, shape):
    """Return the matrix and the offset of ``u -> M u + offset``.

    Parameters
    ----------
    M : array-like or sparse of shape (k, l), or None
        Matrix; None for the identity.
    offset : array-like of shape (k,) or None
        Offset; None for none.
    names : str
        Two letters, what they are called.
    shape : tuple of int or None
        What M has to have, None for any number; one of both is a number.

    Returns
    -------
    M : ndarray or CSR array of shape (k, l)
        The matrix.
    offset : ndarray of shape (k,) or None
        The offset.

    Raises
    ------
    ValueError
        If one of them is no array of finite numbers, or has another shape; the message names it.
    """
    if M is None:
        M = sparse.eye_array(max(size or 0 for size in shape), format="csr")
    M = checked_array(M, names[0])
    M = M if sparse.issparse(M) else np.atleast_2d(M)
    wanted = tuple(found if size is None else size for found, size in zip(M.shape[:2], shape, strict=True))
    if M.shape != wanted:
        raise ValueError(f"{names[0]} must have shape {wanted} to fit the rule, got {M.shape}.")
    if offset is not None:
        offset = checked_array(offset, names[1], 1)
        if offset.size != M.shape[0]:
            raise ValueError(f"{names[1]} must have shape ({M.shape[0]},) to fit the rule, got {offset.shape}.")
    return M, offset


def added(rules, weights, shared_input=True):
    """Return the arrays of ``sum_i weights_i y_i(u)``.

    Parameters
    ----------
    rules : sequence of ImplicitRule
        At least one.
    weights : sequence of float
        One for each rule.
    shared_input : bool
        Whether all get the same u; if not, each gets its own part of it.

    Returns
    -------
    dict
        The arguments of the rule; A is block diagonal.

    Raises
    ------
    ValueError
        If the numbers of outputs, or of shared inputs, differ.
    """
    _check_same(rules, "n_outputs", "added")
    B, D = input_blocks(rules, [weight * rule.D for weight, rule in zip(weights, rules, strict=True)], shared_input)
    return stack(
        rules,
        A=diagonal_blocks([rule.A for rule in rules]),
        B=B,
        C=[[weight * rule.C for weight, rule in zip(weights, rules, strict=True)]],
        D=reduce(add, D) if shared_input else join_blocks([D]),
        b=[rule.b for rule in rules],
        c=sum(weight * rule.c for weight, rule in zip(weights, rules, strict=True)),
    )


def stack(rules, *, A, B, C, D, b, c):
    """Return the arguments of the rule whose states are those of some rules.

    Parameters
    ----------
    rules : sequence of ImplicitRule
        The rules, in the order of the states.
    A, B, C : list of list
        Blocks, as for :func:`join_blocks`.
    D : ndarray or sparse array
        Already joined.
    b : list of ndarray
        Parts.
    c : ndarray
        Already joined.

    Returns
    -------
    dict
        The arguments by name.
    """
    blocks = {"A": join_blocks(A), "B": join_blocks(B), "C": join_blocks(C)}
    return {**blocks, "D": D, "b": np.concatenate(b), "c": c, "activation": joined_activation(rules)}


def joined_activation(rules):
    """Return the activation of the states of some rules, one after another.

    Parameters
    ----------
    rules : sequence of ImplicitRule
        The rules, in the order of the states.

    Returns
    -------
    BaseActivation
        Their activation.
    """
    return join_activations([(rule.activation, rule.n_hidden) for rule in rules])


def join_blocks(blocks):
    """Join blocks to a matrix.

    Parameters
    ----------
    blocks : list of list of (ndarray, sparse array or None)
        The rows of blocks; None is a block of zeros.

    Returns
    -------
    ndarray or sparse array
        The matrix, sparse if a block is.
    """
    parts = [part for row in blocks for part in row if part is not None]
    heights = [max(part.shape[0] for part in row if part is not None) for row in blocks]
    columns = zip(*blocks, strict=True)
    widths = [max(part.shape[1] for part in column if part is not None) for column in columns]
    filled = [
        [sparse.csr_array((height, width)) if part is None else part for part, width in zip(row, widths, strict=True)]
        for row, height in zip(blocks, heights, strict=True)
    ]
    if any(sparse.issparse(part) for part in parts):
        return sparse.block_array([[sparse.coo_array(part) for part in row] for row in filled], format="csr")
    return np.block([[to_dense(part) for part in row] for row in filled])


def diagonal_blocks(matrices):
    """Return the blocks of a block diagonal matrix.

    Parameters
    ----------
    matrices : sequence of (ndarray or sparse array)
        The blocks on its diagonal.

    Returns
    -------
    list of list
        As for :func:`join_blocks`.
    """
    return [[M if i == j else None for j in range(len(matrices))] for i, M in enumerate(matrices)]


def input_blocks(rules, D, shared_input):
    """Return the blocks of B, and the parts of D, for shared or separate inputs.

    Parameters
    ----------
    rules : sequence of ImplicitRule
        The rules.
    D : list of (ndarray or sparse array)
        Their direct weights.
    shared_input : bool
        Whether all get the same input.

    Returns
    -------
    B : list of list
        As for :func:`join_blocks`.
    D : list
        The same parts.

    Raises
    ------
    ValueError
        If the numbers of shared inputs differ, or ``shared_input`` is neither true nor false.
    """
    check_truths(shared_input=shared_input)
    if shared_input:
        _check_same(rules, "n_inputs", "given the same input")
        return [[rule.B] for rule in rules], D
    return diagonal_blocks([rule.B for rule in rules]), D


def _check_same(rules, attribute, action):
    counts = [getattr(rule, attribute) for rule in rules]
    if len(set(counts)) > 1:
        raise ValueError(f"Rules with {attribute} = {counts} cannot be {action}.")
