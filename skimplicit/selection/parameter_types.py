"""The types of the selector's parameters, for editors and type checkers, which do not run its table."""

from collections.abc import Callable
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.estimators.parameter_types import Folds

__all__ = ["SelectorParameters"]


class SelectorParameters(TypedDict, total=False):
    """Of :class:`~skimplicit.ImplicitFeatureSelector`, but for its ``estimator``."""

    n_features_to_select: int | float | None
    column_budgets: int | ArrayLike | None
    groups: ArrayLike | dict | list[list] | None
    scoring: str | Callable | None
    rule: Literal["one_standard_error", "best", "all_relevant"]
    fdr: float | None
    cv: Folds
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
