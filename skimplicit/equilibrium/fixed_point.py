"""The two loops of an implicit rule: the equilibrium (forward pass) and its adjoint (derivatives).

Both are fixed points of a contraction, row by row, and share one loop. Samples are rows: m samples, n states. Rows that
have converged leave the loop, and rows are taken in blocks that stay in the processor's cache.

Self-loops (the diagonal of A) are where plain iteration is slow: trained rules put much of a row's budget there, and
``x_i = phi(0.95 x_i + ...)`` needs hundreds of steps. For positively homogeneous activations, and for the adjoint of
any activation, the scalar equation has a closed form, so each sweep solves it exactly and iterates over the rest of A.
The rate never gets worse: row i goes from ``sum_j |A_ij|`` to ``(sum_j |A_ij| - |A_ii|) / (1 - A_ii)``.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import sparse

from skimplicit.linalg import multiply, row_scaled, without_diagonal
from skimplicit.wellposedness import perron_certificate

__all__ = ["FixedPoint", "Status", "adjoint", "equilibrium"]

# Doubles of state in a block: state, drive and work space together stay inside a 1 MB cache.
_BLOCK = 1 << 15
# Rows are taken out of the loop once this share of them has converged; moving them costs about one sweep.
_LEAVING_SHARE = 0.25
# A look at the residuals costs as much as a few sweeps of a small rule: look after sweeps 1, 2 and 4, then when the
# last rows should have converged at the rate seen so far, but so often that rows can leave.
_FIRST_LOOKS, _LONGEST_WAIT = (1, 2, 4), 12
_EPS = np.finfo(float).eps


class Status(Enum):
    """How a fixed-point loop ended; the value is the sentence for the user."""

    CONVERGED = "every row reached the tolerance"
    MAX_ITER = "some rows did not reach the tolerance within max_iter iterations; raise max_iter or tol"


@dataclass(frozen=True)
class FixedPoint:
    """Solution of ``x = phi(A x + z)`` for m rows z.

    Parameters
    ----------
    states : ndarray of shape (m, n)
        The states.
    residual : ndarray of shape (m,)
        ``max_i |x_i - T(x)_i|`` at the last sweep T of each row.
    error_bound : ndarray of shape (m,)
        Bound on ``max_i |x_i - x*_i|``; infinite without a certificate of well-posedness.
    n_iter : ndarray of int of shape (m,)
        Sweeps each row took (residuals are not looked at after every sweep).
    converged : ndarray of bool of shape (m,)
        Rows that reached the tolerance.
    """

    states: np.ndarray
    residual: np.ndarray
    error_bound: np.ndarray
    n_iter: np.ndarray
    converged: np.ndarray

    @property
    def status(self):
        """Worst status of the rows, a :class:`Status`."""
        return Status.CONVERGED if self.converged.all() else Status.MAX_ITER


def equilibrium(A, drive, activation, *, start=None, tol=1e-10, max_iter=10_000, floor=0.0):
    """Solve ``x = phi(A x + z)`` for every row z of ``drive``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    drive : ndarray of shape (m, n)
        The rows z, that is ``B u + b``.
    activation : BaseActivation
        phi.
    start : ndarray of shape (m, n) or None
        States to start from; None for phi(z).
    tol : float
        A row has converged when its error bound is at most ``tol * max(max_i |x_i|, floor)``.
    max_iter : int
        Most sweeps.
    floor : float
        Size below which states count as small; 0 makes the result of a row independent of all other rows.

    Returns
    -------
    FixedPoint
        States, residuals, error bounds, iterations and status of each row.

    Notes
    -----
    Bounds by ``|x - x*| <= (I - |M|)^-1 |x - T(x)|`` with M the matrix of the sweep T. When no certificate exists, a
    row has converged when its residual, not its error, is below the tolerance.
    """
    sweep = _ForwardSweep(A, activation)
    return _solve(sweep, (drive,), start, tol, max_iter, floor)


def adjoint(A, slopes, forcing, *, start=None, tol=1e-10, max_iter=10_000, floor=0.0):
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
    tol, max_iter, floor : float, int, float
        As in :func:`equilibrium`, the norm being the sum of absolute values.

    Returns
    -------
    FixedPoint
        The rows s as ``states``.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 6 (implicit gradient). The map contracts in the l1 norm.
    """
    return _solve(_AdjointSweep(A, slopes), (slopes, forcing), start, tol, max_iter, floor)


class _ForwardSweep:
    """``x <- psi(x M' + drive')``: phi with the self-loops solved, or phi itself when they have no closed form."""

    def __init__(self, A, activation):
        self.activation = activation
        self.leak = None
        if activation.homogeneous and activation.groups is None:
            right, left = activation(np.array([[1.0], [-1.0]]) * np.ones(A.shape[0])) * [[1.0], [-1.0]]
            loops = A.diagonal()
            if np.all(right > 0) and np.all(right * loops < 1) and np.all(left * loops < 1):
                self.gain = right / (1.0 - right * loops)
                self.leak = (left / (1.0 - left * loops)) / self.gain
                matrix = row_scaled(without_diagonal(A), self.gain)
                self.certificate = perron_certificate(matrix, np.maximum(1.0, np.abs(self.leak)))
        if self.leak is None:
            self.gain = None
            matrix = A
            self.certificate = perron_certificate(matrix, activation.lipschitz, activation.groups)
        self.transposed = matrix.T if sparse.issparse(matrix) else np.ascontiguousarray(matrix.T)

    def prepare(self, drive):
        """Return what the sweeps over this block of rows need."""
        return (drive if self.gain is None else drive * self.gain,)

    def start(self, drive):
        return self._activate(drive.copy())

    def step(self, X, out, drive):
        multiply(X, self.transposed, out)
        out += drive
        return self._activate(out)

    def _activate(self, Z):
        if self.leak is None:
            return self.activation(Z, out=Z)
        if not self.leak.any():
            return np.maximum(Z, 0.0, out=Z)
        return np.multiply(Z, self.leak, out=Z, where=Z < 0)

    @staticmethod
    def norm(X):
        return np.abs(X).max(axis=1)


class _AdjointSweep:
    """``s <- gains * (s O + g)`` with O the matrix A without its diagonal, ``gains = phi' / (1 - phi' A_ii)``."""

    def __init__(self, A, slopes):
        self.self_loops = A.diagonal()
        self.matrix = without_diagonal(A)
        bounds = np.array([[slopes.min(initial=0.0)], [slopes.max(initial=0.0)]], dtype=float)
        remaining = 1.0 - bounds * self.self_loops
        self.certificate = None
        if np.all(remaining > 0):  # otherwise the gains have no bound
            largest = np.abs(bounds / remaining).max(axis=0)
            self.certificate = perron_certificate(self.matrix * largest)

    def prepare(self, slopes, forcing):
        gains = slopes / (1.0 - slopes * self.self_loops)
        return gains, gains * forcing

    def start(self, gains, forcing):
        return forcing.copy()

    def step(self, S, out, gains, forcing):
        multiply(S, self.matrix, out)
        out *= gains
        out += forcing
        return out

    @staticmethod
    def norm(S):
        return np.abs(S) @ np.ones(S.shape[1])


def _solve(sweep, data, start, tol, max_iter, floor):
    """Run the loop over blocks of rows."""
    if not max_iter >= 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter!r}.")
    m, n = data[0].shape
    states = np.empty((m, n))
    residual = np.zeros(m)
    n_iter = np.zeros(m, dtype=int)
    converged = np.zeros(m, dtype=bool)
    amplification = np.inf if sweep.certificate is None else sweep.certificate.max(initial=1.0)
    threshold = max(tol / amplification if np.isfinite(amplification) else tol, 4 * _EPS)
    size = max(_BLOCK // max(n, 1), 16)
    for first in range(0, m if n else 0, size):
        rows = slice(first, first + size)
        result = states[rows], residual[rows], n_iter[rows], converged[rows]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the status tells of divergence
            block = sweep.prepare(*(array[rows] for array in data))
            X = sweep.start(*block) if start is None else start[rows]
            _iterate(sweep, X, block, threshold, max_iter, floor, *result)
    if n == 0:
        converged[:] = True
    # An infinite amplification says that nothing is certified, even where the residual is exactly zero.
    error_bound = residual * amplification if np.isfinite(amplification) else np.full(m, np.inf)
    return FixedPoint(states, residual, error_bound, n_iter, converged)


def _iterate(sweep, X, data, threshold, max_iter, floor, states, residual, n_iter, converged):
    """Sweep one block until its rows have converged, writing each row's result when it leaves."""
    active = np.arange(X.shape[0])
    out, spare = np.empty_like(X), np.empty_like(X)
    look, before = _FIRST_LOOKS[0], None
    for iteration in range(1, max_iter + 1):
        previous, X = X, sweep.step(X, out, *data)
        out, spare = spare, X
        if iteration < look and iteration < max_iter:
            continue
        change = sweep.norm(X - previous)
        limit = threshold * floor
        if not change.max() <= limit:
            limit = threshold * np.maximum(sweep.norm(X), floor)
        done = (change <= limit) & (change < np.inf)
        finished = np.count_nonzero(done)
        if finished == active.size or iteration == max_iter:
            states[active], residual[active], n_iter[active], converged[active] = X, change, iteration, done
            return
        if finished > _LEAVING_SHARE * active.size:
            left = active[done]
            states[left], residual[left], n_iter[left], converged[left] = X[done], change[done], iteration, True
            keep = ~done
            active, X = active[keep], X[keep]
            data = tuple(array[keep] for array in data)
            out, spare = np.empty_like(X), np.empty_like(X)
        worst = float((change[~done] / limit[~done]).max())
        look, before = _next_look(iteration, worst, before), (iteration, worst)


def _next_look(iteration, worst, before):
    """Return the sweep after which to look again, when the worst change is ``worst`` times what is allowed."""
    for first in _FIRST_LOOKS:
        if first > iteration:
            return first
    # NaN and growth give the longest wait.
    rate = np.log(before[1] / worst) / (iteration - before[0])
    wait = np.log(worst) / rate if rate > 0 else _LONGEST_WAIT
    return iteration + int(np.ceil(min(max(wait, 1), _LONGEST_WAIT)))
