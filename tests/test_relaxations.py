"""Ranges and lines hold on the whole of an interval, and any multipliers of a program prove what they say."""

from itertools import pairwise

import numpy as np
import pytest

from skimplicit import ImplicitRule
from skimplicit.activations import ACTIVATIONS, Activation, BlockActivation, GroupActivation, leaky_relu
from skimplicit.robustness import relaxations
from skimplicit.robustness.linear_program import LinearRelaxation
from skimplicit.robustness.propagation import Propagation
from skimplicit.robustness.relaxations import activation_range, chord_facets
from skimplicit.robustness.semidefinite import SemidefiniteRelaxation
from skimplicit.robustness.uncertainty import InputSet

CUSTOM = Activation("own", np.sin, lambda Z, X: np.cos(Z), -1.0, 1.0)
PHIS = [*ACTIVATIONS.values(), leaky_relu(0.3), CUSTOM]


def triple(Z):
    return 3.0 * Z


def intervals():
    """Return narrow and wide intervals, (40,) and (40,), and points of each, the ends and 0 among them, (40, k)."""
    rng = np.random.default_rng(0)
    low = rng.uniform(-6.0, 4.0, size=40)
    high = low + 10.0 ** rng.uniform(-3.0, 1.0, size=40)
    points = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 4001)
    points = np.column_stack([points, np.clip(0.0, low, high)])
    return low, high, np.clip(points, low[:, None], high[:, None])


@pytest.mark.parametrize("phi", PHIS, ids=str)
def test_ranges_hold_and_are_reached(phi):
    low, high, points = intervals()
    (lower,), (upper,) = activation_range(phi, low[None], high[None])
    least, largest = phi(points).min(axis=1), phi(points).max(axis=1)
    assert np.all(lower <= least) and np.all(upper >= largest)
    if phi is not CUSTOM:  # of which only slopes are known
        np.testing.assert_allclose([lower, upper], [least, largest], atol=1e-5)


@pytest.mark.parametrize("phi", PHIS, ids=str)
def test_lines_hold_on_the_graph(phi):
    low, high, points = intervals()
    facets, values = chord_facets(phi, low, high), phi(points)
    lines = facets.slope[:, :, None] * points[:, None, :]
    assert facets.use_low.any(axis=1).all() and facets.use_high.any(axis=1).all()
    assert np.all(lines + facets.low[:, :, None] <= values[:, None, :])
    assert np.all(lines + facets.high[:, :, None] >= values[:, None, :])


@pytest.mark.parametrize("phi", ACTIVATIONS.values(), ids=str)
def test_slopes_are_monotone_between_turning_points(phi):
    turns = [-9.0, *relaxations._TURNS[phi.name], 9.0]
    for first, last in pairwise(turns):
        points = np.linspace(first, last, 2001)[1:-1]
        steps = np.diff(phi.derivative(points, phi(points)) + 0.0)
        assert np.all(steps >= -1e-14) or np.all(steps <= 1e-14)


def test_ranges_of_groups_with_a_slope_above_one():
    phi = BlockActivation([(GroupActivation("triple", triple, 2, 3.0), 4)])
    lower, upper = activation_range(phi, np.array([[-1.0, 0.0, 1.0, 2.0]]), np.array([[1.0, 0.5, 1.0, 4.0]]))
    assert np.all(lower <= [[-3.0, 0.0, 3.0, 6.0]]) and np.all(upper >= [[3.0, 1.5, 3.0, 12.0]])


def relaxed(kind, n_changed):
    """Return a small rule of relu, a set of inputs around one row, and its program."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3))
    rule = ImplicitRule(0.8 * A / np.abs(A).sum(axis=1).max(), rng.normal(size=(3, 2)), np.eye(3), b=rng.normal(size=3))
    inputs = InputSet.around(rng.normal(size=(1, 2)), np.array([0.5, 1.0]), n_changed)
    propagation = Propagation(rule)
    start = propagation.by_sensitivity(inputs, propagation.centre(inputs))
    return rule, inputs, kind(rule, inputs, propagation.by_intervals(inputs, start, solve_loops=True))


@pytest.mark.parametrize("n_changed", [None, 1])
@pytest.mark.parametrize("kind", [LinearRelaxation, SemidefiniteRelaxation])
def test_any_multipliers_prove_a_bound(kind, n_changed):
    rule, inputs, program = relaxed(kind, n_changed)
    rng = np.random.default_rng(1)
    V = np.vstack([inputs.sample(rng) for _ in range(200)])
    points = np.hstack([V - inputs.base, rule.states(V)])
    for scale in (0.0, 1e-3, 1e-1, 1.0, 10.0):
        weights = rng.normal(size=5)
        if kind is LinearRelaxation:
            cost = np.concatenate([-weights, np.zeros(program.lower.size - 5)])
            below, equal = (scale * rng.normal(size=M.shape[0]) for M in (program.below, program.equal))
            bound = -program._dual_bound(cost, below, equal)
        else:
            form = np.concatenate([[weights @ program.centre], weights * program.radius])
            objective = (np.outer(form, np.eye(6)[0]) + np.outer(np.eye(6)[0], form)) / 2
            bound = program._dual_bound(objective, scale * rng.normal(size=len(program._matrices)))
        assert bound >= (points @ weights).max()


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_semidefinite_program_of_a_single_change_reaches_both_inputs(end):
    rule = ImplicitRule([[0.0]], [[1.0, 0.1]], [[1.0]], b=[5.0])
    inputs = InputSet.around(np.full((1, 2), end), np.full(2, 0.5), 1, (np.zeros(2), np.ones(2)))
    propagation = Propagation(rule)
    start = propagation.by_sensitivity(inputs, propagation.centre(inputs))
    program = SemidefiniteRelaxation(rule, inputs, propagation.by_intervals(inputs, start, solve_loops=True))
    sign = 1.0 - 2.0 * end  # inwards
    assert program.maximum(np.zeros(2), np.array([sign])) >= sign * rule.states([[0.5, end]])[0, 0]
