"""Defaults beside the usual choices on the CSV files of a folder: R2, or accuracy and log-loss; time; mean rank.

Every file (``*.csv`` or ``*.csv.gz``, a header, the target in the last column) is a set, of classes if its path has
"classification" in it or its target is not a number or one of two. Scores are means over ``KFold(5, shuffle=True,
random_state=0)`` or ``StratifiedKFold`` likewise; inputs (and targets of MLP and SVR) are standardised inside each
fold. Times are those of a fit, as a multiple of the first model's of the table. LightGBM and CatBoost take part if they
are installed.
"""

import argparse
import warnings
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC, SVR

from skimplicit import ImplicitClassifier, ImplicitRegressor

RIDGES = np.logspace(-3, 3, 13)


def optional(module, name, **parameters):
    """Return an estimator of a package in a dict, an empty one if it is not installed."""
    try:
        found = __import__(module)
    except ImportError:
        return {}
    return {module: getattr(found, name)(**parameters)}


def scaled_target(model):
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def regressors():
    lbfgs = MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", max_iter=500, random_state=0)
    searched = GridSearchCV(lbfgs, {"alpha": np.logspace(-2, 2, 5)}, cv=3)
    return {
        "MLP lbfgs(50)": scaled_target(lbfgs),
        "RidgeCV": RidgeCV(RIDGES),
        "MLP": scaled_target(MLPRegressor(random_state=0)),
        "MLP lbfgs, searched": scaled_target(searched),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
        "RandomForest": RandomForestRegressor(random_state=0),
        "SVR, searched": scaled_target(GridSearchCV(SVR(), {"C": [0.1, 1, 10, 100]}, cv=3)),
        **optional("lightgbm", "LGBMRegressor", random_state=0, verbose=-1, n_jobs=1),
        **optional(
            "catboost", "CatBoostRegressor", random_state=0, verbose=0, thread_count=1, allow_writing_files=False
        ),
        "ImplicitRegressor": ImplicitRegressor(random_state=0),
    }


def classifiers():
    return {
        "MLP": MLPClassifier(random_state=0),
        "LogisticRegressionCV": LogisticRegressionCV(l1_ratios=(0,), use_legacy_attributes=False, max_iter=1000),
        "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
        "RandomForest": RandomForestClassifier(random_state=0),
        "SVC, searched": GridSearchCV(SVC(), {"C": [0.1, 1, 10, 100]}, cv=3),
        **optional("lightgbm", "LGBMClassifier", random_state=0, verbose=-1, n_jobs=1),
        **optional(
            "catboost", "CatBoostClassifier", random_state=0, verbose=0, thread_count=1, allow_writing_files=False
        ),
        "ImplicitClassifier": ImplicitClassifier(random_state=0),
    }


def read(path):
    """Return inputs, targets and whether these are classes."""
    table = pd.read_csv(path)
    y = table.iloc[:, -1]
    classes = "classification" in str(path) or not pd.api.types.is_numeric_dtype(y) or y.nunique() == 2
    X = pd.get_dummies(table.iloc[:, :-1], dtype=float).to_numpy(dtype=float)
    return X, LabelEncoder().fit_transform(y) if classes else y.to_numpy(dtype=float), classes


def measure(model, X, y, classes, n_folds):
    """Return the mean score, the mean log-loss (NaN without probabilities) and the seconds of a fit."""
    splitter = StratifiedKFold if classes else KFold
    scores, losses, seconds = [], [], []
    for train, test in list(splitter(5, shuffle=True, random_state=0).split(X, y))[:n_folds]:
        pipeline = make_pipeline(StandardScaler(), model)
        begin = process_time()
        pipeline.fit(X[train], y[train])
        seconds.append(process_time() - begin)
        scores.append(pipeline.score(X[test], y[test]))
        if hasattr(pipeline, "predict_proba"):
            losses.append(log_loss(y[test], pipeline.predict_proba(X[test]), labels=np.unique(y)))
    return np.mean(scores), np.mean(losses) if losses else np.nan, np.mean(seconds)


def compare(paths, n_folds, only):
    ranks = {False: [], True: []}
    print("| data | model | R2 or accuracy | log-loss | time of a fit |")
    print("|---|---|---:|---:|---:|")
    for path in paths:
        X, y, classes = read(path)
        models = classifiers() if classes else regressors()
        scores, unit = {}, None
        for label, model in models.items():
            if only and label not in only:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence: the iterations allowed are part of what is compared
                score, loss, seconds = measure(model, X, y, classes, n_folds)
            unit = unit or seconds
            scores[label] = score
            name = path.name.removesuffix(".gz").removesuffix(".csv")
            loss = "" if np.isnan(loss) else f"{loss:.3f}"
            print(f"| {name} | {label} | {score:.4f} | {loss} | {seconds / unit:.2g} |", flush=True)
        ranks[classes].append(pd.Series(scores).rank(ascending=False))
    for classes, some in ranks.items():
        if some:
            kind = "classes" if classes else "numbers"
            print(f"\nMean ranks, {len(some)} sets of {kind}\n\n| model | rank |\n|---|---:|")
            for label, rank in pd.concat(some, axis=1).mean(axis=1).sort_values().items():
                print(f"| {label} | {rank:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the CSV files are, at any depth")
    parser.add_argument("--folds", type=int, default=5, help="how many of the five folds are run")
    parser.add_argument("--sets", nargs="*", help="names of files, without their endings")
    parser.add_argument("--models", nargs="*", choices=sorted({*regressors(), *classifiers()}), help="which models")
    arguments = parser.parse_args()
    found = sorted({*arguments.folder.rglob("*.csv"), *arguments.folder.rglob("*.csv.gz")})
    wanted = arguments.sets
    compare([p for p in found if not wanted or p.name.split(".")[0] in wanted], arguments.folds, arguments.models)
