"""The order of the states makes any matrix block triangular."""

import numpy as np
import pytest

from skimplicit import ImplicitRule
from skimplicit.composition import average
from skimplicit.equilibrium import Substitution
from skimplicit.linalg import block_triangular_order, loops_apart, strong_components, to_dense

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_make_any_matrix_block_triangular(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(25, 25)) * (rng.uniform(size=(25, 25)) < 0.06)
    order = block_triangular_order(A)
    sequence = np.concatenate([block.states for block in order])
    assert sorted(sequence) == list(range(25))
    first = 0
    for block in order:
        assert np.all(np.diff(block.states) > 0)
        assert not np.any(A[np.ix_(block.states, sequence[first + block.states.size :])])
        assert block.implicit == bool(np.any(A[np.ix_(block.states, block.states)]))
        first += block.states.size
    assert block_triangular_order(np.zeros((0, 0))) == []


def test_states_of_a_group_are_in_the_same_part():
    A = np.zeros((6, 6))
    A[1, 2] = A[3, 0] = 0.5  # no loop of states, but one of the groups
    A[4, 4] = 0.5
    groups = np.array([0, 0, 1, 1, 2, 2])
    parts = [sorted(part.tolist()) for part in strong_components(A, np.arange(6), groups)]
    assert sorted(parts) == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize(("size", "count"), [(20, 10), (1, 150), (70, 3), (200, 1)])
def test_loops_of_averaged_rules_are_solved_in_small_blocks(size, count):
    rng = np.random.default_rng(size)
    rules = [
        ImplicitRule(
            A=rng.uniform(0.1, 0.9, size=(size, size)) / size, B=rng.normal(size=(size, 3)), C=np.ones((1, size))
        )
        for _ in range(count)
    ]
    mean, U = average(*rules), rng.normal(size=(5, 3))
    A = to_dense(mean.A)
    order = block_triangular_order(A)
    blocks = loops_apart(order, A)
    assert len(order) == 1
    assert np.array_equal(np.sort(np.concatenate([block.states for block in blocks])), np.arange(size * count))
    assert all(block.implicit and block.level == 0 and np.all(np.diff(block.states) > 0) for block in blocks)
    assert max(prepared.block.states.size for prepared in Substitution(mean).blocks) <= max(size, 128)
    assert np.count_nonzero(A) == sum(np.count_nonzero(A[np.ix_(block.states, block.states)]) for block in blocks)
    np.testing.assert_allclose(mean.predict(U), np.mean([rule.predict(U) for rule in rules], axis=0), rtol=1e-9)
    assert mean.solve(U).converged.all()
