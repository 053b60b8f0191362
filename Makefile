# Set-up is part of every target: a fresh machine needs Python 3.11 or newer, make, and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
# Only what pip must know about decides whether the environment is up to date: for running, and with the tests' tools.
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
OURS := app workers tests
# Python compiles what it imports; all that is never imported takes longer than the rest of the set-up.
INSTALL = $(BIN)/pip install -qq --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS) --editable
# Or each of the processes that share the tests would compile what all of them import; one checker leaves a core free.
BESIDE = $(MAKE) --no-print-directory -j 2 check $(COMPILED)
# Or each of a hundred processes that the tests start would compile all of it for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test quick deep chaos soak check fix bench bench-pace bench-scale install clean

help: ## this list
	@awk -F ':.* ## ' '/^[a-z-]+:.* ## / { printf "  make %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNS) ## everything on this machine, with stand-ins for the outside platforms; Ctrl-C stops it
	@exec $(BIN)/patchbay up --sandbox $(ARGS)

test: install ## the checks and every test, faults in their short form; ARGS="-k word" for some of them
	@$(BESIDE)
	$(BIN)/pytest $(ARGS)

quick: install ## the checks, and every test without real processes, a Redis, browsers, or Flex as the sandbox serves it
	@$(BESIDE)
	$(BIN)/pytest -n 3 -m "not processes" --hypothesis-profile=quick $(ARGS)

deep: install ## ten times as many made-up cases for the property tests; takes its time
	$(BIN)/pytest -m "not processes" --hypothesis-profile=deep --timeout=3600 $(ARGS)

chaos: install ## every fault in its long form, and a ledger of what became of the messages: about 12 minutes
	$(BIN)/pytest -n 3 -m "long or ledger" -rs --timeout=900 --ledger=chaos.json $(ARGS)

soak: install ## 10 minutes of 50 messages a second and faults; nothing may grow; ARGS="--seconds 60 --every 10"
	$(BIN)/python -m tests.chaos.soak $(ARGS)

check: install ## style, types, and who may import whom
	$(BIN)/ruff check $(OURS)
	$(BIN)/ruff format --check $(OURS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fix: install ## mend what can be mended without you: imports, layout
	$(BIN)/ruff check --fix-only $(OURS)
	$(BIN)/ruff format $(OURS)

bench: install ## how many messages a second, against other ways to send them
	$(BIN)/python -m tests.benchmarks.bench

bench-pace: install ## how many messages a second where platforms take 200 ms a call, and how lanes share the workers
	$(BIN)/python -m tests.benchmarks.pace

bench-scale: install ## what a message costs as everything grows, as the table of docs/scale.md: under 10 minutes
	$(BIN)/python -m tests.benchmarks.scale

install: $(STAMP) ## the environment in .venv, where it is not up to date

# With the newest pip, which takes half as long as the one that Python brings.
define MAKE_VENV
@$(PYTHON) -c 'import sys; sys.exit("Patchbay needs Python 3.11 or newer; say which with: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
@$(PYTHON) -m venv --upgrade-deps $(VENV)
endef

$(COMPILED): $(STAMP)
	@$(BIN)/pytest -n 0 --collect-only -qq >/dev/null 2>&1; touch $(COMPILED)

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

clean: ## remove the environment and what ran here
	rm -rf $(VENV) .patchbay build *.egg-info
