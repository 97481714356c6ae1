"""The variance of a readout's value, by the delta method: of all members of a fit, which share the inputs."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from skimplicit.estimators.intervals import root_mean_square
from skimplicit.linalg import CholeskyFactor, to_dense
from skimplicit.rule import ImplicitRule

__all__ = ["InputAxes", "ReadoutCovariance", "StatesBesideInputs", "inputs_left"]

# Least ridge, as a share of the sum of all second moments.
_LEAST_RIDGE = 1e-10


def inputs_left(relevance, n_inputs):
    """Return the inputs that are not left out.

    Parameters
    ----------
    relevance : ndarray of shape (n_inputs,) or None
        By what the inputs are multiplied; None for ones.
    n_inputs : int
        Their number.

    Returns
    -------
    ndarray of int
        Those with another factor than 0.
    """
    return np.flatnonzero(np.ones(n_inputs) if relevance is None else relevance)


def _centre(columns, weights, intercept):
    """Return what columns are taken about: their means, or zeros without an intercept, which alone can absorb them."""
    return weights @ columns if intercept else np.zeros(columns.shape[1])


@dataclass(frozen=True)
class InputAxes:
    """Inputs in the units that the direct term is trained in, along the axes in which they vary independently.

    Parameters
    ----------
    columns : ndarray of int of shape (k,)
        The inputs that are not left out.
    centre, scale : ndarray of shape (k,)
        What they are centred at, zeros without intercepts, and their scales; that of an input which carries nothing,
        a constant one beside an intercept, is infinite.
    axes : ndarray of shape (k, r)
        The axes, in which the inputs have second moments above rounding.
    sizes : ndarray of shape (r,)
        Roots of these moments.
    """

    columns: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, U, weights, relevance=None, intercept=True):
        """Return the axes of inputs U (m, p) for weights (m,) that sum to 1, and the rows along them, (m, r).

        Inputs divided by their deviations, or without an ``intercept`` by their root mean squares, are multiplied by
        ``relevance``, shape (p,), unless that is None; those with 0 are left out.
        """
        columns = inputs_left(relevance, U.shape[1])
        U = to_dense(U[:, columns])
        centre = _centre(U, weights, intercept)
        spread = U - centre
        deviation = root_mean_square(spread, weights)
        rounding = 16 * np.finfo(float).eps * np.abs(U).max(axis=0, initial=0.0)
        varies = deviation > rounding
        if intercept:  # a mean of many rows has more rounding than they have: both have to tell that an input varies
            varies &= np.ptp(U, axis=0) > rounding
        scale = np.where(varies, deviation, np.inf)
        if relevance is not None:
            scale = scale / relevance[columns]
        rows = np.sqrt(weights)[:, None] * (spread / scale)
        m, p = rows.shape
        moments, vectors = np.linalg.eigh(rows @ rows.T if m < p else rows.T @ rows)
        kept = moments > max(m, p) * np.finfo(float).eps * moments[-1:]
        sizes, vectors = np.sqrt(moments[kept]), vectors[:, kept]
        if m < p:
            return cls(columns, centre, scale, rows.T @ vectors / sizes, sizes), vectors
        return cls(columns, centre, scale, vectors, sizes), rows @ vectors / sizes

    @classmethod
    def none(cls, n_rows):
        """Return no axes, for rules without a direct term, and as many rows along them."""
        none = np.zeros(0)
        return cls(none.astype(int), none, none, np.zeros((0, 0)), none), np.zeros((n_rows, 0))

    def along(self, U):
        """Return inputs U (k, p) along the axes, shape (k, r)."""
        return ((to_dense(U[:, self.columns]) - self.centre) / self.scale) @ self.axes


@dataclass(frozen=True)
class StatesBesideInputs:
    """The states of a rule on the rows that it was trained on, split into what the inputs explain and the rest.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    centre : ndarray of shape (n,)
        Means of its states, zeros without intercepts.
    inside : ndarray of shape (r, n)
        The states along the axes of the inputs.
    beside : ndarray of shape (n, n)
        Second moments of the rest.
    ridge, input_ridge : float
        Ridges of C and of D.
    """

    rule: ImplicitRule
    centre: np.ndarray
    inside: np.ndarray
    beside: np.ndarray
    ridge: float
    input_ridge: float

    @classmethod
    def of(cls, rule, U, weights, axes, along, alpha, direct_ridge, intercept):
        """Return the split of a rule trained on rows U, (m, p), which are ``along`` (m, r) the :class:`InputAxes`."""
        states = rule.states(U)
        centre = _centre(states, weights, intercept)
        rows = np.sqrt(weights)[:, None] * (states - centre)
        inside = along.T @ rows
        rest = rows - along @ inside
        least = _LEAST_RIDGE * max(np.sum(rows**2) + np.sum(axes.sizes**2), 1.0)
        return cls(rule, centre, inside, rest.T @ rest, alpha + least, alpha * direct_ridge + least)

    def variance(self, U, along, sizes):
        """Return ``r(u)' H^-1 G H^-1 r(u)``, shape (k,), of inputs U (k, p), which are ``along`` (k, r) axes of sizes.

        The inputs are eliminated from H, and G measures what the training rows see of the weights ``H^-1 r(u)``: the
        rest of the states, and along the axes states and inputs together. No difference of large numbers is taken, for
        with a small ridge that would be rounding alone.
        """
        shrunk = 1.0 / (sizes**2 + self.input_ridge)
        left = self.input_ridge * shrunk  # of what is along an axis, when the inputs have explained what they can
        own = along * (sizes * shrunk)
        system = self.beside + self.inside.T @ (left[:, None] * self.inside)
        system[np.diag_indices_from(system)] += self.ridge
        weights = CholeskyFactor(system).solve((self.rule.states(U) - self.centre - own @ self.inside).T).T
        together = own + left * (weights @ self.inside.T)
        return np.sum(together**2, axis=1) + np.maximum(np.sum(weights @ self.beside * weights, axis=1), 0.0)


@dataclass(frozen=True)
class ReadoutCovariance:
    """``r(u)' H^-1 G H^-1 r(u) / m``, ``G = R' diag(w) R``, ``H = G + ridge``: the variance of a readout's value.

    For a noise of variance one; r has the states and, with a direct term, the inputs, both about their means, and 1;
    without intercepts states and inputs as they are, and no 1. It is that of the estimate alone (not
    ``r(u)' H^-1 r(u) / m``, which adds what a prior of variance ``1 / ridge`` says in directions that no row has shown,
    all of it with more inputs than rows). The inputs, which can be many, are there once for all members.

    Parameters
    ----------
    axes : InputAxes
        The inputs.
    members : tuple of StatesBesideInputs
        The states of each member.
    n_samples : float
        Effective number of rows m, the inverse of the sum of the squared weights.
    intercept : bool
        Whether the readout has an intercept.
    """

    axes: InputAxes
    members: tuple
    n_samples: float
    intercept: bool

    @classmethod
    def of(cls, rules, U, weights, alpha, direct, direct_ridge, relevance=None, intercept=True):
        """Return the covariance of rules trained on rows U, (m, p), with weights (m,) that sum to 1.

        ``relevance`` is what :meth:`InputAxes.of` takes.
        """
        axes, along = InputAxes.of(U, weights, relevance, intercept) if direct else InputAxes.none(U.shape[0])
        numbers = alpha, direct_ridge, intercept
        members = (StatesBesideInputs.of(rule, U, weights, axes, along, *numbers) for rule in rules)
        return cls(axes, tuple(members), 1.0 / float(np.sum(weights**2)), intercept)

    def of_more_rows(self, times) -> Self:
        """Return the covariance of a readout chosen on so many times the rows, which vary alike."""
        return replace(self, n_samples=self.n_samples * times)

    def variance(self, U):
        """Return the mean variance over the members, shape (k,), for inputs U of shape (k, p)."""
        along = self.axes.along(U)
        each = [member.variance(U, along, self.axes.sizes) for member in self.members]
        return (float(self.intercept) + np.mean(each, axis=0)) / self.n_samples
