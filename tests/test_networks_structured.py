"""Convolution, pooling, recurrence, neural ODEs and deep equilibria against direct computations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.integrate import RK45, solve_ivp
from scipy.ndimage import correlate
from sklearn.datasets import load_digits

from skimplicit import ImplicitRule
from skimplicit.activations import BlockActivation, max_pool, softmax
from skimplicit.networks import (
    average_pooling,
    convolution,
    deep_equilibrium,
    feedforward,
    max_pooling,
    neural_ode,
    recurrent,
)
from skimplicit.wellposedness import Condition

EXACT = {"rtol": 1e-10, "atol": 1e-10}
SEEDS = range(2)
DIGITS = load_digits().data[:40]


def windows(image, window, stride):
    """Cut the windows of an image (k, height, width) with the stride."""
    views = np.lib.stride_tricks.sliding_window_view(image, window, axis=(1, 2))
    return views[:, :: stride[0], :: stride[1]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2)), ((3, 2), (0, 1))])
def test_convolution_2d(seed, stride, padding):
    rng = np.random.default_rng(seed)
    kernel, bias, images = rng.normal(size=(3, 2, 3, 2)), rng.normal(size=3), rng.normal(size=(4, 2, 6, 7))
    rule = convolution(kernel, bias, input_shape=(2, 6, 7), stride=stride, padding=padding)
    for image, output in zip(images, rule.predict(images.reshape(4, -1)), strict=True):
        padded = np.pad(image, [(0, 0), (padding[0],) * 2, (padding[1],) * 2])
        expected = np.einsum("khwab,okab->ohw", windows(padded, (3, 2), stride), kernel) + bias[:, None, None]
        assert_allclose(output, expected.ravel(), **EXACT)
    assert sparse.issparse(rule.D)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolution_1d_with_dilation_and_groups(seed):
    rng = np.random.default_rng(seed)
    kernel, signal = rng.normal(size=(4, 1, 3)), rng.normal(size=(2, 12))
    rule = convolution(kernel, input_shape=(2, 12), dilation=2, n_groups=2, activation="relu")
    expected = [
        [max(sum(kernel[o, 0, s] * signal[o // 2, t + 2 * s] for s in range(3)), 0) for t in range(8)] for o in range(4)
    ]
    assert_allclose(rule.predict(signal.reshape(1, -1)), np.ravel(expected)[None], **EXACT)


def test_convolution_of_digits_is_the_filter_of_scipy():
    kernel = np.random.default_rng(0).normal(size=(3, 3))
    rule = convolution(kernel[None, None], input_shape=(1, 8, 8), padding=1)
    expected = [correlate(image, kernel, mode="constant").ravel() for image in DIGITS.reshape(-1, 8, 8)]
    assert_allclose(rule.predict(DIGITS), expected, **EXACT)


def test_convolution_is_the_matrix_of_the_paper():
    rule = convolution([[[[1.0, 2.0], [3.0, 4.0]]]], input_shape=(1, 3, 3))
    assert_allclose(rule.D.toarray()[0], [1, 2, 0, 3, 4, 0, 0, 0, 0])
    assert_allclose(rule.D.toarray()[3], [0, 0, 0, 0, 1, 2, 0, 3, 4])


@pytest.mark.parametrize(("window", "stride", "padding"), [(2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0))])
def test_pooling(window, stride, padding):
    images = DIGITS.reshape(-1, 2, 4, 8) - 20.0  # negative: a zero would be a wrong maximum
    images[:, :, [0, 0, -1], [0, -1, -1]] = -1.0  # and so would be what stands for the padding, if it were any input
    sizes = np.broadcast_to(window, 2)
    steps = sizes if stride is None else np.broadcast_to(stride, 2)
    pads = [(0, 0), *((int(pad),) * 2 for pad in np.broadcast_to(padding, 2))]
    options = {"input_shape": (2, 4, 8), "stride": stride, "padding": padding}
    largest, mean = max_pooling(window, **options), average_pooling(window, **options)
    mean_inside = average_pooling(window, count_padding=False, **options)
    flat = images.reshape(len(images), -1)
    for image, row in zip(images, range(len(images)), strict=True):
        cut = [windows(np.pad(image, pads, constant_values=value), sizes, steps) for value in (-np.inf, 0.0, np.nan)]
        row = flat[row : row + 1]
        assert_allclose(largest.predict(row)[0], cut[0].max(axis=(3, 4)).ravel(), **EXACT)
        assert_allclose(mean.predict(row)[0], cut[1].mean(axis=(3, 4)).ravel(), **EXACT)
        assert_allclose(mean_inside.predict(row)[0], np.nanmean(cut[2], axis=(3, 4)).ravel(), **EXACT)
    assert largest.is_well_posed()


def test_convolution_and_pooling_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="kernel must have 3 dimensions"):
        convolution(np.ones((1, 1, 2, 2)), input_shape=(1, 5))
    with pytest.raises(ValueError, match="does not fit 3 channels"):
        convolution(np.ones((1, 2, 2)), input_shape=(3, 5))
    with pytest.raises(ValueError, match="window of 4 does not fit a side of 3"):
        convolution(np.ones((1, 1, 4)), input_shape=(1, 3))
    with pytest.raises(ValueError, match="at most half"):
        max_pooling(2, input_shape=(1, 8), padding=2)
    with pytest.raises(ValueError, match="window must be an integer of at least 1, or one for each of 1 dimensions"):
        average_pooling((2, 2), input_shape=(1, 8))


ONE, ZERO = [[1.0]], [0.0]
ODE = {"step": 0.1, "n_steps": 2}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: recurrent(ONE, ONE, ONE, n_steps="a"), TypeError, "n_steps must be an integer, got 'a'"),
        (lambda: recurrent(ONE, ONE, ONE, n_steps=2.5), TypeError, "n_steps must be an integer, got 2.5"),
        (lambda: recurrent([["a"]], ONE, ONE, n_steps=2), ValueError, "W_state must be an array of finite numbers"),
        (lambda: recurrent([[1.0, 2.0]], ONE, ONE, n_steps=2), ValueError, r"W_state must have shape \(1, 1\)"),
        (lambda: recurrent(ONE, [[1.0], [2.0]], ONE, n_steps=2), ValueError, r"W_input must have shape \(1, any\)"),
        (lambda: recurrent(ONE, ONE, [[1.0, 2.0]], n_steps=2), ValueError, r"W_output must have shape \(any, 1\)"),
        (lambda: recurrent(ONE, ONE, ONE, [1, 2], n_steps=2), ValueError, r"b must have shape \(1,\), got \(2,\)"),
        (lambda: recurrent(ONE, ONE, ONE, n_steps=2, start=[1, 2]), ValueError, r"start must have shape \(1,\)"),
        (lambda: neural_ode(ONE, ZERO, ONE, ZERO, step="a", n_steps=2), TypeError, "step must be a number, got 'a'"),
        (lambda: neural_ode(ONE, ZERO, ONE, ZERO, step=np.nan, n_steps=2), ValueError, "step must be finite"),
        (lambda: neural_ode(ONE, ZERO, ONE, ZERO, step=0.1, n_steps=2.5), TypeError, "n_steps must be an integer"),
        (lambda: neural_ode([[1.0, 2.0]], ZERO, ONE, ZERO, **ODE), ValueError, r"W2 must have shape \(2, 1\)"),
        (lambda: neural_ode(ONE, [0.0, 1.0], ONE, ZERO, **ODE), ValueError, r"b1 must have shape \(1,\)"),
        (lambda: neural_ode(ONE, ZERO, ONE, [0.0, 1.0], **ODE), ValueError, r"b2 must have shape \(1,\)"),
        (lambda: convolution([[["a"]]], input_shape=(1, 4)), ValueError, "kernel must be an array of finite numbers"),
        (lambda: convolution([[[1.0]]], [1, 2], input_shape=(1, 4)), ValueError, r"bias must have shape \(1,\)"),
        (lambda: convolution([[[1.0]]], input_shape=(1, 4), n_groups="a"), TypeError, "n_groups must be an integer"),
        (lambda: convolution([[[1.0]]], input_shape=(1, 4), n_groups=0), ValueError, "n_groups must be at least 1"),
        (lambda: average_pooling(2, input_shape=(1, 4), count_padding="no"), ValueError, "count_padding must be True"),
        (lambda: average_pooling(1, input_shape=(1, 4), padding=1, count_padding=False), ValueError, "padding must"),
    ],
)
def test_weights_and_numbers_are_named(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


@pytest.mark.parametrize("input_shape", [8, (8,), (1, 0), (1, -8), (1, 8.0), (1, "a"), "18", None])
def test_shapes_of_signals_are_named(input_shape):
    for make in (max_pooling, average_pooling, lambda size, **shape: convolution(np.ones((1, 1, size)), **shape)):
        with pytest.raises(ValueError, match=r"input_shape must be positive integers, \(channels, length\)"):
            make(2, input_shape=input_shape)


@pytest.mark.parametrize(("name", "values"), [("stride", [0, -1, 1.5, "a"]), ("padding", [-1, 0.5]), ("dilation", [0])])
def test_numbers_of_windows_are_named(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least"):
            convolution(np.ones((1, 1, 2)), input_shape=(1, 8), **{name: value})


@pytest.mark.parametrize("pool", [max_pooling, average_pooling])
@pytest.mark.parametrize("window", [0, 2.5, "a"])
def test_windows_that_hold_nothing_are_named(pool, window):
    with pytest.raises(ValueError, match="window must be an integer of at least 1"):
        pool(window, input_shape=(1, 8))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_recurrent_network_over_20_steps(seed, activation):
    rng = np.random.default_rng(seed)
    W_state, W_input, W_output = rng.normal(size=(6, 6)) / 2, rng.normal(size=(6, 3)), rng.normal(size=(2, 6))
    b, c, start, U = rng.normal(size=6), rng.normal(size=2), rng.normal(size=6), rng.normal(size=(10, 20, 3))
    phi = {"tanh": np.tanh, "relu": lambda Z: np.maximum(Z, 0)}[activation]
    H, outputs = np.tile(start, (10, 1)), []
    for t in range(20):
        H = phi(H @ W_state.T + U[:, t] @ W_input.T + b)
        outputs.append(H @ W_output.T + c)
    options = {"n_steps": 20, "activation": activation, "start": start}
    rule = recurrent(W_state, W_input, W_output, b, c, **options)
    every = recurrent(W_state, W_input, W_output, b, c, outputs="all", **options)
    assert_allclose(rule.predict(U.reshape(10, -1)), outputs[-1], **EXACT)
    assert_allclose(every.predict(U.reshape(10, -1)), np.hstack(outputs), **EXACT)
    report = rule.well_posedness()
    assert report.condition is Condition.EXPLICIT and report.n_steps == 20
    assert_allclose(rule.states(U.reshape(10, -1))[:, :6], H, **EXACT)  # the last time is on top


@pytest.mark.parametrize("phi", [BlockActivation([("relu", 1), (softmax(2), 2)]), max_pool(3)], ids=["blocks", "pool"])
def test_each_step_has_an_activation_that_says_its_size(phi):
    rng = np.random.default_rng(0)
    W, V, b, U = rng.normal(size=(3, 3)), rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(4, 6))
    h, x = np.zeros((4, 3)), U[:, :2]
    for u in np.split(U, 3, axis=1):
        h = phi(h @ W.T + u @ V.T + b)
    assert_allclose(recurrent(W, V, np.eye(3), b, n_steps=3, activation=phi).predict(U), h, atol=1e-12)
    middle = phi((x + 0.05 * phi(x @ V.T + b) @ V) @ V.T + b)
    ode = neural_ode(V, b, V.T, np.zeros(2), step=0.1, n_steps=1, scheme="midpoint", activation=phi)
    assert_allclose(ode.predict(x), x + 0.1 * middle @ V, atol=1e-12)


def test_groups_do_not_reach_from_step_to_step():
    W, V, ode = np.zeros((2, 2)), np.eye(2), {"step": 0.1, "n_steps": 1, "scheme": "rk4"}
    with pytest.raises(ValueError, match="cannot act on 2 coordinates"):
        recurrent(W, V, V, n_steps=2, activation=softmax(4))
    with pytest.raises(ValueError, match="cannot act on 2 coordinates"):
        neural_ode(V, np.zeros(2), V, np.zeros(2), **ode, activation=softmax(4))


def test_recurrent_and_ode_refuse_bad_options():
    one = np.ones((1, 1))
    with pytest.raises(ValueError, match="n_steps"):
        recurrent(one, one, one, n_steps=0)
    with pytest.raises(ValueError, match="outputs"):
        recurrent(one, one, one, n_steps=2, outputs="first")
    with pytest.raises(ValueError, match="scheme"):
        neural_ode(one, [0.0], one, [0.0], step=0.1, n_steps=2, scheme="rk5")
    with pytest.raises(ValueError, match="n_steps"):
        neural_ode(one, [0.0], one, [0.0], step=0.1, n_steps=0)


class ClassicRungeKutta(RK45):
    """The method of order 4 with SciPy's machinery: no error estimate, so every step is ``first_step``."""

    n_stages = 4
    C = np.array([0, 1 / 2, 1 / 2, 1])
    A = np.array([[0, 0, 0, 0], [1 / 2, 0, 0, 0], [0, 1 / 2, 0, 0], [0, 0, 1, 0]])
    B = np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6])
    E = np.zeros(5)
    P = np.zeros((5, 4))


def vector_field(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(8, 3)), rng.normal(size=8), rng.normal(size=(3, 8)) / 4, rng.normal(size=3)


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", SEEDS)
def test_neural_ode_is_solve_ivp_at_the_same_step(seed):
    W1, b1, W2, b2 = vector_field(seed)
    step, start = 1 / 16, np.random.default_rng(seed).normal(size=(4, 3))
    rule = neural_ode(W1, b1, W2, b2, step=step, n_steps=20)
    for x, y in zip(start, rule.predict(start), strict=True):
        solution = solve_ivp(
            lambda t, x: W2 @ np.tanh(W1 @ x + b1) + b2,
            (0, 20 * step),
            x,
            method=ClassicRungeKutta,
            first_step=step,
            max_step=step,
        )
        assert solution.t.size == 21
        assert_allclose(y, solution.y[:, -1], **EXACT)
    accurate = solve_ivp(lambda t, x: W2 @ np.tanh(W1 @ x + b1) + b2, (0, 20 * step), start[0], rtol=1e-10, atol=1e-12)
    assert_allclose(rule.predict(start[:1])[0], accurate.y[:, -1], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scheme", ["euler", "midpoint", "implicit_euler", "implicit_midpoint"])
def test_other_schemes(seed, scheme):
    W1, b1, W2, b2 = vector_field(seed)

    def field(X):
        return np.tanh(X @ W1.T + b1) @ W2.T + b2

    step, X = 0.02, np.random.default_rng(seed).normal(size=(4, 3))
    rule = neural_ode(W1, b1, W2, b2, step=step, n_steps=5, scheme=scheme)
    expected = X
    for _ in range(5):
        if scheme == "euler":
            expected = expected + step * field(expected)
        elif scheme == "midpoint":
            expected = expected + step * field(expected + step / 2 * field(expected))
        else:
            following, share = expected, 1.0 if scheme == "implicit_euler" else 0.5
            for _ in range(200):
                following = expected + step * field(share * following + (1 - share) * expected)
            expected = following
    assert_allclose(rule.predict(X), expected, rtol=1e-9, atol=1e-9)
    assert rule.well_posedness().condition.name == ("EXPLICIT" if "implicit" not in scheme else "PERRON_FROBENIUS")


@pytest.mark.parametrize("seed", SEEDS)
def test_deep_equilibrium_of_a_cell_with_two_layers(seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(6, 5)), rng.normal(size=(7, 6)), rng.normal(size=(3, 7))]
    weights = [0.9 * W / np.abs(W).sum(axis=1, keepdims=True) for W in weights]
    cell = feedforward(weights, [rng.normal(size=len(W)) for W in weights], ["tanh", "relu"])
    U, Y = rng.normal(size=(10, 2)), np.zeros((10, 3))
    for _ in range(300):
        Y = cell.predict(np.hstack([Y, U]))
    rule = deep_equilibrium(cell)
    assert rule.n_hidden == 3 + 13
    assert_allclose(rule.predict(U), Y, rtol=1e-9, atol=1e-9)
    assert rule.is_well_posed()


@pytest.mark.parametrize("direct", [0.0, 0.3])
@pytest.mark.parametrize("intercept", [0.0, 2.0])
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_deep_equilibrium_of_one_layer_counts_what_is_beside_its_states(direct, intercept, gain):
    rng = np.random.default_rng(0)
    B, D = rng.normal(size=(4, 6)) / 20, direct * np.eye(4, 6)
    cell = ImplicitRule(np.zeros((4, 4)), B, gain * np.eye(4), D, np.ones(4), intercept * np.arange(4.0))
    U, Y = rng.normal(size=(10, 2)), np.zeros((10, 4))
    for _ in range(100):
        Y = cell.predict(np.hstack([Y, U]))
    assert_allclose(deep_equilibrium(cell).predict(U), Y, **EXACT)


def test_deep_equilibrium_of_one_layer_has_its_states_only():
    rng = np.random.default_rng(0)
    W, V = rng.normal(size=(4, 4)) / 10, rng.normal(size=(4, 2))
    cell = ImplicitRule(np.zeros((4, 4)), np.hstack([W, V]), np.eye(4), b=np.ones(4))
    assert deep_equilibrium(cell) == ImplicitRule(W, V, np.eye(4), b=np.ones(4))
    with pytest.raises(ValueError, match="at least as many inputs"):
        deep_equilibrium(ImplicitRule([[0.0]], [[1.0]], [[1.0], [1.0]]))
