# restock: every target makes what it needs (a local .venv) and prints what it does. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
# One temporary place for everything the tools would otherwise leave in the tree or the home folder.
export RUFF_CACHE_DIR := .cache/ruff
export MYPY_CACHE_DIR := .cache/mypy
# No tool of ours phones home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

.PHONY: setup
setup: ## make .venv with everything in requirements.lock (nothing else is installed or changed)
	@bash infra/dev/setup-environment

.PHONY: demo
demo: setup ## the main job end to end: ingest, train, promote, serve, forecast (in .demo/)
	@bash infra/dev/run-demo

.PHONY: test
test: setup ## the tests (under 15 minutes on 2 cores)
	@echo "pytest: all but the tests marked real or long, in two processes"
	@$(BIN)/python -m pytest -m "not real and not long" --numprocesses 2 --dist loadfile

.PHONY: test-all
test-all: test test-real ## the tests, then those with the real parts (servers, brokers, browsers)

.PHONY: test-real
test-real: setup ## only the tests with the real parts; installs what they need
	@bash infra/dev/install-real-parts
	@$(BIN)/python -m pytest -m "real and not long"

.PHONY: test-long
test-long: setup ## the full-length runs: thousands of seeds and kills
	@$(BIN)/python -m pytest -m long

.PHONY: check
check: setup ## ruff, mypy --strict and import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter

.PHONY: docs
docs: setup ## build the documentation as a site into build/site; nothing in it is loaded from elsewhere
	@$(BIN)/mkdocs build
	@echo "docs: open build/site/index.html"

.PHONY: bench
bench: setup ## measure speed as ratios against peers (docs/benchmarks.md); BENCH_DATA=DIR: features on FreshRetailNet
	@$(BIN)/restock bench --write docs/benchmarks.md $(if $(BENCH_DATA),--data $(BENCH_DATA),) $(if $(BENCH_RESULTS),--results $(BENCH_RESULTS),)

.PHONY: up
up: setup ## start Airflow, MLflow and the forecast service (RESTOCK_WORKSPACE=.demo make up: for the demo's data)
	@$(BIN)/restock up

.PHONY: status
status: setup ## show what `make up` started
	@$(BIN)/restock status

.PHONY: down
down: ## stop what `make up` started
	@if [ -x $(BIN)/restock ]; then $(BIN)/restock down --workspace . --workspace .demo; else echo "nothing to stop: no .venv"; fi

.PHONY: lock
lock: setup ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra pipeline --extra serving --extra airflow \
	  --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade -q \
	  -o requirements.lock

.PHONY: clean
clean: down ## remove what targets made: .venv, .demo and caches (never data/, models/ or mlflow.db)
	rm -rf .venv .demo .cache .hypothesis build dist
