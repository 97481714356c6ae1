"""The ridge by cross-validation: what its estimators share, the path over alpha on each fold and the refit."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import _raise_for_params

from skimplicit.estimators.budgets import budget_of
from skimplicit.estimators.choosing_rows import rows_to_choose_by
from skimplicit.estimators.clip_margin import margin_on
from skimplicit.estimators.failed_fit import unchanged_on_failure
from skimplicit.estimators.fit_decorators import as_fit
from skimplicit.estimators.folds import CV, FoldsMixin, row_counts
from skimplicit.estimators.methods import get_method
from skimplicit.estimators.rule_parameters import RULE_PARAMETERS
from skimplicit.estimators.side_by_side import data_of, fit_as_task, run_side_by_side, take_over
from skimplicit.estimators.targets import check_weights
from skimplicit.estimators.warm_starting import can_warm_start
from skimplicit.linalg import MatrixLike, checked_array
from skimplicit.parameters import N_JOBS, Attribute, Parameter
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["RidgePathMixin"]

# Ends of the grid of ridges when only their number is given: flexible enough for clean data, stiff enough for noisy
# ones. In the table "R2 over alpha" of ``benchmarks/README.md`` the best ridges are between .01 and above .1.
_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-3, 1.0
# Iterations at each ridge after the first, and relative decrease of J that ends one. Chosen, not measured.
_STEP_ITER, _STEP_TOL = 40, 1e-4


def _worded(name, text):
    """Return the parameter of a rule of this name with another text."""
    return replace(RULE_PARAMETERS[name], text=text)


def _one_ridge(value):
    """Return what to do with one ridge, which is none to choose."""
    one = isinstance(value, Real) and not isinstance(value, bool)
    return "For one ridge give it as alpha to the estimator without CV in its name." if one else None


class RidgePathMixin(FoldsMixin):
    """Chooses the ridge: ``alpha_ = argmin over alpha of the mean over folds of the held-out loss``.

    Goes before the estimator that trains at one ridge, which a subclass names in ``_fixed_alpha_class`` and whose
    parameters it has, with ``alphas`` in the place of ``alpha``. A subclass also says what the held-out loss is, in
    :meth:`_sample_losses`, and under which name to keep it, in ``_path_name``.
    """

    _supports_partial_fit = False
    _parameters: ClassVar[dict[str, Any]] = {
        "alpha": None,
        # What ``alpha="auto"`` chooses beside the ridge is given here.
        "n_hidden": replace(
            RULE_PARAMETERS["n_hidden"],
            type="int",
            text="Number n of hidden states, the size of x.",
            constraints=[Interval(Integral, 1, None, closed="left")],
        ),
        "column_budget": replace(
            RULE_PARAMETERS["column_budget"],
            type="float or None",
            text="Bound k on ``sum_j max_i |B_ij|``, for inputs in the units they are given in. It drives whole "
            "columns of B to zero, so that inputs drop out. It acts together with alpha, essentially through "
            "``alpha / k^2``. None for no bound.",
            constraints=[None, Interval(Real, 0, None, closed="neither")],
        ),
        "alphas": Parameter(
            8,
            "int or array-like of float",
            f"The ridges to try, or their number: then they are spaced geometrically from {_SMALLEST_ALPHA} to "
            f"{_LARGEST_ALPHA:g}.",
            [Interval(Integral, 1, None, closed="left"), "array-like"],
            advice=_one_ridge,
        ),
        "cv": CV,
        "n_jobs": Parameter(None, "int or None", "Folds that run side by side.", N_JOBS),
        "n_members": _worded(
            "n_members",
            "Number of rules fitted to all data at the chosen alpha, from different starts; ``rule_`` is their mean. "
            '``"auto"`` is one.',
        ),
        "max_iter": _worded(
            "max_iter",
            'Maximum number of outer iterations (epochs with ``method="gradient"``) of the fit to all data, over all '
            f"stages of the schedule. On a fold, the limit is the same at the smallest ridge, and {_STEP_ITER} at each "
            'further one. With more than 40,000 rows and ``method="bcd"``, all but the last seven iterations of the '
            "fit to all data (of fewer than 14, the second half) run on 4,000 rows (10,000 for classes), but at least "
            "one runs on these and one on more.",
        ),
        "tol": _worded(
            "tol",
            "Relative decrease of the objective that counts as progress in the fit to all data, which ends after three "
            'iterations without it (``n_iter_no_change`` epochs with ``method="gradient"``).',
        ),
        "warm_start": _worded("warm_start", "Whether the fit to all data starts from the rule of the last one."),
        "n_init": _worded(
            "n_init",
            "Number of random starts of the fit to all data; the one with the best objective is kept. With "
            "``warm_start``, the last rule replaces the first start.",
        ),
    }
    _attributes: ClassVar[dict[str, Any]] = {
        "alpha_": Attribute("float", "The chosen ridge, at which the rule is fitted to all data."),
        "alphas_": Attribute("ndarray of shape (n_alphas,)", "The ridges, increasing, as the path goes."),
        "rules_": Attribute("list of ImplicitRule", "The members, whose mean is ``rule_``."),
        "column_budget_": Attribute("float or None", "The bound on the columns of B, as given."),
        **dict.fromkeys(
            ("relevance_", "heldout_scores_", "heldout_score_", "heldout_prediction_", "is_linear_"),
            Attribute("None", 'Told by ``alpha="auto"`` of the estimator without folds of its own.'),
        ),
    }
    alphas: int | ArrayLike

    @as_fit(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any) -> Self:
        """Choose alpha by cross-validation, then train the rule on all data.

        A KeyboardInterrupt (Ctrl-C) during the cross-validation is not caught, for there is no rule yet; during the
        last fit it keeps the best rule so far. Callbacks see the folds and that fit as tasks of ``fit``, and their
        iterations when they are auto-propagated: one that asks to stop in an iteration ends the path of that fold, so
        that the ridges it has not come to drop out; one that asks at the end of a fold ends the cross-validation.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape (n_samples, n_features)
            Inputs. Computation is in float64; CSR matrices are not made dense. Of more than 40,000 rows some are drawn
            for the choice of alpha, unless folds are given; the rule is fitted to all of them where they are.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None
            Weights of the samples, at least 0, in training and in the held-out losses.
        **params : dict
            Passed to the ``split`` of the splitter ``cv``, for instance ``groups``; needs
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self
            The fitted estimator. If the fit fails, the estimator is as it was before.
        """
        _raise_for_params(params, self, "fit")
        with unchanged_on_failure(self):
            return self._fit_path(X, y, sample_weight, params)

    def _fit_path(self, X, y, sample_weight, params):
        alphas, names = _check_alphas(self.alphas), getattr(self, "feature_names_in_", None)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        model = self._with_alpha(alphas[0], seed)
        model._check_choices()
        (X, y, sample_weight), everything = rows_to_choose_by(model, X, y, sample_weight, self.cv)
        X, y = self._validate_data(X, y)
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_
        warm = can_warm_start(self, X.shape[1], names)
        directions = self._directions(X.shape[1])
        model.set_params(monotonic_cst=directions)
        sample_weight = check_weights(sample_weight, X)
        encoded = model._encode_targets(y, sample_weight)
        # Targets in a unit near their size, a power of two: no square overflows or vanishes where alpha is chosen.
        counted = encoded.Y[encoded.row_weights > 0]
        exponent = int(np.frexp(np.abs(counted).max(initial=0.0))[1]) if encoded.scale else 0
        metadata = {"sample_weight": sample_weight, **params}
        folds = self._make_folds(X, y, is_classifier(self), seed, metadata, encoded.weights)
        context = self._init_callback_context(max_subtasks=2)
        data = data_of(X, y, sample_weight)
        context.call_on_fit_task_begin(estimator=self, **data)
        margin = margin_on(model, X, encoded, folds)
        path = self._follow_folds(model, margin, (X, y, sample_weight, encoded, exponent), folds, alphas, context)
        # A ridge that a stopped fold did not come to has no loss; every fold has come to the first one.
        alpha = float(alphas[np.nanargmin(path.mean(axis=1))])
        best = self._with_alpha(alpha, seed).set_params(monotonic_cst=directions)
        if warm:
            best.rules_ = self.rules_
        best._margin_given = margin
        name = "fit at the chosen alpha"
        fit_as_task(
            best, everything or (X, y, sample_weight), {}, owner=self, context=context, task_name=name, data=data
        )
        take_over(self, best)
        self.alpha_, self.alphas_ = alpha, alphas
        with np.errstate(over="ignore", under="ignore"):
            setattr(self, self._path_name, np.ldexp(path, 2 * exponent))
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes=lambda: vars(self).copy(), **data)
        return self

    def _follow_folds(self, model, margin, data, folds, alphas, context):
        """Return the held-out losses, an ndarray of shape (n_alphas, n_folds); NaN where a callback stopped before."""
        task = context.subcontext(task_name="cross-validation", max_subtasks=len(folds))
        task.call_on_fit_task_begin(estimator=self)
        losses = run_side_by_side(
            _held_out_losses,
            [(clone(model), margin, *data, *fold, alphas, self._sample_losses) for fold in folds],
            owner=self,
            context=task,
            task_name="fold",
            n_jobs=self.n_jobs,
        )
        task.call_on_fit_task_end(estimator=self)
        return np.array(losses).T

    def _with_alpha(self, alpha, seed):
        """Return the unfitted estimator with this ridge."""
        names = set(self._fixed_alpha_class().get_params(deep=False)) - {"alpha", "cv", "random_state"}
        return self._fixed_alpha_class(**{name: getattr(self, name) for name in names}, alpha=alpha, random_state=seed)


@with_callbacks
def _held_out_losses(model, margin, X, y, sample_weight, encoded, exponent, train, test, alphas, sample_losses):
    """Return the mean held-out loss at each ridge along the path on one fold, and whether a callback asks to stop.

    Losses are those of targets in units of 2^exponent; NaN for ridges that the path did not come to before a callback
    stopped it.
    """
    targets = encoded.weighted(row_counts(train, X.shape[0]))
    task = model._make_task(X, targets)
    objective, random_state = task.objective, np.random.RandomState(model.random_state)
    W, b = random_weights(model.n_hidden, objective.samples, task.constraints, random_state)
    budget = budget_of(model, objective.samples)
    first = continuation(alphas[0], budget, model.max_iter, _STEP_TOL)
    rest = [Stage(alpha, budget, _STEP_ITER, _STEP_TOL) for alpha in alphas[1:]]
    data = (X[train], y[train], None if sample_weight is None else sample_weight[train])
    model._clip_margin, limits = margin, model._limits(X, targets)
    bridge = model._open_bridge(targets, data, model.max_iter + len(rest) * _STEP_ITER, limits)
    course = get_method(model.method).train(task, [*first, *rest], W, b, bridge.over(task.objective))
    stop = bridge.close([task.objective.rule(course.evaluation.point)])
    # The first ridge has a stage, or several that lead there; each further one has its own.
    reached = len(alphas)
    if course.stopped:
        reached = sum(any(end.stage is stage for end in course.ends) for stage in rest) + 1
    limits = model._where_clipped(limits)
    held_out, target = X[test] if limits is None else limits.cut(X[test]), np.ldexp(encoded.Y[test], -exponent)
    weights = None if encoded.weights is None else encoded.weights[test]
    predictions = [np.ldexp(objective.rule(end.point).predict(held_out), -exponent) for end in course.ends[-reached:]]
    losses = [float(np.average(sample_losses(predicted, target), weights=weights)) for predicted in predictions]
    return losses + [np.nan] * (len(alphas) - reached), stop


def _check_alphas(alphas):
    """Return increasing ridges."""
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        return np.geomspace(_SMALLEST_ALPHA, _LARGEST_ALPHA, alphas)
    values = checked_array(alphas, "alphas", 1)
    if values.size == 0 or not np.all(values >= 0):
        raise ValueError(f"alphas must be a number of ridges, or a list of ridges that are at least 0, got {alphas!r}.")
    return np.sort(values)
