"""Where the path of a member along rising ridges ends."""

from types import SimpleNamespace

import numpy as np
import pytest

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators import cross_fitting
from skimplicit.estimators.cross_fitting import STRIDE, Member, ridge_of
from skimplicit.estimators.fold_paths import Fold
from skimplicit.training import BlockCoordinateDescent

pytestmark = pytest.mark.slow
SILENT = SimpleNamespace(over=lambda objective: None)
TEST = np.arange(0, 120, 4)
FOLD = Fold(np.setdiff1d(np.arange(120), TEST), TEST, 0)


def risen(seed, of_classes=False):
    """Return a member at the end of its path, on clean data: large ridges are far too large."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 3))
    y = np.abs(2 * X[:, 0]) + X[:, 1] * (X[:, 2] > 0) + 0.05 * rng.normal(size=120)
    y = y > np.median(y) if of_classes else y
    model = (ImplicitClassifier if of_classes else ImplicitRegressor)(n_hidden=5)
    model._check_choices()
    member = Member(model, BlockCoordinateDescent(), X, model._encode(X, y, None), FOLD)
    member.rise(SILENT)
    return member


def losses_of(member):
    return np.array([member.loss(kept[TEST], TEST) for kept in member.path.predictions])


def worse_by_the_readout(member):
    """Return by how much the last ridge of a path is worse than the best one before, the states as they were there."""
    point, alpha = member.path.points[-2], ridge_of(member.path.rungs[-1])
    end = member.task.objective.evaluate(point.W, point.b, alpha, tol=1e-9)
    return member.loss(member.predict(end.point)[TEST], TEST) / losses_of(member)[:-1].min()


@pytest.mark.parametrize("of_classes", [False, True])
def test_no_iteration_at_a_ridge_that_the_readout_alone_shows_to_be_too_large(of_classes, monkeypatch):
    ended = []
    for seed in range(4):
        monkeypatch.undo()
        member = risen(seed, of_classes)
        path, losses = member.path, losses_of(member)
        assert np.all(np.diff(path.rungs) == STRIDE) and len(path.points) == len(path.rungs)
        ended.append(np.array_equal(path.points[-1].W, path.points[-2].W))
        assert ended[-1] == (worse_by_the_readout(member) > 1.15)
        # Trained there all the same, the path is the same before, and no better there.
        monkeypatch.setattr(cross_fitting, "_WORSE_UNTRAINED", np.inf)
        trained = risen(seed, of_classes)
        assert (trained.path.n_iter > path.n_iter) == ended[-1] and trained.path.rungs[-1] >= path.rungs[-1]
        np.testing.assert_array_equal(losses_of(trained)[: losses.size - 1], losses[:-1])
        assert losses_of(trained)[losses.size - 1] > 1.02 * losses.min()
    assert any(ended)


class Scripted(Member):
    """A member whose losses, from ridge to ridge, are given; no ridge is shown to be too large before it is tried."""

    def predict(self, point, rows=None):
        """Return an empty prediction of some rows: those of all are judged at each ridge, others before it is tried."""
        return np.full(self.targets.Y.shape, np.nan) if rows is None else np.zeros((rows.size, 1))

    def loss(self, predictions, rows=slice(None)):
        return next(self.script) if np.isnan(predictions).all() else 0.0


def scripted(m, losses):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(m, 2)), rng.normal(size=m)
    model = ImplicitRegressor(n_hidden=3, max_iter=1)
    model._check_choices()
    fold = Fold(np.arange(m // 2), np.arange(m // 2, m), 0)
    member = Scripted(model, BlockCoordinateDescent(), X, model._encode(X, y, None), fold)
    member.script = iter(losses)
    return member


def test_a_way_up_goes_on_past_a_rise_at_small_ridges_alone():
    def ends(*losses):
        member = scripted(80, losses)
        member.rise(SILENT)
        return member.path.rungs[-1]

    assert ends(1.0, 1.2, 1.2, 1.03) == -2  # up to .1 it may rise by a fifth and fall again
    assert ends(1.0, 1.2, 0.9, 0.91, 0.95) == 0
    assert ends(1.0, 1.31) == -6


@pytest.mark.parametrize(("m", "last"), [(12, -10), (80, -14)])
def test_a_way_down_of_few_rows_ends_where_little_is_gained(m, last):
    member = scripted(m, [1.0, 1.31])
    member.rise(SILENT)
    member.script = iter([1.0, 0.9995, 0.9991, 1.1])
    member.fall(SILENT)
    assert member.path.rungs[0] == last
