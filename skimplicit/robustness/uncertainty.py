"""The inputs that a bound has to hold for: a box around each row, of which at most k inputs change."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from skimplicit.feature_names import in_order_of_columns
from skimplicit.linalg import to_dense

__all__ = ["InputSet", "checked_n_changed", "checked_radius"]

_EPS = np.finfo(float).eps


@dataclass(frozen=True)
class InputSet:
    """``{u : down <= u - base <= up}`` for each row; with ``n_changed``, at most so many entries differ from base.

    Parameters
    ----------
    base : ndarray of shape (m, p)
        The rows themselves.
    down, up : ndarray of shape (m, p) or (1, p)
        ``down <= 0 <= up``; one row when it is the same for all.
    n_changed : int or None
        k; None for p.
    """

    base: np.ndarray
    down: np.ndarray
    up: np.ndarray
    n_changed: int | None = None

    @classmethod
    def around(cls, U, radius, n_changed=None, limits=None):
        """Return ``|u - U| <= radius``, where ``limits = (lower, upper)`` first cut all inputs.

        A model that cuts its inputs sees the cut box: its base may be at an end of it.

        Parameters
        ----------
        U : ndarray or sparse array of shape (m, p)
            Rows.
        radius : ndarray of shape (p,) or (m, p)
            Radius of each input.
        n_changed : int or None
            k; None for p.
        limits : tuple of ndarray of shape (p,) or None
            Where inputs are cut.

        Returns
        -------
        InputSet
            The sets.
        """
        U, radius = to_dense(U).astype(float), np.atleast_2d(radius)
        n_changed = None if n_changed is None or n_changed >= U.shape[1] else n_changed
        if limits is None:
            return cls(U, -radius, radius, n_changed)
        base = np.clip(U, *limits)
        # Rounding of the ends must not make the box smaller.
        slack = 2 * _EPS * (np.abs(U) + radius)
        down, up = np.clip(U - radius - slack, *limits) - base, np.clip(U + radius + slack, *limits) - base
        return cls(base, np.minimum(down, 0.0), np.maximum(up, 0.0), n_changed)

    @property
    def reach(self):
        """Most that each input can move, ``max(-down, up)``, of shape (m, p) or (1, p)."""
        return np.maximum(-self.down, self.up)

    @property
    def size(self):
        """Bounds on ``|u|``, (m, p)."""
        return np.abs(self.base) + self.reach

    def rows(self, rows):
        """Return the sets of some of the rows."""
        down, up = (end if end.shape[0] == 1 else end[rows] for end in (self.down, self.up))
        return InputSet(self.base[rows], down, up, self.n_changed)

    def change(self, W):
        """Return bounds on ``W (u - base)``.

        Parameters
        ----------
        W : ndarray or sparse array of shape (k, p)
            Weights.

        Returns
        -------
        lower, upper : ndarray of shape (m, k) or (1, k)
            ``lower <= 0 <= upper``: the sums of the ``n_changed`` extreme terms, rounded outwards.
        """
        if self.n_changed is None:
            middle, radius = (self.up + self.down) / 2, (self.up - self.down) / 2
            radius = radius + (W.shape[1] + 8) * _EPS * (np.abs(middle) + radius)
            centre, spread = to_dense(middle @ W.T), to_dense(radius @ abs(W).T)
            return np.minimum(centre - spread, 0.0), np.maximum(centre + spread, 0.0)
        W = to_dense(W)
        lower, upper = np.empty((2, self.down.shape[0], W.shape[0]))
        for k, weights in enumerate(W):
            fall, rise = weights * self.down, weights * self.up
            upper[:, k] = self._largest(np.maximum(fall, rise))
            lower[:, k] = -self._largest(-np.minimum(fall, rise))
        return lower, upper

    def _largest(self, terms):
        """Return the sum of the ``n_changed`` largest of the terms, none of which is negative."""
        k = self.n_changed
        total = np.partition(terms, -k, axis=1)[:, -k:].sum(axis=1) if k else np.zeros(terms.shape[0])
        return total * (1 + (k + 4) * _EPS)

    def values(self, W, offset=0.0):
        """Return bounds on ``W u + offset``, of shape (m, k), rounded outwards."""
        lower, upper = self.change(W)
        middle = to_dense(self.base @ W.T) + offset
        rounding = (W.shape[1] + 8) * _EPS * (to_dense(self.size @ abs(W).T) + np.abs(offset))
        return middle + lower - rounding, middle + upper + rounding

    def project(self, V):
        """Return the nearest points of the sets, in the largest change that inputs keep when only k may change.

        Parameters
        ----------
        V : ndarray of shape (m, p)
            Inputs.

        Returns
        -------
        ndarray of shape (m, p)
            Points of the sets.
        """
        change = np.clip(V - self.base, self.down, self.up)
        if self.n_changed is not None:
            share = np.abs(change) / np.where(self.reach > 0, self.reach, 1.0)
            change = np.where(_among_largest(share, self.n_changed), change, 0.0)
        return self.base + change

    def vertex(self, gradient):
        """Return the points of the sets where ``gradient · u`` is largest, (m, p)."""
        change = np.where(gradient > 0, self.up, np.where(gradient < 0, self.down, 0.0))
        if self.n_changed is not None:
            change = np.where(_among_largest(gradient * change, self.n_changed), change, 0.0)
        return self.base + change

    def sample(self, rng):
        """Return a random point of each set, on its boundary as often as inside."""
        shape = self.base.shape
        inside = rng.uniform(self.down, self.up, size=shape)
        ends = np.where(rng.random(shape) < 0.5, self.down, self.up)
        change = np.where(rng.random((shape[0], 1)) < 0.5, inside, ends)
        if self.n_changed is not None:
            change = np.where(_among_largest(rng.random(shape), self.n_changed), change, 0.0)
        return self.base + change


def _among_largest(values, k):
    """Mark k largest values in each row."""
    mask = np.zeros(values.shape, dtype=bool)
    if k:
        np.put_along_axis(mask, np.argpartition(-values, k - 1, axis=1)[:, :k], True, axis=1)
    return mask


def checked_radius(radius, n_inputs, name="radius", model=None):
    """Return the radius of each input, (p,).

    Parameters
    ----------
    radius : float or array-like of shape (p,)
        One for all inputs, or one for each.
    n_inputs : int
        p.
    name : str
        What the argument is called.
    model : ImplicitRule, estimator or None
        What may have names for the inputs, by which a Series of pandas then goes.

    Returns
    -------
    ndarray of shape (p,)
        The radii.

    Raises
    ------
    ValueError
        If it has another shape, or an entry is negative or not finite.
    """
    radius = in_order_of_columns(radius, getattr(model, "feature_names_in_", None), name)
    try:
        values = np.asarray(radius)
        if values.dtype.kind in "SU":
            raise TypeError("It is a string.")
        values = values.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or one for each input, got {radius!r}.") from error
    if values.shape not in ((), (n_inputs,)):
        raise ValueError(f"{name} must be a number or have shape ({n_inputs},), got shape {values.shape}.")
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"{name} must be finite and at least 0.")
    return np.broadcast_to(values, n_inputs)


def checked_n_changed(n_changed):
    """Return n_changed, None or an integer of at least 0; a ValueError or TypeError names it otherwise.

    Parameters
    ----------
    n_changed : int or None
        The number as given.

    Returns
    -------
    int or None
        The number.
    """
    if n_changed is None:
        return None
    if isinstance(n_changed, bool) or not isinstance(n_changed, Integral):
        raise TypeError(f"n_changed must be an integer or None, got {n_changed!r}.")
    if n_changed < 0:
        raise ValueError(f"n_changed must be at least 0, got {n_changed!r}.")
    return int(n_changed)
