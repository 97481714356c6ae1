"""Parameters are written once: signature, storage, constraints and documentation follow from one table."""

import inspect
import pickle
import pydoc
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skimplicit import (
    ImplicitClassifier,
    ImplicitClassifierCV,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
)
from skimplicit.estimators.alpha_search import RidgePathMixin
from skimplicit.parameters import Parameter, Parametrised
from skimplicit.training import StochasticGradient

ESTIMATORS = [ImplicitRegressor, ImplicitClassifier, ImplicitRegressorCV, ImplicitClassifierCV]
every_class = pytest.mark.parametrize("cls", [*ESTIMATORS, ImplicitFeatureSelector, StochasticGradient])


class Base(Parametrised, BaseEstimator):
    """Base.

    {parameters}

    Notes
    -----
    The end.
    """

    _parameters = {
        "first": Parameter(1, "int", "The first.", [int]),
        "second": Parameter("two words", "str", "A text that is " + "very " * 40 + "long, with ``co-de``.", [str]),
    }


class Leaf(Base):
    """Leaf.

    {parameters}
    """

    _parameters = {
        "second": None,
        "first": Parameter(7, "int", "Changed.", [int]),
        "third": Parameter(3, "int", "", []),
    }


class Mixin:
    _parameters = {"fourth": Parameter(4, "int", "The fourth.", [int])}


class Mixed(Mixin, Base):
    pass


def test_table_makes_the_class():
    assert str(inspect.signature(Base)) == "(*, first=1, second='two words')"
    assert vars(Base(first=5)) == {"first": 5, "second": "two words"}
    assert Base._parameter_constraints == {"first": [int], "second": [str]}
    assert "first : int, default=1\n    The first.\n" in Base.__doc__
    assert max(map(len, Base.__doc__.splitlines())) <= 120 and "``co-de``." in Base.__doc__
    assert Base.__doc__.index("second : str") < Base.__doc__.index("Notes")


def test_a_subclass_adds_changes_and_removes():
    assert str(inspect.signature(Leaf)) == "(*, first=7, third=3)"
    assert "Changed." in Leaf.__doc__ and "second" not in Leaf.__doc__ and "{parameters}" not in Leaf.__doc__
    assert Leaf._parameter_constraints == {"first": [int], "third": []}
    assert str(inspect.signature(Mixed)) == "(*, first=1, second='two words', fourth=4)"
    assert inspect.signature(Base).parameters["first"].default == 1  # the base stays as it is


def test_docstrings_without_indentation_as_python_3_13_keeps_them():
    table = {"first": Parameter(1, "int", "The first.", [int])}
    doc = "One.\n\n{parameters}\n\nNotes\n-----\nThe end.\n"
    indented = doc.replace("\n", "\n    ").replace("    \n", "\n")
    classes = [type("One", (Parametrised,), {"__doc__": text, "_parameters": table}) for text in (doc, indented)]
    expected = "One.\n\nParameters\n----------\nfirst : int, default=1\n    The first.\n\nNotes\n-----\nThe end.\n"
    assert [cls.__doc__ for cls in classes] == [expected, expected]


def test_a_constructor_of_the_users_stays():
    class Own(ImplicitRegressor):
        def __init__(self, *, n_hidden=2, extra=None):
            super().__init__(n_hidden=n_hidden)
            self.extra = extra

    class Below(Own):
        pass

    for cls in (Own, Below):
        assert cls(extra=3).extra == 3 and set(clone(cls(n_hidden=4)).get_params()) == {"n_hidden", "extra"}


@every_class
def test_arguments_are_stored_as_given(cls):
    marks = {name: object() for name in inspect.signature(cls).parameters}
    model = cls(**marks)
    assert vars(model) == marks and model.get_params(deep=False) == marks
    defaults = {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}
    assert vars(cls()) == defaults and set(cls._parameter_constraints) == set(defaults)


@every_class
@pytest.mark.parametrize("args, kwargs", [((3, 4), {}), ((), {"no_such": 1})])
def test_wrong_arguments_are_refused_by_name(cls, args, kwargs):
    with pytest.raises(TypeError, match=f"^{cls.__name__}: .*(positional|'no_such')"):
        cls(*args, **kwargs)


@every_class
def test_every_parameter_is_documented_where_people_look(cls):
    signature = str(inspect.signature(cls))
    assert f"class {cls.__name__}" in pydoc.render_doc(cls, renderer=pydoc.plaintext)
    for name, parameter in inspect.signature(cls).parameters.items():
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) == (name != "estimator")
        assert f"\n{name} : " in cls.__doc__ and f"default={parameter.default!r}\n" in cls.__doc__
        assert f"{name}={parameter.default!r}" in signature
        value = 0.25 if isinstance(parameter.default, float) else 3
        assert repr(cls(**{name: value})) == f"{cls.__name__}({name}={value})"
    assert pickle.loads(pickle.dumps(cls())).get_params() == cls().get_params()


@pytest.mark.slow_cases
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("chooses", [False, True])
def test_what_a_fit_leaves_is_what_is_documented(cls, chooses):
    few = {"alphas": 2} if issubclass(cls, RidgePathMixin) else {} if chooses else {"alpha": 0.1}
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.integers(2, size=20)
    model = cls(n_hidden=1, max_iter=1, tol=1.0, cv=2, random_state=0, **few).fit(X, y)
    names = {*vars(model), *(name for name in dir(cls) if isinstance(getattr(cls, name), property))}
    left = {name for name in names if name.endswith("_") and not name.startswith("_")}
    attributes = cls.__doc__.partition("Attributes\n")[2].partition("Examples\n")[0]
    assert left == set(re.findall(r"^(\w+_) : ", attributes, re.MULTILINE)) - {"feature_names_in_"}


# The package as `python -OO` compiles it, without docstrings and assertions, on libraries as they are installed.
WITHOUT_DOCSTRINGS = """
import sys
from importlib.machinery import PathFinder, SourceFileLoader

class Loader(SourceFileLoader):
    def get_code(self, fullname):
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True, optimize=2)

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target) if name.split(".")[0] == "skimplicit" else None
        if spec is not None:
            spec.loader = Loader(name, spec.origin)
        return spec

sys.meta_path.insert(0, Finder)
import skimplicit as s
m = s.ImplicitClassifierCV(kappa=.3)
assert m.__doc__ is None and m.fit.__doc__ is None and s.ImplicitRule.predict.__doc__ is None
print(m)
"""


@pytest.mark.slow
def test_without_docstrings_all_works():
    result = subprocess.run([sys.executable, "-c", WITHOUT_DOCSTRINGS], capture_output=True, text=True)
    assert result.stdout.strip() == "ImplicitClassifierCV(kappa=0.3)", result.stderr


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_new_parameter_is_written_in_one_place():
    class Longer(ImplicitRegressorCV):
        """More.

        {parameters}
        """

        _parameters = {"clip": Parameter(True, "bool", "Whether to cut inputs.", ["boolean"])}

    model = Longer(clip=False, alphas=2, cv=2, n_hidden=2, max_iter=3, tol=1.0, random_state=0)
    assert clone(model).clip is False and "clip : bool, default=True" in Longer.__doc__
    rng = np.random.default_rng(0)
    assert np.isfinite(model.fit(rng.normal(size=(20, 2)), rng.normal(size=20)).alpha_)


@pytest.mark.parametrize(
    "name", ["n_hidden", "n_members", "n_init", "max_iter", "alpha", "kappa", "tol", "column_budget"]
)
@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
def test_a_truth_value_is_no_number(cls, name):
    X, y = np.random.default_rng(0).standard_normal((12, 2)), np.arange(12) % 2
    for value in (True, np.True_):
        model = cls(**{name: value})
        with pytest.raises((TypeError, ValueError), match=name):
            model.fit(X, y)
        assert not hasattr(model, "rule_")


@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier, ImplicitRegressorCV, ImplicitFeatureSelector])
def test_no_jobs_at_all_are_refused_before_any_work(cls):
    X, y = np.random.default_rng(0).standard_normal((12, 2)), np.arange(12) % 2
    parameters = [{"n_jobs": 0}]
    if cls is ImplicitFeatureSelector:  # whose estimator runs jobs in the refit alone, after all else
        parameters.append({"estimator": ImplicitRegressor(n_jobs=0, random_state=0), "n_jobs": 1})
    for each in parameters:
        model = cls(random_state=0, **each)
        with pytest.raises(ValueError, match=r"The 'n_jobs' parameter of .* Got 0 instead"):
            model.fit(X, y)
        assert not hasattr(model, "n_features_in_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("alpha", 1e-3, {}),
        ("alpha", 0.1, {"column_budget": 0.5}),
        ("kappa", 0.9, {"activation": "silu"}),
        ("column_budget", 0.7, {"method": "gradient"}),
        ("lipschitz", 0.7, {}),
    ],
)
def test_numbers_of_numpy_are_those_of_python(name, value, others, kind):
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = X[:, 0] + np.abs(X[:, 1])
    given = {"n_hidden": 3, "max_iter": 4, "alpha": 0.1, "random_state": 0, **others}
    model = ImplicitRegressor(**{**given, name: kind(value)}).fit(X, y)
    assert model.rule_ == ImplicitRegressor(**{**given, name: float(kind(value))}).fit(X, y).rule_
    assert type(model.alpha_) is float


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_ridge_of_numpy_is_that_of_python_in_a_selection():
    X = np.random.default_rng(0).normal(size=(12, 2))
    y = X[:, 0] + np.abs(X[:, 1])
    options = {"n_features_to_select": 1, "cv": 2, "column_budgets": 2, "random_state": 0}
    rules = [
        ImplicitRegressor(alpha=kind(0.5), n_hidden=2, max_iter=2, random_state=0) for kind in (np.longdouble, float)
    ]
    of_numpy, of_python = (ImplicitFeatureSelector(rule, **options).fit(X, y) for rule in rules)
    np.testing.assert_array_equal(of_numpy.column_norms_, of_python.column_norms_)
    assert of_numpy.estimator_.rule_ == of_python.estimator_.rule_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["alpha", "column_budget", "lipschitz"])
def test_integers_of_any_size(name):
    given = {"n_hidden": 2, "alpha": 0.1, "max_iter": 2, "random_state": 0}
    ImplicitRegressor(**{**given, name: 10**30}).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        ImplicitRegressor(**{**given, name: 10**400}).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0])
