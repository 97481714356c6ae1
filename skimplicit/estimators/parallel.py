"""Calls side by side that see scikit-learn's configuration, which is each thread's and each process' own."""

from functools import partial

import joblib
from joblib import delayed
from sklearn import config_context, get_config

__all__ = ["Parallel", "delayed"]


class Parallel(joblib.Parallel):
    """joblib's ``Parallel`` under scikit-learn's configuration of the thread that calls it.

    scikit-learn's own class restores the filters of warnings besides. These belong to the whole process: calls side by
    side in threads could leave those of one another in place.
    """

    def __call__(self, iterable):
        """See :class:`joblib.Parallel`."""
        config = get_config()  # here: some of the calls are handed out by threads of joblib's own
        return super().__call__((partial(_call, config, function), *rest) for function, *rest in iterable)


def _call(config, function, *arguments, **keywords):
    with config_context(**config):
        return function(*arguments, **keywords)
