"""Derivatives along a straight path of inputs, where phi is piecewise linear: from one kink to the next, exactly."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from skimplicit.linalg import block_triangular_order

__all__ = ["Pieces", "mean_adjoint_of_pieces", "solve", "substitution_order"]

# Two kinks closer than this, as a share of the path, are passed at once.
_SAME = 1e-13
# More pieces than this for each state are a path that does not get on.
_MOST_PIECES = 200


@dataclass(frozen=True)
class Pieces:
    """``phi(z) = slope z + offset`` between edges, coordinate by coordinate.

    Parameters
    ----------
    edges : ndarray of shape (n, k + 2)
        ``-inf``, the kinks, ``inf``, and more of ``inf`` where a coordinate has fewer kinks than others.
    slopes, offsets : ndarray of shape (n, k + 1)
        The lines; piece j lies between the edges j and j + 1.
    """

    edges: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, activation, n):
        """Return the pieces of an activation of n coordinates, None if it is not piecewise linear."""
        blocks = getattr(activation, "blocks", ((activation, n),))
        if any(part.kinks is None for part, _ in blocks):
            return None
        most = max((len(part.kinks) for part, _ in blocks), default=0)
        edges, slopes, offsets = [], [], []
        for part, size in blocks:
            lines = [_line(part, low, high) for low, high in _between(part.kinks)]
            lines += lines[-1:] * (most + 1 - len(lines))
            edge = [-np.inf, *part.kinks, *[np.inf] * (most + 1 - len(part.kinks))]
            edges += [edge] * size
            slopes += [[slope for slope, _ in lines]] * size
            offsets += [[offset for _, offset in lines]] * size
        return cls(
            np.reshape(edges, (n, most + 2)), np.reshape(slopes, (n, most + 1)), np.reshape(offsets, (n, most + 1))
        )

    def of_states(self, states):
        """Return the pieces of some of the coordinates, in their order."""
        return Pieces(self.edges[states], self.slopes[states], self.offsets[states])


def substitution_order(A):
    """Return the order of the states that follow one from another, and whether none needs itself.

    In this order the systems of a feedforward rule are triangular: n^2 operations solve them, in place of n^3, and
    nothing cancels that substitution does not.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Weights of the states.

    Returns
    -------
    order : ndarray of int of shape (n,)
        The states.
    triangular : bool
        Whether A is strictly triangular in this order.
    """
    steps = block_triangular_order(A)
    order = np.concatenate([np.empty(0, dtype=int), *(step.states for step in steps)])
    return order, not any(step.implicit for step in steps)


def mean_adjoint_of_pieces(A, C, pieces, start, way, Z):
    """Return the mean over t in [0, 1] of dy/dz at ``z = A x + start + t way``, ``x = phi(z)``, row by row.

    Parameters
    ----------
    A, C : ndarray of shape (n, n), (q, n)
        Weights of the states and of the outputs ``y = C x``.
    pieces : Pieces
        phi.
    start, way : ndarray of shape (m, n)
        Drives at the reference, and what is added to them on the way.
    Z : ndarray of shape (m, n)
        Pre-activations at the reference.

    Returns
    -------
    ndarray of shape (m, q, n)
        The means, exact up to rounding.

    Raises
    ------
    RuntimeError
        If a path has more than 200 pieces for each state.
    """
    order, triangular = substitution_order(A)
    A, pieces = A[np.ix_(order, order)], pieces.of_states(order)
    rows = zip(start[:, order], way[:, order], Z[:, order], strict=True)
    means = np.empty((start.shape[0], *C.shape))
    means[..., order] = [_walk(A, C[:, order], pieces, triangular, *row) for row in rows]
    return means


def _walk(A, C, pieces, triangular, start, way, z):
    """Return what :func:`mean_adjoint_of_pieces` does, of one row."""
    states, t = np.arange(start.size), 0.0
    total = np.zeros(C.shape)
    piece = np.sum(pieces.edges[:, 1:-1] < z[:, None], axis=1)
    tolerance = 1e-12 * np.abs(z)  # in the size of each state, which may be any
    # A state at a kink may be on either side of it: in the piece below the edge of this number, or above.
    upper = pieces.edges[states, piece + 1]
    edge = np.where(np.abs(upper - z) <= tolerance, piece + 1, -1)
    lower = pieces.edges[states, piece]
    edge = np.where((edge < 0) & (np.abs(z - lower) <= tolerance), piece, edge)
    system = _System(A)
    for _ in range(_MOST_PIECES * (start.size + 1)):
        piece, moved = _sides(A, pieces, triangular, way, piece, edge, system)
        slopes, offsets = pieces.slopes[states, piece], pieces.offsets[states, piece]
        drive = start + t * way
        x = solve(system.matrix, slopes * drive + offsets, triangular)
        z = A @ x + drive
        goal = np.where(moved > 0, piece + 1, piece)
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.where(moved != 0, (pieces.edges[states, goal] - z) / moved, np.inf)
        left = np.maximum(left, 0.0)
        length = min(float(left.min(initial=np.inf)), 1.0 - t)
        total += length * solve(system.matrix, C.T, triangular, transposed=True).T * slopes
        t += length
        if t >= 1.0:
            return total
        edge = np.where(left <= length + _SAME, goal, -1)
    raise RuntimeError(f"The path to a row has more than {_MOST_PIECES} pieces for each state.")


class _System:
    """``I - S A``, of which a step changes the rows of few states: to make it anew took most of the time of a path."""

    def __init__(self, A):
        self.A, self.slopes, self.matrix = A, np.zeros(A.shape[0]), np.eye(A.shape[0])

    def turn_to(self, slopes):
        """Put in the slopes S."""
        changed = np.flatnonzero(slopes != self.slopes)
        self.matrix[changed] = -slopes[changed, None] * self.A[changed]
        self.matrix[changed, changed] += 1.0
        self.slopes = slopes


def _sides(A, pieces, triangular, way, piece, edge, system):
    """Return the piece that each state enters, and dz/dt there; turn the system to its slopes.

    Of the states at an edge, the first whose velocity leads out of its piece changes sides: Murty's rule, which ends
    for a well-posed rule, whose ``I - S A`` have determinants of one sign.
    """
    states = np.arange(piece.size)
    for _ in range(_MOST_PIECES * (piece.size + 1)):
        slopes = pieces.slopes[states, piece]
        system.turn_to(slopes)
        moved = A @ solve(system.matrix, slopes * way, triangular) + way
        wanted = np.where(edge < 0, piece, np.where(moved > 0, edge, np.where(moved < 0, edge - 1, piece)))
        wrong = np.flatnonzero(wanted != piece)
        if wrong.size == 0:
            return piece, moved
        piece = piece.copy()
        piece[wrong[0]] = wanted[wrong[0]]
    raise RuntimeError("No direction of the states was found at a kink: the rule is not well posed.")


def solve(system, right, triangular, transposed=False):
    """Solve a system of states in the order of substitution.

    Parameters
    ----------
    system : ndarray of shape (n, n)
        ``I - S A``, or ``I - A S``.
    right : ndarray of shape (n,) or (n, k)
        Right-hand sides.
    triangular : bool
        Whether the system is lower triangular.
    transposed : bool
        Whether to solve with the transpose.

    Returns
    -------
    ndarray like right
        The solution.
    """
    if triangular:
        return solve_triangular(
            system, right, trans=int(transposed), lower=True, unit_diagonal=True, check_finite=False
        )
    return np.linalg.solve(system.T if transposed else system, right)


def _between(kinks):
    ends = [-np.inf, *kinks, np.inf]
    return list(zip(ends[:-1], ends[1:], strict=True))


def _line(phi, low, high):
    """Return slope and offset of phi between two neighbouring kinks."""
    low, high = (low, high) if np.isfinite(low) else (high - 1.0 if np.isfinite(high) else 0.0, high)
    high = high if np.isfinite(high) else low + 1.0
    at = phi(np.array([low, high]))
    slope = (at[1] - at[0]) / (high - low)
    return slope, at[0] - slope * low
