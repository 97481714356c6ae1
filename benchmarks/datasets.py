"""The data sets of the regression benchmark: generated, or bundled with scikit-learn."""

import numpy as np
from sklearn.datasets import (
    load_diabetes,
    load_linnerud,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_regression,
    make_sparse_uncorrelated,
)

__all__ = ["REGRESSION"]


def sine_steps():
    """Return two outputs of three inputs, one smooth and one with steps."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 3))
    Y = np.column_stack([np.sin(4 * X[:, 0]) * X[:, 1], np.round(2 * X[:, 2]) + X[:, 0]])
    return X, Y + 0.1 * rng.normal(size=Y.shape)


#: Name to a function that returns X and y.
REGRESSION = {
    "friedman1": lambda: make_friedman1(1000, noise=1.0, random_state=0),
    "friedman2": lambda: make_friedman2(1000, noise=100.0, random_state=0),
    "friedman3": lambda: make_friedman3(1000, noise=0.1, random_state=0),
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "linear, noisy": lambda: make_regression(500, 20, n_informative=8, noise=50.0, random_state=0),
    "sparse linear": lambda: make_sparse_uncorrelated(300, 10, random_state=0),
    "sine and steps": sine_steps,
    "linnerud (20 x 3)": lambda: load_linnerud(return_X_y=True),
}
