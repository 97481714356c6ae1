r"""
A sparse rule from a trained network
====================================

A multilayer perceptron for handwritten digits is distilled into implicit rules :math:`x = \phi(A x + B u + b)`,
:math:`y = C x + c` that have its hidden states, by one lasso for each row of :math:`[A\ B]`. With less than half of
the network's weights a rule classifies as well. Cutting weights of the network, as many, costs more.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import issparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skimplicit.distill import distill, prune
from skimplicit.inspection import STYLE
from skimplicit.networks import from_sklearn

plt.style.use(STYLE)

# %%
# The teacher, 64-30-20-10. What it is distilled on are the inputs that trained it.

U, y = load_digits(return_X_y=True)
U_train, U_test, y_train, y_test = train_test_split(U / 16, y, test_size=719, random_state=0)
teacher = MLPClassifier(hidden_layer_sizes=(30, 20), max_iter=400, random_state=0)
with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
    teacher.fit(U_train, y_train)


def accuracy(rule):
    return np.mean(np.argmax(rule.predict(U_test), axis=1) == y_test)


# %%
# Without a penalty the rule has exactly the teacher's states, and A inside its bound, far as the teacher's layers were
# outside: a ReLU network allows that its states are rescaled.

exact = distill(teacher, U_train, l1=0)
same = np.mean(np.argmax(exact.rule.predict(U_train), axis=1) == teacher.predict(U_train))
print(f"l1=0: norm of A {exact.rule.inf_norm:.3f}, same class as the teacher on {same:.1%} of the training images")

sparse = distill(teacher, U_train)
print(f"accuracy: teacher {teacher.score(U_test, y_test):.4f}, rule {accuracy(sparse.rule):.4f}")
print(f"zeros in [A B]: {sparse.sparsity:.1%}; relative drift of the states: {sparse.relative_drift:.3f}")

# %%
# Accuracy against the share of weights that are left, for the teacher's pattern of A, for any A without self-loops, and
# for any A at all: self-loops imitate the states they belong to, and the states drift. Beside them the network itself
# as a rule, the weights cut that matter least for its outputs, with nothing fitted again.

penalties = np.geomspace(0.004, 0.3, 5)
curves = {
    "distilled, teacher's pattern": "teacher",
    "distilled, no self-loops": "no_self_loops",
    "distilled, free": None,
}
points = {}
for label, structure in curves.items():
    found = [distill(teacher, U_train, l1=l1, structure=structure) for l1 in penalties]
    points[label] = [(1 - result.sparsity, accuracy(result.rule)) for result in found]
network = from_sklearn(teacher).rescaled(0.95)
cuts = [prune(network, U_train, tolerance=tolerance) for tolerance in np.geomspace(0.3, 300, 5)]
points["network, weights cut"] = [(1 - cut.sparsity, accuracy(cut.rule)) for cut in cuts]

# %%
# Both, and the weights ``[A B]`` before and after: states of the second layer on top, then those of the first, which
# alone see the inputs of the network. The rule may use inputs in every layer.

fig = plt.figure(figsize=(11, 7.5), layout="constrained")
top, bottom = fig.subfigures(2, 1, height_ratios=(1.1, 1))
ax = top.subplots()
for (label, curve), colour in zip(points.items(), ("C0", "C2", "C1", "0.45"), strict=True):
    ax.plot(*np.transpose(curve), "o-", color=colour, label=label, ms=4)
ax.axhline(teacher.score(U_test, y_test), color="black", lw=0.8, ls="--", label="teacher")
ax.set(
    xlabel="share of the entries of [A B] that are not zero", ylabel="test accuracy", ylim=(0.75, 0.98), xlim=(0, 0.45)
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
ax.grid(alpha=0.3)


def draw(ax, rule, title):
    weights = np.hstack([M.toarray() if issparse(M) else M for M in (rule.A, rule.B)])
    image = np.where(weights == 0, np.nan, weights / np.abs(weights).max(axis=1, keepdims=True))
    ax.imshow(image, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.axvline(49.5, color="black", lw=1)
    ax.axhline(19.5, color="0.6", lw=0.8)
    ax.axvline(19.5, color="0.6", lw=0.8)
    ax.set_xticks([9.5, 34.5, 81.5], ["layer 2", "layer 1", "inputs"])
    ax.set_yticks([9.5, 34.5], ["layer 2", "layer 1"], rotation=90, va="center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)
    ax.set_title(title, fontsize=11)


axes = bottom.subplots(1, 2)
draw(axes[0], network, f"network: {network.A.nnz + network.B.nnz} weights")
n_weights = np.count_nonzero(sparse.rule.A) + np.count_nonzero(sparse.rule.B)
draw(axes[1], sparse.rule, f"distilled: {n_weights} weights")
plt.show()
