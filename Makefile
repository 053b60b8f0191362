# Set-up is part of every target: a fresh machine needs Python 3.11 or newer, make, and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
# Only what pip must know about decides whether the environment is up to date: for running, and with the tests' tools.
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable

.PHONY: run test check bench install clean

run: $(RUNS)
	@exec $(BIN)/patchbay up --sandbox $(ARGS)

test: check
	$(BIN)/pytest $(ARGS)

check: install
	$(BIN)/ruff check app workers tests
	$(BIN)/ruff format --check app workers tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install
	$(BIN)/python -m tests.benchmarks.bench

install: $(STAMP)

define MAKE_VENV
@$(PYTHON) -c 'import sys; sys.exit("Patchbay needs Python 3.11 or newer; say which with: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
@$(PYTHON) -m venv $(VENV)
endef

$(RUNS): pyproject.toml $(CONSTRAINTS)
	$(MAKE_VENV)
	@echo "Installing what Patchbay needs into $(VENV): about 250 MB, a minute or two, only this once ..."
	@$(INSTALL) '.[up]'
	@touch $(RUNS)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(MAKE_VENV)
	@echo "Installing what Patchbay and its tests need into $(VENV): about 550 MB, a few minutes, only this once ..."
	@$(INSTALL) '.[up,test]'
	@touch $(RUNS) $(STAMP)

clean:
	rm -rf $(VENV) .patchbay build *.egg-info
