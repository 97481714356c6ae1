"""
Custom constraints: filters that can be read
============================================

A detector measures light in 40 channels. Two substances shine, each in a band of its own, and the
target rises once either is above a threshold. A rule ``y = C x + c``, ``x = relu(A x + B u + b)``
learns that from 80 noisy spectra: every row of ``B`` is a filter over the channels. Light adds up,
so a filter with negative entries has no physical meaning, and that is a convex constraint,
``B >= 0``, handed over as a function of two CVXPY expressions.
"""

import matplotlib.pyplot as plt
import numpy as np

from skimplicit import ImplicitRegressor
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

CHANNELS = np.arange(40)
BANDS = np.array([np.exp(-0.5 * ((CHANNELS - centre) / 2.5) ** 2) for centre in (11, 27)])


def measure(n_samples, rng):
    amounts = rng.uniform(0, 1, size=(n_samples, 2))
    spectra = amounts @ BANDS + 0.15 * rng.normal(size=(n_samples, 40))
    return spectra, np.maximum(amounts - 0.4, 0).sum(axis=1)


rng = np.random.default_rng(0)
X_train, y_train = measure(80, rng)
X_test, y_test = measure(1000, rng)


# %%
# The constraint
# --------------
#
# The function may return any convex constraints on A (n_hidden, n_hidden) and B (n_hidden,
# n_features), in the units of the inputs as they are given. It is a function at the top of the
# module, so the model can be pickled.


def non_negative(A, B):
    return [B >= 0]


parameters = dict(n_hidden=2, direct=False, alpha=0.02, tol=1e-3, max_iter=500, random_state=0)
models = {
    "free": ImplicitRegressor(**parameters),
    "B >= 0": ImplicitRegressor(constraints=non_negative, **parameters),
}
for name, model in models.items():
    model.fit(X_train, y_train)
    print(
        f"{name:7s} smallest entry of B {model.rule_.B.min():9.1e}; "
        f"R2 {model.score(X_train, y_train):.3f} on 80 spectra, {model.score(X_test, y_test):.3f} on new ones"
    )

# %%
# The effect
# ----------
#
# The free filters fit the noise of channels in which nothing shines. The constrained ones leave most
# of these out and gather in the bands, and they predict better. The scale of a filter is arbitrary (C
# undoes it), so each is shown relative to its largest entry.

figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharex=True, sharey=True, layout="constrained")
for axis, (name, model) in zip(axes, models.items(), strict=True):
    for band in BANDS:
        axis.fill_between(CHANNELS, band, color="0.9", zorder=0)
    B = model.rule_.B
    for state in np.argsort(np.abs(B).argmax(axis=1)):
        axis.step(CHANNELS, B[state] / np.abs(B[state]).max(), where="mid")
    axis.axhline(0, color="0.4", lw=0.8)
    axis.set(xlabel="channel", title=f"{name}: R2 {model.score(X_test, y_test):.2f} on new spectra")
axes[0].set_ylabel("filter (rows of B); bands in grey")

plt.show()
