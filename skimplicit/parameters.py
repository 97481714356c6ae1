"""Parameters written once: from one table to the signature, the constraints and the documentation of a class."""

import inspect
import textwrap
from dataclasses import dataclass

__all__ = ["Parameter", "Parametrised"]

# Stands for the Parameters section in the docstring of a class.
_PLACE = "    {parameters}\n"
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
    """

    default: object
    type: str
    text: str
    constraints: list


class Parametrised:
    """Gives a class of scikit-learn's kind a keyword-only constructor that stores its arguments as they are given.

    A class names in ``_parameters`` what it adds to the parameters of its bases or has otherwise, as
    ``{name: Parameter}``, and what it does not have, as ``{name: None}``. When the class is made, its constructor, its
    ``_parameter_constraints`` and, where the docstring says ``{parameters}`` on a line of its own, the section on its
    parameters are made from the table of all. A class with an ``__init__`` of its own keeps that.
    """

    _parameters = {}

    def __init_subclass__(cls, **kwargs):
        """Make what follows from the table, unless a base has made it already."""
        super().__init_subclass__(**kwargs)
        merged = {}
        for base in reversed(cls.__mro__):
            merged |= vars(base).get("_parameters", {})
        table = {name: parameter for name, parameter in merged.items() if parameter is not None}
        if _PLACE in (vars(cls).get("__doc__") or ""):  # python -OO keeps no docstring
            cls.__doc__ = cls.__doc__.replace(_PLACE, textwrap.indent(_section(table), "    "))
        if "__init__" in vars(cls) or table == getattr(super(cls, cls), "_parameter_table", None):
            return
        cls._parameter_table = table
        cls._parameter_constraints = {name: parameter.constraints for name, parameter in table.items()}
        cls.__init__ = _constructor(cls, table)


def _constructor(cls, table):
    """Return an ``__init__`` with the signature that the table says."""

    def __init__(self, *args, **parameters):
        try:
            bound = __init__.__signature__.bind(self, *args, **parameters)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}; parameters are given by keyword.") from None
        bound.apply_defaults()
        for name in table:
            setattr(self, name, bound.arguments[name])

    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=parameter.default)
        for name, parameter in table.items()
    ]
    __init__.__signature__ = inspect.Signature([itself, *keywords])
    __init__.__module__, __init__.__qualname__ = cls.__module__, f"{cls.__qualname__}.__init__"
    return __init__


def _section(table):
    """Return the section of a docstring on the parameters, as numpydoc writes it."""
    lines = ["Parameters", "----------"]
    for name, parameter in table.items():
        lines.append(f"{name} : {parameter.type}, default={parameter.default!r}")
        lines += textwrap.wrap(parameter.text, _WIDTH, initial_indent="    ", subsequent_indent="    ", **_WRAP)
    return "\n".join(lines) + "\n"
