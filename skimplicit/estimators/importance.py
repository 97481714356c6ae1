"""How much each input matters to a rule: on the rows it was trained on, and at most."""

from dataclasses import replace

import numpy as np

from skimplicit.equilibrium import equilibrium, output_adjoints
from skimplicit.linalg import to_dense
from skimplicit.wellposedness import sensitivity

__all__ = ["bounded_sensitivity", "input_importances"]

# Tolerance of states and derivatives.
_TOL = 1e-9
# Most numbers in the derivatives of some rows' outputs by states, and then by some inputs: they stay in the cache.
_MOST_NUMBERS = 2**18


def input_importances(rules, samples, reachable):
    """Return the mean over rows r and outputs i of ``|dy_i/du_j(u_r)| sd(input j) / sd(target i)``.

    Parameters
    ----------
    rules : list of ImplicitRule
        Members, in the units of the data; y is their mean.
    samples : Samples
        Rows, weights and deviations.
    reachable : ndarray of bool of shape (q, p)
        Whether a path leads from the input to the output. Where none does the derivative is zero, without rounding.

    Returns
    -------
    ndarray of shape (p,)
        The importances. The derivative is that through the equilibrium; at a kink of phi, that of one side.
    """
    per_target = 1.0 / samples.Y_scale
    # In units of the deviations: in the user's own, what is multiplied on the way could exceed the range of numbers.
    readouts = [to_dense(rule.C) * per_target[:, None] / len(rules) for rule in rules]
    fed = [to_dense(rule.B) * samples.U_std for rule in rules]
    direct = sum(to_dense(rule.D) * per_target[:, None] * samples.U_std for rule in rules) / len(rules)
    slopes = [_slopes(rule, samples) for rule in rules]
    q, p = direct.shape
    n_rows = max(1, _MOST_NUMBERS // (q * max(1, *(rule.n_hidden for rule in rules))))
    total = np.zeros((q, p))
    for first in range(0, samples.n_samples, n_rows):
        rows = slice(first, first + n_rows)
        adjoints = [
            output_adjoints(rule.A, own[rows], C, rtol=_TOL)
            for rule, own, C in zip(rules, slopes, readouts, strict=True)
        ]
        weights = samples.weights[rows]
        n_columns = max(1, _MOST_NUMBERS // (q * weights.size))
        for start in range(0, p, n_columns):
            columns = slice(start, start + n_columns)
            # Members may contradict one another: the derivative of their mean is not the mean of absolute values.
            derivatives = sum(S @ B[:, columns] for S, B in zip(adjoints, fed, strict=True)) + direct[:, columns]
            total[:, columns] += np.tensordot(weights, np.abs(derivatives, out=derivatives), axes=1)
    return np.where(reachable, total, 0.0).mean(axis=0)


def bounded_sensitivity(rule, samples):
    """Return the bound S on all derivatives, ``|y(u) - y(v)| <= S |u - v|``, in the units of the data.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    samples : Samples
        The units in which it was trained, which keep what is multiplied on the way in the range of numbers.

    Returns
    -------
    ndarray of shape (q, p)
        ``|C| (I - |A|)^-1 |B| + |D|``.
    """
    scaled = replace(
        rule,
        B=to_dense(rule.B) * samples.U_scale,
        C=to_dense(rule.C) / samples.Y_scale[:, None],
        D=to_dense(rule.D) / samples.Y_scale[:, None] * samples.U_scale,
    )
    return sensitivity(scaled) * (samples.Y_scale[:, None] / samples.U_scale)


def _slopes(rule, samples):
    """Return ``phi'`` at the equilibrium of all rows, (m, n)."""
    B = to_dense(rule.B)
    drive = samples.inputs_times(B * samples.U_scale) + (B @ samples.U_mean + rule.b)
    X = equilibrium(rule.A, drive, rule.activation, rtol=_TOL).states
    return np.asarray(rule.activation.derivative(X @ rule.A.T + drive, X), dtype=float)
