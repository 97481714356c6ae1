"""Smaller rules from a fitted estimator: what can go while rows that were held out are predicted as well."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state

from skimplicit.distill.architecture import ArchitectureReport
from skimplicit.distill.simplification_data import open_data
from skimplicit.estimators.base import ImplicitEstimator
from skimplicit.estimators.relevance import with_relevance
from skimplicit.linalg import MatrixLike
from skimplicit.rule import ImplicitRule
from skimplicit.training import BlockCoordinateDescent, Stage

__all__ = ["Simplification", "SimplificationStep", "simplify"]

# Share of the weights that a step takes away, at first; it is halved where that was too much, down to the least one.
_FIRST_SHARE, _LEAST_SHARE = 0.4, 0.05
# Iterations and relative decrease of J after each step, and at the end, on all rows.
_ITER, _LAST_ITER, _TOL = 20, 40, 1e-4
# What trains the rules of the way, whatever has trained the estimator: any start, any pattern.
_METHOD = BlockCoordinateDescent(block="matching")


@dataclass(frozen=True)
class SimplificationStep:
    """One attempt on the way to a smaller rule.

    Parameters
    ----------
    what : str
        What was taken away.
    report : ArchitectureReport
        What was left.
    score : float
        Its score on the held-out rows.
    accepted : bool
        Whether the score was within the tolerance, so that the way went on from there.
    """

    what: str
    report: ArchitectureReport
    score: float
    accepted: bool


@dataclass(frozen=True)
class Simplification:
    """A smaller rule, and the way there.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        Fitted around the rule.
    before, after : ArchitectureReport
        The rule that was simplified, and what came of it.
    score_before, score : float
        Scores on the held-out rows of both, trained on the other rows alone: before, of the estimator fitted to these,
        or of its rule trained on as all others are, if this is better.
    steps : tuple of SimplificationStep
        All attempts, in their order.
    """

    estimator: object
    before: ArchitectureReport
    after: ArchitectureReport
    score_before: float
    score: float
    steps: tuple = field(repr=False)

    @property
    def rule(self):
        """The rule, trained on all rows."""
        return self.estimator.rule_


def simplify(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    *,
    tolerance: float = 0.003,
    test_size: float = 0.25,
    random_state: int | np.random.RandomState | None = None,
) -> Simplification:
    """Remove weights, states, feedback and layers as long as held-out rows are predicted equally well.

    A part of the rows is held out, and the estimator is fitted on the others. These are then tried, in this order: a
    rule without states; one without weights between states; one without feedback, from which every weight is removed
    that closes a loop of stronger ones; rules with ever fewer weights; and again one without feedback. Weights with the
    least effect go first, ``|W_ij| sd(source_j)`` times the possible effect of their state on the outputs, and a state
    goes with its last path to an output. After each attempt A, B, b and the readout are trained further with the
    remaining pattern; an attempt that is worse by more than the tolerance is undone. At the end the smallest rule is
    trained on all rows; if no attempt is good enough, the estimator keeps its own.

    Parameters
    ----------
    estimator : ImplicitRegressor or ImplicitClassifier
        The estimator, fitted to these data. The search starts from its rule, ridges and units without the held-out
        rows: those of a fit with its ``method`` and ``n_hidden``, and the splits of its ``cv`` without these rows.
        The rules of the search are trained by block coordinate descent. All rows have the same weight: the
        ``sample_weight`` of its fit is not known here, while ``class_weight`` is used.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    tolerance : float
        How much of the held-out score, R2 or accuracy, may be lost. These rows choose among the attempts, so that new
        rows can lose more: .012 on average and at most .029 for .01, .053 and .134 for .05 (Friedman 1 of seven inputs
        with noise 1, 300 rows, ten default fits).
    test_size : float
        Share of the rows to hold out, in (0, 1), drawn one by one, within classes; a row that is the only one of its
        class is not held out.
    random_state : int, RandomState instance or None
        Source of the rows that are held out.

    Returns
    -------
    Simplification
        The smaller rule, in a fitted estimator, and a record of all attempts.

    Raises
    ------
    TypeError
        If the estimator is of another type.
    ValueError
        If an argument is not as above; or the estimator has parameters that the search would not respect:
        ``structure``, ``constraints``, ``monotonic_cst``, ``lipschitz`` or ``column_budget``; or its ``cv`` is a
        splitter that needs more than X and y, such as groups: give the list of its splits.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit import ImplicitRegressor
    >>> from skimplicit.distill import simplify
    >>> X = np.random.default_rng(0).normal(size=(80, 2))
    >>> model = ImplicitRegressor(n_hidden=4, alpha=0.001, random_state=0).fit(X, X @ [1.0, -2.0])
    >>> str(simplify(model, X, X @ [1.0, -2.0], random_state=0).after)
    'a linear rule of 2 weights'
    """
    data = open_data(estimator, X, y, tolerance, test_size, check_random_state(random_state))
    model = clone(estimator).set_params(verbose=0, cv=data.folds).fit(*data.part)
    way = _Way(model, data.part, data.held_out, tolerance)
    way.begin()
    start = way.rule
    if way.try_rule("states", _without_states(start)):
        return _finished(way, estimator, data)
    if start.n_hidden and np.any(start.A):
        between = way.pattern(start)
        between[:, : start.n_hidden] = False
        if not way.try_pattern("weights between states", between):
            way.try_without_feedback()
    share = _FIRST_SHARE
    while share >= _LEAST_SHARE and way.rule.n_hidden:
        kept = way.strongest(share)
        if not way.try_pattern(f"{share:.0%} of the weights", kept):
            share /= 2
    way.try_without_feedback()  # with fewer weights there is less of it
    return _finished(way, estimator, data)


class _Way:
    """The rule so far, how it is trained and judged, and the record."""

    def __init__(self, model: ImplicitEstimator, part, held_out, tolerance):
        self.held_out, self.tolerance = held_out, tolerance
        self.adopt(model)
        self.trainer = clone(model).set_params(method=_METHOD, n_hidden=max(model.rule_.n_hidden, 1))
        self.rule: Any = None
        self.steps, self.best = [], -np.inf
        self._use(part)

    def adopt(self, model):
        """Go by the ridges of a model from here on, and make estimators like it."""
        self.model = model
        self.alpha, self.direct_ridge, self.relevance = model.alpha_, model._direct_ridge, model.relevance_

    def _use(self, data):
        X, y = data
        self.inputs = self.model._within_range(X)
        self.targets = self.model._encode_targets(y, None)
        task = self.trainer._make_task(self.inputs, self.targets, direct_ridge=self.direct_ridge)
        self.task = with_relevance(self.trainer, task, self.relevance)

    def begin(self):
        """Start from the model's own rule, or from this trained on where it then predicts as well.

        Members are trained on as one rule, whose ridge lets it overfit: it may be no measure of what can be lost.
        """
        rule = self.model.rule_
        self.own, trained_on = _without_idle(rule), self.trained(rule, self.pattern(rule), _ITER)
        self.rule = max(trained_on, self.own, key=self.score)
        self.score_before = self.score(self.rule)
        self.before = ArchitectureReport.of(self.rule)
        self.score_now = self.score_before

    def estimator(self, rule):
        """Return a fitted estimator around a rule, which cuts its inputs as the model does."""
        classes = [self.model.classes_] if is_classifier(self.model) else []
        taken = ("n_hidden", "activation")
        parameters = {k: v for k, v in self.model.get_params(deep=False).items() if k not in taken}
        found = type(self.model).from_rule(rule, *classes, **parameters)
        found._input_range = self.model._input_range
        found.alpha_, found._direct_ridge, found.relevance_ = self.alpha, self.direct_ridge, self.relevance
        if not classes:
            found._flat_target = self.model._flat_target
        if hasattr(self.model, "feature_names_in_"):
            found.feature_names_in_ = self.model.feature_names_in_
        return found

    def score(self, rule):
        return float(self.estimator(rule).score(*self.held_out))

    @staticmethod
    def pattern(rule):
        return np.hstack([rule.A, rule.B]) != 0

    def trained(self, rule, pattern, n_iter):
        """Return a rule trained on with the entries of ``[A B]`` that are left, states without use dropped."""
        if rule.n_hidden == 0:
            return self.linear()
        objective = self.task.objective
        W, b = objective.weights_of(rule)
        constraints = replace(self.task.constraints, structure=pattern)
        task = replace(self.task, constraints=constraints)
        stage = Stage(self.alpha, None, n_iter, _TOL)
        result = _METHOD.train(task, [stage], np.where(pattern, W, 0.0), b)
        return _without_idle(objective.rule(result.evaluation.point))

    def linear(self):
        """Return the best rule without states."""
        objective = self.task.objective
        p = objective.samples.n_inputs
        point = objective.evaluate(np.zeros((1, 1 + p)), np.zeros(1), self.alpha, tol=1e-9).point
        return _without_states(objective.rule(point))

    def effects(self):
        """Return for each entry of ``[A B]`` what it does to the outputs, by its first path and the bound on others."""
        rule = self.rule
        A, B = np.abs(rule.A), np.abs(rule.B)
        states = rule.states(self.inputs)
        samples = self.task.objective.samples
        gain = np.linalg.solve(np.eye(rule.n_hidden) - A.T, (np.abs(rule.C) / samples.Y_scale[:, None]).max(axis=0))
        return np.hstack([A * states.std(axis=0), B * samples.U_std]) * gain[:, None]

    def strongest(self, share):
        """Return the pattern without the share of its weights that has the least effect."""
        effects, kept = self.effects(), self.pattern(self.rule).ravel()
        used = np.flatnonzero(kept)
        order = used[np.argsort(effects.ravel()[used], kind="stable")]
        kept[order[: max(int(share * order.size), 1)]] = False
        return kept.reshape(effects.shape)

    def try_pattern(self, what, pattern):
        return self._judge(what, self.trained(self.rule, pattern, _ITER))

    def try_without_feedback(self):
        """Try the pattern without the weights that close loops, if there are any."""
        n = self.rule.n_hidden
        pattern = self.pattern(self.rule)
        if not np.any(pattern[:, :n]):
            return
        forward = _without_loops(pattern[:, :n], self.effects()[:, :n])
        if np.any(pattern[:, :n] != forward):
            pattern[:, :n] = forward
            self.try_pattern("feedback", pattern)

    def try_rule(self, what, rule):
        return self._judge(what, self.trained(rule, None, _ITER))

    def _judge(self, what, rule):
        score = self.score(rule)
        accepted = score >= self.score_before - self.tolerance
        self.steps.append(SimplificationStep(what, ArchitectureReport.of(rule), score, accepted))
        if accepted:
            self.rule, self.score_now = rule, score
        return accepted


def _finished(way, estimator, data):
    """Return the :class:`Simplification`: the pattern that was found, trained on all rows, or the estimator's rule."""
    if way.rule is way.own:  # nothing can go, and training on would lose
        way.adopt(estimator)
        rule = _without_idle(estimator.rule_)
    else:
        way.model = estimator
        way._use((data.X, data.y))
        rule = way.trained(way.rule, way.pattern(way.rule), _LAST_ITER)
    fitted = way.estimator(rule)
    return Simplification(
        fitted, way.before, ArchitectureReport.of(rule), way.score_before, way.score_now, tuple(way.steps)
    )


def _without_states(rule):
    n, p, q = rule.n_hidden, rule.n_inputs, rule.n_outputs
    return (
        _selected(rule, np.zeros(n, dtype=bool))
        if n
        else ImplicitRule(
            np.zeros((0, 0)),
            np.zeros((0, p)),
            np.zeros((q, 0)),
            rule.D,
            np.zeros(0),
            rule.c,
            activation=rule.activation,
        )
    )


def _without_loops(pattern, effects):
    """Return the entries that are kept when each, from the largest effect down, goes if it would close a loop."""
    n = pattern.shape[0]
    kept = np.zeros((n, n), dtype=bool)
    reaches = np.eye(n, dtype=bool)  # from, to
    target, source = np.nonzero(pattern)
    for place in np.argsort(-effects[target, source], kind="stable"):
        i, j = target[place], source[place]
        if not reaches[i, j]:
            kept[i, j] = True
            reaches |= reaches[:, j, None] & reaches[i]
    return kept


def _without_idle(rule):
    """Drop states that reach no output, and put into the intercepts what states of no input and no other state are."""
    while rule.n_hidden:
        fed = np.any(rule.A != 0, axis=1) | np.any(rule.B != 0, axis=1)
        value = rule.activation(np.where(fed, 0.0, rule.b)[None])[0] * ~fed
        rule = replace(rule, b=rule.b + rule.A @ value, c=rule.c + rule.C @ value)
        reaching = np.any(rule.C != 0, axis=0)
        for _ in range(rule.n_hidden):
            reaching = reaching | np.any(rule.A[reaching] != 0, axis=0)
        kept = fed & reaching
        if kept.all():
            return rule
        rule = _selected(rule, kept)
    return rule


def _selected(rule, kept):
    return replace(rule, A=rule.A[kept][:, kept], B=rule.B[kept], C=rule.C[:, kept], b=rule.b[kept])
