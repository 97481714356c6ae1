"""The sweeps that contract towards the equilibrium ``x = phi(A x + z)``: plain, averaged, and by splitting.

Self-loops (the diagonal of A) are where plain iteration is slow: trained rules put much of a row's budget there, and
``x_i = phi(0.95 x_i + ...)`` needs hundreds of steps. For positively homogeneous activations, and for the adjoint of
any activation, the scalar equation has a closed form, so each sweep solves it exactly and iterates over the rest of A.
The rate never gets worse: row i goes from ``sum_j |A_ij|`` to ``(sum_j |A_ij| - |A_ii|) / (1 - A_ii)``.
"""

import numpy as np
from scipy import sparse

from skimplicit.activations import has_two_slopes, is_increasing, two_slopes
from skimplicit.equilibrium.loop import ROUNDING, Sweep
from skimplicit.linalg import multiply, row_scaled, to_dense, without_diagonal
from skimplicit.wellposedness import (
    Condition,
    diagonal_scaling,
    inf_norm,
    monotone_amplification,
    perron_certificate,
    relaxation,
    well_posedness,
)

__all__ = ["AveragedSweep", "ForwardSweep", "ResolventSweep", "residual_amplification"]


def residual_amplification(A, activation):
    """Return the least c that is certified with ``max_i |x_i - x*_i| <= c max_i |x_i - phi(A x + z)_i|``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.

    Returns
    -------
    float
        Infinite if no bound is certified.

    Notes
    -----
    With N the block norms of ``Gamma A``, ``c = max (I - N)^-1 1``. An increasing phi allows for more. Where x is phi
    of something plus an error r, ``|x - x*|_i <= (r_i + g_i (|O| |x - x*|)_i) / (1 - max(gamma_i A_ii, 0))`` with O the
    matrix A without its diagonal and ``g_i = gamma_i / (1 - gamma_i A_ii)``, hence
    ``c = max (I - diag(g) |O|)^-1 1 / (1 - max_i gamma_i A_ii)``; and a monotone ``I - Gamma A`` has the c of
    :func:`~skimplicit.wellposedness.monotone_amplification`.
    """
    if not is_increasing(activation):
        v = perron_certificate(A, activation.lipschitz, activation.groups)
        return np.inf if v is None else float(v.max(initial=1.0))
    loops = activation.lipschitz * A.diagonal()
    if np.all(loops < 1):
        v = perron_certificate(without_diagonal(A), activation.lipschitz / (1.0 - loops))
        if v is not None:
            return float(v.max(initial=1.0) / (1.0 - np.max(loops, initial=0.0)))
    scaled = to_dense(row_scaled(A, activation.lipschitz))
    metric = diagonal_scaling(scaled, lmi=False)
    return np.inf if metric is None else monotone_amplification(scaled, metric)


class ForwardSweep(Sweep):
    """``x <- psi(x M' + drive')``: phi with the self-loops solved, or phi itself when they have no closed form.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.
    """

    def __init__(self, A, activation):
        self.activation = activation
        self.gain = self.leak = None
        self.cuts = False  # whether nothing leaks: max(z, 0)
        matrix, slope, groups = A, activation.lipschitz, activation.groups
        if has_two_slopes(activation):
            left, right = two_slopes(activation, A.shape[0])
            loops = A.diagonal()
            if np.all(right > 0) and np.all(right * loops < 1) and np.all(left * loops < 1):
                self.gain = right / (1.0 - right * loops)
                self.leak = (left / (1.0 - left * loops)) / self.gain
                self.cuts = not self.leak.any()
                matrix = row_scaled(without_diagonal(A), self.gain)
                slope = np.maximum(1.0, np.abs(self.leak))
        certificate = perron_certificate(matrix, slope, groups)
        #: Whether the sweep contracts for certain.
        self.contracts = certificate is not None
        if self.contracts:
            self.amplification = float(certificate.max(initial=1.0))
        else:
            # The residual after a sweep is at most what the sweep changed in the states that it took as given.
            passed_on = 1.0 if self.gain is None else inf_norm(row_scaled(without_diagonal(A), activation.lipschitz))
            self.amplification = max(1.0, passed_on) * residual_amplification(A, activation)
        self.transposed = matrix.T if sparse.issparse(matrix) else np.ascontiguousarray(matrix.T)

    def prepare(self, drive):
        """Return the drive times the gains of the self-loops."""
        return (drive if self.gain is None else np.multiply(drive, self.gain, order="F"),)

    def start(self, drive):
        """Return phi of the drive."""
        return self._activate(drive.copy(order="K"))

    def step(self, X, out, drive):
        """Write ``psi(x M' + drive')`` to ``out``."""
        multiply(X, self.transposed, out)
        out += drive
        return self._activate(out)

    def _activate(self, Z):
        if self.cuts:
            return np.maximum(Z, 0.0, out=Z)
        if self.leak is None:
            return self.activation(Z, out=Z)
        return np.multiply(Z, self.leak, out=Z, where=Z < 0)


class AveragedSweep(Sweep):
    """``x <- x + alpha (phi(A x + z) - x)``, with the largest alpha that lets no self-loop overshoot.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.

    Attributes
    ----------
    weights, rate : ndarray of shape (n,), float
        A sweep takes the residual to at most ``rate`` times what it was, in the norm ``max_i |r_i| / weights_i``;
        without a certificate, 1.
    """

    def __init__(self, A, activation):
        self.A, self.activation = A, activation
        self.transposed = A.T
        self.alpha = relaxation(A, activation.lipschitz) if is_increasing(activation) else 1.0
        self.amplification = residual_amplification(A, activation) / self.alpha
        self.weights, self.rate = np.ones(A.shape[0]), 1.0
        norm = inf_norm(row_scaled(A, activation.lipschitz))
        # Of a slope without a bound, rounding at the slopes that are met says more than infinity.
        self.rounding = ROUNDING * max(1.0, norm if np.isfinite(norm) else inf_norm(A))
        if norm < 1:
            self.rate = 1 - self.alpha * (1 - norm)
            return
        report = well_posedness(A, activation, lmi=False)
        if report.condition is Condition.PERRON_FROBENIUS:
            self.weights, self.rate = report.weights, 1 - self.alpha * (1 - report.rate)
        elif report.condition is Condition.MU_INF:
            self.weights, self.rate = report.weights, report.rate

    def prepare(self, drive):
        """Return the drive."""
        return (drive,)

    def start(self, drive):
        """Return phi of the drive."""
        return self.activation(drive)

    def residual(self, X, drive):
        """Return ``A x + z`` and ``phi(A x + z) - x``."""
        Z = np.empty_like(X)
        multiply(X, self.transposed, Z)
        Z += drive
        return Z, self.activation(Z) - X

    def step(self, X, out, drive):
        """Write ``x + alpha (phi(A x + z) - x)`` to ``out``."""
        multiply(X, self.transposed, out)
        out += drive
        self.activation(out, out=out)
        if self.alpha < 1:
            out *= self.alpha
            out += (1 - self.alpha) * X
        return out


class ResolventSweep(Sweep):
    """``w <- w + 2 (h - x) / gamma`` with ``x = phi(w + z)`` and ``h = (2 I - Gamma A)^-1 (2 x - gamma w)``.

    Peaceman and Rachford's splitting in ``u = w + z``, which tends to ``A x + z``. The drive is kept out of w: it can
    be far larger than the states, whose digits it would take. For slopes in [0, gamma], which are those of
    ``psi(s) = phi(s / gamma)``, with slopes in [0, 1].

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.
    """

    def __init__(self, A, activation):
        self.activation = activation
        self.gamma = np.asarray(activation.max_slope, dtype=float) * np.ones(A.shape[0])
        scaled = to_dense(row_scaled(A, self.gamma))
        self.A_transposed = A.T
        self.inverse = np.ascontiguousarray(np.linalg.inv(2 * np.eye(self.gamma.size) - scaled).T)
        self.amplification = residual_amplification(A, activation)
        self.rounding = ROUNDING * max(1.0, inf_norm(scaled))

    def prepare(self, drive):
        """Return the drive."""
        return (drive,)

    def start(self, drive):
        """Return ``w = 0``."""
        return np.zeros_like(drive)

    def resume(self, states, drive):
        """Return ``w = A x``."""
        return states @ self.A_transposed

    def step(self, W, out, drive):
        """Write the next w to ``out``."""
        X = self.activation(W + drive)
        np.matmul(2.0 * X - W * self.gamma, self.inverse, out=out)
        out -= X
        out *= 2.0 / self.gamma
        out += W
        return out

    def look(self, previous, W, spare, drive):
        """Return the states ``phi(w + z)`` and their residual: w can change while they do not, and the reverse."""
        X = self.activation(W + drive)
        return X, self.norm(self.activation(X @ self.A_transposed + drive) - X)
