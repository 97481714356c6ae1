"""Calls side by side: scikit-learn's configuration of the thread that makes them, and one BLAS thread for all."""

from functools import partial
from threading import Event, Lock

import joblib
from sklearn import config_context, get_config

from skimplicit.training.threads import one_blas_thread

__all__ = ["Parallel", "in_threads"]


class Parallel(joblib.Parallel):
    """joblib's ``Parallel`` under scikit-learn's configuration of the thread that calls it, with one BLAS thread.

    scikit-learn's own class restores the filters of warnings besides. These belong to the whole process: calls side by
    side in threads could leave those of one another in place. The number of BLAS threads does too: the first training
    to end would take away the limit that it has set from the others, whose last digits it changes.

    Parameters
    ----------
    **options : object
        Those of :class:`joblib.Parallel`.
    """

    def __init__(self, **options):
        super().__init__(**options)

    def __call__(self, iterable):
        """See :class:`joblib.Parallel`."""
        config = get_config()  # here: some of the calls are handed out by threads of joblib's own
        with one_blas_thread():
            return super().__call__((partial(_call, config, function), *rest) for function, *rest in iterable)


def in_threads(calls, n_jobs, bridge, results=None):
    """Return what calls return that are made side by side in threads; an interrupt, or an error of one, ends all.

    Ctrl-C comes to the thread that waits for the others. Calls that have begun get it at the end of their iterations,
    those that have not are not made, and it is raised here when none goes on any more. So is an error.

    Parameters
    ----------
    calls : iterable of tuple
        What :func:`joblib.delayed` returns.
    n_jobs : int or None
        Calls side by side.
    bridge : CallbackBridge
        What the iterations of the calls are reported to.
    results : dict or None
        Gets what each call returns, by its number, also those that have ended before an interrupt or by it.

    Returns
    -------
    list
        The results.
    """
    results, ends, lock, over = {} if results is None else results, {}, Lock(), Event()

    def call(k, function, arguments, keywords):
        with lock:
            if over.is_set():
                raise KeyboardInterrupt
            ends[k] = Event()
        try:
            results[k] = function(*arguments, **keywords)
        finally:
            ends[k].set()

    try:
        Parallel(n_jobs=n_jobs, require="sharedmem")(joblib.delayed(call)(k, *each) for k, each in enumerate(calls))
    except BaseException:
        with lock:
            over.set()
        bridge.interrupt(ends.values())
        raise
    return [results[k] for k in sorted(results)]


def _call(config, function, *arguments, **keywords):
    # In a process, or in turn where results are taken one by one, nobody has set the limit.
    with config_context(**config), one_blas_thread():
        return function(*arguments, **keywords)
