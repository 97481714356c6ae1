"""How far a prediction may be off: intervals from held-out residuals, and its standard error."""

from dataclasses import dataclass

import numpy as np

__all__ = ["HeldOutResiduals", "ReadoutCovariance", "root_mean_square", "sandwich_root"]

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
        Share of the mean squared residual that is the members' variance about their mean, at most 1.
    """

    rules: tuple
    ranges: tuple
    residuals: tuple
    weights: tuple
    share: np.ndarray

    def deviation(self):
        """Return the root mean squared error of the mean of the members, of each target, shape (q,).

        It is less than that of the members by their variance about it.
        """
        single = root_mean_square(np.concatenate(self.residuals), np.concatenate(self.weights))
        return single * np.sqrt(1.0 - self.share)

    def interval(self, X, coverage):
        """Return the bounds of prediction intervals, shape (k, 2, q), for inputs X of shape (k, p).

        Row i of fold f proposes ``y_f(u) - r_i`` and ``y_f(u) + r_i``. The bounds are the quantiles of these proposals
        (CV+: Barber, Candes, Ramdas and Tibshirani, 2021). What is predicted is the mean of the members: its squared
        error is less than theirs by their variance s2 about it, and the centres y_f(u) scatter by s2. So the squared
        residuals are taken 2 s2 smaller: the proposals then have the variance of the mean's error, and are wide where
        members disagree.
        """
        shrinkage = np.sqrt(1.0 - np.minimum(2.0 * self.share, 1.0))
        residuals = [of_fold * shrinkage for of_fold in self.residuals]
        predictions = [
            rule.predict(X if limits is None else limits.cut(X))
            for rule, limits in zip(self.rules, self.ranges, strict=True)
        ]
        weights = np.concatenate(self.weights)
        bounds = np.empty((X.shape[0], 2, predictions[0].shape[1]))
        size = max(_TABLE_SIZE // weights.size, 1)
        for first in range(0, X.shape[0], size):
            rows = slice(first, first + size)
            for j in range(bounds.shape[2]):
                pairs = list(zip((p[rows, j] for p in predictions), (r[:, j] for r in residuals), strict=True))
                upper = np.concatenate([centre[:, None] + residual for centre, residual in pairs], axis=1)
                lower = np.concatenate([residual - centre[:, None] for centre, residual in pairs], axis=1)
                bounds[rows, 0, j] = -_upper_quantile(lower, weights, coverage)
                bounds[rows, 1, j] = _upper_quantile(upper, weights, coverage)
        # Where little is to be held the quantiles can cross; the mean of the members is between them in any case.
        centre = np.mean(predictions, axis=0)
        bounds[:, 0], bounds[:, 1] = np.minimum(bounds[:, 0], centre), np.maximum(bounds[:, 1], centre)
        return bounds


def _upper_quantile(values, weights, coverage):
    """Return the smallest value of each row that has ``coverage`` of the weight, and one row more, at or below it."""
    order = np.argsort(values, axis=1)
    share = np.cumsum(weights[order], axis=1)
    wanted = coverage * (1.0 + 1.0 / weights.size) * weights.sum()
    position = np.minimum((share < wanted * (1 - 1e-12)).sum(axis=1), weights.size - 1)
    return np.take_along_axis(values, order, axis=1)[np.arange(len(values)), position[:, None].ravel()]


@dataclass(frozen=True)
class ReadoutCovariance:
    """``r(u)' H^-1 G H^-1 r(u) / m``, ``G = R' diag(w) R``, ``H = G + ridge``: the variance of a readout's value.

    For a noise of variance one. It is that of the estimate alone (not ``r(u)' H^-1 r(u) / m``, which adds what a prior
    of variance ``1 / ridge`` says in directions that no row has shown, all of it with more inputs than rows).

    Parameters
    ----------
    rule : ImplicitRule
        The rule whose readout it is.
    centre, scale : ndarray of shape (n + p,) or (n,)
        Means and scales of the states, and of the inputs with a direct term; the scale of a constant input, which
        carries nothing, is infinite.
    root : ndarray
        ``H^-1 G H^-1 = root @ root'``.
    n_samples : float
        Effective number of rows m, the inverse of the sum of the squared weights.
    """

    rule: object
    centre: np.ndarray
    scale: np.ndarray
    root: np.ndarray
    n_samples: float

    @classmethod
    def of(cls, rule, U, weights, alpha, direct, direct_ridge):
        """Return the covariance of a rule trained on rows U, (m, p), with weights (m,) that sum to 1."""
        features = _features(rule, U, direct)
        centre = weights @ features
        spread = features - centre
        scale = np.ones(features.shape[1])
        if direct:
            inputs = slice(rule.n_hidden, None)
            deviation = root_mean_square(spread[:, inputs], weights)
            rounding = 16 * np.finfo(float).eps * np.abs(features[:, inputs]).max(axis=0)
            # A mean of many rows has more rounding than they have: both have to tell that an input varies.
            varies = (deviation > rounding) & (np.ptp(features[:, inputs], axis=0) > rounding)
            scale[inputs] = np.where(varies, deviation, np.inf)
        rows = np.sqrt(weights)[:, None] * (spread / scale)
        ridge = np.full(rows.shape[1], alpha)
        ridge[rule.n_hidden :] *= direct_ridge
        ridge += 1e-10 * max(np.sum(rows**2), 1.0)
        return cls(rule, centre, scale, sandwich_root(rows, ridge), 1.0 / float(np.sum(weights**2)))

    def variance(self, U):
        """Return the variances, shape (k,), for inputs U of shape (k, p)."""
        direct = self.centre.size > self.rule.n_hidden
        spread = (_features(self.rule, U, direct) - self.centre) / self.scale
        return (1.0 + np.sum((spread @ self.root) ** 2, axis=1)) / self.n_samples


def sandwich_root(rows, ridge):
    """Return F with ``F F' = H^-1 G H^-1``, for ``G = R' R`` and ``H = G + diag(ridge)``.

    By eigenvalues of G in units of the ridge: it may be so small that a difference of two inverses is rounding alone.

    Parameters
    ----------
    rows : ndarray of shape (m, k)
        R.
    ridge : ndarray of shape (k,)
        The ridge, positive.

    Returns
    -------
    ndarray of shape (k, min(m, k))
        The root F.
    """
    rows = rows / np.sqrt(ridge)
    if len(rows) < len(ridge):
        values, vectors = np.linalg.eigh(rows @ rows.T)
        root = rows.T @ (vectors / (1.0 + values))
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        values[values < len(values) * np.finfo(float).eps * values[-1:]] = 0.0
        root = vectors * (np.sqrt(values) / (1.0 + values))
    return root / np.sqrt(ridge)[:, None]


def _features(rule, U, direct):
    states = rule.states(U)
    dense = U.toarray() if hasattr(U, "toarray") else U
    return np.hstack([states, dense]) if direct else states
