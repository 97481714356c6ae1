"""
Why this prediction?
====================

**On the same model the contributions of** :func:`~skimplicit.inspection.explain` **order the inputs of a patient nearly
as Shapley values do, in a small part of their time.**

The data are 442 patients with ten measurements; the target is how far diabetes progressed in a year. A contribution
says how much an input moves the prediction away from that for the mean patient; together they are the whole difference.
"""

from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE, ContributionsDisplay, explain

plt.style.use(STYLE)

data = load_diabetes(scaled=False)
X, y, names = data.data, data.target, data.feature_names
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=50, random_state=0)
model = ImplicitRegressor(n_hidden=10, alpha=0.03, tol=1e-3, random_state=0).fit(X_train, y_train)

# %%
# Contributions are integrals of the gradient along the straight way from the mean patient. A rule is affine from kink
# to kink on it, so they are exact, and their sum is the prediction less that for the mean.
begin = process_time()
found = explain(model, X_test)
seconds = process_time() - begin
gap = np.abs(found.reference_value + found.contributions.sum(axis=1) - found.predictions).max()
print(f"explain: {seconds:.3f} s for {len(X_test)} patients, largest gap of a sum {gap:.1e}")
assert gap < 1e-9 * np.abs(found.predictions).max()

# %%
# Shapley values of the same predictions, with the same reference: the mean over all orders in which inputs can change
# from its values to those of the patient, of which 5 are tried here, forth and back. They need the package ``shap``;
# without it this part is left out.
try:
    import shap
except ImportError:
    print("shap is not installed: no comparison")
    shapley = None
else:
    explainer = shap.PermutationExplainer(model.predict, found.reference[None], seed=0)
    begin = process_time()
    shapley = explainer(X_test, max_evals=5 * 21, silent=True).values
    slower = (process_time() - begin) / seconds
    agreement = np.mean(
        [spearmanr(ours, theirs).statistic for ours, theirs in zip(found.contributions, shapley, strict=True)]
    )
    print(f"shap: {slower:.0f} times as long; rank correlation within a patient {agreement:.3f} in the mean")
    assert agreement > 0.85 and slower > 2

# %%
# All patients: each is a point for each input, with the inputs that matter most on top. A high body mass index and a
# high ``s5`` raise the prediction.
ContributionsDisplay.from_estimator(model, X_test, feature_names=names)

# %%
# One patient, the one whose prediction is highest, by both.
row = int(found.predictions.argmax())
panels = {"explain": found.contributions} | ({} if shapley is None else {"shap": shapley})
figure, axes = plt.subplots(
    1, len(panels), figsize=(4.2 * len(panels), 3.6), sharex=True, layout="constrained", squeeze=False
)
for ax, (name, values) in zip(axes[0], panels.items(), strict=True):
    ContributionsDisplay(values[row : row + 1], feature_names=names).plot(ax=ax)
    ax.set_title(name)
figure.suptitle(f"predicted {found.predictions[row]:.0f}, mean patient {found.reference_value:.0f}")
plt.show()
