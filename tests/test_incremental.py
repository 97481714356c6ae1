"""``method="gradient"`` at the estimators: parameters, early stopping and ``partial_fit``."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from test_course import After

from skimplicit import (
    ImplicitClassifier,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
)
from skimplicit.activations import BlockActivation
from skimplicit.estimators import from_rule
from skimplicit.robustness import is_monotone
from skimplicit.training import StochasticGradient

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]
SMALL = {"random_state": 0, "max_iter": 30}


def friedman(m=200, seed=0):
    return make_friedman1(m, n_features=6, noise=0.3, random_state=seed)


def regressor(method="gradient", **parameters):
    return ImplicitRegressor(**{"method": method, **SMALL, "n_hidden": 6, "alpha": 0.03, **parameters})


def classifier(method="gradient", **parameters):
    return ImplicitClassifier(**{"method": method, **SMALL, "n_hidden": 4, "alpha": 0.01, **parameters})


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_fit(optimiser):
    X, y = friedman(300)
    model = regressor(StochasticGradient(optimiser=optimiser), max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.85
    assert model.rule_.inf_norm <= model.kappa
    assert np.all(np.diff(model.objective_history_) < 0) and not model.objective_stages_.any()
    np.testing.assert_allclose(model.rule_.predict(X).ravel(), model.predict(X), rtol=1e-9)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))
    assert model.validation_scores_ is None and model.best_validation_score_ is None


def test_classifier_fits():
    X, y = load_iris(return_X_y=True)
    assert classifier(max_iter=60).fit(X, y).score(X, y) > 0.95
    assert classifier().fit(X, y > 0).score(X, y > 0) > 0.99


def test_weight_is_repetition_and_order_does_not_matter():
    X, y = friedman(100)
    weights = np.random.default_rng(0).integers(0, 3, size=100)
    order = np.random.default_rng(1).permutation(100)
    expected = regressor().fit(np.repeat(X, weights, axis=0), np.repeat(y, weights)).predict(X)
    for rows in (slice(None), order):
        model = regressor().fit(X[rows], y[rows], sample_weight=weights[rows])
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-7)


@pytest.mark.parametrize("m", [100, 500])  # one batch, and several
def test_units_do_not_matter(m):
    X, y = friedman(m)
    expected = regressor().fit(X, y).predict(X)
    scaled = regressor().fit(1000 * X + 5, 0.01 * y - 3).predict(1000 * X + 5)
    np.testing.assert_allclose(100 * (scaled + 3), expected, rtol=1e-5)


def test_sparse_frames_callbacks_n_init_warm_start():
    X, y = friedman(100)
    dense = regressor().fit(X, y)
    np.testing.assert_allclose(regressor().fit(sparse.csr_array(X), y).predict(X), dense.predict(X), rtol=1e-5)
    best = regressor(n_init=3).fit(X, y)
    assert best.objective_history_[-1] <= dense.objective_history_[-1]
    again = clone(dense).set_params(warm_start=True).fit(X, y)
    reached = again.objective_history_[-1]
    assert again.fit(X, y).objective_history_[0] <= reached * (1 + 1e-3)


def test_verbose(capsys):
    model = regressor(verbose=1, max_iter=3).fit(*friedman(50))
    assert "iteration 1, stage 0" in capsys.readouterr().out
    model.partial_fit(*friedman(50))
    assert f"pass {model.n_iter_}: objective" in capsys.readouterr().out


def test_budget_holds_and_path_and_selector_work():
    X, y = friedman(150)
    model = regressor(column_budget=0.5).fit(X, y)
    assert model.column_norms_.sum() <= 0.5
    selector = ImplicitFeatureSelector(
        estimator=regressor(), column_budgets=2, n_features_to_select=2, cv=2, random_state=0
    ).fit(X, y)
    assert selector.support_.any()
    best = ImplicitRegressorCV(method="gradient", n_hidden=3, alphas=[0.01, 1.0], cv=2, max_iter=20, random_state=0)
    assert best.fit(X, y).alpha_ == 0.01
    assert not hasattr(best, "partial_fit")


def test_runs_out_of_epochs():
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        regressor(max_iter=3).fit(*friedman())


@pytest.mark.parametrize("make", [regressor, classifier])
def test_early_stopping(make):
    X, y = friedman(80)
    y = y if make is regressor else y > 14
    method = StochasticGradient(early_stopping=True, validation_fraction=0.25, n_iter_no_change=5)
    model = make(method, alpha=1e-4, n_hidden=20, max_iter=300).fit(X, y)
    assert model.validation_scores_.shape == (model.n_iter_,) and model.n_iter_ < 300
    assert model.best_validation_score_ == model.validation_scores_.max()
    assert model.validation_scores_.argmax() < model.n_iter_ - 1
    assert np.array_equal(clone(model).fit(X, y).validation_scores_, model.validation_scores_)


@pytest.mark.parametrize(("seed", "change"), [(0, {}), (1, {}), (1, {"monotonic_cst": [0, 1, 0, 0, 0, 0]})])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_the_best_score_is_that_of_the_rule_that_is_kept(make, seed, change):
    X, y = friedman(100)
    y = y if make is regressor else y > 14
    method = StochasticGradient(early_stopping=True, validation_fraction=0.25)
    model = make(method, alpha=1e-3, random_state=seed, **change).fit(X, y)
    task = model._make_task(X, model._encode(X, y, None))
    held_out = task.objective.over(task.held_out)
    score = 1 - held_out.loss_at(held_out.point_of(model.rule_), 1e-11) / held_out.null_loss
    assert model.best_validation_score_ == pytest.approx(score, abs=3e-4)


def test_an_interrupt_keeps_what_did_best_on_held_out_rows():
    X, y = friedman(80)
    method = StochasticGradient(early_stopping=True, validation_fraction=0.25, n_iter_no_change=300)
    model = regressor(method, alpha=1e-4, n_hidden=20, max_iter=300).set_callbacks(After(80, interrupt=True))
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(X, y)
    assert model.validation_scores_.argmax() < model.n_iter_ - 20  # long past it
    best = clone(model).set_params(max_iter=model.validation_scores_.argmax() + 1).set_callbacks()
    np.testing.assert_allclose(model.predict(X), best.fit(X, y).predict(X))


@pytest.mark.parametrize("seed", [0, 3])
def test_a_rule_is_kept_though_no_epoch_lowered_the_objective(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(20, 6)), rng.integers(0, 2, 20)
    method = StochasticGradient(early_stopping=True, learning_rate_init=1e4)  # every epoch raises it, on any machine
    model = ImplicitClassifier(n_hidden=2, alpha=0.0, max_iter=3, method=method, random_state=seed).fit(X, y)
    assert model.objective_history_.size == 1 and np.isfinite(model.decision_function(X)).all()


def test_the_record_is_what_was_accepted_whatever_rule_is_kept():
    rng = np.random.default_rng(16)
    X = rng.normal(size=(40, 4))
    y = np.abs(X[:, 0]) + rng.normal(size=40)
    method = StochasticGradient(early_stopping=True, learning_rate_init=0.2)
    model = regressor(method, n_hidden=2, alpha=1e-3, max_iter=8, random_state=16).fit(X, y)
    assert np.all(np.diff(model.objective_history_) < 0)


def test_classes_with_one_sample_are_trained_on():
    X, y = load_iris(return_X_y=True)
    X, y = X[:101], y[:101]  # one sample of the third class
    model = classifier(StochasticGradient(early_stopping=True, validation_fraction=0.3)).fit(X, y)
    assert model.predict_proba(X).shape == (101, 3) and np.isfinite(model.predict_log_proba(X)).all()


@pytest.mark.parametrize(
    "parameters, message",
    [
        (dict(constraints=lambda A, B: [B >= 0]), "constraints cannot be used with method='gradient'"),
        (dict(solver="cvxpy"), "solver='cvxpy' solves the equilibrium block"),
        (dict(solver="projected"), "solver='projected' solves the equilibrium block"),
        (dict(solver="adam"), "The 'solver' parameter of ImplicitRegressor must be"),
        (dict(method="adam"), "The 'method' parameter of ImplicitRegressor must be"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        regressor(**parameters).fit(*friedman(50))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(optimiser="lbfgs"), "The 'optimiser' parameter of StochasticGradient must be"),
        (dict(batch_size=0), "batch_size"),
        (dict(learning_rate_init=0.0), "learning_rate_init"),
        (dict(learning_rate_init=np.inf), "learning_rate_init"),
        (dict(early_stopping=True, validation_fraction=1.0), "validation_fraction"),
        (dict(n_iter_no_change=0), "n_iter_no_change"),
        (dict(early_stopping=True, validation_fraction=0.999), "early_stopping=True cannot hold out"),
        (dict(validation_fraction=0.3), "validation_fraction=0.3 has no effect without early_stopping=True"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        regressor(StochasticGradient(**options)).fit(*friedman(50))


# -- partial_fit --


def test_partial_fit_is_there_for_the_gradient_only():
    assert hasattr(regressor(), "partial_fit")
    assert not hasattr(regressor(StochasticGradient(early_stopping=True)), "partial_fit")
    model = ImplicitRegressor()
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        model.partial_fit  # noqa: B018


def test_partial_fit_learns_from_a_stream():
    X, y = friedman(4000)
    model = regressor(n_hidden=10)
    for rows in np.array_split(np.arange(3000), 30):
        model.partial_fit(X[rows], y[rows])
        assert model.rule_.inf_norm <= model.kappa
    early = model.score(X[3000:], y[3000:])
    for _ in range(8):
        for rows in np.array_split(np.arange(3000), 10):
            model.partial_fit(X[rows], y[rows])
    assert model.score(X[3000:], y[3000:]) > max(early, 0.85)
    assert model.n_iter_ == model.objective_history_.size == 110


def test_partial_fit_of_a_classifier():
    X, y = load_iris(return_X_y=True)
    y = np.array(["b", "a", "c"])[y]
    model = classifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    for _ in range(40):
        for label in "abc":
            model.partial_fit(X[y == label][::5], y[y == label][::5], classes=["a", "b", "c"])
        model.partial_fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c"] and model.score(X, y) > 0.9
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="classes must stay the same"):
        model.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="not in classes: \\['d'\\]"):
        model.partial_fit(X[:2], ["a", "d"])
    with pytest.raises(ValueError, match="class_weight='balanced' needs all samples"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=["a", "b", "c"])
    assert pickle.dumps(model) == before


def test_partial_fit_goes_on_from_fit():
    X, y = friedman(1000)
    model = regressor(max_iter=60).fit(X[:500], y[:500])
    value = model.objective_history_[-1]
    model.set_params(method=StochasticGradient(learning_rate_init=1e-12)).partial_fit(X[:500], y[:500])
    assert model.objective_history_[-1] == pytest.approx(value, rel=1e-3)
    bcd = ImplicitRegressor(n_hidden=4, alpha=0.03, max_iter=10, random_state=0).fit(X, y)
    r2 = bcd.score(X, y)
    bcd.set_params(method=StochasticGradient(learning_rate_init=1e-4)).partial_fit(X, y)
    assert bcd.score(X, y) > r2 - 0.01


@pytest.mark.parametrize("sizes", [[1] * 12, [4, 5, 3], [9, 1, 2]])
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array, lambda X: X if len(X) % 2 else sparse.csr_array(X)])
def test_few_rows_at_first_are_taken_together(sizes, as_given):
    X, y = friedman(12)
    model, known, ends = regressor(), regressor(), np.cumsum(sizes)
    for first, end in zip(ends - sizes, ends, strict=True):
        model = pickle.loads(pickle.dumps(model)).partial_fit(as_given(X[first:end]), y[first:end])
        # As one that is first given all rows so far, and after ten of them goes on.
        if first < 10:
            known = regressor().partial_fit(X[:end], y[:end])
        else:
            known.partial_fit(X[first:end], y[first:end])
        np.testing.assert_allclose(model.predict(X), known.predict(X), rtol=1e-7)
    assert model.n_iter_ == len(model.objective_history_) == len(sizes) and model._beginning is None


@pytest.mark.parametrize("unit", [1e8, 1e-8])
def test_units_of_a_stream_of_single_rows_do_not_matter(unit):
    X, y = friedman(200)
    plain, other = regressor(), regressor()
    for k in np.tile(np.arange(200), 3):
        plain.partial_fit(X[k : k + 1], y[k : k + 1])
        other.partial_fit(X[k : k + 1] / unit, y[k : k + 1] * unit)
    assert plain.score(X, y) > 0.7
    np.testing.assert_allclose(other.predict(X / unit), plain.predict(X) * unit, rtol=1e-6)


def test_few_rows_again_and_again_are_learnt():
    X, y = friedman(10)
    model = regressor(StochasticGradient(learning_rate_init=0.02))
    for _ in range(300):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


def test_a_rule_goes_on_with_few_rows_as_with_many():
    X, y = friedman(100)
    rule = regressor(n_members=1).fit(X, y).rule_
    few, many = (ImplicitRegressor.from_rule(rule, method="gradient", alpha=0.03, random_state=0) for _ in range(2))
    for k in range(10):
        few.partial_fit(X[k : k + 1], y[k : k + 1])
    np.testing.assert_allclose(few.predict(X), many.partial_fit(X[:10], y[:10]).predict(X), rtol=1e-7)


def test_few_rows_of_a_classifier_are_taken_together():
    X, y = load_iris(return_X_y=True)
    X, y = X[::15], y[::15]
    few, many = classifier(), classifier().partial_fit(X, y, classes=[0, 1, 2])
    for k in range(len(y)):
        few.partial_fit(X[k : k + 1], y[k : k + 1], classes=[0, 1, 2])
    np.testing.assert_allclose(few.predict_proba(X), many.predict_proba(X), rtol=1e-7)
    with pytest.raises(ValueError, match="2 outputs"):
        regressor().partial_fit(X[:2], X[:2, 0]).partial_fit(X[:2], X[:2, :2])
    assert few.fit(X, y)._beginning is None


def test_inputs_constant_in_the_first_call_count_later():
    X, y = friedman(500)
    first = X[:20].copy()
    first[:, 0] = 0.5
    model = regressor(StochasticGradient(learning_rate_init=0.02)).partial_fit(first, y[:20])
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.column_norms_[0] > 0 and model.feature_importances_[0] > 0


@pytest.mark.parametrize("monotonic_cst", [None, [0, 1]])
def test_an_input_that_varies_later_can_bend(monotonic_cst):
    X = np.random.default_rng(0).normal(size=(400, 2))
    y = np.abs(X[:, 0]) + 0.5 * X[:, 1]  # the first is even: zero weights of it are a saddle
    first = X[:40] * [0, 1]
    model = regressor(alpha=1e-3, monotonic_cst=monotonic_cst).partial_fit(first, y[:40])
    for rows in np.split(np.arange(400), 10) * 15:
        model.partial_fit(X[rows], y[rows])
    assert model.score(X, y) > 0.9
    assert monotonic_cst is None or is_monotone(model, 1) == 1


@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_units_of_an_input_that_varies_later_do_not_matter(shift, as_given):
    X, y = friedman(200)
    X[:40, 1] = shift

    def trained(unit):
        model = regressor()
        for rows in np.split(np.arange(200), 5) * 4:
            model.partial_fit(as_given(X[rows] * unit), y[rows])
        return model

    plain = trained(1.0)
    assert plain.score(X, y) > 0.5 and np.all(plain.feature_importances_ > 0)
    for unit in (1e9, 1e-9, 1e200):
        np.testing.assert_allclose(trained(unit).predict(X * unit), plain.predict(X), rtol=1e-6)


@pytest.mark.parametrize("begin, unit", [("fit", 1e-6), ("partial_fit", 1e6)])
def test_units_of_a_target_that_varies_later_do_not_matter(begin, unit):
    X, y = friedman(200)
    Y = np.column_stack([y, y])
    Y[:40, 0] = 0.0

    def trained(unit):
        model = getattr(regressor(), begin)(X[:40], Y[:40] * [unit, 1.0])
        for rows in np.split(np.arange(40, 200), 4) * 5:
            model.partial_fit(X[rows], Y[rows] * [unit, 1.0])
        return model.predict(X) / [unit, 1.0]

    np.testing.assert_allclose(trained(unit), trained(1.0), rtol=1e-6)


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_a_target_that_varies_later_may_be_far_from_what_it_was(begin):
    X, y = friedman(200)
    Y = np.column_stack([y, 1000.0 + y])

    def trained(at_first):
        Y[:40, 1] = at_first
        model = getattr(regressor(), begin)(X[:40], Y[:40])
        for rows in np.split(np.arange(40, 200), 4) * 5:
            model.partial_fit(X[rows], Y[rows])
        return model.predict(X[40:])[:, 1]

    near, far = trained(1000.0 + y[40:80].mean()), trained(0.0)
    assert np.abs(far - near).max() < 0.1 * y.std()


def test_an_input_has_no_part_until_it_varies():
    X, y = friedman(120)
    X[:40, 1], X[40:80, 1], X[80:, 1] = 3.0, 3.0, 5.0
    model = regressor().partial_fit(X[:40], y[:40]).partial_fit(X[40:80], y[40:80])
    assert not model.rule_.B[:, 1].any() and not model.rule_.D[:, 1].any() and model.feature_importances_[1] == 0
    model.partial_fit(X[80:], y[80:])  # constant again, but another number
    assert model.rule_.B[:, 1].any() and model._units.units.U_scale[1] == 2.0


def test_a_rule_keeps_its_weights_of_an_input_that_is_constant_at_first():
    X, y = friedman(80)
    rule = regressor(n_members=1).fit(X, y).rule_
    X[:40, 1] = 0.5
    model = regressor().from_rule(rule).set_params(method="gradient", alpha=0.03, n_hidden=6)
    model.partial_fit(X[:40], y[:40])
    np.testing.assert_allclose(model.rule_.B[:, 1], rule.B[:, 1], atol=0.1)
    assert model.rule_.B[:, 1].any()


def test_partial_fit_that_fails_leaves_the_estimator():
    X, y = friedman(100)
    model = regressor(StochasticGradient(optimiser="sgd")).partial_fit(X, y)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="n_hidden=6"):
        model.set_params(n_hidden=7).partial_fit(X, y)
    with pytest.raises(ValueError, match="partial_fit diverged with learning_rate_init"):
        model.set_params(n_hidden=6, method__learning_rate_init=1e200).partial_fit(X, y)
    assert pickle.dumps(model.set_params(method__learning_rate_init=0.01)) == before
    with pytest.raises(ValueError, match="2 outputs|y should be a 1d"):
        model.partial_fit(X, np.column_stack([y, y]))


def test_partial_fit_is_reproducible_through_a_pickle():
    X, y = friedman(500)
    model = regressor().partial_fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.partial_fit(X, y).predict(X), copy.partial_fit(X, y).predict(X))


def test_partial_fit_of_sparse_as_of_dense():
    X, y = friedman(300)
    dense, mixed = regressor(), regressor()
    for k in range(4):
        dense.partial_fit(X, y)
        mixed.partial_fit(sparse.csr_array(X) if k % 2 else X, y)
    np.testing.assert_allclose(mixed.predict(X), dense.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [dict(method=StochasticGradient(optimiser="sgd")), dict(column_budget=0.5), dict(direct=False), dict(kappa=0.2)],
)
def test_parameters_can_change_between_calls(change):
    X, y = friedman()
    model = regressor().partial_fit(X, y).set_params(**change).partial_fit(X, y)
    assert model.rule_.inf_norm <= model.kappa
    assert model.column_budget is None or model.column_norms_.sum() <= model.column_budget


@pytest.mark.parametrize("make", [ImplicitRegressor, ImplicitClassifier])
@pytest.mark.parametrize(
    "change",
    [{"alpha": -1.0}, {"kappa": 1.5}, {"lipschitz": -1.0}, {"tol": "a"}, {"n_members": 0}, {"clip": "no"}],
    ids=str,
)
def test_parameters_that_are_set_between_calls_are_looked_at(make, change):
    X, labels = np.random.default_rng(0).normal(size=(20, 2)), np.tile([0, 1], 10)
    model = make(n_hidden=2, method="gradient", alpha=0.1, max_iter=1, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, labels)
    rule = model.rule_
    (name,) = change
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {make.__name__} must be"):
        model.set_params(**change).partial_fit(X, labels)
    assert model.rule_ is rule


def test_blocks_of_activations_are_refused_by_partial_fit_as_by_fit():
    rule = ImplicitRule(np.eye(2) / 2, np.eye(2), np.eye(2)[:1], activation=BlockActivation([("relu", 1), ("tanh", 1)]))
    with pytest.raises(ValueError, match="The 'activation' parameter of ImplicitRegressor must be"):
        ImplicitRegressor.from_rule(rule, method="gradient").partial_fit(np.eye(2), [0.0, 1.0])


def test_best_score_is_that_of_the_rule_in_its_budget():
    X, y = friedman(100)
    model = regressor(
        StochasticGradient(early_stopping=True, validation_fraction=0.3), column_budget=0.05, max_iter=60
    ).fit(X, y)
    assert model.column_norms_.sum() <= 0.05
    assert model.validation_scores_.size < model.n_iter_
    assert model.best_validation_score_ == model.validation_scores_.max()


def test_importances_wait_until_somebody_looks(monkeypatch):
    X, y = friedman()
    eager, looks = regressor(), []
    compute = from_rule.input_importances
    monkeypatch.setattr(from_rule, "input_importances", lambda *arguments: looks.append(1) or compute(*arguments))
    for _ in range(3):
        eager.partial_fit(X, y).feature_importances_  # noqa: B018
    assert len(looks) == 3
    waiting = regressor()
    for _ in range(3):
        waiting.partial_fit(X, y)
    assert len(looks) == 3 and "feature_importances_" not in vars(waiting)
    # What is stored, or copied, has the numbers and none of the rows.
    stored = pickle.loads(pickle.dumps(waiting))
    assert len(looks) == 4 and vars(stored)["_judged_rows"] is None
    for model in (stored, waiting, eager):
        np.testing.assert_array_equal(model.feature_importances_, eager.feature_importances_)
    assert len(looks) == 4 and vars(waiting)["_judged_rows"] is None
    # They are those of the last call, also after somebody has looked, and of a fit at once.
    before = eager.feature_importances_
    assert not np.array_equal(eager.partial_fit(X[:50], y[:50]).feature_importances_, before)
    assert "feature_importances_" in vars(eager.fit(X, y))


def test_a_batch_of_classes_without_weight_is_refused():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.repeat([0, 1], 10)
    model = ImplicitClassifier(n_hidden=3, alpha=0.01, method="gradient", class_weight={0: 0.0, 1: 1.0})
    with pytest.raises(ValueError, match="class_weight"):
        model.partial_fit(X[:10], y[:10], classes=[0, 1])
    assert not hasattr(model, "rule_")


@pytest.mark.parametrize("first", [True, False])
def test_intercepts_are_there_from_the_first_call_on_or_never(first):
    X, y = friedman(50)
    model = regressor(fit_intercept=first).partial_fit(X, y).set_params(fit_intercept=not first)
    with pytest.raises(ValueError, match=f"fit_intercept={first}, got {not first}"):
        model.partial_fit(X, y)
    around = ImplicitRegressor.from_rule(model.rule_, method="gradient", fit_intercept=False).partial_fit(X, y)
    assert not around.rule_.b.any() and not around.rule_.c.any()


def test_no_more_members_go_on_than_are_wanted():
    X, y = friedman(50)
    two = regressor(n_members=2).partial_fit(X, y)
    first = two.rules_[0].predict(X).ravel()
    one = two.set_params(n_members=1, method=StochasticGradient(learning_rate_init=1e-12)).partial_fit(X, y)
    assert len(one.rules_) == 1
    np.testing.assert_allclose(one.predict(X), first, rtol=1e-6)
