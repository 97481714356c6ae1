"""Where a rule of a piecewise linear activation is one affine function: its slopes there, and how far that holds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from skimplicit.feature_names import check_columns
from skimplicit.inspection.explanations import exact_states
from skimplicit.inspection.piecewise_paths import Pieces, solve, substitution_order
from skimplicit.linalg import MatrixLike, to_dense
from skimplicit.robustness.models import open_model

__all__ = ["AffineForms", "affine_forms"]


@dataclass(frozen=True)
class AffineForms:
    """``y(v) = value + slopes (v - u)`` for all v with ``|v_j - u_j| <= radius``, for each row u.

    Parameters
    ----------
    slopes : ndarray of shape (m, q, p)
        Derivatives of the outputs by the inputs.
    value : ndarray of shape (m, q)
        Outputs at the rows.
    radius : ndarray of shape (m,)
        The largest such radius in which no state passes a kink; 0 at a kink, infinite where nothing ever does.
    """

    slopes: np.ndarray
    value: np.ndarray
    radius: np.ndarray


def affine_forms(model: Any, X: MatrixLike) -> AffineForms:
    """Return ``dy/du = C (I - L A)^-1 L B + D`` at each row, L the slopes of phi there, and how far it holds.

    Inside this region every state stays on its linear piece of phi, so the rule is exactly that affine function.
    Pre-activations are affine there too, ``z + J (v - u)`` with ``J = (I - A L)^-1 B``, so the region in which none
    passes a kink has the radius ``min_i dist(z_i, kinks) / sum_j |J_ij|``.

    Parameters
    ----------
    model : ImplicitRule or estimator
        A rule, or a fitted estimator with a ``rule_``; for a classifier the logits. The form is that of ``rule_``,
        without the clipping of inputs to the range of the training rows.
    X : array-like or sparse matrix of shape (m, p)
        Inputs u.

    Returns
    -------
    AffineForms
        Slopes, values and radii.

    Raises
    ------
    TypeError
        If there is no rule, or phi is not piecewise linear, coordinate by coordinate.
    ValueError
        If X does not fit.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.inspection import affine_forms
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0, -1.0]], C=[[2.0]], c=[1.0])
    >>> form = affine_forms(rule, [[3.0, 1.0]])
    >>> form.slopes.round(9), form.radius.round(9)
    (array([[[ 4., -4.]]]), array([1.]))
    """
    rule = open_model(model).rule
    n = rule.n_hidden
    pieces = Pieces.of(rule.activation, n) if rule.activation.groups is None else None
    if pieces is None:
        raise TypeError(
            f"affine_forms needs a piecewise linear phi, coordinate by coordinate, not {rule.activation!r}."
        )
    U = to_dense(check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X"))
    check_columns(model, X)
    if U.shape[1] != rule.n_inputs:
        raise ValueError(f"X has {U.shape[1]} columns, but the rule has {rule.n_inputs} inputs.")
    A, B, C, D = map(to_dense, (rule.A, rule.B, rule.C, rule.D))
    order, triangular = substitution_order(A)
    A, B, C, pieces = A[np.ix_(order, order)], B[order], C[:, order], pieces.of_states(order)
    states = exact_states(rule, U, "Radii and values need not be exact")[:, order]
    Z = states @ A.T + U @ B.T + rule.b[order]
    slopes, radius = np.empty((len(U), rule.n_outputs, rule.n_inputs)), np.full(len(U), np.inf)
    coordinates = np.arange(n)
    for k, z in enumerate(Z):
        piece = np.sum(z[:, None] >= pieces.edges[:, 1:-1], axis=1)
        slope = pieces.slopes[coordinates, piece]
        J = solve(np.eye(n) - A * slope, B, triangular)
        slopes[k] = (C * slope) @ J + D
        distance = np.minimum(z - pieces.edges[coordinates, piece], pieces.edges[coordinates, piece + 1] - z)
        speed = np.abs(J).sum(axis=1)
        moves = speed > 0
        radius[k] = np.min(distance[moves] / speed[moves], initial=np.inf)
    return AffineForms(slopes, states @ C.T + U @ D.T + rule.c, np.maximum(radius, 0.0))
