"""Selector, path and CV twins where rows are many: in memory, in memory maps and in Dask collections."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from skimplicit import (
    ImplicitClassifier,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    implicit_path,
)
from skimplicit.estimators import training_rows
from skimplicit.rows import SelectedColumns

pytestmark = pytest.mark.slow

M, TRUE = 600, [0, 3]
SMALL = ImplicitRegressor(n_hidden=3, alpha=1e-2, max_iter=4, random_state=0)


@pytest.fixture(autouse=True)
def _many_rows_are_few(short_ladder, monkeypatch):
    """Let some hundred rows be many, blocks small, and the iterations on most rows few."""
    monkeypatch.setattr(training_rows, "MANY_ROWS", 300)
    monkeypatch.setattr("skimplicit.estimators.lazy_rows.MANY_ROWS", 300)
    monkeypatch.setattr(training_rows, "_FEW_ROWS", 200)
    monkeypatch.setattr(training_rows, "_FEW_ROWS_OF_CLASSES", 200)
    monkeypatch.setattr(training_rows, "_MORE_ROWS", 250)
    monkeypatch.setattr(training_rows, "_MORE_ITER", 1)
    monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", 150)


def data(m=M):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, 5)) * [1, 2, 1, 3, 1]
    X[rng.random(X.shape) < 0.3] = 0.0
    y = np.abs(X[:, 0]) + X[:, 3] / 2 + 0.05 * rng.normal(size=m)
    return X, y, rng.integers(0, 3, size=m).astype(float)


def stored(X, folder, name):
    np.save(folder / f"{name}.npy", X)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def mapped(X, folder):
    """Return a memory map, or a CSR matrix of three."""
    if not sparse.issparse(X):
        return stored(X, folder, "X")
    parts = tuple(stored(getattr(X, name), folder, name) for name in ("data", "indices", "indptr"))
    return sparse.csr_array(parts, shape=X.shape)


def lazy(X, chunks=(200, 0, 400)):
    """Return a Dask array in uneven chunks, one of them empty."""
    da = pytest.importorskip("dask.array")
    array = da.from_array(X.toarray() if sparse.issparse(X) else X, chunks=(chunks, *X.shape[1:]))
    return array.map_blocks(sparse.csr_array) if sparse.issparse(X) else array


def selector(**parameters):
    return ImplicitFeatureSelector(
        **{"estimator": SMALL, "column_budgets": 3, "cv": 2, "random_state": 0, **parameters}
    )


FORMS = {"dense": np.asarray, "float32": lambda X: X.astype(np.float32), "sparse": sparse.csr_array}


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("short_paths")
@pytest.mark.parametrize("form", FORMS)
def test_selection_is_the_same_wherever_rows_are(form, tmp_path):
    X, y, weights = data()
    X = FORMS[form](X)
    models = [selector().fit(X, y, weights), selector().fit(mapped(X, tmp_path), y, weights)]
    models.append(selector().fit(lazy(X), lazy(y), lazy(weights)))
    first = models[0]
    assert first.get_support(indices=True).tolist() == TRUE
    for model in models:
        assert np.array_equal(model.ranking_, first.ranking_)
        np.testing.assert_allclose(model.column_norms_, first.column_norms_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(model.predict(X), first.predict(X), rtol=1e-6, atol=1e-6)
        assert model.n_features_in_ == 5 and not hasattr(model.estimator_, "feature_names_in_")
    # The rule of the selected inputs is that of a fit to all rows.
    expected = ImplicitRegressor(**SMALL.get_params()).fit(X[:, TRUE], y, weights)
    np.testing.assert_allclose(first.predict(X), expected.predict(X[:, TRUE]), rtol=1e-9)
    where = mapped(X, tmp_path), lazy(X)
    for other in where:
        np.testing.assert_allclose(np.asarray(first.predict(other)), first.predict(X), rtol=1e-12)
        assert first.score(other, y, weights) == pytest.approx(first.score(X, y, weights), rel=1e-9)
    assert hasattr(first.predict(where[1]), "compute") and hasattr(first.transform(where[1]), "compute")
    assert (abs(first.transform(where[1]).compute() - X[:, TRUE])).max() == 0


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("short_paths")
@pytest.mark.parametrize("form", FORMS)
def test_path_is_the_same_wherever_rows_are(form, tmp_path):
    X, y, weights = data()
    X = FORMS[form](X)
    settings = dict(column_budgets=4, n_hidden=3, random_state=0)
    paths = [
        implicit_path(some, *rest, sample_weight=own, **settings)
        for some, *rest, own in (
            (X, y, weights),
            (mapped(X, tmp_path), y, weights),
            (lazy(X), lazy(y), lazy(weights)),
        )
    ]
    dense = X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float)
    for path in paths:
        np.testing.assert_allclose(path.column_norms, paths[0].column_norms, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(path.train_scores, paths[0].train_scores, rtol=1e-6)
    assert sorted(paths[0].shares.argsort()[-2:].tolist()) == TRUE
    for budget, rule, score in zip(paths[0].column_budgets, paths[0].rules, paths[0].train_scores, strict=True):
        assert np.abs(rule.B).max(axis=0).sum() <= budget * (1 + 1e-9)
        # Scores are those over all rows, and no intercept is better there.
        errors = y - rule.predict(dense).ravel()
        total = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
        assert score == pytest.approx(1 - np.average(errors**2, weights=weights) / total, abs=1e-4)
        assert abs(np.average(errors, weights=weights)) < 1e-3


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("short_paths", "small_defaults")
def test_classes_groups_and_names_of_a_data_frame():
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y, _ = data()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=np.array(["no", "yes"])[(y > 1).astype(int)])
    lazily = dd.from_pandas(frame, npartitions=3)
    lazily = lazily[lazily.b < 3]  # sizes that are not known
    frame = frame[frame.b < 3]
    small = dict(n_features_to_select=2, groups={"both": ["a", "d"]}, column_budgets=3, cv=2, random_state=0)
    chosen = []
    for table in (frame, lazily):
        model = ImplicitFeatureSelector(**small).fit(
            table[list("abcde")], table.y
        )  # the targets tell that it is classes
        assert isinstance(model.estimator_, ImplicitClassifier) and model.classes_.tolist() == ["no", "yes"]
        assert model.feature_names_in_.tolist() == list("abcde")
        assert {"a", "d"} <= set(model.get_feature_names_out()) and model.n_features_ == 3
        chosen.append(model)
    assert np.array_equal(chosen[0].support_, chosen[1].support_)
    inputs = lazily[list("abcde")]
    labels = chosen[1].predict(inputs)
    assert hasattr(labels, "compute")
    assert np.array_equal(labels.compute(), chosen[1].predict(frame[list("abcde")]))
    assert chosen[1].predict_proba(inputs).compute().shape == (len(frame), 2)
    with pytest.raises(ValueError, match="feature names"):
        chosen[1].predict(lazily[list("edcba")])


def test_numbers_and_classes_of_lazy_targets_are_told_apart():
    da = pytest.importorskip("dask.array")
    from skimplicit.selection.target_kind import holds_classes

    codes = np.arange(90) % 30
    for y, classes in ((codes, False), (codes % 20, True), (codes % 2 > 0, True), (codes / 7, False)):
        assert holds_classes(y) == holds_classes(da.from_array(y, chunks=13)) == classes
    assert holds_classes(da.from_array(np.array(["a", "b"])[codes % 2], chunks=40))
    assert not holds_classes(da.from_array(np.column_stack([codes, codes]) % 2, chunks=40))


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("short_paths")
def test_folds_that_are_given_need_all_rows():
    X, y, _ = data(m=400)
    folds = [(np.arange(0, 400, 2), np.arange(1, 400, 2)), (np.arange(1, 400, 2), np.arange(0, 400, 2))]
    assert set(TRUE) <= set(selector(cv=folds).fit(X, y).get_support(indices=True))
    twin = ImplicitRegressorCV(n_hidden=3, alphas=[1e-3, 1.0], max_iter=6, random_state=0)
    for estimator in (selector(cv=folds), twin.set_params(cv=folds)):
        before = dict(vars(estimator))
        with pytest.raises(ValueError, match="cv="):
            estimator.fit(lazy(X, (200, 200)), lazy(y, (200, 200)))
        assert vars(estimator) == before


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_directions_by_name_on_a_lazy_frame():
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y, _ = data()
    lazily = dd.from_pandas(pd.DataFrame(X, columns=list("abcde")), npartitions=2)
    twin = ImplicitRegressorCV(
        n_hidden=3, alphas=[1e-2, 1.0], max_iter=6, cv=2, random_state=0, monotonic_cst={"d": -1}
    )
    twin.fit(lazily, lazy(y))
    assert twin.feature_names_in_.tolist() == list("abcde")
    higher = X + [0, 0, 0, 1.0, 0]
    assert np.all(twin.rule_.predict(higher) <= twin.rule_.predict(X) + 1e-9)


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.usefixtures("shortest_paths")
@pytest.mark.parametrize("what", ["selector", "path", "twin"])
def test_no_copy_of_a_memory_map(what, tmp_path, monkeypatch):
    monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", 1024)
    m, p = 36_000, 40
    rng = np.random.default_rng(0)
    file = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(m, p))
    file[:] = rng.normal(size=(m, p))
    y = file[:, 0] + np.abs(file[:, 1])
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="r", shape=(m, p))
    small = ImplicitRegressor(n_hidden=2, alpha=1e-2, max_iter=2, random_state=0)
    twin = ImplicitRegressorCV(n_hidden=2, alphas=[1e-2, 1e-1], max_iter=2, cv=2, random_state=0)
    choice = selector(estimator=small, n_features_to_select=30, column_budgets=2)
    tracemalloc.start()
    try:
        if what == "selector":
            choice.fit(X, y).predict(X)
        elif what == "twin":
            twin.fit(X, y)
        else:
            implicit_path(X, y, column_budgets=2, n_hidden=2, random_state=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The map as doubles has 12 MB; the few rows and blocks of them do not grow with it.
    assert peak < 0.75 * 8 * m * p


def test_selected_columns_are_those_of_the_matrix():
    X = np.arange(24.0).reshape(6, 4)
    columns = np.array([1, 3])
    for make in (np.asarray, sparse.csr_array):
        some = SelectedColumns(make(X), columns)
        assert some.shape == (6, 2) and some.dtype == X.dtype and some.ndim == 2
        for rows in (slice(1, 4), np.array([5, 0])):
            part = some[rows]
            assert np.array_equal(part.toarray() if sparse.issparse(part) else part, X[rows][:, columns])


def test_all_rows_but_few_have_no_weight():
    """More rows than are looked at first may be there without counting."""
    X, y, _ = data()
    weights = np.zeros(M)
    weights[::7] = 1.0
    model = ImplicitRegressor(n_hidden=3, max_iter=4, cv=2, random_state=0).fit(X, y, weights)
    assert model.score(X, y) > 0.9
    # All that count were there from the start, so the ridge is the one that was chosen.
    assert model.alpha_ == pytest.approx(model.alphas_[np.argmin(np.abs(model.alphas_ - model.alpha_))], rel=0.05)
