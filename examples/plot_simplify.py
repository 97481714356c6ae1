"""
The structure that the data want
================================

**Of a rule that tells four digits apart half of the states, less than half of the weights and no feedback are left, at
the same accuracy on held-out rows within one in a hundred.**

A rule starts with all states free to need one another. :func:`~skimplicit.distill.simplify` takes states, feedback and
weights away as long as rows that it holds out are classified as well. The images are of 3, 5, 8 and 9, by their eight
largest principal components.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skimplicit import ImplicitClassifier
from skimplicit.distill import simplify
from skimplicit.inspection import STYLE, RuleGraphDisplay

plt.style.use(STYLE)

images, digit = load_digits(return_X_y=True)
kept = np.isin(digit, [3, 5, 8, 9])
X, y = PCA(8, random_state=0).fit_transform(images)[kept], digit[kept]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
model = ImplicitClassifier(n_hidden=8, alpha=0.01, tol=1e-3, random_state=0).fit(X_train, y_train)
result = simplify(model, X_train, y_train, tolerance=0.01, random_state=0)

# %%
# The way: what was tried, what was left, and whether held-out rows allowed it.
print(f"{'start':25s} {result.before.n_weights:4d} weights, accuracy {result.score_before:.3f}")
for step in result.steps:
    print(
        f"less {step.what:20s} {step.report.n_weights:4d} weights, accuracy {step.score:.3f}",
        "" if step.accepted else "(no)",
    )

# %%
# An :class:`~skimplicit.distill.ArchitectureReport` says what the rule was and what it is now; the test rows, which
# neither training nor simplification has seen, say what was lost: .03 here, more than on the rows that chose.
scores = model.score(X_test, y_test), result.estimator.score(X_test, y_test)
print(f"before: {result.before}\n        test accuracy {scores[0]:.3f}")
print(f"after:  {result.after}\n        test accuracy {scores[1]:.3f}")
assert result.after.n_weights < 0.5 * result.before.n_weights
assert result.after.is_feedforward and not result.before.is_feedforward
assert scores[1] > scores[0] - 0.03

# %%
# Both as graphs: inputs on the left, logits on the right, feedback dashed. Weights count by how far their inputs move.
for rule in (model, result.estimator):
    RuleGraphDisplay.from_estimator(rule, per=X.std(axis=0), feature_names=[f"component {k}" for k in range(1, 9)])
plt.show()
