"""One BLAS thread while anything trains: the number of threads belongs to the whole process, and so does this limit."""

from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

__all__ = ["one_blas_thread"]


class _Limit:
    """What the fits that run side by side share: the first sets the limit, the last takes it away.

    If every fit set and restored the number by itself, one that began during another would take the limit for the
    number of before, and leave it to the process for good.
    """

    def __init__(self):
        self._lock = Lock()
        self._users = 0
        self._limits = None

    def enter(self):
        with self._lock:
            if self._users == 0:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._users += 1

    def leave(self):
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limits.restore_original_limits()
                self._limits = None


_LIMIT = _Limit()


@contextmanager
def one_blas_thread():
    """Limit BLAS to one thread until every body that runs inside this context, in whichever thread, has ended.

    Yields
    ------
    None
        While the body runs.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
