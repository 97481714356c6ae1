"""The package as it is installed and imported: what `import skimplicit` is enough for, and what it prints of itself."""

import re
import subprocess
import sys
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from test_architecture import DOORS

import skimplicit
from skimplicit.estimators import documentation

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "doc").rglob("*.md"))]
SUBMODULES = ["activations", "composition", "distill", "export", "inspection", "lifted", "networks", "robustness"]


# What is loaded after the import alone, after a prediction, and with all packages, in a process of its own.
CODE = f"""
import sys, skimplicit
print(*sys.modules)
import numpy as np, pickle
rule = skimplicit.ImplicitRule([[0.5]], [[1.0]], [[1.0]])
model = pickle.loads(pickle.dumps(skimplicit.ImplicitRegressor.from_rule(rule)))
model.predict(np.ones((2, 1)))
print(*sys.modules)
{"; ".join(f"skimplicit.{name}.__all__" for name in SUBMODULES)}
print(*sys.modules)
import {", ".join(DOORS)}
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [set(line.split()) for line in result.stdout.splitlines()]


@pytest.mark.slow
def test_import_and_predict_load_nothing_that_can_wait(loaded):
    imported, predicted, _, _ = loaded
    later = {f"skimplicit.{name}" for name in ("distill", "export", "inspection", "networks", "robustness")}
    assert "skimplicit" in imported and not later & imported
    assert not {"cvxpy", "matplotlib", "dask", "onnx", "torch"} & predicted


@pytest.mark.slow
def test_submodules_need_no_import_of_their_own(loaded):
    assert {f"skimplicit.{name}" for name in SUBMODULES} <= loaded[2]


@pytest.mark.slow
def test_import_does_not_load_what_only_some_need(loaded):
    assert not {"cvxpy", "dask", "matplotlib", "onnx", "sklearn.neural_network", "torch"} & loaded[3]
    assert set(DOORS) <= loaded[3]


def test_dir_lists_what_is_lazy():
    assert {"networks", "export", "ImplicitRegressor", "show_versions"} <= set(dir(skimplicit))


def test_unknown_name():
    with pytest.raises(AttributeError, match="nonsense"):
        skimplicit.nonsense  # noqa: B018


def test_show_versions(capsys):
    skimplicit.show_versions()
    printed = capsys.readouterr().out
    lines = dict(line.strip().split(": ", 1) for line in printed.splitlines() if ": " in line)
    assert lines["skimplicit"] == skimplicit.__version__
    for name in ("numpy", "scipy", "scikit-learn", "cvxpy", "onnx"):
        try:
            assert lines[name] == version(name)
        except PackageNotFoundError:
            assert lines[name] == "None"
    assert "openblas" in lines or "mkl" in lines or "blis" in lines or "openmp" in lines


ESTIMATORS = [thing for thing in map(vars(skimplicit).get, skimplicit.__all__) if hasattr(thing, "set_params")]


@pytest.fixture
def metadata(monkeypatch):
    """Metadata of the package, as a test sets them."""
    entries = Message()
    monkeypatch.setattr(documentation, "metadata", lambda name: entries)
    documentation._documentation_address.cache_clear()
    yield entries
    documentation._documentation_address.cache_clear()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_representation_links_to_the_page(estimator, metadata):
    metadata["Project-URL"] = "Source, https://example.org/source"
    metadata["Project-URL"] = "Documentation, https://example.org/doc/"
    page = f"https://example.org/doc/generated/skimplicit.{estimator.__name__}.html"
    assert estimator()._get_doc_link() == page
    assert page in estimator()._repr_html_()
    api = Path(__file__).parent.parent / "doc" / "api.md"
    assert f"   {estimator.__name__}\n" in api.read_text(encoding="utf-8")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_link_without_an_address(estimator, metadata):
    assert estimator()._get_doc_link() == ""
    assert '<a class="sk-estimator-doc-link' not in estimator()._repr_html_()


def test_is_typed():
    assert (Path(skimplicit.__file__).parent / "py.typed").is_file()


def test_files_that_the_readme_shows_are_there():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    pictures = [link for link in links if link.endswith(".png")]
    assert pictures and all((ROOT / link).is_file() for link in links)
    assert all((ROOT / link).stat().st_size < 150_000 for link in pictures)


def test_source_distribution_holds_the_tests_and_what_they_read():
    commands = [line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()]
    whole = {name for command, *names in commands for name in names if command == "graft"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    read = {path.split("/")[0] for path in settings["ini_options"]["testpaths"]}
    assert read <= {*whole, "skimplicit", "README.md"}  # setuptools takes these two by itself


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_rows_of_a_table_have_the_cells_of_its_head(page):
    # A bar in a formula ends the cell, and what follows it is not shown.
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = table.splitlines()
        bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
        assert bars == bars[:1] * len(rows), rows[bars.index(max(bars))]
