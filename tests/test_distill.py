"""Distillation: the rows' program, exactness where there is freedom, the drift bound, and what teachers give."""

import warnings
from functools import cache

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.activations import ACTIVATIONS, BlockActivation, get_activation, max_pool
from skimplicit.distill import distill, drift_bound, from_states, teacher_states
from skimplicit.networks import feedforward, from_sklearn

pytestmark = pytest.mark.slow

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
every_activation = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))


@cache
def perceptron(seed=0, activation="relu", cls=MLPClassifier, sizes=(16, 10), m=600):
    U, y = (DIGITS[:m], DIGIT[:m]) if cls is MLPClassifier else load_diabetes(return_X_y=True)
    model = cls(hidden_layer_sizes=sizes, activation=activation, max_iter=60, random_state=seed)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return model.fit(U, y), U


def random_teacher(seed, activation="relu", n=6, p=4, q=2, norm=0.9):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= norm / np.abs(A).sum(axis=1).max()
    return ImplicitRule(
        A, rng.normal(size=(n, p)), rng.normal(size=(q, n)), None, rng.normal(size=n), rng.normal(size=q), activation
    )


def random_states(seed, m=80, n=5, p=4, activation="relu"):
    """Inputs, pre-activations that no rule has, and outputs."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(m, p)) * rng.uniform(0.1, 10, size=p) + rng.normal(size=p)
    Z = np.tanh(U @ rng.normal(size=(p, n))) * rng.uniform(0.3, 3, size=n) + 0.3 * rng.normal(size=(m, n))
    return U, Z, get_activation(activation)(Z) @ rng.normal(size=(n, 2))


class TestRows:
    """The weights are those of the program in the docstring."""

    @pytest.mark.parametrize(
        ("seed", "l1", "alpha", "kappa"), [(0, 0.1, 0.0, 0.95), (1, 0.02, 0.05, 0.1), (2, 0.0, 0.02, 0.3)]
    )
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_program_in_the_units_of_the_data(self, seed, l1, alpha, kappa, activation):
        U, Z, Y = random_states(seed, activation=activation)
        options = {"l1": l1, "alpha": alpha, "kappa": kappa, "structure": "no_self_loops", "refit": False}
        rule = from_states(U, Z, Y, activation=activation, **options).rule
        X, n = get_activation(activation)(Z), Z.shape[1]

        def objective(i, a, b, beta, sum_squares, norm1):
            fit = sum_squares(Z[:, i] - X @ a - U @ b - beta) / (2 * len(U))
            sizes = X.std(axis=0), U.std(axis=0)
            penalty = l1 * Z[:, i].std() * (norm1(sizes[0], a) + norm1(sizes[1], b))
            # The ridge is on weights of inputs of unit spread.
            return fit + penalty + alpha / 2 * (sum_squares(a) + sum_squares_of(sizes[1], b, sum_squares))

        def sum_squares_of(scale, b, sum_squares):
            return sum_squares(cp.multiply(scale, b) if isinstance(b, cp.Expression) else scale * b)

        for i in range(n):
            a, b, beta = cp.Variable(n), cp.Variable(U.shape[1]), cp.Variable()
            symbols = objective(i, a, b, beta, cp.sum_squares, lambda w, x: cp.norm1(cp.multiply(w, x)))
            best = cp.Problem(cp.Minimize(symbols), [cp.norm1(a) <= kappa, a[i] == 0]).solve(solver=cp.CLARABEL)
            numbers = rule.A[i], rule.B[i], rule.b[i]
            value = objective(i, *numbers, lambda x: np.sum(x**2), lambda w, x: np.sum(w * np.abs(x)))
            assert value == pytest.approx(best, rel=1e-6)

    def test_refit_is_least_squares_on_the_support(self):
        U, Z, Y = random_states(0)
        options = {"structure": [2, 3], "kappa": 0.95}
        lasso = from_states(U, Z, Y, l1=0.2, refit=False, **options)
        refitted = from_states(U, Z, Y, l1=0.2, **options)
        assert_array_equal(refitted.rule.A != 0, lasso.rule.A != 0)
        assert_array_equal(refitted.rule.B != 0, lasso.rule.B != 0)
        assert refitted.relative_residual < lasso.relative_residual
        # At a least-squares solution the residual is orthogonal to what was used.
        X = np.maximum(Z * refitted.state_scale, 0)
        R = Z * refitted.state_scale - X @ refitted.rule.A.T - U @ refitted.rule.B.T - refitted.rule.b
        for i in range(Z.shape[1]):
            used = np.hstack([X[:, refitted.rule.A[i] != 0], U[:, refitted.rule.B[i] != 0], np.ones((len(U), 1))])
            assert_allclose(used.T @ R[:, i], 0, atol=1e-8 * np.linalg.norm(R[:, i]) * np.linalg.norm(used))

    @pytest.mark.parametrize("rows", [20, 30, 40])
    def test_refit_from_few_rows(self, rows):
        # More weights are left than rows: their system is singular, and rounding must not choose among its solutions.
        teacher, U = perceptron()
        refitted, penalised = (distill(teacher, U[:rows], refit=refit) for refit in (True, False))
        assert refitted.relative_residual < penalised.relative_residual < 0.4

    def test_l1_is_relative(self):
        # Another unit of an input, another zero, and another scale of a homogeneous teacher: the same pattern.
        U, Z, Y = random_states(1)
        one = from_states(U, Z, Y, l1=0.1, structure=[2, 3])
        other = from_states(U * [1e3, 1, 1e-3, 1] + [0, 5, 0, 0], 7 * Z, 0.01 * Y, l1=0.1, structure=[2, 3])
        assert_array_equal(one.rule.A != 0, other.rule.A != 0)
        assert_array_equal(one.rule.B != 0, other.rule.B != 0)
        assert other.relative_residual == pytest.approx(one.relative_residual, rel=1e-6)
        assert other.relative_error == pytest.approx(one.relative_error, rel=1e-6)

    @pytest.mark.parametrize(("seed", "structure"), [(12, None), (16, "no_self_loops"), (3, [2, 3])], ids=str)
    def test_states_in_millions_of_the_unit_of_inputs(self, seed, structure):
        U, Z, Y = random_states(seed)
        one, other = (from_states(U, unit * Z, Y, structure=structure) for unit in (1.0, 1e7))
        assert other.relative_residual == pytest.approx(one.relative_residual, rel=1e-9)
        assert_array_equal(one.rule.B != 0, other.rule.B != 0)

    @pytest.mark.parametrize("structure", [None, "no_self_loops", [2, 3]], ids=str)
    def test_nothing_is_left_at_one(self, structure):
        U, Z, Y = random_states(2)
        result = from_states(U, Z, Y, l1=1.0, structure=structure)
        assert result.sparsity == 1.0
        assert_allclose(result.rule.predict(U), np.broadcast_to(Y.mean(axis=0), Y.shape), atol=1e-10)

    def test_sparsity_falls_with_l1(self):
        U, Z, Y = random_states(3)
        shares = [from_states(U, Z, Y, l1=l1).sparsity for l1 in (0.01, 0.1, 0.3, 0.6)]
        assert shares == sorted(shares)
        assert shares[0] < shares[-1]

    def test_dead_states_and_constant_inputs(self):
        U, Z, Y = random_states(4)
        U, Z = np.hstack([U, np.full((len(U), 1), 3.0)]), np.hstack([Z, np.full((len(U), 1), -2.0)])
        for l1 in (0.0, 0.1):
            result = from_states(U, Z, Y, l1=l1)
            assert not result.rule.A[:, -1].any() and not result.rule.A[-1].any()
            assert not result.rule.B[:, -1].any() and not result.rule.B[-1].any()
            assert result.rule.b[-1] == pytest.approx(-2.0)


class TestConstraints:
    """What every distilled rule satisfies exactly."""

    @pytest.mark.parametrize(  # each activation with each structure, with or without a penalty in turn
        ("activation", "structure", "l1"),
        [
            (activation, structure, 0.05 * ((i + j) % 2))
            for i, activation in enumerate(sorted(ACTIVATIONS))
            for j, structure in enumerate([None, "no_self_loops", [2, 3]])
        ],
        ids=str,
    )
    def test_bound_pattern_and_drift(self, activation, l1, structure):
        U, Z, Y = random_states(5, activation=activation)
        result = from_states(U, Z, Y, activation=activation, l1=l1, structure=structure, kappa=0.8)
        rule = result.rule
        assert rule.inf_norm * max(1.0, rule.activation.lipschitz) <= 0.8
        assert rule.is_well_posed()
        if structure is not None:
            assert not np.diag(rule.A).any()
        if structure == [2, 3]:
            assert not np.tril(rule.A).any() and not rule.A[:3, :3].any() and not rule.A[3:].any()
        # The bound of the states' drift holds entry by entry, hence in the mean.
        scaled = Z * result.state_scale
        X = rule.activation(scaled)
        residual = scaled - X @ rule.A.T - U @ rule.B.T - rule.b
        change = np.abs(rule.states(U) - X)
        bound = drift_bound(rule.A, rule.activation, residual)
        assert np.all(change <= bound + 1e-9)
        assert_allclose(result.drift, change.mean(axis=0), atol=1e-8)
        assert_allclose(result.drift_bound, bound.mean(axis=0), rtol=1e-8)
        assert result.drift.max() > 1e-3  # these states are of no rule: there is something to bound

    def test_kappa_zero(self):
        U, Z, Y = random_states(6)
        for l1 in (0.0, 0.05):
            assert not from_states(U, Z, Y, l1=l1, kappa=0.0).rule.A.any()

    def test_mask(self):
        U, Z, Y = random_states(7)
        mask = np.random.default_rng(0).random((5, 5)) < 0.5
        assert not from_states(U, Z, Y, l1=0.01, structure=mask).rule.A[~mask].any()

    def test_same_result_again_and_inputs_untouched(self):
        arrays = random_states(8)
        copies = [array.copy() for array in arrays]
        assert from_states(*arrays).rule == from_states(*arrays).rule
        for array, copy in zip(arrays, copies, strict=True):
            assert_array_equal(array, copy)

    def test_sparse_inputs(self):
        U, Z, Y = random_states(9)
        U[np.abs(U) < 1] = 0
        dense, compressed = from_states(U, Z, Y), from_states(sparse.csr_matrix(U), Z, Y)
        assert_allclose(compressed.rule.A, dense.rule.A, atol=1e-8)
        assert_allclose(compressed.rule.predict(U), dense.rule.predict(U), atol=1e-6)


class TestExactness:
    """Without penalty, a rule that can have the teacher's states has them, and its outputs."""

    @every_activation
    def test_rule_is_recovered(self, activation):
        teacher = random_teacher(0, activation, norm=0.7)
        U = np.random.default_rng(1).normal(size=(400, 4))
        for structure in ("teacher", None):
            result = distill(teacher, U, l1=0, structure=structure)
            assert result.relative_drift < 1e-6
            assert_allclose(result.rule.predict(U), teacher.predict(U), atol=1e-5)
        if activation != "identity":  # a linear rule has the same states for many A
            assert_allclose(distill(teacher, U, l1=0).rule.A, teacher.A, atol=1e-5)

    @pytest.mark.parametrize(("seed", "structure"), [(0, "teacher"), (1, "no_self_loops"), (0, None)])
    def test_perceptron_with_large_norms(self, seed, structure):
        model, U = perceptron(seed)
        assert from_sklearn(model).inf_norm > 2
        result = distill(model, U, l1=0, structure=structure)
        assert result.rule.inf_norm <= 0.95
        assert_array_equal(result.rule.predict(U).argmax(axis=1), model.predict(U))
        assert result.relative_error < 1e-4

    def test_regressor_in_a_pipeline(self):
        U, y = load_diabetes(return_X_y=True)
        model = MLPRegressor(hidden_layer_sizes=(8, 5), solver="lbfgs", max_iter=50, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model = make_pipeline(StandardScaler(), model).fit(U * 50 + 3, y)
        result = distill(model, U * 50 + 3, l1=0)
        assert_allclose(result.rule.predict(U * 50 + 3)[:, 0], model.predict(U * 50 + 3), rtol=1e-4)

    def test_direct_term(self):
        teacher = random_teacher(2)
        teacher = ImplicitRule(teacher.A, teacher.B, teacher.C, np.ones((2, 4)), teacher.b, teacher.c)
        U = np.random.default_rng(1).normal(size=(300, 4))
        for direct in (True, "auto"):
            assert distill(teacher, U, l1=0, direct=direct).relative_error < 1e-6
        assert distill(teacher, U, l1=0, direct=False).relative_error > 1e-3
        assert not distill(teacher, U, l1=0, direct=False).rule.D.any()
        assert not distill(random_teacher(2), U, l1=0).rule.D.any()
        with pytest.raises(ValueError, match="direct must be"):
            distill(teacher, U, direct="yes")

    @pytest.mark.parametrize(
        "make", [ImplicitRegressor, lambda **options: make_pipeline(StandardScaler(), ImplicitRegressor(**options))]
    )
    def test_direct_term_of_an_estimator(self, make):
        U, y = load_diabetes(return_X_y=True)
        teacher = make(n_hidden=5, alpha=0.01, clip=False, random_state=0).fit(U, y)
        rule = distill(teacher, U, l1=0).rule
        assert rule.D.any()
        assert_allclose(rule.predict(U)[:, 0], teacher.predict(U), rtol=1e-7)

    def test_torch_network_with_a_direct_term(self):
        torch = pytest.importorskip("torch")
        nn = torch.nn

        class Direct(nn.Module):
            def __init__(self, skips):
                super().__init__()
                self.skips, self.net = skips, nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
                self.skip = nn.Linear(4, 2)

            def forward(self, u):
                return self.net(u) + self.skip(u) if self.skips else self.net(u)

        torch.manual_seed(0)
        U = np.random.default_rng(0).normal(size=(200, 4))
        for skips in (True, False):
            net = Direct(skips)
            result = distill(net, U, l1=0)
            assert result.rule.D.any() == skips
            assert result.relative_error < 1e-5

    @pytest.mark.parametrize(
        ("rows", "structure", "l1"),
        [
            (1, "teacher", 0),
            (20, "teacher", 0.05),
            (20, "no_self_loops", 0),
            (1, "no_self_loops", 0.05),
            (1, None, 0),
            (20, None, 0.05),
        ],
    )
    def test_one_row_repeated_gives_the_constant(self, rows, structure, l1):
        model, _ = perceptron(activation="tanh")
        for teacher, row in (
            (model, DIGITS[:1]),
            (random_teacher(0), 1e6 + np.zeros((1, 4))),
            (model, np.zeros((1, 64))),
        ):
            U = np.repeat(row, rows, axis=0)
            result = distill(teacher, U, structure=structure, l1=l1)
            expected = teacher_states(teacher, U).Y
            assert_allclose(result.rule.predict(U), expected, rtol=1e-9)
            assert_allclose(result.rule.predict(U + 1), expected, rtol=1e-9)

    def test_one_row_repeated_in_given_states(self):
        U, Z, Y = (np.repeat(array[:1], 30, axis=0) for array in random_states(0))
        for options in ({}, {"l1": 0}, {"alpha": 0.1}, {"structure": None}, {"kappa": 0}):
            assert_allclose(from_states(U, Z, Y, **options).rule.predict(U), Y, rtol=1e-9)

    def test_iterations_of_a_feedforward_pattern_are_its_layers(self):
        model, U = perceptron(sizes=(12, 8, 6))
        assert distill(model, U).n_iter == 3
        assert distill(model, U, structure="no_self_loops").n_iter > 3

    def test_state_scale_tells_the_teacher_states(self):
        model, U = perceptron()
        X = from_sklearn(model).states(U)
        for structure in ("teacher", "no_self_loops"):
            result = distill(model, U, l1=0, structure=structure)
            assert_allclose(result.rule.states(U), X * result.state_scale, atol=1e-4)


class TestReadout:
    """The readout is a ridge fit on regenerated states, unless asked otherwise."""

    def test_least_squares_on_the_states_of_the_rule(self):
        U, Z, Y = random_states(10)
        rule = from_states(U, Z, Y, l1=0.1).rule
        reference = LinearRegression().fit(rule.states(U), Y)
        assert_allclose(rule.predict(U), reference.predict(rule.states(U)), atol=1e-8)

    def test_without_regeneration_it_is_fitted_on_the_given_states(self):
        U, Z, Y = random_states(10)
        fresh, stale = (from_states(U, Z, Y, l1=0.1, structure=None, regenerate=flag) for flag in (True, False))
        reference = LinearRegression().fit(np.maximum(Z, 0), Y)
        assert_allclose(stale.rule.C, reference.coef_, atol=1e-8)
        assert_array_equal(stale.rule.A, fresh.rule.A)
        assert fresh.relative_error < stale.relative_error

    def test_self_loops_drift(self):
        # The reason for the default structure: with them the same penalty gives states that drift further.
        model, U = perceptron()
        free, without = (distill(model, U, l1=0.05, structure=structure) for structure in (None, "no_self_loops"))
        assert np.diag(free.rule.A).mean() > 0.2
        assert free.relative_drift > 2 * without.relative_drift


class TestTeachers:
    """Pre-activations, outputs and pattern of each kind of teacher."""

    @pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
    def test_perceptron(self, activation):
        model, U = perceptron(activation=activation)
        given = teacher_states(model, U)
        first = U @ model.coefs_[0] + model.intercepts_[0]
        assert_allclose(given.Z[:, 10:], first, atol=1e-10)
        second = given.activation(first) @ model.coefs_[1] + model.intercepts_[1]
        assert_allclose(given.Z[:, :10], second, atol=1e-10)
        assert_allclose(given.Y, given.activation(second) @ model.coefs_[2] + model.intercepts_[2], atol=1e-10)
        expected = np.zeros((26, 26), dtype=bool)
        expected[:10, 10:] = True
        assert_array_equal(given.pattern, expected)

    def test_two_classes_have_one_logit(self):
        U, y = DIGITS[:300], DIGIT[:300] > 4
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model = MLPClassifier(hidden_layer_sizes=(8,), max_iter=60, random_state=0).fit(U, y)
        result = distill(model, U, l1=0)
        assert_array_equal(result.rule.predict(U)[:, 0] > 0, model.predict(U))
        assert not result.rule.A.any()  # one hidden layer needs no A

    def test_input_shape_of_torch_is_a_number_or_a_tuple(self):
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        U = np.random.default_rng(0).normal(size=(5, 4))
        assert_array_equal(teacher_states(net, U, input_shape=4).Z, teacher_states(net, U).Z)
        with pytest.raises(ValueError, match="input_shape must be positive integers"):
            teacher_states(net, U, input_shape="4")

    def test_rule_itself(self):
        teacher = random_teacher(3)
        U = np.random.default_rng(0).normal(size=(50, 4))
        given = teacher_states(teacher, U)
        assert_allclose(np.maximum(given.Z, 0), teacher.states(U), atol=1e-9)
        assert_array_equal(given.Y, teacher.predict(U))

    @pytest.mark.parametrize("inplace", [False, True])
    def test_torch_residual_network(self, inplace):
        torch = pytest.importorskip("torch")

        class Residual(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = torch.nn.Linear(64, 12), torch.nn.Linear(12, 12)
                self.last, self.activation = torch.nn.Linear(12, 3), torch.nn.ReLU(inplace=inplace)
                self.dropout = torch.nn.Dropout(0.5)

            def forward(self, u):
                x = self.activation(self.first(u))
                return self.last(self.dropout(x + self.activation(self.second(x))))

        torch.manual_seed(0)
        net = Residual().double()
        net.dropout.eval()
        U = DIGITS[:500]
        given = teacher_states(net, U)
        assert [part.training for part in net.modules()] == [True, True, True, True, True, False]
        assert not net.activation._forward_pre_hooks
        with torch.no_grad():
            first = net.first(torch.as_tensor(U)).numpy()
            assert_allclose(given.Z[:, 12:], first, atol=1e-12)
            assert_allclose(given.Z[:, :12], net.second(torch.as_tensor(np.maximum(first, 0))).numpy(), atol=1e-12)
            expected = net.eval()(torch.as_tensor(U)).numpy()
        # Beyond the teacher's pattern many weights give the same states, and the program is as good as singular.
        for structure, tol in (("teacher", 1e-8), ("no_self_loops", 1e-4)):
            result = distill(net, U, l1=0, structure=structure)
            assert result.rule.inf_norm <= 0.95
            assert_allclose(result.rule.predict(U), expected, atol=tol)

    def test_torch_images_and_mixed_activations(self):
        torch = pytest.importorskip("torch")
        nn = torch.nn
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5), nn.Tanh(), nn.Linear(5, 3))
        result = distill(net, DIGITS[:300], input_shape=(1, 8, 8), l1=0)
        with torch.no_grad():
            expected = net(torch.as_tensor(DIGITS[:300], dtype=torch.float32).reshape(-1, 1, 8, 8)).numpy()
        assert result.rule.activation.name == "blocks of tanh, relu"
        assert_allclose(result.rule.predict(DIGITS[:300]), expected, atol=1e-3)

    def test_refused(self):
        U = DIGITS[:20]
        with pytest.raises(ValueError, match="SVC with kernel"):
            distill(SVC().fit(U, DIGIT[:20] > 4), U)
        with pytest.raises(TypeError, match="KNeighborsClassifier"):
            distill(KNeighborsClassifier().fit(U, DIGIT[:20] > 4), U)
        counts = MLPRegressor("poisson", hidden_layer_sizes=(3,), max_iter=500, tol=1e-2).fit(U, DIGIT[:20])
        with pytest.raises(ValueError, match="slope of activation .*exp.* has no bound"):
            distill(counts, U)
        with pytest.raises(ValueError, match="LinearRegression, has no hidden units"):
            distill(LinearRegression().fit(U, DIGIT[:20]), U)
        with pytest.raises(ValueError, match="input_shape is for torch"):
            distill(random_teacher(0), U[:, :4], input_shape=(4,))
        with pytest.raises(ValueError, match="U has 64 columns"):
            distill(random_teacher(0), U)
        pool = feedforward([np.eye(4), np.ones((1, 4))], activations=BlockActivation([(max_pool(2), 4)]))
        with pytest.raises(ValueError, match="takes states together"):
            distill(pool, U[:, :4])

    @pytest.mark.parametrize("hidden", ["ReLU", "Sigmoid", "PReLU", "Hardtanh"])
    @pytest.mark.parametrize("last", ["Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid"])
    @pytest.mark.parametrize("after", [(), ("Identity", "Dropout", "Flatten")])
    def test_torch_outputs_before_probabilities(self, hidden, last, after):
        torch = pytest.importorskip("torch")
        nn = torch.nn
        torch.manual_seed(0)
        logits = nn.Sequential(nn.Linear(64, 8), getattr(nn, hidden)(), nn.Linear(8, 3))
        make = getattr(nn, last)
        net = nn.Sequential(
            logits, make(dim=1) if "Softmax" in last else make(), *(getattr(nn, name)() for name in after)
        )
        given = teacher_states(net.double(), DIGITS[:200])
        with torch.no_grad():
            expected = logits(torch.as_tensor(DIGITS[:200])).numpy()
        assert_allclose(given.Y, expected, atol=1e-12)
        assert given.Z.shape == (200, 8)
        assert distill(net, DIGITS[:200], l1=0, kappa=0.9).relative_error < 1e-9

    def test_torch_probabilities_on_the_way_stay(self):
        torch = pytest.importorskip("torch")
        nn = torch.nn
        torch.manual_seed(0)
        gate = nn.Sigmoid()
        net = nn.Sequential(nn.Linear(64, 5), gate, nn.Linear(5, 5), gate).double()
        given = teacher_states(net, DIGITS[:50])
        assert given.Z.shape == (50, 5)  # the first call of the gate is a layer, the last makes probabilities
        net = nn.Sequential(nn.Linear(64, 5), gate, nn.Linear(5, 5)).double()
        assert teacher_states(net, DIGITS[:50]).Z.shape == (50, 5)
        soft = nn.Sequential(nn.Linear(64, 5), nn.Softmax(dim=1), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        assert teacher_states(soft, DIGITS[:50]).Z.shape == (50, 4)

    def test_torch_activation_that_does_something_else(self):
        torch = pytest.importorskip("torch")
        nn = torch.nn

        class Cut(nn.ReLU):
            def forward(self, u):
                return super().forward(u) - 1

        net = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2))
        net[1].register_forward_hook(lambda layer, inputs, outputs: outputs + 1)
        with pytest.raises(ValueError, match="does not return what relu does"):
            distill(net, DIGITS[:50])
        with pytest.raises(ValueError, match="no activation module"):
            distill(nn.Sequential(nn.Linear(64, 5), Cut(), nn.Linear(5, 2)), DIGITS[:50])
        with pytest.raises(TypeError, match="LSTM, returns a tuple"):
            distill(nn.LSTM(64, 3), DIGITS[:50])

    def test_torch_without_activation_modules(self):
        torch = pytest.importorskip("torch")
        with pytest.raises(ValueError, match="Linear, calls no activation module"):
            distill(torch.nn.Linear(64, 3), DIGITS[:20])


class TestValidation:
    """Bad input is named."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kappa": 1.0}, "kappa must be a number in"),
            ({"kappa": -0.1}, "kappa must be a number in"),
            ({"kappa": "big"}, "kappa must be a number in"),
            ({"l1": -1.0}, "l1 must be a number in"),
            ({"l1": np.nan}, "l1 must be a number in"),
            ({"alpha": -1.0}, "alpha must be a number in"),
            ({"direct": "auto"}, "direct must be True or False, got 'auto'"),
            ({"refit": "no"}, "refit must be True or False"),
            ({"regenerate": None}, "regenerate must be True or False"),
            ({"structure": "diagonal"}, "structure must be"),
            ({"structure": [2, 2]}, "structure must add up to"),
            ({"structure": np.ones((3, 3), bool)}, "structure must have shape"),
            ({"activation": "step"}, "activation must be one of"),
            ({"activation": BlockActivation([("relu", 2), ("tanh", 2)])}, "activation acts on 4 states"),
        ],
        ids=str,
    )
    def test_parameters(self, options, message):
        U, Z, Y = random_states(0)
        with pytest.raises(ValueError, match=message):
            from_states(U, Z, Y, **options)

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_columns_in_another_order_than_the_teacher_was_fitted_on(self, library):
        frames = pytest.importorskip(library)
        U = frames.DataFrame(dict(zip("abc", np.random.default_rng(0).normal(size=(3, 20)), strict=True)))
        network = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            teacher = make_pipeline(StandardScaler(), network).fit(U, U["a"])
        assert teacher_states(teacher, U).Z.shape == (20, 3)
        with pytest.raises(ValueError, match="feature names should match"):
            distill(teacher, U[["b", "a", "c"]])

    def test_structure_of_distill(self):
        with pytest.raises(ValueError, match="structure must be 'teacher'"):
            distill(random_teacher(0), np.zeros((5, 4)), structure="student")

    def test_arrays(self):
        U, Z, Y = random_states(0)
        with pytest.raises(ValueError, match="same number of rows"):
            from_states(U[1:], Z, Y)
        for name, arrays in {"U": (np.nan * U, Z, Y), "Z": (U, np.nan * Z, Y), "Y": (U, Z, np.nan * Y)}.items():
            with pytest.raises(ValueError, match=f"{name} contains NaN"):
                from_states(*arrays)

    def test_one_output_as_a_vector(self):
        U, Z, Y = random_states(0)
        assert from_states(U, Z, Y[:, 0]).rule == from_states(U, Z, Y[:, :1]).rule
