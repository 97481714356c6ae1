"""Bounds and attacks: soundness on random rules, tightness on classifiers, and cost beside ``predict``."""

import argparse
import warnings
from time import perf_counter, process_time

import numpy as np
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRule
from skimplicit.activations import ACTIVATIONS, BlockActivation, max_pool, softmax
from skimplicit.networks import feedforward, from_sklearn
from skimplicit.robustness import attack, certify, output_bounds
from skimplicit.wellposedness import block_norms, perron_frobenius

warnings.simplefilter("ignore")
CHEAP = ("sensitivity", "interval", "mixed-monotone")
TOLERANCE = 1e-9


def random_activation(rng, n):
    """Return one of the componentwise activations, or blocks of them, pooling and softmax among them."""
    names = sorted(ACTIVATIONS)
    if rng.random() < 0.7:
        return ACTIVATIONS[names[rng.integers(len(names))]]
    blocks, left = [], n
    while left:
        size = int(rng.integers(1, left + 1))
        if size > 1 and rng.random() < 0.4:
            blocks.append((max_pool(size) if rng.random() < 0.5 else softmax(size), size))
        else:
            blocks.append((names[rng.integers(len(names))], size))
        left -= size
    return BlockActivation(blocks)


def random_rule(rng):
    """Return a certified rule: full, reducible, sparse or feedforward, far from the bound or near it."""
    n, p, q = rng.integers(1, 9), rng.integers(1, 6), rng.integers(2, 5)
    phi = random_activation(rng, n)
    A = rng.normal(size=(n, n)) * (rng.random((n, n)) < rng.choice([0.3, 1.0]))
    kind = rng.choice(["full", "feedforward", "triangular", "negative loops"])
    if kind == "feedforward" and phi.groups is None:
        A = np.triu(A, 1) * 3  # with norms far above 1
    else:
        A = np.triu(A) if kind == "triangular" else A
        norms = block_norms(A, phi.lipschitz, phi.groups)
        A *= rng.choice([0.3, 0.9, 0.99, 0.999]) / max(perron_frobenius(norms), 1e-3)
        if kind == "negative loops" and phi.groups is None and np.min(phi.min_slope) >= 0:
            # The matrix measure stays below 1, the norm does not.
            A[np.diag_indices(n)] = np.minimum(A.diagonal(), 0) - rng.exponential(3, size=n)
    B, C = rng.normal(size=(n, p)), rng.normal(size=(q, n))
    if rng.random() < 0.3:
        A, B, C = (sparse.csr_array(M) for M in (A, B, C))
    D = rng.normal(size=(q, p)) * (rng.random() < 0.5)
    return ImplicitRule(A, B, C, D, b=rng.normal(size=n), c=rng.normal(size=q), activation=phi)


def converged_outputs(rule, U):
    """Return the outputs of states that reached their tolerance: near the bound 10,000 sweeps may end in a warning."""
    return rule.states(U, max_iter=1_000_000) @ rule.C.T + U @ rule.D.T + rule.c


def soundness(n_rules, n_programs, seed):
    """Count outputs outside their bounds and certified rows flipped, over rules, methods and sets."""
    rng = np.random.default_rng(seed)
    worst, outside, flipped, certified, attacked, looser = -np.inf, 0, 0, 0, 0, 0
    for number in range(n_rules):
        rule = random_rule(rng)
        U = rng.normal(size=(3, rule.n_inputs)) * rng.choice([0.1, 1.0, 10.0])
        radius = rng.random(rule.n_inputs) * rng.choice([0.01, 0.3, 3.0])
        k = None if rng.random() < 0.5 else int(rng.integers(0, rule.n_inputs + 1))
        methods = CHEAP + (("lp",) if number % max(n_rules // n_programs, 1) == 0 else ())
        labels = rule.predict(U).argmax(axis=1)
        options = {"n_changed": k, "n_starts": 2, "max_iter": 4, "random_state": number}
        inputs, success = attack(rule, U, labels, radius, classes=range(rule.n_outputs), **options)
        # Away from a far target: the attack of regressors walks to where one output is largest.
        far = rule.predict(U) + rng.normal(size=(3, rule.n_outputs)) * 1e3
        found = inputs, attack(rule, U, far, radius, **options)[0]
        outputs = [converged_outputs(rule, some) for some in found]
        attacked += success.sum()
        bounds = {}
        for method in methods:
            lower, upper = bounds[method] = output_bounds(rule, U, radius, n_changed=k, method=method)
            for Y in outputs:
                excess = np.maximum(lower - Y, Y - upper).max()
                worst, outside = max(worst, excess), outside + (excess > TOLERANCE)
        held = certify(rule, U, labels, radius, n_changed=k, method=methods[number % len(methods)])
        certified += held.sum()
        flipped += np.sum([(Y.argmax(axis=1) != labels) & held for Y in outputs])
        for loose, tight in (("sensitivity", "mixed-monotone"), ("mixed-monotone", "lp")):
            if tight in bounds:
                (low, high), (inner_low, inner_high) = bounds[loose], bounds[tight]
                looser += np.sum(inner_low < low) + np.sum(inner_high > high)
    print(f"{n_rules} rules, 3 rows each; {n_programs} of them also by linear programs")
    print(f"outputs of attacks outside their bounds by more than {TOLERANCE:g}: {outside}; largest excess {worst:.1e}")
    print(f"certified rows: {certified}, of which flipped: {flipped}; rows flipped by the attack: {attacked}")
    print(f"bounds looser than those of a cheaper method: {looser}")
    return outside + flipped + looser


def classifiers():
    """Yield name, rule, classes, held-out rows and labels, and radii in standard deviations of the inputs."""
    for name, load, radii in (
        ("breast cancer", load_breast_cancer, (0.02, 0.05, 0.1, 0.2)),
        ("digits", load_digits, (0.02, 0.05, 0.1, 0.2)),
    ):
        X, y = load(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=200, random_state=0, stratify=y)
        scale = X_train.std(axis=0)
        implicit = ImplicitClassifier(random_state=0, max_iter=60).fit(X_train, y_train)
        yield name, "ImplicitClassifier", implicit.rule_, implicit.classes_, X_test, y_test, scale, radii
        network = make_pipeline(StandardScaler(), MLPClassifier((20, 20), alpha=1.0, max_iter=300, random_state=0))
        network.fit(X_train, y_train)
        yield name, "MLPClassifier (20, 20)", from_sklearn(network), network.classes_, X_test, y_test, scale, radii


def tightness(n_rows):
    """Print certified accuracy of each method beside attacked accuracy; return rows that break the order of methods."""
    print("| data | model | radius / sd | " + " | ".join((*CHEAP, "lp")) + " | attacked | accuracy | lp, s a row |")
    print("|---|---|---:|" + "---:|" * 7)
    broken = 0
    for name, label, rule, classes, X, y, scale, radii in classifiers():
        X, y = X[:n_rows], y[:n_rows]
        for factor in radii:
            radius = factor * scale
            held = [certify(rule, X, y, radius, method=method, classes=classes) for method in CHEAP]
            begin = perf_counter()
            held.append(certify(rule, X, y, radius, method="lp", classes=classes))
            seconds = (perf_counter() - begin) / n_rows
            success = attack(rule, X, y, radius, classes=classes, random_state=0)[1]
            outputs = rule.predict(X)
            found = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
            sensitivity, _, mixed, program = held
            # What a looser method certifies a tighter one does, and no attack flips what any of them certifies.
            for looser, tighter in ((sensitivity, mixed), (mixed, program), (program, ~success)):
                broken += np.sum(looser & ~tighter)
            shares = [mask.mean() for mask in held] + [1 - success.mean(), np.mean(classes[found] == y)]
            line = " | ".join(f"{share:.3f}" for share in shares)
            print(f"| {name} | {label} | {factor:g} | {line} | {seconds:.3f} |", flush=True)
    print(f"rows that break the order sensitivity, mixed-monotone, lp, attack: {broken}")
    return broken


def semidefinite():
    """Print the width of the bounds of small relu rules by each method, relative to what attacks reach."""
    print("| rule (n = 6, p = 3) | " + " | ".join((*CHEAP, "lp", "sdp")) + " | s, sdp |\n|---:|" + "---:|" * 6)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(6, 6))
        A *= 0.8 / np.abs(A).sum(axis=1).max()
        rule = ImplicitRule(A, rng.normal(size=(6, 3)), rng.normal(size=(1, 6)), b=rng.normal(size=6))
        U = rng.normal(size=(1, 3))
        corners = U + 0.5 * np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
        reached = np.ptp(rule.predict(corners))
        widths = []
        for method in (*CHEAP, "lp", "sdp"):
            begin = perf_counter()
            lower, upper = output_bounds(rule, U, 0.5, method=method)
            widths.append((upper - lower).item() / reached)
        line = " | ".join(f"{w:.2f}" for w in widths)
        print(f"| {seed} | {line} | {perf_counter() - begin:.2f} |", flush=True)


def best_of(function, *args, times=3, **options):
    seconds = []
    for _ in range(times):
        begin = process_time()
        function(*args, **options)
        seconds.append(process_time() - begin)
    return min(seconds)


def cost():
    """Print the processor time of bounds of 1e4 rows relative to that of predict."""
    print("| activation | kappa | " + " | ".join(f"{method} / predict" for method in CHEAP) + " |")
    print("|---|---:|" + "---:|" * len(CHEAP))
    rng = np.random.default_rng(0)
    for activation in ("relu", "tanh", "network"):
        for kappa in (0.5, 0.95):
            A = rng.normal(size=(50, 50))
            A *= kappa / np.abs(A).sum(axis=1, keepdims=True)
            rule = (
                ImplicitRule(A, rng.normal(size=(50, 20)), rng.normal(size=(3, 50)), activation=activation)
                if (activation != "network")
                else feedforward([rng.normal(size=s) for s in ((25, 20), (25, 25), (3, 25))])
            )
            U = rng.normal(size=(10_000, 20))
            times = [best_of(rule.predict, U)]
            times += [best_of(output_bounds, rule, U, 0.1, method=method) for method in CHEAP]
            line = " | ".join(f"{t / times[0]:.1f}" for t in times[1:])
            print(f"| {activation} | {kappa if activation != 'network' else '-'} | {line} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--programs", type=int, default=500, help="rules whose linear programs are solved as well")
    parser.add_argument("--rows", type=int, default=100, help="rows of each classifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("soundness", "tightness", "semidefinite", "cost"))
    arguments = parser.parse_args()
    if arguments.only in (None, "cost"):
        cost()
    if arguments.only in (None, "semidefinite"):
        semidefinite()
    if arguments.only in (None, "tightness") and tightness(arguments.rows):
        raise SystemExit("a tighter method certifies less, or an attack flips a certified row")
    if arguments.only in (None, "soundness") and soundness(arguments.rules, arguments.programs, arguments.seed):
        raise SystemExit("a bound or a certificate is wrong")
