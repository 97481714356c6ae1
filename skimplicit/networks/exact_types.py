"""White lists: what is done with a model, by its exact type.

A subclass may compute anything, so it is not its parent here. The lists hold names, for whoever has an instance has
imported its module; this keeps the modules of all the others from being imported.
"""

import sys

__all__ = ["in_list", "names_in", "type_name"]

_PACKAGES = ("sklearn.", "torch.", "skimplicit.")


def in_list(table, model):
    """Return the entry of the exact type of a model, or None.

    Parameters
    ----------
    table : dict of str to dict of str to object
        Entries by public module and name of a type.
    model : object
        The model.

    Returns
    -------
    object or None
        ``table[module][name]`` where ``module.name`` is the type of the model itself, not one of its parents.
    """
    kind = type(model)
    for module, entries in table.items():
        if kind.__name__ in entries and getattr(sys.modules.get(module), kind.__name__, None) is kind:
            return entries[kind.__name__]
    return None


def names_in(*tables):
    """Return the names in white lists, for a message.

    Parameters
    ----------
    *tables : dict of str to dict of str to object
        White lists.

    Returns
    -------
    str
        The names in alphabetical order.
    """
    return ", ".join(sorted({name for table in tables for entries in table.values() for name in entries}))


def type_name(model):
    """Return the name of the type of a model, with its parent in scikit-learn, torch or this package if it has one.

    Parameters
    ----------
    model : object
        The model.

    Returns
    -------
    str
        Such as ``Doubled (a subclass of Ridge)``.
    """
    kind = type(model)
    parent = next((base for base in kind.__mro__[1:] if base.__module__.startswith(_PACKAGES)), None)
    inherits = parent is not None and not kind.__module__.startswith(_PACKAGES)
    return f"{kind.__name__} (a subclass of {parent.__name__})" if inherits else kind.__name__
