"""Losses of a sample as convex functions of its prediction: value and derivatives, in numbers and in symbols."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import expit

__all__ = [
    "CrossEntropyLoss",
    "SampleLoss",
    "SquaredLoss",
    "class_codes",
    "class_indicators",
    "cross_entropy",
    "prior_logits",
]


class SampleLoss(ABC):
    """``l(yhat, y)``, convex in the prediction yhat: what training has to know of it."""

    @abstractmethod
    def value(self, predictions, Y):
        """Return the losses (m,) of predictions (m, q) for targets Y (m, q)."""

    @abstractmethod
    def derivatives(self, predictions, Y):
        """Return the derivatives by each prediction (m, q), and the second ones, (m, q) or a float if all are equal."""

    @abstractmethod
    def curvature(self, Y):
        """Return the largest second derivative there can be in any direction, a float."""

    @abstractmethod
    def curvature_root(self, predictions, Y):
        """Return V (m, q, r) with ``V_i V_i'`` the second derivative (q, q) of sample i's loss by its predictions."""

    @abstractmethod
    def to_cvxpy(self, predictions, Y):
        """Return the sum of the losses in symbols, for a CVXPY expression of shape (m, q)."""

    def gradient(self, predictions, Y):
        """Return the derivatives by the predictions, shape (m, q)."""
        return self.derivatives(predictions, Y)[0]

    def second_derivative(self, predictions, Y):
        """Return the second derivatives by each prediction, shape (m, q)."""
        return np.full(predictions.shape, self.derivatives(predictions, Y)[1])


class SquaredLoss(SampleLoss):
    """``1/2 ||yhat - y||^2`` of each sample."""

    def value(self, predictions, Y):
        """See :meth:`SampleLoss.value`."""
        return 0.5 * np.sum((predictions - Y) ** 2, axis=1)

    def derivatives(self, predictions, Y):
        """See :meth:`SampleLoss.derivatives`."""
        return predictions - Y, 1.0

    def curvature(self, Y):
        """See :meth:`SampleLoss.curvature`; 1."""
        return 1.0

    def curvature_root(self, predictions, Y):
        """See :meth:`SampleLoss.curvature_root`; the identity."""
        return np.broadcast_to(np.eye(Y.shape[1]), (*Y.shape, Y.shape[1]))

    def to_cvxpy(self, predictions, Y):
        """See :meth:`SampleLoss.to_cvxpy`."""
        import cvxpy as cp

        return cp.sum_squares(predictions - Y) / 2


class CrossEntropyLoss(SampleLoss):
    """``-log softmax(yhat)[y]`` of each sample; of one column, the logit of the second of two classes."""

    def value(self, predictions, Y):
        """See :meth:`SampleLoss.value`; logits for predictions, indicators of the classes for targets."""
        return cross_entropy(predictions, Y)[0]

    def derivatives(self, predictions, Y):
        """See :meth:`SampleLoss.derivatives`."""
        P = cross_entropy(predictions, Y)[1]
        return P - Y, P * (1.0 - P)

    def curvature(self, Y):
        """See :meth:`SampleLoss.curvature`; 1/4 for one logit, 1/2 for more."""
        return 0.25 if Y.shape[1] == 1 else 0.5  # Boehning (1992): diag(p) - p p' <= 1/2 (I - 11'/q)

    def curvature_root(self, predictions, Y):
        """See :meth:`SampleLoss.curvature_root`; ``diag(s) (I - s s')`` with s the roots of the probabilities."""
        P = cross_entropy(predictions, Y)[1]
        if Y.shape[1] == 1:
            return np.sqrt(P * (1.0 - P))[:, :, None]
        s = np.sqrt(P)  # diag(p) - p p' = diag(s) (I - s s') diag(s), and I - s s' is a projection
        return s[:, :, None] * (np.eye(s.shape[1]) - s[:, :, None] * s[:, None, :])

    def to_cvxpy(self, predictions, Y):
        """See :meth:`SampleLoss.to_cvxpy`."""
        import cvxpy as cp

        total = cp.logistic(predictions) if Y.shape[1] == 1 else cp.log_sum_exp(predictions, axis=1)
        return cp.sum(total) - cp.sum(cp.multiply(Y, predictions))


def class_indicators(codes, n_classes):
    """Return the targets of classes: a column for each that has ones in its rows, for two that of the second alone.

    Parameters
    ----------
    codes : ndarray of int of shape (m,)
        The class of each sample.
    n_classes : int
        Number of classes, at least 2.

    Returns
    -------
    ndarray of shape (m, q)
        The indicators.
    """
    return codes[:, None].astype(np.float64) if n_classes == 2 else np.eye(n_classes)[codes]


def class_codes(Y):
    """Return the class of each sample, the inverse of :func:`class_indicators`.

    Parameters
    ----------
    Y : ndarray of shape (m, q)
        The indicators.

    Returns
    -------
    ndarray of int of shape (m,)
        Numbers of the classes.
    """
    return Y[:, 0].astype(np.intp) if Y.shape[1] == 1 else Y.argmax(axis=1)


def cross_entropy(logits, Y):
    """Return ``-log(probability of its class)`` of every row and the probabilities of the classes that have a column.

    Parameters
    ----------
    logits : ndarray of shape (m, q)
        Logits of the classes; a single column is that of the second of two classes, the first has logit 0.
    Y : ndarray of shape (m, q)
        Indicators of the classes that have a column.

    Returns
    -------
    losses : ndarray of shape (m,)
        Cross-entropies, in nats.
    P : ndarray of shape (m, q)
        Probabilities.
    """
    # SciPy's logsumexp and softmax do the same, twice, and take longer over a small array than Newton's step.
    own = np.einsum("ij,ij->i", logits, Y)
    if logits.shape[1] == 1:
        return np.logaddexp(0.0, logits[:, 0]) - own, expit(logits)
    largest = logits.max(axis=1, keepdims=True)
    P = logits - largest
    np.exp(P, out=P)
    total = P.sum(axis=1, keepdims=True)
    P /= total
    return np.log(total[:, 0]) + largest[:, 0] - own, P


def prior_logits(shares, centre):
    """Return the logits that predict the shares of the classes for every sample.

    Parameters
    ----------
    shares : ndarray of shape (q,)
        Shares of the classes that have a column.
    centre : bool
        Whether there is an intercept; without one the logits are zeros.

    Returns
    -------
    ndarray of shape (q,)
        The logits.
    """
    if not centre:
        return np.zeros_like(shares)
    shares = np.clip(shares, np.finfo(float).eps, 1.0 - np.finfo(float).eps)
    return np.log(shares) - (np.log1p(-shares) if shares.size == 1 else np.log(shares).mean())
