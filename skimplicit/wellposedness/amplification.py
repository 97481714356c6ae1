"""How far states move when their drive does: ``|x - x'| <= (I - M)^-1 G |z - z'|``, proved entry by entry.

Everything here is made of sums and products of non-negative numbers, which do not cancel: rounding is a relative error
with a known bound, which is added, and an entry without a path stays exactly zero.
"""

from dataclasses import dataclass

import numpy as np

from skimplicit.activations import is_increasing
from skimplicit.linalg import block_triangular_order, row_scaled, to_dense, without_diagonal
from skimplicit.wellposedness.matrix_measures import block_norms, group_starts
from skimplicit.wellposedness.monotone import diagonal_scaling
from skimplicit.wellposedness.report import perron_certificate

__all__ = ["Amplification", "MetricAmplification", "amplification", "moved_states", "sensitivity", "sensitivity_of"]

_EPS = np.finfo(float).eps
# Doublings of the number of terms of a geometric series: enough for rates up to 1 - 1e-12.
_MOST_DOUBLINGS = 46


@dataclass(frozen=True)
class Amplification:
    """``|x - x'| <= (I - M)^-1 G |z - z'|`` for any two equilibria ``x = phi(A x + z)``.

    Parameters
    ----------
    matrix : ndarray or sparse array of shape (k, k)
        M, non-negative with Perron-Frobenius value below 1; k = n, or the number of groups.
    gain : ndarray of shape (k,)
        Diagonal of G.
    groups : ndarray of int of shape (n,) or None
        Group of each state, whose changes are measured by their largest absolute value.
    """

    matrix: np.ndarray
    gain: np.ndarray
    groups: np.ndarray | None = None

    def states(self, drive):
        """Return bounds on ``|x - x'|`` for rows of bounds on ``|z - z'|``, both of shape (m, n)."""
        if self.groups is None:
            return _resolvent(self.matrix, drive.T * self.gain[:, None]).T
        strongest = np.maximum.reduceat(drive, group_starts(self.groups), axis=1)
        return _resolvent(self.matrix, strongest.T * self.gain[:, None]).T[:, self.groups]


@dataclass(frozen=True)
class MetricAmplification:
    """``|x_i - x'_i| <= ||Gamma (z - z')||_W / (margin sqrt(w_i))``, W the metric in which ``I - Gamma A`` is monotone.

    Parameters
    ----------
    metric : ndarray of shape (n,)
        w.
    margin : float
        Least eigenvalue of the symmetric part of ``W^1/2 (I - Gamma A) W^-1/2``, positive.
    slope : ndarray of shape (n,)
        Gamma.

    Notes
    -----
    For slopes in [0, gamma], ``<x - x', x - x'>_W <= <x - x', Gamma A (x - x') + Gamma (z - z')>_W``.
    """

    metric: np.ndarray
    margin: float
    slope: np.ndarray

    def states(self, drive):
        """Return bounds on ``|x - x'|`` for rows of bounds on ``|z - z'|``, both of shape (m, n)."""
        root = np.sqrt(self.metric)
        length = np.sqrt(np.sum((drive * self.slope * root) ** 2, axis=1, keepdims=True))
        return length / (self.margin * root) * (1 + 4 * (root.size + 8) * _EPS)


def amplification(rule):
    """Return the first proof that holds of how far the states of a rule can move.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.

    Returns
    -------
    Amplification or MetricAmplification
        ``M = Gamma N(A)`` and ``G = Gamma`` when its Perron-Frobenius value is below 1; else, for an increasing
        componentwise phi, with the self-loops solved (``mu_inf < 1``), or in a diagonal metric.

    Raises
    ------
    ValueError
        If none of them holds: then no bound is known.

    Notes
    -----
    Sources: El Ghaoui et al. (2021), theorems 4.1 to 4.4; Jafarpour et al. (2021); Revay et al. (2020).
    """
    found = _first_proof(rule)
    if found is None:
        raise ValueError("No bound is known: no test certifies how far the states of this rule can move.")
    return found


def _first_proof(rule):
    """Return what :func:`amplification` does, None where no proof holds."""
    A, phi = rule.A, rule.activation
    slope = np.broadcast_to(np.asarray(phi.lipschitz, dtype=float), rule.n_hidden)
    if not np.all(np.isfinite(slope)):  # as of exp: a state can move any way for however small a drive
        return None
    if perron_certificate(A, phi.lipschitz, phi.groups) is not None:
        first = slice(None) if phi.groups is None else group_starts(phi.groups)
        return Amplification(block_norms(A, slope, phi.groups), slope[first], phi.groups)
    if is_increasing(phi):
        remaining = 1.0 - slope * A.diagonal()
        if np.all(remaining > 0) and perron_certificate(without_diagonal(A), slope / remaining) is not None:
            gain = slope / remaining * (1 + 4 * _EPS)
            return Amplification(row_scaled(abs(without_diagonal(A)), gain), gain)
        scaled = to_dense(row_scaled(A, slope))
        metric = diagonal_scaling(scaled)
        if metric is not None:
            root = np.sqrt(metric)
            similar = scaled * (root[:, None] / root)
            margin = 1 - np.linalg.eigvalsh((similar + similar.T) / 2)[-1]
            margin -= 1e-12 * (1 + np.linalg.norm(similar))  # the eigenvalue's own rounding
            if margin > 0:
                return MetricAmplification(metric, margin, slope)
    return None


def moved_states(rule, found):
    """Return ``((I - M)^-1 G |B|)'``: how far each state moves, at most, when an input moves by 1, (p, n).

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    found : Amplification
        How far its states are amplified.

    Returns
    -------
    ndarray of shape (p, n)
        The bounds.
    """
    return found.states(to_dense(abs(rule.B)).T)


def sensitivity_of(C, D, moved):
    """Return ``S = |C| (I - M)^-1 G |B| + |D|`` from what :func:`moved_states` returned, rounded upwards.

    Parameters
    ----------
    C : ndarray or sparse array of shape (q, n)
        Weights from states to outputs.
    D : ndarray or sparse array of shape (q, p)
        Direct weights.
    moved : ndarray of shape (p, n)
        How far each state moves with each input.

    Returns
    -------
    ndarray of shape (q, p)
        ``|y(u) - y(u')| <= S |u - u'|`` for all u and u'. With ``M = Gamma |A|``, an entry is zero exactly when no
        path leads from the input to the output.

    Notes
    -----
    Source: El Ghaoui et al. (2021), theorems 4.3 and 4.4.
    """
    return to_dense(moved @ abs(C).T).T * (1 + (moved.shape[1] + 8) * _EPS) + to_dense(abs(D))


def sensitivity(rule):
    """Return ``S = |C| (I - M)^-1 G |B| + |D|``, with ``|y(u) - y(u')| <= S |u - u'|`` for all u and u'.

    Parameters
    ----------
    rule : ImplicitRule
        Any rule.

    Returns
    -------
    ndarray of shape (q, p)
        The sensitivity matrix, that of :func:`sensitivity_of`. Where nothing is known of how far the states of the
        rule can move, an entry is infinite exactly when a path leads from the input to the output.
    """
    found = _first_proof(rule)
    if found is not None:
        return sensitivity_of(rule.C, rule.D, moved_states(rule, found))
    links = to_dense(block_norms(rule.A, 1.0, rule.activation.groups)) > 0
    fed, read = to_dense(rule.B) != 0, to_dense(rule.C) != 0
    if rule.activation.groups is not None:
        starts = group_starts(rule.activation.groups)
        fed, read = np.logical_or.reduceat(fed, starts), np.logical_or.reduceat(read, starts, axis=1)
    return np.where(read @ _reachable(links, fed), np.inf, np.abs(to_dense(rule.D)))


def _reachable(links, fed):
    """Return which states each input reaches, from those it feeds, along the links between states."""
    while True:
        reached = fed | (links @ fed)
        if np.array_equal(reached, fed):
            return reached
        fed = reached


def _resolvent(M, right):
    """Return ``(I - M)^-1 right`` for non-negative M and right (k, m), rounded upwards."""
    out = np.zeros(right.shape)
    operations = 4.0
    for block in block_triangular_order(M):
        rows = block.states
        total = right[rows] + M[rows] @ out
        operations += M.shape[0] + 4
        if block.implicit:
            total, doubled = _series(to_dense(M[rows][:, rows]), total)
            operations += 2 * doubled * (rows.size + 4)
        out[rows] = total
    return out * (1 + 2 * operations * _EPS)


def _series(M, right):
    """Return ``right + M right + M^2 right + ...`` and the number of terms, doubled until the rest rounds away."""
    total, terms = right, 1.0
    for _ in range(_MOST_DOUBLINGS):
        step = M @ total
        total, terms = total + step, 2 * terms
        # The rest is at most twice this share of the sum, which the caller's rounding covers.
        if np.all(step <= _EPS * total):
            return total, terms
        M = M @ M
    raise ValueError("No bound is known: the Perron-Frobenius value of the states is too near 1.")
