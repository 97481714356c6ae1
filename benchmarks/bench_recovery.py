"""How often the default selector finds exactly the inputs of a random rule, and how alike the column norms are.

Teacher: 20 hidden features, 50 inputs of which some are active, 100 outputs, 400 samples. Student: 10 hidden features.
``python benchmarks/bench_recovery.py [number of teachers]``; a line for each run that misses the set, then a table.
"""

import sys
import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule

N_HIDDEN, N_INPUTS, N_OUTPUTS, N_SAMPLES, INF_NORM = 20, 50, 100, 400, 0.5


def teacher_data(n_active, noise, seed, n_samples=N_SAMPLES):
    """Return inputs, noisy targets and the column norms of a random rule with ``n_active`` inputs."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((N_HIDDEN, N_HIDDEN))
    A *= INF_NORM / np.abs(A).sum(axis=1).max()
    B = np.zeros((N_HIDDEN, N_INPUTS))
    B[:, rng.choice(N_INPUTS, n_active, replace=False)] = rng.standard_normal((N_HIDDEN, n_active))
    rule = ImplicitRule(A, B, rng.standard_normal((N_OUTPUTS, N_HIDDEN)))
    U = rng.standard_normal((n_samples, N_INPUTS))
    Y = rule.predict(U)
    Y += noise * Y.std() * rng.standard_normal(Y.shape)
    return U, Y, np.abs(B).max(axis=0)


def main(n_seeds=10):
    """Print what went wrong, and the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    table = []
    for n_active in (5, 10, 15):
        for noise in (0.0, 0.1):
            hits, correlations, times = [], [], []
            for seed in range(n_seeds):
                U, Y, true_norms = teacher_data(n_active, noise, seed)
                start = perf_counter()
                selector = ImplicitFeatureSelector(estimator=ImplicitRegressor(n_hidden=10), random_state=0).fit(U, Y)
                times.append(perf_counter() - start)
                found, true = set(np.flatnonzero(selector.support_)), set(np.flatnonzero(true_norms))
                hits.append(found == true)
                best = np.flatnonzero(selector.column_budgets_ == selector.best_budget_)[0]
                correlations.append(np.corrcoef(selector.column_norms_[best], true_norms)[0, 1])
                if found != true:
                    results = selector.cv_results_
                    print(f"active={n_active} noise={noise:.0%} seed={seed}: {len(found)} found")
                    print(f"  missed {sorted(map(int, true - found))}, false {sorted(map(int, found - true))}")
                    print(f"  sizes {results['n_features'].tolist()}")
                    print(f"  scores {results['mean_test_score'].round(4).tolist()}")
                    print(f"  std {results['std_test_score'].round(4).tolist()}", flush=True)
            table.append((n_active, noise, np.mean(hits), min(correlations), np.mean(correlations), np.mean(times)))
            print(
                "active={} noise={:.0%} exact={:.0%} corr min={:.3f} mean={:.3f} {:.1f} s".format(*table[-1]),
                flush=True,
            )
    print("\nactive  noise  exact set  correlation of column norms (least, mean)  seconds a selector")
    for n_active, noise, exact, least, mean, seconds in table:
        print(f"{n_active:6d}  {noise:5.0%}  {exact:9.0%}  {least:10.3f} {mean:6.3f}  {seconds:10.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
