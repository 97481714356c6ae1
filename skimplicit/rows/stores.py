"""Where rows are kept in blocks, and how a function is mapped over them: in this process, side by side in threads."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from itertools import chain, islice

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse

from skimplicit.rows.columns import canonical
from skimplicit.rows.row_sources import release_rows
from skimplicit.rows.spilling import ArrayInBlocks

__all__ = ["ArrayStore", "LoadedStore", "block_size", "positive_rows", "stacked_rows"]

# Numbers of a block's inputs, and most of its rows: large enough that Python's share of a pass does not show, small
# enough for several threads, and for what is made of a block to stay near the processor (``benchmarks/bench_rows.py``).
_BLOCK_ENTRIES, _MOST_ROWS, _LEAST_ROWS = 1 << 21, 1 << 13, 1 << 9


def block_size(entries):
    """Return how many rows a block has; it depends on nothing but the size of a row.

    Parameters
    ----------
    entries : float
        Entries of a row that are stored.

    Returns
    -------
    int
        Rows.
    """
    return int(min(max(_BLOCK_ENTRIES // max(entries, 1), _LEAST_ROWS), _MOST_ROWS))


def positive_rows(U, Y, weights):
    """Return rows in the form that training takes: float64, a sparse matrix canonical, no weight of zero.

    Parameters
    ----------
    U : ndarray or sparse matrix of shape (m, p)
        Inputs of any type of numbers.
    Y : ndarray of shape (m, q)
        Targets.
    weights : ndarray of shape (m,) or None
        Weights, at least 0; None for ones.

    Returns
    -------
    tuple of U, Y, weights
        The rows; views where nothing has to change.
    """
    if weights is not None and not np.all(weights > 0):
        kept = np.flatnonzero(weights > 0)
        U, Y, weights = U[kept], Y[kept], weights[kept]
    if sparse.issparse(U):
        U = canonical(sparse.csr_array(U).astype(np.float64, copy=False))
    else:
        U = np.asarray(U, dtype=np.float64)
    weights = np.ones(U.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    return U, np.asarray(Y, dtype=np.float64), weights


def stacked_rows(parts):
    """Return rows put together.

    Parameters
    ----------
    parts : list of tuple
        U, Y and weights of each part.

    Returns
    -------
    tuple
        U, Y and weights of all.
    """
    U, Y, weights = zip(*parts, strict=True)
    stack = sparse.vstack if sparse.issparse(U[0]) else np.concatenate
    return stack(U), np.concatenate(Y), np.concatenate(weights)


class LoadedStore:
    """Blocks of rows that are loaded whenever a pass comes to them.

    Parameters
    ----------
    loaders : list of callable
        Each returns U, Y and weights of a block, as :func:`positive_rows` does; the same whenever it is called.
    n_jobs : int or None
        Blocks that a pass goes through side by side, in threads.
    """

    #: Whether several passes are to run at a time: here one has all threads, and the states of one are enough to hold.
    takes_passes_together = False

    def __init__(self, loaders, n_jobs=None):
        self._loaders, self._n_jobs = loaders, n_jobs

    def with_jobs(self, n_jobs):
        """Return a store of the same rows with another ``n_jobs``, int or None."""
        other = copy(self)
        other._n_jobs = n_jobs
        return other

    def sweep(self, function, *arguments):
        """Iterate over ``function(U, Y, weights, *arguments)`` of every block, in their order."""
        return self._map(lambda k: function(*self._loaders[k](), *arguments))

    def sweep_each(self, function, arguments):
        """Iterate over ``function(U, Y, weights, argument)`` of every block, which has an argument of its own."""
        arguments = list(arguments)
        return self._map(lambda k: function(*self._loaders[k](), arguments[k]))

    def run(self, function, *arrays):
        """Map a function that keeps something with the rows, and sum.

        Parameters
        ----------
        function : callable
            ``function(U, Y, weights, *parts)`` returns what stays with the rows of the block, an array or None, and
            what is summed.
        *arrays : array in blocks or None
            What earlier calls have kept.

        Returns
        -------
        kept : array in blocks or None
            What stays.
        total : object
            The sum, in the order of the blocks.
        """
        total = None

        def on_block(k):
            own = (None if array is None else array.block(k) for array in arrays)
            return function(*self._loaders[k](), *own)

        def keep():
            nonlocal total
            for stays, sums in self._map(on_block):
                total = sums if total is None else total + sums
                yield stays

        stays = keep()
        first = next(stays)
        if first is not None:
            return ArrayInBlocks(chain([first], stays)), total
        deque(stays, maxlen=0)
        return None, total

    def _map(self, function):
        """Iterate over a function of each block's number; results that are not taken wait for few of those to come."""
        numbers = iter(range(len(self._loaders)))
        n_threads = min(effective_n_jobs(self._n_jobs), len(self._loaders))

        def call(k):
            result = function(k)
            self._done_with(k)
            return result

        if n_threads <= 1:
            yield from map(call, numbers)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            running = deque(pool.submit(call, k) for k in islice(numbers, 2 * n_threads))
            try:
                while running:
                    result = running.popleft().result()
                    running.extend(pool.submit(call, k) for k in islice(numbers, 1))
                    yield result
            finally:
                for future in running:
                    future.cancel()

    def _done_with(self, k):
        """Give back what block k has taken."""


class ArrayStore(LoadedStore):
    """Rows of arrays in memory or of memory maps, of which a pass reads a block at a time.

    Parameters
    ----------
    U : ndarray, CSR matrix or SelectedColumns of shape (m, p)
        Inputs, also a memory map or a CSR matrix of memory maps, never copied as a whole.
    Y : ndarray of shape (m, q)
        Targets.
    weights : ndarray of shape (m,) or None
        Weights, at least 0; None for ones.
    n_jobs : int or None
        Blocks side by side.
    """

    def __init__(self, U, Y, weights=None, n_jobs=None):
        m = U.shape[0]
        size = block_size(U.nnz / max(m, 1) if sparse.issparse(U) else U.shape[1])
        slices = [slice(first, min(first + size, m)) for first in range(0, m, size)]
        slices = [rows for rows in slices if weights is None or np.any(weights[rows])]
        super().__init__([partial(self._load, rows) for rows in slices], n_jobs)
        self._arrays, self._slices = (U, Y, weights), slices

    def _load(self, rows):
        U, Y, weights = self._arrays
        return positive_rows(U[rows], Y[rows], None if weights is None else weights[rows])

    def _done_with(self, k):
        release_rows(self._arrays[0], self._slices[k])
