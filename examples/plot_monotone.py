"""
A response that never falls
===========================

**Fitted freely, a rule predicts for some patients that the disease goes on more slowly if their blood pressure were
higher. With** ``monotonic_cst`` **that is impossible, and held-out patients are predicted better.**

The data are 442 patients with ten measurements; the target is how far diabetes progressed in a year. What is known
beforehand, that it does not slow down with a higher body mass index or blood pressure, goes into the training.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit
from threadpoolctl import threadpool_limits

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE
from skimplicit.robustness import is_monotone

plt.style.use(STYLE)
warnings.simplefilter("ignore", ConvergenceWarning)  # 30 iterations on purpose
threadpool_limits(1)  # for boosting: on so few rows threads only wait for one another

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
RISING = {"bmi": 1, "bp": 1}
MODELS = {
    "free": ImplicitRegressor(n_hidden=10, alpha=0.03, max_iter=30, random_state=0),
    "monotonic_cst": ImplicitRegressor(n_hidden=10, alpha=0.03, max_iter=30, random_state=0, monotonic_cst=RISING),
    "boosting, monotonic_cst": HistGradientBoostingRegressor(random_state=0, monotonic_cst=RISING),
}

# %%
# Five splits. A small ridge leaves the free rule room to fit noise; signs take away what cannot be true.
splits = list(ShuffleSplit(5, test_size=0.3, random_state=0).split(X))
scores = {
    name: np.mean([model.fit(X.iloc[a], y.iloc[a]).score(X.iloc[b], y.iloc[b]) for a, b in splits])
    for name, model in MODELS.items()
}
for name, score in scores.items():
    print(f"{name:25s} held-out R2 {score:.3f}")
assert scores["monotonic_cst"] > scores["free"]

# %%
# What each model would say of the held-out patients of the first split at other blood pressures, everything else as it
# is. Lines that fall somewhere are drawn in colour. :func:`~skimplicit.robustness.is_monotone` looks at the stored rule
# and proves that there is none, for any patient.
train, test = splits[0]
pressures = np.linspace(X["bp"].min(), X["bp"].max(), 60)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
share = {}
for ax, (name, model) in zip(axes, MODELS.items(), strict=True):
    model.fit(X.iloc[train], y.iloc[train])
    curves = np.array([model.predict(X.iloc[test].assign(bp=pressure)) for pressure in pressures])
    falls = np.diff(curves, axis=0).min(axis=0) < -1e-9 * np.abs(curves).max()
    ax.plot(pressures, curves[:, ~falls], color="0.7", linewidth=0.7)
    ax.plot(pressures, curves[:, falls], color="C1", linewidth=0.7)
    share[name] = falls.mean()
    ax.set(title=f"{name}: {falls.mean():.0%} fall", xlabel="blood pressure")
axes[0].set_ylabel("predicted progression")

rules = MODELS["free"].rule_, MODELS["monotonic_cst"].rule_
names = list(X.columns)
print("proved by the stored rules:", *(is_monotone(rule, names.index("bp")) for rule in rules))
assert share["free"] > 0.1 and share["monotonic_cst"] == 0
assert all(is_monotone(rules[1], names.index(name)) == 1 for name in RISING)
plt.show()
