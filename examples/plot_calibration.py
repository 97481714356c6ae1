"""
Probabilities that mean what they say
=====================================

The classifier minimises the cross-entropy with free intercepts: among the training samples, the mean probability of
every class equals its share. On new samples that is not enough. With next to no ridge the rule is too sure of itself,
as the curve below the diagonal at high probabilities shows; a ridge holds it back, and the Brier score falls.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_moons
from sklearn.metrics import brier_score_loss

from skimplicit import ImplicitClassifier
from skimplicit.inspection import STYLE

plt.style.use(STYLE)

X_train, y_train = make_moons(150, noise=0.4, random_state=0)
X_test, y_test = make_moons(4000, noise=0.4, random_state=1)

figure, (curve, histogram) = plt.subplots(2, 1, figsize=(6, 7), height_ratios=(3, 1), layout="constrained")
for alpha in (1e-5, 0.02):
    model = ImplicitClassifier(alpha=alpha, tol=1e-4, max_iter=400, random_state=0).fit(X_train, y_train)
    probability = model.predict_proba(X_test)[:, 1]
    label = f"alpha = {alpha:g}, Brier score {brier_score_loss(y_test, probability):.3f}"
    CalibrationDisplay.from_predictions(y_test, probability, n_bins=10, name=label, ax=curve)
    histogram.hist(probability, bins=20, histtype="step", linewidth=2)
curve.set_title("Reliability on 4000 new samples")
histogram.set(xlabel="predicted probability", ylabel="samples")
plt.show()
