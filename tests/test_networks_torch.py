"""Torch networks as rules; skipped where torch is not installed."""

import builtins

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPRegressor

from skimplicit.networks import from_torch
from skimplicit.wellposedness import Condition

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def test_torch_is_asked_for_by_name(monkeypatch):
    def refuse(name, *args, **options):
        if name == "torch":
            raise ImportError(name)
        return original(name, *args, **options)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install skimplicit\[torch\]"):
        from_torch(None)


def evaluated(torch, net, U, shape):
    with torch.no_grad():
        outputs = net.eval()(torch.as_tensor(U.reshape(len(U), *shape)).to(next(net.parameters()).dtype))
    return outputs.reshape(len(U), -1).numpy()


@pytest.fixture(params=range(5))
def lenet(request):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(request.param)
    torch.set_num_threads(1)
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(6, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 10)),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    U, y = torch.as_tensor(DIGITS, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.as_tensor(DIGIT)
    for _ in range(4):
        for first in range(0, len(U), 128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(U[first : first + 128]), y[first : first + 128]).backward()
            optimizer.step()
    return torch, net


def test_lenet_on_digits(lenet):
    torch, net = lenet
    rule = from_torch(net, input_shape=(1, 8, 8))
    outputs = rule.predict(DIGITS)
    expected = evaluated(torch, net, DIGITS, (1, 8, 8))
    assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert (outputs.argmax(axis=1) == DIGIT).mean() > 0.8
    assert_allclose(outputs, evaluated(torch, net.double(), DIGITS, (1, 8, 8)), rtol=1e-10, atol=1e-10)
    assert rule.well_posedness().condition is Condition.EXPLICIT
    rescaled = rule.rescaled(0.9) if rule.activation.homogeneous else rule
    assert_allclose(rescaled.predict(DIGITS[:50]), outputs[:50], rtol=1e-9, atol=1e-9)


def test_all_layers():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding="same", groups=2, dilation=2),
        nn.LeakyReLU(),
        nn.AvgPool1d(2, padding=1, count_include_pad=False),
        nn.Conv1d(4, 3, 2, stride=2, bias=False),
        nn.SiLU(),
        nn.MaxPool1d(3, stride=1, padding=1),
        nn.BatchNorm1d(3),
        nn.Flatten(),
        nn.Identity(),
        nn.Linear(12, 9),
        nn.GELU(),
        nn.Linear(9, 9, bias=False),
        nn.ELU(),
        nn.Linear(9, 9),
        nn.Softplus(),
        nn.BatchNorm1d(9),
        nn.Sigmoid(),
        nn.Linear(9, 4),
        nn.Softmax(dim=1),
    ).double()
    U = np.random.default_rng(0).normal(size=(7, 32))
    net.train()(torch.as_tensor(U.reshape(7, 2, 16)))  # moves the running statistics
    expected = evaluated(torch, net, U, (2, 16))
    assert_allclose(from_torch(net, input_shape=(2, 16)).predict(U), expected, rtol=1e-10, atol=1e-10)
    average = nn.Sequential(nn.AvgPool2d(2, stride=1, padding=1), nn.Conv2d(1, 2, 2, padding=(1, 0))).double()
    rule = from_torch(average, input_shape=(1, 4, 8))
    assert_allclose(rule.predict(U), evaluated(torch, average, U, (1, 4, 8)), rtol=1e-10, atol=1e-10)


def test_input_shape_of_a_linear_network():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    net = nn.Sequential(nn.Dropout(), nn.Tanh(), nn.Linear(3, 2)).double()
    U = np.random.default_rng(0).normal(size=(7, 3))
    assert_allclose(from_torch(net).predict(U), evaluated(torch, net, U, (3,)), rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="input_shape is needed"):
        from_torch(nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="gets inputs of shape"):
        from_torch(nn.Linear(3, 2), input_shape=(4,))
    for shape in ("3", (3.0,), (-3,), 3.0, [[3]]):
        with pytest.raises(ValueError, match="input_shape must be positive integers"):
            from_torch(nn.Linear(3, 2), input_shape=shape)
    with pytest.raises(ValueError, match=r"input_shape must be .* \(channels, length\)"):
        from_torch(nn.MaxPool1d(2), input_shape=3)
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module, got .*MLPRegressor"):
        from_torch(MLPRegressor())


def test_a_number_is_the_shape_of_vectors():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    assert from_torch(net, input_shape=3) == from_torch(net, input_shape=(3,)) == from_torch(net)


def test_refuses_by_name():
    nn = pytest.importorskip("torch").nn
    for layer in (
        nn.LSTM(2, 2),
        nn.Softplus(2.0),
        nn.Softplus(threshold=1),
        nn.ELU(0.5),
        nn.LogSoftmax(dim=1),
        nn.GELU("tanh"),
        nn.MaxPool1d(2, ceil_mode=True),
        nn.Conv1d(1, 1, 2, padding="same"),
        nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm1d(1, track_running_stats=False),
        nn.Flatten(0),
        nn.Softmax(dim=2),
    ):
        with pytest.raises(TypeError, match=type(layer).__name__):
            from_torch(layer, input_shape=(1, 6))


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, 1.0, 2.0, -0.5])
def test_slopes(slope):
    nn = pytest.importorskip("torch").nn
    same_as_torch(nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(slope), nn.Linear(6, 2)), (4,))
    same_as_torch(nn.Sequential(nn.Linear(4, 6), nn.PReLU(init=slope), nn.Linear(6, 2)), (4,))


def test_slopes_of_channels_and_clipped_activations():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    channels = nn.PReLU(3)
    with torch.no_grad():
        channels.weight[:] = torch.tensor([0.1, -0.4, 1.5])
    same_as_torch(nn.Sequential(nn.Conv2d(1, 3, 2), channels, nn.Flatten(), nn.Linear(27, 2)), (1, 4, 4))
    same_as_torch(nn.Sequential(nn.Linear(4, 3), channels), (4,))
    clipped = (nn.Hardtanh(), nn.Hardtanh(-0.2, 3.0), nn.ReLU6(), nn.ReLU6(inplace=True), nn.Softplus())
    for layer in clipped:
        same_as_torch(nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2), nn.AlphaDropout()), (4,))
    with pytest.raises(ValueError, match="3 slopes"):
        from_torch(nn.PReLU(3), input_shape=(4,))


def same_as_torch(net, shape):
    import torch

    rule = from_torch(net, input_shape=shape)
    U = 10 * np.random.default_rng(0).normal(size=(40, rule.n_inputs))
    assert_allclose(rule.predict(U), evaluated(torch, net.double(), U, shape), rtol=1e-10, atol=1e-10)
    assert rule.well_posedness().condition is Condition.EXPLICIT


def test_subclasses_hooks_and_parametrisations_are_refused():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Skipping(nn.Sequential):
        def forward(self, u):
            return u + super().forward(u)

    class Doubling(nn.Linear):
        def forward(self, u):
            return 2 * super().forward(u)

    class Cut(nn.ReLU):
        def forward(self, u):
            return -super().forward(u)

    for net, name in (
        (Skipping(nn.Linear(3, 3)), r"Skipping.* \(a subclass of Sequential\)"),
        (nn.Sequential(Skipping(nn.Linear(3, 3)), nn.ReLU()), r"Skipping.* \(a subclass of Sequential\)"),
        (nn.Sequential(nn.Linear(3, 3), Doubling(3, 3)), r"Doubling.* \(a subclass of Linear\)"),
        (nn.Sequential(nn.Linear(3, 3), Cut()), r"Cut.* \(a subclass of ReLU\)"),
        (nn.ModuleList([nn.Linear(3, 3)]), "ModuleList"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), "ParametrizedLinear"),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)), "ParametrizedLinear"),
    ):
        for shape in ((3,), None):
            with pytest.raises(TypeError, match=f"(?s){name}.*cannot be converted"):
                from_torch(net, input_shape=shape)

    hooked, replaced = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Sequential(nn.Linear(3, 3))
    hooked[1].register_forward_hook(lambda layer, inputs, outputs: 2 * outputs)
    replaced[0].forward = torch.sin
    before = nn.Sequential(nn.Linear(3, 3))
    before.register_forward_pre_hook(lambda layer, inputs: (2 * inputs[0],))
    for net, name in ((hooked, "ReLU"), (replaced, "Linear"), (before, "Sequential")):
        with pytest.raises(ValueError, match=f"This {name} has hooks, or a forward set on it"):
            from_torch(net, input_shape=(3,))


def test_the_rule_is_compared_with_the_network():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    everywhere = nn.modules.module.register_module_forward_hook(
        lambda layer, inputs, outputs: 2 * outputs if isinstance(layer, nn.Linear) else None
    )
    try:
        with pytest.raises(ValueError, match="Sequential cannot be converted: at a sample point"):
            from_torch(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    finally:
        everywhere.remove()


def test_nothing_of_the_network_is_changed():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.ReLU(inplace=True))
    net[1].eval()
    before = {name: array.clone() for name, array in net.state_dict().items()}
    state = torch.random.get_rng_state()
    from_torch(net)
    assert [part.training for part in net.modules()] == [True, True, False, True, True]
    assert all(array.dtype == net.state_dict()[name].dtype for name, array in before.items())
    assert all(torch.equal(array, net.state_dict()[name]) for name, array in before.items())
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float64"])
def test_weights_in_any_precision(precision):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).to(
        getattr(torch, precision)
    )
    U = np.random.default_rng(0).normal(size=(5, 3))
    rule = from_torch(net)
    assert_allclose(rule.predict(U), evaluated(torch, net.double(), U, (3,)), rtol=1e-12, atol=1e-12)
