"""The block of the states in lifted training: every sample by itself, layer by layer where there are layers.

The states X are free variables, held to their equation by a Fenchel divergence. A layer of states is in the loss, in
its own equation ``X = phi(X A' + ...)`` and in the equations of the states that it feeds.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skimplicit.lifted.divergences import Divergence
from skimplicit.subproblems.fista import fista

__all__ = ["StatesProblem", "coupling_weights", "solve_states"]

# Share of the largest feedback that ``I - theta |A|`` is kept away from being singular by.
_MARGIN = 0.05
# A state that the readout does not use yet is coupled by this share of the mean.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class StatesProblem:
    """``min_X sum_s loss(C x_s + o_s, y_s) + sum_i w_i F(x_si, z_si) + sum_k v_k F(t_sk, (P x_s + r_s)_k)``.

    ``Z = X A' + drive`` are the pre-activations of the states X of one layer (of all states, without layers), and
    ``P x + r`` those of the states t that the layer feeds, which are held. With F(x, z) = G(x) + G*(z) - x z, X is in
    both arguments of its own divergence: the block is convex where

        mu diag(w) - diag(w) A - A' diag(w)  is positive semidefinite,  mu = 1 / gamma,

    always if A = 0, as it is for a layer of a feedforward network. Elsewhere its concave part is replaced by its
    tangent, which leaves a convex program that lies above it.

    Parameters
    ----------
    divergence : Divergence
        F.
    loss : SquaredLoss or CrossEntropyLoss
        The loss of a sample.
    Y : ndarray of shape (m, q)
        Targets.
    C : ndarray of shape (q, n)
        Readout of the layer.
    offset : ndarray of shape (m, q)
        The part o of the predictions that does not depend on X.
    A : ndarray of shape (n, n)
        Feedback inside the layer.
    drive : ndarray of shape (m, n)
        The part of its pre-activations that does not depend on X.
    weights : ndarray of shape (n,)
        The weights w, positive.
    feed : ndarray of shape (k, n)
        The matrix P to the states that the layer feeds.
    fed_drive, fed_states : ndarray of shape (m, k)
        r and t.
    fed_weights : ndarray of shape (k,)
        The weights v, positive.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 6.3, which takes the block for convex without the condition; Gu, Askari, El
    Ghaoui (2020) for layers.
    """

    divergence: Divergence
    loss: object
    Y: np.ndarray
    C: np.ndarray
    offset: np.ndarray
    A: np.ndarray
    drive: np.ndarray
    weights: np.ndarray
    feed: np.ndarray
    fed_drive: np.ndarray
    fed_states: np.ndarray
    fed_weights: np.ndarray

    def value(self, X):
        """Return the objective of every sample at X of shape (m, n), an ndarray (m,)."""
        own = self.divergence.value(X, X @ self.A.T + self.drive)
        fed = self.divergence.value(self.fed_states, X @ self.feed.T + self.fed_drive)
        return self.loss.value(X @ self.C.T + self.offset, self.Y) + own @ self.weights + fed @ self.fed_weights

    def smooth_gradient(self, X):
        """Return the gradient, shape (m, n), of all but ``sum_i w_i (G(x_i) - mu/2 x_i^2)``."""
        phi, w = self.divergence.activation, self.weights
        gradient = self.loss.gradient(X @ self.C.T + self.offset, self.Y) @ self.C
        if self._feeds_itself:
            Z = X @ self.A.T + self.drive
            gradient += (w * (phi(Z) - X)) @ self.A
        else:
            Z = self.drive
        gradient += w * (self.divergence.modulus * X - Z)
        if self.feed.size:
            mismatch = phi(X @ self.feed.T + self.fed_drive) - self.fed_states
            gradient += (self.fed_weights * mismatch) @ self.feed
        return gradient

    @cached_property
    def _feeds_itself(self):
        return bool(self.A.any())

    def curvature(self):
        """Return a bound of the second derivatives of the smooth part in the metric of the weights, a float."""
        root = np.sqrt(self.weights)
        gamma = self.divergence.activation.lipschitz
        C = self.C / root
        own = root[:, None] * self.A / root
        fed = np.sqrt(self.fed_weights)[:, None] * self.feed / root
        modulus = self.divergence.modulus
        bound = modulus * np.eye(root.size) - own - own.T
        bound += self.loss.curvature(self.Y) * (C.T @ C) + gamma * (own.T @ own + fed.T @ fed)
        return max(float(np.linalg.eigvalsh(bound)[-1]), modulus)

    def to_cvxpy(self, centre):
        """Return the program in symbols, the concave part of ``-x' diag(w) A x`` replaced by its tangent.

        Parameters
        ----------
        centre : ndarray of shape (m, n)
            Where the tangent touches. A point that minimises the program it is the centre of is a stationary point of
            the block, its minimiser if the block is convex.

        Returns
        -------
        problem : cvxpy.Problem
            The program.
        X : cvxpy.Variable
            The states, of shape (m, n).
        """
        import cvxpy as cp

        X = cp.Variable(centre.shape)
        WA = self.weights[:, None] * self.A
        values, vectors = np.linalg.eigh(-0.5 * (WA + WA.T))
        convex = vectors * np.sqrt(np.maximum(values, 0.0))
        concave = (vectors * np.minimum(values, 0.0)) @ vectors.T
        potential, domain = self.divergence.potential_cvxpy(X)
        own = potential + self.divergence.conjugate_cvxpy(X @ self.A.T + self.drive)
        objective = (
            self.loss.to_cvxpy(X @ self.C.T + self.offset, self.Y)
            + cp.sum(own @ self.weights)
            - cp.sum(cp.multiply(X, self.weights * self.drive))
            + cp.sum_squares(X @ convex)
            + 2 * cp.sum(cp.multiply(X, centre @ concave))
        )
        if self.feed.size:
            Z = X @ self.feed.T + self.fed_drive
            terms = self.divergence.conjugate_cvxpy(Z) - cp.multiply(self.fed_states, Z)
            objective += cp.sum(terms @ self.fed_weights)
        return cp.Problem(cp.Minimize(objective), domain), X


def solve_states(problem, X, tol, max_iter):
    """Minimise a :class:`StatesProblem` from X by accelerated proximal gradient with restart, all samples at once.

    Parameters
    ----------
    problem : StatesProblem
        The problem.
    X : ndarray of shape (m, n)
        Where to start, inside the domain of the divergence.
    tol : float
        Stop when no entry, in the metric of the weights, moves by more than ``tol`` times the largest.
    max_iter : int
        Most iterations.

    Returns
    -------
    ndarray of shape (m, n)
        The minimiser up to the tolerance where the block is convex, else a stationary point: each step minimises a
        convex function that lies above the objective.
    """
    root = np.sqrt(problem.weights)
    step = 1.0 / problem.curvature()

    def gradient(V):
        return problem.smooth_gradient(V / root) / root

    def proximal_point(V):
        return problem.divergence.proximal_point(V / root, step) * root

    return fista(gradient, proximal_point, step, X * root, tol, max_iter) / root


def coupling_weights(A, C, curvature, divergence):
    """Return ``w = (I - theta |A|')^-1 c`` with ``c_i = curvature sum_l C_li^2``: what the loss feels of each state.

    ``theta = min(2 gamma, .95 / ||A||_inf)``. If ``2 gamma ||A||_inf <= .95``, the states block is convex for these
    weights: ``|A|' w <= w / (2 gamma)`` and ``|A| 1 <= 1 / (2 gamma)`` make ``mu diag(w) - diag(w) A - A' diag(w)``
    diagonally dominant. When states are rescaled, x to s x and C to C/s, the weighted divergence stays what it is.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Weights of the states.
    C : ndarray of shape (q, n)
        Readout.
    curvature : float
        Second derivative of the loss, positive.
    divergence : Divergence
        The divergence.

    Returns
    -------
    ndarray of shape (n,)
        Positive weights.
    """
    own = curvature * np.sum(C**2, axis=0)
    own = np.maximum(own, _LEAST_SHARE * own.mean())
    if not own.all():
        own = np.full(own.size, curvature)  # the readout uses no state at all
    feedback = np.abs(A)
    norm = feedback.sum(axis=1).max(initial=0.0)
    convex = 2.0 / divergence.modulus
    theta = convex if convex * norm <= 1.0 - _MARGIN else (1.0 - _MARGIN) / norm
    return np.linalg.solve(np.eye(own.size) - theta * feedback.T, own)
