"""Records of the training objective: a point, what is computed there, and its derivatives."""

from dataclasses import dataclass, replace

import numpy as np

from skimplicit.rows import Moments
from skimplicit.subproblems import Readout

__all__ = ["Evaluation", "Gradient", "JointGradient", "Point"]

# A readout that grows by more than one over this when states shrink is no place to start from.
_LEAST_SCALE = 1e-8


@dataclass(frozen=True)
class Point:
    """The parameters of a rule in the units of training: scaled and, with intercepts, centred inputs and targets.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        Weights ``[A B]``.
    b : ndarray of shape (n,)
        Intercept of the states.
    readout : Readout
        The readout, for states taken about ``X_mean``.
    X_mean : ndarray of shape (n,)
        Mean state, or zeros.
    """

    W: np.ndarray
    b: np.ndarray
    readout: Readout
    X_mean: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """The objective at one ``W = [A B]``, b, and what was computed on the way.

    Parameters
    ----------
    point : Point
        W, b and a readout that is optimal, or as near to it as ``tol`` asks for.
    states : ndarray of shape (m, n), or in blocks
        Equilibrium states, where the rows are.
    moments : Moments
        Their moments.
    loss, objective : float
        Loss alone, and loss plus ridge.
    alpha : float
        The ridge.
    tol : float
        Tolerance of the states.
    """

    point: Point
    states: np.ndarray
    moments: Moments
    loss: float
    objective: float
    alpha: float
    tol: float

    def decrease_to(self, other):
        """Return by which share of itself the objective falls from here to another evaluation; 0 where it is 0."""
        return (self.objective - other.objective) / abs(self.objective) if self.objective else 0.0

    def scaled(self, scale):
        """Return what to start from when B and b are multiplied by ``scale``, for a positively homogeneous phi."""
        if scale == 1.0:
            return self
        # States that shrink to almost nothing leave almost nothing to read: the ridge would forbid so large a C.
        C = self.point.readout.C / scale if scale > _LEAST_SCALE else 0.0 * self.point.readout.C
        point = replace(self.point, readout=replace(self.point.readout, C=C), X_mean=self.point.X_mean * scale)
        return replace(self, point=point, states=self.states * scale)

    def ahead(self, previous, weight):
        """Return what to start from when the weights go on from those of a previous evaluation by ``weight`` times.

        The states move with the weights. Those in blocks start where they are: two sets of them are not held for it.
        """
        if not isinstance(self.states, np.ndarray):
            return self
        return replace(self, states=self.states + weight * (self.states - previous.states))

    def behind(self):
        """Return what is kept of this one when it is no longer the current one: no states in blocks, which are many."""
        return self if isinstance(self.states, np.ndarray) else replace(self, states=None)


@dataclass(frozen=True)
class Gradient:
    """Derivatives of the loss with respect to the pre-activations, summed over the samples.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        ``S' [Xc Uc]``, the derivative with respect to W when b moves so that the mean pre-activation stays.
    b : ndarray of shape (n,)
        Derivative with respect to b.
    curvature : ndarray of shape (n,)
        Estimate of the loss's curvature along each state's pre-activation, positive.
    adjoint : ndarray of shape (m, n), or in blocks
        The rows S.
    """

    W: np.ndarray
    b: np.ndarray
    curvature: np.ndarray
    adjoint: np.ndarray


@dataclass(frozen=True)
class JointGradient:
    """Derivatives of the mean loss with respect to all parameters of a rule, b moving along with W and c with C and D.

    Parameters
    ----------
    W : ndarray of shape (n, n + p)
        Derivative with respect to W when b moves so that the pre-activation at the mean state and input stays.
    b : ndarray of shape (n,)
        Derivative with respect to b.
    C, D, c : ndarray
        Derivatives with respect to the readout, of shapes (q, n), (q, p) and (q,); D is None without a direct term.
    states, adjoint : ndarray of shape (m, n)
        The equilibrium and the rows S.
    """

    W: np.ndarray
    b: np.ndarray
    C: np.ndarray
    D: np.ndarray | None
    c: np.ndarray
    states: np.ndarray
    adjoint: np.ndarray
