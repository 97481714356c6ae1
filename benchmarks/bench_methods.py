"""The training methods and a multilayer perceptron on a regression and a classification problem, from real use.

For each: the true objective, the score on a quarter of the rows held out (R2, accuracy) and the processor time of a fit
as a multiple of the perceptron's. Means over seeds, which draw the split and the starting weights.
"""

import argparse
import warnings
from time import process_time

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor

METHODS = ("bcd", "gradient", "lifted")
SETS = {
    "friedman1": (lambda: make_friedman1(1000, noise=1.0, random_state=0), ImplicitRegressor, dict(alpha=0.01)),
    "diabetes": (lambda: load_diabetes(return_X_y=True), ImplicitRegressor, dict(alpha=0.1)),
    "digits": (lambda: load_digits(return_X_y=True), ImplicitClassifier, dict(n_hidden=50, alpha=0.002, kappa=0.5)),
}


def perceptron(estimator, seed):
    """Return what scikit-learn users would try first."""
    if estimator is ImplicitClassifier:
        return MLPClassifier(random_state=seed)
    return MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", random_state=seed)


def measure(model, X, y, seeds):
    """Return means over seeds of objective, held-out score and seconds of ``model(seed)``."""
    rows = []
    for seed in seeds:
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        pipeline = make_pipeline(StandardScaler(), model(seed))
        begin = process_time()
        pipeline.fit(X_train, y_train)
        seconds = process_time() - begin
        objective = getattr(pipeline[-1], "objective_history_", [np.nan])[-1]
        rows.append((objective, pipeline.score(X_test, y_test), seconds))
    return np.mean(rows, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore")  # of convergence: the iterations allowed are part of what is compared
    print("| data | method | objective | held-out score | time / perceptron's |")
    print("|---|---|---:|---:|---:|")
    for name, (load, estimator, parameters) in SETS.items():
        X, y = load()
        _, score, unit = measure(lambda seed, e=estimator: perceptron(e, seed), X, y, seeds)
        print(f"| {name} | perceptron | | {score:.3f} | 1 |")
        for method in METHODS:

            def model(seed, estimator=estimator, parameters=parameters, method=method):
                return estimator(method=method, random_state=seed, **parameters)

            objective, score, seconds = measure(model, X, y, seeds)
            print(f"| {name} | {method} | {objective:.4g} | {score:.3f} | {seconds / unit:.2g} |", flush=True)


if __name__ == "__main__":
    main()
