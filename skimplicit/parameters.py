"""Parameters and attributes written once: from tables to signature, constraints and documentation of a class."""

import inspect
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

__all__ = [
    "N_JOBS",
    "Attribute",
    "Names",
    "Parameter",
    "Parametrised",
    "check_truths",
    "checked_number",
    "is_finite",
    "nearest",
]

# What ``n_jobs`` may be: joblib says that 0 has no meaning, but only when there is something to run.
N_JOBS = [None, Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right")]

# Lines that stand for the sections in the docstring of a class.
_PARAMETERS, _ATTRIBUTES = "{parameters}", "{attributes}"
# Code in a text stays in one piece.
_WIDTH, _WRAP = 112, {"break_long_words": False, "break_on_hyphens": False}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor.

    Parameters
    ----------
    default : object
        Its default.
    type : str
        What it may be, as numpydoc writes it.
    text : str
        What it means; line breaks are set anew.
    constraints : list
        What it may be, as scikit-learn's ``_parameter_constraints`` writes it.
    positional : bool
        Whether it can be given without its name too; such parameters come first.
    advice : callable or None
        ``advice(value)`` returns a sentence for somebody who gave a value that it may not be, or None.
    """

    default: object
    type: str
    text: str
    constraints: list
    positional: bool = False
    advice: Callable | None = None


@dataclass(frozen=True)
class Attribute:
    """One attribute of a fitted estimator.

    Parameters
    ----------
    type : str
        What it is, as numpydoc writes it.
    text : str
        What it means; line breaks are set anew.
    """

    type: str
    text: str


def nearest(value, names):
    """Return a sentence that asks whether the nearest name was meant, with a space before it.

    Parameters
    ----------
    value : object
        What was given.
    names : iterable of str
        What it could have been.

    Returns
    -------
    str
        Empty if nothing is near.

    Examples
    --------
    >>> from skimplicit.parameters import nearest
    >>> nearest("rleu", ["tanh", "relu"])
    " Did you mean 'relu'?"
    """
    if not isinstance(value, str):
        return ""
    known = {name.lower(): name for name in names if isinstance(name, str)}
    found = get_close_matches(value.lower(), known, 1)
    return f" Did you mean {known[found[0]]!r}?" if found else ""


def checked_number(value, name, *, least=-np.inf, integer=False):
    """Return a number as it was given, or say which argument is none.

    Parameters
    ----------
    value : object
        What was given.
    name : str
        What the argument is called.
    least : float
        The least that it may be.
    integer : bool
        Whether it must be an integer.

    Returns
    -------
    int or float
        The same.

    Raises
    ------
    TypeError
        If it is no number, or no integer where it must be one.
    ValueError
        If it is too small, or not finite.

    Examples
    --------
    >>> from skimplicit.parameters import checked_number
    >>> checked_number(3, "n_steps", least=1, integer=True)
    3
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral if integer else Real):
        raise TypeError(f"{name} must be {'an integer' if integer else 'a number'}, got {value!r}.")
    if not is_finite(value):
        raise ValueError(f"{name} must be finite, got {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}.")
    return value


def is_finite(value):
    """Tell whether a number, of Python or NumPy, is a finite one in double precision.

    Parameters
    ----------
    value : int or float
        The number; NumPy does not take every integer.

    Returns
    -------
    bool
        Whether it is.
    """
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_truths(**values):
    """Refuse what is neither true nor false.

    Parameters
    ----------
    **values : object
        What was given, by the names of the arguments.

    Raises
    ------
    ValueError
        If one is no truth value; the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False, got {value!r}.")


class Names(StrOptions):
    """One of some names, which messages have in alphabetical order.

    Parameters
    ----------
    names : iterable of str
        The names.
    """

    def __init__(self, names):
        super().__init__(set(names))

    def __str__(self):
        """Say what it may be."""
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class Parametrised:
    """Gives a class of scikit-learn's kind a constructor by keywords that stores its arguments as they are given.

    A class names in ``_parameters`` what it adds to the parameters of its bases or has otherwise, as
    ``{name: Parameter}``, and what it does not have, as ``{name: None}``. When the class is made, its constructor, its
    ``_parameter_constraints`` and, where the docstring says ``{parameters}`` on a line of its own, the section on its
    parameters are made from the table of all. A class with an ``__init__`` of its own keeps that. In ``_attributes`` it
    names its attributes in the same way, as ``{name: Attribute}``, for ``{attributes}`` in the docstring.
    """

    _parameters: ClassVar[dict[str, Any]] = {}
    _attributes: ClassVar[dict[str, Any]] = {}

    @staticmethod
    def _elsewhere(name, known):
        """Return a sentence on a parameter that there is not, with a space before it: what could have been meant."""
        return nearest(name, known)

    def __init_subclass__(cls, **kwargs):
        """Make what follows from the table, unless a base has made it already."""
        super().__init_subclass__(**kwargs)
        table = _merged(cls, "_parameters")
        _document(cls, _PARAMETERS, "Parameters", {name: _described(entry) for name, entry in table.items()})
        _document(cls, _ATTRIBUTES, "Attributes", _merged(cls, "_attributes"))
        if "__init__" in vars(cls) or table == getattr(super(cls, cls), "_parameter_table", None):
            return
        cls._parameter_table = table
        cls._parameter_constraints = {name: parameter.constraints for name, parameter in table.items()}
        cls.__init__ = _constructor(cls, table)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, and of the objects among them.

        Parameters
        ----------
        **params : object
            Parameters; that of an object among them with the name of that object before it, as ``method__batch_size``.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or what should have it is no object with parameters.
        """
        self._check_nested(params)
        self._check_known(params)
        return super().set_params(**params)  # type: ignore[misc]  # that of BaseEstimator, which comes next

    def _check_nested(self, params):
        """Say of parameters of parts which part has none: scikit-learn asks a str, or None, for its ``set_params``."""
        own = self.get_params(deep=False)
        for name in params:
            part, nested, _ = name.partition("__")
            value = params.get(part, own.get(part))
            if nested and part in own and not hasattr(value, "set_params"):
                raise ValueError(
                    f"{name} sets a parameter of {part}, but {part}={value!r} has none; give {part} as an object that "
                    "has it."
                )

    def _check_known(self, params):
        """Ask of a parameter that is misspelt whether the nearest one was meant; others are left to scikit-learn."""
        own = self.get_params(deep=False)
        for name in params:
            advice = "" if "__" in name or name in own else nearest(name, own)
            if advice:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}.{advice}")

    def _validate_params(self):
        """Validate as ``BaseEstimator`` does, and add to its message what could have been meant."""
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{self._advice(str(error))}") from None

    def _advice(self, message):
        """Return a sentence for the parameter that a message is about, with a space before it; or nothing."""
        values = self.get_params(deep=False)
        name = next((name for name in values if message.startswith(f"The {name!r} parameter ")), None)
        if name is None:  # of a part of this estimator, which has said what it can
            return ""
        parameter = self._parameter_table.get(name)  # None for one that a subclass adds with an __init__ of its own
        sentence = parameter and parameter.advice and parameter.advice(values[name])
        if sentence:
            return f" {sentence}"
        constraints = self._parameter_constraints[name]
        return nearest(values[name], [n for known in constraints if isinstance(known, Names) for n in known.options])


def _constructor(cls, table):
    """Return an ``__init__`` with the signature that the table says."""

    def __init__(self, *args, **parameters):
        try:
            bound = __init__.__signature__.bind(self, *args, **parameters)
        except TypeError as error:
            unknown = next((name for name in parameters if name not in table), None)
            advice = "; parameters are given by keyword." if unknown is None else f".{self._elsewhere(unknown, table)}"
            raise TypeError(f"{type(self).__name__}: {error}{advice}") from None
        bound.apply_defaults()
        for name in table:
            setattr(self, name, bound.arguments[name])

    either, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    arguments = [
        inspect.Parameter(name, either if parameter.positional else keyword, default=parameter.default)
        for name, parameter in table.items()
    ]
    __init__.__signature__ = inspect.Signature([inspect.Parameter("self", either), *arguments])
    __init__.__module__, __init__.__qualname__ = cls.__module__, f"{cls.__qualname__}.__init__"
    return __init__


def _merged(cls, name):
    """Return the entries of the tables of a class and its bases; its own go before those of its bases."""
    merged = {}
    for base in reversed(cls.__mro__):
        merged |= vars(base).get(name, {})
    return {key: entry for key, entry in merged.items() if entry is not None}


def _described(parameter):
    """Return the type of a parameter with its default, and its text."""
    return Attribute(f"{parameter.type}, default={parameter.default!r}", parameter.text)


def _document(cls, place, title, entries):
    """Put a section of the docstring of a class in the place of a line of it, as numpydoc writes it."""
    # Python 3.13 and newer take the indentation away on their own; python -OO keeps no docstring at all.
    lines = inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines()
    if place not in lines:
        return
    section = [title, "-" * len(title)]
    for name, entry in entries.items():
        section.append(f"{name} : {entry.type}")
        section += textwrap.wrap(entry.text, _WIDTH, initial_indent="    ", subsequent_indent="    ", **_WRAP)
    at = lines.index(place)
    cls.__doc__ = "\n".join([*lines[:at], *section, *lines[at + 1 :], ""])
