"""Time and 5-fold R2 of ImplicitRegressor beside other regressors; with ``--alpha`` a table over alpha instead.

R2 is the mean over ``KFold(5, shuffle=True, random_state=0)``, inputs standardised inside each fold. The time
is that of a fit, as a multiple of the fit of ``MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs")`` on the
same set in the same run.
"""

import argparse
import warnings
from time import perf_counter

import numpy as np
from datasets import REGRESSION
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitRegressor

FOLDS = KFold(5, shuffle=True, random_state=0)
ALPHAS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.1)


def mlp():
    return MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", random_state=0)


def tuned(model, alphas):
    return GridSearchCV(model, {"alpha": alphas}, cv=KFold(5, shuffle=True, random_state=1))


def models():
    """Return name to model; the first is the unit of time."""
    return {
        "MLPRegressor lbfgs(50)": mlp(),
        "MLPRegressor lbfgs(50), alpha tuned": tuned(mlp(), np.logspace(-2, 2, 5)),
        "Ridge": Ridge(),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
        "ImplicitRegressor": ImplicitRegressor(random_state=0),
        "ImplicitRegressor, alpha tuned": tuned(ImplicitRegressor(random_state=0), ALPHAS),
    }


def score(model, X, y):
    """Return the mean R2 and seconds of a fit; R2 of several outputs is their mean."""
    if y.ndim > 1 and isinstance(model, HistGradientBoostingRegressor):
        model = MultiOutputRegressor(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: the iterations allowed are part of what is compared
        result = cross_validate(make_pipeline(StandardScaler(), model), X, y, cv=FOLDS)
    return result["test_score"].mean(), result["fit_time"].mean()


def compare(sets):
    print("| data | model | R2 | time of a fit / MLPRegressor |")
    print("|---|---|---:|---:|")
    for name in sets:
        X, y = REGRESSION[name]()
        unit = None
        for label, model in models().items():
            r2, seconds = score(model, X, y)
            unit = unit or seconds
            print(f"| {name} | {label} | {r2:.3f} | {seconds / unit:.2g} |", flush=True)


def table_of_alphas(sets, alphas):
    print("| data | " + " | ".join(f"{alpha:g}" for alpha in alphas) + " | seconds of a fit |")
    print("|---|" + "---:|" * (len(alphas) + 1))
    for name in sets:
        X, y = REGRESSION[name]()
        begin = perf_counter()
        scores = [score(ImplicitRegressor(alpha=alpha, random_state=0), X, y)[0] for alpha in alphas]
        seconds = (perf_counter() - begin) / 5 / len(alphas)
        print(f"| {name} | " + " | ".join(f"{r2:.3f}" for r2 in scores) + f" | {seconds:.2g} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", action="store_true", help="print R2 over alpha")
    parser.add_argument("sets", nargs="*", default=list(REGRESSION), help="names of data sets")
    arguments = parser.parse_args()
    if arguments.alpha:
        table_of_alphas(arguments.sets, ALPHAS)
    else:
        compare(arguments.sets)
