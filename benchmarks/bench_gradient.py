"""``method="gradient"`` beside ``method="bcd"``: training objective, error, and time to the same test R2.

``python benchmarks/bench_gradient.py objective synthetic waves rows`` runs the named parts, all of them by default.
Times are CPU seconds. ``--rows`` and ``--seconds`` set the size and the limit of a run of the last part.
"""

import argparse
import warnings
from time import process_time

import numpy as np
from bench_recovery import teacher_data
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import root_mean_squared_error

from skimplicit import ImplicitRegressor
from skimplicit.activations import ACTIVATIONS
from skimplicit.rows import Samples
from skimplicit.subproblems import make_solver
from skimplicit.training import BlockCoordinateDescent, Constraints, SquaredObjective, StochasticGradient, TrainingTask
from skimplicit.training.continuation import continuation, random_weights

SEEDS = range(5)
METHODS = {
    "bcd": dict(method="bcd"),
    "gradient": dict(method="gradient"),
    "gradient, max_iter=1000": dict(method="gradient", max_iter=1000),
    "gradient, sgd, max_iter=1000": dict(method=StochasticGradient(optimiser="sgd"), max_iter=1000),
}


def fit(X, Y, seed, **parameters):
    """Return the fitted model and seconds."""
    begin = process_time()
    model = ImplicitRegressor(random_state=seed, **parameters).fit(X, Y)
    return model, process_time() - begin


def objective():
    """Print the training objective of each method over that of BCD."""
    sets = {
        "friedman1": (lambda seed: make_friedman1(1000, noise=1.0, random_state=seed), dict(n_hidden=20, alpha=0.03)),
        "synthetic": (lambda seed: teacher_data(10, 0.0, seed)[:2], dict(n_hidden=10, alpha=0.03, direct=False)),
    }
    print("| data | method | objective / BCD's: median | of each seed | time / BCD's |")
    print("|---|---|---:|---|---:|")
    for name, (data, parameters) in sets.items():
        unit = None
        for label, method in METHODS.items():
            fits = [fit(*data(seed), seed, **parameters, **method) for seed in SEEDS]
            values = np.array([model.objective_history_[-1] for model, _ in fits])
            seconds = sum(seconds for _, seconds in fits)
            unit = unit or (values, seconds)
            ratios = values / unit[0]
            each = ", ".join(f"{r:.3f}" for r in ratios)
            print(f"| {name} | {label} | {np.median(ratios):.3f} | {each} | {seconds / unit[1]:.2f} |", flush=True)


def synthetic():
    """Print ``||Y - Yhat||_F / ||Y||_F`` on 1000 further outputs of a random rule."""
    data = {seed: teacher_data(10, 0.0, seed, n_samples=1400)[:2] for seed in SEEDS}
    bounds = []
    for _, Y in data.values():
        spectrum = np.linalg.svd(Y[400:] - Y[400:].mean(axis=0), compute_uv=False)
        bounds.append(np.linalg.norm(spectrum[10:]) / np.linalg.norm(Y[400:]))
    print(f"\nbound for any readout of ten states without a direct term: median {np.median(bounds):.3f}")
    print("| method | direct | test error, relative: each seed | median | largest row sum of A | time / BCD's |")
    print("|---|---|---|---:|---:|---:|")
    unit = None
    for direct in (False, True):
        for label, method in METHODS.items():
            errors, norms, total = [], [], 0.0
            for seed, (U, Y) in data.items():
                model, seconds = fit(U[:400], Y[:400], seed, n_hidden=10, alpha=0.03, direct=direct, **method)
                errors.append(np.linalg.norm(Y[400:] - model.predict(U[400:])) / np.linalg.norm(Y[400:]))
                norms.append(model.rule_.inf_norm)
                total += seconds
            unit = unit or total
            each = ", ".join(f"{e:.3f}" for e in errors)
            figures = f"{np.median(errors):.3f} | {max(norms):.3f} | {total / unit:.2f}"
            print(f"| {label} | {direct} | {each} | {figures} |", flush=True)


def waves():
    """Print the error on ``5 cos(pi u) exp(-|u|/2)`` (El Ghaoui et al., section 7.1), without the noise."""

    def curve(u):
        return 5 * np.cos(np.pi * u[:, 0]) * np.exp(-np.abs(u[:, 0]) / 2)

    grid = np.linspace(-5, 5, 1001)[:, None]
    print("\n| method | alpha | clean RMSE: each seed | median | train RMSE, median | time / random's |")
    print("|---|---:|---|---:|---:|---:|")
    # A step size that moves nothing leaves the random A and B; their readout is then solved like any other.
    methods = {
        "random A and B, ridge readout": dict(method=StochasticGradient(learning_rate_init=1e-12), max_iter=1),
        "bcd": dict(method="bcd"),
        "gradient": dict(method=StochasticGradient(batch_size=50), max_iter=500),
    }
    unit = None
    for alpha in (1e-6, 1e-5, 1e-4, 1e-3):
        for label, method in methods.items():
            clean, train, total = [], [], 0.0
            for seed in SEEDS:
                rng = np.random.RandomState(seed)
                U = rng.uniform(-5, 5, size=(200, 1))
                y = curve(U) + rng.uniform(-1, 1, size=200)
                model, seconds = fit(U, y, seed, n_hidden=75, kappa=0.5, alpha=alpha, **method)
                clean.append(root_mean_squared_error(curve(grid), model.predict(grid)))
                train.append(root_mean_squared_error(y, model.predict(U)))
                total += seconds
            unit = unit or total
            each = ", ".join(f"{e:.2f}" for e in clean)
            print(
                f"| {label} | {alpha:g} | {each} | {np.median(clean):.3f} | {np.median(train):.3f} |"
                f" {total / unit:.0f} |",
                flush=True,
            )


def rows(m, seconds, n_hidden, alpha=0.003):
    """Print when each method reaches a test R2."""
    X, y = make_friedman1(m + 5000, n_features=20, noise=1.0, random_state=0)
    objective = SquaredObjective(Samples(X[:m], y[:m, None]), ACTIVATIONS["relu"], True)
    task = TrainingTask(objective, Constraints(0.95), make_solver("auto", False), random_state=0)
    courses = {}
    for name, method in {"bcd": BlockCoordinateDescent(), "gradient": StochasticGradient()}.items():
        W, b = random_weights(n_hidden, objective.samples, task.constraints, np.random.RandomState(0))
        course, begin, away = [], process_time(), [0.0]

        def watch(iteration, course=course, begin=begin, away=away):
            now = process_time()
            rule = objective.rule(iteration.evaluation.point)
            r2 = 1 - np.mean((rule.predict(X[m:])[:, 0] - y[m:]) ** 2) / np.var(y[m:])
            course.append((now - begin - away[0], r2, iteration.evaluation.objective))
            away[0] += process_time() - now  # the watching does not count
            return course[-1][0] > seconds

        method.train(task, continuation(alpha, None, 200, 1e-5, method.raises_alpha), W, b, watch)
        courses[name] = np.array(course)
    tops = {name: course[:, 1].max() for name, course in courses.items()}
    print(f"\nm={m}, n={n_hidden}: highest test R2 within {seconds:g} s: {tops}")
    print("| test R2 | seconds of bcd | of gradient | bcd / gradient |")
    print("|---:|---:|---:|---:|")
    for level in (0.8, 0.9, 0.93, 0.94, 0.945, 0.95, 0.953, 0.955, 0.956, 0.957):
        times = [course[course[:, 1] >= level, 0].min(initial=np.inf) for course in courses.values()]
        ratio = f"{times[0] / times[1]:.2g}" if np.isfinite(times).any() else "-"
        print(f"| {level} | {times[0]:.1f} | {times[1]:.1f} | {ratio} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["objective", "synthetic", "waves", "rows"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=200.0)
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part == "rows":
            rows(arguments.rows, arguments.seconds, arguments.hidden)
        else:
            {"objective": objective, "synthetic": synthetic, "waves": waves}[part]()
