"""Feedforward networks, residual connections and batch normalisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.activations import join_activations
from skimplicit.composition import activate, affine_rule, check_rule, parallel
from skimplicit.linalg import MatrixLike, checked_array
from skimplicit.networks.arrays import shaped_array
from skimplicit.parameters import checked_number
from skimplicit.rule import ImplicitRule

__all__ = ["batch_norm", "feedforward", "residual"]


def feedforward(
    weights: Sequence[MatrixLike], biases: Sequence[ArrayLike | None] | None = None, activations: Any = "relu"
) -> ImplicitRule:
    """Return the network ``x_{l+1} = phi_{l+1}(W_l x_l + b_l)``, ``x_0 = u``, ``y = W_L x_L + b_L``.

    Parameters
    ----------
    weights : sequence of array-like or sparse
        ``W_0, ..., W_L``, each of shape (outputs of the layer, inputs of the layer).
    biases : sequence of array-like or None
        ``b_0, ..., b_L``; None for zeros, for one of them or for all.
    activations : str, BaseActivation, or sequence of them
        ``phi_1, ..., phi_L``, or one for all hidden layers. One more stands for an activation of the outputs.

    Returns
    -------
    ImplicitRule
        States ``(x_L, ..., x_1)``; A (sparse) has ``W_{L-1}, ..., W_1`` above its block diagonal, ``W_0`` is in B and
        ``W_L`` in C.

    Raises
    ------
    ValueError
        If the shapes do not follow one another, or the numbers of biases or activations do not fit.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 3.2. ``||A||_inf = max(||W_1||_inf, ..., ||W_{L-1}||_inf)``: the first and
    the last layer are not in A, whatever their size.

    Examples
    --------
    >>> from skimplicit.networks import feedforward
    >>> rule = feedforward([[[1.0], [-1.0]], [[1.0, 1.0]]])  # relu(u) + relu(-u)
    >>> rule.predict([[-3.0], [2.0]])
    array([[3.],
           [2.]])
    """
    weights = [
        checked_array(W, f"weights[{layer}]", 2)
        if sparse.issparse(W)
        else sparse.csr_array(shaped_array(W, f"weights[{layer}]", (None, None)))
        for layer, W in enumerate(weights)
    ]
    if not weights:
        raise ValueError("weights must have at least one matrix.")
    for layer, (W, following) in enumerate(zip(weights, weights[1:], strict=False)):
        if following.shape[1] != W.shape[0]:
            raise ValueError(f"weights[{layer + 1}] must have {W.shape[0]} columns, got {following.shape[1]}.")
    biases = [None] * len(weights) if biases is None else list(biases)
    if len(biases) != len(weights):
        raise ValueError(f"biases must be as many as weights, got {len(biases)} and {len(weights)}.")
    biases = [
        shaped_array(b, f"biases[{layer}]", (W.shape[0],))
        for layer, (W, b) in enumerate(zip(weights, biases, strict=True))
    ]
    *hidden, last = weights
    activations = _one_for_each(activations, len(hidden))
    sizes = [W.shape[0] for W in hidden]
    if not hidden:
        rule = affine_rule(last, biases[-1])
    else:
        # Blocks from the last layer to the first: W_l is in the row of x_{l+1}, in the column of x_l.
        blocks = [[None] * len(hidden) for _ in hidden]
        for place, W in enumerate(reversed(hidden[1:])):
            blocks[place][place + 1] = W
        for place, size in enumerate(reversed(sizes)):
            blocks[place][place] = sparse.csr_array((size, size))
        later = sum(sizes[1:])
        rule = ImplicitRule(
            A=sparse.block_array(blocks, format="csr"),
            B=sparse.vstack([sparse.csr_array((later, hidden[0].shape[1])), hidden[0]], format="csr"),
            C=sparse.hstack([last, sparse.csr_array((last.shape[0], sum(sizes[:-1])))], format="csr"),
            b=np.concatenate(biases[-2::-1]),
            c=biases[-1],
            activation=join_activations(list(zip(activations[len(hidden) - 1 :: -1], sizes[::-1], strict=True))),
        )
    return activate(rule, activations[-1]) if len(activations) > len(hidden) else rule


def _one_for_each(activations, n_hidden):
    """Return a list of activations, one for each hidden layer and perhaps one for the outputs."""
    if not isinstance(activations, list | tuple):
        return [activations] * n_hidden
    if len(activations) not in (n_hidden, n_hidden + 1):
        raise ValueError(f"activations must be {n_hidden}, or one more for the outputs, got {len(activations)}.")
    return list(activations)


def residual(rule: ImplicitRule, activation: Any = None) -> ImplicitRule:
    """Return ``y = u + rule(u)``, or ``phi(u + rule(u))``.

    Parameters
    ----------
    rule : ImplicitRule
        A rule with as many outputs as inputs.
    activation : str, BaseActivation or None
        phi; None for none.

    Returns
    -------
    ImplicitRule
        Same states (and the outputs, with an activation), the identity added to D.

    Raises
    ------
    ValueError
        If the rule has not as many outputs as inputs.
    """
    summed = parallel(rule, affine_rule(sparse.eye_array(check_rule(rule).n_inputs, format="csr")))
    return summed if activation is None else activate(summed, activation)


def batch_norm(
    mean: ArrayLike,
    variance: ArrayLike,
    scale: ArrayLike | None = None,
    shift: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
    repeat: int = 1,
) -> ImplicitRule:
    """Return ``y_i = scale_i (u_i - mean_i) / sqrt(variance_i + epsilon) + shift_i``, batch normalisation at test time.

    Parameters
    ----------
    mean, variance : array-like of shape (k,)
        Running statistics of each channel.
    scale, shift : array-like of shape (k,) or None
        Learned parameters; None for ones, zeros.
    epsilon : float
        Added to the variance.
    repeat : int
        Number of consecutive inputs in a channel: the pixels of an image.

    Returns
    -------
    ImplicitRule
        A rule without states, D diagonal.

    Raises
    ------
    TypeError
        If ``epsilon`` is no number or ``repeat`` no integer.
    ValueError
        If the shapes do not fit, or a variance with epsilon is not positive.
    """
    checked_number(epsilon, "epsilon", least=0.0)
    checked_number(repeat, "repeat", least=1, integer=True)
    mean = shaped_array(mean, "mean", (None,))
    variance = shaped_array(variance, "variance", mean.shape)
    scale, shift = shaped_array(scale, "scale", mean.shape, default=1.0), shaped_array(shift, "shift", mean.shape)
    if np.any(variance < 0) or np.any(variance + epsilon == 0):
        raise ValueError(f"variance must be at least 0, and positive with epsilon={epsilon!r}.")
    gain = scale / np.sqrt(variance + epsilon)
    offset = shift - gain * mean
    return affine_rule(sparse.diags_array(np.repeat(gain, repeat), format="csr"), np.repeat(offset, repeat))
