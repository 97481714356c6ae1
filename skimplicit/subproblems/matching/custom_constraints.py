"""Constraints of the user's own: in the units of the variables, whatever the user's are, and held to rounding.

A solver stops when each constraint is violated by less than 1e-8, in the constraint's unit. Of weights of inputs in
thousands of millions that would say nothing. So every equation and inequality is divided by the size of its gradient,
and what the solver leaves of a violation is removed by Newton steps of least norm.
"""

import cvxpy as cp
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsmr

__all__ = ["CustomConstraints"]

# Beside a constant, a gradient below this share of it is small: the constraint is far from active, in any unit.
_FAR = 1e-3
# Most Newton steps, and the share of its terms that a violation may be, as rounding.
_MAX_STEPS, _ROUNDING = 30, 1e-14
_CANCELLED = 4 * np.finfo(float).eps
# Accuracy and most iterations of a step; what it leaves is left to the next one.
_STEP_TOL, _STEP_MAX_ITER = 1e-14, 500


class CustomConstraints:
    """The constraints that the user's callable returns for ``W = [A B]``.

    Parameters
    ----------
    constraints : callable
        ``constraints(A, B)`` returns CVXPY constraints.
    W : cvxpy.Variable of shape (n, n + p)
        The variable.
    n_first : int or None
        Columns of the first of the two matrices that the callable gets; None for n.

    Attributes
    ----------
    bounds : list of cvxpy.Constraint
        The same constraints, equations and inequalities in units of W.

    Raises
    ------
    TypeError, ValueError
        If the callable returns something else than constraints, or one that is not convex.
    """

    def __init__(self, constraints, W, n_first=None):
        n = W.shape[0] if n_first is None else n_first
        self._groups, self.bounds = [], []
        for constraint in _checked(constraints(W[:, :n], W[:, n:])):
            scaled = _Scaled.of(constraint, W)
            if scaled is not None:
                self._groups.append(scaled)
            self.bounds.append(_scaled_cone(constraint, W) if scaled is None else scaled.bound)

    def hold(self, W, free):
        """Return a point near W that violates no equation and no inequality by more than rounding.

        Parameters
        ----------
        W : ndarray of shape (n, n + p)
            A solver's solution.
        free : ndarray of bool of shape (n, n + p)
            Entries that may move.

        Returns
        -------
        ndarray of shape (n, n + p)
            The point.
        """
        if not self._groups:
            return W
        w, movable = W.ravel(order="F"), sparse.diags_array(free.ravel(order="F").astype(float))
        ever = None
        for _ in range(_MAX_STEPS):
            found = [group.at(w.reshape(W.shape, order="F")) for group in self._groups]
            residual = np.concatenate([r for r, _ in found])
            slopes = sparse.csr_array(sparse.vstack([J for _, J in found]))
            along = slopes @ w
            size = abs(slopes) @ np.abs(w) + np.abs(residual - along)
            equation = np.repeat([group.is_equation for group in self._groups], [r.size for r, _ in found])
            violated = np.where(equation, np.abs(residual), residual) > _ROUNDING * size
            if not violated.any():
                break
            # A step must not violate what the steps before have put right.
            ever = violated | equation if ever is None else ever | violated
            step = lsmr(slopes[ever] @ movable, -residual[ever], 0.0, _STEP_TOL, _STEP_TOL, 0.0, _STEP_MAX_ITER)[0]
            # What cancels to rounding is zero.
            w = np.where(np.abs(w + step) > _CANCELLED * np.abs(w), w + step, 0.0)
        return w.reshape(W.shape, order="F")


class _Scaled:
    """Equations ``expr == 0`` or inequalities ``expr <= 0`` of one constraint, divided by the sizes of gradients."""

    def __init__(self, expr, W, is_equation):
        self._expr, self._W, self.is_equation = expr, W, is_equation
        self._scale, self._affine = 1.0, None
        probe = np.random.RandomState(0).standard_normal(W.shape)
        at_zero, _ = self.at(np.zeros(W.shape))
        _, slopes = self.at(probe)
        size = _row_norms(slopes)
        size = np.maximum(size, _FAR * np.abs(np.where(np.isfinite(at_zero), at_zero, 0.0)))
        self._scale = 1.0 / np.where(np.isfinite(size) & (size > 0), size, 1.0)
        if expr.is_affine():
            self._affine = at_zero * self._scale, sparse.csr_array(sparse.diags_array(self._scale) @ slopes)
        scaled = cp.multiply(self._scale.reshape(expr.shape, order="F"), expr)
        self.bound = scaled == 0 if is_equation else scaled <= 0

    @classmethod
    def of(cls, constraint, W):
        """Return a constraint scaled; None if it is a cone, has other variables or no gradient at some point."""
        if [v.id for v in constraint.variables()] != [W.id]:
            return None
        try:
            if isinstance(constraint, cp.constraints.Equality | cp.constraints.Zero):
                return cls(constraint.expr, W, True)
            if isinstance(constraint, cp.constraints.Inequality | cp.constraints.NonPos):
                return cls(constraint.expr, W, False)
            if isinstance(constraint, cp.constraints.NonNeg):
                return cls(-constraint.expr, W, False)
        except _NoGradient:
            pass
        return None

    def at(self, W):
        """Return values (k,) and derivatives by the entries of W in columns, sparse of shape (k, n N)."""
        if self._affine is not None:
            return self._affine[1] @ W.ravel(order="F") + self._affine[0], self._affine[1]
        kept, self._W.value = self._W.value, W
        try:
            slopes = self._expr.grad[self._W]
            values = np.ravel(np.asarray(self._expr.value, dtype=float), order="F")
        finally:
            self._W.value = kept
        if slopes is None:
            raise _NoGradient
        slopes = sparse.csr_array(sparse.csr_array(np.atleast_2d(slopes) if np.isscalar(slopes) else slopes).T)
        return values * self._scale, sparse.csr_array(sparse.diags_array(np.ones(values.size) * self._scale) @ slopes)


def _row_norms(slopes):
    """Return the Euclidean norms of the rows of a CSR matrix, shape (k,), whatever the unit of each row."""
    largest = abs(slopes).max(axis=1).toarray().ravel()
    exponents = np.frexp(np.where(np.isfinite(largest), largest, 0.0))[1]
    rows = np.repeat(exponents, np.diff(slopes.indptr))
    entries = sparse.csr_array((np.ldexp(slopes.data, -rows), slopes.indices, slopes.indptr), slopes.shape)
    return np.ldexp(np.sqrt(entries.power(2).sum(axis=1)), exponents)  # no square overflows or vanishes


def _scaled_cone(constraint, W):
    """Return a constraint that a vector or matrix is in a cone, with all of it divided by the size of its gradient."""
    if not isinstance(constraint, cp.constraints.PSD | cp.constraints.SOC):
        return constraint
    slopes = [argument.grad.get(W) for argument in constraint.args]
    size = max((np.abs(J).max() for J in slopes if J is not None), default=0.0)
    if not size > 0:
        return constraint
    if isinstance(constraint, cp.constraints.PSD):
        return constraint.args[0] / size >> 0
    return cp.SOC(constraint.args[0] / size, constraint.args[1] / size, axis=constraint.axis)


class _NoGradient(Exception):
    """A convex function has no gradient outside its domain."""


def _checked(extra):
    """Return what the user's callable returned as a list of convex constraints."""
    extra = list(extra) if isinstance(extra, list | tuple) else [extra]
    for constraint in extra:
        if not isinstance(constraint, cp.Constraint):
            raise TypeError(
                f"constraints must return CVXPY constraints, got {type(constraint).__name__}: {constraint!r}."
            )
        if not constraint.is_dcp():
            raise ValueError(f"constraints returned a constraint that is not convex (DCP): {constraint}.")
    return extra
