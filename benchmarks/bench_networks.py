"""Predicting with a converted network against the network itself, both in one run.

Prints, for multilayer perceptrons of scikit-learn on 10^4 rows, the median time of ``predict`` of the network and of
its rule, and their ratio.
"""

import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skimplicit.networks import from_sklearn

N_ROWS, N_INPUTS, WIDTH, N_REPEATS = 10_000, 64, 100, 15


def fitted(n_layers, activation, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(200, N_INPUTS))
    sizes = (WIDTH,) * n_layers
    model = MLPRegressor(
        hidden_layer_sizes=sizes, activation=activation, max_iter=2, early_stopping=True, random_state=seed
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return model.fit(U, rng.normal(size=200))


def median_times(functions):
    times = np.array([[timed(function) for function in functions] for _ in range(N_REPEATS)])
    return np.median(times, axis=0)


def timed(function):
    start = perf_counter()
    function()
    return perf_counter() - start


def main():
    U = np.random.default_rng(1).normal(size=(N_ROWS, N_INPUTS))
    print(f"{N_ROWS} rows, {N_INPUTS} inputs, {WIDTH} units in each layer, median of {N_REPEATS} runs")
    print(f"{'activation':>10} {'layers':>6} {'network':>10} {'rule':>10} {'ratio':>6} {'difference':>10}")
    for activation in ("relu", "tanh"):
        for n_layers in (1, 3, 6):
            model = fitted(n_layers, activation)
            rule = from_sklearn(model)
            difference = np.abs(rule.predict(U)[:, 0] - model.predict(U)).max()
            network, converted = median_times([lambda m=model: m.predict(U), lambda r=rule: r.predict(U)])
            print(
                f"{activation:>10} {n_layers:>6} {network * 1e3:>7.1f} ms {converted * 1e3:>7.1f} ms "
                f"{converted / network:>6.2f} {difference:>10.0e}"
            )


if __name__ == "__main__":
    main()
