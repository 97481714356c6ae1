"""Folds of distinct rows: a partition that depends on neither the order of the rows nor the units."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators import repeats as repeats_module
from skimplicit.estimators.distinct_folds import shuffled_folds
from skimplicit.estimators.distinct_rows import DistinctRows, folds_of_distinct_rows, in_numbers_of_counted_rows
from skimplicit.estimators.repeats import labels_told, natural_repeats
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.estimators.validation_split import validation_split
from skimplicit.losses import class_indicators
from skimplicit.rows import merge_duplicates


def rows(m=23, p=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, size=(m, p)).astype(float), rng.normal(size=(m, 1))


def held_out(U, Y, labels=None, n_folds=None):
    """The held-out rows of each fold, told by their targets."""
    Y = merge_duplicates(U, Y)[1]
    return [set(Y[test, 0]) for _, test in shuffled_folds(Y, labels, n_folds, 7)[0]]


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_units_matter(make, seed):
    rng = np.random.default_rng(seed)
    U, Y = rows(seed=seed)
    shuffle, scale = rng.permutation(len(U)), rng.uniform(1e-3, 1e3, U.shape[1])
    assert held_out(make(U[shuffle] * scale), Y[shuffle]) == held_out(make(U), Y)


@pytest.mark.parametrize("m", [4, 5, 6, 9, 23])
@pytest.mark.parametrize("n_folds", [None, 2, 5, 20])
def test_folds_partition_the_rows(m, n_folds):
    U, Y = rows(m)
    folds, row, share = shuffled_folds(Y, None, n_folds, 0)
    np.testing.assert_array_equal(row, np.arange(m))
    assert np.all(share == 1.0)
    assert len(folds) == min(n_folds or 5, m // 2)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(m))
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(m))


def test_classes_are_spread_evenly():
    _, Y = rows(60)
    labels = np.repeat([0, 1, 2], [40, 15, 5])
    for _, test in shuffled_folds(Y, labels, 5, 0)[0]:
        np.testing.assert_array_equal(np.bincount(labels[test], minlength=3), [8, 3, 1])


def test_few_rows_and_few_of_a_class():
    assert all(shuffled_folds(rows(m)[1], None, None, 0)[0] == [] for m in (1, 2, 3))
    U, Y = rows(12)
    # The only row of a class is not held out, unless all are.
    for labels, first in ((np.r_[0, np.ones(11, dtype=int)], 1), (np.arange(12), 0)):
        folds = shuffled_folds(Y, labels, None, 0)[0]
        np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(first, 12))
        assert all(np.isin(np.arange(first), train).all() for train, _ in folds)


def test_many_rows_hold_out_two_fifths_by_default():
    U, Y = rows(2600)
    assert [test.size for _, test in shuffled_folds(Y, None, None, 0)[0]] == [520, 520]
    assert len(shuffled_folds(Y, None, 3, 0)[0]) == 3


def test_much_work_holds_out_two_fifths_by_default():
    U, Y = rows(1000)
    Y = np.tile(Y, 10)
    assert [len(shuffled_folds(Y, None, None, 0, n)[0]) for n in (50, 51)] == [5, 2]
    assert len(shuffled_folds(Y, None, 3, 0, 51)[0]) == 3


def test_fits_side_by_side_leave_the_filters_of_warnings_alone():
    U, Y = rows(40)
    labels = np.repeat([0, 1, 2], [20, 17, 3])  # the last one in fewer rows than folds
    before, switch = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda seed: shuffled_folds(Y, labels, None, seed), range(300)))
    finally:
        sys.setswitchinterval(switch)
    assert warnings.filters == before


@pytest.mark.parametrize("labels", [False, True])
def test_rows_that_stand_for_several_are_dealt_to_the_folds(labels):
    U, Y = rows(40)
    repeats = np.random.default_rng(1).integers(1, 9, size=40)
    codes = (np.arange(40) % 2) if labels else None
    folds, row, share = shuffled_folds(Y, codes, None, 0, repeats=repeats)
    stands_for = share * repeats[row]
    np.testing.assert_allclose(stands_for, np.round(stands_for), rtol=1e-12)
    np.testing.assert_allclose(np.bincount(row, stands_for), repeats, rtol=1e-12)
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(row.size))
        assert np.bincount(row[test]).max() == 1
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(row.size))
    assert np.all(np.bincount(row)[repeats == 2] == 2)
    # The others by chance, but as many of every class.
    assert max(np.ptp(stands_for[row == k]) for k in range(40)) >= 2
    for code in range(2 if labels else 1):
        own = (repeats[row] > 2) & (codes[row] == code if labels else True)
        assert np.ptp([stands_for[test][own[test]].sum() for _, test in folds]) <= 1 + 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_rows_dealt_to_few_folds_leave_none_empty(seed):
    for repeats in ([1, 1, 1, 2], [2, 2, 2], [1, 1, 1, 1, 3], [2, 3]):
        Y = np.arange(float(len(repeats)))[:, None]
        folds, row, _ = shuffled_folds(Y, Y[:, 0], None, seed, repeats=np.array(repeats))
        assert len(folds) > 1
        for train, test in folds:
            assert test.size and train.size and np.intersect1d(train, test).size == 0


def test_shares_of_very_many_rows_are_those_of_the_table():
    Y, repeats = np.arange(4.0)[:, None], np.array([10**9, 10**7, 10**6 + 3, 1])
    folds, row, share = shuffled_folds(Y, None, None, 0, repeats=repeats)
    for k in range(3):
        np.testing.assert_allclose(share[row == k], 1 / len(folds), rtol=0.01)


def test_a_short_table_of_many_rows_has_as_many_folds_as_it_has_lines():
    Y = np.array([[0.0], [1.0], [0.0], [1.0]])
    folds, row, _ = shuffled_folds(Y, Y[:, 0].astype(int), None, 0, repeats=np.array([40, 10, 15, 2]))
    np.testing.assert_array_equal(np.bincount(row)[:3], [4, 4, 4])
    assert len(folds) == 4
    for train, test in folds:
        assert set(row[test]) >= {0, 1, 2}
        assert set(row[train]) >= {0, 1, 2}


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_what_is_drawn_again_is_told_from_copies(make):
    U = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 0.0], [2.0, 0.0], [3.5, 0.0]])
    Y, times = np.array([[0.0], [1.0], [0.0], [7.5], [1.0]]), np.array([4, 6, 2, 8, 10])
    # The fourth has a target of its own, the last one inputs of its own: copies, as far as one can tell.
    np.testing.assert_array_equal(natural_repeats(make(U), Y, np.arange(5), times), [4, 6, 2, 1, 1])
    np.testing.assert_array_equal(natural_repeats(make(U), Y, np.arange(5), np.ones(5)), np.ones(5))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_lines_of_a_table_are_drawn_though_inputs_tell_the_target(make):
    U = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 7.0]])
    Y, times = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]]), np.array([9, 9, 9, 9, 4])
    found = natural_repeats(make(U), Y, np.arange(5), times)
    np.testing.assert_array_equal(found, [9, 9, 9, 9, 1])  # no other line has the 7, far from the levels 0 and 1
    many = np.stack(np.meshgrid(*[[0.0, 1.0]] * 7), axis=-1).reshape(-1, 7)
    parity = many.sum(axis=1, keepdims=True) % 2
    np.testing.assert_array_equal(natural_repeats(make(many), parity, np.arange(128), np.full(128, 9)), np.ones(128))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_rows_without_a_value_of_their_own_tell_of_as_many_labels_as_are_given(make):
    U = np.array([[0.0, 1.0], [0.0, 2.5], [2.0, 1.0], [2.0, 2.5], [3.5, 1.0], [0.0, 0.0], [2.0, 1.0]])
    times, repeats = np.array([4, 6, 1, 8, 10, 7, 2]), np.array([1, 1, 1, 1, 1, 3, 1])
    place = np.append(np.arange(7), -1)
    told = labels_told(make(U), place, np.append(times, 5), repeats)
    # The fifth has a 3.5 and the sixth the only 0 of its column: copies, but for what is known to be drawn.
    np.testing.assert_array_equal(told, [4, 6, 1, 8, 1, 3, 2])
    np.testing.assert_array_equal(labels_told(make(U), np.arange(7), np.ones(7), np.ones(7)), np.ones(7))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_values_in_common_may_be_all_zeros_or_too_far_apart_to_subtract(make):
    times = np.array([4, 6])
    np.testing.assert_array_equal(labels_told(make(np.zeros((2, 3))), np.arange(2), times, np.ones(2)), times)
    U = make(np.array([[1e308, 1.0], [-1e308, 1.0]]))
    np.testing.assert_array_equal(labels_told(U, np.arange(2), times, np.ones(2)), np.ones(2))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("column", [0, 4, 9])
def test_columns_are_looked_at_until_one_says_that_rows_are_copies(make, column, monkeypatch):
    U, times, looked_at = np.ones((30, 10)), np.full(30, 2), []
    U[:20, column] = np.sqrt(np.arange(20) + 1.5)
    noted = note_width(repeats_module._with_value_of_its_own, looked_at)
    monkeypatch.setattr(repeats_module, "_with_value_of_its_own", noted)
    np.testing.assert_array_equal(labels_told(make(U), np.arange(30), times, np.ones(30)), np.repeat([1, 2], [20, 10]))
    assert sum(looked_at) == 10  # the last ten rows have no value of their own
    looked_at.clear()
    labels_told(make(U), np.arange(30), np.where(np.arange(30) < 20, 2, 1), np.ones(30))
    assert column < sum(looked_at) <= 2 * column + 1


def note_width(function, widths):
    """Return a function of a matrix that notes the number of its columns first."""

    def noted(U, *others):
        widths.append(U.shape[1])
        return function(U, *others)

    return noted


@pytest.mark.parametrize("Estimator", [ImplicitClassifier, ImplicitRegressor])
@pytest.mark.parametrize("X", [np.zeros((40, 2)), sparse.csr_array((40, 2))], ids=["dense", "sparse"])
def test_inputs_of_zeros_alone_are_fitted(Estimator, X):
    y = np.tile([0.0, 1.0], 20)
    model = Estimator(random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.predict(X)[0])


@pytest.mark.parametrize("target", [2.0, 1.5])
def test_one_row_again_and_again_leaves_nothing_to_hold_out(target):
    model = ImplicitRegressor(n_hidden=3, random_state=0).fit(np.zeros((30, 1)), np.full(30, target))
    np.testing.assert_allclose(model.predict([[0.0]]), target)
    assert model.heldout_prediction_ is None


@pytest.mark.parametrize("explicit", [False, True])
def test_labels_of_many_rows_of_few_kinds_are_certain(explicit):
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.stack(np.meshgrid(*[np.arange(3.0)] * 4), axis=-1).reshape(-1, 4))[:70]
    of_kind = rng.integers(0, 70, 700)
    X, noise = kinds[of_kind], 1e-3 * rng.normal(size=(70, 4))[of_kind]
    y = X[:, 0] + X[:, 1] > 1.5
    losses = []
    for U in (X, X + noise):  # copies of measured rows tell of 70 labels
        cv = list(GroupKFold(5).split(U, y, of_kind)) if explicit else None
        model = ImplicitClassifier(n_hidden=2, max_iter=3, n_members=1, cv=cv, random_state=0).fit(U, y)
        losses.append(log_loss(y, model.predict_proba(U)))
    assert losses[0] < 0.3 * losses[1]


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("levels", [[0.0, 1.0, 2.0], [-3.0, -1.0, 0.0, 2.0], [1950.0, 1951.0, 1953.0]])
def test_a_level_needs_no_other_line(make, levels):
    U, Y = np.array(levels)[:, None], np.eye(len(levels))
    times = np.arange(len(levels)) + 5
    np.testing.assert_array_equal(natural_repeats(make(U), Y, np.arange(len(U)), times), times)
    for in_other_units in (U + 0.25, U * 10.0, -U / 3.0, (U - U.mean()) / U.std(), np.float32(U - U.mean())):
        np.testing.assert_array_equal(natural_repeats(make(in_other_units), Y, np.arange(len(U)), times), times)
    for measured in (U + 0.1 * U**2, np.sin(U), U + 1e-3 * np.sin(U), 1e300 * np.sin(U)):
        found = natural_repeats(make(measured), Y, np.arange(len(U)), times)
        np.testing.assert_array_equal(found[measured[:, 0] != 0], 1)
    np.testing.assert_array_equal(natural_repeats(make(U), U + 0.25, np.arange(len(U)), times), 1)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_many_lines_of_a_target_of_its_own_are_drawn_and_the_weight_of_a_mean_is_not(make):
    U, Y, times = np.array([[0.0], [1.0], [2.0]]), np.array([[0.3], [7.1], [2.2]]), np.array([3, 4, 6])
    place, once = np.append(np.repeat(np.arange(3), times), -1), np.ones(14)
    np.testing.assert_array_equal(natural_repeats(make(U), Y, place, once), times)
    np.testing.assert_array_equal(natural_repeats(make(U), Y, np.arange(3), times), 1)
    np.testing.assert_array_equal(natural_repeats(make(U), Y, place[1:], once[1:]), 1)  # four each may be copies
    np.testing.assert_array_equal(natural_repeats(make(np.sin(U)), Y, place, once), 1)  # inputs are measured as well
    noisy, Y = np.array([[0.0], [0.0], [2.0]]), np.array([[0.3], [7.1], [2.2]])
    np.testing.assert_array_equal(natural_repeats(make(noisy), Y, place, once), 1)  # who measures twice copies


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_inputs_tell_targets_if_rows_would_share_them_by_chance(make):
    levels = np.arange(6.0)[:, None]
    factors = np.array([[a, b] for a in range(4) for b in range(3)], dtype=float)
    for U in (levels, np.hstack([levels, 5.0 - levels]), np.eye(4), factors, factors[::2]):
        times, Y = np.full(len(U), 6), np.sqrt(np.arange(len(U)) + 2.0)[:, None]
        place, once = np.repeat(np.arange(len(U)), times), np.ones(times.sum())
        np.testing.assert_array_equal(natural_repeats(make(U), Y, place, once), times)
        slip = np.vstack([U, U[:1]]), np.vstack([Y, Y[:1] + 0.1]), np.append(place, len(U)), np.append(once, 1.0)
        np.testing.assert_array_equal(natural_repeats(make(slip[0]), *slip[1:]), np.append(times, 1))
    answers = np.random.default_rng(0).integers(1, 6, size=(30, 4)).astype(float)  # of persons, hardly two alike
    Y, place = np.sqrt(np.arange(30) + 2.0)[:, None], np.repeat(np.arange(30), 6)
    np.testing.assert_array_equal(natural_repeats(make(answers), Y, place, np.ones(180)), 1)
    classes = np.eye(2)[np.arange(30) % 2]
    np.testing.assert_array_equal(natural_repeats(make(answers), classes, place, np.ones(180)), 1)
    both = np.vstack([answers, answers[:20]]), np.vstack([classes, 1 - classes[:20]])  # most have both: a table
    np.testing.assert_array_equal(natural_repeats(make(both[0]), both[1], np.arange(50), np.full(50, 6)), 6)


def test_lines_of_persons_are_copies_where_few_are_alike_in_all_inputs():
    rng = np.random.default_rng(0)
    X = rng.integers(1, 6, size=(30, 4)).repeat(6, axis=0)
    y = 0.5 * X[:, 0] + rng.normal(size=30).repeat(6)
    assert ImplicitRegressor(n_hidden=5, n_members=1, random_state=0).fit(X, y).heldout_score_ < 0.7
    labels = rng.integers(2, size=30).repeat(6)
    assert ImplicitClassifier(n_hidden=5, n_members=1, random_state=0).fit(X, labels).heldout_score_ < 0.7


def test_numbers_of_one_kind_of_inputs_each_are_learnt():
    x = np.random.default_rng(0).integers(0, 6, size=(200, 1))
    y = np.array([3.2, 7.5, 1.1, 9.9, 4.2, 6.6])[x[:, 0]]
    for slip in (0.0, 0.1):  # of a single line
        y[0] += slip
        model = ImplicitRegressor(n_hidden=10, n_members=1, random_state=0).fit(x, y)
        assert model.score(x, y) > 0.99 and model.heldout_score_ > 0.99


def test_levels_are_learnt_in_any_unit():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 5, size=(200, 1))
    X, y = (levels - levels.mean()) / levels.std(), np.array([3.2, 7.5, 1.1, 9.9, 4.2])[levels[:, 0]]
    assert ImplicitRegressor(n_hidden=10, n_members=1, random_state=0).fit(X, y).score(X, y) > 0.99
    model = ImplicitClassifier(n_hidden=5, max_iter=5, n_members=1, random_state=0).fit(X, levels[:, 0])
    assert model.score(X, levels[:, 0]) > 0.95 and model.heldout_score_ > 0.9


@pytest.mark.parametrize("inputs", ["one column", "indicators", "a difference"])
def test_classes_of_one_kind_of_inputs_each_are_learnt(inputs):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, size=(200, 1))
    X = {"one column": x, "indicators": np.eye(5)[x[:, 0]], "a difference": rng.integers(0, 2, size=(200, 2))}[inputs]
    y = X[:, 0] - X[:, 1] if inputs == "a difference" else x[:, 0]
    model = ImplicitClassifier(n_hidden=5, max_iter=5, n_members=1, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95 and model.heldout_score_ > 0.9


def counted_table():
    """Return the lines of a table, their targets and how often each was drawn."""
    U = np.array([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0) for _ in range(2)])
    labels, times = np.tile([0, 1], 4), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0])
    return U, EncodedTargets(class_indicators(labels, 2), times, False, {}), times


def test_parts_of_a_row_share_its_weights_and_its_number():
    U, targets, times = counted_table()
    rows = SimpleNamespace(X=U, targets=targets, sample_weight=2.0 * times)
    folds, distinct = folds_of_distinct_rows(SimpleNamespace(cv=3, n_hidden=2), rows, targets, 0)
    place = distinct.place[:7]
    assert len(folds) == 3 and distinct.row.size > 7 and distinct.place[7] == -1
    for parts in (distinct.targets.weights, distinct.targets.repeats):
        np.testing.assert_allclose(np.bincount(distinct.row, parts)[place], times[:7])
    of_score = np.bincount(distinct.row, distinct.weights)[place]
    np.testing.assert_allclose(of_score / of_score[0], times[:7])


def test_given_folds_have_the_weights_of_a_score():
    U, targets, times = counted_table()
    weights = times * np.arange(1.0, 9.0)
    rows = SimpleNamespace(X=U, targets=targets, sample_weight=weights)
    folds, distinct = in_numbers_of_counted_rows(rows, targets, [(np.arange(4), np.arange(4, 7))])
    np.testing.assert_allclose(distinct.weights / distinct.weights[0], weights[:7])
    np.testing.assert_array_equal(folds[0][1], [4, 5, 6])


def test_values_of_a_row_are_the_means_of_those_of_its_known_parts():
    row, place = np.array([0, 0, 0, 1, 2]), np.array([2, 0, -1, 1, 0])
    distinct = DistinctRows(None, None, None, row, place)
    given = distinct.as_given(np.array([[1.0], [3.0], [np.nan], [np.nan], [7.0]]))
    np.testing.assert_array_equal(given, [[7.0], [2.0], [np.nan], [np.nan], [2.0]])


def test_what_is_held_out_to_stop_early_and_the_rest_are_the_whole():
    U, targets, times = counted_table()
    sides = validation_split(U, targets, 0.25, 0)
    inputs = np.vstack([side[0] for side in sides])
    labels = np.concatenate([side[1][:, 0] for side in sides])
    weights = np.concatenate([side[2] for side in sides])
    for line, label, number in zip(U, targets.Y[:, 0], times, strict=True):
        own = np.all(inputs == line, axis=1) & (labels == label)
        assert weights[own].sum() == pytest.approx(number) and np.all(weights[own] > 0)
    assert 0 < sides[1][2].sum() < times.sum() / 2


def test_the_only_sample_of_a_class_is_not_held_out_to_stop_early():
    U, Y = rows(20)
    Y = class_indicators(np.r_[2, np.arange(19) % 2], 3)
    train, test = validation_split(U + np.arange(20.0)[:, None], EncodedTargets(Y, None, False, {}), 0.25, 0)
    assert train[1][:, 2].sum() == 1 and test[1].sum(axis=0).tolist() == [3, 2, 0]
