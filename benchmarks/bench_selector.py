"""The default feature selector on Friedman 1 with 40 inputs of noise: what it selects, R2 of its refit, and its time.

Five folds of each data set, inputs standardised. Times are processor times, as multiples of one fit of
``MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs")`` on the same fold; the path is compared with a dense fit.
"""

import argparse
from time import process_time

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, implicit_path


def seconds(fit):
    begin = process_time()
    fit()
    return process_time() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2)
    print("| data | folds with exactly the true inputs | R2, mean (least) | selector / MLP | path / dense fit |")
    print("|---:|---:|---:|---:|---:|")
    for seed in range(parser.parse_args().sets):
        X, y = make_friedman1(1000, n_features=50, noise=1.0, random_state=seed)
        rows = []
        for train, test in KFold(5, shuffle=True, random_state=0).split(X):
            scaler = StandardScaler().fit(X[train])
            U, v = scaler.transform(X[train]), y[train]
            unit = seconds(
                lambda U=U, v=v: MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", random_state=0).fit(U, v)
            )
            dense = seconds(lambda U=U, v=v: ImplicitRegressor(direct=False, random_state=0).fit(U, v))
            path = seconds(lambda U=U, v=v: implicit_path(U, v, random_state=0))
            selector = ImplicitFeatureSelector(random_state=0)
            took = seconds(lambda s=selector, U=U, v=v: s.fit(U, v))
            exact = selector.get_support(indices=True).tolist() == [0, 1, 2, 3, 4]
            rows.append((exact, selector.score(scaler.transform(X[test]), y[test]), took / unit, path / dense))
        exact, r2, ratio, path = np.array(rows).T
        print(
            f"| {seed} | {int(exact.sum())} of 5 | {r2.mean():.3f} ({r2.min():.3f}) | {np.median(ratio):.0f} "
            f"| {np.median(path):.2g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
