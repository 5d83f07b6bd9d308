# The commands of the README. Everything a clean machine with Python 3.11 lacks is installed here.
.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench kill simulate diagram clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4
# the tests start hundreds of processes: none of them is to compile the whole daemon anew
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.demo ## a running example: a real balancer, real traffic, and you at the switch
	$(BIN)/bluegreen demo $(DEMO)

test: $(VENV)/.dev debian ## everything: real balancers, real processes, real kills
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --durations=30 --ignore tests/benchmarks
	$(BIN)/pytest -q tests/benchmarks

lint: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## the same, and the fast tests; under a minute
	$(BIN)/pytest -n 3 --dist loadgroup -q -m "not slow"

format: $(VENV)/.dev ## put the code in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## figures: switch latency against the bare call, journal appends
	$(BIN)/pytest -q -s tests/benchmarks -m ""

coverage: $(VENV)/.dev debian ## branches of what decides, moves traffic, remembers and recovers: 100 %, or it ends with 1
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup --cov --cov-report= \
		--deselect tests/test_process_trees.py::test_what_cannot_be_ended_is_told_with_its_number \
		tests/core tests/steps tests/store tests/faults tests/evidence tests/control tests/test_*.py \
		tests/cli/test_alone.py tests/acceptance/test_failback_without_daemon.py
	$(BIN)/coverage report --fail-under=100

kill: $(VENV)/.dev ## kill the daemon N times with -9 under load (N=1000)
	KILLS=$(or $(N),1000) $(BIN)/pytest -q -s tests/kills

simulate: $(VENV)/.dev ## N simulated histories of the engine from SEED on (N=100000 SEED=0)
	$(BIN)/python -m tests.simulator $(or $(N),100000) $(or $(SEED),0)

diagram: $(VENV)/.dev ## the state diagram of the README, from the transition table
	@$(BIN)/python -m bluegreen.core.diagram

# Debian's packages that the tests use; left alone where they are there, skipped where nothing may be installed.
.PHONY: debian
debian:
	@missing=""; \
	[ -x /usr/sbin/haproxy ] || missing="$$missing haproxy"; \
	[ -x /usr/bin/chromium ] || missing="$$missing chromium"; \
	[ -x /usr/bin/systemd-analyze ] || missing="$$missing systemd"; \
	ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing="$$missing faketime"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "not installed, and this user may not install them:$$missing; their tests say that they were skipped"; fi

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is wanted, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

$(VENV)/.demo: pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[haproxy]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@touch $@ $(VENV)/.demo

clean: ## leave nothing behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
