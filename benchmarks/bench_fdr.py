"""Share of wrong inputs and power of ``ImplicitFeatureSelector(fdr=)`` on made sets, beside the default selector.

500 rows, 50 Gaussian inputs of which 15 act, each alone, by a line, a kink, a corner or a wave, and noise as large as
one of them. ``python benchmarks/bench_fdr.py --replicates 50 --without 5``.
"""

import argparse
import warnings
from time import process_time

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor

N_SAMPLES, N_INPUTS, N_TRUE = 500, 50, 15
KINDS = ("independent", "neighbours .5", "all pairs .5")
SHAPES = (lambda u: u, lambda u: 1.5 * np.abs(u), lambda u: 1.5 * np.maximum(u, 0.0), lambda u: 1.3 * np.sin(2.0 * u))


def correlation(kind):
    """Return the correlation of the inputs."""
    distance = np.abs(np.subtract.outer(np.arange(N_INPUTS), np.arange(N_INPUTS)))
    return {
        "independent": np.eye(N_INPUTS),
        "neighbours .5": 0.5**distance,
        "all pairs .5": np.where(distance == 0, 1.0, 0.5),
    }[kind]


def made_set(kind, seed):
    """Return inputs, targets and the mask of the inputs that act."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_SAMPLES, N_INPUTS)) @ np.linalg.cholesky(correlation(kind)).T
    true = rng.permutation(N_INPUTS)[:N_TRUE]
    effects = [rng.choice([-1, 1]) * SHAPES[i % len(SHAPES)](X[:, j]) for i, j in enumerate(true)]
    return X, np.sum(effects, axis=0) + rng.standard_normal(N_SAMPLES), np.isin(np.arange(N_INPUTS), true)


def measured(selector, X, y, true):
    """Return the share of wrong inputs among the selected, the share of true ones that are selected, and the time."""
    begin = process_time()
    support = selector.fit(StandardScaler().fit_transform(X), y).support_
    return np.mean(~true[support]) if support.any() else 0.0, support[true].mean(), process_time() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--without", type=int, default=5, help="replicates of the default selector, which takes longer")
    parser.add_argument("--fdr", type=float, default=0.1)
    parser.add_argument("--inputs", nargs="*", default=KINDS, choices=KINDS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    # The refit is not what is measured.
    rule = ImplicitRegressor(alpha=0.03, max_iter=5)
    print("| inputs | selector | replicates | wrong share, mean (standard error) | power | seconds |")
    print("|---|---|---:|---:|---:|---:|")
    for kind in arguments.inputs:
        for name, number, parameters in (
            (f"fdr={arguments.fdr}", arguments.replicates, {"estimator": rule, "fdr": arguments.fdr}),
            ("default", arguments.without, {}),
        ):
            rows = [
                measured(ImplicitFeatureSelector(random_state=seed, **parameters), *made_set(kind, seed))
                for seed in range(number)
            ]
            if rows:
                wrong, power, seconds = np.array(rows).T
                error = wrong.std() / np.sqrt(number)
                print(
                    f"| {kind} | {name} | {number} | {wrong.mean():.3f} ({error:.3f}) | {power.mean():.2f} "
                    f"| {np.median(seconds):.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
