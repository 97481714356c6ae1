"""Cutting inputs at the range of the training rows: dense and sparse alike, and as a rule."""

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.composition import cascade
from skimplicit.estimators.clipping import clip_rule
from skimplicit.robustness import is_monotone, lipschitz_bound
from skimplicit.rows import InputRange


def sparse_with_duplicates(U):
    """The same matrix, every entry in two parts, zeros stored here and there, columns in no order."""
    rows, columns = np.indices(U.shape).reshape(2, -1)
    values, keep = U.ravel(), (U.ravel() != 0) | (np.arange(U.size) % 3 == 0)
    rows, columns, values = rows[keep], columns[keep], values[keep]
    order = np.lexsort([-columns, rows])
    rows, columns, values = (np.repeat(a[order], 2) for a in (rows, columns, values))
    values = values * np.tile([0.25, 0.75], values.size // 2)
    pointers = np.searchsorted(rows, np.arange(U.shape[0] + 1))
    return sparse.csr_array((values, columns, pointers), shape=U.shape)


@pytest.mark.parametrize("seed", range(4))
def test_dense_equals_sparse(seed):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(30, 6)) * (rng.random((30, 6)) < 0.5)
    V = 3 * rng.normal(size=(20, 6)) * (rng.random((20, 6)) < 0.5)
    U[:, 0], U[:, 1] = 1 + rng.random(30), -2 - rng.random(30)  # zero is outside of these
    limits, from_sparse = InputRange.of(U), InputRange.of(sparse_with_duplicates(U))
    np.testing.assert_allclose(from_sparse.lower, limits.lower, atol=1e-15)
    np.testing.assert_allclose(from_sparse.upper, limits.upper, atol=1e-15)
    given = sparse_with_duplicates(V)
    copy = given.copy()
    cut = limits.cut(given)
    np.testing.assert_allclose(cut.toarray(), np.clip(V, U.min(axis=0), U.max(axis=0)), atol=1e-14)
    np.testing.assert_array_equal(given.data, copy.data)
    np.testing.assert_array_equal(given.indices, copy.indices)
    np.testing.assert_allclose(limits.cut(V), cut.toarray(), atol=1e-14)
    for W in (limits.cut(V), cut):  # cut twice is cut once
        again = limits.cut(W)
        np.testing.assert_array_equal(
            again if isinstance(W, np.ndarray) else again.toarray(), W if isinstance(W, np.ndarray) else W.toarray()
        )


def test_rows_inside_are_not_copied_and_sparsity_stays():
    U = np.arange(12.0).reshape(4, 3)
    assert InputRange.of(U).cut(U) is U
    rng = np.random.default_rng(0)
    many = sparse.csr_array(rng.normal(size=(50, 2000)) * (rng.random((50, 2000)) < 0.01))
    assert InputRange.of(many).cut(2 * many).nnz == many.nnz


def test_joined_holds_both_and_no_more():
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))
    joined, both = InputRange.of(U).joined(InputRange.of(V)), InputRange.of(np.vstack([U, V]))
    np.testing.assert_array_equal(joined.lower, both.lower)
    np.testing.assert_array_equal(joined.upper, both.upper)


def test_the_rule_of_a_range_cuts_as_the_range_does():
    rng = np.random.default_rng(1)
    limits, V = InputRange.of(rng.normal(size=(9, 4))), 50 * rng.normal(size=(30, 4))
    np.testing.assert_allclose(clip_rule(limits).predict(V), limits.cut(V), atol=1e-12)


@pytest.mark.parametrize("far", [1e9, 1e17, 1e150])
def test_the_rule_of_a_range_cuts_exactly_however_far_and_rises(far):
    limits = InputRange.of(np.array([[-1.0, 0.0, 3.0], [2.0, 0.1, 3.0]]))
    rule, V = clip_rule(limits), far * np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    np.testing.assert_allclose(rule.predict(V), limits.cut(V), atol=1e-15)
    assert lipschitz_bound(rule) == pytest.approx(1.0)
    assert all(is_monotone(rule, j, output=j) == 1 for j in range(3))


def test_the_rule_of_very_many_inputs_is_sparse():
    rng, p = np.random.default_rng(3), 20_000
    limits, V = InputRange.of(rng.normal(size=(5, p))), 3 * rng.normal(size=(2, p))
    after = ImplicitRule([[0.5]], rng.normal(size=(1, p)), [[1.0]], rng.normal(size=(1, p)), activation="tanh")
    rule = cascade(clip_rule(limits), after)
    assert sparse.issparse(rule.A)
    assert sparse.issparse(rule.B)
    np.testing.assert_allclose(rule.predict(V), after.predict(limits.cut(V)), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.1, "auto"])
def test_clipped_rule_predicts_as_the_estimator_far_outside(alpha):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 3))
    y = X[:, 0] + np.abs(X[:, 1])
    far = 30 * rng.normal(size=(25, 3))
    model = ImplicitRegressor(n_hidden=4, alpha=alpha, max_iter=10, tol=1e-1, cv=3, random_state=0).fit(X, y)
    clipped = model.clipped_rule()
    assert clipped.n_hidden == model.rule_.n_hidden + 6
    np.testing.assert_allclose(clipped.predict(far).ravel(), model.predict(far), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        model.predict(far), model.predict(np.clip(far, X.min(axis=0), X.max(axis=0))), rtol=1e-12
    )
    np.testing.assert_allclose(model.predict(X), model.rule_.predict(X).ravel(), rtol=1e-12)
    np.testing.assert_allclose(model.predict(sparse.csr_array(far)), model.predict(far), rtol=1e-9)


def test_without_the_cut_the_rule_extrapolates():
    X = np.linspace(-1, 1, 40)[:, None]
    settings = dict(n_hidden=3, alpha=1e-3, max_iter=10, tol=1e-1, random_state=0)
    free = ImplicitRegressor(**settings, clip=False).fit(X, 3 * X.ravel())
    assert free.predict([[10.0]])[0] == pytest.approx(30, rel=0.1)
    assert free.clipped_rule() is free.rule_
    cut = ImplicitRegressor(**settings).fit(X, 3 * X.ravel())
    assert cut.predict([[10.0]])[0] == pytest.approx(cut.predict([[1.0]])[0])


def test_rows_of_weight_zero_do_not_widen_the_range():
    rng = np.random.default_rng(3)
    X = np.vstack([rng.normal(size=(30, 2)), [[100.0, -100.0]]])
    weights = np.r_[np.ones(30), 0.0]
    model = ImplicitRegressor(n_hidden=3, alpha=0.1, max_iter=5, tol=1e-1, random_state=0)
    model.fit(X, X[:, 0], sample_weight=weights)
    np.testing.assert_allclose(model.predict(X[-1:]), model.predict([[X[:30, 0].max(), X[:30, 1].min()]]))


@pytest.mark.parametrize("kept", [False, True])
def test_a_range_that_was_not_kept_is_not_that_of_the_last_rows(kept):
    X = np.random.default_rng(4).normal(size=(60, 2))
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, method="gradient", clip=kept, random_state=0)
    for clip, rows in zip([kept, False, True], np.split(X, [50, 55]), strict=True):
        model.set_params(clip=clip).partial_fit(rows, rows[:, 0])
    np.testing.assert_allclose(model.predict(X), model.rule_.predict(X).ravel(), rtol=1e-12)
    cut = model.set_params(clip=True).fit(X, X[:, 0]).partial_fit(X[:2], X[:2, 0])
    np.testing.assert_allclose(cut.predict(9 * X), cut.predict(np.clip(9 * X, X.min(axis=0), X.max(axis=0))))
