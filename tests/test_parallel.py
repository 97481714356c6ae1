"""Calls side by side see what the thread that calls ``fit`` has set."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context, get_config

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, ImplicitRegressorCV

X = np.random.default_rng(0).normal(size=(30, 3))
y = np.abs(X[:, 0]) + X[:, 1]
SMALL = {"n_hidden": 2, "max_iter": 2, "random_state": 0}


class Recorder(ImplicitRegressor):
    """Writes down what is configured where a member or a fold is trained."""

    seen = []

    def _open_bridge(self, *arguments):
        bridge = super()._open_bridge(*arguments)
        report = bridge.over

        def over(objective):
            reported = report(objective)

            def recorded(iteration):
                self.seen.append(get_config()["assume_finite"])
                return reported(iteration)

            return recorded

        bridge.over = over
        return bridge


class RecorderCV(ImplicitRegressorCV):
    """Trains recorders in the folds."""

    _fixed_alpha_class = Recorder


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        Recorder(**SMALL, n_members=2, alpha=0.1, n_jobs=2),
        Recorder(**SMALL, n_members=2, n_jobs=2),
        RecorderCV(**SMALL, n_jobs=2, cv=2, alphas=[0.1]),
        ImplicitFeatureSelector(Recorder(**SMALL), random_state=0, n_jobs=2, cv=2, n_features_to_select=2),
    ],
    ids=["ridge", "auto", "cv", "selector"],
)
def test_the_configuration_of_scikit_learn_holds_side_by_side(estimator):
    Recorder.seen.clear()
    with parallel_config("threading"), config_context(assume_finite=True):
        estimator.fit(X, y)
    assert Recorder.seen and all(Recorder.seen)
    assert not get_config()["assume_finite"]
