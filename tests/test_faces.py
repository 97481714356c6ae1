"""What the exchange of faces returns is a minimum over balls and signs, told by the gap of Frank and Wolfe."""

import numpy as np
import pytest

from skimplicit.subproblems.faces import FaceProgram, minimise_on_faces
from skimplicit.subproblems.quadratic_forms import MatrixForm

ROWS = np.array([0, 0, 0, 1, 1, 1, 2, 2])


def least_on_the_set(program, slope):
    """Return the least ``slope . v`` over the set: in each ball a vertex, or zero."""
    forbidden = program.signs * slope > 0
    along = np.where(forbidden, 0.0, np.abs(slope)) / program.weights
    strongest = np.zeros(program.radii.size)
    np.maximum.at(strongest, program.rows, along)
    return -strongest @ program.radii


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("with_signs", [False, True])
@pytest.mark.parametrize("radius", [0.3, 3.0, 1e3])
def test_minimum_over_balls_and_signs(radius, with_signs, seed):
    rng = np.random.default_rng(seed)
    root, k = rng.normal(size=(12, ROWS.size)), ROWS.size
    Q, linear, weights = root.T @ root / 12 + 0.1 * np.eye(k), rng.normal(size=k), rng.uniform(0.3, 3.0, size=k)
    signs = rng.integers(-1, 2, size=k) if with_signs else None
    program = FaceProgram(MatrixForm(Q), linear, ROWS, radius * np.array([1.0, 0.5, 2.0]), weights, signs)
    start = program.project(5.0 * rng.normal(size=k))
    solutions = [minimise_on_faces(program, first) for first in (start, np.zeros(k))]
    assert any(found is not None for found in solutions)
    for x in (start, *solutions):
        if x is not None:
            assert np.all(program.sizes(x) <= program.radii * (1 + 1e-9)) and np.all(program.signs * x >= 0)
    for x in solutions:
        if x is not None:
            slope = Q @ x + linear
            assert slope @ x - least_on_the_set(program, slope) <= 1e-7 * (1 + radius)


def test_nearest_point_in_a_metric():
    program = FaceProgram(None, np.zeros(3), np.zeros(3, dtype=int), np.array([1.0]), np.array([1.0, 2.0, 0.5]))
    metric, x = np.array([1.0, 3.0, 0.2]), np.array([2.0, -1.0, 1.0])
    found = program.project(x, metric=metric)
    assert program.sizes(found)[0] == pytest.approx(1.0)
    pull = metric**2 * (x - found)  # the normal of the ball times a multiplier where it is not 0
    assert pull @ found - np.max(np.abs(pull) / program.weights) == pytest.approx(0.0, abs=1e-12)
