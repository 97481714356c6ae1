"""The rule: a frozen, checked record of its arrays, and the map y = C x + D u + c they define.

That the states are right is proved in ``test_fixed_point.py``; here, that the rule asks for the right ones.
"""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skimplicit import Activation, ImplicitRule
from skimplicit.activations import ACTIVATIONS

N, P, Q = 5, 4, 3
ARRAYS = "ABCDbc"

every_seed = pytest.mark.parametrize("seed", range(2))
every_array = pytest.mark.parametrize("name", ARRAYS)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=str)


def clipped(Z, out=None):
    return np.clip(Z, -1.0, 1.0, out=out)


def clipped_derivative(Z, X):
    return np.abs(Z) < 1.0


CLIPPED = Activation("clipped", clipped, clipped_derivative, 0.0, 1.0)


def arrays(seed=0, n=N, p=P, q=Q, norm=0.9):
    """Return the arrays of a random rule by name."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= norm / np.abs(A).sum(axis=1, keepdims=True)
    shapes = {"B": (n, p), "C": (q, n), "D": (q, p), "b": n, "c": q}
    return {"A": A} | {name: rng.normal(size=shape) for name, shape in shapes.items()}


def feedforward(seed, sizes=(4, 5, 3, 6)):
    """Return the arrays of a network with large weights: A is nilpotent, hence reducible."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    A, first = np.zeros((n, n)), 0
    for above, below in zip(sizes[:-1], sizes[1:], strict=True):
        start = first + above
        A[first:start, start : start + below] = rng.normal(scale=3.0, size=(above, below))
        first = start
    return arrays(seed, n=n) | {"A": A}


def inputs(seed=0, m=12, p=P):
    return np.random.default_rng(seed + 100).normal(size=(m, p))


class TestConstruction:
    @every_seed
    def test_arrays_are_kept_as_float64(self, seed):
        given = arrays(seed)
        rule = ImplicitRule(**given)
        for name, array in given.items():
            np.testing.assert_array_equal(getattr(rule, name), array)
            assert getattr(rule, name).dtype == np.float64
        assert (rule.n_hidden, rule.n_inputs, rule.n_outputs) == (N, P, Q)
        assert rule.inf_norm == pytest.approx(0.9)

    def test_what_is_left_out_is_zero(self):
        given = arrays()
        rule = ImplicitRule(given["A"], given["B"], given["C"])
        assert rule == ImplicitRule(**given | {"D": np.zeros((Q, P)), "b": np.zeros(N), "c": np.zeros(Q)})
        assert rule.activation is ACTIVATIONS["relu"]

    @pytest.mark.parametrize(
        "convert",
        [
            lambda array: array.tolist(),
            np.asfortranarray,
            lambda array: pd.DataFrame(array) if array.ndim == 2 else pd.Series(array),
            lambda array: pl.DataFrame(array) if array.ndim == 2 else pl.Series(array),
            lambda array: sparse.csr_array(array) if array.ndim == 2 else array,
            lambda array: sparse.coo_matrix(array) if array.ndim == 2 else array,
        ],
        ids=["lists", "fortran", "pandas", "polars", "csr_array", "coo_matrix"],
    )
    def test_many_containers_make_the_same_rule(self, convert):
        given = arrays()
        rule = ImplicitRule(**{name: convert(array) for name, array in given.items()})
        assert rule == ImplicitRule(**given)
        stored = [getattr(rule, name) for name in ARRAYS]
        assert all(sparse.issparse(array) or array.flags.c_contiguous for array in stored)

    @pytest.mark.parametrize("name", "ABCD")
    def test_entries_given_twice_are_summed_and_zeros_are_none(self, name):
        given = arrays()
        given[name] = np.zeros_like(given[name])
        given[name][1, 0] = 0.25
        expected = ImplicitRule(**given)
        parts = np.array([1.0, -0.75, 0.0]), np.array([0, 0, 1]), np.r_[0, 0, np.full(len(given[name]) - 1, 3)]
        rule = ImplicitRule(**given | {name: sparse.csr_array(parts, shape=given[name].shape)})
        assert rule == expected and getattr(rule, name).nnz == 1
        assert rule.inf_norm == expected.inf_norm

    def test_float32_and_integers_are_converted(self):
        given = {name: array.astype(np.float32) for name, array in arrays().items()} | {"c": np.arange(Q)}
        rule = ImplicitRule(**given)
        for name, array in given.items():
            assert getattr(rule, name).dtype == np.float64
            np.testing.assert_array_equal(getattr(rule, name), array)

    @every_array
    @pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame, sparse.csr_array], ids=["numpy", "pandas", "sparse"])
    def test_inputs_are_copied_and_stay_writeable(self, name, wrap):
        given = arrays()
        if given[name].ndim == 1 and wrap is not np.asarray:
            wrap = pd.Series
        given[name] = wrap(given[name])
        rule, expected = ImplicitRule(**given), ImplicitRule(**arrays())
        values = given[name].data if sparse.issparse(given[name]) else given[name]
        values *= 2.0
        assert rule == expected

    @every_array
    def test_arrays_and_fields_are_read_only(self, name):
        rule = ImplicitRule(**arrays())
        with pytest.raises(ValueError, match="read-only"):
            getattr(rule, name)[...] = 0.0
        with pytest.raises(FrozenInstanceError):
            setattr(rule, name, getattr(rule, name))

    def test_read_only_inputs_are_accepted(self):
        given = arrays()
        for array in given.values():
            array.flags.writeable = False
        assert ImplicitRule(**given) == ImplicitRule(**arrays())

    @every_array
    @pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
    def test_entry_that_is_not_finite_is_refused_by_name(self, name, entry):
        given = arrays()
        given[name].flat[-1] = entry
        with pytest.raises(ValueError, match=f"^{name} must be .* contains (NaN|infinity)"):
            ImplicitRule(**given)

    @every_array
    @pytest.mark.parametrize("spoil", [lambda a: a[:-1], lambda a: np.concatenate([a, a])], ids=["short", "long"])
    def test_shape_that_does_not_fit_is_refused(self, name, spoil):
        given = arrays()
        given[name] = spoil(given[name])
        # A and C give n and q: when they are wrong, another array may be the first that does not fit.
        culprits = {"A": "[ABC]", "C": "[Dc]"}.get(name, name)
        with pytest.raises(ValueError, match=rf"^{culprits} must have shape \(.*\) to fit the other arrays, got \("):
            ImplicitRule(**given)

    @every_array
    @pytest.mark.parametrize("extra", [-1, 1, 2])
    def test_number_of_dimensions_is_refused_by_name(self, name, extra):
        given = arrays()
        array = given[name]
        given[name] = array[0] if extra < 0 else array.reshape(array.shape + (1,) * extra)
        with pytest.raises(ValueError, match=f"^{name} must have {array.ndim} dimension.* got {array.ndim + extra}"):
            ImplicitRule(**given)

    @every_array
    @pytest.mark.parametrize("value", ["text", [["a", "b"]], [[1.0, 2.0], [3.0]], 1j * np.ones((2, 2))], ids=str)
    def test_what_is_no_array_of_numbers_is_refused_by_name(self, name, value):
        with pytest.raises(ValueError, match=f"^{name} must be an array of finite numbers"):
            ImplicitRule(**arrays() | {name: value})

    def test_activation_is_checked(self):
        with pytest.raises(ValueError, match="rleu"):
            ImplicitRule(**arrays(), activation="rleu")
        with pytest.raises(TypeError, match="activation must be"):
            ImplicitRule(**arrays(), activation=np.tanh)
        assert ImplicitRule(**arrays(), activation=CLIPPED).activation is CLIPPED


class TestRecord:
    @every_array
    def test_equality_looks_at_every_array(self, name):
        given = arrays()
        rule = ImplicitRule(**given)
        assert rule == ImplicitRule(**given)
        given[name].flat[0] += 1e-12
        assert rule != ImplicitRule(**given)

    def test_equality_looks_at_sizes_activation_and_type(self):
        rule = ImplicitRule(**arrays())
        assert rule != ImplicitRule(**arrays(p=P + 1))
        assert rule != replace(rule, activation="tanh")
        assert rule != "rule"
        with pytest.raises(TypeError, match="unhashable"):
            hash(rule)

    @pytest.mark.parametrize("activation", ["relu", "tanh", CLIPPED], ids=str)
    @pytest.mark.parametrize(
        "duplicate",
        [lambda rule: pickle.loads(pickle.dumps(rule)), copy.deepcopy, copy.copy],
        ids=["pickle", "deep", "shallow"],
    )
    def test_copies_are_equal_and_read_only(self, activation, duplicate):
        rule = ImplicitRule(**arrays(), activation=activation)
        other = duplicate(rule)
        assert other == rule
        assert not any(getattr(other, name).flags.writeable for name in ARRAYS)
        np.testing.assert_array_equal(other.predict(inputs()), rule.predict(inputs()))

    def test_repr_shows_the_shapes(self):
        rule = ImplicitRule(**arrays(), activation="tanh")
        assert repr(rule) == "ImplicitRule(A=(5, 5), B=(5, 4), C=(3, 5), D=(3, 4), activation='tanh')"


class TestPrediction:
    @every_activation
    @every_seed
    def test_states_and_outputs_satisfy_their_equations(self, activation, seed):
        given, U = arrays(seed, norm=0.9 / activation.lipschitz), inputs(seed)
        rule = ImplicitRule(**given, activation=activation)
        X = rule.states(U)
        expected = activation(X @ given["A"].T + U @ given["B"].T + given["b"])
        np.testing.assert_allclose(X, expected, rtol=0, atol=1e-9 * np.abs(X).max())
        outputs = X @ given["C"].T + U @ given["D"].T + given["c"]
        np.testing.assert_allclose(rule.predict(U), outputs, rtol=1e-12, atol=1e-12)

    @every_seed
    def test_each_row_alone(self, seed):
        rule, U = ImplicitRule(**arrays(seed)), inputs(seed)
        alone = np.vstack([rule.predict(u[None]) for u in U])
        np.testing.assert_allclose(alone, rule.predict(U), rtol=1e-9, atol=1e-9)

    def test_solve_reports_on_each_row(self):
        rule, U = ImplicitRule(**arrays()), inputs()
        solution = rule.solve(U, rtol=1e-12)
        assert solution.converged.shape == solution.error_bound.shape == (len(U),)
        assert solution.error_bound.max() <= 1e-12 * np.abs(solution.states).max()
        np.testing.assert_allclose(rule.states(U), solution.states, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize(
        "convert",
        [np.ndarray.tolist, pd.DataFrame, pl.DataFrame, np.asfortranarray],
        ids=["lists", "pandas", "polars", "fortran"],
    )
    def test_many_containers_give_the_same_outputs(self, convert):
        rule, U = ImplicitRule(**arrays()), inputs()
        np.testing.assert_allclose(rule.predict(convert(U)), rule.predict(U), rtol=1e-12)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
    @pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
    def test_arithmetic_is_in_float64(self, container, dtype):
        rule, U = ImplicitRule(**arrays()), (3 * inputs()).astype(dtype)
        Y = rule.predict(container(U))
        assert Y.dtype == rule.states(container(U)).dtype == np.float64
        np.testing.assert_allclose(Y, rule.predict(U.astype(np.float64)), rtol=1e-12)

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
    @every_seed
    def test_sparse_inputs_are_never_made_dense(self, container, seed, monkeypatch):
        rule, U = ImplicitRule(**arrays(seed)), inputs(seed)
        U[np.abs(U) < 1.0] = 0.0
        expected, given = rule.predict(U), container(U)

        def refuse(*args, **kwargs):
            raise AssertionError("the inputs were made dense")

        for cls in (sparse.csr_array, sparse.csr_matrix, container):
            for method in ("toarray", "todense"):
                monkeypatch.setattr(cls, method, refuse)
        Y = rule.predict(given)
        assert type(Y) is np.ndarray
        np.testing.assert_allclose(Y, expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("sizes", [{"n": 0}, {"p": 0}, {"q": 0}, {"n": 0, "p": 0}], ids=str)
    @pytest.mark.parametrize("m", [0, 7])
    def test_any_size_may_be_zero(self, sizes, m):
        given = arrays(**sizes)
        U = inputs(m=m, p=sizes.get("p", P))
        rule = ImplicitRule(**given)
        X = rule.states(U)
        assert X.shape == (m, sizes.get("n", N))
        np.testing.assert_allclose(rule.predict(U), X @ given["C"].T + U @ given["D"].T + given["c"], atol=1e-12)
        assert rule.is_well_posed()

    @pytest.mark.parametrize("method", ["predict", "states", "solve"])
    @pytest.mark.parametrize(
        ("U", "message"),
        [
            (np.ones((2, P + 1)), f"U has {P + 1} columns, but the rule has {P} inputs"),
            (np.ones((2, 0)), f"U has 0 columns, but the rule has {P} inputs"),
            (sparse.csr_array(np.ones((2, 1))), "U has 1 columns"),
            (np.full((2, P), np.nan), "Input U contains NaN"),
            (np.full((2, P), np.inf), "Input U contains infinity"),
            (np.ones(P), "Expected 2D array, got 1D array"),
            ([["a"] * P], "could not convert string to float"),
        ],
        ids=["wide", "empty", "sparse", "nan", "infinity", "vector", "text"],
    )
    def test_inputs_that_cannot_be_are_refused(self, method, U, message):
        with pytest.raises(ValueError, match=message):
            getattr(ImplicitRule(**arrays()), method)(U)

    def test_too_few_iterations_give_a_warning_that_counts(self):
        rule, U = ImplicitRule(**arrays(norm=0.99), activation="tanh"), inputs()
        with pytest.warns(
            ConvergenceWarning, match="12 of 12 rows: the tolerance was not reached .* raise max_iter or rtol"
        ) as caught:
            X = rule.states(U, max_iter=2)
        assert caught[0].filename == __file__
        assert np.isfinite(X).all()
        assert not rule.solve(U, max_iter=2).converged.any()

    @pytest.mark.slow
    def test_rule_that_diverges_gives_the_warning_and_no_other(self):
        rule = ImplicitRule([[2.0]], [[1.0]], [[1.0]])
        with pytest.warns(ConvergenceWarning, match="2 of 3") as caught:
            Y = rule.predict([[1.0], [-1.0], [2.0]])
        assert len(caught) == 1
        assert Y[1, 0] == 0.0

    def test_no_iteration_at_all_is_refused(self):
        with pytest.raises(ValueError, match="max_iter"):
            ImplicitRule(**arrays()).states(inputs(), max_iter=0)


class TestWellPosedness:
    @pytest.mark.parametrize(
        ("activation", "norm", "expected"),
        [
            ("relu", 0.99, True),
            ("relu", 1.01, False),
            ("sigmoid", 3.9, True),
            ("sigmoid", 4.1, False),
            ("silu", 0.95, False),
        ],
    )
    def test_depends_on_the_slope_of_the_activation(self, activation, norm, expected):
        given = arrays(norm=1.0)
        given["A"] = norm * np.abs(given["A"])  # all row sums equal, hence the Perron-Frobenius value
        assert ImplicitRule(**given, activation=activation).is_well_posed() is expected

    @every_seed
    def test_large_norm_of_a_network_does_not_matter(self, seed):
        rule = ImplicitRule(**feedforward(seed))
        assert rule.inf_norm > 1
        assert rule.is_well_posed()


class TestRescaling:
    @pytest.mark.parametrize("activation", [a for a in ACTIVATIONS.values() if a.homogeneous], ids=str)
    @pytest.mark.parametrize("make", [arrays, feedforward])
    @pytest.mark.parametrize("kappa", [0.95, 2.0])
    @every_seed
    def test_reaches_the_norm_and_keeps_the_outputs(self, activation, make, kappa, seed):
        rule, U = ImplicitRule(**make(seed), activation=activation), inputs(seed)
        scaled = rule.rescaled(kappa)
        assert scaled.inf_norm < kappa
        assert scaled.activation is rule.activation
        Y = rule.predict(U)
        if kappa < 1:
            np.testing.assert_allclose(scaled.predict(U), Y, rtol=0, atol=1e-9 * np.abs(Y).max())
        np.testing.assert_allclose(np.diag(scaled.A), np.diag(rule.A), rtol=1e-12)
        np.testing.assert_array_equal(scaled.D, rule.D)
        np.testing.assert_allclose(scaled.C @ scaled.B, rule.C @ rule.B, rtol=1e-9, atol=1e-9)

    @every_seed
    @pytest.mark.parametrize("kappa", [0.5, 1e-2])
    def test_network_reaches_any_norm(self, seed, kappa):
        rule, U = ImplicitRule(**feedforward(seed)), inputs(seed)
        scaled = rule.rescaled(kappa)
        assert scaled.inf_norm < kappa
        np.testing.assert_allclose(scaled.predict(U), rule.predict(U), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("activation", [a.name for a in ACTIVATIONS.values() if not a.homogeneous])
    def test_activation_that_is_not_homogeneous_is_refused(self, activation):
        with pytest.raises(ValueError, match=f"homogeneous activation allows rescaling, not '{activation}'"):
            ImplicitRule(**arrays(), activation=activation).rescaled(0.95)

    @pytest.mark.parametrize(
        ("kappa", "error"), [("0.9", TypeError), (None, TypeError), (True, TypeError), (np.nan, ValueError)]
    )
    def test_a_bound_that_is_no_number_is_named(self, kappa, error):
        with pytest.raises(error, match="^kappa must be "):
            ImplicitRule([[0.5]], [[1.0]], [[1.0]]).rescaled(kappa)

    @pytest.mark.parametrize("array", [[["0.5"]], np.array([[b"0.5"]]), "a", [[1.0], [1.0, 2.0]]])
    def test_text_is_no_array(self, array):
        with pytest.raises(ValueError, match="^A must be an array of finite numbers"):
            ImplicitRule(array, [[1.0]], [[1.0]])

    @pytest.mark.parametrize("kappa", [0.5, 0.49, 0.0, -1.0])
    def test_norm_below_the_perron_frobenius_value_is_refused(self, kappa):
        rule = ImplicitRule([[0.5]], [[1.0]], [[1.0]])
        assert rule.rescaled(0.51).inf_norm < 0.51
        with pytest.raises(ValueError, match=f"kappa={kappa} must exceed the Perron-Frobenius value"):
            rule.rescaled(kappa)
