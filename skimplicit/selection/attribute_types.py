"""The types of the selector's attributes, for editors and type checkers, which do not run its table."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.estimators import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.parameter_types import Folds
from skimplicit.selection.path import ImplicitPath

__all__ = ["SelectorAttributes"]


class SelectorAttributes:
    """Of :class:`~skimplicit.ImplicitFeatureSelector`, as those of a rule in ``estimators``."""

    estimator: ImplicitRegressor | ImplicitClassifier | None
    n_features_to_select: int | float | None
    column_budgets: int | ArrayLike | None
    groups: ArrayLike | dict | list[list] | None
    scoring: str | Callable | None
    rule: Literal["one_standard_error", "best", "all_relevant"]
    fdr: float | None
    cv: Folds
    n_jobs: int | None
    random_state: int | np.random.RandomState | None

    support_: np.ndarray
    ranking_: np.ndarray
    n_features_: int
    column_budgets_: np.ndarray
    column_norms_: np.ndarray
    cv_results_: dict[str, np.ndarray]
    path_: ImplicitPath
    best_budget_: float
    selection_frequency_: np.ndarray
    permutation_scores_: np.ndarray | Any
    knockoff_statistics_: np.ndarray | Any
    threshold_: float | Any
    estimator_: Any
    n_features_in_: int
    feature_names_in_: np.ndarray
