"""Warnings of other libraries that say nothing to the user, where fits may run side by side in threads."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

__all__ = ["without_warnings"]

# Filters belong to the whole process. Two threads that save and restore them in turn could leave one of them in place.
_FILTERS = RLock()


@contextmanager
def without_warnings(category: type[Warning] = UserWarning, message: str = "") -> Iterator[None]:
    """Ignore every warning of a category, or those that begin with a message, in one thread after the other.

    Parameters
    ----------
    category : type
        The category.
    message : str
        How they begin, as a regular expression.

    Yields
    ------
    None
        Nothing.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield
