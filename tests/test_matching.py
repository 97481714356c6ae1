"""The matching block: one formula with two readings, and two solvers that find the same minimum.

The projected solver is also held to a certificate of its own: at a minimiser no step along the projected gradient
helps, ``<gradient(W), V - W> >= 0`` for every feasible V.
"""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from skimplicit.linalg import Gram, InputMatrix
from skimplicit.projections import ColumnBudget
from skimplicit.subproblems import MatchingProblem, ProjectedSolver, RowSet, make_solver
from skimplicit.subproblems.attempts import SubproblemError
from skimplicit.subproblems.matching import cvxpy_solver, lasso_rows
from skimplicit.subproblems.matching.cvxpy_solver import CvxpySolver
from skimplicit.subproblems.matching.lasso_rows import soft_threshold

GRAMS = ["well", "ill", "singular", "dead state"]
SETS = {
    "free": {},
    "tight": {"kappa": 0.05},
    "zero": {"kappa": 0.0},
    "radii": {"radii": True},
    "radii, mask": {"radii": True, "mask": True},
    "mask": {"mask": True},
    "budget": {"budget": 0.3},
    "small budget": {"budget": 0.02},
    "budget, mask": {"budget": 0.3, "mask": True},
    "budget, zero": {"budget": 0.3, "kappa": 0.0},
    "l1, budget, zero, mask": {"l1": 0.1, "budget": 0.3, "kappa": 0.0, "mask": True},
    "budget, weights": {"budget": 0.3, "weights": True},
    "budget, groups": {"budget": 0.3, "groups": True},
    "inputs masked": {"mask": True, "input_mask": True},
    "inputs masked, tight": {"mask": True, "input_mask": True, "kappa": 0.05},
    "l1": {"l1": 0.1},
    "small l1, tight": {"l1": 0.01, "kappa": 0.05},
    "l1, zero": {"l1": 0.1, "kappa": 0.0},
    "l1, inputs masked": {"l1": 0.1, "mask": True, "input_mask": True},
    "l1, budget, mask": {"l1": 0.1, "budget": 0.3, "mask": True},
    "l1, budget, groups": {"l1": 0.1, "budget": 0.3, "weights": True, "groups": True},
    "signs": {"signs": True},
    "signs, zero": {"signs": True, "kappa": 0.0},
    "signs, tight, mask": {"signs": True, "kappa": 0.05, "mask": True},
    "signs, radii": {"signs": True, "radii": True},
    "signs, budget": {"signs": True, "budget": 0.3},
    "balls": {"balls": 0.3},
    "small balls, mask": {"balls": 0.05, "mask": True},
    "balls, inputs masked": {"balls": 0.3, "mask": True, "input_mask": True},
    "small balls, signs, mask": {"balls": 0.05, "signs": True, "mask": True},
    "balls, l1": {"balls": 0.3, "l1": 0.05},
}
# States, inputs, ridge.
SIZES = [(1, 1, 0.0), (3, 7, 0.03), (6, 3, 0.0)]


def gram_of(matrix, n):
    """Return a matrix of shape (n + p, n + p) as the Gram matrix of n states and p inputs."""
    return Gram(matrix[:n, :n], matrix[:n, n:], InputMatrix(matrix[n:, n:]))


def is_feasible(problem, W, tol=1e-9):
    """Tell whether W meets the bounds on A and B up to a tolerance, custom constraints aside."""
    return np.abs(problem.project(W) - W).max(initial=0.0) <= tol


def make_problem(
    seed,
    n,
    p,
    gram="well",
    *,
    kappa=0.9,
    mask=False,
    input_mask=False,
    budget=None,
    weights=False,
    groups=False,
    ridge=0.0,
    l1=None,
    signs=False,
    balls=None,
    radii=False,
):
    """Draw a problem as training poses it: R comes from targets, so the objective is bounded from below.

    The penalty is relative: with ``l1`` at 1, entries survive that explain a row of T alone.
    """
    rng = np.random.default_rng(seed)
    N = n + p
    F = rng.normal(size=(3 * N, N))
    if gram == "ill":  # the condition number of G is 1e8
        F = np.linalg.qr(F)[0] * np.geomspace(1.0, 1e-4, N) @ np.linalg.qr(rng.normal(size=(N, N)))[0]
        F *= np.sqrt(F.shape[0])
    elif gram == "singular":
        F = F[: max(N // 2, 1)]
    elif gram == "dead state":
        F[:, 0] = 0.0
    m = F.shape[0]
    T = F @ rng.normal(size=(N, n)) + 0.5 * rng.normal(size=(m, n))
    curvature = rng.uniform(0.2, 3.0, size=n)
    groups = rng.permutation(np.arange(p) % max((p + 1) // 2, 1)) if groups else None
    n_weights = p if groups is None else groups.max() + 1
    free = np.sum(np.abs(T).max()) * (n_weights if budget else 1)
    weights = rng.uniform(0.3, 3.0, size=n_weights) if weights else None
    return MatchingProblem(
        G=gram_of(F.T @ F / m, n),
        R=curvature[:, None] * (T.T @ F) / m,
        curvature=curvature,
        ridge=ridge,
        kappa=kappa * np.linspace(0, 1, n) if radii else kappa,
        column_budget=None if budget is None else ColumnBudget(budget * free, weights, groups),
        structure=rng.random((n, N if input_mask else n)) < 0.6 if mask else None,
        l1=None if l1 is None else l1 * np.abs(T.T @ F).max() / m * rng.uniform(0.5, 2.0, size=(n, N)),
        row_set=make_row_set(n, N, signs, balls, kappa, seed),
    )


def make_row_set(n, N, signs, balls, kappa, seed):
    """Signs of two thirds of the entries; balls that imply the bound on A."""
    if not signs and balls is None:
        return None
    rng = np.random.default_rng(seed + 100)
    signs = rng.integers(-1, 2, size=(n, N)) if signs else None
    if balls is None:
        return RowSet(signs)
    return RowSet(signs, np.hstack([np.full((n, n), 1 / kappa), rng.uniform(0.3, 3.0, size=(n, N - n)) / balls]))


def random_point(problem, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=problem.R.shape)


def random_feasible(problem, seed, scale=1.0):
    return problem.project(random_point(problem, seed, scale))


every_set = pytest.mark.parametrize("options", SETS.values(), ids=SETS.keys())
every_gram = pytest.mark.parametrize("gram", GRAMS)
# Every size with every set and with every matrix: a matrix that meets a set for the second time would say no more.
every_pair = pytest.mark.parametrize(
    ("options", "gram", "n", "p", "ridge"),
    [
        pytest.param(options, gram, *SIZES[(i + j) % len(SIZES)], id=f"{name}-{gram}")
        for i, (name, options) in enumerate(SETS.items())
        for j, gram in enumerate(GRAMS)
    ],
)


class TestReadings:
    """Value, gradient, projection and the program in symbols say the same."""

    @every_gram
    @pytest.mark.parametrize("ridge", [0.0, 0.3])
    def test_gradient_is_that_of_the_value(self, gram, ridge):
        problem = make_problem(0, 4, 3, gram, ridge=ridge)
        W, direction = random_point(problem, 1), random_point(problem, 2)
        step = 1e-5  # central differences of a quadratic are exact but for rounding
        slope = (problem.value(W + step * direction) - problem.value(W - step * direction)) / (2 * step)
        assert np.sum(problem.gradient(W) * direction) == pytest.approx(slope, rel=1e-7, abs=1e-7)

    @pytest.mark.parametrize("gram", ["well", "singular"])
    def test_value_is_the_weighted_least_squares_it_stands_for(self, gram):
        rng = np.random.default_rng(3)
        n, p = 3, 4
        F = rng.normal(size=(5 if gram == "singular" else 40, n + p))
        T, h, ridge = rng.normal(size=(F.shape[0], n)), rng.uniform(0.5, 2.0, size=n), 0.2
        m = F.shape[0]
        problem = MatchingProblem(gram_of(F.T @ F / m, n), h[:, None] * (T.T @ F) / m, h, ridge, kappa=0.9)

        def least_squares(W):
            return np.sum((T - F @ W.T) ** 2 * h) / (2 * m) + ridge / 2 * np.sum(W**2)

        V, W = random_point(problem, 4), random_point(problem, 5)
        assert problem.value(V) - problem.value(W) == pytest.approx(least_squares(V) - least_squares(W), rel=1e-12)

    @every_set
    @every_gram
    def test_symbols_have_the_same_objective(self, options, gram):
        problem = make_problem(6, 3, 4, gram, ridge=0.1, **options)
        program = problem.to_cvxpy()
        for seed in range(3):
            W = random_point(problem, seed)
            program.W.value = W
            program._aimed.value = W @ problem.G.factor
            assert program.problem.objective.value == pytest.approx(problem.value(W), rel=1e-10)
        assert program.problem.is_dcp(dpp=True)

    @every_set
    def test_symbols_have_the_same_constraints(self, options):
        problem = make_problem(7, 3, 4, **options)
        program = problem.to_cvxpy()
        for seed, scale in enumerate([1e-3, 0.1, 1.0, 10.0]):
            for W in (random_point(problem, seed, scale), random_feasible(problem, seed, scale)):
                program.W.value = W
                program._aimed.value = W @ problem.G.factor
                violation = max(np.max(c.violation()) for c in program.problem.constraints)
                assert (violation <= 1e-8) == is_feasible(problem, W, 1e-8)

    @every_set
    def test_projection_is_the_nearest_point(self, options):
        problem = make_problem(8, 3, 4, **options)
        W = random_point(problem, 9)
        nearest = problem.project(W)
        assert is_feasible(problem, nearest)
        for seed in range(20):
            V = random_feasible(problem, seed, 2.0)
            assert np.sum((W - nearest) * (V - nearest)) <= 1e-10

    @every_gram
    @pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
    def test_some_entries_alone_are_the_problem_in_which_the_others_stay(self, gram, share):
        problem = make_problem(11, 5, 3, gram, ridge=0.1)
        V = random_feasible(problem, 12)
        entries = np.random.default_rng(13).random((5, 5)) < share
        part, held = problem.moving_only(V[:, :5], entries)
        np.testing.assert_array_equal(held[:, :5], np.where(entries, 0.0, V[:, :5]))
        assert not held[:, 5:].any()
        for seed in range(3):
            W = random_point(problem, seed)
            W[:, :5][~entries] = 0.0
            difference = problem.value(W + held) - problem.value(V)
            assert part.value(W) - part.value(V - held) == pytest.approx(difference, rel=1e-9)
            W = part.project(W)
            assert is_feasible(problem, W + held, 1e-12) and is_feasible(part, V - held, 1e-12)

    @every_gram
    def test_factor(self, gram):
        problem = make_problem(10, 4, 5, gram)
        L, G = problem.G.factor, np.eye(9) @ problem.G
        np.testing.assert_allclose(L @ L.T, G, atol=1e-13 * np.trace(G))

    def test_setting_parameters_is_the_same_as_compiling(self):
        problems = [make_problem(seed, 3, 4, budget=0.3, weights=True, ridge=0.1 * seed) for seed in range(3)]
        solver = CvxpySolver()
        for problem in problems:
            # What is compiled does not come from the first problem.
            assert problem.value(solver.solve(problem, None)) == pytest.approx(
                problem.value(CvxpySolver().solve(problem, None)), rel=1e-7
            )

    def test_compiled_once(self):
        solver = CvxpySolver()
        solver.solve(make_problem(0, 2, 3), None)
        program = solver._program
        solver.solve(make_problem(1, 2, 3, ridge=0.5), None)
        tight = make_problem(1, 2, 3, kappa=0.4)
        np.testing.assert_allclose(solver.solve(tight, None), CvxpySolver().solve(tight, None), atol=1e-7)
        assert solver._program is program
        solver.solve(make_problem(1, 2, 3, mask=True), None)
        assert solver._program is not program


class TestSolvers:
    """The two solvers agree, and what they return is feasible."""

    @pytest.mark.slow_cases
    @every_pair
    def test_same_minimum(self, options, gram, n, p, ridge):
        problem = make_problem(n + p, n, p, gram, ridge=ridge, **options)
        start = random_feasible(problem, 1)
        reference = CvxpySolver().solve(problem, start)
        projected = ProjectedSolver(tol=1e-12, max_iter=50_000).solve(problem, start)
        for W in (reference, projected):
            assert is_feasible(problem, W, 1e-9)
            np.testing.assert_array_equal(problem.masked(W), W)
            # No tolerance: it is what makes a rule well-posed.
            assert np.all(np.abs(W[:, :n]).sum(axis=1) <= problem.kappa)
        # Of a minimum of zero CVXPY's solvers, whose tolerance is 1e-8, leave up to 1e-11.
        assert problem.value(projected) == pytest.approx(problem.value(reference), rel=1e-6, abs=1e-10)

    @pytest.mark.slow_cases
    @pytest.mark.parametrize(  # each set with two of the matrices
        ("options", "gram"),
        [
            pytest.param(options, gram, id=f"{name}-{gram}")
            for i, (name, options) in enumerate(SETS.items())
            for gram in GRAMS[i % 2 :: 2]
        ],
    )
    def test_variational_inequality(self, gram, options):
        problem = make_problem(11, 6, 5, gram, ridge=0.01, **options)
        W = ProjectedSolver(tol=1e-13, max_iter=50_000).solve(problem, random_feasible(problem, 0))
        gradient = problem.gradient(W)
        scale = np.abs(problem.value(W))
        l1 = 0.0 if problem.l1 is None else problem.l1
        # The strongest test point for each seed of doubt: a proximal step along the negative gradient.
        strongest = problem.project(soft_threshold(W - gradient, l1))
        for V in (strongest, *(random_feasible(problem, seed, 3.0) for seed in range(8))):
            assert np.sum(gradient * (V - W) + l1 * (np.abs(V) - np.abs(W))) >= -1e-7 * scale

    @pytest.mark.parametrize("seed", [5, 7, 18])
    def test_penalised_rows_of_fewer_samples_than_weights(self, seed):
        # The system of a support is singular but for rounding: its solution need not solve it.
        rng = np.random.default_rng(seed)
        U, Z = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
        F, T = np.hstack([np.maximum(Z, 0), U]), Z - Z.mean(axis=0)
        F -= F.mean(axis=0)
        problem = MatchingProblem(gram_of(F.T @ F / 3, 3), T.T @ F / 3, np.ones(3), 0.0, 0.3, l1=np.full((3, 6), 0.03))
        W = ProjectedSolver().solve(problem, np.zeros((3, 6)))
        gradient = problem.gradient(W)
        better = problem.project(soft_threshold(W - gradient, problem.l1))
        promised = np.sum(gradient * (better - W) + problem.l1 * (np.abs(better) - np.abs(W)))
        assert promised >= -1e-8 * abs(problem.value(W))

    @every_gram
    def test_penalty_gives_exact_zeros_and_none_in_the_limit(self, gram):
        problem = make_problem(23, 5, 6, gram, l1=0.1, ridge=0.01)
        W = ProjectedSolver().solve(problem, np.zeros_like(problem.R))
        assert 0 < np.count_nonzero(W) < 0.8 * W.size
        nothing = replace(problem, l1=np.abs(problem.R) * (1 + 1e-12))  # the least weights that leave no entry
        assert not ProjectedSolver().solve(nothing, W).any()
        tiny = replace(problem, l1=np.full_like(W, 1e-14))
        without = replace(problem, l1=None)
        first, second = (ProjectedSolver().solve(each, W) for each in (tiny, without))
        assert without.value(first) == pytest.approx(without.value(second), rel=1e-9)

    @pytest.mark.parametrize("kappa", [0.0, 0.05, 0.9])
    def test_rows_of_signs_are_found_by_their_faces(self, kappa, monkeypatch):
        monkeypatch.setattr(lasso_rows, "fista", None)
        problem = make_problem(25, 4, 5, signs=True, kappa=kappa)
        W = ProjectedSolver().solve(problem, np.zeros_like(problem.R))
        assert problem.value(W) == pytest.approx(problem.value(CvxpySolver().solve(problem, W)), rel=1e-6)

    @pytest.mark.parametrize("balls", [None, 0.5], ids=["signs", "signs, balls"])
    @pytest.mark.parametrize("unit", [1e-9, 1e9])
    def test_signs_with_states_in_another_unit_than_inputs(self, unit, balls):
        problem = make_problem(25, 4, 5, signs=True, kappa=0.5, balls=balls)
        units = np.append(np.full(4, unit), np.ones(5))
        G = problem.G.principal(np.arange(9)) * units * units[:, None]
        row_set = problem.row_set
        if balls is not None:
            row_set = replace(row_set, weights=row_set.weights * units)
        scaled = replace(problem, G=gram_of(G, 4), R=problem.R * units, kappa=problem.kappa / unit, row_set=row_set)
        W, V = (ProjectedSolver().solve(each, np.zeros((4, 9))) for each in (problem, scaled))
        assert np.count_nonzero(W) > 5
        np.testing.assert_allclose(V * units, W, atol=1e-7)

    def test_penalised_rows_do_not_depend_on_each_other(self):
        problem = make_problem(24, 6, 5, "ill", l1=0.05, kappa=0.3)
        W = ProjectedSolver().solve(problem, np.zeros_like(problem.R))
        others = replace(problem, R=np.vstack([problem.R[:3], 2 * problem.R[3:]]))
        V = ProjectedSolver().solve(others, np.zeros_like(problem.R))
        np.testing.assert_allclose(V[:3], W[:3], rtol=1e-7, atol=1e-9)

    @pytest.mark.slow_cases
    @every_set
    def test_start_does_not_matter(self, options):
        problem = make_problem(12, 5, 4, ridge=0.01, **options)
        solver = ProjectedSolver(tol=1e-12, max_iter=50_000)
        values = [problem.value(solver.solve(problem, random_feasible(problem, seed, 2.0))) for seed in range(3)]
        np.testing.assert_allclose(values, values[0], rtol=1e-8)

    @pytest.mark.parametrize("options", [SETS["tight"], SETS["budget"], SETS["budget, mask"]], ids=str)
    def test_few_iterations_still_give_a_feasible_point(self, options):
        problem = make_problem(13, 6, 5, "ill", **options)
        start = random_feasible(problem, 0)
        W = ProjectedSolver(tol=1e-12, max_iter=3).solve(problem, start)
        assert is_feasible(problem, W)
        assert np.abs(W[:, :6]).sum(axis=1).max() <= problem.kappa

    def test_one_solver_serves_different_problems(self):
        # It keeps a decomposition of the inputs' Gram matrix, which must not meet another matrix.
        solver = ProjectedSolver()
        for seed in range(3):
            problem = make_problem(seed, 3, 4)
            start = random_feasible(problem, 0)
            np.testing.assert_array_equal(solver.solve(problem, start), ProjectedSolver().solve(problem, start))

    def test_inputs_are_not_written_to(self):
        problem = make_problem(14, 4, 3, budget=0.3, mask=True)
        before = [array.copy() for array in (problem.G.XX, problem.G.XU, problem.R, problem.curvature)]
        start = random_feasible(problem, 0)
        kept = start.copy()
        for solver in (ProjectedSolver(), CvxpySolver()):
            solver.solve(problem, start)
        for array, copy in zip(
            (problem.G.XX, problem.G.XU, problem.R, problem.curvature, start), (*before, kept), strict=True
        ):
            np.testing.assert_array_equal(array, copy)


class TestCustomConstraints:
    """Convex constraints of the user's own, through CVXPY."""

    def test_non_negative_inputs(self):
        problem = replace(make_problem(15, 4, 5), constraints=lambda A, B: [B >= 0])
        W = CvxpySolver().solve(problem, None)
        assert W[:, 4:].min() >= -1e-6
        unconstrained = CvxpySolver().solve(replace(problem, constraints=None), None)
        assert unconstrained[:, 4:].min() < -0.01
        assert problem.value(W) > problem.value(unconstrained)
        # Certificate over the set intersected with B >= 0.
        gradient = problem.gradient(W)
        for seed in range(30):
            V = random_feasible(problem, seed, 2.0)
            V[:, 4:] = np.maximum(V[:, 4:], 0.0)
            assert np.sum(gradient * (V - W)) >= -1e-5 * abs(problem.value(W))

    @pytest.mark.parametrize("wrap", [lambda c: c, lambda c: [c], lambda c: (c,)], ids=["bare", "list", "tuple"])
    def test_forms_of_the_answer(self, wrap):
        problem = replace(make_problem(16, 2, 3), constraints=lambda A, B: wrap(cp.sum(B) == 0))
        assert CvxpySolver().solve(problem, None)[:, 2:].sum() == pytest.approx(0.0, abs=1e-6)

    def test_bounds_on_a_and_b_stay_exact(self):
        problem = replace(
            make_problem(17, 4, 5, kappa=0.1, budget=0.2, mask=True), constraints=lambda A, B: [cp.sum(A) >= 0.1]
        )
        W = CvxpySolver().solve(problem, None)
        assert np.abs(W[:, :4]).sum(axis=1).max() <= problem.kappa
        assert problem.column_budget.norm(W[:, problem.n_hidden :]) <= problem.column_budget.bound
        assert not W[:, :4][~problem.structure].any()
        assert W[:, :4].sum() >= 0.1 - 1e-6

    def test_infeasible_names_block_and_status(self):
        problem = replace(make_problem(18, 2, 3), constraints=lambda A, B: [B >= 1, B <= -1])
        with pytest.raises(SubproblemError, match=r"equilibrium block \(A, B\).*infeasible.*custom constraints"):
            CvxpySolver().solve(problem, None)

    def test_infeasible_with_the_bound_on_a(self):
        problem = replace(make_problem(19, 2, 3), constraints=lambda A, B: A[0, 0] >= 2)
        with pytest.raises(SubproblemError, match="bound on A"):
            CvxpySolver().solve(problem, None)

    def test_not_convex(self):
        problem = replace(make_problem(20, 2, 3), constraints=lambda A, B: [cp.norm(B) >= 1])
        with pytest.raises(ValueError, match="not convex"):
            CvxpySolver().solve(problem, None)

    @pytest.mark.parametrize("answer", [True, None, 1.0, "B >= 0", [np.ones(3)]], ids=str)
    def test_not_a_constraint(self, answer):
        problem = replace(make_problem(21, 2, 3), constraints=lambda A, B: answer)
        with pytest.raises(TypeError, match="must return CVXPY constraints"):
            CvxpySolver().solve(problem, None)

    def test_projected_solver_refuses(self):
        problem = replace(make_problem(22, 2, 3), constraints=lambda A, B: [B >= 0])
        with pytest.raises(ValueError, match="projected solver cannot take custom constraints"):
            ProjectedSolver().solve(problem, random_feasible(replace(problem, constraints=None), 0))
        with pytest.raises(ValueError, match="solver='projected' cannot take custom constraints"):
            make_solver("projected", custom_constraints=True)


class TestChoice:
    """The name decides, custom constraints decide for CVXPY."""

    @pytest.mark.parametrize(
        ("name", "custom", "expected"),
        [
            ("auto", False, ProjectedSolver),
            ("auto", True, CvxpySolver),
            ("cvxpy", False, CvxpySolver),
            ("cvxpy", True, CvxpySolver),
            ("projected", False, ProjectedSolver),
        ],
    )
    def test_choice(self, name, custom, expected):
        assert isinstance(make_solver(name, custom), expected)


@pytest.mark.parametrize("name", ["free", "tight", "zero", "mask"])
@pytest.mark.parametrize("gram", ["well", "singular"])
def test_inputs_that_are_not_decomposed_have_the_same_minimum(monkeypatch, name, gram):
    problem = make_problem(0, 3, 9, gram, ridge=0.03, **SETS[name])
    expected = ProjectedSolver().solve(problem, problem.project(problem.R))
    monkeypatch.setattr("skimplicit.linalg.gram.MOST_PAIRS", 5)
    assert not problem.G.inputs.decomposes
    monkeypatch.setattr(type(problem.G.inputs), "eigen", None)  # nobody asks for it
    found = ProjectedSolver().solve(problem, problem.project(problem.R))
    assert is_feasible(problem, found)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("most", "second"), [(10**6, [cp.OSQP]), (0, [cp.CLARABEL])])
def test_what_has_taken_many_iterations_is_not_tried_first_again(monkeypatch, most, second):
    tried, status_of = [], cvxpy_solver.status_of
    monkeypatch.setattr(cvxpy_solver, "_MANY_ITERATIONS", most)
    monkeypatch.setattr(cvxpy_solver, "status_of", lambda *given: (tried.append(given[1]), status_of(*given))[1])
    solver, problem = CvxpySolver(), make_problem(0, 3, 2, ridge=0.03, **SETS["tight"])
    for expected in ([cp.OSQP], second):
        W = solver.solve(problem, problem.R)
        assert tried == expected
        np.testing.assert_allclose(W, ProjectedSolver().solve(problem, problem.project(problem.R)), atol=1e-8)
        tried.clear()
