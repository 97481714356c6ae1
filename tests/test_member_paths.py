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
