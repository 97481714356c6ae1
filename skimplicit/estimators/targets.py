"""Targets and weights of the samples, as training takes them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from sklearn.utils.validation import _check_sample_weight, assert_all_finite

from skimplicit.estimators.validation import refuse_dates, refuse_masked, refuse_text
from skimplicit.losses import class_codes
from skimplicit.rows import Samples, is_lazy

__all__ = ["EncodedTargets", "check_weights"]

# Whole weights up to here, all together, are numbers of rows; those of classes have left a rounding error in them.
_LARGEST_COUNT, _ROUNDING = 2.0**53, 1e-12


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
        Whether to centre and scale the targets: numbers, not indicators of classes.
    attributes : dict
        Attributes to store after the fit.
    class_weights : ndarray of shape (n_classes,) or None
        Weights of the classes, by which those of the samples have been multiplied; None for none.
    repeats : ndarray of shape (m,) or None
        How many rows each sample stands for that were drawn one by one; None where each is one, or copies of one.
    labels_told : ndarray of shape (m,) or None
        How many labels each sample tells of, for how certain labels can be; None where each tells of its own.
    """

    Y: np.ndarray
    weights: np.ndarray | None
    scale: bool
    attributes: dict
    class_weights: np.ndarray | None = None
    repeats: np.ndarray | None = None
    labels_told: np.ndarray | None = None

    @property
    def row_weights(self):
        """The weights of the samples, (m,), ones where there are none."""
        return np.ones(self.Y.shape[0]) if self.weights is None else self.weights

    @property
    def times_drawn(self):
        """How many rows each sample tells as much as, (m,): those of a table of counts as many as were drawn."""
        return np.ones(self.Y.shape[0]) if self.repeats is None else self.repeats

    @cached_property
    def deviations(self):
        """The deviations of the targets about their means, (q,); of a constant its size, and ones for classes."""
        ones, none = np.ones(self.Y.shape[1]), np.empty((self.Y.shape[0], 0))
        if not self.scale:
            return ones
        units = Samples(self.Y, none, self.row_weights).units
        # Without intercepts a constant is not foreseen by itself: in its size it counts alike in any unit.
        sizes = np.abs(units.U_mean, out=ones, where=units.U_mean != 0)
        return np.where(units.constant, sizes, units.U_std)

    def unweighted(self):
        """Return the weights of the samples without those of their classes, (m,), None for ones."""
        if self.weights is None or self.class_weights is None:
            return self.weights
        own = self.class_weights[class_codes(self.Y)]
        return np.divide(self.weights, own, out=np.zeros_like(own), where=own > 0)

    @property
    def times(self):
        """How often each sample is given, (m,): as a whole weight says, once where weights are not whole."""
        if self.repeats is not None:
            return self.repeats
        weights = self.unweighted()
        if weights is not None and np.sum(weights / _LARGEST_COUNT) < 1.0:
            whole = np.round(weights)
            if np.allclose(weights, whole, rtol=_ROUNDING, atol=0.0):
                return whole
        return np.ones(self.Y.shape[0])

    def weighted(self, counts):
        """Return the same targets with the weights multiplied by ``counts``, an ndarray of shape (m,)."""
        return replace(self, weights=counts if self.weights is None else self.weights * counts)

    def rows(self, rows):
        """Return the same of some rows, an ndarray of int."""
        names = ("weights", "repeats", "labels_told")
        own = {name: values[rows] for name in names if (values := getattr(self, name)) is not None}
        return replace(self, Y=self.Y[rows], **own)

    def judged(self, train):
        """Return what held-out predictions are judged by: Y; of classes, as if one more row were of another.

        Of m rows that are all right one may not conclude that no row ever goes wrong (Laplace's rule of succession).
        Where classes can be separated, the cross-entropy alone would let certainty, and its price for a row on the
        wrong side, grow without bound. The one row is spread evenly: over all rows and all classes but their own.

        Parameters
        ----------
        train : ndarray of int
            Rows that there is to learn from; a copy of a row says no more than the row.

        Returns
        -------
        ndarray of shape (m, q)
            Targets.
        """
        if self.scale:
            return self.Y
        train = np.unique(train)
        n_rows = train.size if self.labels_told is None else self.labels_told[train].sum()
        others = (1.0 - self.Y) / max(self.Y.shape[1] - 1, 1)
        return self.Y + (others - self.Y) / (n_rows + 1)


def check_weights(sample_weight, X):
    """Return the weights of the samples as floats, None if there are none.

    Parameters
    ----------
    sample_weight : array-like, Dask collection of shape (m,) or None
        The weights as given.
    X : array-like of shape (m, p)
        Inputs.

    Returns
    -------
    ndarray of shape (m,) or None
        The weights, at least 0.

    Raises
    ------
    TypeError or ValueError
        If a weight is no number, masked or negative, or all are zero.
    """
    if sample_weight is None:
        return None
    if is_lazy(sample_weight):  # beside inputs in memory
        sample_weight = sample_weight.compute()
    refuse_dates(sample_weight, "sample_weight")
    refuse_masked(sample_weight, "sample_weight")
    try:
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    except (TypeError, ValueError) as error:
        refuse_text(sample_weight, "sample_weight", error)
        raise
    assert_all_finite(weights, input_name="sample_weight")  # one number for all rows too
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    return weights
