# Everything from nothing: each target makes the virtual environment it needs (see scripts/venv).
# PYTHON=python3.12 chooses the interpreter, VENV=folder the place, ARGS="…" goes to the command that is run.

VENV ?= .venv
export VENV
PY = $(VENV)/bin/python
ARGS ?=

# Four workers, also on two cores: most tests wait for a real program, or for a time that a failure takes. A file stays
# on one worker, so what it starts is started once. A test that hangs takes its worker with it; a new worker would run it
# again.
WORKERS = -n 4 --dist loadfile --max-worker-restart 0
# The packages of tests in which most of the code runs in pytest's own processes: all but these.
IN_PROCESS = $(filter-out $(patsubst %,tests/%/,attacks balancer benchmarks cluster_e2e conf e2e peers soak testing __pycache__),$(wildcard tests/*/))
# Most of the tests' time is starts of servers, and half of a start is compiling, unless its result is kept.
export PYTHONDONTWRITEBYTECODE =
PYTEST = $(PY) -m pytest $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help demo zipapp test test-all coverage bench attack soak lint format clean venv programs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## a playing stream, from nothing; ARGS="--port 8080" for another port
	@scripts/venv run
	@$(PY) -m pycast demo $(ARGS)

# What is not Python, gevent's parts in C, is for one version of Python on one kind of machine: those that build it. It is
# unpacked into ~/.shiv when the file is first run.
zipapp: venv ## dist/pycast.pyz: pycast with all that it needs, in one file
	mkdir -p dist
	$(PY) -m shiv --extend-pythonpath -c pycast -o dist/pycast.pyz -p "/usr/bin/env python3" \
		--no-build-isolation --constraint constraints.txt .

test: venv programs lint ## lint, types, import rules and all tests; installs what they need
	@# What is missing is said again where it is seen: after a thousand lines of failures.
	$(PYTEST) $(ARGS) || { status=$$?; scripts/real-programs; exit $$status; }

test-all: programs ## the tests on each of Python 3.11, 3.12 and 3.13 that the machine has
	@scripts/test-all $(WORKERS) $(ARGS)

# Apart from `test`: counting lines takes these tests twice the CPU. So they also get more time. The floor is fail_under in
# pyproject.toml.
coverage: venv ## the tests that run in pytest's own processes, and how much of the code they reach
	$(PY) -m coverage erase
	PYCAST_TIME_SCALE=3 $(PY) -m coverage run -m pytest $(WORKERS) $(ARGS) $(IN_PROCESS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

bench: venv programs ## the benchmarks, with Icecast beside pycast
	$(PY) benchmarks/run.py $(ARGS)

soak: venv ## an hour of what may happen to a cluster, every byte checked; SOAK_S=60 for a minute
	$(PY) -m tests.soak.run $(ARGS)

attack: venv programs ## attacks on a server of their own, and what a listener beside them noticed
	$(PY) attacks/run.py $(ARGS)

lint: venv ## ruff, mypy and the import rules
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

format: venv ## puts the code into the one format, and mends what ruff can mend
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

clean: ## removes environments and caches
	rm -rf .venv .venv-3.* dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: ## the virtual environment alone
	@scripts/venv dev

programs: ## the real programs that the tests run against
	@scripts/real-programs
