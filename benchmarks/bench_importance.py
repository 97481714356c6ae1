"""Rank correlation of ``feature_importances_``, and of the bound ``sensitivity_``, with permutation importance.

Permutation importance is that on held-out rows. A folder of CSV files (``*.csv`` or ``*.csv.gz``, a header, a number as
target in the last column) adds to the sets of ``datasets.py``.
"""

import argparse
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from bench_real import read
from datasets import REGRESSION
from scipy.stats import spearmanr
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

from skimplicit import ImplicitRegressor

warnings.simplefilter("ignore")


def sets(folder):
    """Yield name, inputs and target of the sets with one target."""
    for name, load in REGRESSION.items():
        X, y = load()
        if np.ndim(y) == 1:
            yield name, X, y
    for path in sorted(Path(folder).glob("*.csv*")) if folder else ():
        X, y, classes = read(path)
        if not classes:
            yield path.name.partition(".")[0], X, y


def main(folder, n_rows):
    """Print both correlations for each set, and their means."""
    print("| set | rows x inputs | held-out R2 | importances | bound | s |\n|---|---|---:|---:|---:|---:|")
    found = []
    for name, X, y in sets(folder):
        rows = np.random.default_rng(0).permutation(len(y))[:n_rows]
        X, y = X[rows], y[rows]
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
        begin = process_time()
        model = ImplicitRegressor(random_state=0).fit(X_train, y_train)
        seconds = process_time() - begin
        wanted = permutation_importance(model, X_test, y_test, n_repeats=10, random_state=0).importances_mean
        bound = model.sensitivity_[0] * X_train.std(axis=0)
        found.append([spearmanr(kind, wanted).statistic for kind in (model.feature_importances_, bound)])
        score, size = model.score(X_test, y_test), "{} x {}".format(*X_train.shape)
        print(
            f"| {name} | {size} | {score:.3f} | {found[-1][0]:.2f} | {found[-1][1]:.2f} | {seconds:.1f} |", flush=True
        )
    means = np.mean(found, axis=0)
    print(f"| mean of {len(found)} | | | {means[0]:.2f} | {means[1]:.2f} | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="of CSV files")
    parser.add_argument("--rows", type=int, default=400)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.rows)
