"""
Select inputs where a linear model is blind
===========================================

**The selector keeps the five inputs that matter and drops the 45 that do not, and the rule refitted on the five
predicts better than models that read all 50.**

Friedman's first problem is ``10 sin(pi x0 x1) + 20 (x2 - 0.5)^2 + 10 x3 + 5 x4`` plus noise. Input 2 acts only
through a square: it has no linear correlation with the target, and a linear selector cannot see it. To its ten inputs,
of which five matter, we add 40 of pure noise.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LassoCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.inspection import STYLE, ColumnPathDisplay

plt.style.use(STYLE)

X, y = make_friedman1(1000, n_features=50, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Nobody tells the selector how many inputs there are to find.
selector = ImplicitFeatureSelector(estimator=ImplicitRegressor(tol=1e-4), column_budgets=12, cv=3, random_state=0)
model = make_pipeline(StandardScaler(), selector).fit(X_train, y_train)
selector = model[-1]
print("selected inputs:", *selector.get_support(indices=True))

# %%
# ``LassoCV`` does not find input 2, and keeps others instead.
lasso = make_pipeline(StandardScaler(), LassoCV()).fit(X_train, y_train)
print("inputs with a coefficient in LassoCV:", *np.flatnonzero(lasso[-1].coef_))

# %%
# R2 on samples that no model has seen. The noise allows 0.96.
boosting = HistGradientBoostingRegressor(random_state=0).fit(X_train, y_train)
scores = {
    "implicit rule on the\nselected inputs": model.score(X_test, y_test),
    "HistGradientBoosting": boosting.score(X_test, y_test),
    "LassoCV": lasso.score(X_test, y_test),
}
for name, score in scores.items():
    print(f"{score:.3f}  {' '.join(name.split())}")

# %%
# Along the path the five inputs part from the 45 others; the score falls as soon as one of the five is missing.
ColumnPathDisplay.from_estimator(selector)

# %%
figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
bars = ax.barh(list(scores), list(scores.values()), color=["C0", "0.6", "0.6"])
ax.bar_label(bars, fmt="%.3f", label_type="center", color="white")
ax.axvline(0.96, color="0.2", linestyle="--", linewidth=1)
ax.invert_yaxis()
ax.set(xlim=(0, 1), xlabel="$R^2$ on held-out samples (dashed: all the noise allows)")
plt.show()
