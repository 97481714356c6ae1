"""Constants that decide where training ends, each at other values: what they do to the objective or to a path.

Every row changes one constant, everything else as it is. Of fits: the objective and the iterations over those with the
value in use, geometric means over data sets and starts (in brackets the best and the worst). Of paths: in how many the
true inputs of Friedman 1 lead the ranking.
"""

import argparse
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from time import process_time

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman3

from skimplicit import ImplicitRegressor, implicit_path

FITS = {
    "training.continuation": {
        "_FIRST_ALPHA": (1e-4, 1e-2),
        "_ALPHA_FACTOR": (2.0, 10.0, np.inf),
        "_EARLY_SHARE": (0.3, 0.8),
        "_EARLY_TOL": (1e-2, 1e-4),
    },
    "training.descent": {"TOL_SHARE": (0.01, 1.0), "_PATIENCE": (1, 6)},
    "training.curvature_descent": {"_DAMPING": (1e-5, 1e-1), "_LESS": (0.1, 0.7), "_MORE": (2.0, 20.0)},
}
BUDGETS = {"training.continuation": {"_BUDGET_FACTOR": (0.36, 0.8), "_DENSE_SHARE": (0.2, 0.6)}}
PATHS = {
    "selection.budget_path": {
        "_DENSE_ITER": (15, 60),
        "_BUDGET_ITER": (2, 10),
        "_END_SHARE": (0.005, 0.1),
    }
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
    """Return for each path the true inputs among the first five, and its processor time, shape (n_paths, 2)."""
    found = []
    for seed in range(seeds):
        X, y = make_friedman1(320, n_features=25, noise=1.0, random_state=seed)
        begin = process_time()
        path = implicit_path(X, y, n_hidden=10, random_state=seed)
        found.append((np.sum(np.argsort(-path.shares)[:5] < 5), process_time() - begin))
    return np.array(found)


def rows(constants, measure):
    """Yield name, value in use, another value, and what is measured with the one and with the other."""
    reference = measure()
    for module, values in constants.items():
        for name, others in values.items():
            for value in others:
                with changed(module, name, value) as before:
                    yield name, before, value, reference, measure()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    print("| constant | in use | here | objective (best, worst) | iterations |\n|---|---:|---:|---:|---:|")
    for constants, parameters in ((FITS, {"alpha": 0.1}), (BUDGETS, {"alpha": 0.01, "column_budget": 1.0})):
        for name, before, value, reference, other in rows(constants, partial(fits, seeds, **parameters)):
            ratio = other / reference
            objective, iterations = np.exp(np.mean(np.log(ratio), axis=0))
            least, most = ratio[:, 0].min(), ratio[:, 0].max()
            print(
                f"| `{name}` | {before:g} | {value:g} | {objective:.3f} ({least:.3f}, {most:.3f}) | {iterations:.2f} |",
                flush=True,
            )
    print("\n| constant | in use | here | paths led by the true inputs | time |\n|---|---:|---:|---:|---:|")
    for name, before, value, reference, other in rows(PATHS, partial(paths, 2 * seeds)):
        led = [f"{np.sum(found[:, 0] == 5)} of {len(found)}" for found in (other, reference)]
        time = other[:, 1].sum() / reference[:, 1].sum()
        print(f"| `{name}` | {before:g} | {value:g} | {led[0]} (in use: {led[1]}) | {time:.2f} |", flush=True)


if __name__ == "__main__":
    main()
