"""The Gauss-Newton matrix of a fit, the readout eliminated: the curvature of the loss in all weights at once."""

import numpy as np

from skimplicit.linalg import CholeskyFactor
from skimplicit.rows import evenly_spaced

__all__ = ["GaussNewton"]

# Rows of the Jacobian; beyond it the curvature is that of a part of the samples, which only shapes the step: whether it
# is accepted is decided by the objective over all of them.
_MAX_ROWS = 2000


class GaussNewton:
    """``H = J'J - J'R (R'R + ridge)^-1 R'J``, J the derivative of the whitened predictions by A, B, b, R by C, D, c.

    The prediction of sample i depends on row k of ``[A B]`` through ``s_ik [x_i u_i]``, with s_i the adjoint whose
    forcing is C: one adjoint for each output. Whitened means multiplied by a root of the loss's second derivative
    (the identity for the squared loss), so that ``J'J`` is the curvature of any loss.

    What the set of the readout holds at zero is not eliminated, for it does not move.

    Parameters
    ----------
    objective : ImplicitObjective
        J and its samples.

    Notes
    -----
    Kaufman's matrix for separable least squares: Golub and Pereyra (2003), section 4.
    """

    def __init__(self, objective):
        self.objective = objective
        samples = objective.samples
        most = max(_MAX_ROWS // samples.n_outputs, 1)
        self._index = evenly_spaced(samples.n_samples, most)
        self._part = objective.over(samples.rows(self._index))
        self._looked = None, None
        part = self._part.samples
        all_rows = not samples.in_blocks and (samples.n_outputs == 1 or samples.n_samples <= most)
        #: Rows whose sensitivities are needed: all, where the gradient is as cheap to have from them.
        self.rows = slice(None) if all_rows else self._index
        #: Inputs that are not the same in all rows, shape (p,): the others have no part in it.
        self.varying = ~samples.constant
        self._inputs = _columns(part, np.flatnonzero(self.varying))
        self._root_weights = np.sqrt(part.weights / part.weights.sum())

    @property
    def needs_all_rows(self):
        """Whether the sensitivities that are needed give the gradient too."""
        return isinstance(self.rows, slice)

    def sensitivities(self, evaluation, start=None):
        """Return :meth:`those <ImplicitObjective.sensitivities>` that the matrix needs, or of all rows.

        Parameters
        ----------
        evaluation : Evaluation
            The point.
        start : ndarray of shape (k, q, n) or None
            The same at a point nearby.

        Returns
        -------
        ndarray of shape (k, q, n)
            The derivatives.
        """
        if not self.objective.samples.in_blocks:
            return self.objective.sensitivities(evaluation, start, self.rows)
        return self._part.sensitivities(self._on_rows(evaluation), start)

    def _on_rows(self, evaluation):
        """Return an evaluation with the states of the rows that the matrix is made of."""
        before, found = self._looked
        if evaluation is not before:
            # Where rows are in blocks, the states of a few of them are sooner found again than fetched.
            near = found.states if found is not None and self.objective.samples.in_blocks else None
            found = self._part.on_rows(evaluation, self._index, near)
            self._looked = evaluation, found
        return found

    def __call__(self, evaluation, moving, sensitivities):
        """Return H, shape (P, P), for the moving entries of A, then B, then the lift of b.

        Parameters
        ----------
        evaluation : Evaluation
            The point.
        moving : ndarray of bool of shape (n, n)
            Moving entries of A; all of B moves.
        sensitivities : ndarray of shape (k, q, n)
            :meth:`Those <sensitivities>` at that point.

        Returns
        -------
        ndarray of shape (P, P)
            The matrix.
        """
        return _eliminated(*self._derivatives(evaluation, moving, sensitivities))

    def root(self, evaluation, moving, sensitivities):
        """Return K, shape (P, N), with ``H = K K'``; the parameters are those of a call.

        Its columns are rows, each as often as its loss has curvatures.
        """
        return _projected(*self._derivatives(evaluation, moving, sensitivities))

    def has_fewer_rows_than(self, number):
        """Tell whether the root has fewer columns than a number."""
        part = self._part.samples
        return part.n_samples * part.n_outputs < number

    def _derivatives(self, evaluation, moving, sensitivities):
        """Return J, one row for each parameter and after them for each weight of the readout, P, and the ridge."""
        objective, samples = self.objective, self.objective.samples
        on_rows = self._on_rows(evaluation)
        X = on_rows.states
        centred = np.ascontiguousarray((X - evaluation.point.X_mean).T)
        roots = self._roots(on_rows)
        all_there = len(sensitivities) == self._index.size
        T = sensitivities if all_there else sensitivities[self._index]
        S = np.ascontiguousarray(np.einsum("mqr,mqn->nrm", roots * self._root_weights[:, None, None], T))
        n, p, (m, q, r) = X.shape[1], len(self._inputs), roots.shape
        rows, columns = np.nonzero(moving)
        k = rows.size
        P = k + n * p + n
        readout = [centred, self._inputs] if evaluation.point.readout.D is not None else [centred]
        readout = np.vstack([*readout, np.ones((1, m))] if samples.centre else readout)
        # One row for each parameter, so that samples are consecutive in memory.
        J = np.empty((P + q * len(readout), r, m))
        np.take(S, rows, axis=0, out=J[:k], mode="clip")
        J[:k] *= centred[columns, None]
        np.multiply(S[:, None], self._inputs[:, None], out=J[k : P - n].reshape(n, p, r, m))
        J[P - n : P] = S if samples.centre else 0.0
        whitened = (roots * self._root_weights[:, None, None]).transpose(1, 2, 0)
        np.multiply(whitened[:, None], readout[:, None], out=J[P:].reshape(q, len(readout), r, m))
        J = J.reshape(len(J), -1)
        ridge = np.tile(objective.readout_ridge(evaluation.alpha, len(readout), n), q)
        held = self._held_weights(evaluation.point.readout, q, len(readout))
        if held.size:
            J, ridge = np.delete(J, P + held, axis=0), np.delete(ridge, held)
        return J, P, ridge

    def _held_weights(self, readout, q, size):
        """Return the positions of the readout's weights that signs hold at zero, an ndarray of int."""
        set_ = self.objective.readout_set
        if set_ is None or set_.signs is None:
            return np.empty(0, dtype=int)
        held, n = np.zeros((q, size), dtype=bool), readout.C.shape[1]
        held[:, :n] = (readout.C == 0) & (set_.signs[:, :n] != 0)
        if readout.D is not None:
            of_inputs = (readout.D == 0) & (set_.signs[:, n:] != 0)
            held[:, n : n + len(self._inputs)] = of_inputs[:, self.varying]
        return np.flatnonzero(held)

    def _roots(self, on_rows):
        """Return the roots of the second derivatives of the loss, shape (m, q, r)."""
        return self._part.sample_loss.curvature_root(self._part.predictions(on_rows), self._part.samples.Y)


def _columns(samples, index):
    """Return some inputs of all samples, those at an ndarray of int of shape (k,), as rows (k, m)."""
    chosen = np.zeros((index.size, samples.n_inputs))
    chosen[np.arange(index.size), index] = 1.0
    return np.ascontiguousarray(samples.inputs_times(chosen).T)


def _eliminated(J, P, ridge):
    """Return the first P rows and columns of ``J J'``, the others, to which a ridge is added, eliminated."""
    gram, rounding = J @ J.T, _rounding(J)
    kept = gram[:P, :P]
    half = _factor_of_readout(gram[P:, P:], ridge, rounding).forward(gram[P:, :P])
    result = half.T @ half
    np.subtract(kept, result, out=result)
    # Without a ridge nearly all may cancel: what is left is to stay positive semidefinite.
    result[np.diag_indices_from(result)] += rounding * kept.diagonal()
    return result


def _projected(J, P, ridge):
    """Return K of shape (P, N) with ``K K'`` what :func:`_eliminated` returns, but for rounding.

    With ``R R' + ridge = L L'`` for the other rows R of J, and ``G = L^-1 R``, that is ``J (I - G'G) J'``. The root of
    what is between comes from ``G G' = V diag(s) V'``: it is ``I - G' V diag(1 / (1 + sqrt(1 - s))) V' G``.
    """
    kept, R = J[:P], J[P:]
    G = _factor_of_readout(R @ R.T, ridge, _rounding(J)).forward(R)
    s, V = np.linalg.eigh(G @ G.T)
    shrunk = (V / (1.0 + np.sqrt(np.maximum(1.0 - s, 0.0)))) @ (V.T @ G)
    return kept - (kept @ G.T) @ shrunk


def _factor_of_readout(gram, ridge, rounding):
    """Return the factor of the readout's second moments with their ridge."""
    gram = gram.copy()
    # The intercepts of the classes pay no ridge and a common shift of them changes nothing: singular but for rounding.
    gram[np.diag_indices_from(gram)] += ridge + rounding * max(np.trace(gram), 1.0)
    return CholeskyFactor(gram)


def _rounding(J):
    """Return what rounding reaches, relatively, in a sum of so many products and in a factorisation of this size."""
    return sum(J.shape) * np.finfo(float).eps
