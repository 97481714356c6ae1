"""The decorators of a ``fit``, as one that leaves its types: those of scikit-learn have none."""

from collections.abc import Callable
from typing import TypeVar

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks

__all__ = ["as_fit"]

_Fit = TypeVar("_Fit", bound=Callable)


def as_fit(*, prefer_skip_nested_validation: bool) -> Callable[[_Fit], _Fit]:
    """Return a decorator that has a ``fit`` validate the parameters and tell the callbacks.

    Parameters
    ----------
    prefer_skip_nested_validation : bool
        Whether estimators among the parameters need no validation of their own; see scikit-learn's ``_fit_context``.

    Returns
    -------
    callable
        The decorator.
    """

    def decorated(fit):
        return with_callbacks(_fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)(fit))

    return decorated
