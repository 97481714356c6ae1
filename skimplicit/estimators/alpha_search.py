"""The ridge by cross-validation: what its estimators share, the path over alpha on each fold and the refit."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import _fit_context, is_classifier
from sklearn.callback import with_callbacks
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)

from skimplicit.estimators.preparation import unchanged_on_failure
from skimplicit.training import Stage
from skimplicit.training.continuation import continuation, random_weights

__all__ = ["RidgePathMixin"]

# Ends of the grid of ridges when only their number is given: flexible enough for clean data, stiff enough for noisy
# ones.
_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-3, 1.0
# Iterations at each ridge after the first, and relative decrease of J that ends one.
_STEP_ITER, _STEP_TOL = 40, 1e-4


class RidgePathMixin:
    """Chooses the ridge: ``alpha_ = argmin over alpha of the mean over folds of the held-out loss``.

    Goes before the estimator that trains at one ridge, which a subclass names in ``_single``; a subclass also says
    what the held-out loss is, in :meth:`_sample_losses`, and under which name to keep it, in ``_path_name``.

    Parameters
    ----------
    **parameters : dict
        Parameters of the estimator, stored as they are.
    """

    _goes_on = False
    _path_constraints = {
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "n_jobs": [None, Integral],
    }

    def __init__(self, **parameters):
        # Not the ``__init__`` of the estimator at one ridge, which has ``alpha`` where this one has ``alphas``.
        for name, value in parameters.items():
            setattr(self, name, value)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha by cross-validation, then train the rule on all data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs. Computation is in float64; CSR matrices are not made dense.
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

    def get_metadata_routing(self):
        """Return where metadata go: those of ``fit`` to the splitter ``cv``.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="split")
        return MetadataRouter(owner=self).add_self_request(self).add(splitter=check_cv(self.cv), method_mapping=mapping)

    def _fit_path(self, X, y, sample_weight, params):
        alphas = _check_alphas(self.alphas)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        model = self._at(alphas[0], seed)
        model._check_choices()
        X, y = self._validate_data(X, y)
        encoded = model._encode(X, y, sample_weight)
        routed = {}
        if _routing_enabled():
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params).splitter.split
        folds = list(check_cv(self.cv, y, classifier=is_classifier(self)).split(X, y, **routed))
        if encoded.weights is not None:
            _check_fold_weights(encoded.weights, folds)
        # Targets in a unit near their size, a power of two: no square overflows or vanishes where alpha is chosen.
        exponent = int(np.frexp(np.abs(encoded.Y).max(initial=0.0))[1]) if encoded.scale else 0
        losses = Parallel(n_jobs=self.n_jobs)(
            delayed(_held_out_losses)(model, X, encoded, train, test, alphas, self._sample_losses, exponent)
            for train, test in folds
        )
        path = np.array(losses).T
        alpha = float(alphas[np.argmin(path.mean(axis=1))])
        best = self._at(alpha, seed)
        if self.warm_start and hasattr(self, "rule_"):
            best.rule_ = self.rule_
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="fit at the chosen alpha")
        with task.propagate_callback_context(best):
            best.fit(X, y, sample_weight)
        for name, value in vars(best).items():
            if name not in best.get_params(deep=False) and name != "n_features_in_":
                setattr(self, name, value)
        self.alpha_, self.alphas_ = alpha, alphas
        with np.errstate(over="ignore", under="ignore"):
            setattr(self, self._path_name, np.ldexp(path, 2 * exponent))
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=lambda: vars(self).copy())
        return self

    def _at(self, alpha, seed):
        """Return the unfitted estimator with this ridge."""
        names = set(self._single().get_params()) - {"alpha", "random_state"}
        return self._single(**{name: getattr(self, name) for name in names}, alpha=alpha, random_state=seed)


def _held_out_losses(model, X, encoded, train, test, alphas, sample_losses, exponent):
    """Return the mean held-out loss at each ridge on one fold, a list of float; of targets in units of 2^exponent."""
    counts = np.zeros(X.shape[0])
    np.add.at(counts, train, 1.0)  # a splitter may draw a sample twice
    prepared = model._prepare_encoded(X, encoded.weighted(counts))
    objective, constraints = prepared.objective, prepared.constraints
    W, b = random_weights(
        model.n_hidden, X.shape[1], constraints.kappa, constraints.structure, np.random.RandomState(model.random_state)
    )
    b = b if model.fit_intercept else np.zeros_like(b)
    budget = model.column_budget
    first = continuation(alphas[0], budget, constraints, model.max_iter, _STEP_TOL)
    rest = [Stage(alpha, budget, _STEP_ITER, _STEP_TOL) for alpha in alphas[1:]]
    course = prepared.train([*first, *rest], W, b)
    held_out, target = X[test], np.ldexp(encoded.Y[test], -exponent)
    weights = None if encoded.weights is None else encoded.weights[test]
    return [
        float(
            np.average(
                sample_losses(np.ldexp(objective.rule(end).predict(held_out), -exponent), target), weights=weights
            )
        )
        for end in course.ends[-len(alphas) :]
    ]


def _check_fold_weights(weights, folds):
    for number, fold in enumerate(folds):
        for part, rows in zip(("training", "held-out"), fold, strict=True):
            if not np.any(weights[rows] > 0):
                raise ValueError(f"sample_weight is zero for every {part} sample of fold {number} of cv.")


def _check_alphas(alphas):
    """Return increasing ridges."""
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        return np.geomspace(_SMALLEST_ALPHA, _LARGEST_ALPHA, alphas)
    values = np.asarray(alphas, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"alphas must be a number or a list of non-negative finite ridges, got {alphas!r}.")
    return np.sort(values)
