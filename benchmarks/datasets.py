"""The data sets of the benchmarks: generated, or bundled with scikit-learn."""

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
    make_blobs,
    make_circles,
    make_classification,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_moons,
    make_regression,
    make_sparse_uncorrelated,
)

__all__ = ["CLASSIFICATION", "REGRESSION"]


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

CLASSIFICATION = {
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "iris": lambda: load_iris(return_X_y=True),
    "two moons": lambda: make_moons(400, noise=0.25, random_state=0),
    "noisy labels": lambda: make_classification(
        800, 20, n_informative=6, n_classes=3, flip_y=0.1, class_sep=1.0, random_state=0
    ),
    "overlapping blobs": lambda: make_blobs(600, n_features=6, centers=4, cluster_std=5.0, random_state=0),
    "circles": lambda: make_circles(400, noise=0.15, factor=0.5, random_state=0),
}
