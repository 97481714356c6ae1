r"""
A trained network is an implicit rule
=====================================

A multilayer perceptron with six hidden layers is a rule :math:`x = \phi(A x + B u + b)`, :math:`y = C x + D u + c`
whose matrix A is strictly upper block triangular: each layer needs the one before, and nothing else. Scattering the
states in a random order hides the layers from the eye, not from the rule, which finds them again.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import TwoSlopeNorm
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skimplicit import ImplicitRule
from skimplicit.inspection import STYLE
from skimplicit.linalg import block_triangular_order
from skimplicit.networks import from_sklearn

plt.style.use(STYLE)

# %%
# The network, trained by scikit-learn, and its rule: the same outputs, to rounding.

U, y = load_digits(return_X_y=True)
U = U / 16
sizes = (40, 32, 26, 20, 16, 12)
model = MLPClassifier(hidden_layer_sizes=sizes, max_iter=60, random_state=0)
with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
    model.fit(U, y)
rule = from_sklearn(model, output="probability")
print(rule)
print("largest difference of probabilities:", np.abs(rule.predict(U) - model.predict_proba(U)).max())
print("well posed because", rule.well_posedness().condition.value)

# %%
# The same rule with its states in a random order.

hidden = from_sklearn(model)
order = np.random.default_rng(0).permutation(hidden.n_hidden)
scattered = ImplicitRule(
    hidden.A[order][:, order], hidden.B[order], hidden.C[:, order], None, hidden.b[order], hidden.c, "relu"
)
print("largest difference when scattered:", np.abs(scattered.predict(U) - hidden.predict(U)).max())
print(
    "sizes of the blocks of states that it finds:", [block.states.size for block in block_triangular_order(scattered.A)]
)

# %%
# Both, as pictures of ``[[A, B], [C, D]]``: red weights are positive, blue ones negative, white ones zero.


def draw(ax, rule, title, layers=()):
    blocks = [[rule.A, rule.B], [rule.C, rule.D]]
    picture = np.block([[part.toarray() if sparse.issparse(part) else part for part in row] for row in blocks])
    limit = np.quantile(np.abs(picture[picture != 0]), 0.97)
    image = np.where(picture == 0, np.nan, picture)
    ax.imshow(image, cmap="RdBu_r", norm=TwoSlopeNorm(0, -limit, limit), interpolation="nearest")
    n, (height, width) = rule.n_hidden, picture.shape
    ax.axhline(n - 0.5, color="black", lw=1)
    ax.axvline(n - 0.5, color="black", lw=1)
    first = 0
    for label, size in layers:
        square = plt.Rectangle((first - 0.5, first - 0.5), size, size, fc="0.92", ec="0.6", lw=0.8)
        ax.add_patch(square)
        ax.text(first + size / 2, first + size / 2, label, ha="center", va="center", fontsize=9)
        first += size
    corners = {
        "A": (0.5 * n, -6),
        "B": ((n + width) / 2, -6),
        "C": (-8, (n + height) / 2),
        "D": (width + 6, height - 5),
    }
    for name, place in corners.items():
        ax.text(*place, f"${name}$", ha="center", va="center", fontsize=13)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.set_title(title, pad=22)


fig, axes = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
draw(axes[0], hidden, "layers downstream first", [(f"$x_{6 - i}$", size) for i, size in enumerate(sizes[::-1])])
draw(axes[1], scattered, "the same rule, states in random order")
plt.show()
