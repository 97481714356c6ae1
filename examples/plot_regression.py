"""
Regression: nothing to tune, on linear and on curved data
=========================================================

442 patients, ten measurements each, and how far their diabetes has progressed a year later: noisy data on which a
linear model is hard to beat. And 800 rows of Friedman's first function, where it is easy to beat. With its defaults,
:class:`~skimplicit.ImplicitRegressor` is as good as :class:`~sklearn.linear_model.RidgeCV` on the first and better
than a network and boosting on the second, since rows that its members have not seen choose its ridge, and whether
there are states at all.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE

plt.style.use(STYLE)
threadpool_limits(1)  # for boosting: on so few rows threads only wait for one another

data = {
    "442 patients": load_diabetes(return_X_y=True),
    "Friedman 1": make_friedman1(800, n_features=7, noise=1.0, random_state=0),
}
network = MLPRegressor(max_iter=2000, random_state=0)
models = {
    "RidgeCV": RidgeCV(np.logspace(-3, 3, 13)),
    "MLP": TransformedTargetRegressor(network, transformer=StandardScaler()),
    "boosting": HistGradientBoostingRegressor(random_state=0),
    "implicit": ImplicitRegressor(random_state=0),
}

# %%
# Four models, two sets
# ---------------------
#
# Inputs are standardised, and a quarter of the rows is held out. All else is at its default, but with favours to two:
# ``RidgeCV`` has 13 ridges to choose from, and the network standardised targets and up to 2,000 epochs.

scores, fitted = {}, {}
for name, (X, y) in data.items():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    for label, model in models.items():
        pipeline = make_pipeline(StandardScaler(), model).fit(X_train, y_train)
        scores[name, label] = pipeline.score(X_test, y_test)
        print(f"{name:12s}  {label:9s} R2 on new rows: {scores[name, label]:6.3f}")
    # The pipeline holds the model itself: take what there is to see before it is fitted to the next set.
    rule, predictions = pipeline[-1], pipeline.predict(X_test)
    fitted[name] = rule.alphas_, rule.heldout_scores_, rule.alpha_, rule.is_linear_, rule.heldout_score_
    band = rule.predict_interval(pipeline[0].transform(X_test), coverage=0.9)

real, made = data
assert scores[real, "implicit"] >= scores[real, "RidgeCV"] - 0.015
assert scores[made, "implicit"] >= max(scores[made, other] for other in ("RidgeCV", "MLP", "boosting"))

# %%
# What the fit has found out
# --------------------------
#
# On the left, R2 on new rows. In the middle, how the ridge was chosen: R2 on rows that members have not seen, over the
# ridge. The best ridge differs by a factor of hundreds. On the right, 90 % intervals for new rows of Friedman 1, from
# the same held-out errors.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
place = np.arange(len(models))
for offset, (name, colour) in zip((-0.2, 0.2), zip(data, ("C1", "C0"), strict=True), strict=True):
    heights = [scores[name, label] for label in models]
    bars = left.bar(place + offset, np.maximum(heights, 0), width=0.38, color=colour, label=name)
    left.bar_label(bars, [f"{height:.2f}" for height in heights], padding=2)
left.set(xticks=place, xticklabels=models, ylabel="R2 on new rows", ylim=(0, 1.2), title="Nothing tuned")
left.legend(loc="upper left", ncols=2, frameon=False)

for (name, (alphas, held_out, alpha, is_linear, _)), colour in zip(fitted.items(), ("C1", "C0"), strict=True):
    middle.semilogx(alphas, held_out, marker=".", color=colour, label=name + (", linear" if is_linear else ""))
    if not is_linear:
        middle.plot(alpha, held_out[np.flatnonzero(alphas == alpha)[0]], "o", ms=11, mfc="none", color=colour)
middle.set(xlabel="ridge alpha", ylabel="R2 on rows held out", ylim=(0, 1), title="The ridge is chosen by the data")
middle.legend(frameon=False, loc="center left")

inside = (band[:, 0] <= y_test) & (y_test <= band[:, 1])
order = np.argsort(predictions)
right.fill_between(np.arange(order.size), *band[order].T, color="C0", alpha=0.25, lw=0, label="90 % interval")
for mask, colour, label in ((inside, "0.3", "inside"), (~inside, "C1", "outside")):
    right.plot(np.flatnonzero(mask[order]), y_test[order][mask[order]], ".", ms=4, color=colour, label=label)
right.set(xlabel="new rows, by their prediction", ylabel="target")
right.set_title(f"{made}: {inside.mean():.0%} of new rows inside")
right.legend(frameon=False, loc="upper left")
assert 0.82 <= inside.mean() <= 0.97

picture = Path("regression.png").resolve()
figure.savefig(picture, dpi=110)
print("The picture is in", picture)
plt.show()
