"""
Recover the inputs of a rule
============================

**A student with the wrong number of hidden features still finds which inputs its teacher uses, and how strongly.**

The teacher is a random implicit rule with 20 hidden features. It reads 10 of 50 inputs and writes 100 noisy outputs.
The student has 10 hidden features and is told neither the number of inputs nor that of hidden features.
"""

import matplotlib.pyplot as plt
import numpy as np

from skimplicit import ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.inspection import STYLE, ColumnNormsDisplay, ColumnPathDisplay

plt.style.use(STYLE)

# %%
# The teacher: ``A`` has infinity norm 0.5, and only 10 columns of ``B`` are not zero.
rng = np.random.default_rng(0)
n_hidden, n_inputs, n_active, n_outputs, n_samples = 20, 50, 10, 100, 400
active = np.sort(rng.choice(n_inputs, n_active, replace=False))
A = rng.standard_normal((n_hidden, n_hidden))
A *= 0.5 / np.abs(A).sum(axis=1).max()
B = np.zeros((n_hidden, n_inputs))
B[:, active] = rng.standard_normal((n_hidden, n_active))
teacher = ImplicitRule(A, B, rng.standard_normal((n_outputs, n_hidden)))

X = rng.standard_normal((n_samples, n_inputs))
Y = teacher.predict(X)
Y += 0.1 * Y.std() * rng.standard_normal(Y.shape)

# %%
# A path of rules under ever smaller budgets ranks the inputs; cross-validation says how many of them are enough.
student = ImplicitRegressor(n_hidden=10, tol=1e-4)
selector = ImplicitFeatureSelector(estimator=student, cv=3, random_state=0).fit(X, Y)
true_norms = np.abs(B).max(axis=0)
learned = selector.column_norms_[selector.column_budgets_ == selector.best_budget_][0]
print("inputs of the teacher:", *active)
print("inputs selected:      ", *selector.get_support(indices=True))
print(f"correlation of learned and true column norms: {np.corrcoef(learned, true_norms)[0, 1]:.3f}")

# %%
# The column norms of the student's ``B``, at the budget where the selected inputs stand out most, beside the teacher's.
ColumnNormsDisplay.from_estimator(selector, true_norms=true_norms)

# %%
# The path on which they were found, and the validation score of rules refitted on the best few inputs of each fold.
ColumnPathDisplay.from_estimator(selector)
plt.show()
