"""Schedules: they lead from a loose problem to the wanted one, within the iterations they are given."""

from types import SimpleNamespace

import numpy as np
import pytest

from skimplicit.projections import ColumnBudget
from skimplicit.rows import Samples
from skimplicit.subproblems import RowSet
from skimplicit.training import Constraints, Stage
from skimplicit.training.continuation import (
    alpha_schedule,
    budget_schedule,
    continuation,
    last_budget,
    random_weights,
)

every_length = pytest.mark.parametrize("max_iter", [1, 2, 7, 50, 200, 1000])


@every_length
@pytest.mark.parametrize("alpha", [0.0, 1e-5, 1e-3, 2e-3, 0.03, 1.0, 100.0])
def test_alpha_rises_to_the_wanted_one(alpha, max_iter):
    stages = alpha_schedule(alpha, max_iter, 1e-5)
    alphas = [stage.alpha for stage in stages]
    assert alphas[-1] == alpha
    assert np.all(np.diff(alphas) > 0)
    assert sum(stage.max_iter for stage in stages) == max_iter
    assert all(stage.max_iter >= 1 and stage.column_budget is None for stage in stages)
    assert stages[-1].tol == 1e-5
    assert all(stage.tol >= 1e-5 for stage in stages)
    if alpha <= 1e-3:
        assert len(stages) == 1
    elif max_iter >= 50:
        assert alphas[0] == pytest.approx(1e-3)
        assert np.max(np.divide(alphas[1:], alphas[:-1])) <= 3.2 * (1 + 1e-9)


@every_length
@pytest.mark.parametrize("used", [0.0, 0.5, 1.0, 3.0, 1e4])
def test_budget_falls_to_the_wanted_one(used, max_iter):
    stages = budget_schedule(0.1, used, ColumnBudget(1.0), max_iter, 1e-5)
    budgets = [stage.column_budget.bound for stage in stages]
    assert budgets[-1] == 1.0
    assert np.all(np.diff(budgets) < 0)
    assert sum(stage.max_iter for stage in stages) == max_iter
    assert all(stage.alpha == 0.1 and stage.max_iter >= 1 for stage in stages)
    if used <= 1.0:
        assert len(stages) == 1
    elif max_iter >= 200:
        steps = np.divide(budgets, [used, *budgets[:-1]])
        assert steps.min() >= 0.6 * (1 - 1e-9)


def test_a_loose_tolerance_holds_for_every_stage():
    assert all(stage.tol == 0.1 for stage in alpha_schedule(1.0, 100, 0.1))


def test_without_a_budget_only_alpha_moves():
    assert continuation(0.5, None, 100, 1e-4) == alpha_schedule(0.5, 100, 1e-4)


@every_length
def test_budget_follows_alpha_and_starts_where_the_dense_rule_is(max_iter):
    budget = ColumnBudget(0.1, np.array([1.0, 2.0, 0.5]))
    if max_iter == 1:  # nothing is left for the way: the wanted problem alone
        assert continuation(0.5, budget, 1, 1e-4) == [Stage(0.5, budget, 1, 1e-4)]
        return
    *dense, tighten = continuation(0.5, budget, max_iter, 1e-4)
    assert all(isinstance(stage, Stage) and stage.column_budget is None for stage in dense)
    assert dense[-1].alpha == 0.5
    W = np.random.default_rng(0).normal(size=(4, 7))
    tight = tighten(SimpleNamespace(point=SimpleNamespace(W=W, b=np.zeros(4))))
    assert tight[-1].column_budget is budget and tight[-1].alpha == 0.5
    assert all(stage.column_budget.weights is budget.weights for stage in tight)
    assert tight[0].column_budget.bound <= max(budget.norm(W[:, 4:]), 0.1)
    assert sum(stage.max_iter for stage in [*dense, *tight]) <= max(max_iter, 2)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("centre", [True, False])
def test_random_weights(kappa, masked, centre):
    mask = np.random.default_rng(0).random((6, 6)) < 0.4 if masked else None
    samples, constraints = Samples(np.eye(3), np.eye(3), centre=centre), Constraints(kappa, structure=mask)
    W, b = random_weights(6, samples, constraints, np.random.RandomState(0))
    again = random_weights(6, samples, constraints, np.random.RandomState(0))
    assert b.all() == b.any() == centre
    assert W.shape == (6, 9) and b.shape == (6,)
    assert np.abs(W[:, :6]).sum(axis=1).max() <= 0.5 * kappa
    assert not masked or not W[:, :6][~mask].any()
    np.testing.assert_array_equal(W, again[0])
    np.testing.assert_array_equal(b, again[1])


def test_random_weights_of_one_sign_are_turned_to_it_and_none_is_lost():
    signs = np.tile([0.0, 0.0, 0.0, 1.0, -1.0, 0.0], (3, 1))
    samples, constraints = Samples(np.eye(3), np.eye(3)), Constraints(0.9, row_set=RowSet(signs))
    W, _ = random_weights(3, samples, constraints, np.random.RandomState(0))
    free, _ = random_weights(3, samples, Constraints(0.9), np.random.RandomState(0))
    np.testing.assert_array_equal(W, np.where(signs == 0, free, signs * np.abs(free)))


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_last_budget_leaves_states_that_explain_little(share):
    rng, alpha, budget = np.random.default_rng(0), 0.3, ColumnBudget(1.0)
    X, Y, W = rng.normal(size=(50, 4)) * [3.0, 1.0, 0.3, 0.1], rng.normal(size=(50, 2)), rng.normal(size=(4, 7))
    moments = SimpleNamespace(XX=X.T @ X / 50, XY=X.T @ Y / 50)
    evaluation = SimpleNamespace(moments=moments, alpha=alpha, point=SimpleNamespace(W=W, b=np.zeros(4)))

    def explained(size):  # by the ridge readout of states of this size
        C = np.linalg.solve(size**2 * moments.XX + alpha * np.eye(4), size * moments.XY)
        return np.sum(C * size * moments.XY)

    size = last_budget(evaluation, budget, share) / np.abs(W[:, 4:]).max(axis=0).max()
    assert explained(size) >= share * explained(1.0) > explained(0.95 * size)
