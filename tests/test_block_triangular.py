"""The order of the states makes any matrix block triangular."""

import numpy as np
import pytest

from skimplicit.linalg import block_triangular_order, strong_components

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
