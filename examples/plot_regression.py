"""
Regression: an implicit rule beside Ridge and a neural network
==============================================================

442 patients, ten measurements each, and how far their diabetes has progressed a year later. We
train an :class:`~skimplicit.ImplicitRegressor` in a pipeline, let a grid search choose its size
``n_hidden``, the bound ``kappa`` on the feedback ``A`` and the ridge ``alpha``, and compare it with
two neighbours on patients that no model has seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitRegressor

data = load_diabetes()
X, y = data.data, data.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

# %%
# The search
# ----------
#
# Nothing here is special to skimplicit: the regressor is a step of a pipeline like any other. A
# tolerance of 1e-3 is enough to rank candidates.

search = GridSearchCV(
    make_pipeline(StandardScaler(), ImplicitRegressor(tol=1e-3, max_iter=500, random_state=0)),
    {
        "implicitregressor__n_hidden": [5, 10],
        "implicitregressor__kappa": [0.5, 0.9],
        "implicitregressor__alpha": [0.1, 0.3],
    },
    cv=5,
).fit(X_train, y_train)
best = {name.split("__")[1]: value for name, value in search.best_params_.items()}
print("chosen:", ", ".join(f"{name}={value}" for name, value in best.items()))

# %%
# The neighbours
# --------------
#
# The network gets a search of its own, among penalties that suit so noisy a set.

network = MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs", max_iter=10_000, random_state=0)
models = {
    "Ridge": make_pipeline(StandardScaler(), Ridge()),
    "MLPRegressor": GridSearchCV(
        make_pipeline(StandardScaler(), network), {"mlpregressor__alpha": [100.0, 1000.0]}, cv=5
    ),
    "ImplicitRegressor": search,
}
scores = {}
for name, model in models.items():
    if model is not search:
        model.fit(X_train, y_train)
    scores[name] = model.score(X_train, y_train), model.score(X_test, y_test)
    print(f"{name:18s} R2: {scores[name][0]:.3f} on the training set, {scores[name][1]:.3f} on new patients")

# %%
# What the fit did
# ----------------
#
# On the left, the true training objective after every iteration. ``fit`` raises the ridge to
# ``alpha`` in stages (shaded), each starting where the last one ended. The objective jumps up where
# the ridge does; between jumps it never rises.

rule = search.best_estimator_[-1]
assert rule.rule_.inf_norm <= rule.kappa
history, stages = rule.objective_history_, rule.objective_stages_
iterations = np.arange(1, history.size + 1)
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for stage in np.unique(stages):
    at = iterations[stages == stage]
    if stage % 2:
        left.axvspan(at[0] - 0.5, at[-1] + 0.5, color="0.92")
    left.plot(at, history[stages == stage], marker=".", color="C0")
left.set(
    xlabel="iteration", ylabel="objective", title="Falls in every stage of the schedule", xlim=(0, history.size + 1)
)

# %%
# In the middle, R2 of the three models; on the right, the sensitivity of the rule to each
# measurement. It bounds how far the prediction can move with the input, and is an attribute of the
# fitted estimator.

position = np.arange(len(scores))
for offset, part, colour in ((-0.2, 0, "0.75"), (0.2, 1, "C0")):
    heights = [score[part] for score in scores.values()]
    bars = middle.bar(position + offset, heights, width=0.4, color=colour, label=("training", "new patients")[part])
    middle.bar_label(bars, fmt="%.2f", padding=2)
middle.set(xticks=position, xticklabels=scores, ylabel="R2", title="Held-out patients", ylim=(0, 0.75))
middle.legend(loc="upper left", ncols=2, frameon=False)

order = np.argsort(rule.feature_importances_)
right.barh(np.array(data.feature_names)[order], rule.feature_importances_[order], color="C0")
right.set(xlabel="sensitivity, in standard deviations", title="What the rule listens to")

plt.show()
