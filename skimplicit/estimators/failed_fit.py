"""A fit that fails leaves the estimator as it was."""

from contextlib import contextmanager

__all__ = ["unchanged_on_failure"]


@contextmanager
def unchanged_on_failure(estimator):
    """Put all attributes of an estimator back if the body raises.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.

    Yields
    ------
    None
        While the body runs.
    """
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        # What callbacks need for their teardown stays.
        kept = {name: value for name, value in estimator.__dict__.items() if name.startswith(("_callback", "_skl"))}
        estimator.__dict__.clear()
        estimator.__dict__.update({**before, **kept})
        raise
