"""ImplicitClassifier beside MLPClassifier: accuracy, log-loss and time over 5 folds, as ratios measured in one run.

Inputs are standardised inside each fold. Accuracy and log-loss are means over folds and seeds; ratios divide by those
of MLPClassifier with its default parameters (100 hidden units, adam, 200 epochs). Times are processor times. ``rises``
counts iterations, over all fits, at which the objective rose within a stage; ``bound`` is the largest
``||A||_inf - kappa``. Log-losses of each seed follow in a second table.

With ``--alpha``: accuracy and log-loss over the ridge. With ``--readout``: how far to solve the readout for each W
tried. With ``--select``: inputs of breast cancer beside permuted copies of all of them.
"""

import argparse
import time
import warnings

import numpy as np
from datasets import CLASSIFICATION
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector
from skimplicit.subproblems.readout import logistic
from skimplicit.training import cross_entropy

# Parameters that differ from the defaults, and the accuracy wanted.
SETTINGS = {
    "breast cancer": ({}, 0.972),
    "wine": ({}, 0.970),
    "digits": ({"n_hidden": 50, "alpha": 0.002, "kappa": 0.5, "max_iter": 8}, 0.975),
}
ALPHAS = 0.005, 0.01, 0.02, 0.05, 0.1
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def measure(estimator, X, y, seeds):
    """Return accuracy, log-loss and seconds of shape (seeds, folds, 3), and the fitted estimators."""
    scores, fitted = [], []
    for seed in seeds:
        for train, test in FOLDS.split(X, y):
            model = make_pipeline(StandardScaler(), clone(estimator).set_params(random_state=seed))
            begin = time.process_time()
            model.fit(X[train], y[train])
            seconds = time.process_time() - begin
            scores.append((model.score(X[test], y[test]), log_loss(y[test], model.predict_proba(X[test])), seconds))
            fitted.append(model[-1])
    return np.reshape(scores, (len(seeds), FOLDS.get_n_splits(), 3)), fitted


def rises(model):
    """Count the rises of the objective within the stages of a fit."""
    history, stages = model.objective_history_, model.objective_stages_
    return int(np.sum((np.diff(history) > 0) & (np.diff(stages) == 0)))


def compare(sets, seeds, kappa):
    """Print the comparison with MLPClassifier."""
    header = "set", "accuracy", "wanted", "mlp", "log-loss", "mlp", "ratio", "seconds", "mlp", "ratio", "rises", "bound"
    print("| " + " | ".join(header) + " |\n|---|" + "---:|" * 11)
    per_seed = []
    for name in sets:
        params, wanted = SETTINGS[name]
        X, y = CLASSIFICATION[name]()
        scores, fitted = measure(ImplicitClassifier(**{"kappa": kappa, **params}), X, y, seeds)
        mlp_scores, _ = measure(MLPClassifier(), X, y, seeds)
        ours, mlp = scores.mean(axis=(0, 1)), mlp_scores.mean(axis=(0, 1))
        bound = max(model.rule_.inf_norm - model.kappa for model in fitted)
        print(
            f"| {name} | {ours[0]:.4f} | {wanted:.3f} | {mlp[0]:.4f} | {ours[1]:.4f} | {mlp[1]:.4f} | "
            f"{ours[1] / mlp[1]:.2f} | {ours[2]:.2f} | {mlp[2]:.2f} | {ours[2] / mlp[2]:.2f} | "
            f"{sum(map(rises, fitted))} | {bound:.1e} |",
            flush=True,
        )
        for label, values in (("implicit", scores), ("mlp", mlp_scores)):
            means = values.mean(axis=1)
            per_seed.append([name, label, *(f"{accuracy:.4f} / {loss:.4f}" for accuracy, loss, _ in means)])
    print("\n| set | model | " + " | ".join(f"seed {seed}" for seed in seeds) + " |\n|---|---|" + "---:|" * len(seeds))
    for row in per_seed:
        print("| " + " | ".join(row) + " |")


def table_of_alphas(sets, seeds, kappa):
    """Print accuracy and log-loss over the ridge, everything else but kappa at its default."""
    print("| data | " + " | ".join(f"{alpha:g}" for alpha in ALPHAS) + " |\n|---|" + "---:|" * len(ALPHAS))
    for name in sets:
        X, y = CLASSIFICATION[name]()
        cells = []
        for alpha in ALPHAS:
            accuracy, loss, _ = measure(ImplicitClassifier(alpha=alpha, kappa=kappa), X, y, seeds)[0].mean(axis=(0, 1))
            cells.append(f"{accuracy:.3f} / {loss:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def table_of_readouts(sets, seeds):
    """Print the objective reached and the time for several depths of the readout."""
    depths = {"to the end": (1e-9, 100), "1": (1.0, 100), "10": (10.0, 100), "100": (100.0, 100), "one step": (0.0, 1)}
    print(
        "| data | tolerance / that of the states | J reached | log-loss | time / to the end |\n|---|---|---:|---:|---:|"
    )
    for name in sets:
        X, y = CLASSIFICATION[name]()
        unit = None
        for label, (factor, steps) in depths.items():
            cross_entropy._READOUT_TOL, logistic._MAX_NEWTON = factor, steps
            scores, fitted = measure(ImplicitClassifier(alpha=0.005, max_iter=60), X, y, seeds)
            reached = np.mean([model.objective_history_[-1] for model in fitted])
            _, loss, seconds = scores.mean(axis=(0, 1))
            unit = unit or seconds
            print(f"| {name} | {label} | {reached:.4f} | {loss:.4f} | {seconds / unit:.2f} |", flush=True)


def select(seeds):
    """Print what is selected from breast cancer with permuted copies of its columns, one permutation per seed."""
    X, y = CLASSIFICATION["breast cancer"]()
    p = X.shape[1]
    print("| permutation | selected | of them permuted | accuracy, all 60 inputs | accuracy, selected | seconds |")
    print("|---:|---:|---:|---:|---:|---:|")
    for seed in seeds:
        rng = np.random.default_rng(seed)
        both = StandardScaler().fit_transform(np.hstack([X, rng.permuted(X, axis=0)]))
        begin = time.process_time()
        selector = ImplicitFeatureSelector(estimator=ImplicitClassifier(), cv=FOLDS, random_state=seed).fit(both, y)
        seconds = time.process_time() - begin
        accuracies = [
            cross_val_score(ImplicitClassifier(random_state=seed), inputs, y, cv=FOLDS).mean()
            for inputs in (both, selector.transform(both))
        ]
        print(
            f"| {seed} | {selector.n_features_} | {selector.support_[p:].sum()} | {accuracies[0]:.4f} | "
            f"{accuracies[1]:.4f} | {seconds:.1f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=list(CLASSIFICATION))
    parser.add_argument("--kappa", type=float, default=0.95, help="bound on A for the comparison and with --alpha")
    parser.add_argument("--alpha", action="store_true", help="print accuracy / log-loss over alpha")
    parser.add_argument("--readout", action="store_true", help="compare how far the readout is solved")
    parser.add_argument("--select", action="store_true", help="select inputs beside permuted ones")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    seeds = range(options.seeds)
    if options.alpha:
        table_of_alphas(options.sets or list(CLASSIFICATION), seeds, options.kappa)
    elif options.readout:
        table_of_readouts(options.sets or ["breast cancer", "wine", "two moons"], seeds)
    elif options.select:
        select(seeds)
    else:
        compare(options.sets or list(SETTINGS), seeds, options.kappa)


if __name__ == "__main__":
    main()
