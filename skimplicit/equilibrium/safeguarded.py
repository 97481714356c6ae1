"""Anderson's and Newton's methods, safeguarded: faster than a contraction, and certain to converge whenever it does.

By themselves they contract nowhere. A proposed step is kept only if it shrinks the residual at least as much as the
contraction would; otherwise the step of the contraction is taken.
"""

from functools import partial

import numpy as np

from skimplicit.equilibrium.loop import run_in_chunks
from skimplicit.equilibrium.sweeps import AveragedSweep
from skimplicit.linalg import to_dense

__all__ = ["AndersonSteps", "DiagonalNewtonSteps", "NewtonSteps", "Safeguarded"]

_MEMORY = 5  # steps Anderson's method remembers
_LONGEST_WAIT = 32  # steps of the contraction after a proposal that failed


class Safeguarded:
    """A method that proposes steps, with the averaged iteration to fall back on.

    Parameters
    ----------
    make_steps : type
        ``make_steps(sweep, n_rows)`` makes what proposes the steps of a chunk.
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.
    """

    def __init__(self, make_steps, A, activation):
        self.make_steps = make_steps
        self.sweep = AveragedSweep(A, activation)

    def solve(self, drive, *, start=None, stopping):
        """Solve for the states of every row, see :meth:`Sweep.solve <skimplicit.equilibrium.loop.Sweep.solve>`."""
        iterate = partial(_iterate, self.sweep, self.make_steps)
        return run_in_chunks(iterate, self.sweep, (drive,), start, stopping)


class DiagonalNewtonSteps:
    """``x + r / (1 - phi'(A x + z) A_ii)``.

    Parameters
    ----------
    sweep : AveragedSweep
        With A and phi.
    n_rows : int
        Rows of the chunk.
    """

    def __init__(self, sweep, n_rows):
        self.activation = sweep.activation
        self.loops = sweep.A.diagonal()

    def propose(self, rows, X, R, Z):
        """Return where some rows go from X with the residual R at ``Z = A x + z``."""
        return X + R / (1.0 - self.activation.derivative(Z, X + R) * self.loops)

    def accept(self, rows, X, R, X_new, R_new):
        """Take note of the steps that some rows made; Newton's method has no memory."""

    def keep(self, rows):
        """Forget the other rows."""


class NewtonSteps(DiagonalNewtonSteps):
    """``x + (I - phi'(A x + z) A)^-1 r``.

    Parameters
    ----------
    sweep, n_rows : AveragedSweep, int
        As for :class:`DiagonalNewtonSteps`.
    """

    def __init__(self, sweep, n_rows):
        super().__init__(sweep, n_rows)
        self.A = to_dense(sweep.A)

    def propose(self, rows, X, R, Z):
        """Return where some rows go from X with the residual R at ``Z = A x + z``."""
        slopes = np.asarray(self.activation.derivative(Z, X + R), dtype=float)
        size, steps = max((1 << 22) // self.A.size, 1), np.empty_like(X)  # rows whose matrices take 32 MB
        for first in range(0, X.shape[0], size):
            part = slice(first, first + size)
            steps[part] = _solve_rows(np.eye(X.shape[1]) - slopes[part, :, None] * self.A, R[part])
        return X + steps


class AndersonSteps:
    """``x + r - (dX + dR) c`` with c the least-squares fit of r by the last differences dR of the residual.

    Parameters
    ----------
    sweep, n_rows : AveragedSweep, int
        As for :class:`DiagonalNewtonSteps`.
    """

    def __init__(self, sweep, n_rows):
        shape = (n_rows, _MEMORY, sweep.A.shape[0])
        self.dX, self.dR = np.zeros(shape), np.zeros(shape)
        self.n_accepted = np.zeros(n_rows, dtype=int)

    def propose(self, rows, X, R, Z):
        """Return where some rows go from X with the residual R."""
        dX, dR = self.dX[rows], self.dR[rows]
        gram = dR @ dR.transpose(0, 2, 1)
        trace = np.einsum("mii->m", gram)
        # Also makes the equations of missing differences solvable, with c = 0.
        gram += (1e-12 * trace + np.finfo(float).tiny)[:, None, None] * np.eye(_MEMORY)
        fit = _solve_rows(gram, np.einsum("mhn,mn->mh", dR, R))
        return X + R - np.einsum("mhn,mh->mn", dX + dR, fit)

    def accept(self, rows, X, R, X_new, R_new):
        """Remember the steps that some rows made, and what they did to the residual."""
        slot = self.n_accepted[rows] % _MEMORY
        self.dX[rows, slot] = X_new - X
        self.dR[rows, slot] = R_new - R
        self.n_accepted[rows] += 1

    def keep(self, rows):
        """Forget the other rows."""
        self.dX, self.dR, self.n_accepted = self.dX[rows], self.dR[rows], self.n_accepted[rows]


def _solve_rows(matrices, right):
    """Solve one system for each row; a singular one gives nan, which the safeguard refuses, and spoils no other."""
    try:
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right, np.nan)
        pairs = zip(matrices, right, strict=True)
        return np.concatenate([_solve_rows(matrix[None], row[None]) for matrix, row in pairs])


def _iterate(sweep, make_steps, rows, start, limits, max_iter, out):
    """Iterate one chunk of rows until they have converged, writing each row's result when it leaves."""
    (drive,), (states, residual, n_iter, settled) = rows, out
    X = sweep.start(drive) if start is None else start.copy()
    active = np.arange(X.shape[0])
    steps = make_steps(sweep, active.size)
    Z, R = sweep.residual(X, drive)
    size = sweep.norm(R / sweep.weights)
    waiting = np.ones(active.size, dtype=int)  # how many steps of the contraction a row takes before the next proposal
    patience = np.ones(active.size, dtype=int)
    for iteration in range(1, max_iter + 1):
        change = sweep.alpha * sweep.norm(R)
        finite = np.isfinite(change)
        done = (change <= np.maximum(limits[0] * sweep.norm(X), limits[1])) & finite
        leaving = np.ones_like(done) if iteration == max_iter else done | ~finite
        if leaving.any():
            gone, stay = active[leaving], ~leaving
            states[gone] = X[leaving] + sweep.alpha * R[leaving]
            residual[gone], n_iter[gone], settled[gone] = change[leaving], iteration, done[leaving]
            if not stay.any():
                return
            active, X, R, Z, drive = active[stay], X[stay], R[stay], Z[stay], drive[stay]
            size, waiting, patience = size[stay], waiting[stay], patience[stay]
            steps.keep(stay)
        contracted = waiting > 0
        X_new = X + sweep.alpha * R
        bold = ~contracted
        if bold.any():  # where rows wait for long, few at a time: a Newton step is dear
            X_new[bold] = steps.propose(bold, X[bold], R[bold], Z[bold])
        Z_new, R_new = sweep.residual(X_new, drive)
        size_new = sweep.norm(R_new / sweep.weights)
        good = contracted | (size_new <= sweep.rate * size)
        steps.accept(good, X[good], R[good], X_new[good], R_new[good])
        X[good], R[good], Z[good], size[good] = X_new[good], R_new[good], Z_new[good], size_new[good]
        # Where proposals fail again and again, the contraction is tried twice as long each time.
        patience[bold] = np.where(good, 1, np.minimum(2 * patience, 2 * _LONGEST_WAIT))[bold]
        waiting = np.where(contracted, waiting - 1, np.where(good, 0, patience // 2))
