"""Selection from many more inputs than rows: how many of the six that act are found, and how many others.

200 rows, inputs Gaussian, or neighbours correlated. Three inputs act by a line, three by ``|x|``, without a linear
trace, and noise is a fifth of a line. ``python benchmarks/bench_wide.py --seeds 3``; seconds are of the processor, for
one fit of the default selector, and the memory is the peak of the whole process.
"""

import argparse
import resource
import warnings
from time import process_time

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitFeatureSelector

N_SAMPLES, N_NEW = 200, 1000
# Name: number of inputs, correlation of neighbours, whether four of five entries are zeros of a CSR matrix.
SETS = {
    "1,000": (1000, 0.0, False),
    "1,000, neighbours .8": (1000, 0.8, False),
    "1,000, neighbours .95": (1000, 0.95, False),
    "20,000": (20_000, 0.0, False),
    "20,000, CSR": (20_000, 0.0, True),
}


def made_set(n_inputs, correlation, as_csr, seed):
    """Return inputs, targets and the inputs that act."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_SAMPLES + N_NEW, n_inputs))
    true = rng.choice(n_inputs, 6, replace=False)
    for j in range(1, n_inputs if correlation else 0):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    if as_csr:
        X *= (rng.uniform(size=X.shape) < 0.2) | np.isin(np.arange(n_inputs), true)
    Z = X[:, true]
    y = 2 * (Z[:, 0] - Z[:, 1] + Z[:, 2]) + 2.5 * np.abs(Z[:, 3:]).sum(axis=1) + 0.4 * rng.standard_normal(len(X))
    return (sparse.csr_array(X) if as_csr else X), y, true


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| inputs | lines found, of 3 | |x| found, of 3 | others | R2 on new rows | seconds | MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, parameters in SETS.items():
        rows = []
        for seed in range(arguments.seeds):
            X, y, true = made_set(*parameters, seed)
            begin = process_time()
            selector = ImplicitFeatureSelector(random_state=0).fit(X[:N_SAMPLES], y[:N_SAMPLES])
            took, found = process_time() - begin, selector.get_support(indices=True)
            score = selector.score(X[N_SAMPLES:], y[N_SAMPLES:])
            rows.append((np.isin(true[:3], found).sum(), np.isin(true[3:], found).sum(), len(found), score, took))
        lines, bent, number, score, took = np.mean(rows, axis=0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {name} | {lines:.1f} | {bent:.1f} | {number - lines - bent:.1f} | {score:.3f} | {took:.1f} "
            f"| {peak:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
