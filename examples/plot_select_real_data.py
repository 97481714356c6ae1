"""
Probe a selection with inputs known to be useless
=================================================

**On the diabetes data the selector keeps five of the ten measurements and none of ten shuffled copies of them.**

A shuffled column has the distribution of the real one and no relation to the target: a probe. How many probes a
selector keeps tells how far its selection can be trusted where the truth is not known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

data = load_diabetes()
rng = np.random.default_rng(0)
X = np.hstack([data.data, rng.permuted(data.data, axis=0)])
names = np.array([*data.feature_names, *(f"{name} shuffled" for name in data.feature_names)])
is_probe = np.arange(names.size) >= data.data.shape[1]

# %%
# The target is noisy, so that a small rule with a larger ridge fits it best.
selector = ImplicitFeatureSelector(estimator=ImplicitRegressor(n_hidden=10, alpha=0.1, tol=1e-4), random_state=0)
model = make_pipeline(StandardScaler(), selector).fit(X, data.target)
selector = model[-1]
print("selected:", ", ".join(selector.get_feature_names_out(names)))
print("probes among them:", int(is_probe[selector.support_].sum()))
assert set(selector.get_feature_names_out(names)) == {"sex", "bmi", "bp", "s3", "s5"}

# %%
# How often each input is among the five best when the path sees only the training part of a fold. Every fold takes
# ``bmi``, ``bp`` and ``s5``, and none takes a probe. With ``random_state=2`` the same five are selected, with 1 these
# three alone, and no probe with either, though single folds then take one, or miss one of the three.
frequency = dict(zip(names, selector.selection_frequency_, strict=True))
assert frequency["bmi"] == frequency["bp"] == frequency["s5"] == 1
assert not selector.selection_frequency_[is_probe].any()
assert 0.5 < frequency["s3"] < 1
order = np.argsort(selector.selection_frequency_, kind="stable")
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
ax.barh(names[order], selector.selection_frequency_[order], color=np.where(is_probe[order], "0.7", "C0"))
for j in np.flatnonzero(selector.support_[order]):
    ax.get_yticklabels()[j].set_fontweight("bold")
ax.set(xlabel="share of the folds that select the input (bold: selected on all data)", xlim=(0, 1.02))
plt.show()
