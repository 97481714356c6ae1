"""A path of the inputs that screening lets through, told for all inputs."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skimplicit.estimators.folds import row_counts
from skimplicit.selection.budget_path import follow_path
from skimplicit.selection.path import ImplicitPath
from skimplicit.selection.screening import promising_columns
from skimplicit.selection.selected_constraints import restrict

__all__ = ["FollowedPath", "follow"]


@dataclass(frozen=True)
class FollowedPath:
    """A path, and the inputs that were on it.

    Parameters
    ----------
    path : ImplicitPath
        The path, of these inputs alone.
    columns : ndarray of int
        The inputs, in order: all of them but in wide data.
    bias : ndarray of shape (n,)
        b of its dense rule where all inputs have a mean of zero, as in training.
    """

    path: ImplicitPath
    columns: np.ndarray
    bias: np.ndarray

    def of_all(self, n_features, groups):
        """Return the :class:`ImplicitPath` of all inputs; where some were not on it, its rules have a sparse B."""
        if self.columns.size == n_features:
            return self.path
        norms = np.zeros((len(self.path.rules), n_features))
        norms[:, self.columns] = self.path.column_norms
        rules = [self._of_all(rule, n_features) for rule in (self.path.dense_rule, *self.path.rules)]
        return replace(self.path, column_norms=norms, dense_rule=rules[0], rules=tuple(rules[1:]), groups=groups)

    def _of_all(self, rule, n_features):
        rows, positions = np.nonzero(rule.B)
        B = sparse.csr_array(
            (rule.B[rows, positions], (rows, self.columns[positions])), shape=(rule.n_hidden, n_features)
        )
        return replace(rule, B=B, D=None)


def follow(model, data, budgets, groups, units, train, twins):
    """Follow a path of the inputs that are let through, on some rows.

    The rows that are held out stay in the encoded targets, with a weight of 0: all folds know all classes.

    Parameters
    ----------
    model : ImplicitRegressor or ImplicitClassifier
        Unfitted, with the ridge of the path and without a direct term; changed in place where inputs are left out.
    data : SelectionData
        The data.
    budgets : int or ndarray
        Budgets, or their number.
    groups : ndarray of int of shape (p,) or None
        Groups of inputs.
    units : ndarray of shape (p,)
        What inputs are divided by where a budget compares them.
    train : ndarray of int or None
        The rows; None for all.
    twins : bool
        Whether the second half of the inputs are twins of the first, which take part together or not at all.

    Returns
    -------
    followed : FollowedPath
        The path.
    stop : bool
        Whether a callback asks to stop.
    """
    m, p = data.X.shape
    train = np.arange(m) if train is None else train
    targets = data.targets.weighted(row_counts(train, m))
    labels = np.arange(p) if groups is None else groups
    if twins:
        labels = labels % ((labels.max() + 1) // 2)
    columns = promising_columns(data.X, targets, model.fit_intercept, labels)
    if columns.size < p:
        data = data.of_columns(columns)
        groups = None if groups is None else np.unique(groups[columns], return_inverse=True)[1]
        restrict(model, np.isin(np.arange(p), columns))
    how = {"twins": twins, "units": units[columns]}
    path, bias, stop = follow_path(model, data.rows(train), targets, budgets, groups, X=data.X, **how)
    return FollowedPath(path, columns, bias), stop
