"""What is selected of real sets with a permuted copy of each column beside it, and what a forest makes of it.

Every CSV file of a folder, as in ``bench_real.py``, and diabetes; columns in the units that they come in. "Lost" is the
mean over five folds of the score of a forest on all true columns less that on the kept ones, beside a forest's own
choice, ``SelectFromModel(forest)``.
"""

import argparse
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from bench_real import read
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import KFold, StratifiedKFold

from skimplicit import ImplicitFeatureSelector
from skimplicit.selection.subset_size import RULES


def with_copies(X, seed):
    rng = np.random.default_rng(seed)
    return np.hstack([X, np.column_stack([rng.permutation(column) for column in X.T])])


def compare(X, y, classes, rule):
    """Return columns kept, copies kept, score lost and seconds, of the selector and then of a forest."""
    forest = (RandomForestClassifier if classes else RandomForestRegressor)(random_state=0)
    splitter, n_true, rows = StratifiedKFold if classes else KFold, X.shape[1], []
    for fold, (train, test) in enumerate(splitter(5, shuffle=True, random_state=0).split(X, y)):
        inputs = with_copies(X, fold)
        full = forest.fit(X[train], y[train]).score(X[test], y[test])
        row = []
        for select in (ImplicitFeatureSelector(rule=rule, random_state=fold), SelectFromModel(forest)):
            begin = process_time()
            kept = select.fit(inputs[train], y[train]).get_support()
            seconds = process_time() - begin
            score = forest.fit(inputs[train][:, kept], y[train]).score(inputs[test][:, kept], y[test])
            row += [kept.sum(), kept[n_true:].sum(), full - score, seconds]
        rows.append(row)
    return np.mean(rows, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the CSV files are, at any depth")
    parser.add_argument("--rule", choices=RULES, default="best")
    parser.add_argument("--sets", nargs="*", help="names of sets, of files without their endings")
    arguments = parser.parse_args()
    paths = sorted([*arguments.folder.rglob("*.csv"), *arguments.folder.rglob("*.csv.gz")])
    sets = {path.name.split(".")[0]: lambda path=path: read(path) for path in paths}
    sets["diabetes"] = lambda: (*load_diabetes(return_X_y=True), False)
    print("| data | columns | kept | copies | lost | kept by a forest | copies | lost | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, load in sets.items():
        if arguments.sets and name not in arguments.sets:
            continue
        X, y, classes = load()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets in which there may be nothing to find
            kept, copies, lost, seconds, by_forest, its_copies, its_loss, _ = compare(X, y, classes, arguments.rule)
        print(
            f"| {name} | {X.shape[1]} | {kept:.1f} | {copies:.1f} | {lost:.3f} "
            f"| {by_forest:.1f} | {its_copies:.1f} | {its_loss:.3f} | {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
