"""
Probe a selection with inputs known to be useless
=================================================

**On the diabetes data the selector keeps none of ten shuffled copies, and bmi, bp and s5 whatever its seed.**

A shuffled column has the distribution of the real one and no relation to the target: a probe. How many probes a
selector keeps tells how far its selection can be trusted where the truth is not known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
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
# The target is noisy, so that a small rule with a larger ridge fits it best. Data are few: folds are drawn three times.
X = StandardScaler().fit_transform(X)
estimator = ImplicitRegressor(n_hidden=10, alpha=0.1, tol=1e-4)
for seed in (0, 1, 2):
    selector = ImplicitFeatureSelector(estimator, random_state=seed).fit(X, data.target)
    selected = names[selector.support_]
    print(f"seed {seed}: {', '.join(selected)}; probes among them: {is_probe[selector.support_].sum()}")
    assert {"bmi", "bp", "s5"} <= set(selected) <= set(data.feature_names)

# %%
# How often each input is among the best when the path sees only the training part of a fold, for the last seed. Every
# fold takes ``bmi``, ``bp`` and ``s5``. Not all take ``s3`` and ``sex``: these are in doubt, and the rules of the folds
# are asked how much worse they get, on rows that they have not seen, where the values of one of them are shuffled. By
# four standard errors for ``s3``, which is kept; what ``sex`` does could be chance. A probe is among the best on few.
frequency = dict(zip(names, selector.selection_frequency_, strict=True))
score = dict(zip(names, selector.permutation_scores_, strict=True))
print(f"permutation scores: s3 {score['s3']:.1f}, sex {score['sex']:.1f}")
assert frequency["bmi"] == frequency["bp"] == frequency["s5"] == 1
assert selector.selection_frequency_[is_probe].max() < 0.2
assert 0.5 < frequency["s3"] < 0.9 and "s3" in selected and "sex" not in selected
order = np.argsort(selector.selection_frequency_, kind="stable")
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
ax.barh(names[order], selector.selection_frequency_[order], color=np.where(is_probe[order], "0.7", "C0"))
for j in np.flatnonzero(selector.support_[order]):
    ax.get_yticklabels()[j].set_fontweight("bold")
ax.set(xlabel="share of the folds that select the input (bold: selected in the end)", xlim=(0, 1.02))
plt.show()
