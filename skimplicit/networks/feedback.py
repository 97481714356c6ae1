"""Two rules in a loop. Source: El Ghaoui et al. (2021), section 2.4, completed for direct terms in both."""

import numpy as np

from skimplicit.composition import check_rule
from skimplicit.linalg import to_dense
from skimplicit.rule import ImplicitRule
from skimplicit.stacking import diagonal_blocks, join_blocks, joined_activation
from skimplicit.wellposedness import perron_frobenius

__all__ = ["feedback"]


def feedback(forward: ImplicitRule, backward: ImplicitRule) -> ImplicitRule:
    """Return the loop ``y = forward(u + backward(y))``.

    Parameters
    ----------
    forward : ImplicitRule
        The rule in the forward path, (A1, B1, C1, D1).
    backward : ImplicitRule
        The rule in the return path, (A2, B2, C2, D2).

    Returns
    -------
    ImplicitRule
        States ``(x1, x2)``. With ``Delta = (I - D1 D2)^-1``: ``C = Delta [C1, D1 C2]``, ``D = Delta D1``, and A, B from
        ``u1 = u + C2 x2 + D2 y + c2``, ``u2 = y``. It need not be well posed: ask :meth:`ImplicitRule.well_posedness`.

    Raises
    ------
    ValueError
        If the numbers of inputs and outputs do not fit, or ``I - D1 D2`` is singular: the direct terms alone then do
        not determine the loop.
    TypeError
        If what is given is no rule.
    """
    check_rule(forward, "forward")
    check_rule(backward, "backward")
    if forward.n_outputs != backward.n_inputs or forward.n_inputs != backward.n_outputs:
        raise ValueError(
            f"The return path must have {forward.n_outputs} inputs and {forward.n_inputs} outputs, "
            f"got {backward.n_inputs} and {backward.n_outputs}."
        )
    q = forward.n_outputs
    D1, D2, C1, C2 = (to_dense(M) for M in (forward.D, backward.D, forward.C, backward.C))
    direct = np.eye(q) - D1 @ D2
    # What rounding may have made of each entry tells whether the matrix is singular, in whatever units the outputs are.
    rounding = q * np.finfo(float).eps * (np.eye(q) + abs(D1) @ abs(D2))
    if not np.linalg.slogdet(direct)[0] or perron_frobenius(abs(np.linalg.inv(direct)) @ rounding) >= 1:
        raise ValueError("I - D1 D2 is singular: the direct terms of the two rules alone close a loop.")
    readout = np.linalg.solve(direct, np.hstack([C1, D1 @ C2, D1, (forward.c + D1 @ backward.c)[:, None]]))
    C, D, c = np.split(readout, [C1.shape[1] + C2.shape[1], readout.shape[1] - 1], axis=1)
    # u1 = u + backward's output, in terms of the states and of u.
    into_C = D2 @ C + np.hstack([np.zeros((forward.n_inputs, forward.n_hidden)), C2])
    into_D, into_c = np.eye(forward.n_inputs) + D2 @ D, D2 @ c[:, 0] + backward.c
    A = np.vstack([forward.B @ into_C, backward.B @ C]) + join_blocks(diagonal_blocks([forward.A, backward.A]))
    return ImplicitRule(
        A=np.asarray(A),
        B=np.vstack([forward.B @ into_D, backward.B @ D]),
        C=C,
        D=D,
        b=np.concatenate([forward.b + forward.B @ into_c, backward.b + backward.B @ c[:, 0]]),
        c=c[:, 0],
        activation=joined_activation([forward, backward]),
    )
