"""
Intervals that come with the fit
================================

With ``alpha="auto"``, the default, a fit holds rows out to choose its ridge. How far its members miss those rows is how
far they will miss new ones, so ``predict_interval`` costs no further fit. Here it is asked for nine targets in ten, on
the diabetes data: of the patients that no fit has seen, nine in ten are inside.

MAPIE's conformal wrappers, made for any regressor of scikit-learn, work with this one as well; they are shown where
``mapie`` is installed. Split conformal prediction proves its coverage, and sets a quarter of the rows aside for that,
from which the model then learns nothing. (Cross-conformal prediction would fit the model five times more.)
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, train_test_split

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE

try:
    from mapie.regression import SplitConformalRegressor
except ImportError:
    SplitConformalRegressor = None

plt.style.use(STYLE)
X, y = load_diabetes(return_X_y=True)
bounds = {"predict_interval": np.empty((len(y), 2))}
if SplitConformalRegressor is not None:
    bounds["MAPIE, split"] = np.empty((len(y), 2))
predictions = np.empty(len(y))

for train, test in KFold(5, shuffle=True, random_state=0).split(X):
    model = ImplicitRegressor(n_hidden=5, random_state=0).fit(X[train], y[train])
    predictions[test] = model.predict(X[test])
    bounds["predict_interval"][test] = model.predict_interval(X[test], coverage=0.9)
    if SplitConformalRegressor is not None:
        fitted, aside = train_test_split(train, test_size=0.25, random_state=0)
        fewer = ImplicitRegressor(n_hidden=5, random_state=0).fit(X[fitted], y[fitted])
        conformal = SplitConformalRegressor(fewer, confidence_level=0.9, prefit=True).conformalize(X[aside], y[aside])
        bounds["MAPIE, split"][test] = conformal.predict_interval(X[test])[1][:, :, 0]

inside = {name: (b[:, 0] <= y) & (y <= b[:, 1]) for name, b in bounds.items()}
for name, b in bounds.items():
    print(f"{name}: {inside[name].mean():.3f} inside, width {np.mean(np.ptp(b, axis=1)):.0f}")
    assert 0.86 <= inside[name].mean() <= 0.94

# %%
# Left, every third patient in the order of the predictions; right, the share inside, by fifths of the predictions. The
# promise is for the mean over all patients.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), width_ratios=(3, 2), layout="constrained")
shown = np.argsort(predictions)[::3]
low, high = bounds["predict_interval"][shown].T
place = np.arange(len(shown))
left.vlines(place, low, high, color="C0", alpha=0.35, linewidth=2)
left.plot(place, predictions[shown], color="C0", label="prediction")
hit = inside["predict_interval"][shown]
left.plot(place[hit], y[shown][hit], ".", color="black", markersize=4, label="inside its interval")
left.plot(place[~hit], y[shown][~hit], "x", color="C1", markersize=6, label="outside")
left.set(xlabel="patients, by prediction", ylabel="disease progression after a year", title="Intervals for nine in ten")
left.legend(loc="upper left")

fifths = np.array_split(np.argsort(predictions), 5)
width = 0.8 / len(bounds)
for k, (name, hits) in enumerate(inside.items()):
    label = f"{name}: {hits.mean():.1%} of all"
    right.bar(np.arange(5) + k * width, [hits[rows].mean() for rows in fifths], width, label=label)
right.axhline(0.9, color="black", linewidth=1, linestyle="--")
right.set(xlabel="fifths of the predictions", ylabel="share inside", ylim=(0.6, 1.08), title="On patients not seen")
right.set_xticks(np.arange(5) + width * (len(bounds) - 1) / 2, ["lowest", "2", "3", "4", "highest"])
right.legend(loc="upper left")
plt.show()
