"""Rows beyond the range of the training rows: where inputs are clipped, and where a linear trend goes on.

The three ways of ``clip`` beside ridge regression, R2 on 1000 new rows, at least -1. ``python benchmarks/bench_clip.py
--seeds 5``.
"""

import argparse
import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitRegressor

N_NEW = 1000


def spectra(m, p, rng):
    """Return smooth channels with baselines ten times as large as a band, whose height is the target, with noise."""
    t, height, other = np.linspace(0, 1, p), *rng.random((2, m))
    offset, slope = 0.2 * rng.normal(size=(2, m, 1))
    scatter = np.exp(0.1 * rng.normal(size=m))
    water = np.exp(-(((t - 0.3) / 0.15) ** 2)) + 0.8 * np.exp(-(((t - 0.7) / 0.2) ** 2)) + 0.3
    bands = np.outer(height, np.exp(-(((t - 0.45) / 0.06) ** 2))) + np.outer(other, np.exp(-(((t - 0.55) / 0.08) ** 2)))
    X = np.outer(scatter, water) + offset + slope * t + 0.02 * bands + 2e-4 * rng.normal(size=(m, p))
    return X, 20 * height + 0.2 * rng.normal(size=m)


def tails(df):
    """Return a maker of inputs with Student's t of so many degrees of freedom, and a linear target with noise."""

    def make(m, p, rng):
        X = rng.standard_t(df, size=(m, p))
        f = X @ rng.normal(size=p)
        return X, f + 0.5 * np.median(np.abs(f)) * rng.normal(size=m)

    return make


def saturating(m, p, rng):
    """Return the inputs with two degrees of freedom, and a target that follows each to one deviation only."""
    X = rng.standard_t(2, size=(m, p))
    return X, np.clip(X, -1, 1) @ rng.normal(size=p) + 0.3 * rng.normal(size=m)


def failing(m, p, rng):
    """Return normal inputs, one in 200 of which is far out for no reason, and a linear target with noise."""
    X = rng.normal(size=(m, p))
    y = X @ rng.normal(size=p) + rng.normal(size=m)
    return np.where(rng.random((m, p)) < 0.005, 50.0 * rng.normal(size=(m, p)), X), y


# Name: maker, rows, inputs.
SETS = {
    "spectra, 80 x 400": (spectra, 80, 400),
    "t, 1.5 degrees of freedom, 400 x 10": (tails(1.5), 400, 10),
    "t, 2 degrees of freedom, 400 x 10": (tails(2), 400, 10),
    "t, 3 degrees of freedom, 400 x 10": (tails(3), 400, 10),
    "normal, 400 x 10": (tails(1e9), 400, 10),
    "saturating, 400 x 10": (saturating, 400, 10),
    "failing sensors, 400 x 10": (failing, 400, 10),
}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    n_seeds = parser.parse_args().seeds
    models = {f"clip={clip!r}": ImplicitRegressor(clip=clip, random_state=0) for clip in ("auto", True, False)}
    models["ridge"] = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 6, 25)))
    for name, (make, m, p) in SETS.items():
        scores = np.empty((n_seeds, len(models)))
        for seed in range(n_seeds):
            X, y = make(m + N_NEW, p, np.random.default_rng(seed))
            for k, model in enumerate(models.values()):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.fit(X[:m], y[:m])
                scores[seed, k] = max(r2_score(y[m:], model.predict(X[m:])), -1.0)
        for label, each in zip(models, scores.T, strict=True):
            print(f"{name:36} {label:12} {each.mean():7.4f}  " + " ".join(f"{s:.3f}" for s in each), flush=True)


if __name__ == "__main__":
    main()
