"""What a report of a bug has to say: the versions of everything that takes part."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from skimplicit._version import __version__

__all__ = ["show_versions"]

_REQUIRED = ("numpy", "scipy", "scikit-learn", "cvxpy", "osqp", "clarabel", "joblib", "threadpoolctl")
_OPTIONAL = ("matplotlib", "pandas", "polars", "dask", "torch", "onnx", "onnxruntime", "skl2onnx", "skops")


def show_versions() -> None:
    """Print the versions of skimplicit, Python, and the packages that skimplicit uses, without importing these.

    Examples
    --------
    >>> import skimplicit
    >>> skimplicit.show_versions()
    <BLANKLINE>
    System:
    ...
    """
    print("\nSystem:")
    for name, value in (
        ("python", sys.version.replace("\n", " ")),
        ("executable", sys.executable),
        ("machine", platform.platform()),
    ):
        print(f"{name:>14}: {value}")
    print("\nPackages:")
    print(f"{'skimplicit':>14}: {__version__}")
    for name in _REQUIRED + _OPTIONAL:
        print(f"{name:>14}: {_installed(name)}")
    print("\nLibraries with threads:")
    for library in threadpool_info():
        threads = f"{library['num_threads']} thread{'s' * (library['num_threads'] != 1)}"
        print(f"{library['internal_api']:>14}: {library.get('version') or 'unknown version'}, {threads}")


def _installed(name):
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
