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
# What CVXPY calls variables of one sign. Others, symmetric or boolean, cannot take any step.
_SIGNS = {"nonneg", "nonpos", "pos", "neg"}
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
        found = _checked(constraints(W[:, :n], W[:, n:]))
        own = {v.id: v for constraint in found for v in constraint.variables() if v.id != W.id and _can_move(v)}
        # Copies, for one that the user has made outside of the callable is in the programs of other threads too.
        copies = {id(v): cp.Variable(v.shape, **{name: True for name in _attributes(v)}) for v in own.values()}
        found = [constraint.tree_copy(copies) for constraint in found] if copies else found
        self._own = list(copies.values())
        # The sign of a variable is a constraint too.
        found += [v >= 0 for v in self._own if v.is_nonneg()] + [v <= 0 for v in self._own if v.is_nonpos()]
        scaled = [_Scaled.of(constraint, [W, *self._own]) for constraint in found]
        self._groups = [group for group in scaled if group is not None]
        self._units = _units(self._groups, [W, *self._own])
        for group in self._groups:
            group.set_units(self._units)
        self.bounds = [
            _scaled_cone(constraint, W) if group is None else group.bound
            for constraint, group in zip(found, scaled, strict=True)
        ]

    def hold(self, W, free, solution):
        """Return a point near W that violates no equation and no inequality by more than rounding.

        Parameters
        ----------
        W : ndarray of shape (n, n + p)
            A solver's solution.
        free : ndarray of bool of shape (n, n + p)
            Entries that may move.
        solution : dict
            The solver's values of all variables by id, the user's own among them.

        Returns
        -------
        ndarray of shape (n, n + p)
            The point.
        """
        if not self._groups:
            return W
        own = [np.ravel(solution[v.id], order="F") for v in self._own]
        w = np.concatenate([W.ravel(order="F"), *own]) / self._units
        movable = np.ones(w.size)
        movable[: W.size] = free.ravel(order="F")
        movable = sparse.diags_array(movable)
        ever = None
        for _ in range(_MAX_STEPS):
            found = [group.at(w) for group in self._groups]
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
        return w[: W.size].reshape(W.shape, order="F")


class _Scaled:
    """Equations ``expr == 0`` or inequalities ``expr <= 0`` of one constraint, divided by the sizes of gradients."""

    def __init__(self, expr, variables, is_equation):
        self._expr, self._variables, self.is_equation = _with_gradients(expr), variables, is_equation
        self._places = np.cumsum([v.size for v in variables])
        self._scale, self._units, self._affine = 1.0, np.ones(self._places[-1]), None
        draw = np.random.RandomState(0).standard_normal
        self.at_zero, _ = self.at(np.zeros(self._places[-1]))
        _, self.slopes = self.at(np.concatenate([np.ravel(draw(v.shape), order="F") for v in variables]))

    @classmethod
    def of(cls, constraint, variables):
        """Return a constraint to be scaled; None if it is a cone, of other variables, or has no gradient somewhere."""
        if not constraint.variables() or not all(map(_can_move, constraint.variables())):
            return None
        try:
            if isinstance(constraint, cp.constraints.Equality | cp.constraints.Zero):
                return cls(constraint.expr, variables, True)
            if isinstance(constraint, cp.constraints.Inequality | cp.constraints.NonPos):
                return cls(constraint.expr, variables, False)
            if isinstance(constraint, cp.constraints.NonNeg):
                return cls(-constraint.expr, variables, False)
        except _NoGradient:
            pass
        return None

    def sizes(self):
        """Return the size of the gradient by each variable."""
        parts = np.split(np.arange(self.slopes.shape[1]), self._places[:-1])
        return np.concatenate([_row_norms(self.slopes[:, part].reshape((1, -1)).tocsr()) for part in parts])

    def set_units(self, units):
        """Take the units of all entries of the variables, and the size of the gradient in them for the constraint's."""
        self._units, slopes = units, sparse.csr_array(self.slopes @ sparse.diags_array(units))
        size = _row_norms(slopes)
        size = np.maximum(size, _FAR * np.abs(np.where(np.isfinite(self.at_zero), self.at_zero, 0.0)))
        self._scale = 1.0 / np.where(np.isfinite(size) & (size > 0), size, 1.0)
        if self._expr.is_affine():
            self._affine = self.at_zero * self._scale, sparse.csr_array(sparse.diags_array(self._scale) @ slopes)
        scaled = cp.multiply(self._scale.reshape(self._expr.shape, order="F"), self._expr)
        self.bound = scaled == 0 if self.is_equation else scaled <= 0

    def at(self, w):
        """Return values (k,) and derivatives by the entries of the variables in their units, sparse of shape (k, N)."""
        if self._affine is not None:
            return self._affine[1] @ w + self._affine[0], self._affine[1]
        kept = [v.value for v in self._variables]
        try:
            for v, part in zip(self._variables, np.split(w * self._units, self._places[:-1]), strict=True):
                v.save_value(part.reshape(v.shape, order="F"))
            values = np.ravel(np.asarray(self._expr.value, dtype=float), order="F")
            slopes = self._expr.grad
        except (NotImplementedError, ValueError) as error:  # of some functions CVXPY has no gradient
            raise _NoGradient from error
        finally:
            for v, value in zip(self._variables, kept, strict=True):
                v.save_value(value)
        none = {v: np.zeros((v.size, values.size)) for v in self._variables}
        slopes = [np.reshape(M, (1, 1)) if np.isscalar(M) else M for M in (none | slopes).values()]
        if any(M is None or M.shape != zeros.shape for M, zeros in zip(slopes, none.values(), strict=True)):
            raise _NoGradient
        slopes = sparse.csr_array(sparse.vstack([sparse.csr_array(M) for M in slopes]).T)
        left = sparse.diags_array(np.ones(values.size) * self._scale)
        return values * self._scale, sparse.csr_array(left @ slopes @ sparse.diags_array(self._units))


def _can_move(variable):
    return _attributes(variable) <= _SIGNS


def _attributes(variable):
    return {name for name, value in variable.attributes.items() if value}


def _units(groups, variables):
    """Return a unit for each entry of the variables: of one of the user's own, that of what it is tied to.

    W is in units of one. Where a constraint ties a variable to some whose units are known, its unit is the change that
    has the effect of a change of theirs.
    """
    known, sizes = {0: 1.0}, [group.sizes() for group in groups]
    for _ in variables:
        for each in sizes:
            tied = np.flatnonzero(each)
            effect = max((known[k] * each[k] for k in tied if k in known), default=0.0)
            known |= {k: effect / each[k] for k in tied if effect > 0 and k not in known}
    return np.repeat([known.get(k, 1.0) for k in range(len(variables))], [v.size for v in variables])


def _with_gradients(expr):
    """Return an expression with largest sizes spelt out: CVXPY has no gradient of its own norm of them."""
    if cp.norm_inf not in expr.atoms():
        return expr
    args = [_with_gradients(arg) for arg in expr.args]
    if isinstance(expr, cp.norm_inf):
        return cp.max(cp.abs(args[0]), axis=expr.axis, keepdims=expr.keepdims)
    return expr.copy(args)


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
    """A convex function has no gradient outside its domain, or none that CVXPY knows."""


def _checked(extra):
    """Return what the user's callable returned as a list of convex constraints."""
    extra = list(extra) if isinstance(extra, list | tuple) else [extra]
    for constraint in extra:
        if not isinstance(constraint, cp.Constraint):
            raise TypeError(
                f"constraints must return CVXPY constraints in a list, got {type(constraint).__name__}: {constraint!r}."
            )
        if not constraint.is_dcp():
            raise ValueError(f"constraints returned a constraint that is not convex (DCP): {constraint}.")
    return extra
