"""The two loops: they solve their equations, bound their errors truthfully, and treat every row alone.

The oracle of the forward loop is a long plain iteration, that of the adjoint a dense linear solve; the adjoint is also
held against finite differences of the forward loop, which is what it is for.
"""

import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS, Activation
from skimplicit.equilibrium import Status, adjoint, describe, equilibrium, loop, solve_equilibrium

# Homogeneous functions that a user may define: one that kills what is positive, one that folds, one that turns round.
CUSTOM = (
    Activation("negative part", lambda Z, out=None: np.minimum(Z, 0.0, out=out), None, 0.0, 1.0, homogeneous=True),
    Activation("absolute value", lambda Z, out=None: np.abs(Z, out=out), None, -1.0, 1.0, homogeneous=True),
    Activation("minus relu", lambda Z, out=None: np.negative(np.maximum(Z, 0), out=out), None, -1.0, 0.0, True),
    Activation("steep", lambda Z, out=None: np.maximum(0.5 * Z, 2.0 * Z, out=out), None, 0.5, 2.0, homogeneous=True),
)
RELU = ACTIVATIONS["relu"]
TANH = ACTIVATIONS["tanh"]
SMOOTH = [activation for name, activation in ACTIVATIONS.items() if "relu" not in name]

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=str)
every_seed = pytest.mark.parametrize("seed", range(2))
LOOPS = ["none", "mixed", "positive", "negative"]
every_loop = pytest.mark.parametrize("loops", LOOPS)
# Every activation with every kind of loops, of one seed or the other.
every_kind = pytest.mark.parametrize(
    ("activation", "loops", "seed"),
    [
        pytest.param(activation, loops, (i + j) % 2, id=f"{activation}-{loops}")
        for i, activation in enumerate([*ACTIVATIONS.values(), *CUSTOM])
        for j, loops in enumerate(LOOPS)
    ],
)


def weights(rng, n, norm, loops):
    """Return a matrix whose rows all have the l1 norm ``norm``; self-loops take 9 tenths of it, or their share."""
    A = rng.normal(size=(n, n))
    A /= np.abs(A).sum(axis=1, keepdims=True)
    if loops != "mixed":
        np.fill_diagonal(A, 0.0)
        if n > 1:
            A /= np.abs(A).sum(axis=1, keepdims=True)
    if loops in ("positive", "negative"):
        A = 0.1 * A + (0.9 if loops == "positive" else -0.9) * np.eye(n)
    return norm * A


def unbalanced(rng, n, loops):
    """Return a matrix of large infinity norm whose Perron-Frobenius value is below 1 all the same."""
    scales = 10.0 ** rng.uniform(-1.5, 1.5, size=n)
    return weights(rng, n, 0.95, loops) / scales[:, None] * scales


def rows(rng, m, n):
    """Return rows of very different size, one of them zero, so that they do not converge together."""
    Z = rng.normal(size=(m, n)) * 10.0 ** rng.uniform(-4, 4, size=(m, 1))
    Z[: min(m, 1)] = 0.0
    return Z


def plain_iteration(A, Z, activation, sweeps=900):
    """Iterate without any trick; 0.95 ** 900 is below the rounding error."""
    X = np.zeros_like(Z)
    for _ in range(sweeps):
        X = activation(X @ A.T + Z)
    return X


def dense_adjoint(A, slopes, forcing):
    """Solve ``s (I - A diag(phi')) = phi' * g`` row by row."""
    eye = np.eye(A.shape[0])
    return np.array([np.linalg.solve((eye - A * p).T, p * g) for p, g in zip(slopes, forcing, strict=True)])


def largest(X):
    return np.abs(X).max(axis=1)


def total(X):
    return np.abs(X).sum(axis=1)


class TestEquilibrium:
    @pytest.mark.slow_cases
    @every_kind
    def test_solves_the_equation(self, activation, loops, seed):
        rng = np.random.default_rng(seed)
        A, Z = weights(rng, 8, 0.95 / activation.lipschitz, loops), rows(rng, 20, 8)
        solution = equilibrium(A, Z, activation)
        X = solution.states
        rounding = 1e-13 * largest(Z)
        assert solution.status is Status.CONVERGED
        assert solution.converged.all()
        assert np.all(largest(X - activation(X @ A.T + Z)) <= 2e-10 * largest(X) + rounding)
        assert np.all(largest(X - plain_iteration(A, Z, activation)) <= 1e-10 * largest(X) + rounding)

    @every_loop
    @every_seed
    def test_norm_above_one_does_not_matter_when_certified(self, loops, seed):
        rng = np.random.default_rng(seed)
        A, Z = unbalanced(rng, 7, loops), rng.normal(size=(10, 7))
        solution = equilibrium(A, Z, RELU)
        X, expected = solution.states, plain_iteration(A, Z, RELU, 2000)
        assert np.abs(A).sum(axis=1).max() > 1
        assert solution.converged.all()
        assert np.all(largest(X - expected) <= 1e-10 * largest(X) + 1e-13 * largest(expected))

    @pytest.mark.slow_cases
    @every_kind
    def test_error_bound_is_one(self, activation, loops, seed):
        rng = np.random.default_rng(seed)
        A, Z = unbalanced(rng, 6, loops) / activation.lipschitz, rng.normal(size=(10, 6))
        exact = plain_iteration(A, Z, activation, 2000)
        for max_iter in (1, *rng.integers(2, 60, size=4)):
            start = None if max_iter % 2 else rng.normal(scale=10.0, size=Z.shape)
            solution = equilibrium(A, Z, activation, start=start, max_iter=max_iter)
            error = largest(solution.states - exact)
            assert np.isfinite(solution.error_bound).all()
            assert np.all(error <= solution.error_bound * (1 + 1e-9) + 1e-12 * largest(exact))
            assert np.all(solution.n_iter <= max_iter)

    @every_seed
    def test_converged_rows_keep_their_promise_and_only_those_are_called_so(self, seed):
        rng = np.random.default_rng(seed)
        A, Z = weights(rng, 6, 0.95, "mixed"), rows(rng, 40, 6)
        exact = plain_iteration(A, Z, TANH)
        for max_iter in (1, 4, 20, 80):
            solution = equilibrium(A, Z, TANH, rtol=1e-6, max_iter=max_iter)
            promise = solution.error_bound <= 1e-6 * largest(solution.states) * (1 + 1e-12)
            np.testing.assert_array_equal(solution.converged, promise)
            assert np.all(largest(solution.states - exact)[promise] <= 1.01e-6 * largest(exact)[promise])
            assert (solution.status is Status.CONVERGED) == promise.all()

    @pytest.mark.parametrize("activation", [RELU, TANH, ACTIVATIONS["silu"]], ids=str)
    @every_seed
    def test_every_row_is_alone(self, activation, seed, monkeypatch):
        rng = np.random.default_rng(seed)
        A, Z = weights(rng, 6, 0.95 / activation.lipschitz, "mixed"), rows(rng, 50, 6)
        together = equilibrium(A, Z, activation).states
        tolerance = 1e-9 * largest(together)
        for each, z, row, atol in zip(range(50), Z, together, tolerance, strict=True):
            alone = equilibrium(A, z[None], activation).states[0]
            np.testing.assert_allclose(alone, row, rtol=0, atol=atol, err_msg=f"row {each}")
        order = rng.permutation(50)
        assert np.all(largest(equilibrium(A, Z[order], activation).states - together[order]) <= tolerance[order])
        for chunk in (1, 6 * 17, 6 * 49):  # chunks of 16, 17 and 49 rows
            monkeypatch.setattr(loop, "_CHUNK", chunk)
            in_chunks = equilibrium(A, Z, activation)
            assert in_chunks.converged.all()
            assert np.all(largest(in_chunks.states - together) <= tolerance)

    @pytest.mark.parametrize("activation", [RELU, TANH], ids=str)
    @every_seed
    def test_start_changes_the_way_but_not_the_end(self, activation, seed, monkeypatch):
        monkeypatch.setattr(loop, "_CHUNK", 1)
        rng = np.random.default_rng(seed)
        A, Z = weights(rng, 6, 0.95, "mixed"), rng.normal(size=(40, 6))
        expected = equilibrium(A, Z, activation).states
        for start in (np.zeros_like(Z), rng.normal(scale=1e6, size=Z.shape), expected, np.asfortranarray(-expected)):
            before = start.copy()
            start.flags.writeable = False
            solution = equilibrium(A, Z, activation, start=start)
            assert solution.converged.all()
            assert np.all(largest(solution.states - expected) <= 1e-9 * largest(expected))
            assert not np.shares_memory(solution.states, start)
            np.testing.assert_array_equal(start, before)
        assert equilibrium(A, Z, activation, start=expected).n_iter.max() <= 2

    def test_error_bound_is_attained(self):
        # Errors of all coordinates add up in a cycle, and one sweep takes off a twentieth of them.
        A, ones = 0.95 * np.roll(np.eye(5), 1, axis=0), np.ones((1, 5))
        solution = equilibrium(A, ones, ACTIVATIONS["identity"], start=21.0 * ones, max_iter=1)
        assert largest(solution.states - 20.0) == pytest.approx(0.95 * solution.error_bound[0])

    @every_seed
    def test_rows_leave_when_they_have_converged(self, seed):
        rng = np.random.default_rng(seed)
        Z = rng.normal(size=(40, 6))
        Z[::3] = 0.0
        solution = equilibrium(weights(rng, 6, 0.95, "none"), Z, TANH)
        easy = ~Z.any(axis=1)
        assert np.all(solution.n_iter[easy] == 1)
        assert np.all(solution.n_iter[~easy] > 1)

    @every_activation
    def test_arguments_are_left_alone(self, activation):
        rng = np.random.default_rng(0)
        A, Z = weights(rng, 5, 0.5, "mixed"), rng.normal(size=(4, 5))
        for array in (A, Z):
            array.flags.writeable = False
        solution = equilibrium(A, Z, activation)
        assert not np.shares_memory(solution.states, Z)

    @pytest.mark.parametrize("activation", [RELU, ACTIVATIONS["leaky_relu"], ACTIVATIONS["identity"]], ids=str)
    @pytest.mark.parametrize("loop", [0.999999, 0.95, -0.95, -50.0])
    def test_self_loops_of_homogeneous_activations_cost_nothing(self, activation, loop):
        Z = np.random.default_rng(0).normal(size=(30, 4))
        solution = equilibrium(loop * np.eye(4), Z, activation)
        X = solution.states
        assert solution.n_iter.max() == 1
        np.testing.assert_allclose(X, activation(loop * X + Z), rtol=1e-9, atol=1e-9 * np.abs(X).max())

    @every_seed
    def test_closed_form_saves_most_sweeps_when_self_loops_are_heavy(self, seed):
        rng = np.random.default_rng(seed)
        A, Z = weights(rng, 8, 0.95, "positive"), rng.normal(size=(30, 8))
        plain = Activation("plain relu", RELU.function, RELU.derivative, 0.0, 1.0, homogeneous=False)
        assert equilibrium(A, Z, RELU).n_iter.max() <= equilibrium(A, Z, plain).n_iter.max() / 2

    @pytest.mark.parametrize(
        ("A", "activation"),
        [
            ([[2.0]], RELU),
            ([[1.0]], RELU),
            ([[0.0, 2.0], [2.0, 0.0]], RELU),
            ([[0.9, 2.0], [0, 1.0]], RELU),
        ],
        ids=["grows", "grows slowly", "grows in two steps", "grows behind"],
    )
    @pytest.mark.parametrize("size", [1.0, 2.0, 4.0, 8.0])  # one of these overflows just when the loop looks
    def test_divergence_is_reported_and_nothing_certified(self, A, activation, size):
        A = np.array(A)
        Z = size * np.linspace(0.5, 0.99, 20)[:, None] * np.ones(len(A))
        for max_iter in (50, 600, 1100):  # before and after the states overflow
            solution = equilibrium(A, Z, activation, max_iter=max_iter)
            overflow = ~np.isfinite(solution.residual)
            assert not solution.converged.any()
            np.testing.assert_array_equal(solution.row_status == Status.DIVERGED, overflow)
            np.testing.assert_array_equal(solution.row_status == Status.NOT_CERTIFIED, ~overflow)
            assert np.all(solution.n_iter[~overflow] == max_iter)
            assert np.all(solution.error_bound == np.inf)

    @pytest.mark.parametrize("max_iter", [1, 50, 601])
    def test_iteration_that_oscillates_knows_how_far_the_solution_is(self, max_iter):
        # mu_inf(A) < 1 certifies the one solution that plain iteration never finds.
        A, Z = np.array([[-50.0]]), np.linspace(0.5, 0.99, 20)[:, None]
        solution = equilibrium(A, Z, TANH, max_iter=max_iter)
        exact = solve_equilibrium(A, Z, TANH, method="averaged").states
        assert solution.status is Status.MAX_ITER
        assert np.all(np.abs(solution.states - exact)[:, 0] <= solution.error_bound)

    def test_status_is_that_of_each_row(self):
        Z = np.array([[-1.0], [1.0], [-2.0], [3.0], [0.0]])
        solution = equilibrium(np.array([[2.0]]), Z, RELU, max_iter=40)
        np.testing.assert_array_equal(solution.converged, [True, False, True, False, True])
        np.testing.assert_array_equal(solution.states[solution.converged], 0.0)
        assert solution.status is Status.NOT_CERTIFIED
        ends = [Status.NOT_CERTIFIED if z > 0 else Status.CONVERGED for z in Z[:, 0]]
        assert solution.row_status.tolist() == ends
        assert "no test certifies" in describe(solution.status_code)

    def test_drive_that_is_not_finite_does_not_spoil_the_other_rows(self):
        A, Z = 0.1 * np.ones((2, 2)), np.array([[1.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
        solution = equilibrium(A, Z, TANH, max_iter=100)
        np.testing.assert_array_equal(solution.converged[:2], [True, False])
        np.testing.assert_allclose(solution.states[0], equilibrium(A, Z[:1], TANH).states[0], rtol=1e-9)

    def test_absolute_tolerance_lets_small_rows_go(self):
        A, Z = 0.95 * np.roll(np.eye(3), 1, axis=0), 1e-6 * np.eye(3)
        strict, lenient = (equilibrium(A, Z, TANH, rtol=1e-4, atol=atol) for atol in (0.0, 1e-4))
        assert lenient.converged.all()
        assert lenient.n_iter.max() < strict.n_iter.min()
        assert lenient.error_bound.max() <= 1e-4


class TestAdjoint:
    @every_loop
    @every_seed
    @pytest.mark.parametrize("slopes", ["derivatives", "masks"])
    @pytest.mark.parametrize("n", [1, 2, 8])
    def test_solves_the_linear_system(self, loops, seed, slopes, n):
        rng = np.random.default_rng(seed)
        A, G = weights(rng, n, 0.95, loops), rows(rng, 20, n)
        slopes = rng.uniform(size=G.shape) if slopes == "derivatives" else rng.uniform(size=G.shape) < 0.5
        solution = adjoint(A, slopes, G)
        expected = dense_adjoint(A, slopes, G)
        assert solution.converged.all()
        assert np.all(total(solution.states - expected) <= 1e-10 * total(expected) + 1e-13 * total(G))

    @pytest.mark.parametrize("activation", SMOOTH, ids=str)
    @every_loop
    @every_seed
    def test_is_the_derivative_with_respect_to_the_pre_activations(self, activation, loops, seed):
        rng = np.random.default_rng(seed)
        n, step = 5, 1e-5
        A, z, g = weights(rng, n, 0.95 / activation.lipschitz, loops), rng.normal(size=(1, n)), rng.normal(size=(1, n))
        x = equilibrium(A, z, activation, rtol=1e-13).states
        s = adjoint(A, activation.derivative(x @ A.T + z, x), g).states
        shifted = np.vstack([z + step * np.eye(n), z - step * np.eye(n)])
        loss = equilibrium(A, shifted, activation, rtol=1e-13).states @ g[0]
        expected = (loss[:n] - loss[n:]) / (2 * step)
        # Where phi has a kink in its second derivative (ELU), differences are right to the first order only.
        np.testing.assert_allclose(s[0], expected, rtol=0, atol=1e-6 * (1 + np.abs(expected).max()) ** 2)

    @every_loop
    @every_seed
    @pytest.mark.parametrize("n", [2, 6])
    def test_error_bound_is_one_in_the_sum_of_absolute_values(self, loops, seed, n):
        rng = np.random.default_rng(seed)
        A, G = unbalanced(rng, n, loops), rng.normal(size=(10, n))
        slopes = rng.uniform(0.8, 1.0, size=G.shape)
        exact = dense_adjoint(A, slopes, G)
        for max_iter in (1, *rng.integers(2, 60, size=4)):
            start = exact + rng.normal(size=G.shape) * (rng.uniform(size=G.shape) < 0.5)
            solution = adjoint(A, slopes, G, start=start, max_iter=max_iter)
            error = total(solution.states - exact)
            assert np.isfinite(solution.error_bound).all()
            assert np.all(error <= solution.error_bound * (1 + 1e-9) + 1e-11 * total(exact))

    def test_error_bound_counts_the_gain_of_a_self_loop_behind_another_state(self):
        # One sweep from here corrects the first state and passes 19 times its error on to the second.
        A, ones = np.array([[0.0, 0.95], [0.0, 0.95]]), np.ones((1, 2))
        exact, start = np.array([[1.0, 39.0]]), np.array([[1.1, 40.9]])
        solution = adjoint(A, ones, ones, start=start, max_iter=1)
        assert total(solution.states - exact) == pytest.approx(1.9)
        assert solution.error_bound >= 1.9

    def test_error_bound_is_attained(self):
        A, ones = 0.95 * np.roll(np.eye(5), 1, axis=0), np.ones((1, 5))
        solution = adjoint(A, ones, ones, start=21.0 * ones, max_iter=1)
        assert total(solution.states - 20.0) == pytest.approx(0.95 * solution.error_bound[0])

    @every_seed
    def test_every_row_is_alone(self, seed, monkeypatch):
        rng = np.random.default_rng(seed)
        A, G = weights(rng, 6, 0.95, "mixed"), rows(rng, 50, 6)
        slopes = rng.uniform(size=G.shape)
        together = adjoint(A, slopes, G).states
        tolerance = 1e-9 * total(together)
        alone = np.vstack([adjoint(A, p[None], g[None]).states for p, g in zip(slopes, G, strict=True)])
        assert np.all(total(alone - together) <= tolerance)
        monkeypatch.setattr(loop, "_CHUNK", 1)
        assert np.all(total(adjoint(A, slopes, G).states - together) <= tolerance)

    @every_seed
    def test_start_changes_the_way_but_not_the_end(self, seed):
        rng = np.random.default_rng(seed)
        A, G, slopes = weights(rng, 6, 0.95, "mixed"), rng.normal(size=(20, 6)), rng.uniform(size=(20, 6))
        expected = adjoint(A, slopes, G).states
        for start in (np.zeros_like(G), rng.normal(scale=1e6, size=G.shape), expected):
            before = start.copy()
            for array in (A, G, slopes, start):
                array.flags.writeable = False
            solution = adjoint(A, slopes, G, start=start)
            assert np.all(total(solution.states - expected) <= 1e-9 * total(expected))
            np.testing.assert_array_equal(start, before)

    @every_seed
    def test_gains_without_a_bound_are_not_certified(self, seed):
        # A slope of 2/3 would make the self-loop 1. No row has it, yet no bound may be claimed from slopes around it.
        slopes = np.array([[0.1, 0.1], [0.9, 0.9]])
        A, G = np.array([[1.5, 0.01], [0.01, 1.5]]), np.random.default_rng(seed).normal(size=(2, 2))
        solution = adjoint(A, slopes, G)
        assert np.all(solution.error_bound == np.inf)
        np.testing.assert_allclose(solution.states, dense_adjoint(A, slopes, G), rtol=1e-7)

    def test_singular_system_is_reported(self):
        solution = adjoint(np.array([[1.0]]), np.array([[1.0]]), np.array([[1.0]]), max_iter=20)
        assert solution.status is Status.DIVERGED
        assert solution.error_bound == np.inf


def run(loop, m, n, **options):
    """Call one of the two loops on arrays of a shape."""
    A, Z = 0.5 * np.eye(n), np.ones((m, n))
    return equilibrium(A, Z, TANH, **options) if loop == "equilibrium" else adjoint(A, Z, Z, **options)


@pytest.mark.parametrize("loop", ["equilibrium", "adjoint"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (4, 0)], ids=str)
def test_nothing_to_solve(loop, shape):
    solution = run(loop, *shape)
    assert solution.states.shape == shape
    assert solution.status is Status.CONVERGED
    for name in ("residual", "error_bound", "n_iter", "converged"):
        assert getattr(solution, name).shape == shape[:1]
    assert not solution.error_bound.any()


@pytest.mark.parametrize("loop", ["equilibrium", "adjoint"])
@pytest.mark.parametrize("max_iter", [0, -1, 1.5, "many", None])
def test_no_sweep_is_refused(loop, max_iter):
    with pytest.raises(ValueError, match="max_iter must be an integer of at least 1"):
        run(loop, 2, 2, max_iter=max_iter)


@pytest.mark.parametrize("loop", ["equilibrium", "adjoint"])
@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [-1e-300, np.nan, np.inf, "small", None])
def test_tolerance_that_cannot_be_is_refused(loop, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0"):
        run(loop, 2, 2, **{name: value})


def test_an_absolute_tolerance_is_of_the_states_however_far_a_loop_amplifies():
    A, Z = 0.9 * np.roll(np.eye(4), 1, axis=1), np.random.default_rng(0).normal(size=(30, 4))
    loose, exact = (equilibrium(A, Z, TANH, rtol=rtol, atol=atol) for rtol, atol in ((0.0, 1e-3), (1e-13, 0.0)))
    assert np.all(loose.error_bound <= 1e-3) and np.any(loose.error_bound > 1e-5)
    assert np.abs(loose.states - exact.states).max() <= 1e-3
