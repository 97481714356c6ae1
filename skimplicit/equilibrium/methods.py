"""Methods for ``x = phi(A x + z)`` beside the plain loop of :mod:`skimplicit.equilibrium.fixed_point`.

The averaged and the splitting iterations contract where the plain one need not. Anderson's and Newton's methods are
faster and contract nowhere by themselves: a safeguard keeps a step only if it shrinks the residual at least as much as
the contraction would, and otherwise takes the step of the contraction. So they converge whenever it does.
"""

import numpy as np

from skimplicit.equilibrium.fixed_point import _BLOCK, _EPS, FixedPoint, _ForwardSweep, _solve, equilibrium
from skimplicit.linalg import multiply, row_scaled, to_dense, without_diagonal
from skimplicit.wellposedness import (
    Condition,
    diagonal_scaling,
    inf_norm,
    perron_certificate,
    relaxation,
    resolvent_rate,
    well_posedness,
)

__all__ = ["METHODS", "choose_method", "error_amplification", "solve_equilibrium"]

#: Methods for an implicit block of states, see :func:`solve_equilibrium`.
METHODS = ("picard", "averaged", "anderson", "diagonal_newton", "newton", "peaceman_rachford")

_MEMORY = 5  # steps Anderson's method remembers
_LONGEST_WAIT = 32  # steps of the contraction after a proposal that failed
# Without a certificate, auto takes Newton's method, which factors a matrix for each row, up to this number of states.
_NEWTON_SIZE = 40


def solve_equilibrium(A, drive, activation, *, method="auto", start=None, tol=1e-10, max_iter=10_000, floor=0.0):
    """Solve ``x = phi(A x + z)`` for every row z of ``drive`` by the method of that name.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    drive : ndarray of shape (m, n)
        The rows z.
    activation : BaseActivation
        phi.
    method : {"auto", "picard", "averaged", "anderson", "diagonal_newton", "newton", "peaceman_rachford"}
        - "picard": :func:`~skimplicit.equilibrium.equilibrium`, the plain iteration with self-loops solved where they
          have a closed form; contracts when the Perron-Frobenius value of ``Gamma |A|`` is below 1;
        - "averaged": ``x <- (1 - alpha) x + alpha phi(A x + z)``; contracts when ``mu_inf(Gamma A) < 1``;
        - "anderson": Anderson's acceleration of it, safeguarded;
        - "diagonal_newton": Newton's step for the self-loops alone, safeguarded; fast when they dominate; componentwise
          activations only;
        - "newton": Newton's method, safeguarded; componentwise activations only;
        - "peaceman_rachford": splitting, contracts when ``I - Gamma A`` is strongly monotone in a diagonal metric;
          componentwise activations with slopes of at least 0;
        - "auto": by :func:`choose_method`.
    start : ndarray of shape (m, n) or None
        States to start from; None for phi(z).
    tol, max_iter, floor : float, int, float
        As in :func:`~skimplicit.equilibrium.equilibrium`.

    Returns
    -------
    FixedPoint
        States, residuals, error bounds, iterations and status of each row.

    Raises
    ------
    ValueError
        If there is no method of that name, or it does not support the activation.

    Notes
    -----
    Sources: El Ghaoui et al. (2021), Jafarpour et al. (2021) for "averaged", Walker and Ni (2011) for "anderson",
    Winston and Kolter (2020) for "peaceman_rachford".
    """
    if method == "auto":
        method = choose_method(A, activation)
    if method == "picard":
        return equilibrium(A, drive, activation, start=start, tol=tol, max_iter=max_iter, floor=floor)
    if method not in METHODS:
        raise ValueError(f"method must be one of {('auto', *METHODS)}, got {method!r}.")
    if activation.groups is not None and method in ("diagonal_newton", "newton", "peaceman_rachford"):
        raise ValueError(f"method={method!r} needs a componentwise activation, {activation.name!r} is not.")
    if method == "peaceman_rachford":
        if not _is_increasing(activation) or not np.all(np.asarray(activation.max_slope) > 0):
            raise ValueError(f"method={method!r} needs an increasing activation, {activation.name!r} is not.")
        start = None if start is None else start @ A.T + drive
        found = _solve(_ResolventSweep(A, activation), (drive,), start, tol, max_iter, floor)
        return FixedPoint(activation(found.states), found.residual, found.error_bound, found.n_iter, found.converged)
    sweep = _AveragedSweep(A, activation)
    if method == "averaged":
        return _solve(sweep, (drive,), start, tol, max_iter, floor)
    step = {"anderson": _AndersonSteps, "newton": _NewtonSteps, "diagonal_newton": _DiagonalNewtonSteps}[method]
    return _solve_safeguarded(sweep, step, drive, start, tol, max_iter, floor)


def choose_method(A, activation):
    """Return the method that ``method="auto"`` uses for an implicit block.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.

    Returns
    -------
    str
        "picard" or "diagonal_newton" when a certificate says that they converge, whichever contracts faster for its
        cost; "peaceman_rachford" when ``I - Gamma A`` is strongly monotone; otherwise, without a guarantee, "newton"
        for a small A and "anderson" for a large one.
    """
    if activation.groups is not None:
        return "picard" if perron_certificate(A, activation.lipschitz, activation.groups) is not None else "anderson"
    if activation.homogeneous and _ForwardSweep(A, activation).certificate is not None:
        return "picard"
    if not np.all(np.isfinite(activation.lipschitz)):
        return "newton" if A.shape[0] <= _NEWTON_SIZE else "anderson"
    picard = inf_norm(row_scaled(A, activation.lipschitz))
    remaining = 1.0 - activation.lipschitz * A.diagonal()
    if np.all(remaining > 0):
        newton = inf_norm(row_scaled(without_diagonal(A), activation.lipschitz / remaining))
        # One step of diagonal Newton costs two sweeps.
        if picard < 1:
            return "diagonal_newton" if newton < picard**2 else "picard"
    condition = well_posedness(A, activation, lmi=False).condition
    if condition in (Condition.PERRON_FROBENIUS, Condition.MU_INF):
        return "diagonal_newton"
    if condition is Condition.MONOTONE:
        return "peaceman_rachford"
    return "newton" if A.shape[0] <= _NEWTON_SIZE else "anderson"


def error_amplification(A, activation):
    """Return ``v = (I - N)^-1 1``, a bound on how errors of the states grow on their way through ``phi(A x + z)``.

    If x differs by at most delta from ``phi`` of the true drive with the self-loops solved, its error is at most
    ``max(v) delta``: ``N = Gamma |A|`` or, for an increasing componentwise phi, row i of ``|A|`` without its diagonal
    entry times ``gamma_i / (1 - gamma_i A_ii)``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.

    Returns
    -------
    ndarray of shape (n,) or None
        v; None if no such bound is certified.
    """
    if not _is_increasing(activation) or not np.all(np.isfinite(activation.lipschitz)):
        return perron_certificate(A, activation.lipschitz, activation.groups)
    remaining = 1.0 - activation.lipschitz * A.diagonal()
    return perron_certificate(without_diagonal(A), activation.lipschitz / remaining) if np.all(remaining > 0) else None


def _is_increasing(activation):
    return activation.groups is None and np.min(activation.min_slope, initial=0.0) >= 0


class _AveragedSweep:
    """``x <- x + alpha (phi(A x + z) - x)``, with the largest alpha that lets no self-loop overshoot."""

    def __init__(self, A, activation):
        self.A, self.activation = A, activation
        self.transposed = A.T
        self.alpha = relaxation(A, activation.lipschitz) if _is_increasing(activation) else 1.0
        v = error_amplification(A, activation)
        self.certificate = v
        if v is not None and _is_increasing(activation):
            # From the residual of the averaged map to that of phi, and from that to the error with the loops solved.
            loops = np.max(activation.lipschitz * A.diagonal(), initial=0.0)
            self.certificate = v / (self.alpha * (1.0 - loops))
        self.weights, self.rate = np.ones(A.shape[0]), 1.0
        norm = inf_norm(row_scaled(A, activation.lipschitz))
        if norm < 1:
            self.rate = 1 - self.alpha * (1 - norm)
            return
        report = well_posedness(A, activation, lmi=False)
        if report.condition is Condition.PERRON_FROBENIUS:
            self.weights, self.rate = report.weights, 1 - self.alpha * (1 - report.rate)
        elif report.condition is Condition.MU_INF:
            self.weights, self.rate = report.weights, report.rate

    def prepare(self, drive):
        return (drive,)

    def start(self, drive):
        return self.activation(drive)

    def step(self, X, out, drive):
        multiply(X, self.transposed, out)
        out += drive
        self.activation(out, out=out)
        if self.alpha < 1:
            out *= self.alpha
            out += (1 - self.alpha) * X
        return out

    @staticmethod
    def norm(X):
        return np.abs(X).max(axis=1)

    size = norm


class _ResolventSweep:
    """``u <- 2 h - v`` with ``v = 2 phi(u) - u`` and ``h = (2 I - A)^-1 (v + z)``; the states are phi(u).

    This is for slopes in [0, 1]. Slopes in [0, gamma] are those of psi(s) = phi(s / gamma) with ``Gamma A`` and
    ``Gamma z``, so u / gamma is kept instead of u.
    """

    def __init__(self, A, activation):
        self.activation = activation
        gamma = np.asarray(activation.max_slope, dtype=float) * np.ones(A.shape[0])
        scaled = row_scaled(A, gamma)
        scaled = to_dense(scaled)
        self.gamma = gamma
        self.inverse = np.ascontiguousarray(np.linalg.inv(2 * np.eye(gamma.size) - scaled).T)
        metric = diagonal_scaling(scaled)
        self.certificate = None
        if metric is not None:
            # From the weighted Euclidean norm to the largest entry, and from u / gamma to the states.
            rate = resolvent_rate(scaled, metric)
            spread = np.sqrt(metric.sum() / metric.min(initial=1.0)) * gamma.max(initial=1.0) / gamma.min(initial=1.0)
            self.certificate = np.array([spread / (1 - rate)])

    def prepare(self, drive):
        return (drive * self.gamma,)

    def start(self, drive):
        return drive / self.gamma

    def step(self, U, out, drive):
        reflected = self.activation(U)
        reflected *= 2.0
        reflected -= U * self.gamma
        np.matmul(reflected + drive, self.inverse, out=out)
        out *= 2.0
        out -= reflected
        out /= self.gamma
        return out

    @staticmethod
    def norm(U):
        return np.abs(U).max(axis=1)

    def size(self, U):
        return np.abs(self.activation(U)).max(axis=1)


class _DiagonalNewtonSteps:
    """``x + r / (1 - phi'(A x + z) A_ii)``."""

    def __init__(self, sweep, n_rows):
        self.activation = sweep.activation
        self.loops = sweep.A.diagonal()

    def propose(self, X, R, Z):
        return X + R / (1.0 - self.activation.derivative(Z, X + R) * self.loops)

    def accept(self, rows, X, R, X_new, R_new):
        pass

    def keep(self, rows):
        pass


class _NewtonSteps(_DiagonalNewtonSteps):
    """``x + (I - phi'(A x + z) A)^-1 r``."""

    def __init__(self, sweep, n_rows):
        super().__init__(sweep, n_rows)
        self.A = to_dense(sweep.A)

    def propose(self, X, R, Z):
        slopes = np.asarray(self.activation.derivative(Z, X + R), dtype=float)
        size, steps = max((1 << 22) // self.A.size, 1), np.empty_like(X)  # rows whose matrices take 32 MB
        for first in range(0, X.shape[0], size):
            rows = slice(first, first + size)
            steps[rows] = _solve_rows(np.eye(X.shape[1]) - slopes[rows, :, None] * self.A, R[rows])
        return X + steps


class _AndersonSteps:
    """``x + r - (dX + dR) c`` with c the least-squares fit of r by the last differences dR of the residual."""

    def __init__(self, sweep, n_rows):
        shape = (n_rows, _MEMORY, sweep.A.shape[0])
        self.dX, self.dR = np.zeros(shape), np.zeros(shape)
        self.n_accepted = np.zeros(n_rows, dtype=int)

    def propose(self, X, R, Z):
        gram = self.dR @ self.dR.transpose(0, 2, 1)
        trace = np.einsum("mii->m", gram)
        # Also makes the equations of missing differences solvable, with c = 0.
        gram += (1e-12 * trace + np.finfo(float).tiny)[:, None, None] * np.eye(_MEMORY)
        fit = _solve_rows(gram, np.einsum("mhn,mn->mh", self.dR, R))
        return X + R - np.einsum("mhn,mh->mn", self.dX + self.dR, fit)

    def accept(self, rows, X, R, X_new, R_new):
        slot = self.n_accepted[rows] % _MEMORY
        self.dX[rows, slot] = X_new - X
        self.dR[rows, slot] = R_new - R
        self.n_accepted[rows] += 1

    def keep(self, rows):
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


def _solve_safeguarded(sweep, make_steps, drive, start, tol, max_iter, floor):
    """Run the safeguarded loop over blocks of rows."""
    if not max_iter >= 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter!r}.")
    m, n = drive.shape
    amplification = np.inf if sweep.certificate is None else sweep.certificate.max(initial=1.0)
    threshold = max(tol / amplification if np.isfinite(amplification) else tol, 4 * _EPS)
    states, residual = np.empty((m, n)), np.zeros(m)
    n_iter, converged = np.zeros(m, dtype=int), np.full(m, n == 0)
    size = max(_BLOCK // max(n, 1), 16)
    for first in range(0, m if n else 0, size):
        rows = slice(first, first + size)
        result = states[rows], residual[rows], n_iter[rows], converged[rows]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the status tells of divergence
            X = sweep.start(drive[rows]) if start is None else start[rows].copy()
            _iterate_safeguarded(sweep, make_steps, X, drive[rows], threshold, max_iter, floor, *result)
    error_bound = residual * amplification if np.isfinite(amplification) else np.full(m, np.inf)
    return FixedPoint(states, residual, error_bound, n_iter, converged)


def _iterate_safeguarded(sweep, make_steps, X, drive, threshold, max_iter, floor, states, residual, n_iter, converged):
    """Iterate one block of rows until they have converged, writing each row's result when it leaves."""
    active = np.arange(X.shape[0])
    steps = make_steps(sweep, active.size)
    Z, R = _residual(sweep, X, drive)
    size = np.abs(R / sweep.weights).max(axis=1)
    waiting = np.ones(active.size, dtype=int)  # how many steps of the contraction a row takes before the next proposal
    patience = np.ones(active.size, dtype=int)
    for iteration in range(1, max_iter + 1):
        change = sweep.alpha * np.abs(R).max(axis=1)
        done = (change <= threshold * np.maximum(np.abs(X).max(axis=1), floor)) & (change < np.inf)
        if iteration == max_iter or done.any():
            left = np.ones_like(done) if iteration == max_iter else done
            rows = active[left]
            states[rows] = X[left] + sweep.alpha * R[left]
            residual[rows], n_iter[rows], converged[rows] = change[left], iteration, done[left]
            stay = ~left
            if not stay.any():
                return
            active, X, R, Z, drive = active[stay], X[stay], R[stay], Z[stay], drive[stay]
            size, waiting, patience = size[stay], waiting[stay], patience[stay]
            steps.keep(stay)
        contracted = waiting > 0
        X_new = X + sweep.alpha * R
        if not contracted.all():
            X_new = np.where(contracted[:, None], X_new, steps.propose(X, R, Z))
        Z_new, R_new = _residual(sweep, X_new, drive)
        size_new = np.abs(R_new / sweep.weights).max(axis=1)
        good = contracted | (size_new <= sweep.rate * size)
        steps.accept(good, X[good], R[good], X_new[good], R_new[good])
        X[good], R[good], Z[good], size[good] = X_new[good], R_new[good], Z_new[good], size_new[good]
        # Where proposals fail again and again, the contraction is tried twice as long each time.
        patience[~contracted] = np.where(good, 1, np.minimum(2 * patience, 2 * _LONGEST_WAIT))[~contracted]
        waiting = np.where(contracted, waiting - 1, np.where(good, 0, patience // 2))


def _residual(sweep, X, drive):
    Z = np.empty_like(X)
    multiply(X, sweep.transposed, Z)
    Z += drive
    return Z, sweep.activation(Z) - X
