"""Activations that differ from one block of the state to the next, and activations of groups of coordinates.

A network has some coordinates under ReLU, some under tanh, some linear: :class:`BlockActivation` puts them side by
side. Max pooling and softmax act on groups of coordinates: :class:`GroupActivation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax as _scipy_softmax

from skimplicit.activations.componentwise import BaseActivation, get_activation

__all__ = ["BlockActivation", "GroupActivation", "activation_of", "join_activations", "max_pool", "softmax"]


@dataclass(frozen=True)
class GroupActivation(BaseActivation):
    """``phi`` applied to every group of ``group_size`` consecutive coordinates.

    Parameters
    ----------
    name : str
        Name shown in representations and messages.
    function : callable
        ``function(Z)`` returns phi of an array of shape (m, n_groups, group_size) as a new array of that shape. It must
        be a module-level function for the rule to pickle.
    group_size : int
        Number of coordinates in a group.
    lipschitz : float
        gamma with ``max_i |phi(s)_i - phi(t)_i| <= gamma max_i |s_i - t_i|`` in every group.
    homogeneous : bool
        Whether ``phi(t z) = t phi(z)`` for every t > 0.

    Notes
    -----
    Class BLIP of El Ghaoui et al. (2021), section 2.1, with the norm l-infinity in every block. Its derivative is a
    matrix for each group, so it can be run, certified and composed, but not trained through.
    """

    name: str
    function: Callable
    group_size: int
    lipschitz: float
    homogeneous: bool = False

    def __post_init__(self):
        """Refuse a size that is not a positive integer."""
        if self.group_size < 1 or int(self.group_size) != self.group_size:
            raise ValueError(f"group_size must be a positive integer, got {self.group_size!r}.")

    @property
    def min_slope(self):
        """Least entry the derivative of a group can have, by the Lipschitz constant."""
        return -self.lipschitz

    @property
    def max_slope(self):
        """Largest entry the derivative of a group can have, by the Lipschitz constant."""
        return self.lipschitz

    def __call__(self, Z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``phi(Z)`` for an array of shape (m, n_groups * group_size), in ``out`` if given."""
        X = self.function(Z.reshape(*Z.shape[:-1], -1, self.group_size)).reshape(Z.shape)
        if out is None:
            return X
        out[...] = X
        return out

    def derivative(self, Z: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Refuse: the derivative of a group is a matrix.

        Parameters
        ----------
        Z, X : ndarray of shape (m, n)
            Pre-activations and states.
        """
        raise TypeError(
            f"The activation {self.name!r} has no componentwise derivative: the adjoint and Newton's method support "
            "componentwise activations only."
        )

    def __repr__(self):
        """Show name and size."""
        return f"GroupActivation({self.name!r}, group_size={self.group_size})"


@dataclass(frozen=True, repr=False)
class BlockActivation(BaseActivation):
    """One activation for each block of consecutive coordinates: ``phi(z) = (phi_1(z_1), ..., phi_L(z_L))``.

    Parameters
    ----------
    blocks : sequence of (activation, size)
        Name, :class:`Activation`, :class:`GroupActivation` or :class:`BlockActivation`, and the number of coordinates
        it acts on. Nested blocks are opened, equal neighbours are merged.

    Raises
    ------
    ValueError
        If a size does not fit its activation.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.activations import BlockActivation, max_pool
    >>> phi = BlockActivation([("relu", 1), ("identity", 1), (max_pool(2), 2)])
    >>> phi(np.array([[-1.0, -1.0, 3.0, 4.0]]))
    array([[ 0., -1.,  4.,  0.]])
    >>> phi.lipschitz
    array([1., 1., 1., 1.])
    """

    blocks: tuple

    if TYPE_CHECKING:  # what is given need not have the type of what is stored

        def __init__(self, blocks: Sequence[tuple[str | BaseActivation, int]]) -> None: ...

    def __post_init__(self):
        """Open nested blocks, merge equal neighbours."""
        merged = []
        for activation, size in self.blocks:
            for part, count in _opened(get_activation(activation), size):
                if merged and merged[-1][0] == part:
                    merged[-1] = (part, merged[-1][1] + count)
                elif count:
                    merged.append((part, count))
        object.__setattr__(self, "blocks", tuple(merged))

    @property
    def name(self):
        """The names of the parts, each once."""
        return "blocks of " + ", ".join(dict.fromkeys(part.name for part, _ in self.blocks))

    @property
    def size(self):
        """Number of coordinates n."""
        return sum(size for _, size in self.blocks)

    @property
    def homogeneous(self):
        """Whether all parts are positively homogeneous."""
        return all(part.homogeneous for part, _ in self.blocks)

    @cached_property
    def min_slope(self):
        """Lower bound of the slopes of each coordinate, (n,)."""
        return self._each("min_slope")

    @cached_property
    def max_slope(self):
        """Upper bound of the slopes of each coordinate, (n,)."""
        return self._each("max_slope")

    @cached_property
    def lipschitz(self):
        """Lipschitz constant of each coordinate, (n,)."""
        return self._each("lipschitz")

    @cached_property
    def groups(self):
        """Group of each coordinate, (n,), or None when no part acts on groups, be they of one coordinate."""
        if not any(isinstance(part, GroupActivation) for part, _ in self.blocks):
            return None
        sizes = [getattr(part, "group_size", 1) for part, _ in self.blocks]
        starts = [np.arange(count) % size == 0 for (_, count), size in zip(self.blocks, sizes, strict=True)]
        return np.cumsum(np.concatenate(starts)) - 1

    @cached_property
    def _slices(self):
        ends = np.cumsum([size for _, size in self.blocks])
        return [(part, slice(end - size, end)) for (part, size), end in zip(self.blocks, ends, strict=True)]

    def _each(self, attribute):
        values = [np.full(size, getattr(part, attribute), dtype=float) for part, size in self.blocks]
        return np.concatenate(values) if values else np.empty(0)

    def __call__(self, Z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``phi(Z)`` for an array of shape (m, n), in ``out`` if given (which may be Z itself)."""
        out = np.empty_like(Z) if out is None else out
        for part, columns in self._slices:
            part(Z[..., columns], out=out[..., columns])
        return out

    def derivative(self, Z: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return phi'(Z) coordinate by coordinate.

        Parameters
        ----------
        Z, X : ndarray of shape (m, n)
            Pre-activations, and X = phi(Z).

        Returns
        -------
        ndarray of shape (m, n)
            The slopes.

        Raises
        ------
        TypeError
            If a part acts on groups of coordinates.
        """
        slopes = np.empty_like(X)
        for part, columns in self._slices:
            slopes[..., columns] = part.derivative(Z[..., columns], X[..., columns])
        return slopes

    def restricted(self, coordinates: np.ndarray) -> BaseActivation:
        """Return the activation of some of the coordinates.

        Parameters
        ----------
        coordinates : ndarray of int
            Increasing indices; a group is in it with all of its coordinates, or not at all.

        Returns
        -------
        BaseActivation
            Their activation.
        """
        ends = np.cumsum([size for _, size in self.blocks])
        counts = np.diff(np.searchsorted(coordinates, np.concatenate([[0], ends])))
        some = np.flatnonzero(counts)  # a network of many layers has many parts, and asks for one of them at a time
        return join_activations([(self.blocks[k][0], int(counts[k])) for k in some])

    def __repr__(self):
        """Show the first parts with their sizes."""
        shown = [f"{part.name!r}: {size}" for part, size in self.blocks[:4]]
        return f"BlockActivation({', '.join(shown + ['...'] * (len(self.blocks) > 4))})"


def _opened(activation, size):
    """Yield the parts of an activation that acts on ``size`` coordinates."""
    group = getattr(activation, "group_size", 1)
    if size < 0 or size % group or activation.size not in (None, size):
        raise ValueError(f"{activation!r} cannot act on {size} coordinates.")
    if isinstance(activation, BlockActivation):
        yield from activation.blocks
    else:
        yield activation, int(size)


def join_activations(blocks):
    """Return the simplest activation that acts as these blocks do: a single one if all blocks agree.

    Parameters
    ----------
    blocks : sequence of (activation, size)
        As for :class:`BlockActivation`.

    Returns
    -------
    BaseActivation
        A plain activation or a :class:`BlockActivation`.
    """
    blocks = [(get_activation(activation), size) for activation, size in blocks]
    joined = BlockActivation(blocks)
    if not joined.blocks:
        return get_activation("identity")
    return joined.blocks[0][0] if len(joined.blocks) == 1 and joined.groups is None else joined


def activation_of(activation, n):
    """Return the activation of n states: one that takes groups of them knows which are in one only with their number.

    Parameters
    ----------
    activation : str or BaseActivation
        As for :func:`get_activation`.
    n : int
        Number of states.

    Returns
    -------
    BaseActivation
        Blocks of all states for one of groups, every other as it is.

    Raises
    ------
    ValueError
        If it acts on another number of states.
    """
    phi = get_activation(activation)
    if phi.size not in (None, n):
        raise ValueError(f"activation acts on {phi.size} states, but the rule has {n}.")
    return BlockActivation([(phi, n)]) if n and isinstance(phi, GroupActivation) else phi


def _group_maximum(Z):
    X = np.zeros_like(Z)
    Z.max(axis=-1, out=X[..., 0])
    return X


def _group_softmax(Z):
    return _scipy_softmax(Z, axis=-1)


def max_pool(group_size: int) -> GroupActivation:
    """Return ``phi(z) = (max_i z_i, 0, ..., 0)`` on every group of ``group_size`` coordinates.

    Parameters
    ----------
    group_size : int
        Number of coordinates in a group.

    Returns
    -------
    GroupActivation
        1-Lipschitz in the l-infinity norm, positively homogeneous.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 3.
    """
    return GroupActivation("max_pool", _group_maximum, group_size, 1.0, homogeneous=True)


def softmax(group_size: int) -> GroupActivation:
    """Return ``phi(z)_i = exp(z_i) / sum_j exp(z_j)`` on every group of ``group_size`` coordinates.

    Parameters
    ----------
    group_size : int
        Number of coordinates in a group.

    Returns
    -------
    GroupActivation
        1/2-Lipschitz in the l-infinity norm: row i of its derivative has absolute sum ``2 s_i (1 - s_i) <= 1/2``.
    """
    return GroupActivation("softmax", _group_softmax, group_size, 0.5)
