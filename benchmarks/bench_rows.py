"""Many rows: time, peak memory and R2 of a fit from 10^4 rows on, by threads, from a memory map, and on a cluster.

friedman1 with 20 inputs and noise 1. Every fit runs in a process of its own, one at a time. Memory is the most that is
allocated (pages of files aside) beyond what there was before the fit, also in arrays of the size of the states [X],
m x 20 doubles. Seconds of the processor are those of all threads. With ``--cluster``, the data are Dask arrays in
chunks of 10^5 rows, made on a LocalCluster of that many workers with one thread each; seconds of the processor and
memory are then those of this process alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitRegressor
from skimplicit.activations import ACTIVATIONS
from skimplicit.rows import Samples
from skimplicit.training import BlockCoordinateDescent, Constraints, SquaredObjective, Stage, TrainingTask
from skimplicit.training.continuation import random_weights

N_TEST, CHUNK = 50_000, 100_000


class AllRows:
    """30 iterations on all rows at a ridge of 1e-3, from random weights, as before there was another way."""

    def fit(self, X, y):
        """Train, without a choice of the ridge."""
        samples = Samples(X, y[:, None])
        objective, constraints = SquaredObjective(samples, ACTIVATIONS["relu"], True), Constraints(0.95)
        start = random_weights(20, samples, constraints, np.random.RandomState(0))
        task = TrainingTask(objective, constraints)
        result = BlockCoordinateDescent().train(task, [Stage(1e-3, None, 30, 0.0)], *start)
        self.rule_ = objective.rule(result.evaluation.point)
        return self

    def score(self, X, y):
        """Return R2."""
        return 1 - np.mean((self.rule_.predict(X).ravel() - y) ** 2) / y.var()


MODELS = {
    "skimplicit": lambda: ImplicitRegressor(random_state=0),
    "skimplicit, n_jobs=2": lambda: ImplicitRegressor(random_state=0, n_jobs=2),
    "30 iterations on all rows": AllRows,
    "HistGradientBoosting": lambda: HistGradientBoostingRegressor(random_state=0),
    "MLP (100)": lambda: make_pipeline(StandardScaler(), MLPRegressor(early_stopping=True, random_state=0)),
    "SGD": lambda: make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
}


def allocated():
    """Return the bytes that this process has allocated, pages of files aside (Linux)."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def write_map(path, m):
    """Write m rows to a file, a part at a time, and return their targets."""
    X, y = np.memmap(path, dtype=np.float64, mode="w+", shape=(m, 20)), []
    for first in range(0, m, CHUNK):
        part = make_friedman1(min(CHUNK, m - first), n_features=20, noise=1.0, random_state=first)
        X[first : first + len(part[0])] = part[0]
        y.append(part[1])
    return np.concatenate(y)


def measured(model, X, y):
    """Fit and return seconds by the clock and of the processor, and the most bytes allocated."""
    before, most, done = allocated(), [0], threading.Event()

    def watch():
        while not done.wait(0.01):
            most[0] = max(most[0], allocated())

    watcher = threading.Thread(target=watch)
    watcher.start()
    clock, processor = time.perf_counter(), time.process_time()
    try:
        model.fit(X, y)
    finally:
        seconds = time.perf_counter() - clock, time.process_time() - processor
        done.set()
        watcher.join()
    return *seconds, max(most[0] - before, 0)


def on_workers(m):
    """Make m rows on the workers of the active cluster, chunk by chunk, and return them as Dask arrays."""
    import dask
    import dask.array as da
    from distributed import wait

    X, y = [], []
    for first in range(0, m, CHUNK):
        size = min(CHUNK, m - first)
        both = dask.delayed(make_friedman1)(size, n_features=20, noise=1.0, random_state=first)
        X.append(da.from_delayed(both[0], (size, 20), float))
        y.append(da.from_delayed(both[1], (size,), float))
    arrays = dask.persist(da.concatenate(X), da.concatenate(y))
    wait(arrays)
    return arrays


def one_fit(name, m, from_map, workers):
    warnings.simplefilter("ignore", ConvergenceWarning)
    X_test, y_test = make_friedman1(N_TEST, n_features=20, noise=1.0, random_state=2**31 - 1)
    model = MODELS[name]()
    if workers:
        from distributed import Client, LocalCluster

        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
            figures = measured(model, *on_workers(m))
    elif from_map:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "X")
            y = write_map(path, m)
            figures = measured(model, np.memmap(path, dtype=np.float64, mode="r", shape=(m, 20)), y)
    else:
        figures = measured(model, *make_friedman1(m, n_features=20, noise=1.0, random_state=0))
    clock, processor, memory = figures
    where = f", {workers} workers" * bool(workers) + ", memory map" * from_map
    print(
        f"| {m:.0e} | {name}{where} | {clock:.1f} | {processor:.1f} | {memory / 1e6:.0f} | {memory / (160 * m):.1f} | "
        f"{model.score(X_test, y_test):.4f} |",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e4, 1e5, 1e6])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--map", action="store_true", help="read the rows from a memory map")
    parser.add_argument("--cluster", type=int, default=0, help="workers of a LocalCluster")
    parser.add_argument("--here", action="store_true", help="in this process; one model and number of rows")
    arguments = parser.parse_args()
    if arguments.here:
        one_fit(arguments.models[0], int(arguments.rows[0]), arguments.map, arguments.cluster)
        sys.exit()
    print("| rows | model | seconds | of the processor | MB | [X] | R2 |\n|---|---|---|---|---|---|---|", flush=True)
    for m in arguments.rows:
        for name in arguments.models:
            options = ["--rows", str(m), "--models", name, "--cluster", str(arguments.cluster)]
            options += ["--map"] * arguments.map
            subprocess.run([sys.executable, __file__, "--here", *options], check=True)
