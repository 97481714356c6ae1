"""Inputs that the default leaves out, as long as held-out rows are clearly better predicted without."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, marginal_screening
from skimplicit.estimators import cross_fit_choice, cross_fitting, relevance_choice, training_rows
from skimplicit.rows import LARGEST_MATRIX
from skimplicit.training import StochasticGradient

SMALL = dict(n_hidden=4, cv=2, max_iter=10, random_state=0)
LARGER = {**SMALL, "cv": 3, "max_iter": 12}
SMALLER = {**SMALL, "n_hidden": 3, "max_iter": 6}
N_INPUTS, ACTING = 24, 3


def make_data(m=150, seed=0, p=N_INPUTS):
    """Return inputs of which the first three act, and a bent target."""
    random = np.random.RandomState(seed)
    X = random.standard_normal((m, p))
    y = 2 * np.abs(X[:, 0]) + X[:, 1] + np.maximum(X[:, 1] + X[:, 2], 0) + 0.2 * random.standard_normal(m)
    return X, y


def never(monkeypatch):
    monkeypatch.setattr(relevance_choice, "_MANY_INPUTS", 10**6)


@pytest.fixture(scope="module")
def model():
    return ImplicitRegressor(**SMALL).fit(*make_data())


@pytest.fixture
def smaller(short_ladder):
    return smaller_once()


@cache
def smaller_once():
    return ImplicitRegressor(**SMALLER).fit(*make_data())


@pytest.mark.slow
def test_those_that_matter_least_are_left_out(model):
    left = model.relevance_ > 0
    assert left[:ACTING].all() and left.sum() <= N_INPUTS // 2
    assert_allclose(np.mean(model.relevance_[left] ** 2), 1.0)
    for rule in (model.rule_, *model.rules_):
        assert np.all(rule.B[:, ~left] == 0) and np.all(rule.D[:, ~left] == 0)
    X, _ = make_data(50, seed=1)
    other = X.copy()
    other[:, ~left] = 7.0
    assert_allclose(model.predict(other), model.predict(X), rtol=1e-12)
    assert np.all(model.feature_importances_[~left] == 0)


@pytest.mark.slow
def test_new_rows_are_better_predicted(monkeypatch):
    new, target = make_data(2000, seed=10)

    def errors():
        return np.array([1 - ImplicitRegressor(**SMALL).fit(*make_data(150, s)).score(new, target) for s in range(2)])

    without = errors()
    never(monkeypatch)
    with_all = errors()
    assert np.all(without <= with_all) and np.mean(without) < 0.8 * np.mean(with_all)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])  # all of 0 to 7 have more than .98
def test_what_is_bent_is_not_lost_where_more_than_half_goes_at_once(seed):
    new, target = make_data(2000, seed=10, p=150)
    model = ImplicitRegressor(**SMALL).fit(*make_data(300, seed, p=150))  # the rule of all inputs has R2 .5
    assert np.all(model.relevance_[:ACTING] > 0) and np.count_nonzero(model.relevance_) <= 32
    assert model.score(new, target) > 0.95


def test_of_more_inputs_than_a_matrix_is_made_of(short_ladder, monkeypatch):
    random = np.random.RandomState(0)
    X = random.standard_normal((100, LARGEST_MATRIX + 1))
    y = 2 * X[:, 7] - X[:, 4000] + 0.1 * random.standard_normal(100)
    given = {**SMALLER, "max_iter": 3}
    model = ImplicitRegressor(**given).fit(csr_array(X), y)
    assert np.all(model.relevance_[[7, 4000]] > 0) and np.count_nonzero(model.relevance_) <= 32
    monkeypatch.setattr(relevance_choice, "_MOST_INPUTS", LARGEST_MATRIX)
    assert ImplicitRegressor(**given).fit(csr_array(X), y).relevance_ is None


def test_a_half_that_is_no_worse_is_gone_through(short_ladder, monkeypatch):
    above = iter([-2.0, -0.5, -1.5])  # half of them are clearly better, a quarter is not, an eighth is
    monkeypatch.setattr(cross_fit_choice.CrossFit, "standard_errors_above", lambda choice, other: next(above))
    monkeypatch.setattr(relevance_choice, "_are_in_vain", lambda *given: False)
    model = ImplicitRegressor(**SMALLER).fit(*make_data(p=40))
    assert np.count_nonzero(model.relevance_) == 5 and next(above, None) is None


def test_a_half_that_is_worse_ends_it(short_ladder, monkeypatch):
    above = iter([-2.0, 0.5])
    monkeypatch.setattr(cross_fit_choice.CrossFit, "standard_errors_above", lambda choice, other: next(above))
    monkeypatch.setattr(relevance_choice, "_are_in_vain", lambda *given: False)
    model = ImplicitRegressor(**SMALLER).fit(*make_data(p=40))
    assert np.count_nonzero(model.relevance_) == 20 and next(above, None) is None


def test_what_stands_out_is_asked_of_own_rows_alone(short_ladder, monkeypatch):
    X, y = make_data(300, p=80)
    asked = []
    monkeypatch.setattr(
        cross_fitting, "OneInputStates", lambda *given: asked.append(given) or marginal_screening.OneInputStates(*given)
    )
    monkeypatch.setattr(cross_fitting, "_MOST_ROWS_ALONE", 100)
    seen = []
    standing_out = cross_fitting.Member.standing_out
    monkeypatch.setattr(
        cross_fitting.Member,
        "standing_out",
        lambda member, most: (seen.append((member, most)), standing_out(member, most))[1],
    )
    ImplicitRegressor(**{**SMALLER, "max_iter": 2}).fit(X, y)
    assert len(asked) == len(seen) == 2
    for (_, targets, rows, _, _), (member, most) in zip(asked, seen, strict=True):
        assert most == 16 and rows.size == len(targets.Y) == 100
        assert np.isin(rows, member.fold.train).all() and not np.isin(rows, member.fold.test).any()


def test_held_out_rows_foresee_the_score(model):
    new, target = make_data(2000, seed=10)
    assert abs(model.heldout_score_ - model.score(new, target)) < 0.05
    lower, upper = model.predict_interval(new).T
    assert 0.85 < np.mean((lower <= target) & (target <= upper)) < 0.97
    mean, deviation = model.predict(new, return_std=True)
    assert_allclose(mean, model.predict(new))
    assert np.all(np.isfinite(deviation) & (deviation > 0))


@pytest.mark.slow
def test_of_classes(monkeypatch):
    X, score = make_data(300)
    new, score_of_new = make_data(1000, seed=10)
    y, target = (np.digitize(values, np.quantile(score, [0.3, 0.7])) for values in (score, score_of_new))
    model = ImplicitClassifier(**LARGER).fit(X, y)
    assert 0 < np.count_nonzero(model.relevance_) < N_INPUTS
    never(monkeypatch)
    other = ImplicitClassifier(**LARGER).fit(X, y)
    assert log_loss(target, model.predict_proba(new)) < 0.9 * log_loss(target, other.predict_proba(new))


@pytest.mark.slow
def test_where_all_matter_none_is(monkeypatch):
    random = np.random.RandomState(0)
    X = random.standard_normal((150, 20))
    y = X @ np.ones(20) + np.abs(X[:, 0])
    model = ImplicitRegressor(**SMALL).fit(X, y)
    assert model.relevance_ is None or np.all(model.relevance_ > 0)
    never(monkeypatch)
    other = ImplicitRegressor(**SMALL).fit(X, y)
    assert_allclose(model.predict(X), other.predict(X), rtol=1e-12)
    assert model.n_iter_ > other.n_iter_


@pytest.mark.parametrize("given", [dict(alpha=0.1, cv=None, max_iter=100), dict(column_budget=1.0)], ids=str)
def test_who_says_what_inputs_may_do_keeps_all(short_ladder, given):
    assert ImplicitRegressor(**{**SMALLER, **given}).fit(*make_data()).relevance_ is None


def test_of_few_inputs_none_is():
    model = ImplicitRegressor(**SMALL).fit(*make_data(p=16))
    assert model.relevance_ is None or np.all(model.relevance_ > 0)


def test_of_so_many_classes_that_a_path_is_dear_none_is(short_ladder, monkeypatch):
    X, score = make_data(300)
    y = np.digitize(score, np.quantile(score, [0.3, 0.7]))
    monkeypatch.setattr(relevance_choice, "_MOST_READOUT", 3 * (4 + N_INPUTS // 2 + 1) - 1)
    tried = []
    monkeypatch.setattr(relevance_choice, "cross_fit", lambda *given: tried.append(given))
    ImplicitClassifier(**SMALL).fit(X, y)
    assert not tried


@pytest.mark.slow
def test_threads_units_and_sparsity_change_nothing(smaller):
    X, y = make_data()
    assert 0 < np.count_nonzero(smaller.relevance_) < N_INPUTS
    assert np.array_equal(ImplicitRegressor(**SMALLER, n_jobs=2).fit(X, y).predict(X), smaller.predict(X))
    other = csr_array(X * 2.0 ** np.arange(-12, 12))
    assert_allclose(ImplicitRegressor(**SMALLER).fit(other, 8 * y).relevance_, smaller.relevance_, rtol=1e-4)


def test_an_input_that_never_varies_changes_nothing(smaller):
    X, y = make_data()
    wider = np.hstack([np.full((150, 1), 3.0), X[:, :5], np.zeros((150, 2)), X[:, 5:]])
    other = ImplicitRegressor(**SMALLER).fit(wider, y)
    assert_allclose(other.predict(wider), smaller.predict(X), rtol=1e-5, atol=1e-5)
    assert_allclose(np.delete(other.relevance_, [0, 6, 7]), smaller.relevance_, rtol=1e-4)


def interrupting(monkeypatch, owner, name, after):
    """Let a method end in an interrupt when it has been called so often."""
    done, method = [], getattr(owner, name)

    def wrapped(*given, **more):
        done.append(None)
        if len(done) > after:
            raise KeyboardInterrupt
        return method(*given, **more)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.mark.slow
@pytest.mark.parametrize("after", [2, 3, 4])
def test_what_there_is_before_an_interrupt_is_kept(monkeypatch, after):
    X, y = make_data()
    # Both members have risen with all inputs, then with half of them, and so on.
    interrupting(monkeypatch, cross_fitting.Member, "rise", after)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = ImplicitRegressor(**SMALL).fit(X, y)
    assert (model.relevance_ is None) == (after < 4)
    assert model.score(X, y) > 0.5 and np.isfinite(model.heldout_score_)


def test_an_interrupt_while_it_is_asked_what_stands_out_keeps_the_rule_of_all(short_ladder, monkeypatch):
    X, y = make_data(p=70)
    interrupting(monkeypatch, cross_fitting.Member, "standing_out", 1)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = ImplicitRegressor(**SMALL).fit(X, y)
    assert model.relevance_ is None and model.score(X, y) > 0.5


def test_members_that_have_risen_rise_once(short_ladder, monkeypatch):
    risen = []
    rise = cross_fitting.Member.rise
    monkeypatch.setattr(
        cross_fitting.Member, "rise", lambda member, bridge: (risen.append(member), rise(member, bridge))
    )
    crossed = []
    cross_fit = cross_fit_choice.cross_fit
    monkeypatch.setattr(
        relevance_choice, "cross_fit", lambda members, *given: (crossed.append(members), cross_fit(members, *given))[1]
    )
    ImplicitRegressor(**SMALLER).fit(*make_data())
    assert crossed and len(risen) == len(set(map(id, risen)))


def test_a_warm_start_and_a_pass_leave_them_out_too(short_ladder):
    X, y = make_data()
    model = ImplicitRegressor(**SMALLER, n_members=1, warm_start=True).fit(X, y)
    relevance = model.relevance_
    assert 0 < np.count_nonzero(relevance) < N_INPUTS
    model.fit(X, y)
    assert model.relevance_ is relevance and np.all(model.rule_.B[:, relevance == 0] == 0)
    model.set_params(method="gradient").partial_fit(X, y)
    assert model.relevance_ is relevance
    assert np.all(model.rule_.B[:, relevance == 0] == 0) and np.all(model.rule_.D[:, relevance == 0] == 0)


def test_a_pass_at_a_given_ridge_takes_them_in_again(short_ladder):
    X, y = make_data()
    one_batch = StochasticGradient(batch_size=150)
    model = ImplicitRegressor(**SMALLER, n_members=1, clip=False).fit(X, y)
    other = ImplicitRegressor.from_rule(model.rule_, method=one_batch, random_state=0, alpha=0.1)
    other.partial_fit(X, y)
    left_out = model.relevance_ == 0
    model.set_params(method=one_batch, alpha=0.1).partial_fit(X, y)
    assert model.relevance_ is None
    assert_allclose(model._units.U_scale, X.std(axis=0))
    assert np.any(model.rule_.D[:, left_out] != 0)
    assert_allclose(model.predict(X), other.predict(X), rtol=1e-9)


@pytest.mark.slow
def test_of_many_rows(monkeypatch):
    monkeypatch.setattr(training_rows, "MANY_ROWS", 600)
    X, y = make_data(610, p=50)
    model = ImplicitRegressor(**SMALL).fit(X, y)
    left_out = model.relevance_ == 0
    assert left_out.any() and not left_out[:ACTING].any()
    assert np.all(model.rule_.B[:, left_out] == 0)


def test_signs_hold(short_ladder):
    X, y = make_data()
    model = ImplicitRegressor(**SMALLER, monotonic_cst=[0, 1] + (N_INPUTS - 2) * [0]).fit(X, y)
    assert 0 < np.count_nonzero(model.relevance_) < N_INPUTS
    assert min((rule.B[:, 1] * np.sign(rule.C[0])).min() for rule in model.rules_) >= 0


def test_a_selector_uses_what_it_has_selected(short_ladder, shortest_paths):
    X, y = make_data()
    alone = ImplicitRegressor(**SMALLER).fit(X[:, :20], y)
    selector = ImplicitFeatureSelector(
        ImplicitRegressor(**SMALLER), n_features_to_select=20, column_budgets=1, cv=2, random_state=0
    ).fit(X, y)
    assert np.any(alone.relevance_ == 0)
    assert selector.estimator_.relevance_ is None or np.all(selector.estimator_.relevance_ > 0)
    assert np.all(selector.estimator_.column_norms_ > 0)


def test_of_an_input_that_has_never_varied_nothing_is_known(short_ladder):
    X, y = make_data(p=8)
    wider = np.hstack([np.ones((150, 1)), X])
    model = ImplicitRegressor(**SMALLER, warm_start=True).fit(wider, y)
    assert model.relevance_[0] == 1.0
    assert_allclose(np.mean(model.relevance_[1:] ** 2), 1.0)
