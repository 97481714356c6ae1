"""One BLAS thread while anything trains: the number of threads belongs to the whole process, and so does this limit."""

from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]

# Held by the one fit of the process that has set the limit.
_SET = Lock()

# To look through the libraries of the process takes 5 ms, as long as a small fit. NumPy's and SciPy's BLAS are loaded
# with this package, and no other is called by it: what is loaded later need not be found.
_controller = cache(ThreadpoolController)


@contextmanager
def one_blas_thread():
    """Limit BLAS to one thread while the body runs; inside another such body, in whichever thread, do nothing.

    If every fit set and restored the number, one that began during another would take the limit for the number of
    before, and leave it to the process for good. So would the last one to end, if it were to restore what the first has
    set: threadpoolctl may let no thread but the first change the number. A fit that goes on after the one that set the
    limit therefore goes on without it.

    Yields
    ------
    None
        While the body runs.
    """
    if not _SET.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _SET.release()
