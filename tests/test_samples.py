"""The training set: sums over samples against their definitions, sparse as dense, and the laws of merging."""

import numpy as np
import pytest
from scipy import sparse

from skimplicit.distill import from_states
from skimplicit.rows import Samples, merge_duplicates

every_seed = pytest.mark.parametrize("seed", range(3))
either_form = pytest.mark.parametrize(
    "make", [np.asarray, sparse.csr_array, sparse.csr_matrix], ids=lambda f: f.__name__
)
with_or_without = pytest.mark.parametrize("centre", [True, False])
EPS = np.finfo(float).eps


def make_data(seed, m=25, p=5, q=2):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p)) * rng.uniform(0.1, 100, size=p) * (rng.random((m, p)) < 0.6)
    U[:, 0] += 7.0
    Y = rng.normal(size=(m, q)) * [1e-3, 1e3] + [5.0, 0.0]
    return U, Y, rng.uniform(0.1, 2.0, size=m), rng.normal(size=(m, 3)), rng.normal(size=(m, 4))


@every_seed
@either_form
@with_or_without
@pytest.mark.parametrize("weighted", [True, False])
def test_sums_are_what_their_names_say(seed, make, centre, weighted):
    U, Y, weights, X, S = make_data(seed)
    samples = Samples(make(U), Y, weights if weighted else None, centre=centre)
    w = weights / weights.sum() if weighted else np.full(25, 1 / 25)
    mean = w @ U if centre else np.zeros(5)
    Uc = (U - mean) / np.sqrt(w @ (U - mean) ** 2)
    target_mean = w @ Y if centre else np.zeros(2)
    Yc = (Y - target_mean) / np.sqrt(w @ (Y - target_mean) ** 2)
    Xc = X - (w @ X if centre else 0.0)
    W = np.diag(w)
    B = np.random.default_rng(seed).normal(size=(3, 5))
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(samples.inputs_times(B), Uc @ B.T, **close)
    np.testing.assert_allclose(samples.times_inputs(S), S.T @ W @ Uc, **close)
    np.testing.assert_allclose(samples.times_states(S, X, w @ X), S.T @ W @ (X - w @ X), **close)
    np.testing.assert_allclose(samples.mean(S), w @ S, **close)
    np.testing.assert_allclose(samples.UU, Uc.T @ W @ Uc, **close)
    np.testing.assert_allclose(samples.UY, Uc.T @ W @ Yc, **close)
    np.testing.assert_allclose(samples.Y, Yc, **close)
    np.testing.assert_allclose(samples.Y_moments[1], np.sum(w @ Yc**2), **close)
    moments = samples.moments(X)
    np.testing.assert_allclose(moments.XX, Xc.T @ W @ Xc, **close)
    np.testing.assert_allclose(moments.XU, Xc.T @ W @ Uc, **close)
    np.testing.assert_allclose(moments.XY, Xc.T @ W @ Yc, **close)
    values, vectors = samples.inputs.eigen
    np.testing.assert_allclose(vectors * values @ vectors.T, samples.UU, **close)
    assert (samples.n_samples, samples.n_inputs, samples.n_outputs) == (25, 5, 2)
    if sparse.issparse(samples._U):
        assert samples._U.nnz == np.count_nonzero(U)


@either_form
@with_or_without
@pytest.mark.parametrize("value", [0.0, 3.0, 1e8, -1e-8, 0.1])
def test_constant_input_carries_nothing(make, centre, value):
    U, Y, _, _, S = make_data(0)
    U[:, 2] = value
    samples = Samples(make(U), Y, centre=centre)
    # Without intercepts a constant column is the intercept, unless it is zero.
    assert samples.constant[2] == (centre or value == 0)
    if samples.constant[2]:
        assert not samples.inputs_times(np.eye(5))[:, 2].any()
        np.testing.assert_allclose(samples.times_inputs(S)[:, 2], 0.0, atol=1e-14)


@either_form
@pytest.mark.parametrize("m", [718, 30_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_constants_of_many_rows_are_constants(make, m, weighted):
    # Their mean is not the constant: the more rows, the further from it.
    rng = np.random.default_rng(0)
    constants = np.array([1 / 3, -0.0235964589, 1e5 / 3, 1e-200 / 3, 1e200 / 3])
    U = np.column_stack([rng.normal(size=m), np.tile(constants, (m, 1))])
    Y = np.column_stack([rng.normal(size=m), np.full(m, 1 / 3)])
    weights = rng.uniform(size=m) if weighted else None
    if weighted:
        weights[:9], U[:9, 1:], Y[:9, 1] = 0.0, 7.0, 7.0  # rows that do not count
    samples = Samples(make(U), Y, weights)
    assert samples.constant.tolist() == [False] + [True] * 5
    assert samples.Y_scale[1] == 1.0
    nearly = np.where(np.arange(m) % 2, 1 / 3, 1 / 3 + 1e-9)
    assert not Samples(make(nearly[:, None]), Y).constant[0]


@either_form
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_do_not_matter(make, unit):
    U, Y, weights, _, _ = make_data(0)
    here, there = Samples(make(U), Y, weights), Samples(make(U * unit), Y * unit, weights)
    np.testing.assert_allclose(there.U_scale, here.U_scale * unit, rtol=1e-12)
    np.testing.assert_allclose(there.Y_scale, here.Y_scale * unit, rtol=1e-12)
    np.testing.assert_allclose(there.UU, here.UU, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.Y, here.Y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("m", [3, 200, 5000])
def test_states_that_are_the_same_in_all_rows_have_no_deviation(m):
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(size=(m, 2)), rng.normal(size=(m, 1)), rng.uniform(0.5, 2.0, m))
    X = np.tile(rng.normal(size=5), (m, 1))
    X[-1, 0] += 1.0  # the one that is not
    moments = samples.moments(X)
    np.testing.assert_array_equal(moments.X_mean[1:], X[0, 1:])
    assert moments.XX[0, 0] > 0
    for second in (moments.XX[1:], moments.XU[1:], moments.XY[1:]):
        assert not second.any()


def test_distilled_states_without_weights_do_not_reach_the_outputs():
    rng = np.random.default_rng(0)
    U, Y = rng.normal(size=(200, 4)), rng.normal(size=(200, 1)) + 1.0
    Z = U @ rng.normal(size=(4, 6)) + rng.normal(size=6)
    rule = from_states(U, Z, Y, activation="tanh", l1=1.0).rule
    assert not rule.C.any()
    np.testing.assert_allclose(rule.predict(U), Y.mean(), rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 5.0, -1e8])
def test_constant_target_keeps_its_unit(constant):
    U, Y, *_ = make_data(0)
    Y[:, 1] = constant
    samples = Samples(U, Y)
    assert samples.Y_scale[1] == 1.0
    assert not np.abs(samples.Y[:, 1]).max() > 1e-6


def test_targets_left_alone():
    U, Y, *_ = make_data(0)
    samples = Samples(U, Y, scale_targets=False)
    np.testing.assert_array_equal(samples.Y, Y)
    np.testing.assert_allclose(samples.Y_moments[0], Y.mean(axis=0))


def test_the_caller_keeps_his_data():
    U, Y, weights, *_ = make_data(0)
    for make in (np.asarray, sparse.csr_array):
        data = [make(U.copy()), Y.copy(), weights.copy()]
        Samples(*data)
        Samples(*merge_duplicates(*data))
        np.testing.assert_array_equal(data[0].toarray() if sparse.issparse(data[0]) else data[0], U)
        np.testing.assert_array_equal(data[1], Y)
        np.testing.assert_array_equal(data[2], weights)


def dense(U):
    return U.toarray() if sparse.issparse(U) else U


@either_form
class TestMergeDuplicates:
    """The same weighted set, whatever the order and the number of its rows."""

    def test_order_of_the_rows(self, make):
        U, Y, weights, *_ = make_data(1)
        order = np.random.default_rng(0).permutation(25)
        here = merge_duplicates(make(U), Y, weights)
        there = merge_duplicates(make(U[order]), Y[order], weights[order])
        for a, b in zip(here, there, strict=True):
            np.testing.assert_array_equal(dense(a), dense(b))

    @pytest.mark.parametrize("most", [0, 10**7])
    def test_units(self, monkeypatch, make, most):
        monkeypatch.setattr("skimplicit.rows.duplicates._DENSE_SIZE", most)
        U, Y, weights, *_ = make_data(1)
        U[:, 0] = np.round(U[:, 0])
        scale = np.array([3.0, 1e-3, 7e5, 1e-160, 0.1])
        here, there = merge_duplicates(make(U), Y, weights), merge_duplicates(make(U * scale), 0.7 * Y, weights)
        np.testing.assert_array_equal(dense(there[0]), dense(here[0]) * scale)
        if most:
            np.testing.assert_array_equal(dense(here[0]), U[np.lexsort(np.hstack([U, Y]).T[::-1])])

    def test_weights_are_repetitions(self, make):
        U, Y, *_ = make_data(2)
        counts = np.random.default_rng(0).integers(0, 4, size=25)
        weighted = merge_duplicates(make(U), Y, counts.astype(float))
        repeated = merge_duplicates(make(np.repeat(U, counts, axis=0)), np.repeat(Y, counts, axis=0))
        for a, b in zip(weighted, repeated, strict=True):
            np.testing.assert_array_equal(dense(a), dense(b))
        assert weighted[2].sum() == counts.sum()
        assert weighted[0].shape[0] == np.count_nonzero(counts)

    def test_twice_is_once(self, make):
        U, Y, weights, *_ = make_data(3)
        once = merge_duplicates(make(np.vstack([U, U])), np.vstack([Y, Y]), np.tile(weights, 2))
        twice = merge_duplicates(*once)
        for a, b in zip(once, twice, strict=True):
            np.testing.assert_array_equal(dense(a), dense(b))
        np.testing.assert_allclose(np.sort(once[2]), np.sort(2 * weights))

    def test_signed_zeros_and_targets(self, make):
        # -0.0 equals 0.0; equal inputs with different targets are different samples.
        U = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0]])
        merged = merge_duplicates(make(U), np.array([[0.0], [-0.0], [2.0]]))
        assert sorted(merged[2]) == [1.0, 2.0]


@pytest.mark.parametrize("shape", [(25, 5), (30, 201), (9, 40), (20, 220)], ids=str)  # a matrix twice, its rows twice
def test_the_curvature_of_inputs_is_bounded_in_the_metric_of_their_diagonal(shape):
    U = np.random.default_rng(0).normal(size=shape) * np.geomspace(1e-3, 1e3, shape[1])
    samples = Samples(U, np.zeros((shape[0], 1)))
    inputs = samples.moments(np.zeros((shape[0], 1))).inputs
    largest = np.linalg.eigvalsh(np.corrcoef(U.T))[-1]
    assert largest * (1 - 1e-9) <= inputs.largest_eigenvalue <= 1.02 * largest
    np.testing.assert_allclose(inputs.matrix.diagonal(), inputs.diagonal(), rtol=1e-9)


def test_explicit_zeros_are_zeros():
    stored = sparse.csr_array((np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 2))
    merged = merge_duplicates(stored, np.zeros((2, 1)))
    assert merged[2].tolist() == [2.0]
    assert stored.nnz == 3


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("centre", [True, False])
def test_rows_and_others_are_in_the_same_units(make, centre):
    rng = np.random.default_rng(0)
    U, Y, weights = rng.normal(size=(30, 4)) * 10 + 3, rng.normal(size=(30, 2)), rng.uniform(0.5, 2.0, size=30)
    U[:, 1] = 0.0
    samples, index, B = Samples(make(U), Y, weights, centre=centre), np.array([4, 20, 7]), rng.normal(size=(5, 4))
    part = samples.rows(index)
    np.testing.assert_allclose(part.inputs_times(B), samples.inputs_times(B)[index], rtol=1e-12)
    np.testing.assert_allclose(part.Y, samples.Y[index])
    np.testing.assert_allclose(part.weights, 10 * samples.weights[index])
    other = samples.like(make(U), Y, weights)
    np.testing.assert_allclose(other.inputs_times(B), samples.inputs_times(B), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(other.UU, samples.UU, rtol=1e-10, atol=1e-12)
    units = samples.open_units(wait=False)
    assert units.n_samples == 0 and units.like(make(U + [0, 1, 0, 0]), Y, weights).UU[1, 1] > 0


@with_or_without
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_units_of_what_varies_first_are_those_of_then(centre, make):
    rng = np.random.default_rng(1)
    U, Y, weights = rng.normal(size=(30, 4)), rng.normal(size=(30, 1)), rng.uniform(0.5, 2.0, size=30)
    first, later = U.copy(), U.copy()
    first[:, 1:3] = later[:, 2] = 0.0
    units = Samples(make(first), Y, weights, centre=centre).open_units(wait=True)
    same = units.units_with(make(first), Y, weights)
    np.testing.assert_array_equal(same.constant, [False, True, True, False])
    then = same.units_with(make(later * 7), Y, weights)
    np.testing.assert_array_equal(then.constant, [False, False, True, False])
    of_then = Samples(make(later * 7), Y, weights, centre=centre)
    for name in ("U_mean", "U_scale", "U_std"):
        now, before, new = (getattr(each, name) for each in (then, units, of_then))
        np.testing.assert_allclose(now[1], new[1])
        np.testing.assert_array_equal(now[[0, 2, 3]], before[[0, 2, 3]])


def test_units_of_targets_that_vary_first_are_those_of_then():
    rng = np.random.default_rng(0)
    U, weights = rng.normal(size=(20, 1)), rng.uniform(0.5, 2.0, size=20)
    Y, V = np.column_stack([rng.normal(size=20), np.full((20, 3), 5.0)]), 7.0 + rng.normal(size=(20, 4))
    V[:, 2], V[:, 3] = 8.0, 5.0 + 8 * EPS
    first, then = (Samples(U, each, weights).open_units(wait=True) for each in (Y, V))
    units = first.units_with(U, V, weights).units
    np.testing.assert_array_equal(units.Y_constant, [False, False, False, True])
    np.testing.assert_allclose(units.Y_mean, [first.Y_mean[0], then.Y_mean[1], 5.0, 5.0])
    np.testing.assert_allclose(units.Y_scale, [first.Y_scale[0], then.Y_scale[1], 3.0, first.Y_scale[3]])
    again = first.like(U, V, weights).units_with(U, 2.0 * V, weights).units
    np.testing.assert_allclose(again.Y_scale[1:3], [2.0 * then.Y_scale[1], 11.0])


@with_or_without
def test_coordinates_of_sparse_rows_keep_their_products(centre):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(20, 60)) * (rng.random((20, 60)) < 0.3)
    U[:, 0] = 1e6 + rng.normal(size=20)  # without zeros, and far from them
    others, Y = U[rng.permutation(20)[:7]] + (U[:7] != 0), np.zeros((7, 1))
    made = Samples(sparse.csr_array(U), rng.normal(size=(20, 1)), centre=centre)
    of_others = made.like(sparse.csr_array(others), Y, np.ones(7))
    space = made.row_space()
    Z, other = made.in_row_space(space), of_others.in_row_space(space)
    identity = np.eye(Z.n_inputs)
    np.testing.assert_allclose(space.of_given(space.as_given(identity)), identity, atol=1e-8)
    A, B = (samples.weighted_inputs() / np.sqrt(samples.weights)[:, None] for samples in (made, of_others))
    np.testing.assert_allclose(Z.inputs_times(identity) @ Z.inputs_times(identity).T, A @ A.T, atol=1e-7)
    np.testing.assert_allclose(other.inputs_times(identity) @ Z.inputs_times(identity).T, B @ A.T, atol=1e-7)


@with_or_without
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_axes_of_the_row_space_are_principal(make, centre):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(20, 60)) * (rng.random((20, 60)) < 0.3)
    made = Samples(make(U), rng.normal(size=(20, 1)), rng.uniform(0.5, 2.0, 20), centre=centre)
    moment = made.in_row_space(made.row_space()).UU
    values = np.linalg.svd(made.weighted_inputs(), compute_uv=False)[: len(moment)] ** 2
    np.testing.assert_allclose(moment, np.diag(moment.diagonal()), atol=1e-12 * values[0])
    np.testing.assert_allclose(np.sort(moment.diagonal())[::-1], values, atol=1e-12 * values[0])


def test_units_of_inputs_that_wait_until_they_vary():
    rng = np.random.default_rng(0)
    U = np.column_stack([rng.normal(size=20), np.full((20, 3), 5.0)])
    V = np.column_stack(
        [rng.normal(size=20), 7.0 + 2.0 * rng.normal(size=20), np.full(20, 8.0), np.full(20, 5.0 + 8 * EPS)]
    )
    samples, weights = Samples(U, U[:, :1]), np.ones(20)
    before = samples.open_units(wait=True).units
    np.testing.assert_array_equal(before.constant, [False, True, True, True])
    after = samples.open_units(wait=True).units_with(V, V[:, :1], weights).units
    # The last one differs by rounding only; the third is another constant, which keeps its mean.
    np.testing.assert_array_equal(after.constant, [False, False, False, True])
    np.testing.assert_allclose(after.U_mean, [U[:, 0].mean(), V[:, 1].mean(), 5.0, 5.0], rtol=1e-12)
    np.testing.assert_allclose(after.U_scale[:3], [U[:, 0].std(), V[:, 1].std(), 3.0], rtol=1e-12)
    at_once = samples.open_units(wait=False).units
    assert not at_once.constant.any()
    np.testing.assert_array_equal(at_once.U_std, at_once.U_scale)


@pytest.mark.parametrize("step, constant", [(64 * EPS, True), (1e-9, False)])
def test_an_input_is_constant_where_its_deviation_is_rounding(step, constant):
    U = np.ones((1000, 1))
    U[7] += step
    assert Samples(U, U).constant[0] == constant


def test_unit_of_a_constant_target():
    U = np.arange(6.0)[:, None]
    large, small, foreseen_by_nothing = (
        Samples(U, np.full((6, 1), size), centre=centre).Y_scale[0]
        for size, centre in ((1e12, True), (1e3, True), (1e3, False))
    )
    assert 0.5e-9 <= large / 1e12 <= 1e-9 and small == 1.0  # in powers of two
    np.testing.assert_allclose(foreseen_by_nothing, 1e3)


@pytest.mark.parametrize("of_input, of_target", [(1e-160, 1e160), (1e160, 1e-160), (1e-160, 1e-160), (1e160, 1e160)])
def test_only_units_far_from_one_another_are_refused(of_input, of_target):
    values = np.arange(6.0)[:, None]
    if of_input == of_target:
        assert Samples(values * of_input, values * of_target).U_scale[0] > 0
    else:
        with pytest.raises(ValueError, match="Column 0 of X and y have deviations"):
            Samples(values * of_input, values * of_target)
