"""Pruning and low rank: the certified change of the outputs holds, and what is promised of A is kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.activations import ACTIVATIONS, BlockActivation, get_activation, max_pool
from skimplicit.distill import ArchitectureReport, drift_bound, low_rank, prune
from skimplicit.linalg import to_dense
from skimplicit.networks import affine_rule, feedforward

ROUNDING = 1e-9  # of the states, which the certificates do not count
every_seed = pytest.mark.parametrize("seed", range(2))
every_activation = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))


def random_rule(seed, activation="relu", n=8, p=4, q=3):
    rng = np.random.default_rng(seed)
    A = rng.standard_t(2, size=(n, n))
    A *= rng.uniform(0.3, 0.95) / np.abs(A).sum(axis=1, keepdims=True) / get_activation(activation).lipschitz
    arrays = rng.normal(size=(n, p)), rng.normal(size=(q, n)), rng.normal(size=(q, p)), rng.normal(size=n)
    return ImplicitRule(A, *arrays, rng.normal(size=q), activation)


def random_inputs(seed, m=50, p=4):
    return np.random.default_rng(seed + 100).normal(size=(m, p))


def change(rule, smaller, U):
    """Largest change of each output."""
    return np.abs(rule.predict(U) - smaller.predict(U)).max(axis=0)


def n_weights(rule):
    return sum(np.count_nonzero(to_dense(M)) for M in (rule.A, rule.B))


COMPRESSIONS = {
    "threshold": lambda rule, **region: prune(rule, threshold=0.2, **region),
    "tolerance": lambda rule, **region: prune(rule, tolerance=0.5, **region),
    "rank": lambda rule, **region: low_rank(rule, rank=3, **region),
    "rank by tolerance": lambda rule, **region: low_rank(rule, tolerance=0.5, **region),
}
every_compression = pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS.keys())


class TestDriftBound:
    """``|x~ - x| <= (I - Gamma |A|)^-1 Gamma |r|`` for any states, however they were come by."""

    @every_seed
    @every_activation
    def test_holds_for_any_states(self, seed, activation):
        rule, U = random_rule(seed, activation), random_inputs(seed)
        Z = 2 * np.random.default_rng(seed).normal(size=(50, 8))
        X = rule.activation(Z)
        bound = drift_bound(rule.A, rule.activation, Z - X @ rule.A.T - U @ rule.B.T - rule.b)
        assert np.all(np.abs(rule.states(U) - X) <= bound + ROUNDING)

    def test_is_attained(self):
        # Non-negative weights and residuals, ReLU, all states active: nothing is lost.
        rule = ImplicitRule(np.abs(random_rule(0).A), np.zeros((8, 1)), np.ones((1, 8)), b=5 * np.ones(8))
        x = rule.states(np.zeros((1, 1)))
        r = np.random.default_rng(0).uniform(size=(1, 8))
        moved = ImplicitRule(rule.A, rule.B, rule.C, b=rule.b + r[0]).states(np.zeros((1, 1)))
        assert_allclose(moved - x, drift_bound(rule.A, rule.activation, r), rtol=1e-8)

    def test_printed_theorem_is_not_used(self):
        # El Ghaoui et al. (2021), theorem 5.1 as printed, |A0 + E| for |A0| + |E|: fails where E cancels A0.
        A0, E, x0 = np.array([[0.5]]), np.array([[-0.5]]), np.array([[2.0]])
        bound = drift_bound(A0 + E, get_activation("relu"), x0 @ E.T)
        assert_allclose(bound, [[1.0]])  # from x0 = 0.5 x0 + 1 to x = 1

    def test_sparse(self):
        A = random_rule(1).A * (np.abs(random_rule(1).A) > 0.05)
        r = random_inputs(0, p=8)
        phi = get_activation("relu")
        assert_allclose(drift_bound(sparse.csr_array(A), phi, r), drift_bound(A, phi, r), rtol=1e-10)

    def test_refused(self):
        with pytest.raises(ValueError, match="not certified below 1"):
            drift_bound(np.array([[1.0]]), get_activation("relu"), np.ones((1, 1)))
        for A, residual in ((np.zeros((2, 2)), np.ones((1, 3))), (np.zeros((2, 3)), [[1.0, 1.0]]), (np.eye(2), [1, 1])):
            with pytest.raises(ValueError, match="^A and residual must have shapes"):
                drift_bound(A, "relu", residual)
        assert_allclose(drift_bound([[0.0, 0.5], [0.0, 0.5]], "relu", [[0.1, -0.2]]), [[0.3, 0.4]])
        with pytest.raises(ValueError, match="each state alone"):
            drift_bound(np.zeros((2, 2)), BlockActivation([(max_pool(2), 2)]), np.ones((1, 2)))


class TestCertificate:
    """The bound of every compression holds, on the inputs given and on boxes."""

    @pytest.mark.slow_cases
    @every_compression
    @every_activation
    @every_seed
    def test_on_inputs(self, compress, activation, seed):
        rule, U = random_rule(seed, activation), random_inputs(seed)
        result = compress(rule, U=U)
        assert np.all(change(rule, result.rule, U) <= result.output_bound + ROUNDING)

    @every_compression
    @every_seed
    def test_on_a_box(self, compress, seed):
        rule, rng = random_rule(seed), np.random.default_rng(seed)
        lower = rng.normal(size=4)
        upper = lower + rng.uniform(0, 2, size=4)
        result = compress(rule, box=(lower, upper))
        inside = rng.uniform(lower, upper, size=(500, 4))
        corners = np.array([np.where([k >> j & 1 for j in range(4)], upper, lower) for k in range(16)])
        for U in (inside, corners):
            assert np.all(change(rule, result.rule, U) <= result.output_bound + ROUNDING)

    @every_seed
    def test_a_box_that_is_a_point_is_an_input(self, seed):
        rule, u = random_rule(seed), random_inputs(seed, m=1)
        on_box, on_input = prune(rule, box=(u[0], u[0]), threshold=0.2), prune(rule, u, threshold=0.2)
        assert_allclose(on_box.output_bound, on_input.output_bound, atol=1e-8)

    @every_seed
    def test_a_box_bounds_its_inputs(self, seed):
        rule, U = random_rule(seed), random_inputs(seed)
        box = prune(rule, box=(U.min(axis=0), U.max(axis=0)), threshold=0.2)
        assert np.all(box.output_bound >= prune(rule, U, threshold=0.2).output_bound - ROUNDING)

    @pytest.mark.parametrize("choice", [{"threshold": 0.5}, {"tolerance": 2.0}], ids=str)
    def test_pruned_layers_whatever_their_norm(self, choice):
        rng = np.random.default_rng(0)
        rule = feedforward([rng.normal(size=(6, 4)), 3 * rng.normal(size=(5, 6)), rng.normal(size=(3, 5))])
        assert rule.inf_norm > 1
        result = prune(rule, random_inputs(0), **choice)
        assert n_weights(result.rule) < n_weights(rule)
        assert np.all(change(rule, result.rule, random_inputs(0)) <= result.output_bound + ROUNDING)


class TestPrune:
    """What is removed, and what is kept as it was."""

    def test_threshold(self):
        rule = random_rule(0)
        smaller = prune(rule, random_inputs(0), threshold=0.2).rule
        for before, after in ((rule.A, smaller.A), (rule.B, smaller.B)):
            assert_array_equal(after, np.where(np.abs(before) > 0.2, before, 0.0))
        for name in ("C", "D", "b", "c"):
            assert_array_equal(getattr(smaller, name), getattr(rule, name))

    def test_nothing_to_prune(self):
        rule = random_rule(0)
        result = prune(rule, random_inputs(0), threshold=0.0)
        assert result.rule == rule
        assert not result.output_bound.any()
        assert result.sparsity == 0.0

    def test_everything(self):
        result = prune(random_rule(0), random_inputs(0), threshold=1e3)
        assert result.sparsity == 1.0

    @every_seed
    def test_tolerance_is_kept_and_used(self, seed):
        rule, U = random_rule(seed), random_inputs(seed)
        counts = []
        for tolerance in (0.0, 0.1, 1.0, 10.0, 1e4):
            result = prune(rule, U, tolerance=tolerance)
            assert result.output_bound.max() <= tolerance
            counts.append(n_weights(result.rule))
        assert counts == sorted(counts, reverse=True)
        assert counts[0] == n_weights(rule) and counts[-1] == 0
        assert counts[2] < counts[0]

    @pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csr_array])
    @pytest.mark.parametrize("options", [{"threshold": 0.2}, {"tolerance": 1.0}])
    def test_sparse_inputs(self, make, options):
        rule, U = random_rule(1), random_inputs(1)
        first, second = prune(rule, U, **options), prune(rule, make(U), **options)
        assert_array_equal(first.rule.A, second.rule.A)
        assert_array_equal(first.rule.B, second.rule.B)
        assert_allclose(first.output_bound, second.output_bound)

    @pytest.mark.parametrize("options", [{"threshold": 0.2}, {"tolerance": 1.0}])
    def test_rule_without_states(self, options):
        result = prune(affine_rule([[1.0, 2.0]]), np.ones((3, 2)), **options)
        assert result.sparsity == 1.0 and result.output_bound.tolist() == [0.0]

    @every_seed
    def test_scale_of_the_states_does_not_matter(self, seed):
        rule, U = random_rule(seed), random_inputs(seed)
        s = np.random.default_rng(seed).uniform(0.9, 1.1, size=8)
        scaled = ImplicitRule(rule.A * s[:, None] / s, rule.B * s[:, None], rule.C / s, rule.D, rule.b * s, rule.c)
        first, second = prune(rule, U, tolerance=1.0), prune(scaled, U, tolerance=1.0)
        assert_array_equal(first.rule.A != 0, second.rule.A != 0)
        assert_allclose(first.output_bound, second.output_bound, rtol=1e-6)

    def test_sparse_rule_stays_sparse(self):
        rule = random_rule(2)
        A = np.where(np.abs(rule.A) > 0.05, rule.A, 0)
        arrays = rule.B, rule.C, rule.D, rule.b, rule.c
        dense = ImplicitRule(A, *arrays)
        compressed = ImplicitRule(sparse.csr_array(A), sparse.csr_array(rule.B), sparse.csr_array(rule.C), *arrays[2:])
        for options in ({"threshold": 0.2}, {"tolerance": 1.0}):
            for region in ({"U": random_inputs(2)}, {"box": (-np.ones(4), np.ones(4))}):
                first, second = prune(dense, **region, **options), prune(compressed, **region, **options)
                assert sparse.issparse(second.rule.A) and sparse.issparse(second.rule.B)
                assert_allclose(second.rule.A.toarray(), first.rule.A)
                assert_allclose(second.output_bound, first.output_bound, atol=1e-9)
                assert second.sparsity == first.sparsity


class TestLowRank:
    """A of the rank asked for, inside its bound."""

    @every_seed
    @pytest.mark.parametrize("rank", [0, 1, 3, 8])
    def test_rank_and_norm(self, seed, rank):
        rule = random_rule(seed)
        result = low_rank(rule, random_inputs(seed), rank=rank)
        assert result.rank == rank
        assert result.L.shape == result.R.shape == (8, rank)
        assert_array_equal(result.rule.A, result.L @ result.R.T)
        assert np.linalg.matrix_rank(result.rule.A) <= rank
        assert result.rule.inf_norm <= rule.inf_norm
        assert_array_equal(result.rule.B, rule.B)

    @every_seed
    def test_full_rank_changes_nothing(self, seed):
        rule = random_rule(seed)
        result = low_rank(rule, random_inputs(seed), rank=8)
        assert result.rule == rule
        assert not result.output_bound.any()

    @every_seed
    def test_rank_that_A_has_is_found(self, seed):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 8))
        A *= 0.9 / np.abs(A).sum(axis=1).max()
        rule = random_rule(seed)
        rule = ImplicitRule(A, rule.B, rule.C, rule.D, rule.b, rule.c)
        for region in ({"U": random_inputs(seed)}, {"box": (-np.ones(4), np.ones(4))}):
            assert low_rank(rule, tolerance=1e-6, **region).rank == 2

    @every_seed
    def test_tolerance_is_kept(self, seed):
        ranks = []
        for tolerance in (0.0, 0.5, 5.0, 1e4):
            result = low_rank(random_rule(seed), random_inputs(seed), tolerance=tolerance)
            assert result.output_bound.max() <= tolerance
            ranks.append(result.rank)
        assert ranks == sorted(ranks, reverse=True)
        assert ranks[-1] == 0

    def test_equation_of_the_factors(self):
        rule, U = random_rule(0), random_inputs(0)
        result = low_rank(rule, U, rank=3)
        X = result.rule.states(U)
        Z = X @ result.R
        assert_allclose(rule.activation(Z @ result.L.T + U @ rule.B.T + rule.b) @ result.R, Z, atol=1e-8)


class TestValidation:
    """Bad input is named."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "either U or box"),
            ({"U": np.zeros((2, 4)), "box": (np.zeros(4), np.ones(4))}, "either U or box"),
            ({"U": np.zeros((2, 3))}, "U has 3 columns"),
            ({"U": np.full((2, 4), np.nan)}, "U contains NaN"),
            ({"box": (np.zeros(3), np.ones(3))}, "box must be two finite arrays"),
            ({"box": (np.zeros(4), np.full(4, np.inf))}, "box must be two finite arrays"),
            ({"box": (np.zeros(4), np.ones(4), np.ones(4))}, "box must be two finite arrays"),
            ({"box": (np.zeros(4), np.ones(3))}, "box must be two finite arrays"),
            ({"box": ("low", "high")}, "box must be two finite arrays"),
            ({"box": 1.0}, "box must be two finite arrays"),
            ({"box": (np.ones(4), np.zeros(4))}, "lower end of box"),
        ],
        ids=str,
    )
    def test_region(self, options, message):
        for compress in (prune, low_rank):
            with pytest.raises(ValueError, match=message):
                compress(random_rule(0), tolerance=1.0, **options)

    def test_choice(self):
        rule, U = random_rule(0), random_inputs(0)
        for options in ({}, {"threshold": 0.1, "tolerance": 0.1}):
            with pytest.raises(ValueError, match="exactly one of threshold and tolerance"):
                prune(rule, U, **options)
        with pytest.raises(ValueError, match="exactly one of rank and tolerance"):
            low_rank(rule, U)
        for value in (-1.0, np.nan, "small", True):
            with pytest.raises(ValueError, match="tolerance must be a finite number"):
                prune(rule, U, tolerance=value)
            with pytest.raises(ValueError, match="rank must be"):
                low_rank(rule, U, rank=value)
        for value in (9, 1.5):
            with pytest.raises(ValueError, match="rank must be an integer of at most n_hidden=8"):
                low_rank(rule, U, rank=value)

    def test_rule_without_certificate(self):
        rule = ImplicitRule([[2.0]], [[1.0]], [[1.0]], activation="tanh")
        for compress in (prune, low_rank):
            with pytest.raises(ValueError, match="not certified below 1"):
                compress(rule, box=([0.0], [1.0]), tolerance=1.0)


@pytest.mark.parametrize("seed", [12, 29])
def test_small_bounds_beside_large_ones_do_not_cancel(seed):
    rng = np.random.default_rng(seed)
    A = np.triu(rng.normal(size=(7, 7)) * 10.0 ** rng.integers(-6, 9, size=(7, 7)), 1)
    A += np.diag(rng.uniform(0, 0.9, size=7)) * (seed % 2)
    order = rng.permutation(7)
    rule = ImplicitRule(A[order][:, order], rng.normal(size=(7, 2)), np.eye(7))
    U = rng.normal(size=(5, 2))
    result = prune(rule, U, threshold=0.5)
    size = np.abs(rule.predict(U)).max(axis=0)
    assert np.all(change(rule, result.rule, U) <= result.output_bound + ROUNDING * size)


@pytest.mark.parametrize("call", [prune, low_rank, ArchitectureReport.of])
def test_an_estimator_is_told_where_its_rule_is(call):
    with pytest.raises(
        TypeError, match=r"^rule must be an ImplicitRule, got ImplicitRegressor; .* rule_, .* clipped_rule"
    ):
        call(ImplicitRegressor.from_rule(random_rule(0)))


def test_bound_of_a_low_rank_goes_by_the_smaller_rule():
    rule = ImplicitRule([[0.1, 0.0, 0.6], [0.6, 0.1, 0.0], [0.0, 0.6, 0.1]], np.eye(3), np.eye(3)[:2])
    U = np.abs(random_inputs(0, p=3))
    result = low_rank(rule, U, rank=2)
    A = to_dense(result.rule.A)
    drift = np.linalg.solve(np.eye(3) - np.abs(A), np.abs(rule.states(U) @ (rule.A - A).T).T)
    assert_allclose(result.output_bound, (np.abs(rule.C) @ drift).max(axis=1), rtol=1e-9)
    assert np.all(np.abs(A) > 0)  # unlike the original
