"""What users call says what it takes and returns, for editors and type checkers (``mypy`` runs in CI)."""

import inspect
from importlib import import_module
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_overloads, get_type_hints

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc

import skimplicit
from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
)
from skimplicit.estimators import parameter_types as estimator_types
from skimplicit.parameters import Names
from skimplicit.selection import parameter_types as selector_types
from skimplicit.training import BlockCoordinateDescent, StochasticGradient
from skimplicit.training import parameter_types as method_types

DOORS = ["skimplicit", "skimplicit.distill", "skimplicit.export", "skimplicit.networks", "skimplicit.robustness"]
FUNCTIONS = {
    f"{door}.{name}": entry
    for door in DOORS
    for name in import_module(door).__all__
    if inspect.isfunction(entry := getattr(import_module(door), name))
}
CLASSES = ["ImplicitRule", "ImplicitRegressor", "ImplicitClassifier", "ImplicitRegressorCV", "ImplicitFeatureSelector"]
METHODS = ["fit", "partial_fit", "predict", "predict_proba", "transform", "predict_interval", "from_rule", "solve"]
ENTRIES = FUNCTIONS | {
    f"{cls}.{name}": inspect.getattr_static(getattr(skimplicit, cls), name)
    for cls in CLASSES
    for name in METHODS
    if hasattr(getattr(skimplicit, cls), name)
}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_argument_has_a_type(name):
    entry = ENTRIES[name]
    entry = inspect.unwrap(getattr(entry, "__func__", getattr(entry, "fn", entry)))
    if not entry.__module__.startswith("skimplicit"):
        return  # scikit-learn's, from a mixin
    signature = inspect.signature(entry)
    missing = [
        argument.name
        for argument in signature.parameters.values()
        if argument.annotation is argument.empty and argument.name not in ("self", "cls")
    ]
    assert not missing
    assert signature.return_annotation is not signature.empty


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
