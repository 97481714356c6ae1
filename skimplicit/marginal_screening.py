"""What each input explains of the targets alone, as it is and bent, and which inputs stand out from noise."""

import numpy as np
from scipy import sparse
from scipy.stats import beta

from skimplicit.rows import Samples

__all__ = ["OneInputStates", "standing_out"]

# Rows for each input that stands out: their regression has four states of each, and has to have many more rows.
_ROWS_PER_FOUND = 16
# How often the best of inputs that are all noise may pass for one that stands out.
_SIGNIFICANCE = 0.05
# Inputs that stand out are looked for among so large a share of all, and so many at least, those that explain most.
_LIKELY_SHARE, _FEWEST_LIKELY = 0.1, 2000
# Times that each input that stands out is chosen anew beside the others.
_EXCHANGES = 2
# Kinks of the relu states that look at one input, in standard deviations: it may matter without a linear trace.
_KINKS = (-0.7, 0.0, 0.7)
_N_STATES = 1 + len(_KINKS)
# Ridge of the regressions on these states, which are nearly dependent where an input has few distinct values.
_RIDGE = 1e-3
# Entries of columns that are looked at together, and of states that are kept: memory is a small multiple of the data.
_BLOCK, _MOST_KEPT = 1 << 20, 1 << 23


def standing_out(states, explained, most=None):
    """Return units each of which explains more of what all the others leave than noise would.

    The likely ones are gone through alone, until none of them stands out any more; then all, which may be as likely
    now.

    Parameters
    ----------
    states : OneInputStates
        The states that see one input each.
    explained : ndarray of shape (n_units, 2)
        What each unit explains of the targets, as :meth:`OneInputStates.explain` says.
    most : int or None
        How many to look for, None for as many as there are.

    Returns
    -------
    ndarray of int
        The units, as they were found.

    Notes
    -----
    Source: J. Fan and J. Lv, Sure independence screening for ultrahigh dimensional feature space, JRSS B 2008
    (section 4: again and again, on what those before leave).
    """
    found, n_units = np.zeros(0, dtype=int), len(explained)
    most = n_units if most is None else most
    n_likely = max(round(_LIKELY_SHARE * n_units), _FEWEST_LIKELY)
    while True:
        likely = np.sort(np.argsort(-explained[:, 1], kind="stable")[:n_likely])
        likely = np.union1d(likely, found)
        among, known = states.of_units(likely), found.size
        found = likely[_one_beside_the_other(among, np.searchsorted(likely, found), n_units, most)]
        if found.size in (known, most) or n_likely >= n_units:
            return found
        explained = states.explain(states.left_by(found))


def _one_beside_the_other(states, found, n_units, most):
    """Return the units found before and more that stand out, then each of them chosen anew beside all others."""
    most_inputs = len(states.Y) // _ROWS_PER_FOUND
    while found.size < most:
        best, chance = states.best(states.left_by(found))
        more = np.append(found, best)
        if chance * n_units > _SIGNIFICANCE or best in found or np.isin(states.labels, more).sum() > most_inputs:
            break
        found = more
    for _ in range(_EXCHANGES):
        before = found.copy()
        for k in range(found.size):
            others = np.delete(found, k)
            best, _ = states.best(states.left_by(others))
            found[k] = found[k] if best in others else best
        if np.array_equal(found, before):
            break
    return found


class OneInputStates:
    """The states that see one input each, as it is and bent, made of all inputs block by block.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (m, p)
        The inputs.
    targets : EncodedTargets
        Targets and weights of the rows.
    rows : ndarray of int
        The rows of X.
    centre : bool
        Whether rules have intercepts.
    labels : ndarray of int of shape (p,)
        Units of inputs, from 0 on.

    Attributes
    ----------
    Y : ndarray of shape (m, q)
        The targets, scaled and centred. Rows of these and of the states are multiplied by the roots of their weights.
    """

    def __init__(self, X, targets, rows, centre, labels):
        self.X = X.tocsc() if sparse.issparse(X) else X
        self.targets, self.rows, self.centre, self.labels = targets, rows, centre, labels
        samples = self._samples(slice(0, 1))
        self.weights = samples.weights
        self.Y = np.sqrt(self.weights)[:, None] * (samples.Y - self.weights @ samples.Y)
        entries, p = self.X.nnz if sparse.issparse(self.X) else rows.size * self.X.shape[1], self.X.shape[1]
        self._size = max(_BLOCK * p // max(entries, p), 1)
        self._keeps, self._kept, self._grams = _N_STATES * entries <= _MOST_KEPT, {}, {}

    def of_units(self, units):
        """Return the same for some units, an increasing ndarray of int, with labels from 0 on."""
        columns = np.flatnonzero(np.isin(self.labels, units))
        X = _rows_of(self.X[:, columns], self.rows)
        labels = np.searchsorted(units, self.labels[columns])
        return OneInputStates(X, self.targets, np.arange(self.rows.size), self.centre, labels)

    def _samples(self, columns):
        block = _rows_of(self.X[:, columns], self.rows)
        return Samples(block, self.targets.Y, self.targets.weights, self.centre, self.targets.scale)

    def _of(self, columns):
        """Return the states of some columns, shape (n_states, m, k)."""
        roots = np.sqrt(self.weights)[:, None]
        states = _bent(self._samples(columns).weighted_inputs() / roots)
        states -= (self.weights @ states)[:, None]
        states *= roots
        return states

    def explain(self, Y):
        """Return how much of ``sum Y^2`` the best input of each unit explains, linearly and bent, (n_units, 2)."""
        of_units = np.zeros((int(self.labels.max()) + 1, 2))
        for labels, states, gram in self._parts():
            cross = states.times(Y)
            linear = np.sum(cross[:, 0] ** 2, axis=1) / gram[:, 0, 0]
            bent = np.sum(cross * np.linalg.solve(gram, cross), axis=(1, 2))
            np.maximum.at(of_units, labels, np.column_stack([linear, bent]))
        return of_units

    def _parts(self):
        """Yield the labels of a block of columns, their states, and the products of each one's states."""
        for first in range(0, self.X.shape[1], self._size):
            columns = slice(first, first + self._size)
            states = self._kept[first] if first in self._kept else self._states(columns)
            if self._keeps:
                self._kept[first] = states
            if first not in self._grams:  # small, and slower to make than the states
                self._grams[first] = states.gram()
                self._grams[first][:, range(_N_STATES), range(_N_STATES)] += _RIDGE
            yield self.labels[columns], states, self._grams[first]

    def _states(self, columns):
        if sparse.issparse(self.X):
            return _SparseStates(self._samples(columns))
        return _DenseStates(self._of(columns))

    def left_by(self, units):
        """Return what the states of some units together leave of the targets, shape (m, q)."""
        if not units.size:
            return self.Y
        states = np.concatenate(self._of(np.flatnonzero(np.isin(self.labels, units))), axis=1)
        gram = states.T @ states
        gram[np.diag_indices_from(gram)] += _RIDGE
        return self.Y - states @ np.linalg.solve(gram, states.T @ self.Y)

    def free_beside(self, units):
        """Return the degrees of freedom that the states of some units together leave, at least 1."""
        return max(len(self.Y) - 1 - _N_STATES * int(np.isin(self.labels, units).sum()), 1)

    def best(self, Y):
        """Return the unit that stands out most from noise by what it explains of Y, and how often one of noise does.

        What it explains of Gaussian noise is a beta variable.
        """
        m, q = Y.shape
        explained = self.explain(Y)
        best = explained.argmax(axis=0)
        n_states = np.array([1, _N_STATES])
        shares = explained[best, [0, 1]] / max(np.sum(Y**2), np.finfo(float).tiny)
        chances = beta.sf(shares, 0.5 * q * n_states, 0.5 * q * (m - 1 - n_states))
        kind = int(chances[1] <= chances[0])
        return int(best[kind]), float(chances[kind])


class _DenseStates:
    """States of columns, an array of shape (n_states, m, k)."""

    def __init__(self, values):
        self.values = values

    def times(self, Y):
        """Return their products with Y, shape (k, n_states, q)."""
        return np.moveaxis(self.values.transpose(0, 2, 1) @ Y, 0, 1)

    def gram(self):
        """Return the products of each column's states with one another, shape (k, n_states, n_states)."""
        return np.einsum("aij,bij->jab", self.values, self.values)


class _SparseStates:
    """The same of sparse columns: how far the states of their entries are from those of a zero.

    With d for that and c for its weighted mean, states are ``sqrt(w_i) (d_ij - c_j)``.
    """

    def __init__(self, samples):
        U, shift = samples.uncentred
        U, self.roots = U.tocsc(), np.sqrt(samples.weights)
        lengths = np.diff(U.indptr)
        # A column without zeros may be far from them, and is looked at from its mean.
        zeros = _bent(np.where(lengths < samples.n_samples, -shift, 0.0))
        apart = _bent(U.data - np.repeat(shift, lengths)) - np.repeat(zeros, lengths, axis=1)
        self.apart = [sparse.csc_array((d, U.indices, U.indptr), shape=U.shape) for d in apart]
        self.means = np.array([samples.weights @ d for d in self.apart])

    def times(self, Y):
        """Return their products with Y, shape (k, n_states, q)."""
        weighted = self.roots[:, None] * Y
        products = np.array([d.T @ weighted for d in self.apart])
        return np.moveaxis(products - self.means[:, :, None] * weighted.sum(axis=0), 0, 1)

    def gram(self):
        """Return the products of each column's states with one another, shape (k, n_states, n_states)."""
        weights, like = self.roots**2, self.apart[0]
        result = np.empty((like.shape[1], _N_STATES, _N_STATES))
        for a in range(_N_STATES):
            for b in range(a + 1):
                products = self.apart[a].data * self.apart[b].data
                sums = weights @ sparse.csc_array((products, like.indices, like.indptr), shape=like.shape)
                result[:, a, b] = result[:, b, a] = sums - self.means[a] * self.means[b]
        return result


def _bent(inputs):
    """Return the states of scaled inputs of any shape, those of each kind one after the other."""
    states = np.empty((_N_STATES, *inputs.shape))
    states[0] = inputs
    for kink, bent in zip(_KINKS, states[1:], strict=True):
        np.maximum(np.subtract(inputs, kink, out=bent), 0.0, out=bent)
    return states


def _rows_of(block, rows):
    """Return some rows of a block of columns, as an ndarray or a CSR matrix."""
    return block.tocsr()[rows] if sparse.issparse(block) else block[rows]
