"""Activations: each one is what it declares, and nothing undeclared gets in.

Values agree with SciPy, derivatives with finite differences; the slope bounds hold and are tight; the flag
``homogeneous`` is the law phi(t z) = t phi(z). The floors above trust these declarations without looking at phi.
"""

import pickle
from copy import copy
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import special, stats

from skimplicit import Activation, ImplicitRegressor
from skimplicit.activations import ACTIVATIONS, get_activation
from skimplicit.lifted import get_divergence

REFERENCES = {
    "relu": lambda z: 0.5 * (z + np.abs(z)),
    "leaky_relu": lambda z: np.where(z < 0, z / 100, z),
    "tanh": lambda z: 2.0 * special.expit(2.0 * z) - 1.0,
    "sigmoid": stats.logistic.cdf,
    "identity": lambda z: z,
    "elu": lambda z: np.where(z < 0, special.boxcox1p(special.expm1(np.minimum(z, 0.0)), 1.0), z),
    "softplus": lambda z: -special.log_expit(-z),
    "silu": lambda z: z * stats.logistic.cdf(z),
    "gelu": lambda z: z * stats.norm.cdf(z),
}
GRID = np.linspace(-30.0, 30.0, 60_001)  # 1e-3 apart: an extreme slope is met within 1e-7

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=str)
every_seed = pytest.mark.parametrize("seed", range(2))


def clipped(Z, out=None):
    return np.clip(Z, -1.0, 1.0, out=out)


def clipped_derivative(Z, X):
    return np.abs(Z) < 1.0


CLIPPED = Activation("clipped", clipped, clipped_derivative, 0.0, 1.0)


def test_every_activation_is_known_by_its_own_name():
    assert set(ACTIVATIONS) == set(REFERENCES)
    assert all(activation.name == name for name, activation in ACTIVATIONS.items())


@every_activation
def test_value_agrees_with_the_reference(activation):
    np.testing.assert_allclose(activation(GRID), REFERENCES[activation.name](GRID), rtol=1e-12, atol=1e-14)


@every_activation
@every_seed
def test_derivative_agrees_with_central_differences(activation, seed):
    z = np.random.default_rng(seed).uniform(-8.0, 8.0, size=(20, 30))
    z[np.abs(z) < 1e-3] = 1.0  # away from the kink of those that have one
    step = 1e-5
    expected = (activation(z + step) - activation(z - step)) / (2 * step)
    np.testing.assert_allclose(activation.derivative(z, activation(z)), expected, rtol=0, atol=1e-6)


@every_activation
def test_slope_bounds_hold_and_are_tight(activation):
    slopes = np.asarray(activation.derivative(GRID, activation(GRID)), dtype=float)
    assert slopes.min() >= activation.min_slope
    assert slopes.max() <= activation.max_slope
    assert slopes.min() <= activation.min_slope + 1e-6
    assert slopes.max() >= activation.max_slope - 1e-6


@every_activation
@every_seed
def test_secants_stay_within_the_slope_bounds(activation, seed):
    s, t = np.random.default_rng(seed).normal(scale=3.0, size=(2, 10_000))
    secants = (activation(s) - activation(t))[s != t] / (s - t)[s != t]
    slack = 1e-14 / np.abs(s - t)[s != t]  # rounding of the difference
    assert np.all(secants >= activation.min_slope - slack)
    assert np.all(secants <= activation.max_slope + slack)


@every_activation
def test_homogeneous_says_whether_scaling_passes_through(activation):
    z = np.linspace(-2.0, 2.0, 9)
    passes = all(np.allclose(activation(t * z), t * activation(z), rtol=1e-12, atol=0) for t in (0.3, 7.0))
    assert passes == activation.homogeneous


@every_activation
def test_out_may_be_the_input_or_another_array(activation):
    z = np.linspace(-3.0, 3.0, 12).reshape(3, 4)
    expected, aliased, other = activation(z), z.copy(), np.full_like(z, np.nan)
    assert activation(aliased, out=aliased) is aliased
    assert activation(z, out=other) is other
    np.testing.assert_array_equal(aliased, expected)
    np.testing.assert_array_equal(other, expected)


@every_activation
def test_input_is_left_alone(activation):
    z = np.linspace(-3.0, 3.0, 12).reshape(3, 4)
    z.flags.writeable = False
    x = activation(z)
    assert not np.shares_memory(x, z)
    x.flags.writeable = False
    slopes = activation.derivative(z, x)
    assert slopes.shape == x.shape == z.shape


@every_activation
def test_large_pre_activations_are_finite_without_a_warning(activation):
    z = np.array([-1e300, -1e9, -800.0, -0.0, 0.0, 800.0, 1e9, 1e300])
    x = activation(z)
    assert np.isfinite(x).all()
    assert np.isfinite(activation.derivative(z, x)).all()


@pytest.mark.parametrize("activation", [*ACTIVATIONS.values(), CLIPPED], ids=str)
def test_pickle_round_trip(activation):
    copy = pickle.loads(pickle.dumps(activation))
    assert copy == activation
    np.testing.assert_array_equal(copy(GRID), activation(GRID))


@every_activation
def test_get_activation_takes_a_name_or_an_activation(activation):
    assert get_activation(activation.name) is activation
    assert get_activation(activation) is activation
    assert get_activation(CLIPPED) is CLIPPED


@pytest.mark.parametrize("name", ["rleu", "ReLU", ""])
def test_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=rf"activation must be one of \[.*'gelu'.*\].* got '{name}'"):
        get_activation(name)


@pytest.mark.parametrize("thing", [None, 3, np.tanh, ["relu"]], ids=str)
def test_wrong_type_is_refused(thing):
    with pytest.raises(TypeError, match="activation must be a name or an Activation, got"):
        get_activation(thing)


@pytest.mark.parametrize("slopes", [(0.0, np.inf), (-np.inf, 1.0), (np.nan, 1.0), (0.0, np.nan), (1.0, 0.0)], ids=str)
def test_slopes_that_bound_nothing_are_refused(slopes):
    with pytest.raises(ValueError, match="'culprit': min_slope and max_slope"):
        Activation("culprit", clipped, clipped_derivative, *slopes)


@pytest.mark.parametrize(("slopes", "expected"), [((0.0, 0.5), 0.5), ((-2.0, 1.0), 2.0), ((1.0, 3.0), 3.0)])
def test_lipschitz_constant_is_the_largest_size_of_a_slope(slopes, expected):
    assert Activation("any", clipped, clipped_derivative, *slopes).lipschitz == expected


def test_activation_is_frozen_and_readable():
    with pytest.raises(FrozenInstanceError):
        CLIPPED.max_slope = 2.0
    assert repr(CLIPPED) == "Activation('clipped')"
    assert CLIPPED.homogeneous is False


def of_its_own(Z, out=None):
    """A function that returns an array of its own, whatever ``out`` is."""
    return np.tanh(Z)


def tanh_slope(Z, X):
    return 1.0 - X**2


def test_what_a_function_returns_in_an_array_of_its_own_arrives():
    own, Z = Activation("own", of_its_own, tanh_slope, 0.0, 1.0), GRID.copy()
    out = np.full_like(Z, np.nan)
    assert own(Z, out=out) is out
    np.testing.assert_array_equal(out, np.tanh(GRID))
    assert own(Z, out=Z) is Z
    np.testing.assert_array_equal(Z, np.tanh(GRID))


@pytest.mark.parametrize("options", [{"kappa": 0.0}, {"structure": [3, 2]}, {}], ids=str)
def test_an_estimator_takes_it(options):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(40, 3))
    y = np.sin(2 * U[:, 0])
    own = Activation("own", of_its_own, tanh_slope, 0.0, 1.0)
    quick = {"n_hidden": 5, "alpha": 0.1, "tol": 0.1, "random_state": 0, **options}
    fits = [ImplicitRegressor(**quick, activation=phi).fit(U, y) for phi in ("tanh", own)]
    np.testing.assert_array_equal(fits[0].predict(U), fits[1].predict(U))


def absolute(Z, out=None):
    return np.abs(Z, out=out)


def rectified(Z, out=None):
    return np.maximum(Z, 0.0, out=out)


@pytest.mark.parametrize("method", ["bcd", "gradient"])
@pytest.mark.parametrize(
    ("function", "derivative", "least"),
    [(absolute, lambda Z, X: np.sign(Z), -1.0), (rectified, lambda Z, X: Z >= 0, 0.0)],
    ids=["absolute value", "slope of 0 counts right of it"],
)
def test_states_that_do_not_tell_the_slope_are_trained_alike(function, derivative, least, method):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(60, 2))
    y = np.abs(U[:, 0])
    quick = {"n_hidden": 3, "alpha": 0.01, "tol": 1e-2, "random_state": 0, "method": method}
    own = [Activation("own", function, derivative, least, 1.0, homogeneous) for homogeneous in (True, False)]
    ends = [ImplicitRegressor(**quick, activation=phi).fit(U, y).objective_history_[-1] for phi in own]
    assert ends[0] == pytest.approx(ends[1], rel=0.1)


def test_homogeneous_in_name_alone_is_refused():
    own = Activation("own", of_its_own, tanh_slope, 0.0, 1.0, homogeneous=True)
    with pytest.raises(ValueError, match="'own': homogeneous=True, but at z = .* is not twice as much"):
        own.check()


def fold(Z, out=None):
    return np.maximum(np.abs(Z) - 1.0, 0.0)


def fold_slope(Z, X):
    return np.sign(Z) * (X > 0)


@pytest.mark.parametrize("kinks", [(), (1.0,), (-1.0, 0.5), (0.0,)])
def test_a_slope_that_changes_where_no_kink_is_said_to_be_is_refused(kinks):
    with pytest.raises(ValueError, match="'fold': the slope changes from -?[01] to -?[01] between z = .* has none"):
        Activation("fold", fold, fold_slope, -1.0, 1.0, kinks=kinks).check()


@pytest.mark.parametrize("kinks", [(-1.0, 1.0), (-1.0, 0.0, 1.0), None])
def test_kinks_where_slopes_change_are_taken(kinks):
    Activation("fold", fold, fold_slope, -1.0, 1.0, kinks=kinks).check()


@every_activation
def test_what_is_declared_rightly_passes(activation):
    copy = Activation("copy", activation.function, activation.derivative, activation.min_slope, activation.max_slope)
    copy.check()
    Activation("clipped", clipped, clipped_derivative, 0.0, 1.0).check()


def softsign(Z, out=None):
    out = np.add(1.0, np.abs(Z), out=out)  # where `out` is Z, this is gone
    return np.divide(Z, out, out=out)


def softsign_slope(Z, X):
    return (1.0 - np.abs(X)) ** 2


def over_its_argument(Z, out=None):
    return np.tanh(Z, out=Z)


def slope_over_the_state(Z, X):
    return np.subtract(1.0, X**2, out=X)


def silent(Z, out=None):
    return np.tanh(Z) if out is None else None


@pytest.mark.parametrize(
    ("function", "derivative", "slopes", "error", "message"),
    [
        (softsign, softsign_slope, (0.0, 1.0), ValueError, r"function\(Z, out=Z\) gives 1 and .* before it"),
        (over_its_argument, tanh_slope, (0.0, 1.0), ValueError, "function must not change the arrays"),
        (np.tanh, slope_over_the_state, (0.0, 1.0), ValueError, "derivative must not change the arrays"),
        (silent, tanh_slope, (0.0, 1.0), TypeError, "function.* cannot be called"),
        (np.tanh, lambda Z, X: tanh_slope(Z, X).tolist(), (0.0, 1.0), ValueError, "derivative must return .* an array"),
        (lambda Z, out=None: np.tanh(Z).astype(object), tanh_slope, (0.0, 1.0), ValueError, "must return a finite"),
        (of_its_own, tanh_slope, (0.0, 0.5), ValueError, "slopes from .* not between min_slope=0 and max_slope=0.5"),
        (of_its_own, lambda Z, X: 1.0 - X, (0.0, 1.0), ValueError, "the derivative is .* the function has the slope"),
        (lambda Z: np.tanh(Z), tanh_slope, (0.0, 1.0), TypeError, "function.* cannot be called"),
        (of_its_own, lambda Z: 1.0, (0.0, 1.0), TypeError, "derivative.* cannot be called"),
        (
            lambda Z, out=None: np.log(-1.0 - Z**2 * 0),
            tanh_slope,
            (0.0, 1.0),
            ValueError,
            "must return a finite number",
        ),
        (lambda Z, out=None: np.tanh(Z).sum(), tanh_slope, (0.0, 1.0), ValueError, "must return a finite number"),
    ],
)
def test_what_is_not_as_declared_is_refused_before_any_work(function, derivative, slopes, error, message):
    wrong = Activation("wrong", function, derivative, *slopes)
    with np.errstate(invalid="ignore"), pytest.raises(error, match=f"Activation 'wrong': .*{message}"):
        ImplicitRegressor(activation=wrong).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("kinks", [[-1.0, 1.0], np.array([-1.0, 1.0])], ids=["list", "array"])
def test_kinks_may_be_in_a_list_or_an_array(kinks):
    one, other = (Activation("fold", fold, fold_slope, -1.0, 1.0, kinks=copy(kinks)) for _ in range(2))
    assert one.kinks == (-1.0, 1.0)
    assert one == other and hash(one) == hash(other)
    with pytest.raises(ValueError, match="No Fenchel divergence is known for Activation\\('fold'\\)"):
        get_divergence(one)
