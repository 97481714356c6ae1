"""Projections: nearest points, certified.

Both sets are balls of a norm, so that one list of laws serves all of them. P is the projection of X on the ball of
radius r if and only if ``norm(P) <= r`` and ``<X - P, P> = r dual(X - P)``, with the dual norm: this is the variational
inequality ``<X - P, Q - P> <= 0`` for all Q of the ball at once. CVXPY is asked on small cases, in case the norms or
the duals written here are wrong.
"""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skimplicit.projections import ColumnBudget, project_rows_l1

EPS = np.finfo(float).eps


@dataclass
class Ball:
    """A set ``norm(P) <= radius`` for matrices of one shape."""

    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    @classmethod
    def random(cls, rng, shape, weighted, grouped):
        groups = None
        if grouped:
            groups = rng.permutation(np.arange(shape[1]) % (shape[1] // 2 + 1))
        weights = rng.uniform(0.2, 3.0, size=cls.weights_shape(shape, groups)) if weighted else None
        return cls(weights, groups)


class Rows(Ball):
    """Every row in the (weighted) l1 ball."""

    @staticmethod
    def weights_shape(shape, groups):
        return shape

    def project(self, X, radius):
        return project_rows_l1(X, radius, self.weights)

    def norm(self, P):
        return (np.abs(P) if self.weights is None else self.weights * np.abs(P)).sum(1).max(initial=0.0)

    def dual(self, Y):
        return (np.abs(Y) if self.weights is None else np.abs(Y) / self.weights).max(axis=1, initial=0.0).sum()

    def cvxpy_norm(self, P):
        return cp.max(cp.sum(cp.abs(P) if self.weights is None else cp.multiply(self.weights, cp.abs(P)), axis=1))


class Columns(Ball):
    """Columns, or groups of columns, within a budget."""

    @staticmethod
    def weights_shape(shape, groups):
        return shape[1] if groups is None else groups.max(initial=-1) + 1

    def project(self, X, radius):
        return ColumnBudget(radius, self.weights, self.groups).project(X)

    def parts(self, P):
        """Return the entries of each group with its weight."""
        groups = np.arange(P.shape[1]) if self.groups is None else self.groups
        for g in range(groups.max(initial=-1) + 1):
            yield P[:, groups == g], 1.0 if self.weights is None else self.weights[g]

    def norm(self, P):
        return sum(weight * np.abs(part).max(initial=0.0) for part, weight in self.parts(P))

    def dual(self, Y):
        return max((np.abs(part).sum() / weight for part, weight in self.parts(Y)), default=0.0)

    def cvxpy_norm(self, P):
        return cp.sum([weight * cp.max(cp.abs(part)) for part, weight in self.parts(P)])


BALLS = {
    "rows": (Rows, False, False),
    "weighted rows": (Rows, True, False),
    "columns": (Columns, False, False),
    "weighted columns": (Columns, True, False),
    "groups": (Columns, False, True),
    "weighted groups": (Columns, True, True),
}
every_ball = pytest.mark.parametrize("kind", BALLS)
every_seed = pytest.mark.parametrize("seed", range(2))
every_share = pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.95, 1 - 1e-9])


def draw(kind, seed, shape=(6, 7)):
    """Return a random ball, a random matrix and the generator."""
    rng = np.random.default_rng(seed)
    cls, weighted, grouped = BALLS[kind]
    return cls.random(rng, shape, weighted, grouped), rng.normal(size=shape), rng


def assert_projection(ball, X, radius):
    """Certify the projection of X, to rounding in the size of X, and return it."""
    P = ball.project(X, radius)
    assert P.shape == X.shape
    assert ball.norm(P) <= radius
    # A rounding error of the multiplier moves each of the entries by this much, times the radius of the ball.
    rounding = 16 * EPS * max(X.size, 1) * (ball.dual(X) + ball.dual(P)) * radius + 16 * EPS * np.sum(X * X)
    assert np.sum((X - P) * P) >= radius * ball.dual(X - P) - rounding
    return P


@pytest.mark.slow_cases
@every_ball
@every_seed
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_agrees_with_cvxpy(kind, seed, share):
    ball, X, _ = draw(kind, seed, (3, 4))
    radius = share * ball.norm(X)
    P = cp.Variable(X.shape)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(P - X)), [ball.cvxpy_norm(P) <= radius])
    problem.solve(solver=cp.CLARABEL)
    projected = ball.project(X, radius)
    # The solver is right to 1e-8 in the objective, hence to its square root in the point.
    assert np.sum((projected - X) ** 2) == pytest.approx(problem.value, rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(projected, P.value, atol=1e-3)


@every_ball
@every_seed
@every_share
def test_is_feasible_optimal_idempotent_and_on_the_boundary(kind, seed, share):
    ball, X, _ = draw(kind, seed, (12, 15))
    radius = share * ball.norm(X)
    P = assert_projection(ball, X, radius)
    np.testing.assert_array_equal(ball.project(P, radius), P)
    assert ball.norm(P) >= radius - 1e-14 * X.size * ball.norm(X)
    assert np.all(np.abs(P) <= np.abs(X))
    assert np.all(P * X >= 0)


@pytest.mark.slow_cases
@every_ball
@settings(max_examples=60, derandomize=True)
@given(data=st.data())
def test_ties_zeros_and_edges(kind, data):
    cls, weighted, grouped = BALLS[kind]
    n, p = data.draw(st.tuples(st.integers(0, 4), st.integers(0, 5)))
    ball = cls.random(np.random.default_rng(0), (n, p), False, grouped)
    quarters = st.integers(-8, 8).map(lambda i: i / 4)
    X = np.array(data.draw(st.lists(quarters, min_size=n * p, max_size=n * p)), dtype=float).reshape(n, p)
    if weighted:
        shape = cls.weights_shape((n, p), ball.groups)
        size = int(np.prod(shape))
        few = st.sampled_from([0.1, 1.0, 3.0])
        ball.weights = np.array(data.draw(st.lists(few, min_size=size, max_size=size)), dtype=float).reshape(shape)
    assert_projection(ball, X, data.draw(st.integers(0, 12)) / 4)


@every_ball
@every_seed
def test_inside_nothing_changes(kind, seed):
    ball, X, _ = draw(kind, seed)
    for radius in (ball.norm(X) * (1 + 1e-12), 2 * ball.norm(X), np.inf):
        P = ball.project(X, radius)
        np.testing.assert_array_equal(P, X)
        assert not np.shares_memory(P, X)


@every_ball
@every_seed
@pytest.mark.parametrize("distance", [1e-6, 1e-2, 1.0, 10.0])
def test_does_not_expand_distances(kind, seed, distance):
    ball, X, rng = draw(kind, seed)
    Y = X + distance * rng.normal(size=X.shape)
    radius = 0.3 * ball.norm(X)
    moved = np.linalg.norm(ball.project(X, radius) - ball.project(Y, radius))
    assert moved <= np.linalg.norm(X - Y) * (1 + 1e-9)


@every_ball
@every_seed
@pytest.mark.parametrize("scale", [1e8, 1e-8, 1e100, 1e-100])
def test_scales_with_its_arguments(kind, seed, scale):
    ball, X, _ = draw(kind, seed)
    radius = 0.3 * ball.norm(X)
    P = ball.project(scale * X, scale * radius)
    assert ball.norm(P) <= scale * radius
    np.testing.assert_allclose(P, scale * ball.project(X, radius), rtol=1e-9, atol=1e-13 * scale)


@every_ball
@every_seed
def test_entries_of_very_different_size(kind, seed):
    ball, X, rng = draw(kind, seed)
    X *= 10.0 ** rng.integers(-8, 9, size=X.shape)
    for radius in (1e-8, 1.0, 1e8):
        assert_projection(ball, X, radius)


@every_ball
@every_seed
def test_nothing_fits_in_radius_zero(kind, seed):
    ball, X, _ = draw(kind, seed)
    assert not ball.project(X, 0.0).any()
    assert not ball.project(X, 0).any()


@every_ball
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)], ids=str)
@pytest.mark.parametrize("radius", [0.0, 1.0])
def test_empty_matrix(kind, shape, radius):
    ball, X, _ = draw(kind, 0, shape)
    assert ball.project(X, radius).shape == shape


@every_ball
@pytest.mark.parametrize("seed", range(30))  # last digits differ in some cases only, which ones depends on the machine
def test_result_does_not_depend_on_the_memory_layout(kind, seed):
    ball, X, _ = draw(kind, seed, (40, 50) if seed < 3 else (5 + seed, 7))
    radius = 0.4 * ball.norm(X)
    expected = ball.project(X, radius)
    strided = np.zeros((2 * X.shape[0], 3 * X.shape[1]))[::2, ::3]
    strided[:] = X
    for same in (np.asfortranarray(X), strided):
        P = ball.project(same, radius)
        np.testing.assert_array_equal(P, expected)
        assert ball.norm(P) <= radius
    X.flags.writeable = False
    np.testing.assert_array_equal(ball.project(X, radius), expected)
    # Whether X is inside depends on the order of a sum: that of the result counts.
    radius = ball.norm(np.asfortranarray(X))
    assert ball.norm(ball.project(np.asfortranarray(X), radius)) <= radius


@every_ball
@every_seed
def test_signs_and_order_of_rows_pass_through(kind, seed):
    ball, X, rng = draw(kind, seed)
    if isinstance(ball, Rows) and ball.weights is not None:
        ball.weights = np.broadcast_to(ball.weights[0], X.shape)
    radius, order, signs = 0.3 * ball.norm(X), rng.permutation(6), rng.choice([-1.0, 1.0], size=X.shape)
    P = ball.project(X, radius)
    np.testing.assert_allclose(ball.project((signs * X)[order], radius), (signs * P)[order], rtol=1e-12, atol=1e-14)


@every_seed
def test_equal_columns_stay_equal(seed):
    X = np.random.default_rng(seed).normal(size=(5, 6))
    X[:, 3] = X[:, 0]
    for P in (project_rows_l1(X, 0.8), ColumnBudget(2.0).project(X)):
        np.testing.assert_array_equal(P[:, 3], P[:, 0])
        assert P.any()


@every_seed
def test_a_projector_forgets_what_it_started_from(seed):
    rng = np.random.default_rng(seed)
    groups = np.array([0, 1, 0, 2, 1])
    for budget in (ColumnBudget(1.0), ColumnBudget(0.5, rng.uniform(0.1, 9.0, 3), groups), ColumnBudget(0.0)):
        project = budget.projector()
        for scale in (1.0, 1.01, 1e3, 1e-1, 0.3, 1e-3, 5.0, 1e8, 2.0):
            X = scale * rng.normal(size=(4, 5))
            np.testing.assert_allclose(project(X), budget.project(X), rtol=1e-9, atol=1e-15 * scale)


@every_seed
def test_rows_are_projected_one_by_one(seed):
    X = np.random.default_rng(seed).normal(size=(8, 5))
    each = [project_rows_l1(row[None], 1.0)[0] for row in X]
    np.testing.assert_array_equal(project_rows_l1(X, 1.0), each)


@every_seed
def test_groups_of_one_column_are_no_groups_and_names_of_groups_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    X, weights, groups, names = rng.normal(size=(4, 6)), rng.uniform(0.5, 2.0, 6), np.arange(6), rng.permutation(6)
    expected = ColumnBudget(2.0, weights).project(X)
    np.testing.assert_allclose(ColumnBudget(2.0, weights, groups).project(X), expected, rtol=1e-13)
    renamed = ColumnBudget(2.0, weights[np.argsort(names)], names).project(X)
    np.testing.assert_allclose(renamed, expected, rtol=1e-13)


@every_seed
def test_one_group_of_everything_clips(seed):
    X = np.random.default_rng(seed).normal(size=(4, 6))
    P = ColumnBudget(0.5, weights=np.array([2.0]), groups=np.zeros(6, dtype=int)).project(X)
    np.testing.assert_allclose(P, np.clip(X, -0.25, 0.25), rtol=1e-13)


@every_seed
def test_small_budget_drops_whole_columns(seed):
    X = np.random.default_rng(seed).normal(size=(5, 30)) * np.geomspace(1.0, 1e-2, 30)
    P = ColumnBudget(0.3 * ColumnBudget().norm(X)).project(X)
    dropped = ~P.any(axis=0)
    assert 0 < dropped.sum() < 30
    # A column is dropped when its l1 norm is at most the multiplier, which is what each other column loses.
    lost = np.abs(X - P).sum(axis=0)
    assert np.abs(X).sum(axis=0)[dropped].max() <= lost[~dropped].min() * (1 + 1e-12)


@pytest.mark.parametrize("kind", [kind for kind in BALLS if "rows" not in kind])
@every_seed
def test_column_budget_norm_is_the_norm_of_the_set(kind, seed):
    for shape in ((6, 7), (1, 1), (0, 3), (3, 0)):
        ball, X, _ = draw(kind, seed, shape)
        budget = ColumnBudget(1.0, ball.weights, ball.groups)
        assert budget.norm(X) == pytest.approx(ball.norm(X), rel=1e-14)
        n_groups = len(list(ball.parts(X)))
        assert budget.n_groups(shape[1]) == n_groups and budget.weighted_norms(X).shape == (n_groups,)


@pytest.mark.parametrize("radius", [-1.0, -1e-300, np.nan])
def test_radius_below_zero_is_refused(radius):
    with pytest.raises(ValueError, match="radius must be at least 0, got"):
        project_rows_l1(np.ones((2, 2)), radius)
    with pytest.raises(ValueError, match="bound must be at least 0, got"):
        ColumnBudget(radius)


@every_ball
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_comes_back_from_what_is_not_finite(kind, entry):
    # Checking is the caller's; what must not happen is a loop without end.
    ball, X, _ = draw(kind, 0)
    weights = [] if ball.weights is None else [ball.weights]
    for spoilt in (*weights, X):
        spoilt.flat[0] = entry
        with np.errstate(all="ignore"):
            assert ball.project(X, 1.0).shape == X.shape


def test_row_that_is_not_finite_does_not_spoil_the_others():
    X = np.array([[np.nan, 1.0], [3.0, 1.0]])
    np.testing.assert_array_equal(project_rows_l1(X, 1.0)[1], [1.0, 0.0])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("d", [2, 7, 20, 130])
def test_rows_stay_inside_in_any_order_and_among_zeros(seed, d):
    # As for rules side by side, whose A is block diagonal.
    rng = np.random.default_rng(seed)
    P = np.abs(project_rows_l1(rng.normal(size=(300, d)), 0.95))
    np.testing.assert_array_equal(project_rows_l1(P, 0.95), P)
    for _ in range(10):
        wide = np.zeros((300, 5 * d))
        wide[:, rng.choice(5 * d, d, replace=False)] = P[:, rng.permutation(d)]
        assert wide.sum(axis=1).max() <= 0.95


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_with_a_radius_each_are_those_projected_alone(seed, weighted):
    rng = np.random.default_rng(seed)
    A, radii = rng.normal(size=(6, 4)), rng.uniform(0.0, 4.0, 6)
    radii[0] = 0.0
    weights = rng.uniform(0.5, 2.0, A.shape) if weighted else None
    rows = [
        project_rows_l1(A[i : i + 1], radii[i], None if weights is None else weights[i : i + 1])[0] for i in range(6)
    ]
    np.testing.assert_array_equal(project_rows_l1(A, radii, weights), rows)
    with pytest.raises(ValueError, match="radius"):
        project_rows_l1(A, -radii)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
def test_weights_in_units_whose_squares_are_no_numbers(unit):
    rng = np.random.default_rng(0)
    A, weights = rng.normal(size=(6, 4)), rng.uniform(0.5, 2.0, (6, 4))
    expected = project_rows_l1(A, 0.7, weights)
    np.testing.assert_allclose(project_rows_l1(A, 0.7 * unit, weights * unit), expected, rtol=1e-12, atol=1e-15)
    # An entry that nothing can be paid for is zero, and nothing to the others.
    A, weights = np.column_stack([A, np.ones(6)]), np.column_stack([weights, np.full(6, 1e300)])
    expected = np.column_stack([expected, np.zeros(6)])
    np.testing.assert_allclose(project_rows_l1(A, 0.7, weights), expected, rtol=1e-12, atol=1e-15)
