"""Selection from many correlated inputs: what other models make of what is kept, beside a forest's own choice.

Made sets: 80 rows, 60 causes of which five act, ten inputs for each, correlated .7 with one another; numbers and two
classes, 500 new rows. With FOLDER, its CSV files with more inputs than rows as well, five folds on each of some splits.
Inputs are standardised. "Kept" is their number, "causes" how many of the five that act have an input among them,
"others" how many inputs of no such cause there are. ``python benchmarks/bench_stand_ins.py [FOLDER] --seeds 10``.
"""

import argparse
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from bench_real import read
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from skimplicit import ImplicitFeatureSelector

N_SAMPLES, N_NEW, N_CAUSES, N_ACTING, N_INPUTS, CORRELATION = 80, 500, 60, 5, 10, 0.7


def made_set(seed, classes):
    """Return inputs and targets, and the number of training rows."""
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((N_SAMPLES + N_NEW, N_CAUSES))
    own = rng.standard_normal((len(causes), N_CAUSES * N_INPUTS))
    X = np.sqrt(CORRELATION) * np.repeat(causes, N_INPUTS, axis=1) + np.sqrt(1 - CORRELATION) * own
    y = causes[:, :N_ACTING].sum(axis=1) + 0.5 * rng.standard_normal(len(X))
    return X, (y > 0).astype(int) if classes else y


def forest(classes):
    return (RandomForestClassifier if classes else RandomForestRegressor)(random_state=0)


def judge(selector, X, y, X_new, y_new, classes):
    """Return what is kept, an ndarray of bool, the scores of other models on new rows, and the seconds."""
    scaler = StandardScaler().fit(X)
    X, X_new = scaler.transform(X), scaler.transform(X_new)
    begin = process_time()
    kept = selector.fit(X, y).get_support()
    took = process_time() - begin
    others = [KNeighborsClassifier(), SVC()] if classes else [KNeighborsRegressor(), SVR(C=10.0)]
    scores = [model.fit(X[:, kept], y).score(X_new[:, kept], y_new) for model in (*others, forest(classes))]
    return kept, scores, took


def selectors(classes):
    return ImplicitFeatureSelector(random_state=0), SelectFromModel(forest(classes))


def made_rows(classes, seeds):
    """Yield the figures of the selectors on made sets, the mean over the seeds."""
    for selector in selectors(classes):
        rows = []
        for seed in range(seeds):
            X, y = made_set(seed, classes)
            new = slice(N_SAMPLES, None)
            kept, scores, took = judge(selector, X[:N_SAMPLES], y[:N_SAMPLES], X[new], y[new], classes)
            of_causes = kept.reshape(N_CAUSES, N_INPUTS).sum(axis=1)
            found, others = np.sum(of_causes[:N_ACTING] > 0), of_causes[N_ACTING:].sum()
            rows.append((kept.sum(), found, others, *scores, took))
        yield selector, np.mean(rows, axis=0)


def real_rows(path, seeds):
    """Yield the figures of the selectors on five folds of each of some splits of a file."""
    X, y, classes = read(path)
    splitter = StratifiedKFold if classes else KFold
    for selector in selectors(classes):
        rows = []
        for seed in range(seeds):
            for train, test in splitter(5, shuffle=True, random_state=seed).split(X, y):
                kept, scores, took = judge(selector, X[train], y[train], X[test], y[test], classes)
                rows.append((kept.sum(), np.nan, np.nan, *scores, took))
        yield selector, np.mean(rows, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| data | selector | kept | causes | others | neighbours | SVM | a forest | seconds |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    sets = {"numbers": made_rows(False, arguments.seeds), "two classes": made_rows(True, arguments.seeds)}
    for path in sorted(arguments.folder.rglob("*.csv*")) if arguments.folder else []:
        X, _, _ = read(path)
        if X.shape[1] > X.shape[0]:
            sets[path.name.partition(".")[0]] = real_rows(path, arguments.seeds)
    for name, rows in sets.items():
        for selector, (kept, found, others, *scores, took) in rows:
            figures = " | ".join(f"{score:.3f}" for score in scores)
            print(
                f"| {name} | {type(selector).__name__} | {kept:.1f} | {found:.1f} | {others:.1f} | {figures} "
                f"| {took:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
