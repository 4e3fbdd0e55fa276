# `make help` lists the targets. A fresh machine needs git, make and Python 3.11 or newer, nothing else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The first Python on the path that is new enough; `make PYTHON=/path/to/python …` chooses another.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input

DISTRIBUTIONS := host $(sort $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)))
MANIFESTS := $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
OURS := tradeshell $(subst _,-,$(patsubst plugins/%,tradeshell-%,$(filter plugins/%,$(DISTRIBUTIONS))))

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# A PYTHONPATH from outside would put other code in front of what is installed here.
unexport PYTHONPATH

##@ Start

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(VENV)/workspace.stamp ## Create .venv with everything in it; does nothing when up to date

# The locked third party: from scratch whenever the lock changes, so that nothing old stays behind.
$(VENV)/third-party.stamp: constraints.txt
	@test -n "$(PYTHON)" || { echo "tradeshell needs Python 3.11 or newer: none of '$(CANDIDATES)' is" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement constraints.txt
	@touch $@

# The host and the plugins, editable. What builds them is in the lock too, hence no isolation.
$(VENV)/workspace.stamp: $(VENV)/third-party.stamp $(MANIFESTS)
	@echo "Installing $(DISTRIBUTIONS)"
	@$(PIP) install --no-deps --no-build-isolation $(addprefix --editable ,$(DISTRIBUTIONS))
	@$(BIN)/python -m pip check >/dev/null || { $(BIN)/python -m pip check; exit 1; }
	@touch $@

.PHONY: demo
demo: setup ## A one-minute story on a generated market (SEED=7 for another one, BROKER=ibkr over the wire)
	@$(BIN)/tradeshell $(if $(BROKER),--broker $(BROKER)) demo $(if $(SEED),--seed $(SEED))

##@ Develop

.PHONY: test
test: setup ## Run the tests (ARGS='-k breakout' goes to pytest)
	@$(BIN)/python -m pytest $(ARGS)

CHECKS := check-format check-lint check-types check-layers

.PHONY: check $(CHECKS)
check: $(CHECKS) ## Format, lint, types and layers; changes nothing (`make -k check` goes on after a finding)

check-format: setup
	@$(BIN)/ruff format --check .

check-lint: setup
	@$(BIN)/ruff check .

check-types: setup
	@$(BIN)/mypy

check-layers: setup
	@$(BIN)/lint-imports --no-logo

.PHONY: fix
fix: setup ## Format, and repair what ruff can repair
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Coverage starts with the interpreter (COVERAGE_PROCESS_START): the pytest plugin of the kit imports the host before
# pytest-cov could look, and what a module does when it is imported would count as never done.
CORE := host/tradeshell/core
CORE_TESTS := tests/core tests/faults tests/plugins/breakout

.PHONY: coverage
coverage: cover-core ## Run the tests and show the lines and branches that no test reached; of the core: fail
	@$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered $(ARGS)

.PHONY: cover-core
cover-core: export COVERAGE_PROCESS_START := $(CURDIR)/pyproject.toml
cover-core: export COVERAGE_FILE := $(CURDIR)/.coverage.core
cover-core: setup ## Fail when a line or a branch of the core is reached by none of its own tests
	@rm -f .coverage.core .coverage.core.*
	@$(BIN)/python -m pytest -q $(CORE_TESTS) -k 'not wire' # which needs no core of its own
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --include='$(CORE)/*' --fail-under=100
	@rm -f .coverage.core

.PHONY: record
record: setup ## Record a transcript (FILE=tests/transcripts/name.transcript)
	@test -n "$(FILE)" || { echo "usage: make record FILE=tests/transcripts/name.transcript" >&2; exit 2; }
	@$(BIN)/python -m tradeshell.testing.record $(FILE)

##@ Simulate

.PHONY: simulate
simulate: setup ## Run simulated schedules (SEEDS=1000 FROM=0; WIRE=1: over the TWS API; DENSE=1; RESULTS=file goes on)
	@$(BIN)/python -m tests.simulation.run --seeds $(or $(SEEDS),1000) --from $(or $(FROM),0) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(RESULTS),--results $(RESULTS)) $(if $(WIRE),--wire) $(if $(DENSE),--dense) $(ARGS)

.PHONY: simulate-replay
simulate-replay: setup ## Tell one simulated schedule as a story (SEED=7 WIRE=1; ARGS=--all with every touch)
	@test -n "$(SEED)" || { echo "usage: make simulate-replay SEED=7" >&2; exit 2; }
	@$(BIN)/python -m tests.simulation.story $(SEED) $(if $(WIRE),--wire) $(if $(DENSE),--dense) $(ARGS)

.PHONY: days
days: setup ## Live through many trading days in one run, over the wire (DAYS=30 SEED=1 RUNS=1)
	@$(BIN)/python -m tests.simulation.days.run --days $(or $(DAYS),30) --seed $(or $(SEED),1) --runs $(or $(RUNS),1)

.PHONY: fuzz
fuzz: setup ## Feed the paper gateway broken messages (FRAMES=100000)
	@GATEWAY_FUZZ_FRAMES=$(or $(FRAMES),100000) $(BIN)/python -m pytest -q -n 0 -k no_sequence tests/gateway/test_robustness.py

.PHONY: fuzz-lines
fuzz-lines: setup ## Put generated lines through the parser and whole shells (LINES=1000000 TYPED=10000 FROM=0)
	@$(BIN)/python -m tests.shell.fuzz --lines $(or $(LINES),1000000) --typed $(or $(TYPED),10000) --from $(or $(FROM),0)

.PHONY: damage
damage: setup ## Read state files that were changed (COUNT=100000 FROM=0)
	@$(BIN)/python -m tests.engine.state_mutations --count $(or $(COUNT),100000) --from $(or $(FROM),0)

.PHONY: kills
kills: setup ## Kill the shell while it trades over TCP (N=300 FROM=0; RESULTS=file goes on, KEEP=folder)
	@$(BIN)/python -m tests.crash.wire_kills --kills $(or $(N),300) --from $(or $(FROM),0) \
		$(if $(RESULTS),--results $(RESULTS)) $(if $(KEEP),--keep $(KEEP))

.PHONY: mutants
mutants: setup ## Show which seed, or which test, catches each seeded bug (ARGS='--only NAME --budget 500')
	@$(BIN)/python -m tests.simulation.mutants $(ARGS)

##@ Measure

.PHONY: bench
bench: setup ## Measure latency and throughput
	@$(BIN)/python -m tests.bench.run $(ARGS)

.PHONY: bench-peers
bench-peers: setup ## Measure comparable programs the same way
	@$(BIN)/python -m tests.bench.peers $(ARGS)

.PHONY: oracle
oracle: setup ## Replay the recorded market and compare every outcome with the oracle
	@$(BIN)/python -m tests.oracle.table $(ARGS)

.PHONY: tp-report
tp-report: setup ## Show how often computed targets were reached on the recorded market, next to fixed and random ones
	@$(BIN)/python -m tests.targets.report

.PHONY: fast-report
fast-report: setup ## Show how many seconds fast entries gained on the recorded seconds, and what they cost
	@$(BIN)/python -m tests.fast.report

##@ Release

# uv resolves, pip installs: only who changes a dependency needs uv, and it lives in a venv of its own.
LOCK_VENV := .lock-venv
UV_VERSION := 0.13.9

$(LOCK_VENV)/uv-$(UV_VERSION).stamp:
	@$(PYTHON) -m venv --clear $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python -m pip --quiet --quiet install uv==$(UV_VERSION)
	@touch $@

.PHONY: lock
lock: $(LOCK_VENV)/uv-$(UV_VERSION).stamp ## Write constraints.txt anew (UPGRADE=1 takes the newest versions)
	@if [ -f constraints.txt ]; then cp constraints.txt $(LOCK_VENV)/resolved.txt; fi
	@$(LOCK_VENV)/bin/uv pip compile host/pyproject.toml --extra all --extra test --group pyproject.toml:dev \
		--universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(addprefix --no-emit-package ,$(OURS)) \
		$(if $(UPGRADE),--upgrade) --quiet --output-file $(LOCK_VENV)/resolved.txt
	@{ echo "# Every third-party package that runs, tests or builds tradeshell. Written by 'make lock'."; \
		cat $(LOCK_VENV)/resolved.txt; } > $(LOCK_VENV)/constraints.txt
	@cmp -s $(LOCK_VENV)/constraints.txt constraints.txt || cp $(LOCK_VENV)/constraints.txt constraints.txt

.PHONY: wheels
wheels: setup ## Build the wheels of the host and all plugins into dist/
	@rm -rf dist
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist $(addprefix ./,$(DISTRIBUTIONS))
	@ls dist

.PHONY: clean
clean: ## Remove everything that was made here: venvs, wheels, caches
	@rm -rf .venv $(LOCK_VENV) .bench .kills dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis
	@find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
