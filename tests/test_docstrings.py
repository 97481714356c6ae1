"""Every public object has a docstring in the numpydoc style that matches its signature."""

import importlib
import inspect
import pkgutil
from collections import defaultdict
from enum import Enum
from functools import cached_property

import pytest
from numpydoc.validate import validate

import skimplicit

# What has to hold, by numpydoc's codes; matters of taste are left to the author and to ruff.
CODES = {
    "GL06": "unknown section",
    "GL07": "sections in the wrong order",
    "GL08": "no docstring",
    "SS01": "no summary",
    "SS03": "the summary does not end with a full stop",
    "SS06": "the summary takes more than one line",
    "PR01": "a parameter is not documented",
    "PR02": "a documented parameter does not exist",
    "PR03": "parameters in the wrong order",
    "PR04": "a parameter without a type",
    "PR07": "a parameter without a description",
    "PR10": "a parameter without a space before its colon",
    "RT01": "what is returned is not documented",
    "RT03": "what is returned has no description",
    "YD01": "what is yielded is not documented",
}


def public_modules():
    """Yield the package and each of its modules that no underscore hides."""
    yield skimplicit
    for info in pkgutil.walk_packages(skimplicit.__path__, "skimplicit."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            yield importlib.import_module(info.name)


def public_members(cls):
    """Yield the names of the public methods and properties that this package wrote."""
    for name, member in inspect.getmembers(cls):
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, cached_property):
            member = member.func
        ours = (getattr(member, "__module__", None) or "").partition(".")[0] == "skimplicit"
        if ours and callable(member) and not name.startswith("_"):
            yield name


def is_base_of_exported(cls):
    """Tell whether the parameters of a class are documented where users see them: in subclasses that are exported."""
    exported = [getattr(skimplicit, name) for name in skimplicit.__all__]
    return cls not in exported and any(inspect.isclass(thing) and cls in thing.__mro__ for thing in exported)


def public_objects():
    """Yield the module of each public object or member, where numpydoc finds it, and the codes it must meet."""
    found = {}
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                found.setdefault(id(thing), (module.__name__, f"{module.__name__}.{name}", thing))
    for module, path, thing in found.values():
        undocumented = inspect.isclass(thing) and (issubclass(thing, Enum) or is_base_of_exported(thing))
        yield module, path, set(CODES) - {"PR01"} if undocumented else set(CODES)
        if inspect.isclass(thing):
            # Users read the members of what the package exports. Below that, one sentence can be enough.
            exported = getattr(skimplicit, thing.__name__, None) is thing
            codes = set(CODES) if exported else set(CODES) - {"PR01", "RT01", "YD01"}
            yield from ((module, f"{path}.{name}", codes) for name in public_members(thing))


BY_MODULE = defaultdict(list)
for where, path, wanted in public_objects():
    BY_MODULE[where].append((path, wanted))


@pytest.mark.slow_cases
@pytest.mark.parametrize("module", BY_MODULE)
def test_docstrings(module):
    found = [
        f"{name}: {code}: {message}"
        for name, codes in BY_MODULE[module]
        for code, message in validate(name)["errors"]
        if code in codes
    ]
    assert not found, "\n".join(found)
