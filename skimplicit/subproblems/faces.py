"""Quadratic programs over l1 balls and orthants: the face that has the minimum, found by exchanging active sets."""

import numpy as np
from scipy.linalg import LinAlgError

from skimplicit.projections import project_rows_l1

__all__ = ["FaceProgram", "minimise_on_faces"]

# Rounds of the exchange: in training it settles in three to six or cycles. Without balls it cannot cycle: after some
# rounds without fewer wrong entries, they are exchanged one at a time (Murty), which ends for every start.
_ROUNDS, _ROUNDS_OF_SIGNS, _PATIENCE = 20, 200, 4
# Slack in the optimality conditions that an exact minimiser must meet, relative to the slopes at zero in the metric of
# the diagonal of Q: those by states and by inputs are in other units.
_SLACK = 1e-9


class FaceProgram:
    """Minimise ``1/2 x' Q x + l' x`` subject to ``sum_{j in row i} w_j |x_j| <= r_i`` and ``s_j x_j >= 0``.

    Parameters
    ----------
    form : MatrixForm or LowRankForm
        The positive definite Q.
    linear : ndarray of shape (k,)
        Linear term.
    rows : ndarray of int of shape (k,)
        Ball of each entry.
    radii : ndarray of shape (n_rows,)
        Radii of the balls, infinite for none.
    weights : ndarray of shape (k,) or None
        Positive weights w; None for ones.
    signs : ndarray of shape (k,) or None
        1, -1, or 0 for a free entry; None for free entries.
    """

    def __init__(self, form, linear, rows, radii, weights=None, signs=None):
        self.form, self.linear, self.rows, self.radii = form, linear, rows, radii
        self.weights = np.ones(linear.size) if weights is None else weights
        self.signs = np.zeros(linear.size, dtype=int) if signs is None else signs

    def slacks(self, metric):
        """Return what rounding leaves of slopes that are zero, shape (k,), and of multipliers, shape (n_rows,)."""
        size = _SLACK * np.abs(self.linear / metric).max()  # small or large with the unit of the objective
        largest = np.zeros(self.radii.size)
        np.maximum.at(largest, self.rows, self.weights / metric)
        return size * metric, np.divide(size, largest, out=np.zeros_like(largest), where=largest > 0)

    def sizes(self, x):
        """Return the weighted l1 norms of all rows, shape (n_rows,)."""
        return np.bincount(self.rows, self.weights * np.abs(x), minlength=self.radii.size)

    def project(self, x, balls=True, metric=None):
        """Return the nearest point of the set of signs and of some balls, a mask of shape (n_rows,); shape (k,).

        Distances are those of entries times ``metric``, shape (k,); None for ones.
        """
        metric = np.ones(x.size) if metric is None else metric
        x = np.where(self.signs * x < 0, 0.0, x)
        outside = (balls & (self.sizes(x) > self.radii))[self.rows]
        if outside.any():
            scales = metric[outside]
            weights = self.weights[outside] / scales
            x[outside] = _in_balls(x[outside] * scales, self.rows[outside], self.radii, weights) / scales
        return x

    def on_face(self, face, binding):
        """Minimise with the signs held: ``sum_j w_j sign_j x_j = r`` in every row that binds, zeros where it is 0.

        Return the point, None where the system is singular, and the multipliers of the rows.
        """
        free = np.flatnonzero(face != 0)  # NaN, an entry of a row that does not bind, is free too
        active = np.flatnonzero(binding)
        own = (self.rows[free][:, None] == active) & binding[self.rows[free]][:, None]
        normal = np.where(own, (self.weights[free] * face[free])[:, None], 0.0)
        multiplier = np.zeros(binding.size)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # of weights without squares the point is not finite
                products, combined = self.form.solved(free, np.column_stack([normal, self.linear[free]]))
                multiplier[active] = np.linalg.solve(products[:-1, :-1], -self.radii[active] - products[:-1, -1])
        except (LinAlgError, np.linalg.LinAlgError):
            return None, multiplier
        point = np.zeros(self.linear.size)
        point[free] = -combined(np.append(multiplier[active], 1.0))
        return (point if np.isfinite(point).all() else None), multiplier


def _in_balls(entries, rows, radii, weights):
    """Return the entries of rows projected on their balls, all rows in one call: padded with zeros, which stay zero."""
    order = np.argsort(rows, kind="stable")
    present, counts = np.unique(rows, return_counts=True)
    taken = np.arange(counts.max()) < counts[:, None]
    padded, scales = np.zeros(taken.shape), np.ones(taken.shape)
    padded[taken], scales[taken] = entries[order], weights[order]
    projected = np.empty_like(entries)
    projected[order] = project_rows_l1(padded, radii[present], scales)[taken]
    return projected


def minimise_on_faces(program, start):
    """Return the exact minimiser, or None where the exchange does not settle.

    Parameters
    ----------
    program : FaceProgram
        The program.
    start : ndarray of shape (k,)
        A point of the set: its face is the first guess.

    Returns
    -------
    ndarray of shape (k,) or None
        A point whose optimality conditions have been verified.

    Notes
    -----
    Block principal pivoting: Portugal, Judice and Vicente (1994), for bounds; here with the faces of balls besides.
    """
    rows, signs, radii = program.rows, program.signs, program.radii
    if start.size == 0 or np.all(radii[rows] == 0):
        return np.zeros_like(start)
    metric = program.form.scales()
    smallest, smallest_price = program.slacks(metric)
    face, binding = _first_face(program, start)
    fewest, patience = np.inf, _PATIENCE
    with_balls = bool(np.isfinite(radii).any())
    for _ in range(_ROUNDS if with_balls else _ROUNDS_OF_SIGNS):
        point, multiplier = program.on_face(face, binding)
        if point is None:
            return None
        slope = program.form.times(point) + program.linear
        newly = ~binding & (program.sizes(point) > radii * (1 + 1e-12))
        released = binding & (multiplier < -smallest_price)
        held = np.where(np.isnan(face), signs, face)
        flipped = (face != 0) & (held * point < 0)
        pull = np.where(signs == 0, np.abs(slope), -slope * signs)
        with np.errstate(over="ignore"):  # an entry whose price is no number does not enter
            price = np.where(radii > 0, multiplier * binding, np.inf)[rows] * program.weights * (1 + _SLACK)
        entering = (face == 0) & (pull > price + smallest)
        wrong = flipped | entering
        if not (newly.any() or released.any() or wrong.any()):
            return point
        if not with_balls:
            count = np.count_nonzero(wrong)
            patience = _PATIENCE if count < fewest else patience - 1
            fewest = min(fewest, count)
            if patience <= 0:
                wrong &= np.arange(wrong.size) == np.flatnonzero(wrong)[-1]
        face = np.where(wrong & flipped, 0.0, face)
        face = np.where(wrong & entering, np.where(binding[rows], -np.sign(slope), np.nan), face)
        binding = (binding | newly) & ~released
        if newly.any():
            fresh = newly[rows]
            face[fresh] = np.sign(program.project(point, newly, metric)[fresh])
        freed = released[rows]
        face[freed & ((face != 0) | (signs == 0))] = np.nan
    return None


def _first_face(program, start):
    """Return the face that the start is in, free but for signs in rows that are not at their bound, and which are.

    Where the radius is 0 all entries stay 0: a row without any that moves has no multiplier to solve for.
    """
    rows, radii = program.rows, program.radii
    binding = np.isfinite(radii) & (radii > 0) & (program.sizes(start) >= radii * (1 - 1e-9))
    free = np.where((radii[rows] == 0) | ((program.signs != 0) & (start == 0)), 0.0, np.nan)
    return np.where(binding[rows], np.sign(start), free), binding
