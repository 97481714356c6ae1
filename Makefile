# Every target uses the active environment; CONTRIBUTING.md says how to make one.
# `make bench` and `make examples` run every script, stopping at the first that fails.

.PHONY: test quick fuzz test-torch coverage lint format examples bench doc ci

test:
	SCIPY_ARRAY_API=1 OPENBLAS_NUM_THREADS=1 python -m pytest -n auto

quick:
	SCIPY_ARRAY_API=1 OPENBLAS_NUM_THREADS=1 python -m pytest -m "not slow" -n auto

# How many random cases: `make fuzz CASES=1000`.
CASES ?= 10000
fuzz:
	SKIMPLICIT_FUZZ=$(CASES) SCIPY_ARRAY_API=1 OPENBLAS_NUM_THREADS=1 python -m pytest -n auto tests/test_fuzz.py

# In an environment of its own, made when there is none: the test files that ask for torch.
test-torch: .venv-torch/done
	.venv-torch/bin/python -c "import torch"
	OPENBLAS_NUM_THREADS=1 SCIPY_ARRAY_API=1 .venv-torch/bin/python -m pytest -n auto $$(grep -l importorskip.*torch tests/*.py)

.venv-torch/done: setup.cfg
	python3 -m venv .venv-torch
	.venv-torch/bin/pip install --quiet --editable ".[test,torch]"
	touch $@

coverage:
	SCIPY_ARRAY_API=1 python -m pytest --cov

lint:
	ruff check
	ruff format --check
	mypy

format:
	ruff check --fix
	ruff format

examples:
	for script in examples/plot_*.py; do MPLBACKEND=Agg python "$$script" || exit 1; done

bench:
	for script in benchmarks/bench_*.py; do python "$$script" || exit 1; done

doc:
	python -m sphinx -W --keep-going -b html doc doc/_build/html

ci:
	.ci/run
