"""``predict``: 1e5 rows against the bare matrix products of their sweeps, and one row against a rule never used."""

import warnings
from dataclasses import replace
from time import process_time

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitRegressor, ImplicitRule

warnings.simplefilter("ignore", ConvergenceWarning)


def best_of(function, times=3):
    seconds = []
    for _ in range(times):
        begin = process_time()
        function()
        seconds.append(process_time() - begin)
    return min(seconds)


def one_row(n, activation, times=50):
    """Return how much longer the first ``predict`` of a rule takes than the next."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(n, n))
    A *= 0.9 / np.abs(A).sum(axis=1, keepdims=True)
    rule = ImplicitRule(A, rng.normal(size=(n, 10)), rng.normal(size=(1, n)), activation=activation)
    u, unused = rng.normal(size=(1, 10)), iter([replace(rule) for _ in range(times)])
    first = best_of(lambda: next(unused).predict(u), times)
    rule.predict(u)
    return first / best_of(lambda: rule.predict(u), times)


if __name__ == "__main__":
    X, y = make_friedman1(1000, n_features=20, noise=1.0, random_state=0)
    U = make_friedman1(100_000, n_features=20, random_state=1)[0]
    print("| alpha | norm of A | sweeps a row, mean | predict / its matrix products |")
    print("|---:|---:|---:|---:|")
    for alpha in (1e-3, 0.03):
        model = ImplicitRegressor(alpha=alpha, max_iter=60, random_state=0).fit(X, y)
        rule = model.rule_
        sweeps = rule.solve(U).n_iter
        states = rule.states(U)

        def products(rule=rule, sweeps=sweeps, states=states):
            # Rows that need k sweeps take part in k products, in blocks that fit the cache as a careful loop has them.
            U @ rule.B.T
            remaining = states[np.argsort(-sweeps)]
            out = np.empty_like(remaining)
            for k in range(1, sweeps.max() + 1):
                count = int(np.count_nonzero(sweeps >= k))
                np.matmul(remaining[:count], rule.A.T, out=out[:count])
            states @ rule.C.T + U @ rule.D.T

        ratio = best_of(lambda: model.predict(U)) / best_of(products)  # noqa: B023
        print(f"| {alpha:g} | {rule.inf_norm:.3f} | {sweeps.mean():.1f} | {ratio:.2f} |", flush=True)
    print("\n| n | activation | one row: first predict / next |")
    print("|---:|---|---:|")
    for n in (20, 200):
        for activation in ("relu", "tanh"):
            print(f"| {n} | {activation} | {one_row(n, activation):.1f} |", flush=True)
