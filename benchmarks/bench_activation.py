"""The default ReLU beside tanh, and the one with the better ``heldout_score_``, on the CSV files of a folder.

R2, or accuracy and log-loss, in the mean of five folds as in ``bench_real.py`` and of the seeds; seconds of the
processor for a fit.
"""

import argparse
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from bench_real import read
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold

from skimplicit import ImplicitClassifier, ImplicitRegressor

ACTIVATIONS = ("relu", "tanh")


def measure(X, y, train, test, classes, seed):
    """Return score, log-loss (NaN for numbers) and seconds of each activation, and of the better one."""
    kind, held_out, rows = ImplicitClassifier if classes else ImplicitRegressor, [], []
    for activation in ACTIVATIONS:
        begin = process_time()
        model = kind(activation=activation, random_state=seed).fit(X[train], y[train])
        took = process_time() - begin
        loss = log_loss(y[test], model.predict_proba(X[test]), labels=model.classes_) if classes else np.nan
        held_out.append(model.heldout_score_)
        rows.append((model.score(X[test], y[test]), loss, took))
    better = rows[int(np.argmax(held_out))]
    return [*rows, (*better[:2], sum(row[2] for row in rows))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="*", help="names of files, without their endings")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    paths = sorted(arguments.folder.rglob("*.csv*"))
    sets = {path.name.partition(".")[0]: read(path) for path in paths}
    sets["diabetes"] = (*load_diabetes(return_X_y=True), False)
    print("| data | rows | relu | tanh | the better | log-loss: relu | tanh | the better | seconds: relu | tanh |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, (X, y, classes) in sets.items():
        if arguments.sets and name not in arguments.sets:
            continue
        folds = (StratifiedKFold if classes else KFold)(5, shuffle=True, random_state=0)
        splits = [(*fold, seed) for fold in folds.split(X, y) for seed in range(arguments.seeds)]
        figures = np.mean([measure(X, y, train, test, classes, seed) for train, test, seed in splits], axis=0)
        scores, losses, seconds = figures.T
        shown = [*(f"{score:.4f}" for score in scores), *("" if np.isnan(loss) else f"{loss:.3f}" for loss in losses)]
        print(f"| {name} | {len(y)} | {' | '.join(shown)} | {seconds[0]:.1f} | {seconds[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
