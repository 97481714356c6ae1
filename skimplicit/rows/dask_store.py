"""Rows on the workers of a Dask cluster: passes go to the blocks, which stay with their states, and sums come back."""

from dataclasses import dataclass
from functools import partial, reduce
from operator import add, itemgetter, mul

from skimplicit.rows.stores import LoadedStore, block_size, positive_rows, stacked_rows

__all__ = ["ClusterStore", "active_client", "blocks_of_chunk", "is_lazy", "open_store"]

# Bytes up to which chunks are computed once and kept, where there is no cluster: as much as a fit in memory would take.
_KEPT_BYTES = 1 << 31


def active_client():
    """Return the client of Dask's distributed scheduler that is active.

    Returns
    -------
    distributed.Client or None
        The client; None if there is none.
    """
    try:
        from distributed import default_client
    except ImportError:
        return None
    try:
        return default_client()
    except ValueError:
        return None


def is_lazy(X):
    """Tell whether an object is a Dask collection, without importing Dask.

    Parameters
    ----------
    X : object
        The object.

    Returns
    -------
    bool
        Whether it is.
    """
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def open_store(chunks, n_bytes, n_jobs):
    """Return the store of rows in Dask's chunks.

    Parameters
    ----------
    chunks : list of Delayed
        Each makes a list of blocks, tuples of U, Y and weights.
    n_bytes : float
        Their size; NaN if it is not known.
    n_jobs : int or None
        Blocks side by side, where there is no cluster.

    Returns
    -------
    ClusterStore or LoadedStore
        With an active client, the blocks of its workers; otherwise chunks are computed in this process: once where
        they are small enough to be kept, and in every pass where not.
    """
    client = active_client()
    if client is not None:
        _leave_threads_of_worker()
        return ClusterStore(client, client.compute(chunks))
    import dask

    if n_bytes <= _KEPT_BYTES:
        blocks = [block for chunk in dask.compute(*chunks) for block in chunk]
        return LoadedStore([partial(_same, block) for block in blocks], n_jobs)
    sizes = dask.compute(*(dask.delayed(len)(chunk) for chunk in chunks))
    filled = [chunk for chunk, size in zip(chunks, sizes, strict=True) if size]
    return LoadedStore([partial(_computed, chunk) for chunk in filled], n_jobs)


def _leave_threads_of_worker():
    """Let a worker start another task in place of this one, if a fit is a task itself.

    As a fold of a cross-validation is, on the cluster. It waits for tasks of its own, for which no thread would be left
    where every one has a fit to wait for: they would wait for ever.
    """
    from distributed import secede

    try:
        secede()
    except (ValueError, KeyError, AttributeError):
        return  # It is no task, has left before, or has no thread of the worker's.


def _same(block):
    return block


def _computed(chunk):
    """Return the rows of a chunk as one block."""
    return stacked_rows(chunk.compute(scheduler="synchronous"))


def blocks_of_chunk(U, Y, weights):
    """Return rows cut into the blocks in which they would be in memory, those without a positive weight left out.

    Parameters
    ----------
    U, Y, weights : ndarray or sparse matrix of shape (m, p), ndarray of shape (m, q), ndarray of shape (m,) or None
        The rows.

    Returns
    -------
    list of tuple
        U, Y and weights of each block.
    """
    size = block_size(U.shape[1])
    cuts = (slice(first, first + size) for first in range(0, U.shape[0], size))
    blocks = [positive_rows(U[rows], Y[rows], None if weights is None else weights[rows]) for rows in cuts]
    return [block for block in blocks if block[0].shape[0]]


@dataclass(frozen=True)
class _ClusterArray:
    """An array of a row for each sample, where the blocks are: one future for the blocks of each chunk."""

    client: object
    parts: tuple

    def __mul__(self, factor):
        return _ClusterArray(self.client, tuple(self.client.map(_times, self.parts, factor=factor, pure=False)))


def _times(parts, factor):
    return [mul(part, factor) for part in parts]


class ClusterStore:
    """Blocks of rows as futures of a cluster, with the methods of :class:`LoadedStore`.

    A block that is lost with its worker is made again from its chunk, and what passes have left with it from these
    passes, by the scheduler, which knows how each came about.

    Parameters
    ----------
    client : distributed.Client
        The client.
    chunks : list of Future
        Lists of blocks.
    """

    #: Passes of other members keep the workers busy while the sums of one travel.
    takes_passes_together = True

    def __init__(self, client, chunks):
        self._client = client
        sizes = [_result(future) for future in client.map(len, chunks, pure=False)]
        self._chunks = [chunk for chunk, size in zip(chunks, sizes, strict=True) if size]
        self._sizes = [size for size in sizes if size]

    def sweep(self, function, *arguments):
        """See :meth:`LoadedStore.sweep`."""
        shared = self._client.submit(_given, (function, arguments), pure=False)
        futures = [self._client.submit(_swept, shared, chunk, pure=False) for chunk in self._chunks]
        for future in futures:
            yield from _result(future)

    def sweep_each(self, function, arguments):
        """See :meth:`LoadedStore.sweep_each`."""
        arguments, futures = list(arguments), []
        for chunk, size in zip(self._chunks, self._sizes, strict=True):
            own, arguments = arguments[:size], arguments[size:]
            futures.append(self._client.submit(_swept_each, function, chunk, own, pure=False))
        for future in futures:
            yield from _result(future)

    def run(self, function, *arrays):
        """See :meth:`LoadedStore.run`."""
        submit = partial(self._client.submit, pure=False)
        shared, kept, totals = submit(_given, function), [], []
        for k, chunk in enumerate(self._chunks):
            parts = [None if array is None else array.parts[k] for array in arrays]
            both = submit(_run, shared, chunk, *parts)
            kept.append(submit(itemgetter(0), both))
            totals.append(submit(itemgetter(1), both))
        return _ClusterArray(self._client, tuple(kept)), _total(map(_result, totals))


def _result(future):
    """Return what a task has made; one that has failed is let go, and with it the blocks of the fit.

    As long as there is a future of the task, the client keeps its error, whose frames hold those of the fit: for ever.
    """
    try:
        return future.result()
    except Exception:
        future.release()
        raise


def _given(function):
    return function


def _swept(shared, chunk):
    function, arguments = shared
    return [function(*block, *arguments) for block in chunk]


def _swept_each(function, chunk, arguments):
    return [function(*block, argument) for block, argument in zip(chunk, arguments, strict=True)]


def _run(function, chunk, *arrays):
    """Return what stays with each block of a chunk, and the sum over them."""
    parts = [[None] * len(chunk) if array is None else array for array in arrays]
    pairs = [function(*block, *own) for block, *own in zip(chunk, *parts, strict=True)]
    return [stays for stays, _ in pairs], _total(sums for _, sums in pairs)


def _total(parts):
    return reduce(add, parts)
