"""``ImplicitFeatureSelector(fdr=)``: laws of knockoffs, of their statistics, and what is refused."""

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils import get_tags

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.selection import false_discoveries
from skimplicit.selection.knockoffs import _largest_entropy, knockoff_columns, knockoff_threshold

P, TRUE = 14, np.arange(8)
RULE = ImplicitRegressor(n_hidden=5, alpha=0.01, max_iter=5, tol=1e-2)
LABELS = ImplicitClassifier(n_hidden=5, alpha=0.01, max_iter=5, tol=1e-2)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def two_starts(monkeypatch):
    """The laws hold for any number of starts."""
    monkeypatch.setattr(false_discoveries, "_N_STARTS", 2)


def correlated(m, p, seed=0, correlation=0.6):
    distance = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, p)) @ np.linalg.cholesky(correlation**distance).T


def make_data(m=250, seed=0):
    X = correlated(m, P, seed, 0.3)
    noise = np.random.default_rng(seed + 1).standard_normal(m)
    return X, X[:, TRUE[::2]].sum(axis=1) + 2 * np.abs(X[:, TRUE[1::2]]).sum(axis=1) + 0.3 * noise


def selector(estimator=RULE, **parameters):
    return ImplicitFeatureSelector(estimator, **{"fdr": 0.2, "column_budgets": 4, "random_state": 0, **parameters})


def knockoffs(X, weights=None, labels=None, seed=0):
    labels = np.arange(X.shape[1]) if labels is None else labels
    return knockoff_columns(X, weights, labels, np.random.RandomState(seed))


class TestKnockoffs:
    """Second-order exchangeability, in any unit, by weights and by groups."""

    @pytest.mark.parametrize("labels", [np.arange(5), np.array([0, 0, 1, 2, 2])])
    def test_inputs_and_knockoffs_change_places_without_a_trace(self, labels):
        m = 200_000
        X = correlated(m, 5) * [1, 2, 3, 4, 5] + 7
        both = np.hstack([X, knockoffs(X, labels=labels)])
        means, covariance = both.mean(axis=0), np.corrcoef(both, rowvar=False)
        for group in range(labels.max() + 1):
            order, moved = np.arange(10), np.flatnonzero(labels == group)
            order[moved], order[moved + 5] = moved + 5, moved
            np.testing.assert_allclose(means[order], means, atol=10 * both.std() / np.sqrt(m))
            np.testing.assert_allclose(covariance[np.ix_(order, order)], covariance, atol=5 / np.sqrt(m))

    def test_they_differ_from_their_inputs_as_far_as_the_others_allow(self):
        """Independent inputs have independent knockoffs; of two that are nearly the same that cannot be."""
        X = np.random.default_rng(0).standard_normal((100_000, 3))
        X[:, 2] = X[:, 1] + 0.1 * X[:, 2]
        between = np.diag(np.corrcoef(X, knockoffs(X), rowvar=False)[3:, :3])
        assert abs(between[0]) < 0.02
        assert between[1] > 0.95

    @pytest.mark.parametrize("labels", [np.arange(6), np.array([0, 1, 1, 2, 0, 2])])
    def test_largest_entropy(self, labels):
        R = np.corrcoef(correlated(100, 6), rowvar=False)
        S = _largest_entropy(R, labels)
        same = labels[:, None] == labels
        assert np.all(S[~same] == 0)
        assert np.linalg.eigvalsh(2 * R - S)[0] > 0
        np.testing.assert_allclose(np.linalg.inv(S)[same], np.linalg.inv(2 * R - S)[same], atol=0.02)

    def test_inputs_that_nearly_determine_one_another(self):
        """In the mean over draws knockoffs stand to the other inputs of the same rows as their inputs do."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((300, 14)) @ (np.eye(14) + 0.3 * rng.standard_normal((14, 14)))
        R = np.corrcoef(X, rowvar=False)
        assert np.linalg.eigvalsh(R)[1] < 0.05
        with_X = np.mean([np.corrcoef(knockoffs(X, seed=k), X, rowvar=False)[:14, 14:] for k in range(20)], axis=0)
        np.testing.assert_allclose(with_X[~np.eye(14, dtype=bool)], R[~np.eye(14, dtype=bool)], atol=0.015)

    def test_few_rows(self):
        """Of hardly more rows than inputs, what looks like a correlation does not tie knockoffs to their inputs."""
        X = np.random.default_rng(0).standard_normal((60, 50))
        assert np.corrcoef(knockoffs(X), X, rowvar=False)[:50, 50:].diagonal().mean() < 0.1

    def test_units(self):
        X = correlated(50, 4)
        units = np.array([1e-150, 1e-3, 1.0, 1e150])
        np.testing.assert_allclose(knockoffs(X * units) / units, knockoffs(X), rtol=1e-9, atol=1e-9)

    def test_constants_and_copies(self):
        X = correlated(50, 4)
        X[:, 1], X[:, 3] = 7.0, X[:, 0]
        made = knockoffs(X)
        np.testing.assert_array_equal(made[:, 1], 7.0)
        assert np.all(np.isfinite(made))

    def test_rows_without_weight_say_nothing(self):
        X, weights = correlated(50, 4), np.r_[np.zeros(10), np.ones(40)]
        other = np.vstack([X[:10] * 100, X[10:]])
        np.testing.assert_allclose(knockoffs(other, weights)[10:], knockoffs(X, weights)[10:], rtol=1e-9)


@pytest.mark.parametrize(
    ("statistics", "fdr", "threshold"),
    [
        ([5, 4, 3, 2, 1], 0.2, 1),
        ([5, 4, 3, 2, 1], 0.19, np.inf),
        ([5, 4, 3, 2, -1], 0.25, 2),
        ([5, 4, 3, 2, -1, 0.5, 0], 0.4, 0.5),
        ([-5, 4, 3, 2, 1], 0.3, np.inf),
        ([0, 0, 0], 0.9, np.inf),
        (np.arange(49) + 1, 1 / 49, 1),  # 49 selected inputs are enough, though 1/49 times 49 is less than 1
        (np.r_[np.arange(50) + 1, -np.arange(28) - 1], 0.58, 1),
    ],
)
def test_threshold(statistics, fdr, threshold):
    assert knockoff_threshold(np.array(statistics, dtype=float), fdr) == threshold


class TestStatistics:
    """What the joint paths say of an input and of its knockoff."""

    @pytest.mark.slow
    @pytest.mark.usefixtures("shortest_paths")
    @pytest.mark.parametrize("groups", [None, np.arange(P) // 2])
    def test_changing_places_changes_the_sign(self, monkeypatch, groups):
        X, y = make_data(120)
        X -= X.mean(axis=0)
        made = knockoffs(X)

        def found(own, other):
            monkeypatch.setattr(false_discoveries, "knockoff_columns", lambda *arguments: other)
            return selector(groups=groups).fit(own, y).knockoff_statistics_

        moved = np.isin(np.arange(P), [0, 1, 12, 13])
        before, after = found(X, made), found(np.where(moved, made, X), np.where(moved, X, made))
        assert np.abs(before[moved]).max() > 0.02
        np.testing.assert_allclose(after, np.where(moved, -before, before), atol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("short_paths")
    def test_attributes(self):
        found = selector().fit(*make_data())
        statistics = found.knockoff_statistics_
        np.testing.assert_array_equal(found.support_, statistics >= found.threshold_)
        assert 1 + np.sum(statistics <= -found.threshold_) <= 0.2 * found.n_features_
        assert np.all(np.diff(statistics[np.argsort(found.ranking_, kind="stable")][found.n_features_ :]) <= 0)
        np.testing.assert_array_equal(found.ranking_ == 1, found.support_)
        assert set(np.unique(found.selection_frequency_)) <= {0.0, 0.5, 1.0}
        assert found.cv_results_ == {}
        assert found.column_norms_.shape[1] == found.path_.rules[0].n_inputs == P
        assert found.estimator_.n_features_in_ == found.n_features_
        without = selector(fdr=None, n_features_to_select=3, cv=2).fit(*make_data(60))
        assert without.knockoff_statistics_ is None and without.threshold_ is None
        assert without.cv_results_ == {}

    @pytest.mark.slow
    @pytest.mark.usefixtures("shortest_paths")
    def test_only_the_random_state_decides(self):  # for any number of jobs: tests/test_selector.py
        X, y = make_data(60)
        few = {"estimator": clone(RULE).set_params(n_hidden=2), "column_budgets": 2}
        first, second, other = (selector(**few, random_state=seed).fit(X, y).knockoff_statistics_ for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, second)
        assert np.any(other != first)


class TestSelections:
    """True inputs are found, and stand out."""

    @pytest.mark.slow_cases
    @pytest.mark.usefixtures("short_paths")
    @pytest.mark.parametrize("kind", ["numbers", "several", "weights", "monotone", "groups"])
    def test_true_inputs(self, kind):
        X, y = make_data(250)
        estimator, parameters, weights = RULE, {}, None
        if kind == "several":
            y = np.column_stack([X[:, TRUE[:4]].sum(axis=1), np.abs(X[:, TRUE[4:]]).sum(axis=1)])
        elif kind == "weights":  # rows that do not count follow another law
            X, weights = np.vstack([X, X]), np.r_[np.ones(250), np.zeros(250)]
            y = np.r_[y, 100 * X[250:, -1]]
        elif kind == "monotone":
            estimator = clone(RULE).set_params(monotonic_cst=[1, 0] * 4 + [0] * (P - 8))
        elif kind == "groups":
            parameters = {"groups": np.arange(P) // 2, "fdr": 0.3}
        found = selector(estimator, **parameters).fit(X, y, weights)
        assert found.support_[TRUE].sum() >= 6
        strongest = np.argsort(-found.knockoff_statistics_, kind="stable")[: TRUE.size]
        assert np.isin(strongest, TRUE).sum() >= 7

    @pytest.mark.slow
    def test_true_inputs_of_classes(self, monkeypatch):
        monkeypatch.setattr(false_discoveries, "_N_STARTS", 5)  # a label tells less than a number
        X, y = make_data(400)
        found = selector(LABELS).fit(X, np.where(y > np.median(y), "high", "low"))
        assert found.support_[TRUE].sum() >= 7

    @pytest.mark.slow
    @pytest.mark.usefixtures("shortest_paths")
    def test_noise_is_left_out_most_of_the_time(self):
        wrong = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            wrong += (
                selector(random_state=seed).fit(rng.standard_normal((60, 6)), rng.standard_normal(60)).n_features_ > 0
            )
        assert wrong <= 4  # of 8, each with a probability of at most .2: more in 1 of 100 such tests

    @pytest.mark.usefixtures("shortest_paths")
    def test_nothing_selected_is_a_constant(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((60, 6)), rng.standard_normal(60)
        estimator = clone(RULE).set_params(monotonic_cst=[1] * 6)
        found = selector(estimator, groups=np.arange(6)).fit(X, y)
        assert found.n_features_ == 0 and found.threshold_ == np.inf
        np.testing.assert_allclose(found.predict(X), y.mean())
        assert found.score(X, y) == pytest.approx(0.0)
        assert not found.selection_frequency_.any()
        with pytest.warns(UserWarning, match="No features were selected"):
            assert found.transform(X).shape == (60, 0)


class TestRefusals:
    """What means nothing with ``fdr`` is refused by name."""

    @pytest.mark.parametrize(
        ("parameters", "name"),
        [
            ({"n_features_to_select": 3}, "n_features_to_select"),
            ({"scoring": "r2"}, "scoring"),
            ({"scoring": lambda estimator, X, y: 0.0}, "scoring"),
            ({"rule": "one_standard_error"}, "rule"),
            ({"cv": 3}, "cv"),
            ({"cv": KFold(5)}, "cv"),
            ({"fdr": 0.0}, "fdr"),
            ({"fdr": 1.0}, "fdr"),
            ({"fdr": "low"}, "fdr"),
            ({"fdr": 0.05}, "20 selected inputs"),
            ({"groups": np.arange(P) // 4}, "4 inputs"),
            ({"estimator": clone(RULE).set_params(constraints=lambda A, B: [B[:, 0] == 0])}, "constraints"),
        ],
    )
    def test_parameters(self, parameters, name):
        with pytest.raises(ValueError, match=name):
            selector(**parameters).fit(*make_data(40))

    def test_data(self):
        X, y = make_data(40)
        with pytest.raises(ValueError, match="sparse"):
            selector().fit(sparse.csr_matrix(X), y)
        with pytest.raises(ValueError, match="n_samples=14.*n_features=14"):
            selector().fit(X[:P], y[:P])
        with pytest.raises(ValueError, match="n_samples=10"):
            selector().fit(X, y, np.r_[np.ones(10), np.zeros(30)])

    @pytest.mark.parametrize("fdr", [None, 0.2])
    def test_tags_say_whether_inputs_may_be_sparse(self, fdr):
        assert get_tags(selector(fdr=fdr)).input_tags.sparse == (fdr is None)

    def test_groups_of_samples(self):
        X, y = make_data(40)
        with (
            sklearn.config_context(enable_metadata_routing=True),
            pytest.raises(ValueError, match="independent.*groups"),
        ):
            selector().fit(X, y, groups=np.arange(40) // 2)
