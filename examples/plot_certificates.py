r"""
Certificates for a perceptron and for an implicit rule
======================================================

Two classifiers of breast tumours are asked how far the 30 measurements may all be off, at the same time, before the
diagnosis can change. Bounds say what cannot happen, an attack what can; the truth is in the shaded gap.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier
from skimplicit.inspection import STYLE, RobustnessDisplay
from skimplicit.networks import from_sklearn

plt.style.use(STYLE)

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=60, random_state=0, stratify=y)
scale = X_train.std(axis=0)

# %%
# A perceptron is certified as the rule it is; the radius is in standard deviations of each input. The implicit rule
# has no direct term here: with it, held-out rows choose a linear rule for these data, of which every bound is exact.

network = make_pipeline(StandardScaler(), MLPClassifier((20, 20), alpha=1.0, max_iter=1000, random_state=0))
network.fit(X_train, y_train)
implicit = ImplicitClassifier(n_members=1, direct=False, random_state=0).fit(X_train, y_train)

# %%
# Certified by the sensitivity matrix, by boxes, and by linear programs.

radii = np.linspace(0, 0.3, 5)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, title, model in zip(
    axes, ("MLPClassifier", "ImplicitClassifier"), (from_sklearn(network), implicit), strict=True
):
    shares = []
    for method in ("sensitivity", "mixed-monotone", "lp"):
        display = RobustnessDisplay.from_estimator(
            model, X_test, y_test, radii, scale=scale, method=method, random_state=0, name=method, ax=ax
        )
        shares.append(display.certified)
        assert np.all(display.certified <= display.attacked)
    assert np.all(shares[0] <= shares[1]) and np.all(shares[1] <= shares[2])
    ax.set(title=title, xlabel="radius / standard deviation")
axes[1].get_legend().remove()  # it is the same
plt.show()
