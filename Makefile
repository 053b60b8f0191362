# Set-up is part of every target: a fresh machine needs Python 3.11 or newer, make, and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
# Only what pip must know about decides whether the environment is up to date.
STAMP := $(VENV)/.installed

.PHONY: run test check bench install clean

run: install
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

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit("Patchbay needs Python 3.11 or newer; say which with: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[up,test]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) .patchbay build *.egg-info
