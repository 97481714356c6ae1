"""The last word on a conversion: rule and model side by side on sample points."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from skimplicit.linalg import to_dense
from skimplicit.quiet import without_warnings

__all__ = ["compare", "sample_points"]

# Distances of the points from the centre, in units of the first weights, and points at each.
_RADII, _POINTS = (0.1, 1.0, 10.0, 1000.0), 8
# Share of the largest output that may differ: above the rounding of deep networks, below any difference of functions.
_TOL = 1e-7
# Rounding of inputs by this share, and its effect on the model times this factor, is what rounding may explain.
_ROUNDING, _FACTOR = 1e-14, 10.0


def sample_points(rule):
    """Return rows u at which a rule can tell whether it is the function that it should be.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.

    Returns
    -------
    list of ndarray of shape (8, p)
        Points about the centre that ``B u + b = 0`` and ``D u + c = 0`` have in the sense of least squares, at several
        distances in units of ``1 / ||[B; D]_j||``: for a model of scaled inputs, inside and far outside the range of
        its training rows. The last are about 0, in units of the inputs.
    """
    G = sparse.csr_array(sparse.vstack([sparse.csr_array(rule.B), sparse.csr_array(rule.D)]))
    norms = np.sqrt(np.asarray(G.multiply(G).sum(axis=0)).ravel())
    with np.errstate(divide="ignore", over="ignore"):
        units = np.where(np.isfinite(1.0 / norms), 1.0 / norms, 1.0)
    centre = units * lsqr(G @ sparse.diags_array(units), -np.concatenate([rule.b, rule.c]), iter_lim=100)[0]
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((len(_RADII) + 1, _POINTS, rule.n_inputs))
    return [centre + radius * units * draw for radius, draw in zip(_RADII, draws, strict=False)] + [draws[-1]]


def compare(rule, evaluate, name, convertible):
    """Compare a rule with the model it was made from, inside and outside the range that the model knows.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    evaluate : callable
        ``evaluate(U)`` returns the outputs of the model on U of shape (m, p), as (m,) or (m, q).
    name : str
        What the model is called.
    convertible : str
        What can be converted, for the message.

    Raises
    ------
    ValueError
        If they differ by more than rounding explains.
    """
    # A model that was fitted on a frame wants names; far outside exponentials overflow.
    with np.errstate(all="ignore"), without_warnings(Warning):
        points = sample_points(rule)
        shown = [_shown(rule, evaluate, U, name, convertible) for U in points]
    if not any(shown):
        raise ValueError(f"This {name} cannot be converted: it has no finite outputs at any sample point.")


def _shown(rule, evaluate, U, name, convertible):
    """Raise if rule and model differ in some row; return whether the model has finite outputs in any."""
    try:
        expected = _outputs(evaluate, U)
        moved = _outputs(evaluate, U * (1.0 + _ROUNDING * np.random.default_rng(1).standard_normal(U.shape)))
    except ValueError:  # parts of a model refuse what others made infinite
        return False
    if expected.shape[1] != rule.n_outputs:
        raise ValueError(
            f"This {name} cannot be converted: it has {expected.shape[1]} outputs, its rule {rule.n_outputs}. "
            f"What can be converted: {convertible}."
        )
    found = rule.predict(U)
    terms = abs(rule.states(U)) @ abs(to_dense(rule.C)).T + abs(U) @ abs(to_dense(rule.D)).T + abs(rule.c)
    allowed = _TOL * _largest(expected) + _FACTOR * (_largest(moved - expected) + _ROUNDING * _largest(terms))
    shown = np.isfinite(expected).all(axis=1)
    differ = ~(np.abs(found - expected) <= allowed) & shown[:, None]
    if differ.any():
        row, column = np.argwhere(differ)[0]
        raise ValueError(
            f"This {name} cannot be converted: at a sample point it returns {expected[row, column]:.6g}, its rule "
            f"{found[row, column]:.6g}. What can be converted: {convertible}."
        )
    return shown.any()


def _outputs(evaluate, U):
    return np.asarray(evaluate(U), dtype=float).reshape(U.shape[0], -1)


def _largest(values):
    """Return the largest finite size in each column."""
    return np.abs(np.where(np.isfinite(values), values, 0.0)).max(axis=0)
