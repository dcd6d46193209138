# Everything runs from here with nothing but make and python3 >= 3.11 (with venv) on the machine.
# `make up ARGS="--port 9000 --data-dir /srv/mainstem"`, `make test ARGS="-k spool -x"`.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
ARGS ?=

.PHONY: help setup up test check format lint types imports generated fmt bench docs openapi clean

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile
	@echo 'Options go in ARGS, quoted: make up ARGS="--port 9000", make test ARGS="-k spool -x"'

setup: $(STAMP) ## Make .venv with everything

# The stamp holds the folder, for an environment does not survive a move; a half-made one has no stamp.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh $(VENV)

# exec: the signal of a terminal or supervisor reaches the program itself
up: $(STAMP) ## Run everything: http://127.0.0.1:8000
	@exec $(BIN)/python -m mainstem up $(ARGS)

test: $(STAMP) ## Run the whole suite
	@exec $(BIN)/python -m pytest $(ARGS)

check: format lint types imports generated ## Format, lint, types, import contracts, generated files

format: $(STAMP)
	$(BIN)/python -m ruff format --check .

lint: $(STAMP)
	$(BIN)/python -m ruff check .

types: $(STAMP)
	$(BIN)/python -m mypy

imports: $(STAMP)
	$(BIN)/lint-imports

generated: $(STAMP)
	$(BIN)/python -m mainstem.cli.generated --check

fmt: $(STAMP) ## Format, and fix what can be fixed
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: $(STAMP) ## Measure the bars; writes bench/RESULTS.md
	@exec $(BIN)/python -m bench $(ARGS)

docs: $(STAMP) ## Write the generated files: reference pages, .env.example, openapi.json
	$(BIN)/python -m mainstem.cli.generated

openapi: docs ## Write openapi.json (with the other generated files)

clean: ## Remove the environment and caches; the data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
