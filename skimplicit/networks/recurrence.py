"""Networks that repeat a cell: unrolled recurrent networks, neural ODEs, deep equilibrium models."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.activations import join_activations
from skimplicit.composition import cascade, check_rule
from skimplicit.networks.arrays import shaped_array
from skimplicit.parameters import checked_number, nearest
from skimplicit.rule import ImplicitRule

__all__ = ["deep_equilibrium", "neural_ode", "recurrent"]

# Stages and weights of Runge-Kutta methods (Butcher tableaus).
_TABLEAUS = {
    "euler": ([[0.0]], [1.0]),
    "midpoint": ([[0.0, 0.0], [0.5, 0.0]], [0.0, 1.0]),
    "rk4": ([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 1.0, 0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    "implicit_euler": ([[1.0]], [1.0]),
    "implicit_midpoint": ([[0.5]], [1.0]),
}


def recurrent(
    W_state: ArrayLike,
    W_input: ArrayLike,
    W_output: ArrayLike,
    b: ArrayLike | None = None,
    c: ArrayLike | None = None,
    *,
    n_steps: int,
    activation: Any = "tanh",
    start: ArrayLike | None = None,
    outputs: str = "last",
) -> ImplicitRule:
    """Return the network ``h_t = phi(W_state h_{t-1} + W_input u_t + b)``, ``y_t = W_output h_t + c``, unrolled.

    Parameters
    ----------
    W_state : array-like of shape (k, k)
        Weights from state to state.
    W_input : array-like of shape (k, p)
        Weights of the input at one time.
    W_output : array-like of shape (q, k)
        Weights from state to output.
    b : array-like of shape (k,) or None
        Intercept of the state; None for zeros.
    c : array-like of shape (q,) or None
        Intercept of the output; None for zeros.
    n_steps : int
        Number of times T.
    activation : str or BaseActivation
        phi.
    start : array-like of shape (k,) or None
        ``h_0``; None for zeros.
    outputs : {"last", "all"}
        Whether to return ``y_T`` or ``(y_1, ..., y_T)``.

    Returns
    -------
    ImplicitRule
        Inputs ``(u_1, ..., u_T)``, what ``reshape(m, -1)`` makes of (m, T, p); states ``(h_T, ..., h_1)``.

    Raises
    ------
    TypeError
        If ``n_steps`` is no integer.
    ValueError
        If ``n_steps`` is below 1, ``outputs`` is unknown, or the shapes do not fit.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 3.6.
    """
    checked_number(n_steps, "n_steps", least=1, integer=True)
    if outputs not in ("last", "all"):
        raise ValueError(f"outputs must be 'last' or 'all', got {outputs!r}.")
    k = shaped_array(W_state, "W_state", (None, None)).shape[0]
    W_state, W_input = shaped_array(W_state, "W_state", (k, k)), shaped_array(W_input, "W_input", (k, None))
    W_output = shaped_array(W_output, "W_output", (None, k))
    q = W_output.shape[0]
    b, c, start = shaped_array(b, "b", (k,)), shaped_array(c, "c", (q,)), shaped_array(start, "start", (k,))
    intercepts = np.tile(b, (n_steps, 1))
    intercepts[-1] += W_state @ start  # h_1 is the last block
    backward_in_time = sparse.csr_array(np.eye(n_steps)[::-1])
    C = sparse.kron(backward_in_time, sparse.csr_array(W_output), format="csr")
    return ImplicitRule(
        A=sparse.kron(sparse.eye_array(n_steps, k=1), sparse.csr_array(W_state), format="csr"),
        B=sparse.kron(backward_in_time, sparse.csr_array(W_input), format="csr"),
        C=C if outputs == "all" else sparse.csr_array(C)[-q:],
        b=intercepts.ravel(),
        c=np.tile(c, n_steps) if outputs == "all" else c,
        activation=join_activations([(activation, k)] * n_steps),
    )


def neural_ode(
    W1: ArrayLike,
    b1: ArrayLike,
    W2: ArrayLike,
    b2: ArrayLike,
    *,
    step: float,
    n_steps: int,
    scheme: str = "rk4",
    activation: Any = "tanh",
) -> ImplicitRule:
    """Return the end of ``dx/dt = W2 phi(W1 x + b1) + b2``, ``x(0) = u``, after ``n_steps`` Runge-Kutta steps.

    Parameters
    ----------
    W1 : array-like of shape (k, d)
        Weights into the hidden layer of the vector field.
    b1 : array-like of shape (k,)
        Its intercept.
    W2 : array-like of shape (d, k)
        Weights out of it.
    b2 : array-like of shape (d,)
        Their intercept.
    step : float
        Time step h.
    n_steps : int
        Number of steps.
    scheme : {"rk4", "euler", "midpoint", "implicit_euler", "implicit_midpoint"}
        The method. For the implicit ones, the hidden layer of each step is the solution of an equation.
    activation : str or BaseActivation
        phi.

    Returns
    -------
    ImplicitRule
        Inputs ``x(0)``, outputs ``x(h n_steps)``. States of each step: x at its end (linear), and the hidden layer at
        each stage.

    Raises
    ------
    TypeError
        If ``n_steps`` is no integer or ``step`` no number.
    ValueError
        If the scheme is unknown, ``n_steps`` is below 1, or the shapes do not fit.

    Notes
    -----
    With stages a and weights w: ``s_i = phi(W1 (x + h sum_j a_ij (W2 s_j + b2)) + b1)`` and the next x is
    ``x + h sum_i w_i (W2 s_i + b2)``.
    """
    if scheme not in _TABLEAUS:
        raise ValueError(f"scheme must be one of {sorted(_TABLEAUS)}, got {scheme!r}.{nearest(scheme, _TABLEAUS)}")
    checked_number(n_steps, "n_steps", least=1, integer=True)
    checked_number(step, "step")
    W1 = shaped_array(W1, "W1", (None, None))
    k, d = W1.shape
    W2, b1, b2 = shaped_array(W2, "W2", (d, k)), shaped_array(b1, "b1", (k,)), shaped_array(b2, "b2", (d,))
    stages, weights = (np.asarray(array, dtype=float)[::-1] for array in _TABLEAUS[scheme])  # downstream first
    stages, n_stages = stages[:, ::-1], weights.size
    hidden = step * np.kron(stages, W1 @ W2)
    A = np.block(
        [
            [np.zeros((d, d)), step * np.kron(weights[None], W2)],
            [np.zeros((hidden.shape[0], d)), hidden],
        ]
    )
    one_step = ImplicitRule(
        A=sparse.csr_array(A),
        B=sparse.csr_array(np.vstack([np.eye(d), np.tile(W1, (n_stages, 1))])),
        C=sparse.csr_array(np.eye(d, A.shape[0])),
        b=np.concatenate([step * b2, np.tile(b1, n_stages) + step * np.kron(stages.sum(axis=1), W1 @ b2)]),
        activation=join_activations([("identity", d)] + [(activation, k)] * n_stages),
    )
    return cascade(*[one_step] * n_steps)


def deep_equilibrium(cell: Any) -> ImplicitRule:
    """Return ``y = x`` where ``x = cell(x, u)``: the limit of a network that repeats one cell without end.

    Parameters
    ----------
    cell : ImplicitRule
        A rule with inputs ``(x, u)``: its first inputs are as many as its outputs.

    Returns
    -------
    ImplicitRule
        Inputs u. States: those of the cell, preceded by x unless it equals the states of the cell. It need not be well
        posed: ask :meth:`ImplicitRule.well_posedness`.

    Raises
    ------
    ValueError
        If the cell has fewer inputs than outputs.

    Examples
    --------
    >>> from skimplicit.networks import deep_equilibrium, feedforward
    >>> cell = feedforward([[[0.5, 1.0]], [[1.0]]])  # relu(x / 2 + u)
    >>> deep_equilibrium(cell).predict([[3.0]])
    array([[6.]])
    """
    check_rule(cell, "cell")
    n, q, p = cell.n_hidden, cell.n_outputs, cell.n_inputs - cell.n_outputs
    if p < 0:
        raise ValueError(f"The cell must have at least as many inputs as outputs, got {cell.n_inputs} and {q}.")
    A, B, C, D = (sparse.csr_array(M) for M in (cell.A, cell.B, cell.C, cell.D))
    is_state = n == q and not cell.c.any() and D.nnz == 0 and abs(C - sparse.eye_array(n)).sum() == 0
    if is_state:
        A, B, b, activation = A + B[:, :q], B[:, q:], cell.b, cell.activation
        C = sparse.eye_array(n, format="csr")
    else:
        A = sparse.block_array([[D[:, :q], C], [B[:, :q], A]], format="csr")
        B = sparse.vstack([D[:, q:], B[:, q:]], format="csr")
        b, activation = np.concatenate([cell.c, cell.b]), join_activations([("identity", q), (cell.activation, n)])
        C = sparse.eye_array(q, q + n, format="csr")
    if not any(sparse.issparse(M) for M in (cell.A, cell.B)):
        A, B, C = A.toarray(), B.toarray(), C.toarray()
    return ImplicitRule(A, B, C, b=b, activation=activation)
