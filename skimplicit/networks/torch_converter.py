"""From torch networks to rules with the same outputs. Needs the optional extra ``skimplicit[torch]``."""

import copy
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse

from skimplicit.activations import BlockActivation, get_activation, hardtanh, join_activations, leaky_relu, softmax
from skimplicit.composition import affine_rule, cascade
from skimplicit.networks.comparison import compare
from skimplicit.networks.convolution import average_pooling, convolution, max_pooling
from skimplicit.networks.exact_types import in_list, names_in, type_name
from skimplicit.networks.feedforward import batch_norm
from skimplicit.rule import ImplicitRule

__all__ = ["ACTIVATIONS", "activation_of", "checked_shape", "from_torch"]


def from_torch(module: Any, *, input_shape: int | tuple[int, ...] | None = None) -> ImplicitRule:
    """Return the rule that computes what a torch network does when it is in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        A layer or an ``nn.Sequential`` of: Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, MaxPool1d, MaxPool2d,
        AvgPool1d, AvgPool2d, ReLU, ReLU6, LeakyReLU and PReLU of any slopes, Hardtanh, Tanh, Sigmoid, ELU (alpha 1),
        Softplus (beta 1, threshold 20 or more), SiLU, exact GELU, Softmax over a whole sample, Identity, Flatten, and
        Dropout in its variants.
    input_shape : int, tuple of int or None
        Shape of one sample, channels first, or the number of inputs; None for as many as the first Linear layer takes.

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
        If ``module`` is none of torch, or a layer is of another type, be it a subclass of one of these (a Sequential
        with a ``forward`` of its own, a parametrised layer), or has an option that cannot be converted; the message
        names it.
    ValueError
        If shapes do not fit, ``input_shape`` is needed, a layer has hooks or a ``forward`` set on it, or the rule
        differs from the network on sample points.

    See Also
    --------
    from_sklearn : The same for scikit-learn.
    skimplicit.distill.distill : A sparse rule with the states of a network.

    Notes
    -----
    Batch normalisation uses the running statistics and Dropout does nothing, whatever mode the module is in; neither
    the mode nor anything else of the module is changed. The rule is compared with a copy of the module in float64.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch needs torch: pip install skimplicit[torch].") from error
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type_name(module)}.")
    layers = list(_flattened(module))
    if input_shape is None:
        first = next((layer for layer in layers if not _keeps_size(layer)), None)
        if in_list(_LAYERS, first) is not _linear:
            raise ValueError("input_shape is needed unless the network starts with a Linear layer.")
        input_shape = (first.in_features,)
    given = shape = checked_shape(input_shape)
    rules = [affine_rule(sparse.eye_array(int(np.prod(shape)), format="csr"))]
    for layer in layers:
        rule, shape = _convert(layer, shape)
        if rule is not None:
            rules.append(rule)
    rule = cascade(*rules)
    twin = copy.deepcopy(module).cpu().double().eval()

    def evaluate(U):
        with torch.no_grad():
            return twin(torch.as_tensor(U.reshape(len(U), *given))).reshape(len(U), -1).numpy()

    compare(rule, evaluate, type_name(module), names_in(_LAYERS, ACTIVATIONS))
    return rule


def checked_shape(input_shape):
    """Return the shape of one sample as a tuple.

    Parameters
    ----------
    input_shape : int or tuple of int
        The shape, or the number of inputs.

    Returns
    -------
    tuple of int
        The shape.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    shape = tuple(input_shape) if np.ndim(input_shape) == 1 else (input_shape,)
    if not all(isinstance(size, Integral) and size >= 1 for size in shape):
        raise ValueError(f"input_shape must be positive integers, got {input_shape!r}.")
    return shape


def _flattened(module):
    """Yield the layers of nested Sequentials, in the order in which they are computed."""
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    if any(getattr(module, hook, None) for hook in hooks) or "forward" in vars(module):
        raise ValueError(f"This {type_name(module)} has hooks, or a forward set on it, and cannot be converted.")
    if in_list(_SEQUENTIAL, module):
        for child in module:
            yield from _flattened(child)
    elif in_list(_LAYERS, module) is None and in_list(ACTIVATIONS, module) is None:
        raise TypeError(
            f"{_shown(module)} cannot be converted to a rule. Layers that can: {names_in(_LAYERS, ACTIVATIONS)}."
        )
    else:
        yield module


def _keeps_size(layer):
    return in_list(_LAYERS, layer) in (_nothing, _flatten) or in_list(ACTIVATIONS, layer) is not None


def _convert(layer, shape):
    """Return the rule of a layer (None if it does nothing) and the shape of its outputs."""
    convert = in_list(_LAYERS, layer)
    if convert is not None:
        return convert(layer, shape)
    n = int(np.prod(shape))
    identity = sparse.eye_array(n, format="csr")
    return ImplicitRule(sparse.csr_array((n, n)), identity, identity, activation=activation_of(layer, shape)), shape


def activation_of(layer, shape):
    """Return the activation of a torch module for one sample of a shape; None if the module is not an activation.

    Parameters
    ----------
    layer : torch.nn.Module
        The module.
    shape : tuple of int
        Shape of a sample, channels first.

    Returns
    -------
    BaseActivation or None
        Its activation.

    Raises
    ------
    TypeError
        If the module has an option that no activation here has; the message names it.
    """
    make = in_list(ACTIVATIONS, layer)
    if make is None:
        return None
    return get_activation(make) if isinstance(make, str) else make(layer, shape)


def _only(name, option, value):
    """Return the maker of an activation by name that needs this value of an option."""

    def make(layer, shape):
        if getattr(layer, option) != value:
            raise TypeError(f"{layer} cannot be converted: only {option}={value!r} can.")
        return get_activation(name)

    return make


def _softplus(layer, shape):
    # Above the threshold torch returns z itself; from 20 on, that is softplus to 2e-9.
    if layer.beta != 1.0 or layer.threshold < 20:
        raise TypeError(f"{layer} cannot be converted: only beta=1.0 with a threshold of 20 or more can.")
    return get_activation("softplus")


def _parametric_relu(layer, shape):
    slopes = _array(layer.weight)
    if slopes.size == 1:
        return leaky_relu(slopes[0])
    if not shape or slopes.size != shape[0]:
        raise ValueError(f"{layer} has {slopes.size} slopes and gets samples of shape {shape}.")
    pixels = int(np.prod(shape[1:]))
    return join_activations([(leaky_relu(slope), pixels) for slope in slopes])


def _softmax(layer, shape):
    if layer.dim not in (1, -1) or len(shape) != 1:
        raise TypeError(f"{layer} cannot be converted: softmax must run over a whole sample.")
    return BlockActivation([(softmax(shape[0]), shape[0])])


def _nothing(layer, shape):
    return None, shape


def _flatten(layer, shape):
    if layer.start_dim != 1 or layer.end_dim != -1:
        raise TypeError(f"{layer} cannot be converted: only the whole of a sample can be flattened.")
    return None, (int(np.prod(shape)),)


def _linear(layer, shape):
    if shape != (layer.in_features,):
        raise ValueError(f"{layer} gets inputs of shape {shape}.")
    return affine_rule(_array(layer.weight), _array(layer.bias)), (layer.out_features,)


def _batch_norm(layer, shape):
    if layer.running_mean is None:
        raise TypeError(f"{layer} cannot be converted: it keeps no running statistics.")
    if not shape or shape[0] != layer.num_features:
        raise ValueError(f"{layer} gets inputs of shape {shape}.")
    arrays = (_array(array) for array in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
    return batch_norm(*arrays, epsilon=layer.eps, repeat=int(np.prod(shape[1:]))), shape


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


def _max_pooling(layer, shape):
    if layer.ceil_mode or layer.return_indices or np.any(np.asarray(layer.dilation) != 1):
        raise TypeError(f"{layer} cannot be converted: ceil_mode, dilation and return_indices are not supported.")
    return _pooled(layer, shape, max_pooling)


def _average_pooling(layer, shape):
    if layer.ceil_mode or getattr(layer, "divisor_override", None) is not None:
        raise TypeError(f"{layer} cannot be converted: ceil_mode and divisor_override are not supported.")
    return _pooled(layer, shape, average_pooling, count_padding=layer.count_include_pad)


def _pooled(layer, shape, pool, **options):
    window, stride, padding = (_each(value, shape) for value in (layer.kernel_size, layer.stride, layer.padding))
    rule = pool(window, input_shape=shape, stride=stride, padding=padding, **options)
    lengths = zip(shape[1:], window, stride, padding, strict=True)
    return rule, (shape[0], *((side + 2 * pad - size) // step + 1 for side, size, step, pad in lengths))


def _each(value, shape):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * (len(shape) - 1)


def _array(tensor):
    if tensor is None:
        return None
    if tensor.is_complex():
        raise TypeError("A layer with complex weights cannot be converted to a rule.")
    return tensor.detach().cpu().double().numpy()


def _shown(layer):
    """Return how torch shows a layer, with what it is a subclass of."""
    name = type_name(layer)
    return f"{layer}, {name}," if " " in name else str(layer)


_DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
_SEQUENTIAL = {"torch.nn": {"Sequential": True}}
#: How to convert the layers that are no activations: to a rule, None where they do nothing, and the shape after them.
_LAYERS = {
    "torch.nn": {
        **dict.fromkeys(("Identity", *_DROPOUTS), _nothing),
        **dict.fromkeys(("Conv1d", "Conv2d"), _convolution),
        **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), _batch_norm),
        **dict.fromkeys(("MaxPool1d", "MaxPool2d"), _max_pooling),
        **dict.fromkeys(("AvgPool1d", "AvgPool2d"), _average_pooling),
        "Flatten": _flatten,
        "Linear": _linear,
    }
}
#: The activations, by name or made from the layer and the shape of a sample.
ACTIVATIONS = {
    "torch.nn": {
        "ReLU": "relu",
        "Tanh": "tanh",
        "Sigmoid": "sigmoid",
        "SiLU": "silu",
        "ReLU6": lambda layer, shape: hardtanh(0.0, 6.0),
        "Hardtanh": lambda layer, shape: hardtanh(layer.min_val, layer.max_val),
        "LeakyReLU": lambda layer, shape: leaky_relu(layer.negative_slope),
        "PReLU": _parametric_relu,
        "ELU": _only("elu", "alpha", 1.0),
        "GELU": _only("gelu", "approximate", "none"),
        "Softplus": _softplus,
        "Softmax": _softmax,
    }
}
