"""Imports only go down the floors of the package, and cost no more than they have to."""

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import skimplicit

# Who may import whom: a module imports from its own floor and from those below. The name is that of
# a module or of a sub-package, whose modules share its floor. The package itself stands on top.
FLOORS = {
    "activations": 1,
    "block_activations": 1,
    "divergences": 1,
    "structure": 1,
    "matrix_measures": 1,
    "monotone": 1,
    "projections": 1,
    "wellposedness": 1,
    "fixed_point": 2,
    "equilibrium_methods": 2,
    "substitution": 2,
    "rule": 3,
    "composition": 3,
    "blocks": 3,
    "training": 4,
    "networks": 4,
    "robustness": 4,
    "estimators": 5,
    "distill": 5,
    "inspection": 6,
}
TOP = max(FLOORS.values()) + 1
NAMES_WITHOUT_MEANING = {"utils", "helpers", "misc", "common"}

PACKAGE = Path(skimplicit.__file__).parent


def module_name(path):
    """Dotted name of a source file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def floor_of(module):
    """Floor of a dotted name of the package, a KeyError if the table does not have it."""
    _, _, below = module.partition(".")
    return FLOORS[below.partition(".")[0]] if below else TOP


def imported_modules(source, module, is_package, modules):
    """Modules of the package that a source imports, at any depth of its code."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
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


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_has_a_floor(module):
    assert module == "skimplicit" or module.split(".")[1] in FLOORS, (
        f"{module} has no floor: decide who may import it, and add it to FLOORS"
    )


@pytest.mark.parametrize("module", SOURCES)
def test_no_upward_import(module):
    path = SOURCES[module]
    found = upward_imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", SOURCES)
def test_no_module_has_a_name_without_meaning(module):
    parts = {part.strip("_") for part in module.split(".")}
    assert not parts & NAMES_WITHOUT_MEANING


@pytest.mark.parametrize(
    "source",
    [
        "import skimplicit.estimators.regressor",
        "import skimplicit.estimators.regressor as above",
        "from skimplicit.estimators import regressor",
        "from skimplicit import estimators",
        "from skimplicit import ImplicitRegressor",
        "from ..estimators import ImplicitRegressor",
        "from ..estimators.regressor import ImplicitRegressor as above",
        "from .. import estimators",
        "from .. import ImplicitRegressor",
        "def late():\n    from ..training.bcd import BlockCoordinateDescent",
        "class Late:\n    def method(self):\n        import skimplicit.inspection",
        "if TYPE_CHECKING:\n    from ..estimators import ImplicitRegressor",
    ],
)
def test_upward_import_is_found(source):
    modules = {"skimplicit", "skimplicit.estimators", "skimplicit.estimators.regressor"}
    assert upward_imports(source, "skimplicit.blocks.matching", modules=modules)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "from numpy import estimators",
        "import skimplicit.fixed_point",
        "from skimplicit import fixed_point",
        "from . import readout",
        "from .readout import ridge_readout",
        "from ..projections import project_rows",
        "def late():\n    from .cvxpy_solver import CvxpySolver",
    ],
)
def test_import_on_or_below_the_floor_is_allowed(source):
    modules = {"skimplicit", "skimplicit.fixed_point", "skimplicit.blocks.readout"}
    assert not upward_imports(source, "skimplicit.blocks.matching", modules=modules)


def test_dots_start_at_the_package_itself_in_its_init():
    source = "from .regressor import ImplicitRegressor"
    found = set(imported_modules(source, "skimplicit.estimators", True, frozenset()))
    assert found == {"skimplicit.estimators.regressor"}


@pytest.mark.parametrize("package", ["cvxpy", "matplotlib", "torch"])
def test_import_does_not_load(package):
    code = f"import sys, skimplicit; sys.exit({package!r} in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr or f"import skimplicit loads {package}"
