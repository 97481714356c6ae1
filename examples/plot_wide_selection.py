"""
Select from a thousand columns
==============================

**Of 1,000 columns the selector keeps the five that matter, two of them without any linear trace, and at most two
others; a random forest and the lasso keep dozens that fit 300 rows by chance.**

Wide data are where selection goes wrong by itself: among 995 columns of noise some fit any 300 targets. The made data
here are of the kind of gene expression, with a target that depends on five columns. Two of them act by a corner of the
absolute value: up and down alike, so that a linear model sees nothing.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LassoCV
from sklearn.neighbors import KNeighborsRegressor

from skimplicit import ImplicitFeatureSelector
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

rng = np.random.default_rng(0)
X = rng.standard_normal((600, 1000))
true = np.arange(5)
signal = 2 * X[:, 0] - 2 * X[:, 1] + 3 * np.maximum(X[:, 2], 0) + 3 * np.abs(X[:, 3]) + 3 * np.abs(X[:, 4])
y = signal + rng.standard_normal(600)
X_train, X_test, y_train, y_test = X[:300], X[300:], y[:300], y[300:]

# %%
# Three selectors, nobody told how many columns there are to find. Nearest neighbours, which every column of noise leads
# astray, then show what a selection is worth to a model that comes after it.
selectors = {
    "lasso": SelectFromModel(LassoCV()),
    "random forest": SelectFromModel(RandomForestRegressor(50, random_state=0)),
    "implicit": ImplicitFeatureSelector(random_state=0),
}
found, scores = {}, {}
for name, selector in selectors.items():
    begin = perf_counter()
    found[name] = selector.fit(X_train, y_train).get_support(indices=True)
    seconds = perf_counter() - begin
    neighbours = KNeighborsRegressor().fit(X_train[:, found[name]], y_train)
    scores[name] = neighbours.score(X_test[:, found[name]], y_test)
    kept = np.isin(found[name], true).sum()
    print(
        f"{name:>13}: {kept} of 5 that matter, {found[name].size - kept:3d} others, "
        f"R2 of nearest neighbours {scores[name]:.2f}, {seconds:.0f} s"
    )
assert set(true) <= set(found["implicit"]) and found["implicit"].size <= true.size + 2

# %%
# What each of them keeps, in the order of the columns.
figure, (ax, bars) = plt.subplots(1, 2, figsize=(8, 2.8), width_ratios=(3, 1), sharey=True, layout="constrained")
for row, columns in enumerate(found.values()):
    others = columns[~np.isin(columns, true)]
    ax.scatter(others, np.full(others.size, row), marker="|", s=300, color="0.6")
    said = f"{np.isin(true, columns).sum()} of 5 that matter, {others.size} others"
    ax.annotate(said, (500, row + 0.32), ha="center", va="center")
    ax.scatter(true[np.isin(true, columns)], np.full(np.isin(true, columns).sum(), row), marker="|", s=300, color="C1")
ax.set(yticks=range(3), yticklabels=list(found), xlabel="column (grey: kept, but only noise)", ylim=(-0.5, 2.6))
bars.barh(range(3), list(scores.values()), color=["0.6", "0.6", "C0"], height=0.5)
bars.set(xlabel="R2 of neighbours\non the kept columns")
plt.show()
