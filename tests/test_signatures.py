"""What users call says what it takes and returns, for editors and type checkers (``mypy`` runs in CI)."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_overloads, get_type_hints

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
    inspection,
)
from skimplicit.estimators import parameter_types as estimator_types
from skimplicit.parameters import Names
from skimplicit.selection import parameter_types as selector_types
from skimplicit.training import BlockCoordinateDescent, StochasticGradient, TrainingMethod
from skimplicit.training import parameter_types as method_types


def _documented():
    """Yield the name and the function of all that the page of the API lists, of classes their public methods."""
    module = None
    for line in (Path(__file__).parent.parent / "doc" / "api.md").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:2] == ["..", "currentmodule::"]:
            module = words[2]
        elif len(words) == 1 and line.startswith("   ") and words[0][0] != ":":
            path, _, name = f"{module}.{words[0]}".rpartition(".")
            thing = getattr(import_module(path), name)
            if inspect.isfunction(thing):
                yield f"{path}.{name}", thing
            elif inspect.isclass(thing) and not issubclass(thing, TrainingMethod):  # whose methods the fits call
                methods = [part for part in dir(thing) if not part.startswith("_")] + ["__init__"]
                yield from ((f"{path}.{name}.{part}", inspect.getattr_static(thing, part)) for part in methods)


ENTRIES = dict(_documented())


@pytest.mark.parametrize("name", ENTRIES)
def test_every_argument_has_a_type(name):
    entry = ENTRIES[name]
    entry = inspect.unwrap(getattr(entry, "__func__", getattr(entry, "fn", entry)))
    if not inspect.isfunction(entry) or not entry.__module__.startswith("skimplicit"):
        return  # no method, or scikit-learn's, from a mixin
    if hasattr(entry, "__signature__"):
        return  # made from a table: see below
    signature = inspect.signature(entry)
    missing = [
        argument.name
        for argument in signature.parameters.values()
        if argument.annotation is argument.empty and argument.name not in ("self", "cls")
    ]
    assert not missing
    assert signature.return_annotation is not signature.empty or entry.__name__ == "__init__"


TYPES = {
    ImplicitRegressor: estimator_types.RegressorParameters,
    ImplicitClassifier: estimator_types.ClassifierParameters,
    ImplicitRegressorCV: estimator_types.RegressorCVParameters,
    ImplicitClassifierCV: estimator_types.ClassifierCVParameters,
    ImplicitFeatureSelector: selector_types.SelectorParameters,
    BlockCoordinateDescent: method_types.BlockParameters,
    StochasticGradient: method_types.GradientParameters,
}


def _admits(type_, value):
    """Tell whether a value has a type, of which only unions, literals and plain classes are looked at."""
    if get_origin(type_) in (Union, UnionType):
        return any(_admits(part, value) for part in get_args(type_))
    if get_origin(type_) is Literal:
        return value in get_args(type_)
    origin = get_origin(type_) or type_
    return value is None if origin is type(None) else isinstance(origin, type) and isinstance(value, origin)


@pytest.mark.parametrize("cls", TYPES)
def test_types_of_constructors(cls):
    parameters = dict(inspect.signature(cls).parameters)
    parameters.pop("estimator", None)
    types = get_type_hints(TYPES[cls])
    assert set(types) == set(parameters)
    wrong = {key for key, parameter in parameters.items() if not _admits(types[key], parameter.default)}
    assert not wrong
    table = cls._parameter_constraints
    for key, constraints in table.items():
        names = {option for entry in constraints if isinstance(entry, Names) for option in entry.options}
        if key in types and key != "activation":
            assert all(_admits(types[key], option) for option in names), key
            assert _admits(types[key], None) == (None in constraints or key in ("random_state", "cv")), key


@pytest.mark.parametrize("cls", TYPES)
def test_types_of_attributes(cls):
    types, parameters = get_type_hints(cls), get_type_hints(TYPES[cls])
    inherited = (
        {*get_type_hints(ImplicitRegressor)} if cls.__name__.endswith("CV") else set()
    )  # a CV twin has fewer values
    assert all(types[key] == parameters[key] for key in parameters.keys() - inherited)
    attributes = {entry.name for entry in ClassDoc(cls)["Attributes"]}
    assert attributes and not {key for key in attributes - types.keys() if not hasattr(cls, key)}


def test_predictions_have_the_type_of_what_is_asked_for():
    results = {str(get_type_hints(entry)["return"]) for entry in get_overloads(ImplicitRegressor.predict)}
    assert len(results) == 3


def test_rule_has_all_its_arrays():
    types = get_type_hints(ImplicitRule)
    assert {types[name] for name in ("A", "B", "C", "D", "b", "c")} == {np.ndarray}


@pytest.mark.parametrize("cls", [cls for cls in TYPES if hasattr(cls, "fit")])
def test_decorators_of_fit_leave_its_types(cls):
    fit = inspect.unwrap(cls.fit)
    names = re.findall(r"^ *@(\w+)", inspect.getsource(fit), re.MULTILINE)
    assert names and all("return" in get_type_hints(fit.__globals__[name]) for name in names)


@pytest.mark.parametrize("name", [name for name in inspection.__all__ if name.endswith("Display")])
def test_types_of_what_was_drawn(name):
    display = getattr(inspection, name)
    drawn = {entry.name for entry in ClassDoc(display)["Attributes"]}
    assert {"ax_", "axes_", "figure_"} < drawn <= get_type_hints(display).keys()
