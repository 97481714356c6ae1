"""Imports only go down the floors of the package and never in a circle."""

import ast
import re
from functools import cache
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

import skimplicit

# Who may import whom: a module imports from its own floor and from those below. The name is that of
# a module or of a sub-package, whose modules share its floor. The package itself stands on top.
FLOORS = {
    "_version": 1,
    "versions": 2,
    "activations": 1,
    "feature_names": 1,
    "linalg": 1,
    "losses": 1,
    "parameters": 1,
    "projections": 1,
    "quiet": 1,
    "rows": 1,
    "subproblems": 2,
    "wellposedness": 2,
    "marginal_screening": 2,
    "equilibrium": 3,
    "stacking": 3,
    "rule": 4,
    "composition": 4,
    "networks": 5,
    "robustness": 5,
    "training": 5,
    "lifted": 6,
    "estimators": 7,
    "selection": 8,
    "distill": 8,
    "inspection": 9,
    "export": 9,
}
TOP = max(FLOORS.values()) + 1
NAMES_WITHOUT_MEANING = {"utils", "helpers", "misc", "common"}
# What a reader takes in at once: lines of a module, and of a function without its docstring.
MOST_LINES_OF_A_MODULE, MOST_LINES_OF_A_FUNCTION = 350, 45

PACKAGE = Path(skimplicit.__file__).parent


def module_name(path):
    """Dotted name of a source file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TEXTS = {module: path.read_text(encoding="utf-8") for module, path in SOURCES.items()}
DOORS = [module for module, path in SOURCES.items() if path.name == "__init__.py"]
parsed = cache(ast.parse)
DEPTHS = range(2, max(module.count(".") for module in SOURCES) + 2)


def floor_of(module):
    """Floor of a dotted name of the package, a KeyError if the table does not have it."""
    _, _, below = module.partition(".")
    return FLOORS[below.partition(".")[0]] if below else TOP


def imported_modules(source, module, is_package, modules):
    """Modules of the package that a source imports, at any depth of its code."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            # `from package import name` reaches a module when the name is that of a module.
            names = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in modules else base for name in names]
        else:
            continue
        yield from (name for name in targets if name.partition(".")[0] == "skimplicit")


def upward_imports(source, module, is_package=False, modules=frozenset(SOURCES)):
    """Sentences that name each import of a module from a floor above its own."""
    floor = floor_of(module)
    return [
        f"{module} (floor {floor}) imports {target} (floor {floor_of(target)})"
        for target in imported_modules(source, module, is_package, modules)
        if floor_of(target) > floor
    ]


def import_graph(sources, doors=()):
    """Return which modules each of the modules imports, from their texts."""
    return {
        module: set(imported_modules(text, module, module in doors, sources.keys())) for module, text in sources.items()
    }


def circles(graph, depth):
    """Return the sets of names that import one another, names cut to ``depth`` parts: packages, or files when deep."""

    def cut(module):
        return ".".join(module.split(".")[:depth])

    edges = {(cut(module), cut(target)) for module, targets in graph.items() for target in targets}
    names = sorted({name for edge in edges for name in edge})
    place = {name: i for i, name in enumerate(names)}
    adjacency = np.zeros((len(names), len(names)), dtype=bool)
    for module, target in edges:
        adjacency[place[module], place[target]] = True
    component = connected_components(adjacency, connection="strong")[1]
    groups = [np.flatnonzero(component == k) for k in range(component.max(initial=-1) + 1)]
    return {frozenset(names[i] for i in group) for group in groups if group.size > 1}


def test_every_module_has_a_floor():
    without = {module for module in SOURCES if module != "skimplicit" and module.split(".")[1] not in FLOORS}
    assert not without, "these have no floor: decide who may import them, and add them to FLOORS"


def test_every_floor_has_a_module():
    assert not {name for name in FLOORS if f"skimplicit.{name}" not in SOURCES}, "FLOORS has what does not exist"


def test_the_page_on_the_layout_is_complete():
    page = (Path(__file__).parents[1] / "doc" / "code_layout.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+\.) \|$", page, re.MULTILINE)
    assert {name: int(floor) for floor, name, _ in rows} == FLOORS
    assert [int(floor) for floor, *_ in rows] == sorted(FLOORS.values())
    files = {path.name for path in SOURCES.values() if path.name != "__init__.py"}
    assert set(re.findall(r"(\w+\.py)`", page)) == files


@pytest.mark.slow
def test_no_circle():
    graph = import_graph(TEXTS, DOORS)
    assert not {depth: found for depth in DEPTHS if (found := circles(graph, depth))}


@pytest.mark.parametrize("module", DOORS)
def test_every_package_has_a_door(module):
    door = import_module(module)
    assert door.__doc__ and "." in door.__doc__, f"{module} does not say what is inside"
    assert door.__all__ == sorted(door.__all__) and all(hasattr(door, name) for name in door.__all__)


def test_no_upward_import():
    found = [line for module, text in TEXTS.items() for line in upward_imports(text, module, module in DOORS)]
    assert not found, "\n".join(found)


def test_no_module_has_a_name_without_meaning():
    assert not {module for module in SOURCES if {part.strip("_") for part in module.split(".")} & NAMES_WITHOUT_MEANING}


def function_lengths(source):
    """Yield the name of each function of a source, at any depth, and its lines without the docstring."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) is not None else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def test_nothing_is_too_long():
    assert not {module for module, text in TEXTS.items() if len(text.splitlines()) > MOST_LINES_OF_A_MODULE}
    assert not {
        (module, name): lines
        for module, text in TEXTS.items()
        for name, lines in function_lengths(text)
        if lines > MOST_LINES_OF_A_FUNCTION
    }


def test_length_of_a_function_is_that_without_its_docstring():
    lines = [
        "class A:",
        "    def f(self):",
        '        """One.',
        "",
        '        Two."""',
        "        def g():",
        "            pass",
    ]
    assert dict(function_lengths("\n".join(lines))) == {"f": 3, "g": 2}


def definitions(tree):
    """Yield the names that a module defines for itself: functions, classes, and names it assigns to."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))


def test_every_definition_is_used():
    trees = {module: parsed(text) for module, text in TEXTS.items()}
    used = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, (ast.Attribute, ast.alias)):
                used.add(node.attr if isinstance(node, ast.Attribute) else node.name)
    offered = {name for door in DOORS for name in import_module(door).__all__}
    unused = {
        f"{module}.{name}"
        for module, tree in trees.items()
        for name in definitions(tree)
        if name not in used | offered and not name.startswith("__")
    }
    assert not unused


@pytest.mark.parametrize(
    "source",
    [
        "import skimplicit.estimators.regressor",
        "import skimplicit.estimators.regressor as above",
        "from skimplicit.estimators import regressor",
        "from skimplicit import estimators",
        "from skimplicit import ImplicitRegressor",
        "from ...estimators import ImplicitRegressor",
        "from ...estimators.regressor import ImplicitRegressor as above",
        "from ... import estimators",
        "from ... import ImplicitRegressor",
        "def late():\n    from ...training.bcd import BlockCoordinateDescent",
        "class Late:\n    def method(self):\n        import skimplicit.inspection",
        "if TYPE_CHECKING:\n    from ...estimators import ImplicitRegressor",
    ],
)
def test_upward_import_is_found(source):
    modules = {"skimplicit", "skimplicit.estimators", "skimplicit.estimators.regressor"}
    assert upward_imports(source, "skimplicit.subproblems.matching.problem", modules=modules)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "from numpy import estimators",
        "import skimplicit.projections",
        "from skimplicit import projections",
        "from . import choice",
        "from .. import readout",
        "from ..readout.ridge import ridge_readout",
        "from ...projections import project_rows_l1",
        "def late():\n    from .cvxpy_solver import CvxpySolver",
    ],
)
def test_import_on_or_below_the_floor_is_allowed(source):
    modules = {"skimplicit", "skimplicit.projections", "skimplicit.subproblems.readout"}
    assert not upward_imports(source, "skimplicit.subproblems.matching.problem", modules=modules)


@pytest.mark.parametrize(
    "late", ["from skimplicit.a import x", "def late():\n    import skimplicit.a", "from . import a"]
)
def test_circle_of_files_is_found(late):
    graph = import_graph({"skimplicit.a": "from skimplicit import b", "skimplicit.b": late})
    assert circles(graph, 2) == {frozenset({"skimplicit.a", "skimplicit.b"})}


def test_module_that_enters_by_its_own_door_is_a_circle():
    sources = {"skimplicit.a": "from .x import X", "skimplicit.a.x": "from skimplicit.a import Y"}
    assert circles(import_graph(sources, ["skimplicit.a"]), 3) == {frozenset(sources)}


def test_circle_of_packages_without_one_of_files_is_found():
    graph = import_graph(
        {
            "skimplicit.a.x": "import skimplicit.b.x",
            "skimplicit.a.y": "",
            "skimplicit.b.x": "",
            "skimplicit.b.y": "from skimplicit.a.y import Y",
        }
    )
    assert circles(graph, 2) == {frozenset({"skimplicit.a", "skimplicit.b"})}
    assert not circles(graph, 3)


def test_dots_start_at_the_package_itself_in_its_init():
    source = "from .regressor import ImplicitRegressor"
    found = set(imported_modules(source, "skimplicit.estimators", True, frozenset()))
    assert found == {"skimplicit.estimators.regressor"}
