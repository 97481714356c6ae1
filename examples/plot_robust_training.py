"""
Rules that are robust by training
=================================

A certificate says how far inputs may move before a label can change. For a rule that was trained for accuracy alone
that is not far. ``lipschitz=L`` bounds how far any logit moves, so that the same margins withstand larger changes; the
bound holds for the stored rule, everywhere, and :func:`skimplicit.robustness.lipschitz_bound` confirms it.

Here the bound is set on breast cancer data (30 measurements, scaled to deviation one) and on handwritten digits (64
pixels from 0 to 1).
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitClassifier
from skimplicit.inspection import STYLE
from skimplicit.robustness import certify, lipschitz_bound

plt.style.use(STYLE)
warnings.simplefilter("ignore", ConvergenceWarning)  # 30 iterations on purpose

# %%
# Two sets, each with and without a bound. For pixels between 0 and 1 a change of .02 is 5 levels of grey of 256.
cancer, malignant = load_breast_cancer(return_X_y=True)
digits, number = load_digits(return_X_y=True)
sets = {
    "breast cancer": (StandardScaler().fit_transform(cancer), malignant, [None, 5.0, 1.0], [0.0, 0.1, 0.2, 0.3]),
    "digits": (digits / 16, number, [None, 10.0], [0.0, 0.01, 0.02, 0.04]),
}


def certified_shares(X, y, L, radii):
    """Shares of held-out rows whose label is proved for all changes up to each radius."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=400, test_size=150, random_state=0, stratify=y)
    model = ImplicitClassifier(n_hidden=10, alpha=1e-3, lipschitz=L, max_iter=15, random_state=0)
    with warnings.catch_warnings():  # a few iterations more would change little
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, y_train)
    assert L is None or lipschitz_bound(model) <= L * (1 + 1e-9)
    shares = [model.score(X_test, y_test)]
    shares += [certify(model, X_test, y_test, radius, method="mixed-monotone").mean() for radius in radii[1:]]
    print(f"  L = {L!s:>5}: bound {lipschitz_bound(model):8.2f}, certified", " ".join(f"{s:.3f}" for s in shares))
    return shares


figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
for ax, (name, (X, y, bounds, radii)) in zip(axes, sets.items(), strict=True):
    print(name, "at radii", radii)
    results = {L: certified_shares(X, y, L, radii) for L in bounds}
    for L, shares in results.items():
        ax.plot(radii, shares, marker="o", label="no bound" if L is None else f"lipschitz={L:g}")
    ax.set(title=name, xlabel="largest change of an input", ylim=(0, 1.02))
    ax.legend()
    # With the tighter bound more rows are certified at the largest radius than without one.
    assert results[bounds[-1]][-1] > results[None][-1]
axes[0].set_ylabel("accuracy that is certified")
plt.show()
