"""Lifted training beside block coordinate descent: score, true objective and time, as ratios measured in one run.

Digits: mean accuracy over 5 folds, inputs standardised inside each fold, 50 states in one layer. Synthetic: R2 on the
training set of a random rule (400 samples, 10 active inputs of 50, 100 outputs, 20 states, norm 0.5) for 10 states
without a direct term, at the true equilibrium. J is the true objective of the rule that is stored, at the same ridge
for both methods: by default each would choose its own. A line for each seed, everything else at its default. Times are
processor times. ``bound`` is the mean of ``||A||_inf - kappa``.
"""

import argparse
import time
import warnings

import numpy as np
from bench_recovery import teacher_data
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor


def fitted(model, X, y):
    """Return the fitted model, its true objective, processor seconds and how far A is outside its bound."""
    begin = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - begin
    return model, (model.objective_history_[-1], seconds, model.rule_.inf_norm - model.kappa)


def digits(method, seed):
    """Return mean accuracy over the folds, and the means of the other figures."""
    X, y = load_digits(return_X_y=True)
    rows = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        scaler = StandardScaler().fit(X[train])
        model = ImplicitClassifier(n_hidden=50, structure=[50], alpha=0.02, method=method, random_state=seed)
        model, figures = fitted(model, scaler.transform(X[train]), y[train])
        rows.append((model.score(scaler.transform(X[test]), y[test]), *figures))
    return np.mean(rows, axis=0)


def synthetic(method, seed):
    """Return R2 and the other figures."""
    U, Y, _ = teacher_data(10, 0.0, seed)
    model = ImplicitRegressor(n_hidden=10, direct=False, alpha=0.03, method=method, random_state=seed)
    model, figures = fitted(model, U, Y)
    return r2_score(Y, model.predict(U), multioutput="variance_weighted"), *figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=["digits", "synthetic"], choices=["digits", "synthetic"])
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    header = "set", "seed", "score", "bcd", "J", "bcd", "ratio", "seconds", "bcd", "ratio", "bound"
    print("{:10}{:>5}{:>8}{:>8}{:>9}{:>9}{:>7}{:>9}{:>7}{:>7}{:>10}".format(*header))
    for name in options.sets:
        measure = {"digits": digits, "synthetic": synthetic}[name]
        for seed in range(options.seeds):
            ours, bcd = measure("lifted", seed), measure("bcd", seed)
            print(
                f"{name:10}{seed:5d}{ours[0]:8.4f}{bcd[0]:8.4f}{ours[1]:9.4f}{bcd[1]:9.4f}{ours[1] / bcd[1]:7.3f}"
                f"{ours[2]:9.2f}{bcd[2]:7.2f}{ours[2] / bcd[2]:7.2f}{ours[3]:10.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
