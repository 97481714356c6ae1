"""The readout block inside a row set: signs of C and D, and balls of their rows.

For the squared loss every output is a quadratic program of its own, solved exactly by its active sets. Cross-entropy is
lowered by such programs that lie above it near the last point, with a line search; where constraints of the user's own
may tie the outputs, by one program for all of them, with the second derivatives of the loss.
"""

import numpy as np

from skimplicit.losses import cross_entropy, prior_logits
from skimplicit.subproblems.ball_rows import minimise_in_balls, minimise_within_balls
from skimplicit.subproblems.faces import FaceProgram, minimise_on_faces
from skimplicit.subproblems.fista import fista
from skimplicit.subproblems.quadratic_forms import MatrixForm
from skimplicit.subproblems.readout.ridge import Readout, ridge_of_weights

__all__ = ["constrained_logistic_readout", "constrained_ridge_readout"]

# Weights of an output up to which its program is solved by factorisations; beyond, by projected gradient.
_MOST_FACTORED = 1500
# Weights of all classes up to which those that constraints may tie have one matrix of second derivatives.
_MOST_TIED = 300
# Relative accuracy and most iterations of projected gradient.
_TOL, _MAX_ITER = 1e-10, 3000
# Ridge, as a share of each square, that makes a singular system definite: what rounding adds anyway.
_LEAST_RIDGE = 1e-13
# Most steps for classes, the share of the promised descent that a step has to bring, the shortest step, and the least
# decrease in nats that is worth one.
_MAX_STEPS, _ARMIJO, _SHORTEST, _LEAST_DECREASE = 200, 1e-4, 1e-10, np.finfo(float).eps


def constrained_ridge_readout(moments, alpha, direct, direct_ridge, start, row_set):
    """Minimise ``1/2m ||Y - Xc C' - Uc D'||_F^2 + alpha/2 (||C||_F^2 + direct_ridge ||D||_F^2)``, ``[C D]`` in a set.

    Parameters
    ----------
    moments : Moments
        Second moments of states, inputs and targets.
    alpha, direct, direct_ridge, start : float, bool, float, Readout or None
        As for :func:`ridge_readout`.
    row_set : RowSet
        The set, for ``[C D]`` of shape (q, n + p), or for C without a direct term.

    Returns
    -------
    Readout
        The minimiser, inside the set.
    """
    n = moments.XX.shape[0]
    T = np.hstack([moments.XY.T, moments.UY.T]) if direct else moments.XY.T
    ridge = ridge_of_weights(alpha, direct_ridge, n, T.shape[1])
    V = np.zeros(T.shape) if start is None else start.weights
    gram = moments.gram if direct else moments.XX
    if T.shape[1] > _MOST_FACTORED and not row_set.is_custom:
        V = _by_projected_gradient(gram, ridge, T, row_set, V)
    else:
        gram = np.eye(T.shape[1]) @ gram if direct else gram
        V = _minimise([gram + np.diag(ridge)] * len(T), T, row_set, V)
    return Readout.of(V, n, direct, moments.Y_mean)


def constrained_logistic_readout(samples, states, moments, alpha, direct, start, tol, direct_ridge, row_set):
    """Minimise ``sum_i w_i cross_entropy(Yhat_i, Y_i) + ridge`` over C, D, c with ``[C D]`` in a set.

    Parameters
    ----------
    samples, states, moments, alpha, direct, start, tol, direct_ridge : object
        As for :func:`logistic_readout`.
    row_set : RowSet
        The set, for ``[C D]``.

    Returns
    -------
    readout : Readout
        The readout, inside the set.
    loss : float
        Its cross-entropy.
    """
    problem = _Classes(samples, states, moments, alpha, direct, direct_ridge, row_set)
    n = states.shape[1]
    V = np.zeros((samples.n_outputs, problem.ridge.size)) if start is None else start.weights
    V = row_set.project(V)
    c = prior_logits(samples.mean(samples.Y), samples.centre) if start is None else start.c
    logits = problem.product(V, c)
    (loss, P), norm = problem.loss(logits), problem.penalty(V, V)
    for _ in range(_MAX_STEPS):
        gradient, slope_c = problem.gradient(P, V)
        new, step_c = problem.step(P, gradient, slope_c, V)
        move = new - V
        slope = float(np.sum(gradient * move) + slope_c @ step_c)
        # A step along a quadratic model brings half its slope where the model is right.
        if not -0.5 * slope > max(tol * (loss + 0.5 * norm), _LEAST_DECREASE):
            break
        step, cross, square = problem.product(move, step_c), problem.penalty(V, move), problem.penalty(move, move)
        length = 1.0
        while length > _SHORTEST:
            new_logits = logits + length * step
            new_loss, new_P = problem.loss(new_logits)
            new_norm = norm + length * (2.0 * cross + length * square)
            if new_loss - loss + 0.5 * (new_norm - norm) <= _ARMIJO * length * slope:
                break
            length *= 0.5
        else:
            break
        V = new if length == 1.0 else row_set.shrunk(V + length * move)
        c = c + length * step_c
        logits, loss, P, norm = new_logits, new_loss, new_P, new_norm
    return Readout.of(V, n, direct, c), loss


class _Classes:
    """Cross-entropy over the rows ``[Xc Uc 1]``, its gradient and a quadratic that lies above it nearby."""

    def __init__(self, samples, states, moments, alpha, direct, direct_ridge, row_set):
        self.samples, self.X, self.X_mean, self.direct = samples, states, moments.X_mean, direct
        self.row_set = row_set
        n = states.shape[1]
        self.ridge = ridge_of_weights(alpha, direct_ridge, n, n + (samples.n_inputs if direct else 0))
        self.factored = self.ridge.size <= _MOST_FACTORED or row_set.is_custom
        if self.factored:
            columns = [states - self.X_mean]
            if direct:
                columns.append(samples.inputs_times(np.eye(samples.n_inputs)))
            self._rows = np.hstack(columns)
        else:
            squares = np.diag(moments.XX)
            self._squares = np.concatenate([squares, moments.inputs.diagonal()]) if direct else squares

    def product(self, V, c):
        """Return the logits, shape (m, q)."""
        n = self.X.shape[1]
        logits = self.X @ V[:, :n].T + (c - V[:, :n] @ self.X_mean)
        return logits + self.samples.inputs_times(V[:, n:]) if self.direct else logits

    def loss(self, logits):
        losses, P = cross_entropy(logits, self.samples.Y)
        return float(self.samples.mean(losses)), P

    def penalty(self, V, W):
        return float(np.sum(self.ridge * V * W))

    def gradient(self, P, V):
        """Return the derivatives by V, with the ridge, and by c."""
        samples, S = self.samples, P - self.samples.Y
        gradient = samples.times_states(S, self.X, self.X_mean)
        if self.direct:
            gradient = np.hstack([gradient, samples.times_inputs(S)])
        return gradient + self.ridge * V, samples.mean(S) if samples.centre else np.zeros(S.shape[1])

    def step(self, P, gradient, slope_c, V):
        """Return V at the minimum of the quadratic inside the set, and the move of c.

        ``diag(p) - p p' <= 2 diag(p (1 - p))``: with twice the curvature of each logit alone the outputs come apart.
        """
        if self.row_set.is_custom and 1 < len(V) and V.size <= _MOST_TIED:
            return self._newton_step(P, gradient, slope_c, V)
        weights = np.maximum(P * (1.0 - P), np.finfo(float).eps) * self.samples.weights[:, None]
        weights = weights if P.shape[1] == 1 else 2.0 * weights
        total = weights.sum(axis=0)
        centre = self.samples.centre
        if not self.factored:
            H = self._squares * (weights.max() * self.samples.n_samples * np.sqrt(self.ridge.size)) + self.ridge
            root = np.sqrt(np.maximum(H, _LEAST_RIDGE * H.max(initial=1.0)))
            new = self.row_set.project((V - gradient / root**2) * root, root) / root
            return new, -slope_c / total
        means = weights.T @ self._rows / total[:, None] if centre else np.zeros_like(V)
        hessians, T = [], np.empty_like(V)
        for k in range(len(V)):
            centred = self._rows - means[k]
            hessians.append((centred * weights[:, [k]]).T @ centred + np.diag(self.ridge))
            T[k] = hessians[k] @ V[k] - (gradient[k] - slope_c[k] * means[k])
        new = _minimise(hessians, T, self.row_set, V)
        # c is eliminated.
        return new, -slope_c / total - np.sum(means * (new - V), axis=1)

    def _newton_step(self, P, gradient, slope_c, V):
        """Return the same by the second derivatives themselves, which couple the outputs as ties of weights do."""
        q, N = V.shape
        curvature = (np.eye(q) * P[:, None] - P[:, :, None] * P[:, None]) * self.samples.weights[:, None, None]
        H, lift, along = np.empty((q, N, q, N)), np.zeros(q), np.zeros((q, V.size))
        for k in range(q):
            for other in range(k + 1):
                H[k, :, other] = H[other, :, k] = (self._rows * curvature[:, k, other, None]).T @ self._rows
        H = H.reshape(V.size, V.size) + np.diag(np.tile(self.ridge, q))
        linear = gradient.ravel()
        if self.samples.centre:  # c is eliminated; a common shift of all changes nothing
            across = np.concatenate([curvature[:, k].T @ self._rows for k in range(q)], axis=1)
            inverse = np.linalg.pinv(curvature.sum(axis=0), hermitian=True)
            along, lift = inverse @ across, inverse @ slope_c
            H, linear = H - across.T @ along, linear - across.T @ lift
        H = _definite(H)
        new = self.row_set.minimise(H[None], (H @ V.ravel() - linear).reshape(q, N))
        return new, -lift - along @ (new - V).ravel()


def _minimise(hessians, T, row_set, start):
    """Minimise ``sum_k 1/2 v_k' H_k v_k - t_k v_k`` inside the set."""
    if not row_set.is_custom and row_set.signs is None:
        return row_set.project(_in_balls(hessians, T, row_set, start))
    if not row_set.is_custom:
        each = [_one_output(H, T, row_set, start, k) for k, H in enumerate(hessians)]
        return row_set.project(np.array(each).reshape(T.shape))
    return row_set.minimise(np.array([_definite(H) for H in hessians]), T)


def _definite(H):
    squares = np.diag(H)  # those of states and of inputs are in units of their own
    return H + _LEAST_RIDGE * np.diag(np.where(squares > 0, squares, squares.max(initial=1e-300)))


def _one_output(H, T, row_set, start, k):
    """Minimise ``1/2 v' H v - t v`` over row k of V; exactly, where its face can be found."""
    H, one = _definite(H), row_set.at(slice(k, k + 1))
    signs, weights = (None if part is None else part[0] for part in (one.signs, one.weights))
    radii = np.array([np.inf if weights is None else one.radius])
    program = FaceProgram(MatrixForm(H), -T[k], np.zeros(len(H), dtype=int), radii, weights, signs)
    exact = minimise_on_faces(program, start[k])
    if exact is not None:
        return exact
    near = _by_projected_gradient(H, 0.0, T[k : k + 1], one, start[k : k + 1])[0]
    exact = minimise_on_faces(program, near)
    return near if exact is None else exact


def _in_balls(hessians, T, row_set, start):
    """Minimise ``sum_k 1/2 v_k' H_k v_k - t_k v_k`` in balls without signs, all rows at once."""
    H = np.array([_definite(H) for H in hessians])
    root = np.sqrt(np.einsum("kii->ki", H))
    weights, radii = row_set.weights / root, np.full(len(H), row_set.radius)

    def solve(*rows):
        return minimise_in_balls(*rows, _TOL, _MAX_ITER)

    H = H / root[:, :, None] / root[:, None, :]
    return minimise_within_balls(H, T / root, weights, radii, start * root, solve) / root


def _by_projected_gradient(gram, ridge, T, row_set, start):
    """Minimise ``1/2 tr(V gram V') + 1/2 ridge V^2 - <T, V>`` inside the set, in the metric of the diagonal."""
    diagonal = np.diag(gram) if isinstance(gram, np.ndarray) else gram.diagonal()
    root = np.sqrt(np.maximum(diagonal + ridge, _LEAST_RIDGE * np.max(diagonal + ridge, initial=1e-300)))
    if isinstance(gram, np.ndarray):
        largest = np.linalg.eigvalsh(gram / root / root[:, None])[-1]
    else:
        largest = gram.largest_eigenvalue(root)
    step = 1.0 / (largest + np.max(ridge / root**2))

    def gradient(X):
        V = X / root
        return (V @ gram + ridge * V - T) / root

    def project(X):
        return row_set.project(X, root)

    return fista(gradient, project, step, project(start * root), _TOL, _MAX_ITER) / root
