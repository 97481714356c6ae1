"""Settings that every test runs under."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn skips an estimator check without it; before SciPy loads

from hypothesis import settings  # noqa: E402

settings.register_profile("skimplicit", deadline=None)  # a deadline would make a test of the machine's speed
settings.load_profile("skimplicit")
