"""Losses of a sample as convex functions of its prediction: what the block of the states has to know of them."""

import numpy as np

from skimplicit.blocks.logistic import cross_entropy

__all__ = ["CrossEntropyLoss", "SquaredLoss"]


class SquaredLoss:
    """``1/2 ||yhat - y||^2`` of each sample."""

    def value(self, predictions, Y):
        """Return the losses (m,) of predictions (m, q) for targets Y (m, q)."""
        return 0.5 * np.sum((predictions - Y) ** 2, axis=1)

    def gradient(self, predictions, Y):
        """Return the derivatives by the predictions, shape (m, q)."""
        return predictions - Y

    def second_derivative(self, predictions, Y):
        """Return the second derivatives by each prediction, shape (m, q)."""
        return np.ones_like(predictions)

    def curvature(self, Y):
        """Return the largest second derivative there can be in any direction, a float."""
        return 1.0

    def to_cvxpy(self, predictions, Y):
        """Return the sum of the losses in symbols, for a CVXPY expression of shape (m, q)."""
        import cvxpy as cp

        return cp.sum_squares(predictions - Y) / 2


class CrossEntropyLoss:
    """``-log softmax(yhat)[y]`` of each sample; of one column, the logit of the second of two classes."""

    def value(self, predictions, Y):
        """Return the losses (m,) of logits (m, q) for indicators Y (m, q)."""
        return cross_entropy(predictions, Y)[0]

    def gradient(self, predictions, Y):
        """Return the derivatives by the logits, shape (m, q)."""
        return cross_entropy(predictions, Y)[1] - Y

    def second_derivative(self, predictions, Y):
        """Return the second derivatives by each logit, shape (m, q)."""
        P = cross_entropy(predictions, Y)[1]
        return P * (1.0 - P)

    def curvature(self, Y):
        """Return the largest second derivative there can be in any direction: 1/4 for one logit, 1/2 for more."""
        return 0.25 if Y.shape[1] == 1 else 0.5  # Boehning (1992): diag(p) - p p' <= 1/2 (I - 11'/q)

    def to_cvxpy(self, predictions, Y):
        """Return the sum of the losses in symbols, for a CVXPY expression of shape (m, q)."""
        import cvxpy as cp

        total = cp.logistic(predictions) if Y.shape[1] == 1 else cp.log_sum_exp(predictions, axis=1)
        return cp.sum(total) - cp.sum(cp.multiply(Y, predictions))
