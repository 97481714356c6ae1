"""Settings that every test runs under, and which tests `make quick` leaves out."""

import os
from collections import defaultdict

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn skips an estimator check without it; before SciPy loads

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("skimplicit", deadline=None)  # a deadline would make a test of the machine's speed
settings.load_profile("skimplicit")

# Of the cases of a test with the mark `slow_cases`, one in so many is not slow: the law stays in the quick tests.
_KEPT = 10
# Packages whose examples choose ridges and inputs, many fits each.
_SEARCHES = {"estimators", "selection"}


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marks
def pytest_collection_modifyitems(items):
    cases = defaultdict(int)
    for item in items:
        if item.get_closest_marker("slow_cases"):
            name = item.nodeid.split("[")[0]
            if cases[name] % _KEPT:
                item.add_marker(pytest.mark.slow)
            cases[name] += 1
        elif isinstance(item, pytest.DoctestItem) and (item.path.suffix == ".md" or _SEARCHES & {*item.path.parts}):
            item.add_marker(pytest.mark.slow)  # a page is one test, of many fits
