"""A fit that fails leaves the estimator as it was."""

from contextlib import contextmanager

__all__ = ["left_by_callbacks", "unchanged_on_failure"]


def left_by_callbacks(estimator):
    """Return what callbacks and scikit-learn, which calls them, have of their own in an estimator.

    Parameters
    ----------
    estimator : estimator
        The estimator.

    Returns
    -------
    dict
        Attributes by name.
    """
    names = "_callback", "_skl", "_parent_callback"
    return {name: value for name, value in vars(estimator).items() if name.startswith(names)}


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
        kept = left_by_callbacks(estimator)
        estimator.__dict__.clear()
        estimator.__dict__.update({**before, **kept})
        raise
