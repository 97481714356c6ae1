"""The linear program of a rule on a set of inputs: every linear inequality that is known about u, x and z together.

A dual solution proves its bound whatever the solver says: the multipliers, with their signs put right, give a bound
that is evaluated here, rounding included. A solver that stops early is loose, never wrong.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from skimplicit.activations import max_pool
from skimplicit.linalg import row_scaled, to_dense
from skimplicit.robustness.relaxations import chord_facets, parts

__all__ = ["LinearRelaxation"]

_EPS = np.finfo(float).eps


class LinearRelaxation:
    """``maximise w · (u, x)`` over the linear relaxation of one row's equation.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    inputs : InputSet
        The set of one row.
    box : StateBox
        Bounds on the states and pre-activations of that row.

    Notes
    -----
    Variables are u, x, z (and, when only k inputs change, the share ``s_j`` of its reach by which each has moved, with
    ``sum_j s_j <= k``). Constraints are ``z = A x + B u + b``, the lines of
    :func:`~skimplicit.robustness.relaxations.chord_facets` between x and z, and all boxes. The program printed in El
    Ghaoui et al. (2021), section 4.5, has no line above relu and is much looser.
    """

    def __init__(self, rule, inputs, box):
        self.rule, (self.base,), self.reach = rule, inputs.base, np.broadcast_to(inputs.reach, inputs.base.shape)[0]
        down, up = (np.broadcast_to(end, inputs.base.shape)[0] for end in (inputs.down, inputs.up))
        n, p = rule.n_hidden, rule.n_inputs
        self.n_shares = 0 if inputs.n_changed is None else p
        # Everything is centred: inputs at their base, so that what the solver sees has the size of the radius.
        self.lower = np.concatenate([down, box.lower[0], box.drive_lower[0], np.zeros(self.n_shares)])
        self.upper = np.concatenate([up, box.upper[0], box.drive_upper[0], np.ones(self.n_shares)])
        shares = sparse.csr_array((n, self.n_shares))
        A, B = sparse.csr_array(rule.A), sparse.csr_array(rule.B)
        self.equal = sparse.hstack([B, A, -sparse.eye_array(n), shares], format="csr")
        drive = rule.b + to_dense(B @ self.base)
        self.equal_right = -drive
        # The rounding of B u + b: the equation holds up to this.
        self.equal_error = (p + 8) * _EPS * (to_dense(abs(B) @ np.abs(self.base)) + np.abs(rule.b))
        facets = [self._facets(self.lower[p + n : p + 2 * n], self.upper[p + n : p + 2 * n])]
        if self.n_shares:
            facets.append(self._few_changes(down, up, inputs.n_changed))
        self.below = sparse.vstack([left for left, _ in facets], format="csr")
        self.below_right = np.concatenate([right for _, right in facets])
        # The solver's tolerances are numbers: it sees every variable and inequality in a unit of its own size.
        size = np.maximum(np.abs(self.lower), np.abs(self.upper))
        self._bounds = np.column_stack([self.lower, self.upper]) / _power_of_two(size)[:, None]
        self._unit = np.where(size > 0, _power_of_two(size), 0.0)  # what is always 0 must not look large beside others
        self._scaled_below, self._below_unit = _in_units(self.below, self._unit)
        self._scaled_equal, self._equal_unit = _in_units(self.equal, self._unit)

    def maximum(self, input_weights, state_weights):
        """Return a bound on ``D (u - base) + C x`` for one row of weights D and C, and the inputs that suggest it.

        Parameters
        ----------
        input_weights : ndarray of shape (p,)
            D.
        state_weights : ndarray of shape (n,)
            C.

        Returns
        -------
        bound : float
            Upper bound, infinite when the solver has nothing to offer.
        inputs : ndarray of shape (p,) or None
            The inputs at the maximum of the relaxation.
        """
        n, p = self.rule.n_hidden, self.rule.n_inputs
        cost = -np.concatenate([input_weights, state_weights, np.zeros(n + self.n_shares)])
        scaled = cost * self._unit
        size = _power_of_two(np.abs(scaled).max(initial=0.0))
        result = linprog(
            scaled / size,
            A_ub=self._scaled_below,
            b_ub=self.below_right / self._below_unit,
            A_eq=self._scaled_equal,
            b_eq=self.equal_right / self._equal_unit,
            bounds=self._bounds,
            method="highs",
        )
        if result.x is None or result.ineqlin.marginals is None:
            return np.inf, None
        below, equal = result.ineqlin.marginals / self._below_unit, result.eqlin.marginals / self._equal_unit
        return -self._dual_bound(cost, size * below, size * equal), self.base + (result.x * self._unit)[:p]

    def _dual_bound(self, cost, below, equal):
        """Return a lower bound on the minimum that any multipliers prove: ``below <= 0``, ``equal`` of either sign."""
        below, equal = np.minimum(np.nan_to_num(below), 0.0), np.nan_to_num(equal)
        remaining = cost - self.below.T @ below - self.equal.T @ equal
        ends = np.minimum(remaining * self.lower, remaining * self.upper)
        value = below @ self.below_right + equal @ self.equal_right + ends.sum()
        farthest = np.maximum(np.abs(self.lower), np.abs(self.upper))
        weights = np.abs(cost) + abs(self.below).T @ np.abs(below) + abs(self.equal).T @ np.abs(equal)
        size = weights @ farthest + np.abs(below) @ np.abs(self.below_right) + np.abs(equal) @ np.abs(self.equal_right)
        n_terms = self.below.shape[0] + self.equal.shape[0] + cost.size
        return value - (n_terms + 16) * _EPS * size - np.abs(equal) @ self.equal_error

    def _facets(self, drive_lower, drive_upper):
        """Return ``left v <= right``: lines between each state and its pre-activation."""
        rows = _Rows(self.rule.n_inputs, self.rule.n_hidden, self.lower.size)
        for part, columns in parts(self.rule.activation, self.rule.n_hidden):
            states = np.arange(self.rule.n_hidden)[columns]
            low, high = drive_lower[columns], drive_upper[columns]
            if not hasattr(part, "group_size"):
                facets = chord_facets(part, low, high)
                for sign, use, intercept in ((1, facets.use_low, facets.low), (-1, facets.use_high, facets.high)):
                    i, k = np.nonzero(use)
                    # sign (slope z + intercept - x) <= 0
                    rows.add(states[i], -sign, states[i], sign * facets.slope[i, k], -sign * intercept[i, k])
            elif part == max_pool(part.group_size):
                self._add_maximum(rows, states, low, high, part.group_size)
            # Softmax and other groups: their box alone.
        return rows.system()

    @staticmethod
    def _add_maximum(rows, states, low, high, size):
        """Add ``z_j <= max z <= z_j + (the most that another exceeds z_j)_+`` for each j of a group."""
        first = np.repeat(states[::size], size)
        grouped = high.reshape(-1, size)
        others = np.stack([np.delete(grouped, j, axis=1).max(axis=1, initial=-np.inf) for j in range(size)], axis=1)
        excess = np.maximum(others.ravel() - low, 0.0)
        excess = excess + 4 * _EPS * (np.abs(low) + np.abs(high) + excess)
        rows.add(first, -1.0, states, np.ones(states.size), np.zeros(states.size))
        rows.add(first, 1.0, states, -np.ones(states.size), excess)

    def _few_changes(self, down, up, n_changed):
        """Return ``u_j - base_j`` between ``s_j down_j`` and ``s_j up_j``, and ``sum_j s_j <= k``."""
        n, p = self.rule.n_hidden, self.rule.n_inputs
        one, none = sparse.eye_array(p), sparse.csr_array((p, 2 * n))
        above = sparse.hstack([one, none, -sparse.diags_array(up)])
        below = sparse.hstack([-one, none, sparse.diags_array(down)])
        total = sparse.csr_array(np.concatenate([np.zeros(p + 2 * n), np.ones(p)])[None])
        return sparse.vstack([above, below, total]), np.concatenate([np.zeros(2 * p), [n_changed]])


def _power_of_two(sizes):
    """Return powers of two near sizes, 1 for those that are zero: to divide by them rounds nothing."""
    return np.ldexp(1.0, np.frexp(sizes)[1])


def _in_units(M, columns):
    """Return a matrix for variables in these units, each row divided by the size of its entries, and these sizes."""
    M = M * columns
    rows = _power_of_two(abs(M).max(axis=1).toarray().ravel() if M.nnz else np.zeros(M.shape[0]))
    return row_scaled(M, 1.0 / rows), rows


class _Rows:
    """Inequalities with one state and one pre-activation each, collected as a sparse system."""

    def __init__(self, n_inputs, n_hidden, n_variables):
        self.n_inputs, self.n_hidden, self.n_variables = n_inputs, n_hidden, n_variables
        self.parts = []

    def add(self, states, state_weight, drives, drive_weight, right):
        """Add ``state_weight x_i + drive_weight z_j <= right`` for pairs i, j."""
        state_weight = np.broadcast_to(np.asarray(state_weight, dtype=float), states.shape)
        self.parts.append((states, state_weight, drives, drive_weight, right))

    def system(self):
        """Return the matrix and the right-hand side."""
        if not self.parts:
            return sparse.csr_array((0, self.n_variables)), np.empty(0)
        states, state_weight, drives, drive_weight, right = (
            np.concatenate(part) for part in zip(*self.parts, strict=True)
        )
        row = np.arange(right.size)
        columns = np.concatenate([self.n_inputs + states, self.n_inputs + self.n_hidden + drives])
        entries = np.concatenate([state_weight, drive_weight]), (np.concatenate([row, row]), columns)
        return sparse.csr_array(entries, shape=(right.size, self.n_variables)), right
