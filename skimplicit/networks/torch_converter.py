"""From torch networks to rules with the same outputs. Needs the optional extra ``skimplicit[torch]``."""

import numpy as np
from scipy import sparse

from skimplicit.activations import BlockActivation, get_activation, softmax
from skimplicit.composition import affine_rule, cascade
from skimplicit.networks.convolution import average_pooling, convolution, max_pooling
from skimplicit.networks.feedforward import batch_norm
from skimplicit.rule import ImplicitRule

__all__ = ["from_torch"]


def from_torch(module, *, input_shape=None):
    """Return the rule that computes what a torch network does when it is in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        A layer or an ``nn.Sequential`` of: Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, MaxPool1d, MaxPool2d,
        AvgPool1d, AvgPool2d, ReLU, LeakyReLU (slope 0.01), Tanh, Sigmoid, ELU (alpha 1), Softplus (beta 1), SiLU, exact
        GELU, Softmax, Identity, Flatten, Dropout.
    input_shape : tuple of int or None
        Shape of one sample, channels first; None for vectors, as many as the first Linear layer takes.

    Returns
    -------
    ImplicitRule
        Inputs are samples flattened by ``reshape(m, -1)``, outputs likewise. Computed in float64 from the weights as
        they are, so it differs from a float32 network by that network's rounding.

    Raises
    ------
    ImportError
        If torch is not installed.
    TypeError
        If a layer, or an option of it, cannot be converted; the message names it.
    ValueError
        If shapes do not fit, or ``input_shape`` is needed.

    Notes
    -----
    Batch normalisation uses the running statistics and Dropout does nothing, whatever mode the module is in.
    """
    try:
        from torch import nn
    except ImportError as error:
        raise ImportError("from_torch needs torch: pip install skimplicit[torch].") from error
    layers = list(_flattened(module, nn))
    if input_shape is None:
        first = next((layer for layer in layers if not _keeps_size(layer, nn)), None)
        if not isinstance(first, nn.Linear):
            raise ValueError("input_shape is needed unless the network starts with a Linear layer.")
        input_shape = (first.in_features,)
    shape = tuple(input_shape)
    rules = [affine_rule(sparse.eye_array(int(np.prod(shape)), format="csr"))]
    for layer in layers:
        rule, shape = _convert(layer, shape, nn)
        if rule is not None:
            rules.append(rule)
    return cascade(*rules)


def _flattened(module, nn):
    """Yield the layers of nested Sequentials."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _flattened(child, nn)
    else:
        yield module


def _keeps_size(layer, nn):
    return isinstance(layer, nn.Identity | nn.Dropout | nn.Flatten) or activation_of(layer, nn) is not None


def _convert(layer, shape, nn):
    """Return the rule of a layer (None if it does nothing) and the shape of its outputs."""
    if isinstance(layer, nn.Identity | nn.Dropout | nn.Dropout1d | nn.Dropout2d):
        return None, shape
    if isinstance(layer, nn.Flatten):
        if layer.start_dim != 1 or layer.end_dim != -1:
            raise TypeError(f"{layer} cannot be converted: only the whole of a sample can be flattened.")
        return None, (int(np.prod(shape)),)
    if isinstance(layer, nn.Linear):
        if shape != (layer.in_features,):
            raise ValueError(f"{layer} gets inputs of shape {shape}.")
        return affine_rule(_array(layer.weight), _array(layer.bias)), (layer.out_features,)
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return _convolution(layer, shape)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        if layer.running_mean is None:
            raise TypeError(f"{layer} cannot be converted: it keeps no running statistics.")
        arrays = (_array(array) for array in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
        return batch_norm(*arrays, epsilon=layer.eps, repeat=int(np.prod(shape[1:]))), shape
    if isinstance(layer, nn.MaxPool1d | nn.MaxPool2d | nn.AvgPool1d | nn.AvgPool2d):
        return _pooling(layer, shape, nn)
    activation = activation_of(layer, nn)
    if activation is None:
        raise TypeError(f"{layer} cannot be converted to a rule.")
    n = int(np.prod(shape))
    if activation == "softmax":
        if layer.dim not in (1, -1) or len(shape) != 1:
            raise TypeError(f"{layer} cannot be converted: softmax must run over a whole sample.")
        activation = BlockActivation([(softmax(n), n)])
    identity = sparse.eye_array(n, format="csr")
    return ImplicitRule(sparse.csr_array((n, n)), identity, identity, activation=activation), shape


def activation_of(layer, nn):
    """Return the name of an activation here, or None; refuse options that it does not have here."""
    names = {
        nn.ReLU: "relu",
        nn.Tanh: "tanh",
        nn.Sigmoid: "sigmoid",
        nn.SiLU: "silu",
        nn.LeakyReLU: "leaky_relu",
        nn.ELU: "elu",
        nn.Softplus: "softplus",
        nn.GELU: "gelu",
        nn.Softmax: "softmax",
    }
    name = names.get(type(layer))
    options = {"leaky_relu": ("negative_slope", 0.01), "elu": ("alpha", 1.0), "softplus": ("beta", 1.0)}
    options["gelu"] = ("approximate", "none")
    if name in options:
        option, value = options[name]
        if getattr(layer, option) != value:
            raise TypeError(f"{layer} cannot be converted: only {option}={value!r} can.")
    return name if name is None or name == "softmax" else get_activation(name)


def _convolution(layer, shape):
    if layer.padding_mode != "zeros":
        raise TypeError(f"{layer} cannot be converted: padding_mode={layer.padding_mode!r}.")
    padding = layer.padding
    if padding == "valid":
        padding = 0
    elif padding == "same":
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise TypeError(f"{layer} cannot be converted: padding='same' is one-sided for even windows.")
        padding = tuple(span // 2 for span in spans)
    options = {"stride": layer.stride, "padding": padding, "dilation": layer.dilation, "n_groups": layer.groups}
    rule = convolution(_array(layer.weight), _array(layer.bias), input_shape=shape, **options)
    sides = [
        (side + 2 * pad - spread * (size - 1) - 1) // step + 1
        for side, size, step, pad, spread in zip(
            shape[1:], layer.kernel_size, layer.stride, _each(padding, shape), layer.dilation, strict=True
        )
    ]
    return rule, (layer.out_channels, *sides)


def _pooling(layer, shape, nn):
    is_max = isinstance(layer, nn.MaxPool1d | nn.MaxPool2d)
    if layer.ceil_mode or (is_max and (layer.return_indices or set(_each(layer.dilation, shape)) != {1})):
        raise TypeError(f"{layer} cannot be converted: ceil_mode, dilation and return_indices are not supported.")
    window, stride, padding = (_each(value, shape) for value in (layer.kernel_size, layer.stride, layer.padding))
    if is_max:
        rule = max_pooling(window, input_shape=shape, stride=stride, padding=padding)
    else:
        if getattr(layer, "divisor_override", None) is not None:
            raise TypeError(f"{layer} cannot be converted: divisor_override is not supported.")
        options = {"stride": stride, "padding": padding, "count_padding": layer.count_include_pad}
        rule = average_pooling(window, input_shape=shape, **options)
    lengths = zip(shape[1:], window, stride, padding, strict=True)
    return rule, (shape[0], *((side + 2 * pad - size) // step + 1 for side, size, step, pad in lengths))


def _each(value, shape):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * (len(shape) - 1)


def _array(tensor):
    return None if tensor is None else tensor.detach().cpu().numpy().astype(float)
