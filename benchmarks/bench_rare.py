"""Inputs that are the same in most rows: words, fingerprints, levels of categories, goods in baskets.

Defaults beside ridge or logistic regression with the ridge by five folds, of inputs over their largest entry and over
their deviation. R2, or accuracy and log-loss, on as many new rows. ``python benchmarks/bench_rare.py --seeds 2``;
seconds are of the processor.
"""

import argparse
import warnings
from time import process_time

import numpy as np
from scipy import sparse
from scipy.stats import norm
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor


def words(m, p, n_classes, rng):
    """Return texts of about 75 words, a fifth of them of the topic of their class, as tf-idf, and the class."""
    frequency = 1 / np.arange(1, p + 1)
    topics = frequency * rng.gamma(0.3, size=(n_classes, p))
    topics /= topics.sum(axis=1, keepdims=True)
    y, shared = rng.integers(n_classes, size=m), frequency / frequency.sum()
    X = np.zeros((m, p))
    for row, k in zip(X, y, strict=True):
        chosen = rng.choice(p, size=rng.integers(30, 120), p=0.8 * shared + 0.2 * topics[k])
        row += np.log1p(np.bincount(chosen, minlength=p))
    X *= np.log((1 + m) / (1 + np.count_nonzero(X, axis=0))) + 1
    return sparse.csr_array(X / np.linalg.norm(X, axis=1, keepdims=True)), y


def fingerprints(m, p, _, rng):
    """Return bits that depend on ten properties, and a sum over a quarter of them with half as much noise."""
    rates, properties = rng.beta(0.4, 4.0, size=p), rng.normal(size=(m, 10))
    hidden = properties @ rng.normal(size=(10, p)) * 0.5 + rng.normal(size=(m, p))
    X = (hidden < norm.ppf(rates) * np.sqrt(3.5)).astype(float)
    f = X @ (rng.normal(size=p) * (rng.random(p) < 0.25))
    return X, f / f.std() + 0.5 * rng.normal(size=m)


def categories(m, n_levels, n_columns, rng):
    """Return the levels of some columns and three numbers, and a sum of effects, one of them bent, with noise."""
    codes = [rng.choice(n_levels, size=m, p=rng.dirichlet(np.full(n_levels, 0.5))) for _ in range(n_columns)]
    effects, Z = sum(rng.normal(size=n_levels)[code] for code in codes), rng.normal(size=(m, 3))
    y = effects / effects.std() + np.maximum(Z[:, 0], 0.0) + 0.5 * Z[:, 1] + 0.5 * rng.normal(size=m)
    return np.hstack([*(np.eye(n_levels)[code] for code in codes), Z]), y


def baskets(m, p, _, rng):
    """Return how many of each good there are, and the logarithm of what they cost, with noise."""
    X = rng.poisson(0.3 / np.arange(1, p + 1) ** 0.8 * rng.gamma(1.0, size=(m, 1)), size=(m, p)).astype(float)
    return sparse.csr_array(X), np.log1p(X @ rng.lognormal(size=p)) + 0.2 * rng.normal(size=m)


# Name: maker, rows of each half, and two numbers for the maker.
SETS = {
    "words, two classes, 300 x 3000": (words, 300, 3000, 2),
    "words, eight classes, 600 x 2000": (words, 600, 2000, 8),
    "fingerprints, 400 x 512": (fingerprints, 400, 512, None),
    "categories, 400 x 163": (categories, 400, 40, 4),
    "baskets, 500 x 300": (baskets, 500, 300, None),
}


def models(classes):
    """Return the models by their names."""
    peer = (
        LogisticRegressionCV(
            Cs=np.logspace(-4, 3, 8), l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False, max_iter=500
        )
        if classes
        else RidgeCV(np.logspace(-3, 5, 17))
    )
    return {
        "defaults": (ImplicitClassifier if classes else ImplicitRegressor)(random_state=0),
        "linear, largest": make_pipeline(MaxAbsScaler(), peer),
        "linear, deviations": make_pipeline(StandardScaler(with_mean=False), peer),
    }


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    n_seeds = parser.parse_args().seeds
    for name, (make, m, *numbers) in SETS.items():
        for seed in range(n_seeds):
            X, y = make(2 * m, *numbers, np.random.default_rng(seed))
            for label, model in models(make is words).items():
                start = process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.fit(X[:m], y[:m])
                seconds, scores = process_time() - start, f"{model.score(X[m:], y[m:]):7.4f}"
                if is_classifier(model):
                    right = np.mean(model.predict(X[m:]) == y[m:])
                    scores = f"{right:7.3f} {log_loss(y[m:], model.predict_proba(X[m:])):7.4f}"
                print(f"{name:34} {seed:2d} {label:20} {scores:16} {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
