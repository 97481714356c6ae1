"""``predict``: 1e5 rows against bare matrix products; one row of a rule never used; averages beside their members."""

import warnings
from dataclasses import replace
from time import process_time

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.composition import average

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
    rule = random_rule(n, activation, rng)
    u, unused = rng.normal(size=(1, 10)), iter([replace(rule) for _ in range(times)])
    first = best_of(lambda: next(unused).predict(u), times)
    rule.predict(u)
    return first / best_of(lambda: rule.predict(u), times)


def random_rule(n, activation, rng):
    """Return a contractive rule of n states and 10 inputs."""
    A = rng.normal(size=(n, n))
    A *= 0.9 / np.abs(A).sum(axis=1, keepdims=True)
    return ImplicitRule(A, rng.normal(size=(n, 10)), rng.normal(size=(1, n)), activation=activation)


def of_members(count, n, activation, rows):
    """Return the time of the average of some rules over that of all of them one by one."""
    rng = np.random.default_rng(0)
    members, U = [random_rule(n, activation, rng) for _ in range(count)], rng.normal(size=(rows, 10))
    mean = average(*members)
    return best_of(lambda: mean.predict(U), 5) / best_of(lambda: [rule.predict(U) for rule in members], 5)


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
    print("\n| members | n | activation | predict / that of the members one by one: 10,000 rows | one row |")
    print("|---:|---:|---|---:|---:|")
    for count, n in ((5, 20), (10, 20), (30, 20), (5, 50)):
        for activation in ("relu", "tanh"):
            ratios = (of_members(count, n, activation, rows) for rows in (10_000, 1))
            print(f"| {count} | {n} | {activation} |", *(f"{ratio:.2f} |" for ratio in ratios), flush=True)
