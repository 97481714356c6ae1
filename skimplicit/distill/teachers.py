"""Teachers: networks whose hidden states a rule can learn."""

import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from skimplicit.activations import BaseActivation, join_activations
from skimplicit.distill.state_matching import Distillation, from_states
from skimplicit.feature_names import check_columns
from skimplicit.linalg import MatrixLike, to_dense
from skimplicit.networks import from_sklearn
from skimplicit.networks.exact_types import in_list
from skimplicit.networks.torch_converter import ACTIVATIONS, activation_of, checked_shape
from skimplicit.rule import ImplicitRule

__all__ = ["TeacherStates", "distill", "teacher_states"]

# Errors of a network in single precision; the share of them that inputs must explain to be needed.
_ROUNDING, _GAIN = 1e-5, 1e-2


@dataclass(frozen=True)
class TeacherStates:
    """What a teacher computes on its way from inputs to outputs.

    Parameters
    ----------
    Z : ndarray of shape (m, n)
        Pre-activations of its hidden units, last layer first.
    Y : ndarray of shape (m, q)
        Outputs; of a classifier, before the last softmax or sigmoid. In a torch network that is a module Softmax,
        LogSoftmax, Sigmoid or LogSigmoid whose outputs the network returns.
    activation : BaseActivation
        phi: the hidden units are ``phi(Z)``.
    pattern : ndarray of bool of shape (n, n)
        Units that each unit may depend on: in a rule, those with a weight in A that is not zero; in a torch network,
        those that were computed before.
    direct : bool
        Whether the outputs need the inputs beside the states: in a rule, where D is not zero; in a torch network,
        where a linear function of the states and inputs gives the outputs on U, and one of the states does not.
    """

    Z: np.ndarray = field(repr=False)
    Y: np.ndarray = field(repr=False)
    activation: BaseActivation
    pattern: np.ndarray = field(repr=False)
    direct: bool


def distill(
    teacher: Any,
    U: MatrixLike,
    *,
    input_shape: int | tuple[int, ...] | None = None,
    kappa: float = 0.95,
    l1: float = 0.05,
    alpha: float = 0.0,
    structure: str | ArrayLike | None = "teacher",
    direct: bool | str = "auto",
    refit: bool = True,
    regenerate: bool = True,
) -> Distillation:
    """Return a rule with the states and outputs of a trained network: :func:`from_states` of what it computes on U.

    Parameters
    ----------
    teacher : estimator, Pipeline, torch.nn.Module or ImplicitRule
        What :func:`~skimplicit.networks.from_sklearn` takes, an MLPClassifier or MLPRegressor among them; a torch
        network whose activations are modules; or a rule.
    U : array-like or CSR matrix of shape (m, p)
        Inputs; no outputs are needed but the teacher's.
    input_shape : int, tuple of int or None
        Shape in which a torch network wants each row of U; None for vectors.
    kappa : float
        Bound on the infinity norm of A, in [0, 1); divided by the largest slope of phi where that is above 1.
    l1 : float
        Weight of the absolute values, relative: at 1 no weight is left. 0 matches a teacher exactly where the bound
        allows it.
    alpha : float
        Ridge on A, B, C and D, for inputs and outputs of unit spread.
    structure : {"teacher", "no_self_loops"} or None, array-like of bool of shape (n, n), or list of int
        Entries of A that may be non-zero: those of :attr:`TeacherStates.pattern`, or as in :func:`from_states`. Inputs
        may reach every state in any case.
    direct : bool or "auto"
        Whether the rule has a direct term D u; auto: where the teacher has one, see :attr:`TeacherStates.direct`.
    refit : bool
        Whether weights that the penalty leaves non-zero are then fitted without it (the relaxed lasso).
    regenerate : bool
        Whether the readout is fitted on the states of the rule rather than on those of the teacher.

    Returns
    -------
    Distillation
        The rule, its residual, and the drift of its states with a bound.

    Raises
    ------
    TypeError
        If the teacher, or a part of it, is of a kind that is not supported; the message names it.
    ValueError
        If an argument is not finite, has the wrong shape or is outside its range; the message names it.

    See Also
    --------
    from_states : With states in place of a network.
    prune : Fewer weights, with a certified change.
    skimplicit.networks.from_sklearn : The network itself as a rule.

    Notes
    -----
    The scale of the states is free when phi is positively homogeneous. It is then chosen so that the teacher's own
    layers, whose norms are often far above 1, fit inside the bound. For other activations (tanh) the bound acts.

    Sources: Tsai et al. (2022), arXiv 2209.09389; Tsai, Gao and El Ghaoui (2025), PMLR 260.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.distill import distill
    >>> rng = np.random.default_rng(0)
    >>> teacher = ImplicitRule(0.3 * np.eye(5, k=1), rng.normal(size=(5, 3)), rng.normal(size=(2, 5)), b=np.ones(5))
    >>> result = distill(teacher, rng.normal(size=(300, 3)), l1=0)
    >>> bool(np.abs(result.rule.A - teacher.A).max() < 1e-6)
    True
    """
    if isinstance(structure, str) and structure not in ("teacher", "no_self_loops"):
        raise ValueError(f"structure must be 'teacher', 'no_self_loops', None, a mask or sizes, got {structure!r}.")
    if not isinstance(direct, bool | np.bool_) and direct != "auto":
        raise ValueError(f"direct must be True, False or 'auto', got {direct!r}.")
    given = teacher_states(teacher, U, input_shape=input_shape)
    direct = given.direct if isinstance(direct, str) else direct
    options = {"activation": given.activation, "kappa": kappa, "l1": l1, "alpha": alpha}
    options |= {"direct": direct, "refit": refit, "regenerate": regenerate}
    if isinstance(structure, str) and structure == "teacher":
        return from_states(U, given.Z, given.Y, structure=given.pattern, **options)
    if not given.activation.homogeneous:
        return from_states(U, given.Z, given.Y, structure=structure, **options)
    scale = from_states(U, given.Z, given.Y, structure=given.pattern, **options).state_scale
    result = from_states(U, given.Z * scale, given.Y, structure=structure, **options)
    return replace(result, state_scale=result.state_scale * scale)


def teacher_states(teacher: Any, U: MatrixLike, *, input_shape: int | tuple[int, ...] | None = None) -> TeacherStates:
    """Return the pre-activations, outputs, activation and pattern of a teacher on inputs.

    Parameters
    ----------
    teacher : estimator, Pipeline, torch.nn.Module or ImplicitRule
        As in :func:`distill`.
    U : array-like or CSR matrix of shape (m, p)
        Inputs.
    input_shape : int, tuple of int or None
        Shape in which a torch network wants each row of U; None for vectors.

    Returns
    -------
    TeacherStates
        What it computes. A torch network is run once, in evaluation mode; each call of an activation module is a layer.

    Raises
    ------
    TypeError
        If the teacher, or a part of it, is of a kind that is not supported; the message names it.
    ValueError
        If it has no hidden units, or U does not fit it, a data frame by the names of its columns.
    """
    torch = sys.modules.get("torch")  # who has a torch network has imported torch
    if torch is not None and isinstance(teacher, torch.nn.Module):
        return _torch_states(teacher, U, input_shape, torch)
    if input_shape is not None:
        raise ValueError("input_shape is for torch networks; other teachers take vectors.")
    rule = teacher if isinstance(teacher, ImplicitRule) else from_sklearn(teacher)
    if rule.n_hidden == 0:
        raise ValueError(f"The teacher, a {type(teacher).__name__}, has no hidden units.")
    given, U = U, check_array(U, accept_sparse="csr", dtype=np.float64, input_name="U")
    check_columns(teacher, given)
    X = rule.states(U)
    Z = X @ rule.A.T + to_dense(U @ rule.B.T) + rule.b
    direct = bool(np.any(to_dense(rule.D)))
    return TeacherStates(Z, rule.predict(U), rule.activation, to_dense(rule.A) != 0, direct)


def _torch_states(module, U, input_shape, torch):
    """Run a torch network on U and record what goes into its activation modules."""
    U = check_array(U, dtype=np.float64, input_name="U")
    shape = U.shape[1:] if input_shape is None else checked_shape(input_shape)
    calls = _Calls()
    modes = [(part, part.training) for part in module.modules()]
    hooks = calls.hooks(module)
    try:
        parameter = next(module.parameters())
        inputs = torch.as_tensor(U.reshape(U.shape[0], *shape))
        with torch.no_grad():
            Y = module.eval()(inputs.to(parameter.device, parameter.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes:
            part.training = training
    if not isinstance(Y, torch.Tensor):
        raise TypeError(f"The teacher, a {type(module).__name__}, returns a {type(Y).__name__}, not one tensor.")
    Y = calls.before_probabilities(_rows(Y))
    layers = calls.layers[::-1]
    if not layers:
        raise ValueError(f"The teacher, a {type(module).__name__}, calls no activation module that is supported.")
    sizes = [Z.shape[1] for Z, _ in layers]
    number = np.repeat(np.arange(len(sizes)), sizes)
    Z = np.hstack([Z for Z, _ in layers])
    phi = join_activations([(phi, size) for (_, phi), size in zip(layers, sizes, strict=True)])
    return TeacherStates(Z, Y, phi, number[:, None] < number, _needs_inputs(phi(Z), U, Y))


class _Calls:
    """What goes through the activation modules of a torch network, call by call."""

    def __init__(self):
        self.layers = []
        # Inputs, outputs and number in ``layers`` (or None) of the last call that made probabilities.
        self._probabilities = None

    def hooks(self, module):
        """Register the hooks that record; return them."""
        handles = []
        for part in module.modules():
            if in_list(_MAKE_PROBABILITIES, part) or in_list(ACTIVATIONS, part):
                handles.append(part.register_forward_pre_hook(self._before))
                handles.append(part.register_forward_hook(self._after))
        return handles

    def _before(self, part, inputs):
        # Before the call: an activation that works in place overwrites its input.
        self._inputs = _rows(inputs[0]).copy()
        self._shape = tuple(inputs[0].shape[1:])

    def _after(self, part, inputs, outputs):
        made, number = _rows(outputs).copy(), None
        if type(part).__name__ != "Softmax" and in_list(ACTIVATIONS, part):
            phi = activation_of(part, self._shape)
            if not np.allclose(phi(self._inputs), made, rtol=1e-3, atol=1e-4 * np.abs(made).max(initial=0.0)):
                raise ValueError(f"{part} does not return what {phi.name} does: it has hooks, or has been changed.")
            number = len(self.layers)
            self.layers.append((self._inputs, phi))
        if in_list(_MAKE_PROBABILITIES, part):
            self._probabilities = self._inputs, made, number

    def before_probabilities(self, Y):
        """Return Y or, where it is what the last softmax or sigmoid made, the inputs of that; then it is no layer."""
        if self._probabilities is None or not np.array_equal(self._probabilities[1], Y):
            return Y
        inputs, _, number = self._probabilities
        if number is not None:
            del self.layers[number]
        return inputs


def _rows(tensor):
    return tensor.detach().cpu().double().numpy().reshape(len(tensor), -1)


def _needs_inputs(X, U, Y):
    """Tell whether an affine function of X and U gives Y, and one of X alone does not."""
    m = Y.shape[0]
    if m <= X.shape[1] + U.shape[1] + 1:  # any Y would be met
        return False
    errors = []
    for given in (X, np.hstack([X, U])):
        regressors = np.hstack([given, np.ones((m, 1))])
        errors.append(np.linalg.norm(Y - regressors @ np.linalg.lstsq(regressors, Y, rcond=None)[0]))
    return bool(errors[0] > _ROUNDING * np.linalg.norm(Y) and errors[1] < _GAIN * errors[0])


_MAKE_PROBABILITIES = {"torch.nn": dict.fromkeys(("Sigmoid", "LogSigmoid", "Softmax", "LogSoftmax"), True)}
