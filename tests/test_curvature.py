"""The curvature block: two solvers, one minimum, inside every bound; the optimality conditions say that it is one."""

from dataclasses import replace

import numpy as np
import pytest
from test_matching import make_row_set

from skimplicit.projections import ColumnBudget
from skimplicit.subproblems.attempts import SubproblemError
from skimplicit.subproblems.curvature import CurvatureProblem, WorkingSetSolver
from skimplicit.subproblems.curvature.cvxpy_solver import CvxpyCurvatureSolver
from skimplicit.subproblems.curvature.working_set import polished

SHAPES = [(1, 1), (1, 4), (2, 3), (4, 2), (6, 5)]
SETS = {
    "free": {"kappa": 50.0},
    "bound": {"kappa": 0.6},
    "tight": {"kappa": 0.05},
    "zero": {"kappa": 0.0},
    "structure": {"kappa": 0.3, "mask": True},
    "budget": {"kappa": 0.3, "budget": 0.5},
    "budget, weights": {"kappa": 0.3, "budget": 0.5, "weights": True},
    "budget, structure": {"kappa": 0.3, "budget": 0.5, "mask": True},
    "no move in A": {"kappa": 0.3, "none": True},
    "signs": {"kappa": 0.6, "signs": True},
    "signs, tight, structure": {"kappa": 0.05, "signs": True, "mask": True},
    "signs, zero": {"kappa": 0.0, "signs": True},
    "signs, budget": {"kappa": 0.3, "signs": True, "budget": 0.5},
    "balls": {"kappa": 0.6, "balls": 0.5},
    "balls, signs": {"kappa": 0.6, "balls": 0.1, "signs": True},
    "balls, budget": {"kappa": 0.6, "balls": 0.5, "budget": 0.5},
    "held": {"kappa": 0.6, "held": True},
    "held, tight": {"kappa": 0.05, "held": True},
    "held, balls, signs": {"kappa": 0.6, "held": True, "balls": 0.1, "signs": True},
}
# Every set with the largest shape, and with every other one of the small ones in turn.
every_pair = pytest.mark.parametrize(
    ("shape", "name"),
    [(shape, name) for i, name in enumerate(SETS) for j, shape in enumerate(SHAPES) if (i + j) % 2 or shape == (6, 5)],
    ids=str,
)


def make_problem(
    shape,
    kappa,
    *,
    mask=False,
    budget=None,
    weights=False,
    none=False,
    held=False,
    seed=0,
    scale=1.0,
    signs=False,
    balls=None,
):
    n, p = shape
    rng = np.random.default_rng(seed)
    moving = np.ones((n, n + p), dtype=bool)
    if mask:
        moving[:, :n] = np.triu(np.ones((n, n), dtype=bool), 1)
    if none:
        moving[:, :n] = False
    if held:  # entries in use that do not move
        moving[:, :n] = rng.random((n, n)) < 0.6
    column_budget = None
    if budget is not None:
        column_budget = ColumnBudget(budget, rng.uniform(0.5, 2.0, p) if weights else None)
    P = int(moving.sum()) + n
    J = rng.normal(size=(2 * P // 3 + 1, P))  # H is singular: the ridge and the damping make the minimiser unique
    problem = CurvatureProblem(
        V=np.zeros((n, n + p)),
        moving=moving,
        gradient=scale * rng.normal(size=P),
        hessian=scale * J.T @ J / len(J),
        ridge=0.05 * scale,
        damping=0.01 * scale,
        kappa=kappa,
        budget=column_budget,
        row_set=make_row_set(n, n + p, signs, balls, kappa, seed),
    )
    return replace(problem, V=problem.project(np.where(moving | held, rng.normal(size=(n, n + p)), 0.0)))


def gradient_at(problem, W, lift):
    """The gradient of the objective in W and the lift, by its definition; zero where nothing moves."""
    d = problem.moves(W, lift)
    slope = problem.gradient + problem.hessian @ d + problem.damping * d
    rows, columns = problem.entries
    G = np.zeros_like(W)
    G[rows, columns] = slope[: rows.size] + problem.ridge * W[rows, columns]
    return G, slope[rows.size :]


@pytest.mark.slow_cases
@every_pair
def test_both_solvers_find_the_same_minimum(shape, name):
    problem = make_problem(shape, **SETS[name])
    W, lift = WorkingSetSolver().solve(problem)
    W_cvxpy, lift_cvxpy = CvxpyCurvatureSolver().solve(problem)
    value, reference = problem.value(W, lift), problem.value(W_cvxpy, lift_cvxpy)
    assert value == pytest.approx(reference, rel=1e-5, abs=1e-6)
    assert value <= problem.value(problem.V, np.zeros(shape[0])) + 1e-12
    np.testing.assert_allclose(W, W_cvxpy, atol=3e-3)
    np.testing.assert_allclose(lift, lift_cvxpy, atol=1e-2)


@pytest.mark.parametrize("name", ["bound", "tight", "structure", "signs", "balls", "held"])
def test_the_reference_is_polished(name):
    problem = make_problem((6, 5), **SETS[name], seed=2)
    for mine, its in zip(WorkingSetSolver().solve(problem), CvxpyCurvatureSolver().solve(problem), strict=True):
        np.testing.assert_allclose(its, mine, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("error", "near"), [(1e-8, True), (0.1, False)])
def test_what_is_not_near_the_minimiser_is_not_polished(error, near):
    problem, rng = make_problem((6, 5), **SETS["bound"], seed=2), np.random.default_rng(0)
    minimiser, lift = WorkingSetSolver().solve(problem)
    for _ in range(5):
        given = problem.project(minimiser * (1.0 + error * rng.normal(size=minimiser.shape)))
        W, _ = polished(problem, given, lift)
        assert not np.array_equal(given, minimiser)
        if near:
            np.testing.assert_allclose(W, minimiser, rtol=1e-12, atol=1e-13)
        else:
            np.testing.assert_array_equal(W, given)


@pytest.mark.parametrize("name", ["balls", "balls, signs", "signs", "bound"])
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_states_in_another_unit_than_inputs(unit, name):
    units = np.hstack([np.full((4, 4), unit), np.ones((4, 3))])
    for seed in {*range(20)} - {4, 7, 10, 17}:  # of which the exchange of active sets cycles, in any unit
        problem = make_problem((4, 3), **SETS[name], seed=seed, scale=10.0)
        definite = problem.hessian + 0.5 * np.eye(len(problem.hessian))
        problem = replace(problem, hessian=definite, ridge=0.0, damping=1e-30)  # which have no unit
        own, row_set = np.append(units[problem.entries], np.ones(4)), problem.row_set
        if row_set is not None and row_set.weights is not None:
            row_set = replace(row_set, weights=row_set.weights * units)
        scaled = replace(
            problem,
            V=problem.V / units,
            gradient=problem.gradient * own,
            hessian=definite * own * own[:, None],
            kappa=problem.kappa / unit,
            row_set=row_set,
        )
        (W, lift), (other, other_lift) = (WorkingSetSolver().solve(each) for each in (problem, scaled))
        np.testing.assert_allclose(other * units, W, atol=1e-9)
        np.testing.assert_allclose(other_lift, lift, atol=1e-9)


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("name", [name for name in SETS if not {"budget", "signs", "balls"} & set(name.split(", "))])
def test_the_minimiser_meets_the_optimality_conditions_in_any_unit(name, scale, seed):
    problem = make_problem((6, 4), **SETS[name], seed=seed, scale=scale)
    W, lift = WorkingSetSolver().solve(problem)
    n = problem.n_hidden
    G, slope = gradient_at(problem, W, lift)
    size = np.abs(problem.gradient).max()
    np.testing.assert_allclose(slope, 0, atol=1e-7 * size)
    np.testing.assert_allclose(G[:, n:], 0, atol=1e-7 * size)
    A, moving = W[:, :n], problem.moving[:, :n]
    if problem.kappa == 0:
        return
    for i in range(n):
        g, a = G[i, :n], A[i]
        # -g is in the normal cone of the ball: <g, a> + radius max|g| = 0, or g = 0 inside the ball.
        radius = problem.kappa - np.abs(a[~moving[i]]).sum()
        gap = g @ a + radius * np.abs(g[moving[i]]).max(initial=0.0)
        assert -1e-7 * size <= gap <= 1e-6 * size


def by_root(problem, n_rows):
    """Return a problem whose curvature is of so few rows, by its root and by the matrix."""
    root = np.random.default_rng(2).normal(size=(problem.gradient.size, n_rows)) / np.sqrt(n_rows)
    return replace(problem, hessian=None, root=root), replace(problem, hessian=root @ root.T)


@pytest.mark.parametrize("name", [name for name in SETS if "budget" not in name])  # there both are the same system
@pytest.mark.parametrize("n_rows", [1, 7, 200])
def test_a_root_of_the_curvature_says_the_same_as_the_matrix(name, n_rows):
    factored, dense = by_root(make_problem((6, 4), **SETS[name]), n_rows)
    W, lift = WorkingSetSolver().solve(factored)
    expected = WorkingSetSolver().solve(dense)
    np.testing.assert_allclose(W, expected[0], atol=1e-8)
    np.testing.assert_allclose(lift, expected[1], atol=1e-8)
    assert factored.value(W, lift) == pytest.approx(dense.value(W, lift), rel=1e-12)
    for mine, its in zip(factored.system(), dense.system(), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-13)


def test_a_root_of_few_rows_is_solved_as_the_reference_does():
    factored, _ = by_root(make_problem((6, 4), kappa=0.5), 5)
    value, reference = (
        factored.value(*solver.solve(factored)) for solver in (WorkingSetSolver(), CvxpyCurvatureSolver())
    )
    assert value == pytest.approx(reference, rel=1e-6)
    # Also with hardly any damping beside the curvature.
    faint = replace(factored, ridge=1e-8, damping=1e-7)
    dense = replace(faint, hessian=faint.root @ faint.root.T, root=None)
    assert faint.value(*WorkingSetSolver().solve(faint)) == pytest.approx(
        faint.value(*WorkingSetSolver().solve(dense)), rel=1e-6
    )


@pytest.mark.slow_cases
@every_pair
def test_the_minimiser_is_exactly_feasible(shape, name):
    problem = make_problem(shape, **SETS[name], seed=1)
    n = problem.n_hidden
    for solver in (WorkingSetSolver(), WorkingSetSolver(tol=1e-1, max_iter=1), CvxpyCurvatureSolver()):
        W, lift = solver.solve(problem)
        assert np.isfinite(W).all() and np.isfinite(lift).all()
        assert np.abs(W[:, :n]).sum(axis=1).max() <= problem.kappa * (1 + 1e-12)
        assert (
            problem.row_set is None
            or problem.row_set.contains(problem.row_set.shrunk(W))
            and np.allclose(problem.row_set.shrunk(W), W, rtol=1e-11, atol=0)
        )
        if problem.budget is not None:
            assert problem.budget.norm(W[:, n:]) <= problem.budget.bound * (1 + 1e-12)
        # Zeros stay zero; what CVXPY leaves of a violation is taken from the whole row.
        rtol = 1e-13 if isinstance(solver, WorkingSetSolver) else 1e-7
        np.testing.assert_allclose(W[~problem.moving], problem.V[~problem.moving], rtol=rtol)


def test_kappa_zero_leaves_a_linear_system():
    problem = make_problem((3, 4), kappa=0.0)
    W, lift = WorkingSetSolver().solve(problem)
    assert not W[:, :3].any()
    k = int(problem.moving[:, :3].sum())
    Q, linear = problem.system()
    np.testing.assert_allclose(problem.moves(W, lift)[k:], np.linalg.solve(Q[k:, k:], -linear[k:]), rtol=1e-9)


def test_more_damping_moves_less():
    problem = make_problem((4, 3), kappa=0.5)
    moves = [
        np.linalg.norm(problem.moves(*WorkingSetSolver().solve(problem.damped(c)))) for c in (0.01, 1.0, 100.0, 1e6)
    ]
    assert np.all(np.diff(moves) < 0) and moves[-1] < 1e-4


def test_value_and_system_are_the_same_function():
    problem = make_problem((3, 2), kappa=0.5)
    Q, linear = problem.system()
    rng = np.random.default_rng(0)
    here = problem.value(problem.V, np.zeros(3))
    for d in rng.normal(size=(3, linear.size)):
        assert problem.value(*problem.at(d)) - here == pytest.approx(0.5 * d @ Q @ d + linear @ d)
        np.testing.assert_allclose(problem.moves(*problem.at(d)), d, atol=1e-12)


def test_the_own_solver_refuses_custom_constraints():
    problem = replace(make_problem((2, 2), kappa=0.5), constraints=lambda A, B: [B >= 0])
    with pytest.raises(ValueError, match="custom constraints"):
        WorkingSetSolver().solve(problem)


def test_cvxpy_meets_custom_constraints():
    free = make_problem((3, 3), kappa=0.5, seed=2)
    problem = replace(free, V=np.abs(free.V), constraints=lambda A, B: [B >= 0, A[0, 1] == 0])
    problem.V[0, 1] = 0.0
    W, lift = CvxpyCurvatureSolver().solve(problem)
    assert W[:, 3:].min() >= -1e-6 and abs(W[0, 1]) <= 1e-6
    assert np.abs(W[:, :3]).sum(axis=1).max() <= problem.kappa
    unconstrained = replace(problem, constraints=None)
    best = problem.value(*WorkingSetSolver().solve(unconstrained))
    assert best - 1e-9 <= problem.value(W, lift) <= problem.value(problem.V, np.zeros(3))


def test_an_infeasible_block_is_named():
    problem = replace(make_problem((2, 2), kappa=0.5), constraints=lambda A, B: [B >= 1, B <= 0])
    with pytest.raises(SubproblemError, match="curvature block.*infeasible"):
        CvxpyCurvatureSolver().solve(problem)
