"""Targets and weights of the samples, as training takes them."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import _check_sample_weight

__all__ = ["EncodedTargets", "check_weights"]


@dataclass(frozen=True)
class EncodedTargets:
    """Targets and weights as training takes them.

    Parameters
    ----------
    Y : ndarray of shape (m, q)
        Targets; indicators of the classes.
    weights : ndarray of shape (m,) or None
        Weights of the samples, at least 0; None for ones.
    scale : bool
        Whether to centre and scale the targets.
    attributes : dict
        Attributes to store after the fit.
    """

    Y: np.ndarray
    weights: np.ndarray | None
    scale: bool
    attributes: dict

    def weighted(self, counts):
        """Return the same targets with the weights multiplied by ``counts``, an ndarray of shape (m,)."""
        return replace(self, weights=counts if self.weights is None else self.weights * counts)


def check_weights(sample_weight, X):
    """Return the weights of the samples as floats, None if there are none.

    Parameters
    ----------
    sample_weight : array-like of shape (m,) or None
        The weights as given.
    X : array-like of shape (m, p)
        Inputs.

    Returns
    -------
    ndarray of shape (m,) or None
        The weights, at least 0.

    Raises
    ------
    ValueError
        If a weight is negative, or all are zero.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    return weights
