"""Inputs that are the same in most rows: their units, and whether held-out rows want them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.rare_inputs import rarity_factors

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")


def words(m, p, seed=0):
    """Return counts of words, of which few are frequent, and what their effects of one size make of them."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(3.0 / np.arange(1, p + 1), size=(m, p)).astype(float)
    return X, X @ rng.choice([-1.0, 1.0], size=p) + 0.5 * rng.normal(size=m)


def test_factors_are_roots_of_the_shares_of_rows_that_are_not_as_most():
    X, _ = words(400, 100)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=400)
    X[:, 3] = 5.0
    shares = np.average(X != np.median(X, axis=0), axis=0, weights=weights)
    varies = shares > 0
    shares = np.where(varies, np.minimum(shares, 0.5), 1.0)
    expected = np.stack([np.sqrt(shares), np.sqrt(shares) * (1 + np.log(1 / shares))])
    expected /= np.sqrt(np.mean(expected[:, varies] ** 2, axis=1))[:, None]
    expected[:, ~varies] = 1.0
    np.testing.assert_allclose(rarity_factors(X, weights), expected)
    np.testing.assert_allclose(rarity_factors(sparse.csr_array(X), weights), expected)
    # In any units, from any zero.
    np.testing.assert_allclose(rarity_factors(3.0 - 0.25 * X, weights), expected)
    np.testing.assert_allclose(rarity_factors(sparse.csr_array(1.0 - X), weights), expected)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_inputs_that_vary_by_rounding_alone_have_no_say(as_given):
    X, _ = words(200, 100)
    still = 0.1 + np.random.default_rng(0).choice([0.0, 2e-17], size=(200, 120))
    factors = rarity_factors(as_given(np.hstack([X, still])), np.ones(200))
    assert np.ptp(still) > 0
    np.testing.assert_allclose(factors, np.hstack([rarity_factors(X, np.ones(200)), np.ones((2, 120))]))


@pytest.mark.parametrize("kind", ["few", "dense", "mixed"])
def test_without_many_rare_inputs_there_are_no_factors(kind):
    X, _ = words(400, 100)
    numbers = np.random.default_rng(0).normal(size=(400, 100))
    X = {"few": X[:, -16:], "dense": numbers, "mixed": np.hstack([X, numbers])}[kind]
    assert rarity_factors(X, np.ones(400)) is None


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_words_count_by_their_number(as_given):
    X, y = words(240, 120)
    model = ImplicitRegressor(n_hidden=2, max_iter=5, random_state=0).fit(as_given(X[:120]), y[:120])
    np.testing.assert_allclose(model.relevance_, rarity_factors(X[:120], np.ones(120))[0])
    standardised = RidgeCV(np.geomspace(1e-2, 1e4, 13)).fit(X[:120] / np.maximum(X[:120].std(axis=0), 1e-3), y[:120])
    r2 = model.score(as_given(X[120:]), y[120:])
    assert r2 > 0.05 + standardised.score(X[120:] / np.maximum(X[:120].std(axis=0), 1e-3), y[120:])


def test_words_that_tell_classes():
    X, y = words(240, 120)
    model = ImplicitClassifier(n_hidden=2, max_iter=5, random_state=0).fit(X[:120], y[:120] > np.median(y))
    np.testing.assert_allclose(model.relevance_, rarity_factors(X[:120], np.ones(120))[0])


def test_inputs_that_count_by_their_deviation_stay_alike():
    X, _ = words(160, 80)
    rng = np.random.default_rng(0)
    X = X[:, X.any(axis=0)]
    y = (X / X.std(axis=0)) @ rng.choice([-1.0, 1.0], size=X.shape[1])
    model = ImplicitRegressor(n_hidden=2, max_iter=5, random_state=0).fit(X, y)
    factors = rarity_factors(X, np.ones(160))
    of_rarity = model.relevance_ is not None and np.isclose(model.relevance_, factors).all(axis=1).any()
    assert factors is not None and not of_rarity


@pytest.mark.parametrize("given", [{"column_budget": 5.0}, {"constraints": lambda A, B: [B <= 1]}, {"alpha": 0.1}])
def test_who_says_what_inputs_may_do_has_them_as_they_are(given):
    X, y = words(60, 80)
    model = ImplicitRegressor(n_hidden=1, max_iter=2, random_state=0, **given).fit(X, y)
    assert rarity_factors(X, np.ones(60)) is not None and model.relevance_ is None


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_weights_are_numbers_of_rows(as_given):
    rng = np.random.default_rng(0)
    X = (rng.random((100, 120)) < 1.0 / np.arange(2, 122)).astype(float)
    X[:, 0] = rng.random(100) < 0.6  # most rows have a one, most of the weight has none
    y = X @ rng.choice([-1.0, 1.0], size=120) + 0.5 * rng.normal(size=100)
    weights, fold = np.where(X[:, 0] == 0, 5, 1), np.arange(100) % 3
    rows = np.repeat(np.arange(100), weights)
    model, repeated = (
        ImplicitRegressor(n_hidden=1, max_iter=1, cv=cv, random_state=0)
        for cv in map(PredefinedSplit, (fold, fold[rows]))
    )
    model.fit(as_given(X), y, sample_weight=weights)
    repeated.fit(as_given(X[rows]), y[rows])
    np.testing.assert_allclose(model.relevance_, rarity_factors(X[rows], np.ones(rows.size))[0])
    np.testing.assert_allclose(model.relevance_, repeated.relevance_)
    np.testing.assert_allclose(model.predict(as_given(X)), repeated.predict(as_given(X)))
