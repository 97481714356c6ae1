"""Whether ``simplify`` finds the kind of the rule that made the data: its depth, skips between layers, feedback."""

import argparse
import warnings
from time import process_time

import numpy as np

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.distill import ArchitectureReport, simplify

warnings.simplefilter("ignore")
N_INPUTS, WIDTH = 4, 3
# Layers, whether an input also feeds the last of them, and whether states need one another.
TEACHERS = {
    "depth 1": (1, False, False),
    "depth 2": (2, False, False),
    "depth 3": (3, False, False),
    "depth 2, skip": (2, True, False),
    "feedback": (1, False, True),
}


def teacher(kind, rng):
    """Return a rule of the kind, its states of about the same size in all layers."""
    depth, skip, feedback = TEACHERS[kind]
    n = WIDTH * depth
    layer = np.repeat(np.arange(depth), WIDTH)
    A = rng.normal(size=(n, n)) * (layer[:, None] == layer + 1)
    if feedback:
        A = rng.normal(size=(n, n))
        A *= 0.9 / np.abs(A).sum(axis=1, keepdims=True)
    B = rng.normal(size=(n, N_INPUTS)) * (layer == 0)[:, None]
    if skip:
        B[layer == depth - 1, 0] = 2.0 * rng.choice([-1.0, 1.0], size=WIDTH)
    C = rng.normal(size=(1, n)) * (layer == depth - 1)
    return ImplicitRule(A, B, C, b=rng.normal(size=n), activation="tanh")


def main(n_rows, n_teachers, noise, tolerance):
    """Print for each kind what was found, and the scores."""
    print("| teacher | start | found | R2: fitted | simplified | feedback right | depth right too | s |")
    print("|---|---|---|---:|---:|---|---|---:|")
    for kind, (depth, _, feedback) in TEACHERS.items():
        for seed in range(n_teachers):
            rng = np.random.default_rng(seed)
            rule = teacher(kind, rng)
            X = rng.normal(size=(n_rows + 2000, N_INPUTS))
            y = rule.predict(X).ravel()
            y = (y - y.mean()) / y.std()
            noisy = y + noise * rng.normal(size=y.size)
            begin = process_time()
            model = ImplicitRegressor(
                n_hidden=3 * WIDTH, activation="tanh", alpha=1e-3, direct=False, max_iter=40, random_state=0
            ).fit(X[:n_rows], noisy[:n_rows])
            result = simplify(model, X[:n_rows], noisy[:n_rows], tolerance=tolerance, random_state=0)
            seconds = process_time() - begin
            scores = [found.score(X[n_rows:], y[n_rows:]) for found in (model, result.estimator)]
            report = result.after
            same = report.is_feedforward != feedback
            print(
                f"| {kind} | {ArchitectureReport.of(model.rule_).n_weights} weights | {report} "
                f"| {scores[0]:.3f} | {scores[1]:.3f} | {same} | {same and (feedback or report.depth == depth)} "
                f"| {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--teachers", type=int, default=3)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--tolerance", type=float, default=0.003)
    arguments = parser.parse_args()
    main(arguments.rows, arguments.teachers, arguments.noise, arguments.tolerance)
