"""Distilling a perceptron for digits: sparsity, residual, drift, iterations and accuracy over penalty and structure.

The teacher is an MLPClassifier 64-30-20-10; 1078 images train it and are what it is distilled on, 719 test both. Each
line is the mean over splits and teachers; the last columns are the difference of test accuracy, rule minus teacher:
mean, smallest, largest.
"""

import argparse
import warnings
from time import process_time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skimplicit.distill import distill

VARIANTS = [
    {},
    {"refit": False},
    {"structure": "no_self_loops"},
    {"structure": None},
    {"structure": None, "regenerate": False},
]


def problem(seed):
    U, y = load_digits(return_X_y=True)
    U_train, U_test, y_train, y_test = train_test_split(U / 16, y, test_size=719, random_state=seed)
    teacher = MLPClassifier(hidden_layer_sizes=(30, 20), max_iter=400, random_state=seed)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        teacher.fit(U_train, y_train)
    return teacher, U_train, U_test, y_test


def row(teacher, U_train, U_test, y_test, options):
    start = process_time()
    result = distill(teacher, U_train, **options)
    seconds = process_time() - start
    rule = result.rule
    assert rule.inf_norm <= 0.95
    accuracy = np.mean(np.argmax(rule.predict(U_test), axis=1) == y_test)
    same = np.mean(np.argmax(rule.predict(U_train), axis=1) == teacher.predict(U_train))
    numbers = 1 - result.sparsity, result.relative_residual, result.relative_drift
    bound = result.drift_bound.sum() / max(result.drift.sum(), 1e-300)
    return *numbers, bound, result.n_iter, seconds, same, accuracy - teacher.score(U_test, y_test)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--l1", type=float, nargs="+", default=[0.0, 0.01, 0.02, 0.05, 0.1])
    arguments = parser.parse_args()
    problems = [problem(seed) for seed in range(arguments.seeds)]
    print("test accuracy of the teachers:", *(round(p[0].score(*p[2:]), 4) for p in problems))
    print(
        "| structure | refit | readout on | l1 | non-zeros | rel. residual | rel. drift | bound / drift | iterations | "
        "seconds | same class (training) | accuracy - teacher: mean | least | most |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for variant in VARIANTS:
        for l1 in arguments.l1:
            if l1 == 0 and not variant.get("refit", True):
                continue
            table = np.array([row(*p, {"l1": l1, **variant}) for p in problems])
            nonzeros, residual, drift, bound, iterations, seconds, same, gain = table.mean(axis=0)
            print(
                f"| {variant.get('structure', 'teacher') or 'free'} | {variant.get('refit', True)} "
                f"| {'rule' if variant.get('regenerate', True) else 'teacher'} states | {l1} | {nonzeros:.3f} "
                f"| {residual:.2g} | {drift:.2g} | {bound:.1f} | {iterations:.0f} | {seconds:.2f} | {same:.4f} "
                f"| {gain:+.4f} | {table[:, -1].min():+.4f} | {table[:, -1].max():+.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
