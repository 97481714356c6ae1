"""The semidefinite program of a piecewise linear rule on a set of inputs, for small rules.

With ``v = (1, u, x)`` and ``P`` in the place of ``v v'``, quadratic facts about v are linear in P; what is forgotten is
only that P has rank one. Variables are scaled to [-1, 1], so that the diagonal of P is at most 1 and any multipliers
prove a bound: ``<W, P> <= max(lambda_max(W), 0) trace(P)``.
"""

import numpy as np

from skimplicit.activations import has_two_slopes, two_slopes
from skimplicit.linalg import to_dense
from skimplicit.quiet import without_warnings
from skimplicit.robustness.relaxations import chord_facets, parts

__all__ = ["SemidefiniteRelaxation"]

_EPS = np.finfo(float).eps
# Least side of a state, as a share of its pre-activation: the lines around a point have room of the size of rounding,
# which beside a shorter side would be so far away that the solver gives up.
_LEAST_SIDE = 1e-8


class SemidefiniteRelaxation:
    """``maximise w · (u, x)`` over the semidefinite relaxation of one row's equation.

    Parameters
    ----------
    rule : ImplicitRule
        A rule with a componentwise, piecewise linear activation: relu, leaky relu, identity, or blocks of these.
    inputs : InputSet
        The set of one row.
    box : StateBox
        Bounds on the states and pre-activations of that row.

    Raises
    ------
    ValueError
        If the activation is another one.

    Notes
    -----
    Source: El Ghaoui et al. (2021), equation 4.19, with the lines of the linear program, products of two ends of each
    box, and ``(x - r z) (x - l z) = 0`` for the slopes l and r left and right of the kink.
    """

    def __init__(self, rule, inputs, box):
        if not has_two_slopes(rule.activation):
            raise ValueError(f"method='sdp' needs relu, leaky_relu or identity states, not {rule.activation.name!r}.")
        self.n_inputs = rule.n_inputs
        base = inputs.base[0]
        down, up = (np.broadcast_to(end, inputs.base.shape)[0] for end in (inputs.down, inputs.up))
        low, high = np.concatenate([down, box.lower[0]]), np.concatenate([up, box.upper[0]])
        self.centre = (low + high) / 2
        self.radius = (high - low) / 2 + 2 * _EPS * np.maximum(np.abs(low), np.abs(high))  # rounding of the centre too
        states = self.radius[rule.n_inputs :]
        np.maximum(states, _LEAST_SIDE * np.maximum(*map(abs, (box.drive_lower[0], box.drive_upper[0]))), out=states)
        # Rows of linear forms in (1, v): states, and pre-activations z = A x + B u + b.
        weights = np.hstack([to_dense(rule.B), to_dense(rule.A)])
        drive_offset = rule.b + to_dense(rule.B @ base)
        rounding = (rule.n_inputs + rule.n_hidden + 16) * _EPS
        self._drive_error = rounding * (
            np.abs(rule.b)
            + to_dense(abs(rule.B) @ np.abs(base))
            + np.abs(weights) @ (np.abs(self.centre) + self.radius)
        )
        self.drive = np.column_stack([drive_offset + weights @ self.centre, weights * self.radius])
        states = np.eye(low.size)[rule.n_inputs :]
        self.states = np.column_stack([self.centre[rule.n_inputs :], states * self.radius])
        self._matrices, self._rights, self._slack = [], [], []
        self._add_unit_box()
        self._add_activation(rule, box)
        if inputs.n_changed is not None:
            self._add_few_changes(inputs)
        self._program = None

    def maximum(self, input_weights, state_weights):
        """Return an upper bound on ``D (u - base) + C x`` for one row of weights, infinite if the solver fails.

        Parameters
        ----------
        input_weights : ndarray of shape (p,)
            D.
        state_weights : ndarray of shape (n,)
            C.

        Returns
        -------
        float
            The bound that the solver's multipliers prove.
        """
        import cvxpy as cp  # where it is used

        weights = np.concatenate([input_weights, state_weights])
        form = np.concatenate([[weights @ self.centre], weights * self.radius])
        objective = _product(form, np.eye(form.size)[0])
        scale = max(np.abs(objective).max(), 1e-300)
        if self._program is None:
            self._program = self._stated()
        problem, parameter, below = self._program
        parameter.value = objective / scale
        with without_warnings():  # an inaccurate solution still has multipliers that bound
            try:
                problem.solve(solver=cp.CLARABEL)
            except cp.SolverError:
                return np.inf
        if below.dual_value is None:
            return np.inf
        return scale * self._dual_bound(objective / scale, np.asarray(below.dual_value).ravel())

    def _stated(self):
        import cvxpy as cp  # where it is used

        size = 1 + self.centre.size
        P, F = cp.Variable((size, size), PSD=True), cp.Parameter((size, size), symmetric=True)
        stacked = np.stack([matrix.ravel() for matrix in self._matrices])
        below = stacked @ cp.vec(P, order="C") <= np.array(self._rights)
        problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(F, P))), [below, P[0, 0] == 1])
        return problem, F, below

    def _dual_bound(self, objective, multipliers):
        """Return the bound of non-negative multipliers: what they leave of the objective is at most its trace part."""
        multipliers = np.maximum(np.nan_to_num(multipliers), 0.0)
        left = objective - np.tensordot(multipliers, np.stack(self._matrices), axes=1)
        value = multipliers @ np.array(self._rights)
        # P_00 = 1 is free: what W_00 has is moved to the value, the best amount by a Schur complement.
        size, norm = left.shape[0], np.linalg.norm(left)
        shift = _best_corner(left)
        left = left.copy()
        left[0, 0] -= shift
        largest = np.linalg.eigvalsh(left)[-1] + size**2 * _EPS * (norm + abs(shift) + 1.0)
        terms = multipliers @ (np.abs(self._rights) + np.array(self._slack) + np.abs(self._matrices).sum(axis=(1, 2)))
        rounding = (len(multipliers) + size**2 + 16) * _EPS * (terms + abs(shift) + np.abs(objective).sum())
        return value + multipliers @ np.array(self._slack) + shift + max(largest, 0.0) * size + rounding

    def _add(self, matrix, right, slack=0.0):
        """Add ``<matrix, P> <= right``, true up to ``slack``, scaled to entries of size 1."""
        scale = max(np.abs(matrix).max(), 1e-300)
        self._matrices.append((matrix + matrix.T) / (2 * scale))
        self._rights.append(right / scale)
        self._slack.append(slack / scale)

    def _add_unit_box(self):
        size = 1 + self.centre.size
        for j in range(1, size):
            unit = np.zeros((size, size))
            unit[j, j] = 1.0
            self._add(unit, 1.0, 8 * _EPS)

    def _add_activation(self, rule, box):
        """Add the lines between x and z, their products with the ends of boxes, and the equation of both pieces."""
        one = np.eye(1 + self.centre.size)[0]
        left, right = two_slopes(rule.activation, rule.n_hidden)
        for part, columns in parts(rule.activation, rule.n_hidden):
            low, high = box.drive_lower[0, columns], box.drive_upper[0, columns]
            facets = chord_facets(part, low, high)
            for i, state in enumerate(range(rule.n_hidden)[columns]):
                x, z, error = self.states[state], self.drive[state], self._drive_error[state]
                for k in np.flatnonzero(facets.use_low[i]):
                    form = facets.slope[i, k] * z + facets.low[i, k] * one - x
                    self._add(_product(form, one), 0.0, abs(facets.slope[i, k]) * error)
                for k in np.flatnonzero(facets.use_high[i]):
                    form = x - facets.slope[i, k] * z - facets.high[i, k] * one
                    self._add(_product(form, one), 0.0, abs(facets.slope[i, k]) * error)
                first, second = x - right[state] * z, x - left[state] * z
                # Each is off by a slope times the error of z, the product by that times the size of the other.
                off, other = abs(right[state]) * error, abs(left[state]) * error
                slack = off * np.abs(second).sum() + other * np.abs(first).sum() + off * other
                for sign in (1, -1):
                    self._add(sign * _product(first, second), 0.0, slack)

    def _add_few_changes(self, inputs):
        """Add ``sum_j ((u_j - base_j) / reach_j)^2 <= k``."""
        size, p = 1 + self.centre.size, self.n_inputs
        reach = np.broadcast_to(inputs.reach, inputs.base.shape)[0]
        total = np.zeros((size, size))
        for j in np.flatnonzero(reach > 0):
            form = np.zeros(size)
            form[0], form[1 + j] = self.centre[j] / reach[j], self.radius[j] / reach[j]
            total += np.outer(form, form)
        self._add(total, float(inputs.n_changed), (p + 8) * _EPS * p)


def _product(first, second):
    """Return the symmetric matrix of the product of two linear forms."""
    return (np.outer(first, second) + np.outer(second, first)) / 2


def _best_corner(W):
    """Return t that makes ``W - t e_0 e_0'`` just negative semidefinite, if the rest of W is negative definite."""
    rest, corner = W[1:, 1:], W[1:, 0]
    values, vectors = np.linalg.eigh(rest)
    # Directions in which the rest is not negative enough are left to the trace.
    part = vectors.T @ corner
    floor = 1e-9 * max(1.0, np.abs(values).max(initial=0.0))
    return float(W[0, 0] + np.sum(part**2 / np.maximum(-values, floor)))
