"""Screening of wide data: which inputs a path starts with."""

import numpy as np
import pytest
from scipy import sparse

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.selection.screening import promising_columns


def screened(X, y, labels=None, weights=None, scale=True):
    """Return the inputs that take part, as a set."""
    Y = y[:, None] if y.ndim == 1 else y
    labels = np.arange(X.shape[1]) if labels is None else labels
    return set(promising_columns(X, EncodedTargets(Y, weights, scale, {}), True, labels).tolist())


def hidden_behind_lines(seed, n_inputs=2500):
    """Return inputs, targets and the inputs that act: three by large lines, and one by |x|, of the size of noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, n_inputs))
    true = rng.choice(n_inputs, 4, replace=False)
    Z = X[:, true]
    return X, 8 * (Z[:, 0] - Z[:, 1] + Z[:, 2]) + 1.5 * np.abs(Z[:, 3]), true


@pytest.mark.parametrize("n_inputs, n_rows", [(200, 50), (1000, 1000)])
def test_few_inputs_all_take_part(n_inputs, n_rows):
    X = np.random.default_rng(0).standard_normal((n_rows, n_inputs))
    assert len(screened(X, X[:, 0])) == n_inputs


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_inputs_that_stand_out_leave_few_others(container):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 600))
    y = 3 * X[:, 7] + 2 * np.abs(X[:, 300]) + 0.1 * rng.standard_normal(90)
    kept = screened(container(X), y)
    assert len(kept) == 12 and {7, 300} <= kept
    groups = np.arange(600) // 2
    kept = screened(container(X), y, groups)
    assert np.array_equal(np.unique(groups[sorted(kept)], return_counts=True)[1], np.full(12, 2))
    assert {7, 300} <= kept


@pytest.mark.parametrize("seed", range(5))
def test_an_input_hidden_behind_lines_is_found(seed):
    X, y, true = hidden_behind_lines(seed)
    Z = np.abs(X - X.mean(axis=0))
    alone = np.abs((Z - Z.mean(axis=0)).T @ (y - y.mean())) / Z.std(axis=0)
    lines = np.column_stack([np.ones(len(X)), X[:, true[:3]]])
    left = y - lines @ np.linalg.lstsq(lines, y, rcond=None)[0]
    beside = np.abs((Z - Z.mean(axis=0)).T @ left) / Z.std(axis=0)
    # Alone the input does not stand out from those of noise; beside the three lines no other comes near.
    assert np.sum(alone > alone[true[3]]) > 3 and beside.argmax() == true[3]
    assert set(true.tolist()) <= screened(X, y)


@pytest.mark.parametrize("seed", range(5))
def test_an_input_is_found_beside_neighbours_that_are_much_like_it(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, 800))
    for j in range(1, 800):
        X[:, j] = 0.95 * X[:, j - 1] + np.sqrt(1 - 0.95**2) * X[:, j]
    true = np.array([100, 300, 500, 700])
    kept = screened(X, X[:, true] @ [2, -2, 1, -1] + 0.1 * rng.standard_normal(200))
    assert set(true.tolist()) <= kept


@pytest.mark.parametrize("seed", range(3))
def test_noise_leaves_room_for_the_usual_number(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((80, 700))
    assert len(screened(X, rng.standard_normal(80))) == 50
    assert len(screened(X, np.zeros(80))) == 50


def test_constant_inputs_and_equal_ones_do_no_harm():
    X, y, true = hidden_behind_lines(0)
    X[:, [j for j in range(40) if j not in true]] = 3.0
    X = np.column_stack([X, X[:, true[:2]]])
    kept = screened(X, y)
    assert set(true[2:].tolist()) <= kept
    for j, twin in zip(true[:2], range(2500, 2502), strict=True):
        assert kept & {int(j), twin}


@pytest.mark.parametrize("of_classes", [False, True])
def test_rows_without_weight_are_not_there(of_classes):
    X, y, _ = hidden_behind_lines(1, n_inputs=400)
    y = np.column_stack([y, X[:, 0]])
    if of_classes:
        y = (y[:, :1] > np.median(y[:, 0])).astype(float)
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    there = weights > 0
    kept = screened(X, y, weights=weights, scale=not of_classes)
    X[~there], y[~there] = 1e3, 0.0
    assert screened(X, y, weights=weights, scale=not of_classes) == kept
    assert screened(X[there], y[there], weights=weights[there], scale=not of_classes) == kept


@pytest.mark.usefixtures("short_paths")
@pytest.mark.slow
def test_the_selector_finds_what_is_hidden_behind_lines():
    X, y, true = hidden_behind_lines(2)
    selector = ImplicitFeatureSelector(ImplicitRegressor(n_hidden=10, n_members=1), cv=3, random_state=0).fit(X, y)
    assert selector.get_support(indices=True).tolist() == sorted(true.tolist())
