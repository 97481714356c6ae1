"""All methods find the same states, and say so when they do not."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitRule
from skimplicit.activations import ACTIVATIONS, BlockActivation, get_activation, leaky_relu, max_pool, softmax
from skimplicit.equilibrium import METHODS, Status, choose_method, equilibrium, solve_equilibrium, sweeps
from skimplicit.equilibrium.safeguarded import AndersonSteps, NewtonSteps
from skimplicit.projections import project_rows_l1

SEEDS = range(2)


def contraction(n, activation, seed, norm=0.9, self_loop=0.0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= (norm - self_loop) / np.abs(A).sum(axis=1, keepdims=True)
    return (A + self_loop * np.eye(n)) / get_activation(activation).lipschitz


def negative_loops(seed):
    return np.diag([-3.0, -2.0, -1.0]) + 0.1 * np.random.default_rng(seed).normal(size=(3, 3))


@pytest.mark.parametrize("seed", SEEDS)
def test_averaged_iteration_where_picard_diverges(seed):
    A, phi = negative_loops(seed), get_activation("tanh")
    z = np.random.default_rng(seed).normal(size=(20, 3))
    assert not solve_equilibrium(A, z, phi, method="picard", max_iter=2000).converged.all()
    expected = solve_equilibrium(A, z, phi, method="averaged", rtol=1e-13)
    assert expected.converged.all() and expected.n_iter.max() <= 120
    assert_allclose(expected.states, np.tanh(expected.states @ A.T + z), atol=1e-12)
    for method in ("anderson", "newton", "diagonal_newton", "peaceman_rachford", "auto"):
        found = solve_equilibrium(A, z, phi, method=method)
        assert found.converged.all() and np.all(np.isfinite(found.error_bound))
        assert np.all(np.abs(found.states - expected.states).max(axis=1) <= found.error_bound + 1e-12)
        assert np.all(found.error_bound <= 1e-10 * np.abs(found.states).max(axis=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_picard_solves_negative_loops_in_closed_form(seed):
    A, z = negative_loops(seed), np.random.default_rng(seed).normal(size=(20, 3))
    found = solve_equilibrium(A, z, get_activation("relu"), method="picard")
    assert found.converged.all() and found.n_iter.max() <= 40
    averaged = solve_equilibrium(A, z, get_activation("relu"), method="averaged")
    assert_allclose(found.states, averaged.states, rtol=1e-8, atol=1e-10)


@pytest.mark.slow_cases
@pytest.mark.parametrize("self_loop", [0.0, 0.8])
@pytest.mark.parametrize(  # every method for every activation, dense or sparse in turn
    ("activation", "method", "as_sparse"),
    [
        (activation, method, (i + j) % 2 == 1)
        for i, activation in enumerate(ACTIVATIONS)
        for j, method in enumerate([*METHODS, "auto"])
    ],
)
def test_every_method_for_every_activation(activation, method, self_loop, as_sparse):
    phi = get_activation(activation)
    A = contraction(12, activation, 0, self_loop=self_loop)
    z = np.random.default_rng(1).normal(size=(30, 12))
    kept = sparse.csr_array(A) if as_sparse else A
    if method == "peaceman_rachford" and phi.min_slope < 0:
        with pytest.raises(ValueError, match="needs an increasing activation"):
            solve_equilibrium(kept, z, phi, method=method)
        return
    found = solve_equilibrium(kept, z, phi, method=method)
    assert found.converged.all()
    scale = np.abs(found.states).max(axis=1)
    assert np.all(np.abs(found.states - phi(found.states @ A.T + z)).max(axis=1) <= 1e-9 * scale)
    exact = solve_equilibrium(A, z, phi, method="picard", rtol=1e-14).states
    assert np.all(np.abs(found.states - exact).max(axis=1) <= 1.01e-10 * scale)
    warm = solve_equilibrium(kept, z, phi, method=method, start=exact)
    assert warm.converged.all() and warm.n_iter.max() <= found.n_iter.max()


@pytest.mark.parametrize("method", ["averaged", "anderson", "newton", "diagonal_newton", "peaceman_rachford"])
def test_rows_do_not_depend_on_one_another(method):
    A, phi = contraction(15, "tanh", 0, self_loop=0.6), get_activation("tanh")
    z = np.random.default_rng(1).normal(size=(3000, 15)) * 10.0 ** np.linspace(-3, 2, 3000)[:, None]
    together = solve_equilibrium(A, z, phi, method=method).states
    alone = np.vstack([solve_equilibrium(A, z[i : i + 1], phi, method=method).states for i in range(0, 3000, 299)])
    scale = np.abs(alone).max(axis=1, keepdims=True)
    assert_allclose(together[::299] / scale, alone / scale, atol=1e-9)


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", ["anderson", "newton", "diagonal_newton"])
def test_safeguarded_methods_converge_near_the_bound(seed, method):
    rng = np.random.default_rng(seed)
    A = 0.995 * project_rows_l1(rng.normal(size=(8, 8)) * (rng.uniform(size=(8, 8)) < 0.5) + np.eye(8), 1.0)
    z = 10.0 ** rng.uniform(-2, 2, size=(10, 1)) * rng.normal(size=(10, 8))
    for activation in ("tanh", "relu", "elu", "softplus"):
        found = solve_equilibrium(A, z, get_activation(activation), method=method, max_iter=50_000)
        assert found.status in (Status.CONVERGED, Status.PRECISION)
        assert_allclose(found.states, get_activation(activation)(found.states @ A.T + z), rtol=1e-7, atol=1e-9)


def test_a_singular_row_spoils_no_other():
    A, phi = np.array([[1.0]]), get_activation("relu")  # I - phi' A is singular where z > 0
    found = solve_equilibrium(A, np.array([[1.0], [-1.0], [2.0], [-3.0]]), phi, method="newton", max_iter=50)
    assert found.converged.tolist() == [False, True, False, True]
    assert_allclose(found.states[[1, 3]], 0)


@pytest.mark.parametrize("method", ["newton", "anderson"])
def test_steps_are_proposed_for_the_rows_that_do_not_wait(method, monkeypatch):
    kind = {"newton": NewtonSteps, "anderson": AndersonSteps}[method]
    propose, asked = kind.propose, []

    def counted(self, rows, X, R, Z):
        asked.append(len(X))
        return propose(self, rows, X, R, Z)

    monkeypatch.setattr(kind, "propose", counted)
    rng = np.random.default_rng(0)
    A = np.abs(rng.normal(size=(30, 30))) * 1.5 / 30  # most rows have no solution: their proposals fail for long
    found = solve_equilibrium(A, rng.normal(size=(20, 30)), "relu", method=method, max_iter=500)
    assert np.count_nonzero(~found.converged) >= 5 and found.n_iter.max() == 500
    assert 0 < sum(asked) <= 0.5 * found.n_iter.sum()


@pytest.mark.parametrize("dtype", [">f8", "f4", int])
@pytest.mark.parametrize("method", ["auto", "picard", "newton", "peaceman_rachford"])
def test_drives_of_any_type(method, dtype):
    A = np.array([[0.5, -0.3], [0.2, -0.4]])
    drive = np.array([[1.0, 2.0], [-1.0, 3.0]])
    expected = equilibrium(A, drive, get_activation("tanh")).states
    start = np.ones((2, 2), dtype=dtype)
    for solution in (
        equilibrium(A, drive.astype(dtype), get_activation("tanh"), start=start),
        solve_equilibrium(A, drive.astype(dtype), "tanh", method=method, start=start),
        solve_equilibrium(A, drive.tolist(), "tanh", method=method),
    ):
        assert_allclose(solution.states, expected, rtol=1e-9)


def test_auto_chooses_what_is_certified():
    rng = np.random.default_rng(0)
    S = rng.normal(size=(6, 6))
    for A, activation, method in (
        (contraction(6, "relu", 0), "relu", "picard"),
        (contraction(6, "tanh", 0), "tanh", "picard"),
        (contraction(6, "tanh", 0, self_loop=0.7), "tanh", "diagonal_newton"),
        (negative_loops(0), "relu", "picard"),
        (negative_loops(0), "tanh", "diagonal_newton"),
        (3 * (S - S.T), "tanh", "peaceman_rachford"),
        (3 * (S - S.T), "relu", "peaceman_rachford"),
        (3 * S, "gelu", "newton"),
        (np.ones((50, 50)), "gelu", "anderson"),
    ):
        assert choose_method(A, get_activation(activation)) == method


def chain(seed):
    """Return a rule with explicit and implicit steps, its states in random order, and the matrix A."""
    rng = np.random.default_rng(seed)
    n = 40
    A = np.triu(rng.normal(size=(n, n)) * (rng.uniform(size=(n, n)) < 0.2), 1)
    A[5:12, 5:12] = contraction(7, "tanh", seed)
    A[20:25, 20:25] = contraction(5, "tanh", seed, self_loop=0.6)
    permutation = rng.permutation(n)
    phi = BlockActivation([("tanh", 15), ("relu", 15), ("sigmoid", 10)])
    A = A[np.ix_(permutation, permutation)]
    return ImplicitRule(A, rng.normal(size=(n, 3)), rng.normal(size=(2, n)), rng.normal(size=(2, 3)), activation=phi)


@pytest.mark.parametrize("seed", SEEDS)
def test_substitution_is_picard_where_states_need_one_another(seed):
    rule, U = chain(seed), np.random.default_rng(seed).normal(size=(50, 3))
    expected = rule.solve(U, method="picard", rtol=1e-14, max_iter=100_000).states
    found = rule.solve(U)
    assert found.converged.all()
    assert_allclose(found.states, expected, rtol=1e-8, atol=1e-10)
    assert np.all(np.abs(found.states - expected).max(axis=1) <= found.error_bound + 1e-12)
    assert_allclose(rule.predict(U), expected @ rule.C.T + U @ rule.D.T, rtol=1e-8, atol=1e-9)
    with pytest.raises(ValueError, match="strictly triangular"):
        rule.states(U, method="direct")
    assert pickle.loads(pickle.dumps(rule)) == rule and rule.__getstate__().keys() == set("ABCDbc") | {"activation"}


@pytest.mark.slow
def test_never_a_silent_failure():
    rule = ImplicitRule([[0.0, 2.0], [-2.0, 0.0]], np.eye(2), np.eye(2), activation="gelu")
    bad = ImplicitRule([[1.0]], [[1.0]], [[1.0]])
    U = [[1.0], [-1.0]]
    for method in ("auto", "picard", "averaged", "anderson", "newton"):
        with pytest.warns(ConvergenceWarning, match="1 of 2"):
            bad.states(U, method=method, max_iter=20)
        assert bad.solve(U, method=method, max_iter=20).converged.tolist() == [False, True]
    with pytest.warns(ConvergenceWarning, match="1 of 2"):
        bad.predict(U)
    assert np.all(rule.solve([[1.0, 0.5]], method="picard", max_iter=50).error_bound == np.inf)
    with pytest.raises(ValueError, match="method must be one of"):
        rule.states([[1.0, 0.5]], method="bisection")
    with pytest.raises(ValueError, match="method must be one of"):
        solve_equilibrium(np.eye(1), np.ones((1, 1)), get_activation("relu"), method="direct")
    with pytest.raises(ValueError, match="max_iter"):
        rule.states([[1.0, 0.5]], method="newton", max_iter=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_sparse_rule_is_the_dense_rule(seed):
    rng = np.random.default_rng(seed)
    matrices = [0.4 * rng.normal(size=shape) * (rng.uniform(size=shape) < 0.3) for shape in ((9, 9), (9, 4), (2, 9))]
    matrices[0] = project_rows_l1(matrices[0], 0.9)
    dense = ImplicitRule(*matrices, b=rng.normal(size=9))
    kept = ImplicitRule(*map(sparse.csr_array, matrices), b=dense.b)
    U = rng.normal(size=(15, 4))
    assert kept == dense and dense == kept and repr(kept) == repr(dense)
    assert kept != ImplicitRule(2 * kept.A, kept.B, kept.C, b=kept.b)
    assert sparse.issparse(kept.A) and sparse.issparse(kept.D) and not kept.A.data.flags.writeable
    restored = pickle.loads(pickle.dumps(kept))
    assert restored == kept and not restored.A.data.flags.writeable
    for inputs in (U, sparse.csr_array(U)):
        for method in ("auto", "picard", "anderson"):
            assert_allclose(kept.states(inputs, method=method), dense.states(U), rtol=1e-8, atol=1e-9)
        assert_allclose(kept.predict(inputs), dense.predict(U), rtol=1e-8, atol=1e-9)
    assert kept.inf_norm == pytest.approx(dense.inf_norm) and kept.is_well_posed()
    with pytest.raises(ValueError, match="b must have 1 dim"):
        ImplicitRule(*matrices, b=sparse.csr_array(np.ones((9, 1))))


def far_from_zero(seed, size, n=6):
    """Return A with a monotone I - A that no other test certifies, and drives of huge negative entries but one."""
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, n))
    drive = np.full((5, n), -size)
    drive[:, 0] = 0.0
    return 2 * (S - S.T) + 0.3 * np.eye(n), drive + 1e-3 * rng.normal(size=(5, n))


def exact_relu(A, z):
    """Solve ``x = relu(A x + z)`` by trying which states are positive, in extended precision."""
    n = A.shape[0]
    for mask in np.ndindex(*(2,) * n):
        on = np.flatnonzero(mask)
        x = np.zeros(n)
        if on.size:
            M = np.eye(on.size) - A[np.ix_(on, on)]
            x[on] = np.linalg.solve(M, z[on])
            for _ in range(3):
                wide = z[on].astype(np.longdouble) - M.astype(np.longdouble) @ x[on].astype(np.longdouble)
                x[on] += np.linalg.solve(M, wide.astype(float))
        off = np.setdiff1d(np.arange(n), on)
        if np.all(x >= 0) and np.all((A @ x + z)[off] <= 0):
            return x
    raise AssertionError("no solution")


@pytest.mark.slow_cases
@pytest.mark.parametrize("size", [0.0, 1e3, 1e12])
@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("seed", range(2))
def test_the_promise_is_about_the_states_or_the_row_says_so(seed, method, size):
    A, drive = far_from_zero(seed, size)
    phi = get_activation("relu")
    exact = np.array([exact_relu(A, z) for z in drive])
    certain = method in ("auto", "peaceman_rachford")
    found = solve_equilibrium(A, drive, phi, method=method, max_iter=20_000 if certain else 300)
    error = np.abs(found.states - exact).max(axis=1)
    assert np.all((error <= 1.01e-10 * np.abs(exact).max(axis=1)) | ~found.converged)
    assert np.all((error <= found.error_bound * (1 + 1e-9) + 1e-14 * np.abs(exact).max(axis=1)) | ~np.isfinite(error))
    assert found.converged.all() or not certain


@pytest.mark.slow_cases
@pytest.mark.parametrize(  # every method for every activation, at one size or the other
    ("method", "activation", "size"),
    [(m, a, [1.0, 1e6][(i + j) % 2]) for i, m in enumerate(METHODS) for j, a in enumerate(ACTIVATIONS)],
)
def test_rows_of_a_monotone_rule_keep_their_promise_by_every_method(method, activation, size):
    A, drive = far_from_zero(0, size)
    phi = get_activation(activation)
    if phi.min_slope < 0:
        A = A * (0.9 / np.abs(A).sum(axis=1, keepdims=True) / phi.lipschitz)
        if method == "peaceman_rachford":
            return
    found = solve_equilibrium(A, drive, phi, method=method, max_iter=300)
    sharp = solve_equilibrium(A, drive, phi, rtol=1e-13)
    assert np.all(sharp.error_bound <= 1e-12 * np.abs(sharp.states).max(axis=1))
    scale = np.abs(sharp.states).max(axis=1)
    error = np.abs(found.states - sharp.states).max(axis=1)
    assert np.all((error <= 1.1e-10 * scale) | ~found.converged)
    assert np.all((error <= found.error_bound + sharp.error_bound + 1e-13 * scale) | ~np.isfinite(error))


GROUPED = {
    "softmax": [(softmax(3), 6)],
    "pooling and more": [("relu", 3), (max_pool(2), 4), ("sigmoid", 2), (softmax(3), 3)],
    "componentwise": [("relu", 3), ("tanh", 3), ("gelu", 2), ("sigmoid", 2)],
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("blocks", GROUPED)
def test_blockwise_activations_keep_the_promise(blocks, method, seed):
    phi, rng = BlockActivation(GROUPED[blocks]), np.random.default_rng(seed)
    A = rng.normal(size=(phi.size, phi.size))
    A *= (0.95 / np.abs(A).sum(axis=1) / np.maximum(phi.lipschitz, 1.0))[:, None]
    drive = rng.normal(size=(20, phi.size)) * 10.0 ** rng.uniform(-3, 5, size=(20, 1))
    if method in ("diagonal_newton", "newton") and phi.groups is not None or method == "peaceman_rachford":
        with pytest.raises(ValueError, match="needs"):
            solve_equilibrium(A, drive, phi, method=method)
        return
    found, sharp = solve_equilibrium(A, drive, phi, method=method), solve_equilibrium(A, drive, phi, rtol=1e-13)
    assert found.converged.all()
    scale = np.abs(sharp.states).max(axis=1)
    assert np.all(np.abs(found.states - sharp.states).max(axis=1) <= 1.01e-10 * scale)


def test_a_row_ends_in_one_of_five_ways_and_the_warning_counts_them():
    rule, U = ImplicitRule([[2.0]], [[1.0]], [[1.0]]), [[1.0], [-1.0]]
    assert rule.solve(U, max_iter=100).row_status.tolist() == [Status.NOT_CERTIFIED, Status.CONVERGED]
    with pytest.warns(ConvergenceWarning, match="^1 of 2 rows: no solution .* no test certifies that there is one; .*"):
        rule.states(U, max_iter=100)
    assert rule.solve(U, method="picard").row_status.tolist() == [Status.DIVERGED, Status.CONVERGED]
    with pytest.warns(ConvergenceWarning, match="^1 of 2 rows: the states grew beyond all numbers; .* no solution.$"):
        rule.states(U, method="picard")
    certified = ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation="tanh")
    with pytest.warns(ConvergenceWarning, match="2 of 2 rows: .* raise max_iter or rtol"):
        certified.states(U, method="picard", max_iter=2)
    n = 30
    edge = ImplicitRule((1 - 1e-9) * np.roll(np.eye(n), 1, axis=0), np.ones((n, 1)), np.ones((1, n)))
    assert edge.solve([[1.0]], max_iter=3).status is Status.MAX_ITER
    # Rounding errors, amplified 1e9 times, are larger than 1e-10: no number of iterations helps.
    assert edge.solve([[1e-3]], method="newton").status is Status.PRECISION
    assert list(Status)[0] is Status.CONVERGED and [status.place for status in Status] == list(range(5))


@pytest.mark.parametrize("n_rings", [2, 12])
def test_rings_in_a_row_amplify_errors_as_all_weights_together_do(n_rings):
    # What comes from the ring before arrives at its first state, and feedback is strong between the two others: the
    # bounds of twelve rings, multiplied, are 1e12, that of the whole rule is 20.
    ring = np.array([[0.0, 0.04, 0.0], [0.05, 0.0, 0.9], [0.0, 0.95, 0.0]])
    link = np.array([[0.0, 0.9, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    A = np.kron(np.eye(n_rings), ring) + np.kron(np.eye(n_rings, k=-1), link)
    n = len(A)
    rule, U = ImplicitRule(A, np.ones((n, 1)), np.ones((1, n))), np.array([[1e-3], [1.0]])
    solution = rule.solve(U)
    assert solution.status is Status.CONVERGED
    error = np.abs(solution.states - np.linalg.solve(np.eye(n) - A, np.ones(n)) * U).max(axis=1)
    assert np.all(error <= solution.error_bound + 1e-14)
    assert np.all(solution.error_bound <= 1e-10 * solution.states.max(axis=1))


def test_what_depends_on_the_matrix_is_prepared_once(monkeypatch):
    rng, prepared = np.random.default_rng(0), []
    for maker in ("perron_certificate", "well_posedness", "without_diagonal"):
        inner = getattr(sweeps, maker)
        monkeypatch.setattr(sweeps, maker, lambda *args, inner=inner, **kw: prepared.append(1) or inner(*args, **kw))
    for activation in ("relu", "tanh"):
        A = contraction(6, activation, 0, self_loop=0.5)
        rule = ImplicitRule(A, rng.normal(size=(6, 2)), rng.normal(size=(1, 6)), activation=activation)
        for method in ("auto", *METHODS):
            first = rule.states(np.ones((3, 2)), method=method)
            assert prepared
            prepared.clear()
            assert np.array_equal(rule.states(np.ones((3, 2)), method=method), first)
            assert not prepared
        rule.predict(np.ones((1, 2)))
        assert not prepared
        assert rule.__getstate__().keys() == set("ABCDbc") | {"activation"}


@pytest.mark.parametrize("weight", [1.0, 1e4, 1e9])
def test_errors_are_bounded_beyond_the_blocks_that_make_them(weight):
    """A monotone block, which no norm certifies, feeds states with large weights."""
    rng = np.random.default_rng(0)
    A, drive = far_from_zero(0, 1.0, n=4)
    whole = np.zeros((6, 6))
    whole[:4, :4], whole[4, :4], whole[5, 4] = A, weight * rng.normal(size=4), 2.0
    rule = ImplicitRule(whole, np.vstack([np.eye(4), np.zeros((2, 4))]), np.ones((1, 6)))
    found = rule.solve(drive)
    x = np.array([exact_relu(A, z) for z in drive])
    after = np.maximum(x @ whole[4, :4], 0)[:, None]
    error = np.abs(found.states - np.hstack([x, after, 2 * after])).max(axis=1)
    assert np.isfinite(found.error_bound).all()
    assert np.all(error <= found.error_bound + 1e-13 * weight * np.abs(x).max(axis=1))
    assert np.all(found.converged | (found.error_bound > 1e-10 * np.abs(found.states).max(axis=1)))
    assert found.converged.all() or weight == 1e9


RING = np.array([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize("max_iter", [1, 5, 20])
@pytest.mark.parametrize(
    ("weights", "activation"),
    [
        (0.4 * RING, leaky_relu(2.0)),
        (np.block([[0.9 * RING, 0 * RING], [np.eye(2, k=-1), np.array([[0.0, 5.0], [0.05, 0.0]])]]), "tanh"),
        (
            np.block([[0.5 * RING, 0 * RING], [np.eye(2), 0 * RING]]),
            BlockActivation([("tanh", 2), (leaky_relu(-9.0), 2)]),
        ),
    ],
    ids=["steep where negative", "a loop after a loop", "steep after a loop"],
)
def test_errors_of_loops_that_end_early_are_bounded(weights, activation, max_iter):
    n = len(weights)
    rule = ImplicitRule(weights, np.vstack([np.eye(2), np.zeros((n - 2, 2))]), np.ones((1, n)), activation=activation)
    U = [[-1e-2, -2e-2], [-1e-2, 2e-2]]
    error = np.abs(rule.solve(U, max_iter=max_iter).states - rule.solve(U, rtol=1e-14).states).max(axis=1)
    assert error.max() > 1e-7
    assert np.all(error <= rule.solve(U, max_iter=max_iter).error_bound)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_errors_of_strong_loops_of_states_with_themselves_are_bounded(method, activation):
    A, drive = np.array([[0.9, 0.05], [0.0, 0.9]]), np.array([[-0.1, 0.2], [-2.0, -1.0]])
    expected = solve_equilibrium(A, drive, get_activation(activation), rtol=1e-14).states
    for max_iter in (1, 3, 10):
        found = solve_equilibrium(A, drive, get_activation(activation), method=method, max_iter=max_iter)
        assert np.all(np.abs(found.states - expected).max(axis=1) <= found.error_bound + 1e-12)


def test_a_loop_that_is_too_steep_on_one_side_has_no_solution_there():
    rule = ImplicitRule([[0.5]], [[1.0]], [[1.0]], activation=leaky_relu(3.0))
    found = rule.solve([[1.0], [-1.0]], max_iter=100)  # x = x / 2 + 1; and x = 3 (x / 2 - 1) is 6, not negative
    assert found.converged.tolist() == [True, False]
    assert_allclose(found.states[0], 2.0)
