"""ImplicitPath: what a path of budgets has found, and how its inputs compare."""

from dataclasses import dataclass, field

import numpy as np

from skimplicit.projections import ColumnBudget
from skimplicit.rule import ImplicitRule

__all__ = ["ImplicitPath"]


@dataclass(frozen=True)
class ImplicitPath:
    """Rules trained under a decreasing column budget, each started from the one before.

    Parameters
    ----------
    column_budgets : ndarray of shape (n_budgets,)
        Decreasing budgets k: bounds on the sum of the column norms.
    column_norms : ndarray of shape (n_budgets, p)
        ``max_i |B_ij|`` of each rule; of the path of a selector, for inputs in units of their deviations.
    rules : tuple of ImplicitRule
        The rules, in the units of the data.
    train_scores : ndarray of shape (n_budgets,)
        Share of the loss of a constant (without intercepts: of zero) that the rule removes; for numbers, the mean R2.
    converged : ndarray of bool of shape (n_budgets,)
        Whether the objective had stopped falling at that budget.
    n_iter : ndarray of int of shape (n_budgets,)
        Accepted iterations at each budget.
    dense_rule : ImplicitRule
        The rule without a budget from which the path starts.
    groups : ndarray of int of shape (p,) or None
        Groups of inputs that live and die together.
    feature_names_in_ : ndarray of str of shape (p,) or None
        Names of the inputs, where :func:`~skimplicit.implicit_path` was given a data frame.
    """

    column_budgets: np.ndarray
    column_norms: np.ndarray
    rules: tuple = field(repr=False)
    train_scores: np.ndarray
    converged: np.ndarray
    n_iter: np.ndarray
    dense_rule: ImplicitRule
    groups: np.ndarray | None = None
    feature_names_in_: np.ndarray | None = None

    @property
    def shares(self):
        """Mean share of each input (of its group) in the budget along the path: how long and large it lives."""
        return self.power_shares(1)

    def power_shares(self, power: int) -> np.ndarray:
        """Return the mean share of each input (of its group) in the sum of the norms to a power along the path.

        Parameters
        ----------
        power : int
            The power: the larger, the more an input gains by being large at all, beside living long.

        Returns
        -------
        ndarray of shape (p,)
            The shares.
        """
        norms = self._of_units(self.column_norms)
        largest = norms.max(axis=1, keepdims=True, initial=0.0)
        parts = np.divide(norms, largest, out=np.zeros_like(norms), where=largest > 0) ** power
        shares = np.mean(parts / np.maximum(parts.sum(axis=1, keepdims=True), 1.0), axis=0)
        return shares if self.groups is None else shares[self.groups]

    def _of_units(self, rows):
        """Return rows of values of the inputs as rows of values of the groups, the largest in each."""
        return np.apply_along_axis(ColumnBudget(groups=self.groups).group_maxima, 1, rows)

    def clearest(self, support: np.ndarray) -> int:
        """Return the position of the budget at which some inputs stand out most from the others.

        Parameters
        ----------
        support : ndarray of bool of shape (p,)
            The inputs, whole groups; a group is as large as its largest column.

        Returns
        -------
        int
            Where the weakest of them is largest beside the strongest other one; 0, the largest budget, for all inputs,
            and the smallest one for none.
        """
        if support.all():
            return 0
        if not support.any():
            return len(self.rules) - 1
        norms, inside = self._of_units(self.column_norms), self._of_units(support[None].astype(float))[0] > 0
        weakest, strongest, total = norms[:, inside].min(axis=1), norms[:, ~inside].max(axis=1), norms.sum(axis=1)
        return int(np.argmax(np.divide(weakest - strongest, total, out=np.full_like(total, -np.inf), where=total > 0)))
