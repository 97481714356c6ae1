"""The adjoint of an equilibrium: derivatives of a loss, by the same loop, in the l1 norm."""

import numpy as np

from skimplicit.equilibrium.loop import Stopping, Sweep
from skimplicit.linalg import multiply, row_scaled, without_diagonal
from skimplicit.wellposedness import perron_certificate

__all__ = ["adjoint", "output_adjoints"]


def adjoint(A, slopes, forcing, *, start=None, rtol=1e-10, atol=0.0, max_iter=10_000):
    """Solve ``s = phi'(z) * (g + s A)`` for every row: the derivative of a loss with respect to the pre-activations.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    slopes : ndarray of shape (m, n)
        phi'(z) at the equilibrium.
    forcing : ndarray of shape (m, n)
        The rows g, derivatives of the loss with respect to the states, the state equation aside.
    start : ndarray of shape (m, n) or None
        Where to start; None for ``phi'(z) * g``.
    rtol, atol, max_iter : float, float, int
        As in :func:`~skimplicit.equilibrium.equilibrium`, the norm being the sum of absolute values.

    Returns
    -------
    FixedPoint
        The rows s as ``states``.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 6 (implicit gradient). The map contracts in the l1 norm.
    """
    return AdjointSweep(A, slopes).solve(slopes, forcing, start=start, stopping=Stopping(rtol, atol, max_iter))


def output_adjoints(A, slopes, C, *, start=None, rtol=1e-10, atol=0.0):
    """Return ``C (I - S A)^-1 S`` for every row, S = diag(phi'(z)): the derivatives of ``y = C x`` by z, by the loop.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    slopes : ndarray of shape (m, n)
        phi'(z) at the equilibrium.
    C : ndarray of shape (q, n)
        Weights of the outputs.
    start : ndarray of shape (m, q, n) or None
        Where to start; None as in :func:`adjoint`.
    rtol, atol : float
        As in :func:`adjoint`.

    Returns
    -------
    ndarray of shape (m, q, n)
        The derivatives.
    """
    (m, n), q = slopes.shape, C.shape[0]
    start = None if start is None else start.reshape(m * q, n)
    slopes = np.repeat(slopes, q, axis=0) if q > 1 else slopes
    return adjoint(A, slopes, np.tile(C, (m, 1)), start=start, rtol=rtol, atol=atol).states.reshape(m, q, n)


class AdjointSweep(Sweep):
    """``s <- gains * (s O + g)`` with O the matrix A without its diagonal, ``gains = phi' / (1 - phi' A_ii)``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    slopes : ndarray of shape (m, n)
        phi' of all rows, which bound the gains.
    """

    def __init__(self, A, slopes):
        self.self_loops = A.diagonal()
        self.matrix = without_diagonal(A)
        bounds = np.array([[slopes.min(initial=0.0)], [slopes.max(initial=0.0)]], dtype=float)
        remaining = 1.0 - bounds * self.self_loops
        if np.all(remaining > 0):  # otherwise the gains have no bound
            largest = np.abs(bounds / remaining).max(axis=0)
            certificate = perron_certificate(row_scaled(self.matrix.T, largest).T)
            if certificate is not None:
                self.amplification = float(certificate.max(initial=1.0))

    def prepare(self, slopes, forcing):
        """Return the gains of the self-loops, and the forcing times these."""
        remaining = np.multiply(slopes, -self.self_loops, order="F")
        remaining += 1.0
        gains = np.divide(slopes, remaining, out=remaining)
        return gains, np.multiply(gains, forcing, order="F")

    def start(self, gains, forcing):
        """Return ``gains * g``."""
        return forcing.copy(order="K")

    def step(self, S, out, gains, forcing):
        """Write ``gains * (s O + g)`` to ``out``."""
        multiply(S, self.matrix, out)
        out *= gains
        out += forcing
        return out

    @staticmethod
    def norm(S, spare=None):
        """Return the sum of absolute values of each row; ``spare`` is an array to work in."""
        return np.abs(S, out=spare) @ np.ones(S.shape[1])
