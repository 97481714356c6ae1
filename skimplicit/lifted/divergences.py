"""Fenchel divergences: ``F(x, z) >= 0`` for a state x and a pre-activation z, zero exactly where ``x = phi(z)``.

An increasing activation phi is the derivative of a convex function G*, whose conjugate G has the inverse of phi for its
derivative. Then ``F(x, z) = G(x) + G*(z) - x z`` is convex in x and convex in z, so that the equation ``x = phi(z)``
can be replaced by a penalty each of whose two blocks is a convex program.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from skimplicit.activations import ACTIVATIONS, Activation

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "PiecewiseLinearDivergence",
    "SigmoidDivergence",
    "TanhDivergence",
    "get_divergence",
]

# Newton steps of the scalar equation behind a proximal point; each starts on the side from which it converges.
_MAX_NEWTON = 60


@dataclass(frozen=True)
class Divergence(ABC):
    """``F(x, z) = G(x) + G*(z) - x z`` with ``(G*)' = phi``, for each coordinate.

    It bounds the error of a state: ``(x - phi(z))^2 <= 2 gamma F(x, z)`` for phi with slopes in [0, gamma].

    Parameters
    ----------
    activation : Activation
        phi, continuous and increasing.

    Notes
    -----
    Source: Gu, Askari, El Ghaoui (2020), Fenchel lifted networks; El Ghaoui et al. (2021), section 6.3.
    """

    activation: Activation

    @property
    def modulus(self):
        """The largest mu for which ``G(x) - mu/2 x^2`` is convex: ``1 / gamma``."""
        return 1.0 / self.activation.lipschitz

    @abstractmethod
    def potential(self, X):
        """Return ``G(x)``, infinite outside the domain; X is an ndarray of any shape."""

    @abstractmethod
    def conjugate(self, Z):
        """Return ``G*(z)``; Z is an ndarray of any shape."""

    @abstractmethod
    def proximal_point(self, V, weight):
        """Return ``argmin_x weight (G(x) - mu/2 x^2) + 1/2 (x - v)^2`` for ``weight * mu <= 1``, of the shape of V."""

    @abstractmethod
    def potential_cvxpy(self, X):
        """Return G in symbols and the constraints of its domain, for a CVXPY expression X."""

    @abstractmethod
    def conjugate_cvxpy(self, Z):
        """Return G* in symbols for a CVXPY expression Z, an expression of its shape."""

    def value(self, X, Z):
        """Return ``F(x, z)``.

        Parameters
        ----------
        X : ndarray
            States, any shape.
        Z : ndarray
            Pre-activations, of the shape of X.

        Returns
        -------
        ndarray
            F of each coordinate; at least 0 (up to rounding), infinite where x is outside the domain.
        """
        return self.potential(X) + self.conjugate(Z) - X * Z


@dataclass(frozen=True)
class PiecewiseLinearDivergence(Divergence):
    """``F(x, z) = 1/2 x_+^2 + x_-^2 / (2 a) + 1/2 z_+^2 + a/2 z_-^2 - x z`` for ``phi(z) = z_+ - a z_-``.

    For ReLU, a = 0, this is ``1/2 (x - z_+)^2 + x z_-`` over x >= 0.

    Parameters
    ----------
    activation : Activation
        phi; the slope a is the smallest of its slopes.
    """

    @property
    def _slope(self):
        return self.activation.min_slope

    def potential(self, X):
        """See :meth:`Divergence.potential`."""
        negative = np.minimum(X, 0.0) ** 2
        if self._slope == 0:
            outside = np.where(negative > 0, np.inf, 0.0)
        else:
            outside = negative / (2.0 * self._slope)
        return 0.5 * np.maximum(X, 0.0) ** 2 + outside

    def conjugate(self, Z):
        """See :meth:`Divergence.conjugate`."""
        return 0.5 * np.maximum(Z, 0.0) ** 2 + 0.5 * self._slope * np.minimum(Z, 0.0) ** 2

    def proximal_point(self, V, weight):
        """See :meth:`Divergence.proximal_point`."""
        return np.maximum(V, V * (self._slope / (self._slope + weight * (1.0 - self._slope))))

    def potential_cvxpy(self, X):
        """See :meth:`Divergence.potential_cvxpy`."""
        import cvxpy as cp

        if self._slope == 0:
            return cp.square(X) / 2, [X >= 0]
        return cp.square(cp.pos(X)) / 2 + cp.square(cp.neg(X)) / (2 * self._slope), []

    def conjugate_cvxpy(self, Z):
        """See :meth:`Divergence.conjugate_cvxpy`."""
        import cvxpy as cp

        return cp.square(cp.pos(Z)) / 2 + self._slope * cp.square(cp.neg(Z)) / 2


@dataclass(frozen=True)
class TanhDivergence(Divergence):
    """``F(x, z) = 1/2 (1 + x) log(1 + x) + 1/2 (1 - x) log(1 - x) + log cosh z - x z`` for ``phi = tanh``.

    Parameters
    ----------
    activation : Activation
        phi.
    """

    def potential(self, X):
        """See :meth:`Divergence.potential`."""
        inside = np.clip(X, -1.0, 1.0)
        value = 0.5 * (xlog1py(1.0 + inside, inside) + xlog1py(1.0 - inside, -inside))
        return np.where(np.abs(X) <= 1.0, value, np.inf)

    def conjugate(self, Z):
        """See :meth:`Divergence.conjugate`."""
        size = np.abs(Z)
        return size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)

    def proximal_point(self, V, weight):
        """See :meth:`Divergence.proximal_point`."""
        return _proximal_tanh(V, weight)

    def potential_cvxpy(self, X):
        """See :meth:`Divergence.potential_cvxpy`."""
        import cvxpy as cp

        return -(cp.entr(1 + X) + cp.entr(1 - X)) / 2, []

    def conjugate_cvxpy(self, Z):
        """See :meth:`Divergence.conjugate_cvxpy`."""
        import cvxpy as cp

        return cp.logistic(2 * Z) - Z - np.log(2.0)


@dataclass(frozen=True)
class SigmoidDivergence(Divergence):
    """``F(x, z) = x log x + (1 - x) log(1 - x) + log(1 + e^z) - x z`` for ``phi(z) = 1 / (1 + e^-z)``.

    Parameters
    ----------
    activation : Activation
        phi.
    """

    def potential(self, X):
        """See :meth:`Divergence.potential`."""
        inside = np.clip(X, 0.0, 1.0)
        return np.where(inside == X, xlogy(inside, inside) + xlog1py(1.0 - inside, -inside), np.inf)

    def conjugate(self, Z):
        """See :meth:`Divergence.conjugate`."""
        return np.logaddexp(0.0, Z)

    def proximal_point(self, V, weight):
        """See :meth:`Divergence.proximal_point`."""
        # The sigmoid is a tanh: with xi = 2 x - 1, G(x) = G_tanh(xi) - log 2 and 4/2 x^2 = 1/2 xi^2 + xi + 1/2.
        return 0.5 + 0.5 * _proximal_tanh(2.0 * V - 1.0 + 4.0 * weight, 4.0 * weight)

    def potential_cvxpy(self, X):
        """See :meth:`Divergence.potential_cvxpy`."""
        import cvxpy as cp

        return -cp.entr(X) - cp.entr(1 - X), []

    def conjugate_cvxpy(self, Z):
        """See :meth:`Divergence.conjugate_cvxpy`."""
        import cvxpy as cp

        return cp.logistic(Z)


def _proximal_tanh(V, weight):
    """Return ``x = tanh(s)`` where ``weight s + (1 - weight) tanh(s) = v``, for weights in (0, 1]."""
    target = np.abs(V)
    # On s >= 0 the left side is concave and increasing: Newton's steps from zero never pass the root.
    S = target.copy()
    X = np.tanh(S)
    for _ in range(_MAX_NEWTON):
        step = (target - weight * S - (1.0 - weight) * X) / (weight + (1.0 - weight) * (1.0 - X * X))
        S += step
        X = np.tanh(S)
        if np.max(step / (1.0 + S), initial=0.0) <= 4 * np.finfo(float).eps:
            break
    return np.copysign(X, V)


_KINDS: dict[str, type] = {
    "relu": PiecewiseLinearDivergence,
    "leaky_relu": PiecewiseLinearDivergence,
    "identity": PiecewiseLinearDivergence,
    "tanh": TanhDivergence,
    "sigmoid": SigmoidDivergence,
}
#: The divergences known, by activation.
DIVERGENCES = {ACTIVATIONS[name]: kind(ACTIVATIONS[name]) for name, kind in _KINDS.items()}


def get_divergence(activation):
    """Return the divergence of an activation.

    Parameters
    ----------
    activation : BaseActivation
        The activation.

    Returns
    -------
    Divergence
        Its divergence.

    Raises
    ------
    ValueError
        If none is known.
    """
    if isinstance(activation, Activation) and activation in DIVERGENCES:
        return DIVERGENCES[activation]
    known = sorted(a.name for a in DIVERGENCES)
    raise ValueError(f"No Fenchel divergence is known for {activation!r}; there is one for each of {known}.")
