"""The order of the states makes any matrix block triangular."""

import numpy as np
import pytest

from skimplicit.linalg import block_triangular_order

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
