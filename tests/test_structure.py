"""The ``structure`` parameter: a mask or layer sizes, with errors that name what is wrong."""

import numpy as np
import pytest

from skimplicit.estimators.structure import check_structure


def test_none_is_no_restriction():
    assert check_structure(None, 4) is None


def test_mask_is_taken_as_it_is():
    mask = np.triu(np.ones((3, 3), dtype=bool))
    np.testing.assert_array_equal(check_structure(mask, 3), mask)
    np.testing.assert_array_equal(check_structure(mask.tolist(), 3), mask)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [1, 1, 3], [3, 1, 1], (2, 3), np.array([2, 3])], ids=str)
def test_layers_are_a_feedforward_network(sizes):
    mask = check_structure(sizes, 5)
    assert not np.tril(mask).any()
    assert mask.sum() == sum(int(a) * int(b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
    # The longest path through the states has as many steps as there are layers: A^L = 0, A^(L-1) is not.
    depth = len(sizes)
    power = np.linalg.matrix_power(mask.astype(int), depth - 1)
    assert power.any() and not (power @ mask).any()
    # Last layer on top.
    assert mask[: int(sizes[-1])].any() or depth == 1


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ([2, 2], "add up to n_hidden=5"),
        ([2, -2, 5], "positive layer sizes"),
        ([5.0], "positive layer sizes"),
        ([True] * 5, "positive layer sizes"),
        (["a"], "positive layer sizes"),
        ([], "add up to n_hidden=5"),
        (np.ones((4, 5), dtype=bool), r"shape \(5, 5\)"),
        (np.ones((5, 5)), "boolean"),
        (np.ones((5, 5, 5), dtype=bool), r"shape \(5, 5\)"),
    ],
)
def test_error(structure, message):
    with pytest.raises(ValueError, match=message):
        check_structure(structure, 5)
