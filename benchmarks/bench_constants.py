"""Constants that decide where training ends, each at other values: what they do to the objective or to a path.

Every row changes one constant, everything else as it is. Of fits: the objective and the iterations over those with the
value in use, geometric means over data sets and starts (in brackets the best and the worst). Of paths: how far
the true inputs of Friedman 1 stand out, the least share of one of them in the budget over the largest of an input of
noise, over the same with the value in use.
"""

import argparse
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from time import process_time

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman3

from skimplicit import ImplicitRegressor, implicit_path
from skimplicit.training import BlockCoordinateDescent

FITS = {
    "training.continuation": {
        "_FIRST_ALPHA": (1e-4, 1e-2),
        "_ALPHA_FACTOR": (2.0, 10.0, np.inf),
        "_EARLY_SHARE": (0.3, 0.8),
        "_EARLY_TOL": (1e-2, 1e-4),
        "_START_A": (0.1, 1.0),
        "_START_B": (0.2, 1.0),
        "_START_INTERCEPT": (0.1, 0.5),
    },
    "training.curvature_descent": {
        "TOL_SHARE": (0.01, 1.0),
        "_DAMPING": (1e-5, 1e-1),
        "_LESS": (0.03, 0.3),
        "_LARGER": (1.2, 5.0),
        "_MORE": (2.0, 20.0),
        "ENTRIES_PER_ROW": (4, 12),
    },
}
MATCHING = {"training.descent": {"TOL_SHARE": (0.01, 1.0), "_PATIENCE": (1, 6)}}
BUDGETS = {"training.continuation": {"_BUDGET_FACTOR": (0.36, 0.8), "_DENSE_SHARE": (0.2, 0.6)}}
PATHS = {
    "selection.budget_path": {
        "_DENSE_ITER": (15, 60),
        "_BUDGET_ITER": (2, 10),
    },
    "training.continuation": {"_END_SHARE": (0.005, 0.1)},
}


def data_sets():
    return {
        "friedman1": make_friedman1(400, noise=1.0, random_state=0),
        "friedman3": make_friedman3(400, noise=0.1, random_state=0),
        "diabetes": load_diabetes(return_X_y=True),
    }


@contextmanager
def changed(module, name, value):
    """Set a constant of a module of the package for a while."""
    module = import_module(f"skimplicit.{module}")
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield before
    finally:
        setattr(module, name, before)


def fits(seeds, **parameters):
    """Return objective and iterations of each fit, shape (n_fits, 2)."""
    models = [
        ImplicitRegressor(n_hidden=8, random_state=seed, **parameters).fit((X - X.mean(axis=0)) / X.std(axis=0), y)
        for X, y in data_sets().values()
        for seed in range(seeds)
    ]
    return np.array([(model.objective_history_[-1], model.n_iter_) for model in models])


def paths(seeds):
    """Return for each path how far the true inputs stand out, and its processor time, shape (n_paths, 2)."""
    found = []
    for seed in range(seeds):
        X, y = make_friedman1(320, n_features=25, noise=1.0, random_state=seed)
        begin = process_time()
        shares = implicit_path(X, y, n_hidden=10, random_state=seed).shares
        found.append((shares[:5].min() / shares[5:].max(), process_time() - begin))
    return np.array(found)


def rows(constants, measure):
    """Yield name, value in use, another value, and what is measured with the one and with the other."""
    reference = measure()
    for module, values in constants.items():
        for name, others in values.items():
            for value in others:
                with changed(module, name, value) as before:
                    yield name, before, value, reference, measure()


def compare(constants, measure):
    """Print for each value of each constant what is measured over that with the value in use."""
    for name, before, value, reference, other in rows(constants, measure):
        ratio = other / reference
        first, second = np.exp(np.mean(np.log(ratio), axis=0))
        least, most = ratio[:, 0].min(), ratio[:, 0].max()
        print(
            f"| `{name}` | {before:g} | {value:g} | {first:.3f} ({least:.3f}, {most:.3f}) | {second:.2f} |", flush=True
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    print("| constant | in use | here | objective (best, worst) | iterations |\n|---|---:|---:|---:|---:|")
    compare(FITS, partial(fits, seeds, alpha=0.1))
    compare(MATCHING, partial(fits, seeds, alpha=0.1, method=BlockCoordinateDescent(block="matching")))
    compare(BUDGETS, partial(fits, seeds, alpha=0.01, column_budget=1.0))
    print("\n| constant | in use | here | margin (least, most) | time |\n|---|---:|---:|---:|---:|")
    compare(PATHS, partial(paths, seeds))


if __name__ == "__main__":
    main()
