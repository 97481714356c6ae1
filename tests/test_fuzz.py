"""Laws that every fit obeys, tried on random data and parameters: ``make fuzz`` tries many, CI a few.

A case is a function of its number alone. A failure names it: ``SKIMPLICIT_FUZZ_CASE=number python -m pytest
tests/test_fuzz.py`` tries that one again.
"""

import os
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.activations import ACTIVATIONS, get_activation, hardtanh, leaky_relu

# What CI tries; the long profile is a number in the environment.
N_CASES = int(os.environ.get("SKIMPLICIT_FUZZ", "45"))
ONE = os.environ.get("SKIMPLICIT_FUZZ_CASE")
# Cases of a test: small enough to spread over cores.
CHUNK = 15
EPS = np.finfo(float).eps


class Case:
    """Data and an estimator, drawn from a number."""

    def __init__(self, number):
        self.number = number
        self.rng = np.random.default_rng([number, 2026])
        m, p = self._size(80), self._size(25)
        self.kind = self.rng.choice(["regressor", "outputs", "classifier"], p=[0.5, 0.2, 0.3])
        Z = self._inputs(m, p)
        self.y = self._targets(Z)
        self.X = self._as_given(Z)
        self.weights = self._weights(m)
        self.estimator = self._estimator(p)

    def chance(self, probability):
        return self.rng.random() < probability

    def _size(self, most):
        # Half of the sizes below a tenth of the range: the corners are there.
        return int(self.rng.integers(1, most + 1 if self.chance(0.5) else max(most // 10, 2) + 1))

    def _decade(self, most=150):
        """Return a power of ten; mostly an ordinary one."""
        return 10.0 ** self.rng.uniform(*((-most, most) if self.chance(0.3) else (-3, 3)))

    def _inputs(self, m, p):
        rng, shape = self.rng, (m, p)
        kind = rng.choice(["normal", "rank one", "heavy", "one-hot", "whole numbers", "constant", "columns in units"])
        Z = rng.normal(size=shape)
        if kind == "rank one":
            Z = rng.normal(size=(m, 1)) * rng.normal(size=p)
        elif kind == "heavy":
            Z = rng.standard_cauchy(size=shape) ** 3
        elif kind == "one-hot":
            Z = np.eye(p)[rng.integers(p, size=m)]
        elif kind == "whole numbers":
            Z = rng.integers(-2, 3, size=shape).astype(float)
        elif kind == "constant":
            Z[:, rng.integers(p)] = rng.normal()
        elif kind == "columns in units":
            Z = Z * [self._decade() for _ in range(p)]
        if self.chance(0.2):
            Z = Z[rng.integers(m, size=m)]  # some rows several times
        return Z

    def _targets(self, Z):
        rng, m = self.rng, len(Z)
        size = np.abs(Z).max(axis=0, initial=0.0)
        U = Z / np.where(size > 0, size, 1.0)
        signal = np.abs(U @ rng.normal(size=U.shape[1])) + 0.1 * rng.normal(size=m) * self.chance(0.8)
        if self.kind == "classifier":
            n_classes = min(rng.integers(2, 5), m)
            edges = np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1]) if n_classes > 1 else []
            return np.searchsorted(edges, signal)
        if self.chance(0.05):
            signal = np.full(m, rng.normal())
        elif self.chance(0.1):
            signal = rng.standard_cauchy(size=m) ** 3
        if self.kind == "outputs":
            signal = np.column_stack([signal, *rng.normal(size=(rng.integers(0, 3), m))])
        units = [self._decade() for _ in range(signal.shape[1])] if self.kind == "outputs" else self._decade()
        return (signal + self._offset()) * units

    def _offset(self):
        return 10.0 ** self.rng.uniform(0, 8) if self.chance(0.15) else 0.0

    def _as_given(self, Z):
        layout = self.rng.choice(["dense", "float32", "csr", "csr with duplicates"], p=[0.6, 0.1, 0.15, 0.15])
        X = (Z + self._offset() * np.abs(Z).max(initial=0.0)) * (
            1.0 if np.abs(Z).max(initial=0) > 1e9 else self._decade()
        )
        if layout == "float32":
            size = np.abs(X).max(initial=0.0)
            return (X / size if size > 1e30 else X).astype(np.float32)
        if layout == "csr":
            return sparse.csr_array(X)
        if layout == "csr with duplicates":
            m, p = X.shape
            columns = np.tile(np.r_[np.arange(p)[::-1], np.arange(p)], m)
            parts = np.hstack([0.25 * X[:, ::-1], 0.75 * X])
            return sparse.csr_array((parts.ravel(), columns, np.arange(m + 1) * 2 * p), shape=X.shape)
        return X

    def _weights(self, m):
        if self.chance(0.6):
            return None
        weights = self.rng.integers(0, 3, size=m).astype(float) if self.chance(0.5) else self.rng.random(m)
        return weights * 10.0 ** self.rng.uniform(0, 9, size=m if self.chance(0.5) else 1)

    def _estimator(self, p):
        rng = self.rng
        n = int(rng.integers(1, 7))
        activation = rng.choice([*ACTIVATIONS, "hardtanh", "leaky"])
        given = {"hardtanh": hardtanh(-1.0, 1.0), "leaky": leaky_relu(0.3)}
        method = rng.choice(["bcd", "gradient", "lifted"], p=[0.6, 0.2, 0.2])
        if method == "lifted":
            activation = rng.choice(["relu", "leaky_relu", "identity", "tanh", "sigmoid"])
        budget = rng.choice([None, None, "some"])
        size = float(
            np.median(abs(self.X).max(axis=0).toarray() if sparse.issparse(self.X) else np.ptp(self.X, axis=0))
        )
        mask = rng.random((n, n)) < 0.5
        layers = [1] * n if self.chance(0.5) else [n]
        parameters = {
            "n_hidden": n,
            "activation": given.get(activation, str(activation)),
            "method": str(method),
            "kappa": float(rng.choice([0.0, 0.1, 0.5, 0.95, 0.999])),
            "alpha": "auto"
            if self.chance(0.06)
            else float(rng.choice([0.0, 1e-6, 1e-3, 0.03, 1.0, 1e6], p=[0.05, 0.1, 0.25, 0.3, 0.2, 0.1])),
            "column_budget": None
            if budget is None
            else float(rng.choice([0.01, 1.0, 10.0]) / (size if size > 0 else 1.0)),
            "structure": [None, None, mask, layers][rng.integers(4)],
            "fit_intercept": self.chance(0.85),
            "clip": self.chance(0.7),
            "max_iter": int(rng.choice([1, 2, 3, 5, 8], p=[0.2, 0.3, 0.3, 0.1, 0.1])),
            "n_members": int(rng.choice([1, 2], p=[0.8, 0.2])),
            "n_init": int(rng.choice([1, 1, 1, 2])),
            "random_state": self.number,
        }
        if method != "gradient" and parameters["alpha"] != "auto" and self.chance(0.01):
            # Every iteration is a convex program that CVXPY compiles: the smallest fits only.
            parameters |= {"solver": "cvxpy", "max_iter": 1, "n_members": 1, "n_init": 1}
        return (ImplicitClassifier if self.kind == "classifier" else ImplicitRegressor)(**parameters)

    def fitted(self, **parameters):
        """Return a fitted copy of the estimator, with these parameters in place of its own."""
        return clone(self.estimator).set_params(**parameters).fit(self.X, self.y, self.weights)

    def new_rows(self):
        """Return rows inside the range of the training rows: each column in an order of its own."""
        dense = self.X.toarray() if sparse.issparse(self.X) else self.X
        return self.rng.permuted(dense, axis=0)[:12]

    def __repr__(self):
        weights = "none" if self.weights is None else f"{self.weights.min():.2g} to {self.weights.max():.2g}"
        return f"{self.estimator!r} on X {type(self.X).__name__}{self.X.shape}, y {self.y.shape}, weights {weights}"


def outputs(model, X):
    """Return predictions as numbers (k, q), logits for classes."""
    return model.rule_.predict(model._check_inputs(X))


# The laws. Each takes the case and its fitted estimator.


def numbers_are_finite(case, model):
    arrays = [getattr(rule, name) for rule in model.rules_ for name in ("A", "B", "C", "D", "b", "c")]
    arrays += [outputs(model, case.X), outputs(model, case.new_rows()), model.transform(case.X)]
    arrays += [model.column_norms_, model.feature_importances_, model.sensitivity_, model.objective_history_]
    if case.estimator.alpha == "auto" and model.heldout_score_ is not None:
        arrays += [model.heldout_scores_, model.heldout_score_]
        if case.kind != "classifier":
            arrays += [*model.predict(case.X, return_std=True), model.predict_interval(case.X)]
    if case.kind == "classifier":
        arrays += [model.predict_proba(case.X), model.predict_log_proba(case.X)]
    for array in arrays:
        assert np.isfinite(array).all()


def state_weights_are_inside_their_ball(case, model):
    bound = model.kappa / max(get_activation(model.activation).lipschitz, 1.0)
    for rule in model.rules_:
        assert np.abs(rule.A).sum(axis=1).max() <= bound * (1 + 1e-9)


def column_budget_holds(case, model):
    if model.column_budget is not None:
        for rule in model.rules_:
            assert np.abs(rule.B).max(axis=0).sum() <= model.column_budget * (1 + 1e-9)


def structure_holds(case, model):
    if model.structure is None:
        return
    if np.ndim(model.structure) == 2:
        free = model.structure
    else:
        layer = np.repeat(np.arange(len(model.structure))[::-1], model.structure[::-1])
        free = layer[:, None] == layer + 1
    for rule in model.rules_:
        assert not rule.A[~free].any()


def row_is_predicted_as_in_a_batch(case, model):
    X = np.asarray(case.new_rows(), dtype=float)
    batch = outputs(model, X)
    alone = np.vstack([outputs(model, X[i : i + 1]) for i in range(len(X))])
    # Products round by what they add up; a large offset of the inputs makes that more than the sum.
    rule, inputs = model.rule_, model._check_inputs(X)
    U = np.abs(inputs)
    drive = U @ np.abs(rule.B).T + np.abs(rule.b)
    slope = max(rule.activation.lipschitz, 1.0)
    states = np.linalg.solve(np.eye(rule.n_hidden) - slope * np.abs(rule.A), slope * drive.T + 1.0).T
    rounding = states @ np.abs(rule.C).T + U @ np.abs(rule.D).T + np.abs(rule.c)
    # States are exact to 1e-10 of the largest one: of more than the prediction, where what is read of them cancels.
    read = np.abs(rule.states(inputs)).max(axis=1, keepdims=True) * np.abs(rule.C).sum(axis=1)
    size = np.maximum(np.abs(batch), read).max(axis=0, initial=0.0)
    assert np.all(np.abs(alone - batch) <= 1e-9 * size + (X.shape[1] + rule.n_hidden + 4) * EPS * rounding)


def same_seed_gives_the_same_rule(case, model):
    """Whatever the number of jobs."""
    if case.number % 3 == 0:
        again = case.fitted(n_jobs=2)
        for name in ("A", "B", "C", "D", "b", "c"):
            np.testing.assert_array_equal(getattr(again.rule_, name), getattr(model.rule_, name))


def objective_never_rises_within_a_stage(case, model):
    stages, values = model.objective_stages_, model.objective_history_
    for stage in np.unique(stages):
        assert np.all(np.diff(values[stages == stage]) <= 0)


LAWS = (
    numbers_are_finite,
    state_weights_are_inside_their_ball,
    column_budget_holds,
    structure_holds,
    row_is_predicted_as_in_a_batch,
    same_seed_gives_the_same_rule,
    objective_never_rises_within_a_stage,
)


def fit_or_refuse(case):
    """Return the fitted estimator, None if the case is refused; a refusal leaves the estimator as it was."""
    model = clone(case.estimator)
    before = dict(vars(model))
    try:
        return model.fit(case.X, case.y, case.weights)
    except (ValueError, TypeError) as error:
        refusal = str(error)
    assert vars(model) == before, "a fit that fails leaves the estimator as it was"
    assert any(word in refusal for word in REFUSALS), f"refused without naming what is wrong: {refusal}"
    return None


# What can be wrong with a case.
REFUSALS = (
    "column_budget",
    "so far apart",
    "needs samples of at least 2 classes",
    "ample weights must contain",
    "n_splits",
)


def broken_law(number, laws=LAWS):
    """Return what a case violates, as text, None where all laws hold; and whether it was fitted."""
    case, law = Case(number), fit_or_refuse
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no warning but that of an unfinished training
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = fit_or_refuse(case)
            for law in laws if model is not None else ():
                law(case, model)
    except Exception as error:  # whatever it is, the case belongs to it
        text = str(error).strip() or "assertion"
        return f"case {number}, {law.__name__}: {type(error).__name__}: {text}\n    {case!r}", True
    return None, model is not None


# Cases of the long profile that broke a law once, in turn: a state constant at 1e141, a singular program with a
# structure (twice), budgets over columns in units of 1e-147 and 1e10 by CVXPY (twice), curvature in which all cancels.
# A second fit of the same seed is left to the cases that are tried below.
@pytest.mark.slow
@pytest.mark.parametrize("number", [379, 750, 4958, 4437, 7631, 5480])
def test_mended(number):
    broken, _ = broken_law(number, [law for law in LAWS if law is not same_seed_gives_the_same_rule])
    assert broken is None, broken


@pytest.mark.slow_cases
@pytest.mark.parametrize("first", range(0, N_CASES, CHUNK) if ONE is None else [int(ONE)])
def test_laws(first):
    numbers = range(first, min(first + CHUNK, N_CASES)) if ONE is None else [first]
    results = [broken_law(number) for number in numbers]
    broken = [text for text, _ in results if text]
    assert not broken, "\n".join(
        [f"{len(broken)} of {len(numbers)}; SKIMPLICIT_FUZZ_CASE=n tries case n again", *broken]
    )
    assert len(numbers) < CHUNK or np.mean([fitted for _, fitted in results]) > 0.3  # most cases are not refused
