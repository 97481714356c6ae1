"""
Feedback bends the boundary: two moons and digits
=================================================

A rule ``x = phi(A x + B u + b)`` with ``A = 0`` is a network with one hidden layer. Two hidden features of it can bend
a boundary twice, but both times to the same side, and two moons need one bend to each side. The bound ``kappa`` on
``||A||_inf`` is how much the features may feed back on each other: with enough of it the same two features do what took
a wider or deeper network. With so few features many starts end at a poor minimum, so the best of 24 is kept.

On the digits, the states are features that the rule has learned: the first two principal components of the states tell
classes apart better than those of the pixels.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_moons
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

# %%
# Two moons, two hidden features, no direct term: only the bound on the feedback differs.

X_train, y_train = make_moons(200, noise=0.15, random_state=0)
X_test, y_test = make_moons(400, noise=0.15, random_state=1)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained")
for ax, kappa in zip(axes, (0.0, 0.8), strict=True):
    model = ImplicitClassifier(n_hidden=2, kappa=kappa, alpha=1e-3, direct=False, n_init=24, tol=2e-3, random_state=0)
    with warnings.catch_warnings():
        # One of the 24 starts may not be at its end; the best one is kept.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, y_train)
    bends_both_ways = model.score(X_train, y_train) > 0.95
    assert bends_both_ways == (kappa > 0)
    DecisionBoundaryDisplay.from_estimator(
        model,
        X_train,
        response_method="predict_proba",
        cmap="RdBu_r",
        alpha=0.6,
        vmin=0,
        vmax=1,
        ax=ax,
        grid_resolution=150,
    )
    ax.scatter(*X_test.T, c=y_test, cmap="RdBu_r", edgecolor="k", linewidth=0.3, s=14)
    ax.set_title(
        f"kappa = {kappa:g}\naccuracy {model.score(X_train, y_train):.3f} train, "
        f"{model.score(X_test, y_test):.3f} test",
        fontsize=10,
    )
figure.suptitle("Probability of the second class; points are test samples")

# %%
# Digits: the same number of components, of the pixels and of the states.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
model = make_pipeline(
    StandardScaler(), ImplicitClassifier(n_hidden=20, alpha=0.005, max_iter=100, tol=5e-3, random_state=0)
)
model.fit(X_train, y_train)

views = {
    "pixels": (model[0].transform(X_train), model[0].transform(X_test)),
    "states": (model.transform(X_train), model.transform(X_test)),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
accuracies = []
for ax, (name, (train, test)) in zip(axes, views.items(), strict=True):
    pca = PCA(2).fit(train)
    plane = pca.transform(test)
    near = KNeighborsClassifier(15).fit(pca.transform(train), y_train)
    for digit in range(10):
        ax.scatter(*plane[y_test == digit].T, s=35, marker=f"${digit}$", color=f"C{digit % 7}", linewidth=0.3)
    accuracy = near.score(plane, y_test)
    accuracies.append(accuracy)
    ax.set_title(f"two components of the {name}\naccuracy of 15 neighbours in the plane: {accuracy:.2f}")
    ax.set(xticks=[], yticks=[])
assert accuracies[1] > accuracies[0]
figure.suptitle(f"Digits: test accuracy of the rule {model.score(X_test, y_test):.3f}")
plt.show()
