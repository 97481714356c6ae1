"""The types of the constructors' parameters, for editors and type checkers, which do not run the tables."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from skimplicit.activations import Activation
from skimplicit.training import TrainingMethod

__all__ = [
    "ClassifierCVParameters",
    "ClassifierParameters",
    "Folds",
    "RegressorCVParameters",
    "RegressorParameters",
]


@runtime_checkable
class _Splitter(Protocol):
    # scikit-learn's splitters have no base that all of them share, nor the same arguments, and one's own need no base.
    @property
    def split(self) -> Callable[..., Iterable]: ...

    @property
    def get_n_splits(self) -> Callable[..., int]: ...


#: What ``cv`` may be.
Folds: TypeAlias = int | _Splitter | Iterable | None


class _RuleParameters(TypedDict, total=False):
    activation: str | Activation
    kappa: float
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


class RegressorParameters(_RuleParameters, total=False):
    """Of :class:`~skimplicit.ImplicitRegressor`."""

    n_hidden: int | Literal["auto"]
    column_budget: float | Literal["auto"] | None
    alpha: float | Literal["auto"]


class ClassifierParameters(RegressorParameters, total=False):
    """Of :class:`~skimplicit.ImplicitClassifier`."""

    class_weight: dict[Any, float] | Literal["balanced"] | None


class RegressorCVParameters(_RuleParameters, total=False):
    """Of :class:`~skimplicit.ImplicitRegressorCV`."""

    n_hidden: int
    column_budget: float | None
    alphas: int | ArrayLike


class ClassifierCVParameters(RegressorCVParameters, total=False):
    """Of :class:`~skimplicit.ImplicitClassifierCV`."""

    class_weight: dict[Any, float] | Literal["balanced"] | None
