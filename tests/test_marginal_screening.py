"""Which inputs stand out from noise, by what each explains of the targets, as it is and bent."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skimplicit import marginal_screening
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.marginal_screening import OneInputStates, standing_out


def found(X, y, most=None, weights=None):
    """Return the inputs that stand out, as a list."""
    targets = EncodedTargets(y[:, None], weights, True, {})
    states = OneInputStates(X, targets, np.arange(X.shape[0]), True, np.arange(X.shape[1]))
    return standing_out(states, states.explain(states.Y), most).tolist()


def make_data(seed, m=200, p=100):
    """Return inputs of which four act: a large line, two bent ones, and a small line that these hide."""
    random = np.random.RandomState(seed)
    X = random.standard_normal((m, p))
    y = 6 * X[:, 3] + 3 * np.abs(X[:, 10]) - 2 * X[:, 20] ** 2 + 0.6 * X[:, 30] + 0.5 * random.standard_normal(m)
    return X, y


@pytest.mark.parametrize("seed", range(5))
def test_lines_and_what_is_bent_are_found_the_largest_first(seed):
    X, y = make_data(seed)
    order = found(X, y)
    assert order[0] == 3 and {3, 10, 20, 30} <= set(order) and len(order) <= 5  # noise may, once in twenty times
    assert found(csr_array(X), y) == order


@pytest.mark.parametrize("seed", range(5))
def test_no_more_than_are_asked_for(seed):
    X, y = make_data(seed)
    assert [len(found(X, y, most)) for most in range(5)] == [0, 1, 2, 3, 4]
    assert set(found(X, y, 3)) == {3, 10, 20}


def test_units_change_nothing_and_neither_do_rows_given_as_weights():
    X, y = make_data(0)
    assert found(X * 2.0 ** (np.arange(100) % 20 - 10) + 5.0, 1e-6 * y - 3.0) == found(X, y)
    times = np.random.RandomState(0).randint(1, 3, len(y))
    again = np.repeat(np.arange(len(y)), times)
    assert found(X, y, 3, weights=times.astype(float)) == found(X[again], y[again], 3)


def test_in_noise_hardly_any_is_found():
    random = np.random.RandomState(0)
    n_found = [len(found(random.standard_normal((120, 200)), random.standard_normal(120))) for _ in range(40)]
    assert np.mean(np.array(n_found) > 0) < 0.15  # two at five per cent each


def test_not_more_than_the_rows_can_tell():
    random = np.random.RandomState(0)
    X = random.standard_normal((160, 40))
    assert len(found(X, X @ np.ones(40))) <= 160 // 16


def test_a_constant_input_does_not_stand_out():
    X, y = make_data(1)
    X[:, 50] = 2.0
    assert {3, 10, 20, 30} <= set(found(X, y)) and 50 not in found(X, y)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_sparse_inputs_have_the_products_of_dense_ones(centre, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr(marginal_screening, "_MOST_KEPT", 0)
        monkeypatch.setattr(marginal_screening, "_BLOCK", 400)
    random = np.random.RandomState(0)
    X = random.standard_normal((60, 30)) * (random.uniform(size=(60, 30)) < random.uniform(size=30))
    X[:, 0], X[:, 1], X[:, 2] = 1e5 + random.standard_normal(60), 0.0, 3.0  # far from zero, and two that never vary
    Y = np.column_stack([np.abs(X[:, 5]) + X[:, 6], random.standard_normal(60)])
    targets = EncodedTargets(Y, random.uniform(0.1, 2.0, 60), True, {})
    rows, labels = np.arange(2, 60), np.arange(30) // 2
    dense, stored = (OneInputStates(U, targets.rows(rows), rows, centre, labels) for U in (X, csr_array(X)))
    left = dense.left_by(np.array([2]))
    for residual in (dense.Y, left, dense.Y):
        assert stored.explain(residual) == pytest.approx(dense.explain(residual), rel=1e-6, abs=1e-12)
    some = np.array([0, 2, 3, 7])
    assert stored.of_units(some).explain(left) == pytest.approx(dense.explain(left)[some], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("q", [1, 20])
def test_noise_of_several_targets_passes_as_often_as_its_chance_says(q):
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(60, q))
    states = OneInputStates(
        rng.normal(size=(60, 1)), EncodedTargets(Y, None, True, {}), np.arange(60), True, np.zeros(1, int)
    )
    draws = rng.normal(size=(300, 60, q))
    chances = np.array([states.best(draw - draw.mean(axis=0))[1] for draw in draws])
    # The less of two chances, which depend on one another.
    assert 0.05 <= np.mean(chances < 0.1) <= 0.2
    assert 0.3 <= np.mean(chances < 0.5) <= 0.85


def test_indicators_of_classes_are_centred():
    X, y = make_data(0, 60, 31)
    targets = EncodedTargets(np.eye(3)[np.digitize(y, [-2.0, 2.0])], np.arange(1.0, 61.0), False, {})
    states = OneInputStates(X, targets, np.arange(60), True, np.arange(31))
    np.testing.assert_allclose(np.sqrt(states.weights) @ states.Y, 0.0, atol=1e-12)
