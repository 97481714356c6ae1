"""Calls side by side: scikit-learn's configuration of the thread that makes them, and one BLAS thread for all."""

from functools import partial

import joblib
from sklearn import config_context, get_config

from skimplicit.training.threads import one_blas_thread

__all__ = ["Parallel"]


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


def _call(config, function, *arguments, **keywords):
    # In a process, or in turn where results are taken one by one, nobody has set the limit.
    with config_context(**config), one_blas_thread():
        return function(*arguments, **keywords)
