"""How far states, and so outputs, can be from those of a rule whose equation they meet up to a residual."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.activations import activation_of
from skimplicit.composition import check_rule
from skimplicit.linalg import MatrixLike, checked_array, row_scaled, to_dense
from skimplicit.rule import ImplicitRule
from skimplicit.wellposedness import Amplification, perron_certificate

__all__ = ["InputRegion", "drift_bound"]


def drift_bound(A: MatrixLike, activation: Any, residual: ArrayLike) -> np.ndarray:
    """Return ``(I - Gamma |A|)^-1 Gamma |r|``, a bound on ``|x~ - x|`` for every row r of ``residual``.

    Here ``x = phi(z)`` are given states, ``r = z - (A x + B u + b)`` is how far they are from the equation, and
    ``x~ = phi(A x~ + B u + b)`` are the states of the rule. Gamma has the Lipschitz constants of phi on its diagonal.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Weights of the state.
    activation : str or BaseActivation
        phi; each state has its own (no max pooling or softmax).
    residual : array-like of shape (m, n)
        The rows r, or bounds on their absolute values.

    Returns
    -------
    ndarray of shape (m, n)
        The bound, entry by entry.

    Raises
    ------
    ValueError
        If the Perron-Frobenius value of ``Gamma |A|`` is not certified below 1, phi takes states together, or shapes
        do not fit.

    Notes
    -----
    ``|x~ - x| <= Gamma |A x~ + B u + b - z| <= Gamma (|A| |x~ - x| + |r|)``. With ``x`` the states of a rule and
    ``r = (A0 - A) x + (B0 - B) u``, this is theorem 5.1 of El Ghaoui et al. (2021), corrected: as printed,
    ``(I - |A0 + E|)^-1 E x0``, it fails where there are negative entries.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import get_activation
    >>> from skimplicit.distill import drift_bound
    >>> drift_bound(np.array([[0.0, 0.5], [0.0, 0.5]]), get_activation("relu"), np.array([[0.1, -0.2]]))
    array([[0.3, 0.4]])
    """
    M, rows = checked_array(A, "A", 2), np.asarray(residual, dtype=float)
    n = M.shape[0]
    if M.shape[1] != n or rows.ndim != 2 or rows.shape[1] != n:
        raise ValueError(f"A and residual must have shapes (n, n) and (m, n), got {M.shape} and {rows.shape}.")
    activation = activation_of(activation, n)
    gamma = activation.lipschitz
    if activation.groups is not None:
        raise ValueError("A bound on each state needs an activation that acts on each state alone.")
    if perron_certificate(M, gamma) is None:
        raise ValueError("No bound: the Perron-Frobenius value of Gamma |A| is not certified below 1.")
    # In sums of numbers that are not negative: what a solver cancels could be all of a small entry.
    return Amplification(row_scaled(abs(M), gamma), np.broadcast_to(gamma, n)).states(np.abs(rows))


@dataclass(frozen=True)
class InputRegion:
    """Inputs and the states of a rule there: rows, or the centre and radius of a box that holds them.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    inputs : ndarray or CSR matrix of shape (m, p)
        Inputs; for a box one row, its centre.
    states : ndarray of shape (m, n)
        The states of the rule at these inputs.
    input_radius, state_radius : ndarray of shape (1, p) and (1, n), or None
        For a box, how far its inputs and their states are from those at the centre, at most.
    """

    rule: ImplicitRule
    inputs: np.ndarray
    states: np.ndarray
    input_radius: np.ndarray | None = None
    state_radius: np.ndarray | None = None

    @classmethod
    def of(cls, rule, U, box):
        """Check the rule and U, or the lower and upper ends of a box (one of both is None); compute the states."""
        check_rule(rule)
        if (U is None) == (box is None):
            raise ValueError("Give either U or box: the inputs on which the change of the outputs is certified.")
        if U is not None:
            U = rule._check_inputs(U)
            return cls(rule, U, rule.states(U))
        lower, upper = _ends(box, rule.n_inputs)
        if np.any(lower > upper):
            raise ValueError("The lower end of box must not exceed the upper end.")
        centre, radius = (lower + upper)[None] / 2, (upper - lower)[None] / 2
        spread = drift_bound(rule.A, rule.activation, radius @ abs(rule.B).T)
        return cls(rule, centre, rule.states(centre), radius, spread)

    @cached_property
    def gain(self):
        """``max_q (|C| (I - Gamma |A|)^-1 Gamma)_qi``: what a change of the equation of state i can do to an output."""
        response = drift_bound(self.rule.A, self.rule.activation, np.eye(self.rule.n_hidden))
        return to_dense(response @ abs(self.rule.C).T).max(axis=1, initial=0.0)

    @property
    def state_size(self):
        """Bounds on the absolute states."""
        return _largest(self.states, self.state_radius)

    @property
    def input_size(self):
        """Bounds on the absolute inputs."""
        return _largest(self.inputs, self.input_radius)

    @property
    def state_factor(self):
        """Matrix H with ``H H'`` the second moment of the states; on a box, of states at random in their bounds."""
        if self.state_radius is not None:
            return np.diag(self.state_size)
        _, values, vectors = np.linalg.svd(self.states, full_matrices=False)
        return vectors.T * values

    def allows(self, smaller, tolerance):
        """Tell whether no output of another rule with the same C and D can differ by more than the tolerance."""
        return self.output_bound(smaller).max(initial=0.0) <= tolerance

    def output_bound(self, smaller):
        """Return the largest change of each output when the rule is replaced by another one with the same C and D."""
        E_A, E_B = self.rule.A - smaller.A, self.rule.B - smaller.B
        residual = np.abs(self.states @ E_A.T + to_dense(self.inputs @ E_B.T))
        if self.input_radius is not None:
            residual += self.state_radius @ abs(E_A).T + self.input_radius @ abs(E_B).T
        change = drift_bound(smaller.A, smaller.activation, residual) @ abs(smaller.C).T
        return np.max(to_dense(change), axis=0, initial=0.0)


def _ends(box, n_inputs):
    """Return the lower and the upper ends of a box, (2, p)."""
    try:
        ends = np.asarray(box, dtype=float)
    except (TypeError, ValueError):  # parts of different sizes, or no numbers
        ends = np.empty(0)
    if ends.shape != (2, n_inputs) or not np.all(np.isfinite(ends[1] - ends[0])):
        raise ValueError(f"box must be two finite arrays of shape ({n_inputs},), its lower and upper ends.")
    return ends


def _largest(centre, radius):
    size = abs(centre) if radius is None else np.abs(centre) + radius
    # Of a sparse matrix, unlike a sparse array, they are a matrix of one row.
    return to_dense(size.max(axis=0)).ravel() if sparse.issparse(size) else size.max(axis=0, initial=0.0)
