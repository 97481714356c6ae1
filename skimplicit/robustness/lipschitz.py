"""Lipschitz constants of a whole rule."""

from typing import Any

import numpy as np
from scipy import sparse

from skimplicit.linalg import block_triangular_order, row_scaled, to_dense
from skimplicit.robustness.models import open_model
from skimplicit.wellposedness import MetricAmplification, amplification, moved_states, sensitivity_of

__all__ = ["lipschitz_bound"]

# Singular values are right to this share.
_ROUNDING = 1e-12


def lipschitz_bound(model: Any, norm: str | int = "inf") -> float:
    """Return L with ``||y(u) - y(v)|| <= L ||u - v||`` for all inputs u and v, the same norm on both sides.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule, or a fitted estimator with a ``rule_``; the logits of a classifier.
    norm : {"inf", 1, 2}
        Largest absolute entry, sum of absolute entries, or Euclidean.

    Returns
    -------
    float
        The largest absolute row sum, the largest column sum or the spectral norm of the sensitivity matrix S. In the
        Euclidean norm, the smallest of that and a product of spectral norms: of the layers of a network, and of
        implicit steps with ``gamma ||A||_2 < 1``, or in the metric in which the rule is monotone.

    Raises
    ------
    ValueError
        If the norm is another one or nothing is certified.

    Notes
    -----
    At most the bound of El Ghaoui et al. (2021), equation 4.8: ``||B|| ||C|| / (1 - ||A||) + ||D||``.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.robustness import lipschitz_bound
    >>> round(lipschitz_bound(ImplicitRule(A=[[0.5]], B=[[1.0, -1.0]], C=[[2.0]])), 9)
    8.0
    """
    if norm not in ("inf", 1, 2) or isinstance(norm, bool):
        raise ValueError(f"norm must be 'inf', 1 or 2, got {norm!r}.")
    rule = open_model(model).rule
    found = amplification(rule)
    S = sensitivity_of(rule.C, rule.D, moved_states(rule, found))
    if norm == "inf":
        return float(S.sum(axis=1).max(initial=0.0)) * (1 + _ROUNDING)
    if norm == 1:
        return float(S.sum(axis=0).max(initial=0.0)) * (1 + _ROUNDING)
    bounds = [_spectral(S)]
    if rule.activation.groups is None:
        bounds.append(_by_steps(rule))
        if isinstance(found, MetricAmplification):
            root = np.sqrt(found.metric)
            before, after = row_scaled(rule.B, root * found.slope), to_dense(rule.C) / root
            bounds.append(_spectral(after) * _spectral(before) / found.margin + _spectral(rule.D))
    return float(min(bounds)) * (1 + _ROUNDING)


def _spectral(M):
    M = to_dense(M)
    return float(np.linalg.norm(M, 2)) if M.size else 0.0


def _by_steps(rule):
    """Return ``N(C) (I - N(A))^-1 N(B) + N(D)``, N the spectral norms of the blocks of the triangular order."""
    A, B, C = (sparse.csr_array(M) for M in (rule.A, rule.B, rule.C))
    slope = np.broadcast_to(np.asarray(rule.activation.lipschitz, dtype=float), rule.n_hidden)
    scaled, steps = row_scaled(A, slope), block_triangular_order(A)
    moved = []
    for k, step in enumerate(steps):
        rows = step.states
        total = _spectral(row_scaled(B, slope)[rows])
        total += sum(_spectral(scaled[rows][:, steps[j].states]) * moved[j] for j in range(k))
        own = _spectral(scaled[rows][:, rows]) if step.implicit else 0.0
        if not own < 1:
            return np.inf
        moved.append(total / (1 - own))
    through = sum(_spectral(C[:, step.states]) * size for step, size in zip(steps, moved, strict=True))
    return through + _spectral(rule.D)
