# The two commands a newcomer needs: `make demo` and `make test`.
SHELL := /bin/bash
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup packages demo test lint format clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: ## Make .venv with everything in it (a second when it is there already)
	@scripts/setup.sh

packages: ## Install the Debian packages that the tests need (as root; says which where it cannot)
	@scripts/system-packages.sh

demo: setup ## Compress the tiny reasoner on this machine, from REST submission to report (ARGS="...")
	@exec $(BIN)/laconic demo $(ARGS)

test: lint ## Check and test everything (ARGS="-m unit" for the quick part)
	@# Without them the tests that need them fail, and say so; the others run.
	-@scripts/system-packages.sh
	$(BIN)/pytest $(ARGS)

lint: setup ## Import contracts, ruff and mypy
	$(BIN)/lint-imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Format the code and sort imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches and build folders (.venv and .laconic stay)
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find algorithms services actors api tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
