"""Dask collections: the same fits as in memory, on a cluster and without one, and lazy predictions."""

import gc
import threading
import time
from contextlib import closing

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.estimators import training_rows
from skimplicit.inspection import explain
from skimplicit.robustness import output_bounds
from skimplicit.rows.dask_store import ClusterStore, active_client

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")
pd = pytest.importorskip("pandas")
cloudpickle = pytest.importorskip("cloudpickle")

pytestmark = pytest.mark.slow

M = 600


@pytest.fixture(autouse=True)
def _many_rows_are_few(short_ladder, monkeypatch):
    """Let some hundred rows be many, blocks small, and the iterations on most rows few."""
    monkeypatch.setattr(training_rows, "MANY_ROWS", 400)
    monkeypatch.setattr("skimplicit.estimators.lazy_rows.MANY_ROWS", 400)
    monkeypatch.setattr(training_rows, "_FEW_ROWS", 200)
    monkeypatch.setattr(training_rows, "_FEW_ROWS_OF_CLASSES", 200)
    monkeypatch.setattr(training_rows, "_MORE_ROWS", 300)
    monkeypatch.setattr(training_rows, "_MORE_ITER", 1)
    monkeypatch.setattr("skimplicit.rows.stores._MOST_ROWS", 200)


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        closing(distributed.Client(cluster)) as client,  # as the default one, which `scheduler` can take away
    ):
        yield client


@pytest.fixture(params=["threads", "cluster"])
def scheduler(request):
    """Without a client, or with one that is active."""
    if request.param == "cluster":
        yield request.getfixturevalue("client")
        return
    current = distributed.client._get_global_client()
    distributed.client._del_global_client(current)
    with dask.config.set(scheduler="threads"):
        assert active_client() is None
        yield None
    distributed.client._set_global_client(current)


def data(seed=0, m=M):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 4)) * [1, 2, 3, 4] + 5
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] / 20 + 0.1 * rng.normal(size=m)
    return X, y, rng.integers(0, 3, size=m).astype(float)


MODELS = {
    "regressor": (ImplicitRegressor(n_hidden=2, alpha=1e-2, max_iter=3, random_state=0), lambda y: y),
    "auto": (ImplicitRegressor(n_hidden=2, max_iter=2, cv=2, random_state=0), lambda y: np.column_stack([y, -y])),
    "classifier": (
        ImplicitClassifier(n_hidden=2, alpha=1e-1, max_iter=2, random_state=0, class_weight="balanced"),
        lambda y: np.array(["a", "b", "c"])[np.digitize(y, [0.9, 2.0])],
    ),
    "auto classifier": (
        ImplicitClassifier(n_hidden=1, max_iter=1, cv=2, random_state=0),
        lambda y: np.array(["a", "b"])[(y + 5 * np.sin(1e3 * y) > 1).astype(int)],  # noise: a large ridge, few passes
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:Training stopped")
def test_fit_is_that_in_memory(scheduler, name):
    weighted = scheduler is not None  # with weights on the cluster, without them elsewhere
    (X, y, weights), (model, make) = data(), MODELS[name]
    y = make(y)
    chunks = (250, 0, 350)  # uneven, and one without rows
    lazy = [da.from_array(a, chunks=(chunks, *a.shape[1:])) for a in (X, y, weights)]
    here = model.fit(X, y, weights if weighted else None)
    expected = here.rule_.predict(X)
    there = model.fit(*lazy[:2], lazy[2] if weighted else None)
    np.testing.assert_allclose(there.rule_.predict(X), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    assert there.n_features_in_ == 4 and there.feature_importances_.shape == (4,)
    for method in ("predict", "transform", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(there, method):
            lazily = getattr(there, method)(lazy[0])
            assert isinstance(lazily, da.Array) and lazily.chunks[0] == chunks
            now = getattr(there, method)(X)
            assert lazily.dtype == now.dtype and lazily.shape == now.shape
            if now.dtype.kind == "f":
                # States are exact to 1e-10 of the largest one of their row, at most that of all.
                np.testing.assert_allclose(lazily.compute(), now, rtol=1e-9, atol=2e-10 * np.abs(now).max())
            else:
                assert np.array_equal(lazily.compute(), now)
    assert there.score(*lazy[:2]) == pytest.approx(there.score(X, y))


@pytest.mark.parametrize("m", [200, M])
@pytest.mark.filterwarnings("ignore:Training stopped")
def test_data_frames(scheduler, m):
    X, y, weights = data(m=m)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=y, w=weights)
    lazy = dd.from_pandas(frame, npartitions=2)
    lazy = lazy[lazy.a < 7]  # the sizes of the chunks are not known any more
    frame = frame[frame.a < 7]
    model = MODELS["regressor"][0]
    expected = model.fit(frame[list("abcd")], frame.y, frame.w).predict(frame[list("abcd")])
    model.fit(lazy[list("abcd")], lazy.y, lazy.w)
    assert list(model.feature_names_in_) == list("abcd")
    lazily = model.predict(lazy[list("abcd")])
    assert isinstance(lazily, da.Array)
    np.testing.assert_allclose(lazily.compute(), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(lazy[list("dcba")])


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("kind", ["regressor", "classifier", "selector"])
def test_score_of_rows_whose_number_is_not_known(scheduler, kind):
    X, y, weights = data(m=200)
    y = np.array(["a", "b"])[(y > 1).astype(int)] if kind == "classifier" else y
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=y, w=weights)
    model = {
        "regressor": MODELS["regressor"][0],
        "classifier": MODELS["classifier"][0],
        "selector": ImplicitFeatureSelector(MODELS["regressor"][0], column_budgets=2, cv=2, random_state=0),
    }[kind]
    model = clone(model).fit(frame[list("abcd")], frame.y)
    lazy = dd.from_pandas(frame, npartitions=2)
    lazy = lazy[lazy.a < 6]
    frame = frame[frame.a < 6]
    inputs, targets = frame[list("abcd")], frame.y
    for own, ours in ((None, None), (lazy.w, frame.w), (frame.w, frame.w)):
        expected = model.score(inputs, targets, sample_weight=ours)
        assert model.score(lazy[list("abcd")], lazy.y, sample_weight=own) == pytest.approx(expected, rel=1e-9)
        assert model.score(inputs, lazy.y, sample_weight=own) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_sparse_chunks(scheduler):
    X, y, _ = data()
    X[np.random.default_rng(1).random(X.shape) < 0.7] = 0.0
    model = MODELS["regressor"][0]
    expected = model.fit(sparse.csr_matrix(X), y).predict(X)
    lazy = da.from_array(X, chunks=(550, 4)).map_blocks(sparse.csr_matrix)
    model.fit(lazy, da.from_array(y, chunks=200))
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.predict(lazy).compute(), model.predict(X), rtol=1e-9)  # states are to 1e-10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "X and y must have as many rows"),
        (lambda X, y: (da.where(X > X.max() - 1e-9, np.nan, X), y), "Input X contains NaN"),
        (lambda X, y: (X, da.where(y > y.max() - 1e-9, np.inf, y)), "Input y contains infinity"),
        (lambda X, y: (X[:, 0], y), "2 dimensions"),
    ],
)
@pytest.mark.filterwarnings("ignore:Training stopped")
def test_bad_chunks_are_named_and_change_nothing(scheduler, change, message):
    X, y, _ = data()
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, max_iter=3).fit(X[:50], y[:50])
    before = dict(vars(model))
    lazy = change(da.from_array(X, chunks=(550, 4)), da.from_array(y, chunks=550))
    with pytest.raises(ValueError, match=message):
        model.fit(*lazy)
    assert vars(model) == before


def test_a_fit_that_failed_leaves_no_blocks_on_the_workers(client):
    X, y, _ = data()
    gc.collect()
    before = set(client.futures)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        ImplicitRegressor(n_hidden=2).fit(da.from_array(np.where(X > X.max() - 1e-9, np.nan, X), chunks=(150, 4)), y)
    for _ in range(100):
        client.submit(
            len, [], pure=False
        ).result()  # the loop of the client holds the last error until it has another task
        gc.collect()
        if not set(client.futures) - before:
            return
        time.sleep(0.02)
    raise AssertionError(f"left: {set(client.futures) - before}")


@pytest.mark.parametrize("m", [300, M])  # in this process, and in blocks
@pytest.mark.parametrize(
    ("model", "y", "weights", "message"),
    [
        (ImplicitClassifier(n_hidden=2), (2,), None, "y should be a 1d array"),
        (ImplicitClassifier(n_hidden=2), (0,), None, "y should be a 1d array|0 feature"),
        (ImplicitClassifier(n_hidden=2), (), (2,), "sample_weight must have one dimension"),
        (ImplicitRegressor(n_hidden=2), (2,), (1,), "sample_weight must have one dimension"),
        (ImplicitFeatureSelector(ImplicitClassifier(n_hidden=2)), (2,), None, "y should be a 1d array"),
        (ImplicitFeatureSelector(), (), (2,), "sample_weight must have one dimension"),
    ],
)
def test_columns_that_there_cannot_be_are_named(model, y, weights, message, m):
    X = da.from_array(np.random.default_rng(0).normal(size=(m, 3)), chunks=(150, 3))
    weights = None if weights is None else da.ones((m, *weights), chunks=150)
    with pytest.raises(ValueError, match=message):
        model.fit(X, da.ones((m, *y), dtype=int, chunks=150), sample_weight=weights)


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize(
    "kind",
    [
        lambda y: pd.Series(np.round(y)).astype("Int64"),
        lambda y: pd.Series(pd.Categorical(np.round(y).astype(int))),
        lambda y: pd.Series(y > 1).astype("boolean"),
    ],
    ids=["numbers that may be missing", "categories", "booleans that may be missing"],
)
def test_kinds_of_pandas_are_taken_as_in_memory(scheduler, kind):
    X, y, _ = data()
    X = pd.DataFrame(X, columns=list("abcd")).assign(a=kind(X[:, 0]))
    codes = kind(np.clip(y, 0, 2))
    lazy = [dd.from_pandas(each, npartitions=2) for each in (X, codes)]
    for model in (MODELS["regressor"][0], MODELS["classifier"][0]):
        here, there = clone(model).fit(X, codes), clone(model).fit(*lazy)
        np.testing.assert_allclose(there.rule_.B, here.rule_.B, rtol=1e-6, atol=1e-9)
        assert getattr(there, "classes_", np.empty(0)).dtype == getattr(here, "classes_", np.empty(0)).dtype
        assert there.score(*lazy) == pytest.approx(here.score(X, codes))


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("kind", ["Int64", "boolean", "Float32", bool, pd.SparseDtype("float", 0.0)], ids=str)
def test_columns_of_any_kind_are_selected_as_in_memory(kind):
    X, y, _ = data()
    frame = pd.DataFrame({"a": X[:, 0], "b": np.round(X[:, 0] - 5).clip(0, 1)})
    frame = frame.astype(kind if isinstance(kind, pd.SparseDtype) else {"b": kind})
    lazy = dd.from_pandas(frame, npartitions=2)
    parameters = {"n_features_to_select": 2, "column_budgets": 2, "cv": 2, "random_state": 0}
    selector = ImplicitFeatureSelector(MODELS["regressor"][0], **parameters)
    here, there = selector.fit(frame, y), clone(selector).fit(lazy, da.from_array(y, chunks=150))
    selected, lazily = here.transform(frame), there.transform(lazy)
    assert lazily.dtype == lazily.compute().dtype == selected.dtype == np.float64
    assert sparse.issparse(lazily.compute()) == sparse.issparse(selected)
    assert abs(lazily.compute() - selected).max() == 0.0
    np.testing.assert_allclose(there.predict(lazy).compute(), here.predict(frame), rtol=1e-6, atol=1e-6)


def _with_text(y):
    return da.from_array(np.where(np.arange(y.size) == 577, "x", y.astype(str)), chunks=150)


def _with_hole(y):
    return da.from_array(np.where(np.arange(y.size) == 577, None, (y > 1).astype(int).astype(str)), chunks=150)


def _with_kinds(size, text_first=False):
    """Labels of two kinds: each chunk of 150 rows has one, one of the chunks of 250 both."""
    return lambda y: da.from_array(
        np.where((np.arange(y.size) < 300) == text_first, (y > 1).astype(str).astype(object), 1), size
    )


@pytest.mark.parametrize("m", [300, M])  # in this process, and in blocks
@pytest.mark.parametrize(
    ("model", "change", "error", "message"),
    [
        ("regressor", lambda X, y: (X, y.astype("M8[s]")), ValueError, "y holds dates or times"),
        ("regressor", lambda X, y: (X.astype("M8[s]"), y), ValueError, "X holds dates or times"),
        ("regressor", lambda X, y: (X, y[:, None, None]), ValueError, "y must have one or two dim"),
        ("regressor", lambda X, y: (X, dask.delayed(y)), TypeError, "y must be a Dask array or data frame"),
        ("selector", lambda X, y: (X, dask.delayed(y)), TypeError, "y must be a Dask array or data frame"),
        ("regressor", lambda X, y: (dask.delayed(X), y), TypeError, "X must be a Dask array or data frame"),
        ("regressor", lambda X, y: (X, 1.0), ValueError, "y must have a row for each sample"),
        ("regressor", lambda X, y: (X, y.sum()), ValueError, "y must have a row for each sample"),
        ("selector", lambda X, y: (X, y.sum()), ValueError, "y must have a row for each sample"),
        ("regressor", lambda X, y: (X, y, y.sum()), ValueError, "sample_weight must have a row for each sample"),
        ("classifier", lambda X, y: (X, y[:, None, None] > 1), ValueError, "y must have one or two dimensions"),
    ],
)
def test_what_memory_refuses_is_refused(model, change, error, message, m):
    X, y, _ = data(m=m)
    with pytest.raises(error, match=message):
        model = ImplicitFeatureSelector() if model == "selector" else MODELS[model][0]
        model.fit(*change(da.from_array(X, chunks=(150, 4)), da.from_array(y, chunks=150)))


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        (MODELS["regressor"][0], _with_text, "y holds values that are not numbers"),
        (MODELS["classifier"][0], _with_hole, "the label of row 577 is missing"),
        (ImplicitFeatureSelector(), _with_hole, "the label of row 577 is missing"),
        (MODELS["classifier"][0], _with_kinds(150), "Unknown label type"),
        (MODELS["classifier"][0], _with_kinds(250), "Unknown label type"),
        (MODELS["classifier"][0], _with_kinds(150, text_first=True), "Unknown label type"),
        (ImplicitFeatureSelector(), _with_kinds(250), "Unknown label type"),
    ],
    ids=["text", "hole", "hole of a selector", "by chunks", "in a chunk", "by chunks, text first", "of a selector"],
)
def test_a_row_in_a_chunk_is_named(model, change, message):
    X, y, _ = data()
    with pytest.raises(ValueError, match=message):
        clone(model).fit(da.from_array(X, chunks=(150, 4)), change(y))


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_one_weight_for_all_rows(scheduler):
    X, y, _ = data()
    lazy = da.from_array(X, chunks=(150, 4)), da.from_array(y, chunks=150)
    model = MODELS["regressor"][0]
    expected = model.fit(X, y, 2.0).predict(X)
    np.testing.assert_allclose(model.fit(*lazy, 2.0).predict(X), expected, rtol=1e-6, atol=1e-6)


def test_names_of_columns_where_rows_come_into_memory():
    X, y, _ = data(m=60)
    frame, target = pd.DataFrame(X, columns=list("abcd")), pd.Series(y)
    lazy, targets = dd.from_pandas(frame, npartitions=2), dd.from_pandas(target, npartitions=2)
    here, there = (ImplicitRegressor(n_hidden=2, alpha=0.1, method="gradient", random_state=0) for _ in range(2))
    here.partial_fit(frame, target)
    there.partial_fit(lazy, targets)
    assert list(there.feature_names_in_) == list("abcd")
    assert np.array_equal(there.rule_.B, here.rule_.B)
    other = lazy[list("dcba")]
    with pytest.raises(ValueError, match="feature names"):
        there.partial_fit(other, targets)
    with pytest.raises(ValueError, match="feature names"):
        output_bounds(there, other, 0.1)
    cross_fitted = ImplicitRegressor(n_hidden=1, max_iter=1, tol=1.0, cv=2, random_state=0).fit(frame, target)
    with pytest.raises(ValueError, match="feature names"):
        cross_fitted.predict_interval(other)
    assert np.array_equal(cross_fitted.predict_interval(lazy), cross_fitted.predict_interval(frame))


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("m", [60, M])
def test_series_of_targets_and_weights_beside_inputs_in_memory(m):
    X, y, weights = data(m=m)
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, tol=1e-1, max_iter=3, random_state=0)
    expected = model.fit(X, y, weights).predict(X)
    lazy = (dd.from_pandas(pd.Series(each), npartitions=2) for each in (y, weights))
    assert np.array_equal(model.fit(X, *lazy).predict(X), expected)


def test_explanations_of_data_frames():
    X, y, _ = data(m=60)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, tol=1e-1, random_state=0).fit(frame, y)
    lazy = dd.from_pandas(frame, npartitions=2)
    assert np.array_equal(explain(model, lazy).contributions, explain(model, frame).contributions)


@pytest.mark.parametrize("shape", [(M,), (M, 4, 1)])
def test_predictions_of_what_is_no_table_are_refused(shape):
    X, y, _ = data(m=60)
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, tol=1e-1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="X must have 2 dimensions"):
        model.predict(da.ones(shape, chunks=150))


@pytest.mark.parametrize(
    ("parameters", "message"), [({"method": "gradient"}, "method='gradient'"), ({"cv": [([0, 1], [2])]}, "cv=")]
)
def test_what_needs_all_rows_is_refused(parameters, message):
    X, y, _ = data()
    with pytest.raises(ValueError, match=message):
        ImplicitRegressor(n_hidden=2, **parameters).fit(da.from_array(X), da.from_array(y))


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_ridge_by_cross_validation(scheduler):
    classes = scheduler is not None  # on the cluster, numbers elsewhere
    X, y, _ = data(m=600)
    y = np.array(["a", "b"])[(y > 1).astype(int)] if classes else y
    kind = ImplicitClassifierCV if classes else ImplicitRegressorCV
    model = kind(n_hidden=2, alphas=[1e-3, 10.0], cv=2, max_iter=3, random_state=0)
    model.fit(da.from_array(X, chunks=(550, 4)), da.from_array(y, chunks=(450,)))
    assert model.alpha_ == 1e-3
    assert model.score(X, y) > 0.6
    assert isinstance(model.predict(da.from_array(X, chunks=(550, 4))), da.Array)


@pytest.mark.filterwarnings("error", "ignore:Training stopped")
@pytest.mark.parametrize("m", [300, M])  # in this process, and in blocks
def test_many_classes_are_no_more_than_half_of_the_rows(m):
    X, _, _ = data(m=m)
    lazy = da.from_array(X, chunks=(150, 4)), da.arange(m, chunks=150) % 30
    assert clone(MODELS["classifier"][0]).fit(*lazy).classes_.size == 30


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("m", [300, M])  # in this process, and in blocks
def test_columns_whose_number_is_not_known(m):
    X, y, _ = data(m=m)
    lazy, y = da.from_array(X, chunks=(150, 4)), da.from_array(y, chunks=150)
    given = lazy[:, da.from_array(np.array([True, True, False, True]), chunks=2)]
    for model in (MODELS["regressor"][0], ImplicitFeatureSelector(MODELS["regressor"][0], column_budgets=2, cv=2)):
        model = clone(model).set_params(random_state=0)
        expected = model.fit(lazy[:, [0, 1, 3]], y).predict(X[:, [0, 1, 3]])
        np.testing.assert_allclose(model.fit(given, y).predict(X[:, [0, 1, 3]]), expected, rtol=1e-9)
        for method in (model.predict, model.transform):
            with pytest.raises(ValueError, match="The number of columns of X is not known"):
                method(given)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_sizes_of_chunks_that_are_not_known(scheduler):
    X, y, weights = data()
    kept, model = X[:, 0] > 5, MODELS["regressor"][0]
    expected = model.fit(X[kept], y[kept], weights[kept]).predict(X)
    lazy = [da.from_array(a, chunks=(550, *a.shape[1:])) for a in (X, y, weights)]
    given = [a[lazy[0][:, 0] > 5] for a in lazy]
    model.fit(*given)
    assert all(np.isnan(a.shape[0]) for a in given)  # the user's arrays are as they were
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-6)
    lazily = model.predict(lazy[0][lazy[0][:, 0] > 5])
    np.testing.assert_allclose(lazily.compute(), model.predict(X[kept]), rtol=1e-9)


def test_no_rows_at_all():
    X, y, _ = data()
    with pytest.raises(ValueError, match="0 sample"):
        ImplicitRegressor(n_hidden=2).fit(da.from_array(X)[:0], da.from_array(y)[:0])


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_callbacks_see_every_iteration(scheduler):
    X, y, _ = data()
    lazy = da.from_array(X, chunks=(550, 4)), da.from_array(y, chunks=550)
    monitor = ScoringMonitor(scoring="r2")
    model = clone(MODELS["regressor"][0]).set_callbacks(monitor).fit(*lazy)
    scores = [entry["r2"] for entry in monitor.get_logs().data]
    assert len(scores) == model.objective_history_.size + 1
    assert scores[-1] == pytest.approx(model.score(X, y))


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_callbacks_that_cannot_be_sent_stay_here(scheduler):
    class Sent:
        """A monitor that no process but this one has."""

        seen = 0

        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            self.seen += 1

        def __reduce__(self):
            raise TypeError("it cannot be sent")

    X, y, _ = data()
    lazy, own, scores = da.from_array(X, chunks=(250, 4)), Sent(), ScoringMonitor(scoring="r2")
    model = clone(MODELS["regressor"][0]).set_callbacks(own, scores).fit(lazy, da.from_array(y, chunks=250))
    assert own.seen > len(scores.get_logs().data) > 1
    assert cloudpickle.dumps(model.predict(lazy))
    np.testing.assert_allclose(model.predict(lazy).compute(), model.predict(X), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize("parameters", [{"alpha": 1e-3, "n_members": 2, "max_iter": 4}, {"max_iter": 2, "cv": 2}])
def test_members_are_trained_side_by_side(client, monkeypatch, parameters):
    X, y, _ = data()
    model = ImplicitRegressor(n_hidden=4, random_state=0, **parameters)
    expected = model.fit(X, y).predict(X)
    assert len(model.rules_) == 2
    run, meet, seen = ClusterStore.run, threading.Barrier(2), set()

    def together(self, *arguments):
        if threading.current_thread() is not threading.main_thread() and threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            meet.wait(timeout=60)  # broken, if the other member does not come before this one is done
        return run(self, *arguments)

    monkeypatch.setattr(ClusterStore, "run", together)
    model.fit(da.from_array(X, chunks=(550, 4)), da.from_array(y, chunks=550))
    assert len(seen) == 2
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.parametrize(
    "model",
    [
        ImplicitRegressorCV(n_hidden=3, alphas=[1e-2, 1.0], cv=2, max_iter=6, random_state=0),
        ImplicitFeatureSelector(MODELS["regressor"][0], column_budgets=2, cv=2, random_state=0),
        ImplicitRegressor(n_hidden=3, max_iter=3, cv=3, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_folds_and_members_on_the_backend_of_joblib(client, model):
    X, y, _ = data(m=400)
    expected = clone(model).fit(X, y).predict(X)
    with joblib.parallel_config("dask"):
        found = clone(model).set_params(n_jobs=2).fit(X, y).predict(X)
    assert np.array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_fits_that_are_tasks_of_the_workers_themselves(client):
    """As folds on the backend "dask" of joblib: fits in every thread leave room for their passes."""
    X, y, _ = data()
    lazy = da.from_array(X, chunks=(250, 4)), da.from_array(y, chunks=250)
    expected = clone(MODELS["regressor"][0]).fit(X, y).predict(X)
    fits = [client.submit(lambda: clone(MODELS["regressor"][0]).fit(*lazy).predict(X), pure=False) for _ in range(3)]
    for fit in fits:
        np.testing.assert_allclose(fit.result(timeout=60), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.filterwarnings("ignore:There is no current event loop")  # distributed with Python 3.13
def test_worker_that_dies():
    """The blocks and states of a killed worker are made again."""
    X, y, _ = data()
    model, _ = MODELS["regressor"]
    expected = model.fit(X, y).predict(X)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):

        class KillOnce:
            """A callback that kills a worker after an iteration."""

            done = False

            def __call__(self, iteration):
                if len(client.scheduler_info()["workers"]) == 2 and not self.done:
                    self.done = True
                    next(iter(cluster.workers.values())).process.process.kill()
                return False

        from skimplicit.estimators import callbacks

        kill, over = KillOnce(), callbacks.CallbackBridge.over
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                callbacks.CallbackBridge,
                "over",
                lambda self, objective: (
                    (lambda iteration: kill(iteration) or over(self, objective)(iteration))
                    if objective.samples.in_blocks
                    else over(self, objective)
                ),
            )
            model.fit(da.from_array(X, chunks=(300, 4)), da.from_array(y, chunks=300))
        assert kill.done
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["rule", "selector"])
def test_a_lazy_result_does_not_fit_into_a_data_frame(kind):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = ImplicitRegressor(n_hidden=2, alpha=0.1, tol=1e-1)
    if kind == "selector":
        model = ImplicitFeatureSelector(model, n_features_to_select=2, column_budgets=3, cv=2)
    model.fit(X, X[:, 0]).set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"set_output\(transform='pandas'\) is for data in memory"):
        model.transform(da.from_array(X, chunks=20))
    model.set_output(transform="default")
    np.testing.assert_allclose(model.transform(da.from_array(X, chunks=20)).compute(), model.transform(X), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_states_are_what_was_asked_for_whenever_they_are_computed():
    X, y, _ = data(m=60)
    model = clone(MODELS["regressor"][0]).fit(X, y).set_output(transform="default")
    expected = model.transform(X)
    lazily = model.transform(da.from_array(X, chunks=(20, 4)))
    model.set_output(transform="pandas")
    assert isinstance(model.transform(X), pd.DataFrame)
    np.testing.assert_allclose(lazily.sum(axis=0).compute(), expected.sum(axis=0), rtol=1e-9)
