"""
Three ways to train a rule
==========================

Block coordinate descent, projected implicit gradient and lifted training minimise the same objective under the same
bounds. Each point below is a whole fit that was stopped after some number of iterations: the time it took, the true
objective of its rule, and its R2 on rows held out.

On tables of this size block coordinate descent and the gradient are level; with 10^5 rows the gradient, which works in
batches, is there several times sooner (``benchmarks/README.md``). Lifted training lets the states deviate from their
equation on the way; it is slower, and ends at a higher objective, which on noisy data need not be a worse prediction.
"""

import warnings
from time import process_time

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

warnings.simplefilter("ignore", ConvergenceWarning)  # most fits here are stopped early on purpose

# Inputs, targets, the ridge of the rules and that of the network, which needs one too.
SETS = {
    "diabetes (331 rows to train on)": (*load_diabetes(return_X_y=True), 0.1, 100.0),
    "Friedman 1 (750 rows to train on)": (*make_friedman1(1000, noise=1.0, random_state=0), 0.01, 10.0),
}
METHODS = {"bcd": "C0", "gradient": "C1", "lifted": "C2"}
ITERATIONS = (5, 10, 20, 40)


def fitted(model, X, y):
    """Return the fitted pipeline and the seconds it took."""
    pipeline = make_pipeline(StandardScaler(), model)
    begin = process_time()
    pipeline.fit(X, y)
    return pipeline, process_time() - begin


# %%
# Fit, and keep what each fit reached.

fig, axes = plt.subplots(2, 2, figsize=(10, 7), sharex="col", layout="constrained")
for (title, (X, y, alpha, network_alpha)), (top, bottom) in zip(SETS.items(), axes.T, strict=True):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    for method, color in METHODS.items():
        seconds, objectives, scores = [], [], []
        for max_iter in ITERATIONS:
            model = ImplicitRegressor(method=method, alpha=alpha, max_iter=max_iter, tol=0, random_state=0)
            pipeline, took = fitted(model, X_train, y_train)
            seconds.append(took)
            objectives.append(pipeline[-1].objective_history_[-1])
            scores.append(pipeline.score(X_test, y_test))
        top.plot(seconds, objectives, "o-", color=color, label=method)
        bottom.plot(seconds, scores, "o-", color=color, label=method)
        print(f"{title}, {method}: objective {objectives[-1]:.4f}, R2 {scores[-1]:.3f} after {seconds[-1]:.1f} s")
    network = MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", alpha=network_alpha, max_iter=500, random_state=0)
    pipeline, took = fitted(network, X_train, y_train)
    score = pipeline.score(X_test, y_test)
    bottom.plot(took, score, "k*", markersize=11, label="MLPRegressor (50,), lbfgs")
    print(f"{title}, MLPRegressor: R2 {score:.3f} after {took:.1f} s")
    top.set(title=title, xscale="log")
    bottom.set_xlabel("seconds of a fit")
    bottom.xaxis.set_major_formatter("{x:g}")
    bottom.xaxis.set_minor_formatter(NullFormatter())
    bottom.margins(y=0.3)
axes[0, 0].set_ylabel("true objective")
axes[1, 0].set_ylabel("held-out $R^2$")
axes[1, 1].legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
