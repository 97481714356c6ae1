"""The training methods, by the names that the estimators take."""

from skimplicit.lifted import Lifted
from skimplicit.training import BlockCoordinateDescent, StochasticGradient

__all__ = ["METHODS", "get_method"]

#: Name to :class:`~skimplicit.training.TrainingMethod` with its default options.
METHODS = {"bcd": BlockCoordinateDescent(), "gradient": StochasticGradient(), "lifted": Lifted()}


def get_method(method):
    """Return the training method of a name.

    Parameters
    ----------
    method : str or TrainingMethod
        A name in ``METHODS``, or the method itself.

    Returns
    -------
    TrainingMethod
        The method.
    """
    return METHODS[method] if isinstance(method, str) else method
