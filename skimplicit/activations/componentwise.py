"""Activations: the function phi of an implicit rule ``x = phi(A x + B u + b)``.

An :class:`Activation` carries what the rest of the package has to know about phi: its value, its derivative, the range
of its slopes (which decides how large A may be) and whether it is positively homogeneous (which decides whether a rule
can be rescaled without changing what it computes).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, ndtr

from skimplicit.activations.checks import check_activation
from skimplicit.parameters import nearest

__all__ = ["ACTIVATIONS", "Activation", "BaseActivation", "get_activation"]


class BaseActivation:
    """``phi``, a map of the rows of an (m, n) array: what a rule asks of any activation.

    Subclasses have ``name``, ``homogeneous``, ``min_slope``, ``max_slope`` and ``lipschitz`` (numbers, or one number
    for each coordinate), ``derivative(Z, X)`` and ``__call__(Z, out=None)``.
    """

    name: str
    homogeneous: bool
    min_slope: Any
    max_slope: Any
    lipschitz: Any
    derivative: Any
    #: Number of coordinates it acts on; None for any.
    size: int | None = None
    #: None when every coordinate has its own phi (class CONE); otherwise an array (n,), the group of each coordinate,
    #: numbered from 0 without gaps, and ``lipschitz`` holds for the largest absolute value of a group (class BLIP).
    groups: np.ndarray | None = None
    #: Where the slope of a piecewise linear phi changes; None when it is not one, or not the same for all coordinates.
    kinks: tuple | None = None

    if TYPE_CHECKING:

        def __call__(self, Z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
            """Return ``phi(Z)``, written to ``out`` if that is given."""

    def restricted(self, coordinates: np.ndarray) -> "BaseActivation":
        """Return the activation of some of the coordinates.

        Parameters
        ----------
        coordinates : ndarray of int
            Increasing indices; a group is in it with all of its coordinates, or not at all.

        Returns
        -------
        BaseActivation
            Their activation; this one if it does not tell coordinates apart.
        """
        return self


@dataclass(frozen=True)
class Activation(BaseActivation):
    """``phi``, applied to every coordinate of the state.

    Parameters
    ----------
    name : str
        Name shown in representations and messages.
    function : callable
        ``function(Z, out=None)`` returns phi(Z) for a float64 array, in ``out`` if given (which may be Z itself); what
        it returns in another array is copied there. It must be a module-level function for the rule to pickle.
    derivative : callable
        ``derivative(Z, X)`` returns phi'(Z), as floats or booleans, given Z and X = phi(Z), both of which it leaves as
        they are.
    min_slope, max_slope : float
        Bounds of phi': ``min_slope <= (phi(s) - phi(t)) / (s - t) <= max_slope`` for all s != t. If
        ``max(abs(min_slope), abs(max_slope)) * ||A||_inf < 1`` the equilibrium exists and is unique.
    homogeneous : bool
        Whether ``phi(t z) = t phi(z)`` for every t > 0.
    kinks : array-like of float or None
        For a piecewise linear phi the increasing places where its slope changes, none for a linear one; None for any
        other phi. They are kept as a tuple.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 2.1 (class CONE when the Lipschitz constant is at most 1).

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import get_activation
    >>> relu = get_activation("relu")
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> relu.lipschitz
    1.0
    """

    name: str
    function: Callable[..., np.ndarray]
    derivative: Callable[[np.ndarray, np.ndarray], np.ndarray]
    min_slope: float
    max_slope: float
    homogeneous: bool = False
    kinks: tuple | None = None

    def __post_init__(self):
        """Refuse slopes that cannot be bounds, and kinks out of order; keep the kinks as a tuple."""
        if not (np.isfinite(self.min_slope) and np.isfinite(self.max_slope) and self.min_slope <= self.max_slope):
            raise ValueError(
                f"Activation {self.name!r}: min_slope and max_slope must be finite with min_slope <= max_slope, "
                f"got {self.min_slope} and {self.max_slope}."
            )
        if self.kinks is None:
            return
        # Of an array, or a list, an activation could not be compared with others, nor be looked up among them.
        object.__setattr__(self, "kinks", tuple(np.ravel(self.kinks).tolist()))
        if not (np.isfinite(self.kinks).all() and np.all(np.diff(self.kinks) > 0)):
            raise ValueError(f"Activation {self.name!r}: kinks must be finite and increasing, got {self.kinks!r}.")

    @property
    def lipschitz(self):
        """Smallest gamma the slopes allow with ``abs(phi(s) - phi(t)) <= gamma abs(s - t)``."""
        return max(abs(self.min_slope), abs(self.max_slope))

    def __call__(self, Z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``phi(Z)``.

        Parameters
        ----------
        Z : ndarray
            Pre-activations, any shape.
        out : ndarray or None
            Where to write the result.

        Returns
        -------
        ndarray
            phi(Z), of the shape of Z.
        """
        X = self.function(Z, out=out)
        if out is None or X is out:
            return X
        np.copyto(out, X)  # a function that makes an array of its own, as one does that passes `out` on to nobody
        return out

    def check(self) -> None:
        """Refuse a function or a derivative that is not what this activation says of it.

        Raises
        ------
        TypeError, ValueError
            As :func:`~skimplicit.activations.check_activation` says; those known by name are not looked at.
        """
        if ACTIVATIONS.get(self.name) != self:
            check_activation(self)

    def __getstate__(self):
        """Store one that is known by its name as that name: files then hold no functions, and outlive their names."""
        return {"name": self.name} if ACTIVATIONS.get(self.name) == self else vars(self).copy()

    def __setstate__(self, state):
        """Restore what was stored."""
        if state.keys() == {"name"}:
            state = vars(get_activation(state["name"]))
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __repr__(self):
        """Show the name alone: functions have no readable form."""
        return f"Activation({self.name!r})"


def _relu(Z, out=None):
    return np.maximum(Z, 0.0, out=out)


def _relu_derivative(Z, X):
    return X > 0


_LEAK = 0.01  # the slope used for negative values by every deep-learning library


def _leaky_relu(Z, out=None):
    return np.maximum(Z, _LEAK * Z, out=out)


def _leaky_relu_derivative(Z, X):
    return np.where(Z > 0, 1.0, _LEAK)


def _tanh(Z, out=None):
    return np.tanh(Z, out=out)


def _tanh_derivative(Z, X):
    return 1.0 - X * X


def _sigmoid(Z, out=None):
    return expit(Z, out=out)


def _sigmoid_derivative(Z, X):
    return X * (1.0 - X)


def _identity(Z, out=None):
    if out is None:
        return Z.copy()
    if out is not Z:
        np.copyto(out, Z)
    return out


def _identity_derivative(Z, X):
    return np.ones_like(Z)


def _elu(Z, out=None):
    negative = np.expm1(np.minimum(Z, 0.0))
    return np.add(np.maximum(Z, 0.0), negative, out=out)


def _elu_derivative(Z, X):
    return np.where(Z > 0, 1.0, X + 1.0)


def _softplus(Z, out=None):
    return np.logaddexp(0.0, Z, out=out)


def _softplus_derivative(Z, X):
    return expit(Z)


def _silu(Z, out=None):
    return np.multiply(Z, expit(Z), out=out)


def _silu_derivative(Z, X):
    slope = expit(Z)
    return slope + X * (1.0 - slope)


def _gelu(Z, out=None):
    return np.multiply(Z, ndtr(Z), out=out)


def _gelu_derivative(Z, X):
    near = np.clip(Z, -40.0, 40.0)  # beyond, the density is zero, and the square could exceed all numbers
    return ndtr(Z) + Z * np.exp(-0.5 * near * near) / np.sqrt(2.0 * np.pi)


# The slopes of SiLU and GELU leave [0, 1]: extrema of the derivative, rounded outwards (GELU: at z = -+sqrt(2)).
_SILU_SLOPES = (-0.0998394, 1.0998394)
_GELU_SLOPES = (-0.1289042, 1.1289042)

#: The activations known by name.
ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("relu", _relu, _relu_derivative, 0.0, 1.0, homogeneous=True, kinks=(0.0,)),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_derivative, _LEAK, 1.0, homogeneous=True, kinks=(0.0,)),
        Activation("tanh", _tanh, _tanh_derivative, 0.0, 1.0),
        Activation("sigmoid", _sigmoid, _sigmoid_derivative, 0.0, 0.25),
        Activation("identity", _identity, _identity_derivative, 1.0, 1.0, homogeneous=True, kinks=()),
        Activation("elu", _elu, _elu_derivative, 0.0, 1.0),
        Activation("softplus", _softplus, _softplus_derivative, 0.0, 1.0),
        Activation("silu", _silu, _silu_derivative, *_SILU_SLOPES),
        Activation("gelu", _gelu, _gelu_derivative, *_GELU_SLOPES),
    )
}


def get_activation(activation: str | BaseActivation) -> BaseActivation:
    """Return the :class:`Activation` of that name.

    Parameters
    ----------
    activation : str or BaseActivation
        A key of ``ACTIVATIONS``, or an activation, returned as it is.

    Returns
    -------
    BaseActivation
        The activation.

    Raises
    ------
    ValueError
        If no activation has that name.
    TypeError
        If it is neither a name nor an :class:`Activation`.
    """
    if isinstance(activation, BaseActivation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name or an Activation, got {activation!r}.")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {sorted(ACTIVATIONS)} or an Activation, got {activation!r}."
            + nearest(activation, ACTIVATIONS)
        )
    return ACTIVATIONS[activation]
