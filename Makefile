# Needs make and Python 3.11 or newer, nothing else: no root, no Docker, no Java (test-kafka alone wants Java and Maven).
# `make` explains itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Where Python may not keep what it has compiled, hundreds of processes compile the same modules: a third of their start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/.ready
PYTHON := $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$name >/dev/null 2>&1 \
	&& $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$name && break; done)

##@ Start here

.PHONY: help
help: ## Say what there is to call
	@awk 'BEGIN {FS = ":.*## "; print "\nUsage: make \033[36m<target>\033[0m"} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z][a-z-]*:.*## / {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(STAMP) ## Install everything into .venv; does nothing when nothing has changed

.PHONY: run
run: setup ## Start the whole stack, open a window and show a release (Ctrl-C ends it)
	@exec $(BIN)/antrean up --release

.PHONY: demo
demo: setup ## Play a release with thousands of clients on a stack of its own, then audit every store
	@exec $(BIN)/antrean demo $(DEMO)

##@ Test

.PHONY: test
test: setup ## Unit, house, integration and end-to-end tests on the embedded stack
	@$(BIN)/pytest --numprocesses 2 --dist loadfile tests/unit tests/house tests/integration
	@exec $(BIN)/pytest tests/e2e

.PHONY: test-kafka
test-kafka: setup ## Tests that meet a broker, and end-to-end ones, on Apache Kafka 4 (needs Java 17 and Maven)
	@command -v java >/dev/null || { echo "make test-kafka needs Java 17 or newer (Debian: apt install openjdk-17-jre-headless)" >&2; exit 1; }
	@command -v mvn >/dev/null || { echo "make test-kafka needs Maven to fetch Kafka's jars (Debian: apt install maven)" >&2; exit 1; }
	@ANTREAN_TEST_KAFKA=real $(BIN)/pytest --numprocesses 2 --dist loadfile tests/integration --ignore tests/integration/test_mutations.py
	@ANTREAN_TEST_KAFKA=real exec $(BIN)/pytest tests/e2e

.PHONY: fuzz
fuzz: setup ## Ask every call of booking and payment what nobody thought of, on a stack of its own (minutes)
	@UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 \
		$(BIN)/uv sync --frozen --all-extras --group fuzz --inexact --compile-bytecode --quiet
	@exec $(BIN)/python -m tests.fuzz $(FUZZ)

.PHONY: check
check: setup ## Everything that holds the style: linters, types, imports, spelling, documents, house rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "make fmt puts the layout right" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/codespell
	@$(BIN)/antrean docs --check
	@exec $(BIN)/pytest --quiet tests/house

##@ Work

.PHONY: fmt
fmt: setup ## Put the layout right
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

.PHONY: docs
docs: setup ## Write docs/api from the code
	@$(BIN)/antrean docs

.PHONY: screenshot
screenshot: setup ## Take the README's picture of the page (needs Chromium)
	@ANTREAN_SCREENSHOT=1 exec $(BIN)/pytest tests/e2e/test_page.py

.PHONY: bench
bench: setup ## Measure peak, lateness, overload, growth and a national release, on stacks of its own (minutes)
	@exec $(BIN)/python -m loadtests.bench $(BENCH)

.PHONY: bench-ratio
bench-ratio: setup ## Compare a reservation with what it stands on and its rivals, on a stack of its own (minutes)
	@exec $(BIN)/python -m loadtests.ratio $(BENCH)

.PHONY: bench-drain
bench-drain: setup ## Measure what a decision costs afterwards: relay, recording, outbox, beside a bare COPY (about a minute)
	@exec $(BIN)/python -m loadtests.drain $(BENCH)

.PHONY: bench-booking
bench-booking: setup ## Measure booking's Postgres: recording beside COPY, 100,000 expiring at once, a million rows, a forged audit log (minutes)
	@exec $(BIN)/python -m loadtests.booking $(BENCH)

##@ The local stack

.PHONY: down
down: setup ## End the stack; its data stays
	@exec $(BIN)/antrean down

.PHONY: reset
reset: setup ## Forget the stack: data, secrets, mails, logs (asks first)
	@exec $(BIN)/antrean reset

# uv comes into the environment it fills, so that nothing outside the project changes.
$(STAMP): pyproject.toml uv.lock
	@[ -n "$(PYTHON)" ] || { echo "Antrean needs Python 3.11 or newer and finds none (Debian: apt install python3 python3-venv)." >&2; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Setting up .venv with $(PYTHON) …"; $(PYTHON) -m venv .venv; } \
		|| { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment (Debian: apt install python3-venv)." >&2; exit 1; }
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 \
		$(BIN)/uv sync --frozen --all-extras --inexact --compile-bytecode --quiet
	@touch $@
