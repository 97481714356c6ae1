"""ImplicitClassifier beside MLPClassifier: 5-fold accuracy, log-loss and time, as ratios measured in one run.

Inputs are standardised inside each fold. Accuracy and log-loss are means over folds and seeds; ratios divide by those
of MLPClassifier with its default parameters (100 hidden units, adam, 200 epochs). Times are processor times. ``rises``
counts iterations, over all fits, at which the objective rose within a stage; ``bound`` is the largest
``||A||_inf - kappa``.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier

SETS = {
    "breast cancer": (load_breast_cancer, {}, 0.972),
    "wine": (load_wine, {}, 0.970),
    "digits": (load_digits, {"n_hidden": 40, "alpha": 0.005, "max_iter": 70}, 0.975),
}


def measure(make_estimator, X, y, seeds):
    """Return means over folds and seeds of accuracy, log-loss and seconds, and the fitted estimators."""
    scores, fitted = [], []
    for seed in seeds:
        for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
            model = make_pipeline(StandardScaler(), make_estimator(seed))
            begin = time.process_time()
            model.fit(X[train], y[train])
            seconds = time.process_time() - begin
            scores.append((model.score(X[test], y[test]), log_loss(y[test], model.predict_proba(X[test])), seconds))
            fitted.append(model[-1])
    return np.mean(scores, axis=0), fitted


def rises(model):
    """Count the rises of the objective within the stages of a fit."""
    history, stages = model.objective_history_, model.objective_stages_
    return int(np.sum((np.diff(history) > 0) & (np.diff(stages) == 0)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    header = "set", "accuracy", "wanted", "mlp", "log-loss", "mlp", "ratio", "seconds", "mlp", "ratio", "rises", "bound"
    print("{:14}{:>9}{:>8}{:>8}{:>10}{:>8}{:>7}{:>9}{:>8}{:>7}{:>7}{:>10}".format(*header))
    for name in options.sets:
        load, params, wanted = SETS[name]
        X, y = load(return_X_y=True)
        seeds = range(options.seeds)
        ours, fitted = measure(lambda seed, params=params: ImplicitClassifier(random_state=seed, **params), X, y, seeds)
        mlp, _ = measure(lambda seed: MLPClassifier(random_state=seed), X, y, seeds)
        risen = sum(rises(model) for model in fitted)
        bound = max(model.rule_.inf_norm - model.kappa for model in fitted)
        print(
            f"{name:14}{ours[0]:9.4f}{wanted:8.3f}{mlp[0]:8.4f}{ours[1]:10.4f}{mlp[1]:8.4f}{ours[1] / mlp[1]:7.2f}"
            f"{ours[2]:9.2f}{mlp[2]:8.2f}{ours[2] / mlp[2]:7.2f}{risen:7d}{bound:10.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
