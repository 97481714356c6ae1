"""``n_hidden="auto"``: as many states as rows that were held out speak for."""

import pickle
from functools import cache

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_wine, make_friedman1
from sklearn.model_selection import GroupKFold

from skimplicit import (
    ImplicitClassifier,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    implicit_path,
)
from skimplicit.estimators import growing, members
from skimplicit.estimators.automatic import FALLBACK_ALPHA

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = make_friedman1(120, n_features=5, noise=1.0, random_state=0)
QUICK = {"n_hidden": "auto", "max_iter": 2, "cv": 2, "random_state": 0}
SIZES = (2, 4, 8, 16)


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    """The laws hold for any numbers."""
    monkeypatch.setattr(growing, "_SIZES", SIZES)


any_ridge = pytest.mark.usefixtures("short_ladder")


@cache  # under `any_ridge`
def fitted():
    return ImplicitRegressor(**QUICK).fit(X, Y)


@pytest.mark.slow
@any_ridge
def test_the_number_stops_growing_where_held_out_rows_no_longer_gain():
    model = fitted()
    n = model.rules_[0].n_hidden
    assert model.n_hidden == "auto" and n in SIZES
    fits = {k: ImplicitRegressor(**{**QUICK, "n_hidden": k}).fit(X, Y) for k in SIZES[: SIZES.index(n) + 2]}
    assert max(fits, key=lambda k: np.max(fits[k].heldout_scores_)) == n
    # Whoever writes the number down that was found gets the same rules.
    for found, given in zip(model.rules_, fits[n].rules_, strict=False):
        np.testing.assert_array_equal(found.B, given.B)
    # Those of other numbers stand beside them whose held-out errors are not clearly larger.
    apart = {k: (fits[k].heldout_prediction_ - Y) ** 2 - (fits[n].heldout_prediction_ - Y) ** 2 for k in fits if k != n}
    level = [k for k, d in apart.items() if d.mean() < 1.5 * d.std() / np.sqrt(d.size)]
    others = [rule.n_hidden for rule in model.rules_[len(fits[n].rules_) :]]
    assert others == [k for k in level for _ in fits[n].rules_]


def of_several_numbers(**given):
    """Return a model whose held-out rows speak for several numbers of states, and its options and targets."""
    Z = Y + 3 * np.random.default_rng(1).standard_normal(Y.size)
    options = {**QUICK, "max_iter": 5, **given}
    return ImplicitRegressor(**options).fit(X, Z), options, Z


@pytest.mark.slow
def test_a_mean_of_several_numbers_is_one_in_all_that_is_told():
    model, options, Z = of_several_numbers()
    numbers = dict.fromkeys(rule.n_hidden for rule in model.rules_)
    assert len(numbers) >= 2
    fits = [ImplicitRegressor(**{**options, "n_hidden": n}).fit(X, Z) for n in numbers]
    for told in (
        lambda m: m.predict(X),
        lambda m: m.heldout_prediction_,
        lambda m: np.sum([rule.predict(X) for rule in m._residuals.rules], axis=0),
    ):
        np.testing.assert_allclose(told(model), np.mean([told(fit) for fit in fits], axis=0), rtol=1e-9)
    assert model.heldout_score_ > np.mean([fit.heldout_score_ for fit in fits])
    assert np.all(model.sensitivity_ <= np.mean([fit.sensitivity_ for fit in fits], axis=0) * (1 + 1e-9))
    assert model.n_iter_ == sum(fit.n_iter_ for fit in fits)
    assert model.objective_history_.size == sum(fit.objective_history_.size for fit in fits)
    assert np.all(np.diff(model.objective_stages_) >= 0)
    assert model.alpha_ == fits[0].alpha_
    # What comes of it.
    n = sum(rule.n_hidden for rule in model.rules_)
    assert model.transform(X).shape[1] == len(model.get_feature_names_out()) == model.rule_.n_hidden == n
    lower, upper = model.predict_interval(X, 0.8).T
    assert np.all(lower < upper)
    assert np.all(model.predict(X, return_std=True)[1] > 0)
    around = ImplicitRegressor.from_rule(model.rule_)
    np.testing.assert_allclose(around.sensitivity_, model.sensitivity_)
    assert model.feature_importances_.shape == (5,) and np.all(model.feature_importances_ > 0)
    assert not hasattr(model, "_trained") and not hasattr(fits[0], "_trained")


@pytest.mark.slow
def test_one_rule_that_is_wanted_stays_one():
    model, _, _ = of_several_numbers(n_members=1)
    assert len(model.rules_) == 1


@pytest.mark.slow
@any_ridge
def test_any_random_state_gives_all_numbers_the_same_folds():
    seed = np.random.RandomState(1).randint(np.iinfo(np.int32).max)  # that of all numbers, drawn once
    first, second = (
        ImplicitRegressor(**{**QUICK, "random_state": each}).fit(X[:40], Y[:40])
        for each in (np.random.RandomState(1), seed)
    )
    np.testing.assert_array_equal(first.rule_.B, second.rule_.B)


@any_ridge
def test_a_splitter_without_a_seed_gives_all_numbers_the_same_folds():
    calls = []

    class Drawn(GroupKFold):
        def split(self, X, y=None, groups=None):
            calls.append(groups)
            return super().split(X, y, groups)

    groups = np.arange(40)
    with sklearn.config_context(enable_metadata_routing=True):
        model = ImplicitRegressor(**(QUICK | {"cv": Drawn(2)})).fit(X[:40], Y[:40], groups=groups)
    assert len(calls) == 1  # not one for each number
    np.testing.assert_array_equal(calls[0], groups)
    assert isinstance(model.cv, Drawn)


def test_an_input_is_left_out_if_all_numbers_leave_it_out(short_ladder, monkeypatch):
    random = np.random.RandomState(3)
    U = random.standard_normal((150, 20))
    y = 2 * np.abs(U[:, 0]) + U[:, 1] + 0.3 * random.standard_normal(150)
    left_out = iter([[2, 5, 6], [5, 6, 7], [6]])

    def relevance(estimator, choice, *given):
        factors = np.full(20, 0.5)
        factors[next(left_out)] = 0.0
        return choice, factors

    monkeypatch.setattr(members, "choose_relevance", relevance)
    monkeypatch.setattr(growing, "_SIZES", SIZES[:3])
    monkeypatch.setattr(growing, "_WORTHWHILE", -np.inf)
    monkeypatch.setattr(growing, "_TOLD_APART", np.inf)
    model = ImplicitRegressor(**QUICK).fit(U, y)
    assert len({rule.n_hidden for rule in model.rules_}) == 3
    np.testing.assert_allclose(model.relevance_[[6, 0, 5, 2]] ** 2, 0.25 * np.array([0, 1, 1 / 3, 2 / 3]))
    assert np.flatnonzero(model.relevance_ == 0).tolist() == [6]
    used = np.abs(model.rule_.B).max(axis=0) + np.abs(model.rule_.D).max(axis=0) > 0
    assert np.flatnonzero(~used).tolist() == [6]
    # What is told of the rule is so: its mean derivative, in deviations.
    move, j = 1e-5 * U.std(axis=0)[2], 2
    there, here = (model.rule_.predict(U + sign * move * np.eye(20)[j]) for sign in (1, -1))
    assert model.feature_importances_[j] == pytest.approx(
        np.sqrt(np.mean((there - here) ** 2)) / 2e-5 / y.std(), rel=1e-3
    )


def test_straight_data_need_few_states():
    model = ImplicitRegressor(**QUICK).fit(X, X @ np.arange(5.0))
    assert model.rules_[0].n_hidden <= 4


@pytest.mark.slow
@any_ridge
def test_classes():
    U, labels = load_wine(return_X_y=True)
    model = ImplicitClassifier(**QUICK).fit(U, labels)
    assert model.score(U, labels) > 0.9
    assert model.transform(U[:3]).shape == (3, model.rule_.n_hidden)
    assert len(model.get_feature_names_out()) == model.rule_.n_hidden


@pytest.mark.slow
@any_ridge
def test_same_seed_same_rule_and_pickle():
    model, again = fitted(), ImplicitRegressor(**QUICK).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@pytest.mark.parametrize("n_hidden", ["auto", 2])
@any_ridge
def test_names_of_columns_are_those_of_the_last_fit(n_hidden):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:20], columns=list("abcde"))
    model = ImplicitRegressor(**{**QUICK, "n_hidden": n_hidden}).fit(frame, Y[:20])
    assert list(model.feature_names_in_) == list("abcde")
    model.fit(X[:20, :3], Y[:20])
    assert not hasattr(model, "feature_names_in_")
    model.predict(X[:20, :3])  # no warning of names


@pytest.mark.slow
@any_ridge
def test_warm_start_keeps_the_number():
    model = ImplicitRegressor(**QUICK, warm_start=True).fit(X, Y)
    n, before, chosen = model.rules_[0].n_hidden, model.score(X, Y), model.alpha_
    assert chosen != FALLBACK_ALPHA
    model.fit(X, Y)
    assert [rule.n_hidden for rule in model.rules_] == [n] * len(model.rules_)
    assert model.score(X, Y) > before - 0.05
    assert model.alpha_ == chosen


def test_too_few_rows_to_hold_any_out():
    model = ImplicitRegressor(**QUICK).fit(X[:2], Y[:2])
    assert model.heldout_scores_ is None
    assert model.rules_[0].n_hidden == 20


class OfLogarithms(ImplicitRegressor):
    """A subclass whose ``fit`` does more, and whose constructor takes less."""

    def __init__(self, unit=1.0, **options):
        super().__init__(**options)
        self.unit = unit

    def fit(self, X, y):
        return super().fit(X, np.log(y / self.unit))


class Growing(ImplicitRegressor):
    """A subclass with none of the parameters that it sets."""

    def __init__(self, tol=1e-5):
        super().__init__(**QUICK, tol=tol)


@any_ridge
@pytest.mark.parametrize(
    "model", [OfLogarithms(2.0, **QUICK), Growing(tol=1e-5)], ids=lambda model: type(model).__name__
)
def test_subclasses_grow_as_their_base_does(model, monkeypatch):
    monkeypatch.setattr(growing, "_SIZES", SIZES[:2])
    logarithms = isinstance(model, OfLogarithms)
    y = 2.0 * np.exp(Y[:40]) if logarithms else Y[:40]
    expected = ImplicitRegressor(**QUICK).fit(X[:40], np.log(y / 2.0) if logarithms else y)
    model.fit(X[:40], y)
    assert model.rule_ == expected.rule_
    assert model.n_hidden == "auto" and model.random_state == 0 and model.cv == 2


@pytest.mark.parametrize(
    ("fit", "names"),
    [
        (lambda: ImplicitRegressor(n_hidden="auto", alpha=0.1).fit(X, Y), "alpha"),
        (lambda: ImplicitRegressor(n_hidden="auto", structure=[2, 3]).fit(X, Y), "structure"),
        (lambda: ImplicitRegressor(n_hidden="auto", method="gradient").partial_fit(X, Y), "n_hidden"),
        (lambda: ImplicitRegressorCV(n_hidden="auto").fit(X, Y), "n_hidden"),
        (lambda: ImplicitFeatureSelector(ImplicitRegressor(n_hidden="auto")).fit(X, Y), "n_hidden"),
        (lambda: implicit_path(X, Y, n_hidden="auto"), "n_hidden"),
        (lambda: ImplicitRegressor(n_hidden="much").fit(X, Y), "n_hidden"),
    ],
)
def test_where_it_has_no_meaning(fit, names):
    with pytest.raises(ValueError, match=names):
        fit()


@any_ridge
@pytest.mark.usefixtures("few_states")
def test_no_more_fits_than_two_hold_their_rows(monkeypatch):
    """The best, and the one that is tried: of a data frame each has all rows as an array of its own."""
    monkeypatch.setattr(growing, "_WORTHWHILE", -np.inf)  # all numbers are tried
    tried, n_held = [], []
    of_size = growing._of_size

    def made(*arguments):
        n_held.append(sum(model._trained.rows is not None for model in tried))
        tried.append(of_size(*arguments))
        return tried[-1]

    monkeypatch.setattr(growing, "_of_size", made)
    ImplicitRegressor(**QUICK).fit(X[:40], Y[:40])
    assert n_held == [0, 1, 1]
