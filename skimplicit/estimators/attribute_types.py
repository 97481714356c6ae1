"""The types of the attributes of estimators, for editors and type checkers, which do not run the tables."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.activations import Activation
from skimplicit.estimators.parameter_types import Folds
from skimplicit.rule import ImplicitRule
from skimplicit.training import TrainingMethod

__all__ = ["RuleAttributes"]


class RuleAttributes:
    """Of every estimator of a rule: its parameters, as they are stored, and what a fit sets.

    What can be None is ``| Any`` besides its type, in place of ``| None``: who knows how the estimator was fitted need
    not ask again before each use.
    """

    n_hidden: int | Literal["auto"]
    activation: str | Activation
    kappa: float
    column_budget: float | Literal["auto"] | None
    alpha: float | Literal["auto"]
    direct: bool | Literal["auto"]
    fit_intercept: bool
    clip: bool | Literal["auto"]
    structure: ArrayLike | list[int] | None
    constraints: Callable[..., list] | None
    monotonic_cst: ArrayLike | dict[str, int] | None
    lipschitz: float | None
    solver: Literal["auto", "cvxpy", "projected"]
    method: Literal["bcd", "gradient", "lifted"] | TrainingMethod
    n_members: int | Literal["auto"]
    cv: Folds
    max_iter: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    n_init: int
    n_jobs: int | None

    rule_: ImplicitRule
    rules_: list[ImplicitRule]
    alpha_: float | Any
    relevance_: np.ndarray | Any
    alphas_: np.ndarray | Any
    heldout_scores_: np.ndarray | Any
    heldout_score_: float | Any
    heldout_prediction_: np.ndarray | Any
    is_linear_: bool | Any
    column_budget_: float | Any
    n_iter_: int
    objective_history_: np.ndarray
    objective_stages_: np.ndarray
    validation_scores_: np.ndarray | Any
    best_validation_score_: float | Any
    column_norms_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray
