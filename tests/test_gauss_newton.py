"""The Gauss-Newton matrix is the one that finite differences of the predictions give, the readout eliminated."""

import numpy as np
import pytest

from skimplicit.activations import ACTIVATIONS
from skimplicit.rows import Samples
from skimplicit.subproblems import ProjectedSolver
from skimplicit.training import (
    BlockCoordinateDescent,
    Constraints,
    CrossEntropyObjective,
    SquaredObjective,
    Stage,
    TrainingTask,
    curvature_descent,
)
from skimplicit.training.continuation import random_weights
from skimplicit.training.gauss_newton import GaussNewton, _eliminated
from skimplicit.training.working_set import working_set

ALPHA = 0.03
CASES = {"one": 1, "three": 3, "binary": 1, "classes": 3}


def make_evaluation(case, activation="tanh", centre=True, direct=True, n=3, p=2, m=25, weighted=True):
    rng = np.random.default_rng(5)
    U, q = rng.normal(size=(m, p)), CASES[case]
    weights = rng.uniform(0.5, 2.0, m) if weighted else None
    if case in ("one", "three"):
        Y = np.sin(U @ rng.normal(size=(p, q))) + 0.2 * rng.normal(size=(m, q))
        objective = SquaredObjective(Samples(U, Y, weights, centre), ACTIVATIONS[activation], direct, 0.3)
    else:
        codes = rng.integers(0, 3 if q == 3 else 2, m)
        Y = np.eye(3)[codes] if q == 3 else codes[:, None].astype(float)
        samples = Samples(U, Y, weights, centre, scale_targets=False)
        objective = CrossEntropyObjective(samples, ACTIVATIONS[activation], direct, 0.3)
    W, b = random_weights(n, objective.samples, Constraints(0.8), np.random.RandomState(0))
    b = b + 0.1 if centre else b
    return objective, objective.evaluate(W, b, ALPHA, tol=1e-13)


def curvature(objective, evaluation, moving=None):
    gauss_newton = GaussNewton(objective)
    moving = np.ones(2 * evaluation.point.b.shape, dtype=bool) if moving is None else moving
    return gauss_newton(evaluation, moving, objective.sensitivities(evaluation, rows=gauss_newton.rows))


def dense_matrix(objective, evaluation, moving):
    """H from finite differences of all predictions by all parameters."""
    samples, point = objective.samples, evaluation.point
    n, p, q = point.b.size, samples.n_inputs, samples.n_outputs
    X, U = evaluation.states - point.X_mean, samples.inputs_times(np.eye(p))

    def predictions(W, lift):
        b = point.b + lift - (W - point.W)[:, :n] @ point.X_mean
        moved = objective.evaluate(W, b, ALPHA, tol=1e-13)
        return objective._predictions(moved.states, point.X_mean, point.readout)

    def difference(W, lift, step=1e-5):
        up, down = (predictions(point.W + s * step * W, s * step * lift) for s in (1, -1))
        return (up - down) / (2 * step)

    columns = []
    allowed = (
        np.hstack([moving, np.zeros((n, p), dtype=bool)]),
        np.hstack([np.zeros((n, n), dtype=bool), np.ones((n, p), dtype=bool)]),
    )
    for part in allowed:
        for i, j in np.argwhere(part):
            E = np.zeros_like(point.W)
            E[i, j] = 1.0
            columns.append(difference(E, np.zeros(n)))
    for i in range(n):
        columns.append(difference(np.zeros_like(point.W), np.eye(n)[i] * samples.centre))
    J = np.stack(columns, axis=2)  # (m, q, P)
    blocks = [X] + [U] * (point.readout.D is not None) + [np.ones((len(X), 1))] * samples.centre
    features = np.hstack(blocks)
    R = np.einsum("ij,kl->ikjl", features, np.eye(q)).reshape(len(X), q, -1)
    yhat = objective.predictions(evaluation)
    if isinstance(objective, SquaredObjective):
        root = np.tile(np.eye(q), (len(X), 1, 1))
    else:
        P = objective.sample_loss.gradient(yhat, samples.Y) + samples.Y
        # The share of the class without a column is what is missing of 1: one formula for two classes and for more.
        root = np.einsum("iq,qr->iqr", P, np.eye(q)) - P[:, :, None] * P[:, None, :]
    weight = samples.weights / samples.weights.sum()

    def inner(F, G):
        return np.einsum("i,iqa,iqr,irb->ab", weight, F, root, G)

    penalty = np.repeat(objective.readout_ridge(ALPHA, features.shape[1], n), q)
    JR = inner(J, R)
    return inner(J, J) - JR @ np.linalg.pinv(inner(R, R) + np.diag(penalty), rcond=1e-12) @ JR.T


@pytest.mark.slow_cases
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(  # each form of the readout with one activation or both
    ("activation", "centre", "direct"),
    [("relu", True, True), ("tanh", True, True), ("tanh", True, False), ("relu", False, True)],
)
def test_equals_finite_differences(case, activation, centre, direct):
    objective, evaluation = make_evaluation(case, activation, centre, direct)
    moving = np.ones((3, 3), dtype=bool)
    moving[0, 1] = False
    H = curvature(objective, evaluation, moving)
    expected = dense_matrix(objective, evaluation, moving)
    assert H.shape == expected.shape == (8 + 6 + 3, 8 + 6 + 3)
    np.testing.assert_allclose(H, expected, atol=5e-5 * np.abs(expected).max())
    if not centre:
        assert not H[-3:].any()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("centre", "direct"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("m", [4, 25])
def test_the_root_is_one_of_the_matrix(case, centre, direct, m):
    objective, evaluation = make_evaluation(case, centre=centre, direct=direct, m=m)
    gauss_newton, moving = GaussNewton(objective), np.ones((3, 3), dtype=bool)
    sensitivities = objective.sensitivities(evaluation, rows=gauss_newton.rows)
    H, K = (make(evaluation, moving, sensitivities) for make in (gauss_newton, gauss_newton.root))
    np.testing.assert_allclose(K @ K.T, H, atol=1e-12 * np.abs(H).max())
    assert K.shape in [(18, m), (18, m * CASES[case])]
    assert gauss_newton.has_fewer_rows_than(K.shape[1] + 1) and not gauss_newton.has_fewer_rows_than(K.shape[1])


@pytest.mark.parametrize("case", ["one", "three", "binary"])
def test_training_takes_the_same_course_by_rows(case, monkeypatch):
    ends = []
    monkeypatch.setattr(curvature_descent, "_FIRST_TOL", 1e-12)  # or the course hangs on the error of the states
    for by_rows in (True, False):
        objective, evaluation = make_evaluation(case, "relu", n=8, p=6, m=14)
        monkeypatch.setattr(GaussNewton, "has_fewer_rows_than", lambda self, number, by_rows=by_rows: by_rows)
        task = TrainingTask(objective, Constraints(0.9), ProjectedSolver())
        point, stage = evaluation.point, Stage(ALPHA, None, 6, 0.0)
        ends.append(BlockCoordinateDescent(block="curvature").train(task, [stage], point.W, point.b).objectives)
    np.testing.assert_allclose(*ends, rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("activation", [name for name, phi in ACTIVATIONS.items() if phi.lipschitz <= 1])
def test_symmetric_and_positive_semidefinite(case, activation):
    objective, evaluation = make_evaluation(case, activation, weighted=False)
    H = curvature(objective, evaluation)
    np.testing.assert_allclose(H, H.T, atol=1e-14 * np.abs(H).max())
    assert np.linalg.eigvalsh(H).min() >= -1e-9 * np.abs(H).max()


@pytest.mark.slow
def test_many_samples_are_judged_by_a_part_of_them():
    objective, evaluation = make_evaluation("three", m=3000, weighted=False)
    H = curvature(objective, evaluation)
    whole = dense_matrix(objective, evaluation, np.ones((3, 3), dtype=bool))
    assert np.linalg.norm(H - whole) <= 0.3 * np.linalg.norm(whole)


@pytest.mark.parametrize("seed", range(5))
def test_working_set_keeps_the_support_and_the_structure(seed):
    rng = np.random.default_rng(seed)
    structure = rng.random((7, 7)) < 0.5
    A = np.where(structure & (rng.random((7, 7)) < 0.4), 0.1 * rng.normal(size=(7, 7)), 0.0)
    slope = rng.normal(size=(7, 7))
    working = working_set(A, slope, 5.0, structure)
    assert working[A != 0].all() and not working[~structure].any()
    entering = working & (A == 0)
    assert entering.sum(axis=1).max() <= 2
    for i in range(7):  # the steepest come in
        left_out = structure[i] & ~working[i]
        if entering[i].any() and left_out.any():
            assert np.abs(slope[i, entering[i]]).min() >= np.abs(slope[i, left_out]).max()
    assert np.array_equal(working_set(A, slope, 0.0, structure), A != 0)


def test_a_row_at_its_bound_lets_in_only_what_beats_its_multiplier():
    A = np.array([[0.5, 0.0, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])
    slope = np.array([[-1.0, 0.5, 2.0], [-1.0, 0.5, 2.0], [0.0, 0.0, 0.0]])
    expected = np.array([[True, False, True], [True, True, True], [False, False, False]])
    np.testing.assert_array_equal(working_set(A, slope, 0.5), expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bound", [False, True])
def test_of_full_rows_the_entries_furthest_from_their_optimum_move(seed, bound):
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((9, 9)) < 0.7, rng.normal(size=(9, 9)), 0.0)
    A /= np.abs(A).sum(axis=1, keepdims=True)
    slope, most = rng.normal(size=(9, 9)), 4
    kappa = 1.0 if bound else 2.0
    every, few = (working_set(A, slope, kappa, most=k) for k in (None, most))
    assert not few[~every].any()
    np.testing.assert_array_equal(few.sum(axis=1), np.minimum(every.sum(axis=1), most))
    used = A != 0
    for i in range(9):
        # What the least change of the slopes in use to those of an optimum is, entry by entry.
        common = max(np.mean(-slope[i, used[i]] * np.sign(A[i, used[i]])), 0.0) if bound else 0.0
        distance = np.abs(slope[i] + common * np.sign(A[i]))
        left_out = every[i] & ~few[i] & used[i]
        if left_out.any():
            assert distance[few[i] & used[i]].min() >= distance[left_out].max()
    np.testing.assert_array_equal(working_set(A, slope, kappa, most=9), every)


@pytest.mark.slow
def test_classes_whose_intercepts_can_shift_together():
    # Their readout's curvature is singular; rounding may leave it indefinite, with about one start in 25 here.
    for seed in range(100):
        rng = np.random.default_rng(seed)
        U = rng.uniform(size=(40, 3)) * rng.binomial(1, 0.4, size=(40, 3))
        samples = Samples(U, np.eye(4)[rng.integers(0, 4, 40)], None, True, scale_targets=False)
        objective = CrossEntropyObjective(samples, ACTIVATIONS["relu"], False)
        W, b = random_weights(2, samples, Constraints(0.5), np.random.RandomState(seed))
        assert np.isfinite(curvature(objective, objective.evaluate(W, b, ALPHA, tol=1e-6))).all()


@pytest.mark.parametrize("case", CASES)
def test_sensitivities_times_the_residual_are_the_adjoint(case):
    objective, evaluation = make_evaluation(case)
    sensitivities = objective.sensitivities(evaluation)
    shared = objective.gradient(evaluation, sensitivities=sensitivities)
    direct = objective.gradient(evaluation)
    assert np.allclose(shared.adjoint, direct.adjoint, rtol=1e-9, atol=1e-12)
    near = objective.sensitivities(evaluation, sensitivities + 1e-3)
    assert np.allclose(near, sensitivities, rtol=1e-9, atol=1e-12)
    assert np.array_equal(objective.sensitivities(evaluation, rows=np.array([3, 7])), sensitivities[[3, 7]])


def test_positive_semidefinite_where_nearly_all_cancels_and_there_is_no_ridge():
    """A readout of 1e6 that explains nearly all of J: what is left is rounding, of either sign."""
    rng = np.random.default_rng(0)
    readout = rng.normal(size=(4, 30))
    J = np.vstack([1e6 * rng.normal(size=(8, 4)) @ readout + 1e-4 * rng.normal(size=(8, 30)), readout])
    H = _eliminated(J, 8, np.zeros(4))
    np.linalg.cholesky(H + 1e-12 * np.eye(8))


def test_entries_of_one_sign_enter_only_where_that_lowers_the_objective():
    slope = np.array([[-3.0, 3.0, 2.0], [3.0, -3.0, -2.0], [1.0, -2.0, 3.0]])
    signs = np.array([[1, 1, 1], [1, 1, 1], [-1, -1, 0]])
    found = working_set(np.zeros((3, 3)), slope, 0.9, signs=signs)
    np.testing.assert_array_equal(found, [[True, False, False], [False, True, True], [True, False, True]])
