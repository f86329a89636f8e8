# Every command of the house. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
# Processes that run tests side by side; 0: in this one, for a debugger.
WORKERS ?= 2
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/.backing/bin:$(PATH)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp, so that nothing is installed twice; the lock's hashes are checked, and no file names an index.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Postlaw needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11, say.") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python has no venv here; Debian and Ubuntu keep it apart: apt-get install python3-venv"; exit 1; }
	@echo "Installing into .venv (once; about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 libs services  # else every first start compiles them: half a second and more
	@touch $@

.PHONY: setup
setup: .venv/installed ## install everything into .venv

.PHONY: dev
dev: setup ## the whole mesh in one process, until Ctrl-C
	@exec $(BIN)/postlaw dev

.PHONY: demo
demo: setup ## import, send, say stop in mid-flight, prove that it stopped
	@exec $(BIN)/postlaw demo

.PHONY: test
test: setup ## every test that this machine can run; says against what
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(TESTS)

.PHONY: check
check: setup ## lint, types, import boundaries, contracts, the model, docs, generated code
	@$(BIN)/python -m tools.check

.PHONY: bench
bench: setup ## every figure that the project states: make bench NAME="stop --quick"
	@$(BIN)/python -m bench $(NAME)

.PHONY: proto
proto: setup ## generate libs/contracts from protos/
	@$(BIN)/python -m tools.generate_contracts

.PHONY: backing
backing: setup ## install and start Kafka, a MongoDB-wire server and S3 on loopback, for tests
	@$(BIN)/python deploy/backing/backing.py install
	@$(BIN)/python deploy/backing/backing.py start

LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header
.PHONY: lock
lock: ## pin every dependency by hash: all of them, the image's, and what builds the wheel
	@$(LOCK) --group dev pyproject.toml -o requirements.lock
	@$(LOCK) -c requirements.lock pyproject.toml -o requirements-runtime.lock
	@$(LOCK) -c requirements.lock --group build -o requirements-build.lock

.PHONY: image
image: ## build the one image: make image SERVICE=consent
	@docker build --build-arg SERVICE=$(or $(SERVICE),gateway) -t postlaw:dev .
