"""How the time of a fit grows with samples m, states n and inputs p, and the memory it takes at its peak.

Every fit is one at a given ridge and runs the same number of iterations on all rows (``tol=0``): by default the
number of ridges depends on the data, and with more than 40,000 rows a fit starts on a sample. Slopes are least squares
in log-log coordinates. Memory is counted in arrays of the size of ``[X U]``, m x (n + p) doubles, beyond the data.
"""

import argparse
import tracemalloc
import warnings
from time import perf_counter

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitRegressor

warnings.simplefilter("ignore", ConvergenceWarning)


def fit(m, n, p, iterations):
    X, y = make_friedman1(m, n_features=p, noise=1.0, random_state=0)
    model = ImplicitRegressor(n_hidden=n, alpha=0.03, max_iter=iterations, tol=0.0, random_state=0)
    begin = perf_counter()
    model.fit(X, y)
    return perf_counter() - begin


def peak(m, n, p, iterations):
    X, y = make_friedman1(m, n_features=p, noise=1.0, random_state=0)
    tracemalloc.start()
    ImplicitRegressor(n_hidden=n, alpha=0.03, max_iter=iterations, tol=0.0, random_state=0).fit(X, y)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (8 * m * (n + p))


def growth(name, sizes, seconds):
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    ratios = ", ".join(f"{s / seconds[0]:.3g}" for s in seconds)
    print(f"| {name} | {', '.join(map(str, sizes))} | {ratios} | {slope:.2f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000])
    arguments = parser.parse_args()
    iterations, samples = arguments.iterations, arguments.samples
    print("| grows | sizes | time, relative to the first | log-log slope |")
    print("|---|---|---|---:|")
    growth("m (n = 20, p = 20)", samples, [fit(m, 20, 20, iterations) for m in samples])
    growth("n (m = 1000, p = 20)", [10, 20, 40, 80], [fit(1000, n, 20, iterations) for n in (10, 20, 40, 80)])
    growth("p (m = 1000, n = 20)", [10, 20, 40, 80], [fit(1000, 20, p, iterations) for p in (10, 20, 40, 80)])
    m = samples[-1]
    print(f"\npeak memory of a fit at m={m}, n=20, p=20: {peak(m, 20, 20, 5):.1f} arrays of the size of [X U]")
