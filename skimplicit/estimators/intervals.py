"""How far a prediction may be off: intervals from held-out residuals."""

from dataclasses import dataclass

import numpy as np

__all__ = ["HeldOutResiduals", "root_mean_square", "upper_quantile"]

# Numbers in the table of candidates of an interval that are held at a time.
_TABLE_SIZE = 1 << 22


def root_mean_square(values, weights=None):
    """Return ``sqrt(mean_i values_i^2)`` over the first axis, whatever the unit of the last one.

    Parameters
    ----------
    values : ndarray of shape (m, ..., q)
        Numbers of any size.
    weights : ndarray of shape (m,) or None
        Weights of the mean; None for equal ones.

    Returns
    -------
    ndarray of shape (..., q)
        The roots.
    """
    exponent = np.frexp(np.abs(values).max(axis=tuple(range(values.ndim - 1)), initial=0.0))[1]
    scaled = np.ldexp(values, -exponent)  # exact, and no square overflows or vanishes
    return np.ldexp(np.sqrt(np.average(scaled**2, axis=0, weights=weights)), exponent)


@dataclass(frozen=True)
class HeldOutResiduals:
    """Members trained without a fold, and by how much each missed the rows of its fold.

    Parameters
    ----------
    rules : tuple of ImplicitRule
        The members.
    ranges : tuple of InputRange or None
        Ranges at which each cuts its inputs.
    residuals : tuple of ndarray of shape (m_k, q)
        Absolute residuals of the rows of each fold.
    weights : tuple of ndarray of shape (m_k,)
        Weights of these rows.
    share : ndarray of shape (q,)
        Share of the mean squared residual that is the members' variance about their mean, at most 1; that of rows where
        they do not disagree far more than at most, if it is less.
    n_rows : float
        Number of rows that were held out, those that several members have not seen once; of rows drawn again and again
        as many as were drawn.
    distances : ndarray of shape (K, q) or None
        Root mean square of each member's distance from the mean of all K, where this is told; None for alike members.
    jackknife : float
        How many times the members' variance about their mean the variance of a rule of all rows is, as the members do
        not see the same rows: ``(1 - h) / h`` where each has not seen a share h.
    left : ndarray of shape (q,) or float
        How many times the error of the mean of the members that of what is predicted is.
    """

    rules: tuple
    ranges: tuple
    residuals: tuple
    weights: tuple
    share: np.ndarray
    n_rows: float
    distances: np.ndarray | None = None
    jackknife: float = 0.0
    left: np.ndarray | float = 1.0

    def standard_error(self, X):
        """Return the standard errors of predictions by all rows, (k, q), for inputs X, (k, p): of a jackknife by folds.

        It knows the states and the choices of a fit as other rows would have them, other than the error of a readout on
        states that are given. Source: Shao and Wu (1989), A general theory for jackknife variance estimation, Annals of
        Statistics 17(3).
        """
        members = np.array(self._predictions(X))
        return root_mean_square(members - members.mean(axis=0)) * np.sqrt(self.jackknife)

    def _predictions(self, X):
        ranges = zip(self.rules, self.ranges, strict=True)
        return [rule.predict(X if limits is None else limits.cut(X)) for rule, limits in ranges]

    def deviation(self):
        """Return the root mean squared error of what is predicted, of each target, shape (q,).

        That of the mean of the members is less than theirs by their variance about it.
        """
        return self._of_members() * np.sqrt(1.0 - self.share) * self.left

    def _of_members(self):
        return root_mean_square(np.concatenate(self.residuals), np.concatenate(self.weights))

    def shrinkage(self):
        """Return the factors of the residuals of each member that :meth:`interval` takes, shape (K, q).

        Squared residuals are taken 2 s2 smaller, where s2 is the members' variance. That is right for members that err
        alike. Where they have ended in different minima, most of s2 may be that of a poor one, and a good one errs no
        more than the mean. So, if it is clearly more (by two standard errors of the member's mean squared error e^2), a
        member's squared factor is the one at which its proposals, which are centred at its own distance d from the
        mean, have the squared error E of the mean: ``(E - d^2) / e^2``, at most 1.
        """
        alike = np.tile(1.0 - np.minimum(2.0 * self.share, 1.0), (len(self.residuals), 1))
        if self.distances is None:
            return np.sqrt(alike)
        unit = self._of_members()
        unit = np.where(unit > 0, unit, 1.0)
        own, error = np.swapaxes(
            [_mean_and_error((r / unit) ** 2, w) for r, w in zip(self.residuals, self.weights, strict=True)], 0, 1
        )
        left = 1.0 - self.share - (self.distances / unit) ** 2
        of_own = np.divide(left, own, out=np.ones_like(own), where=own > left)
        return np.sqrt(np.where(left > alike * (own + 2.0 * error), of_own, alike))

    def interval(self, X, Y, coverage):
        """Return the bounds of prediction intervals, (k, 2, q), about predictions Y, (k, q), for inputs X, (k, p).

        Row i of fold f proposes ``y_f(u) - r_i`` and ``y_f(u) + r_i``. The bounds are the quantiles of these proposals
        (CV+: Barber, Candes, Ramdas and Tibshirani, 2021). What is predicted is the mean of the members: its squared
        error is less than theirs by their variance s2 about it, and the centres y_f(u) scatter by s2. So the squared
        residuals are taken 2 s2 smaller (but see :meth:`shrinkage`): the proposals then have the variance of the mean's
        error, and are wide where members disagree.

        Where little is to be held these quantiles come near one another and cross. So no bound is nearer to the
        prediction than the quantile of the residuals is to zero. What is predicted may miss less than the mean of the
        members (``left``): the bounds are nearer to it as many times.
        """
        residuals = [factor * r for factor, r in zip(self.shrinkage(), self.residuals, strict=True)]
        predictions = self._predictions(X)
        weights, level = np.concatenate(self.weights), coverage * (1.0 + 1.0 / self.n_rows)  # one row more
        bounds = np.empty((X.shape[0], 2, Y.shape[1]))
        size = max(_TABLE_SIZE // weights.size, 1)
        for first in range(0, X.shape[0], size):
            rows = slice(first, first + size)
            for j in range(Y.shape[1]):
                pairs = [(c[rows, j, None], r[:, j]) for c, r in zip(predictions, residuals, strict=True)]
                upper = np.concatenate([centre + residual for centre, residual in pairs], axis=1)
                lower = np.concatenate([residual - centre for centre, residual in pairs], axis=1)
                bounds[rows, 0, j] = -upper_quantile(lower, weights, level)
                bounds[rows, 1, j] = upper_quantile(upper, weights, level)
        least = upper_quantile(np.concatenate(residuals).T, weights, level)
        bounds[:, 0], bounds[:, 1] = np.minimum(bounds[:, 0], Y - least), np.maximum(bounds[:, 1], Y + least)
        return self.left * bounds + (1.0 - self.left) * Y[:, None]


def _mean_and_error(values, weights):
    """Return the weighted means of values (m, q), and their standard errors."""
    mean, share = np.average(values, axis=0, weights=weights), weights / weights.sum()
    return mean, np.sqrt(np.sum(share[:, None] ** 2 * (values - mean) ** 2, axis=0))


def upper_quantile(values, weights, level):
    """Return the smallest value of each row that has a share ``level`` of the weight at or below it, or the largest.

    Parameters
    ----------
    values : ndarray of shape (k, m)
        The rows.
    weights : ndarray of shape (m,)
        Weights of the values of each.
    level : float
        The share.

    Returns
    -------
    ndarray of shape (k,)
        The values.
    """
    wanted = level * weights.sum() * (1 - 1e-12)
    if np.all(weights == weights[0]):  # the place is the same in all rows, and the others need no order
        place = min(int((np.cumsum(weights) < wanted).sum()), weights.size - 1)
        return np.partition(values, place, axis=1)[:, place]
    order = np.argsort(values, axis=1)
    places = (np.cumsum(weights[order], axis=1) < wanted).sum(axis=1, keepdims=True)
    last = np.take_along_axis(order, np.minimum(places, weights.size - 1), axis=1)
    return np.take_along_axis(values, last, axis=1)[:, 0]
