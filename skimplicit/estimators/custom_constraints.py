"""The ``constraints`` parameter of the estimators: from the units of the data to those of training, block by block."""

import inspect

import numpy as np

__all__ = ["of_readout", "of_states", "takes_readout"]


def takes_readout(constraints):
    """Tell whether a callable is ``constraints(A, B, C, D)``, on the readout as well, and not ``constraints(A, B)``.

    Parameters
    ----------
    constraints : callable
        The user's constraints.

    Returns
    -------
    bool
        Whether it has four positional parameters without a default.

    Raises
    ------
    TypeError
        If it can be called with neither two nor four arguments, or calls one by the name of another matrix.
    """
    known = getattr(constraints, "takes_readout", None)
    if known is not None:
        return known
    signature = inspect.signature(constraints)
    # A function of (C, D) would get A and B.
    elsewhere = [name for k, name in enumerate(signature.parameters) if name in [*"ABCD"] and name != "ABCD"[k : k + 1]]
    if elsewhere:
        raise TypeError(
            f"constraints are given A, B, or A, B, C, D, in this order, but {elsewhere[0]} has another place in "
            f"{getattr(constraints, '__name__', constraints)}{signature}."
        )
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    four = sum(p.kind in kinds and p.default is p.empty for p in signature.parameters.values()) == 4
    try:
        signature.bind(*"ABCD" if four else "AB")
    except TypeError as error:
        raise TypeError(f"constraints must be a function of (A, B) or (A, B, C, D), got {constraints!r}.") from error
    return four


def of_states(constraints, samples, direct):
    """Return the constraints on A and B, for the inputs as they are, as a callable in the units of training.

    Parameters
    ----------
    constraints : callable
        ``constraints(A, B)`` or ``constraints(A, B, C, D)`` in the units of the data.
    samples : Samples
        The samples, which know the units of training.
    direct : bool
        Whether there is a direct term; without one D is a constant, zero.

    Returns
    -------
    callable
        ``(A, B)`` to a list of constraints.
    """
    return _StatesPart(constraints, samples, direct)


def of_readout(constraints, samples, direct, n_hidden):
    """Return the constraints on C and D, for inputs and targets as they are, in the units of training.

    Parameters
    ----------
    constraints, samples, direct : object
        As for :func:`of_states`.
    n_hidden : int
        Number n of states.

    Returns
    -------
    callable or None
        ``(C, D)`` to a list of constraints; D has no columns without a direct term. None where the constraints are on
        A and B alone.
    """
    return _ReadoutPart(constraints, samples, direct, n_hidden) if takes_readout(constraints) else None


class _Part:
    def __init__(self, constraints, samples, direct):
        self.constraints, self.direct = constraints, direct
        self.per_unit, self.Y_scale = samples.per_unit, samples.Y_scale

    def _split(self, A, B, C, D):
        """Return the constraints on A and B, and those on C and D."""
        found = self.constraints(A, B, C, D)
        found = list(found) if isinstance(found, list | tuple) else [found]
        # What is no constraint is named where constraints are checked.
        ids = [{v.id for v in getattr(constraint, "variables", list)()} for constraint in found]
        inner, outer = (_reached(first.variables() + second.variables(), ids) for first, second in ((A, B), (C, D)))
        parts = [], []
        for constraint, own in zip(found, ids, strict=True):
            if own & inner and own & outer:
                raise ValueError(
                    f"constraints(A, B, C, D) returned one that ties A or B to C or D: {constraint}. Each must be on A "
                    "and B or on C and D, for these are found in turn; so must those that share a variable."
                )
            parts[bool(own & outer)].append(constraint)
        return parts


def _reached(variables, ids):
    """Return the ids of some variables and of all that constraints tie to them, by way of one another."""
    reached, size = {v.id for v in variables}, 0
    while size < len(reached):
        size = len(reached)
        reached.update(*(own for own in ids if own & reached))
    return reached


class _StatesPart(_Part):
    def __call__(self, A, B):
        import cvxpy as cp

        B = cp.multiply(np.broadcast_to(self.per_unit, B.shape), B)
        if not takes_readout(self.constraints):
            return self.constraints(A, B)
        q, (n, p) = self.Y_scale.size, B.shape
        D = cp.Variable((q, p)) if self.direct else cp.Constant(np.zeros((q, p)))
        return self._split(A, B, cp.Variable((q, n)), D)[0]


class _ReadoutPart(_Part):
    def __init__(self, constraints, samples, direct, n_hidden):
        super().__init__(constraints, samples, direct)
        self.n_hidden = n_hidden

    def __call__(self, C, D):
        import cvxpy as cp

        n, p, q = self.n_hidden, self.per_unit.size, self.Y_scale.size
        C = cp.multiply(np.broadcast_to(self.Y_scale[:, None], C.shape), C)
        D = cp.multiply(np.outer(self.Y_scale, self.per_unit), D) if self.direct else cp.Constant(np.zeros((q, p)))
        return self._split(cp.Variable((n, n)), cp.Variable((n, p)), C, D)[1]
