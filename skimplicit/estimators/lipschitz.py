"""The ``lipschitz`` parameter of the estimators: balls of weights in which no rule moves by more than a bound."""

import numpy as np

__all__ = ["lipschitz_balls"]

# What rounding may add on the way from the units of training to those of the data.
_MARGIN = 1e-11
# An input has a say in how the bound is shared if it may move the targets by so many of their deviations when it moves
# by its own: what others could tell is a tenth of the variance.
_SAY = 0.3


def lipschitz_balls(bound, kappa, slope, samples, n_hidden, direct):
    """Return weights of l1 balls of the rows of ``[A B]`` and ``[C D]`` in which ``S 1 <= bound``.

    S is ``|C| (I - g |A|)^-1 g |B| + |D|`` in the units of the data, g the largest slope of phi. With t the share
    ``sum_k |A_ik| / kappa`` of row i, rows of B with ``g sum_j |B_ij| <= beta (1 - t)`` let no state move by more than
    beta when no input moves by more than 1, and ``beta sum_i |C_oi| + sum_j |D_oj| <= bound`` is what is wanted. Which
    beta it is does not matter for a positively homogeneous phi but for the ridge; it is ``sqrt(bound / n)``, in units
    of the targets and of an input, at which the ridge on B and C is least for that input. It is the one of the smallest
    deviation among those that the bound lets tell something: one of a larger deviation has room to spare.

    Parameters
    ----------
    bound : float
        The bound L.
    kappa : float
        Bound on the absolute row sums of A, below 1 / g.
    slope : float
        Largest slope g of phi.
    samples : Samples
        The samples, which know the units of training.
    n_hidden : int
        Number n of states.
    direct : bool
        Whether there is a direct term.

    Returns
    -------
    W_weights : ndarray of shape (n, n + p)
        Weights for ``[A B]``; the balls have radius 1.
    V_weights : ndarray of shape (q, n + p) or (q, n)
        Weights for ``[C D]``, or for C without a direct term; the balls have radius 1.
    """
    bound = bound * (1 - _MARGIN)
    per_unit = 1.0 / samples.U_scale
    Y_scale = samples.Y_scale.max()
    beta = np.sqrt(bound / n_hidden / Y_scale / samples.smallest_scale(_SAY * Y_scale / bound))
    # Without feedback A is zero whatever its weights are.
    of_A = np.full((n_hidden, n_hidden), (1 + _MARGIN) / kappa if kappa > 0 else 1.0)
    of_B = np.tile(max(slope, np.finfo(float).tiny) / beta * per_unit, (n_hidden, 1))
    of_C = np.tile(samples.Y_scale[:, None] * beta / bound, (1, n_hidden))
    of_D = np.outer(samples.Y_scale, per_unit) / bound
    return np.hstack([of_A, of_B]), np.hstack([of_C, of_D]) if direct else of_C
