"""What users call says what it takes and returns, for editors and type checkers (``mypy`` runs in CI)."""

import inspect
from importlib import import_module

import pytest

import skimplicit

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
