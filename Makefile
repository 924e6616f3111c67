# SPDX-License-Identifier: Apache-2.0
# Every target does its own set-up. What it installs stays in .venv*.
PYTHON ?= python3
PYTEST_ARGS ?=
# Test files that run at the same time; 0 runs one after the other, in one process.
WORKERS ?= 2
AT_ONCE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP := -m pip --disable-pip-version-check --require-virtualenv install --quiet
BIN := .venv/bin

.DEFAULT_GOAL := help
# What packages are made for and with: see docs/how-to-release.md.
PYTHONS ?= $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
.PHONY: help setup demo test test-all test-days test-pythons check format messages schemas proto proto-baseline bench bench-peers lock wheelhouse deb windows-zip clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 - /p' Makefile

setup: .venv/.stamp ## make .venv from the hashed lock

demo: setup ## a hub and five agencies on this machine: ask, refuse, repeat
	$(BIN)/accord demo

test: setup ## every test but the slow ones
	$(BIN)/python -m pytest -m "not slow" --hypothesis-profile=quick $(AT_ONCE) $(PYTEST_ARGS)

test-all: setup ## every test
	$(BIN)/python -m pytest $(AT_ONCE) $(PYTEST_ARGS)

test-days: setup ## whole days with all programs: the demo, a board's first day, a bulletin, a hub that is lost
	$(BIN)/python -m pytest -m day $(AT_ONCE) tests/federation $(PYTEST_ARGS)

test-pythons: setup ## plain installs; core and agent on Python 3.12 and 3.13, where they are installed
	$(BIN)/python -m pytest -m "packaging and slow" tests/packaging $(PYTEST_ARGS)

check: setup .venv-proto/.stamp ## format, lint, types, layers, protocol, documents
	$(BIN)/python -m tools.check

format: setup ## let ruff format and sort imports
	$(BIN)/ruff format && $(BIN)/ruff check --fix-only --quiet

messages: setup ## compile the catalogues of sentences
	$(BIN)/python -m tools.catalogues compile

schemas: setup ## generate the JSON Schemas of policies, for editors
	$(BIN)/python -m tools.schemas generate

proto: setup .venv-proto/.stamp ## generate the stubs under proto/
	.venv-proto/bin/python -m tools.stubs generate

proto-baseline: setup .venv-proto/.stamp ## on a release: what `make check` compares the protocol with
	.venv-proto/bin/python -m tools.stubs baseline

bench: setup ## print the figures that the project answers for
	@set -e; for file in $$(grep -l __main__ benchmarks/*.py | grep -v /accuracy_peers.py); do $(BIN)/python -m benchmarks.$$(basename $$file .py); done

bench-peers: setup ## other engines' accuracy beside ours; installs them in .venv-peers, one of them needs Java
	$(BIN)/python -m benchmarks.accuracy_peers

lock: .venv-lock/.stamp ## resolve again: requirements.lock and those of an agency and of the stubs; KEEP=--keep adds only
	.venv-lock/bin/python -m tools.lock $(KEEP)

wheelhouse: setup ## dist/: the agent and all it needs, for networks that reach no registry
	$(BIN)/python -m tools.wheelhouse build --pythons "$(PYTHONS)"

deb: setup ## dist/: the agent as a Debian package for this machine's release
	$(BIN)/python -m tools.debian

windows-zip: setup ## dist/: the agent for Windows; PYTHON_EMBED=python.org's embeddable zip goes in
	$(BIN)/python -m tools.windows_zip $(if $(PYTHON_EMBED),--python "$(PYTHON_EMBED)")

clean: ## remove what the targets made
	rm -rf .venv .venv-proto .venv-lock .venv-peers uv.lock dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: requirements.lock pyproject.toml
	$(PYTHON) tools/interpreter.py
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --require-hashes -r requirements.lock
	$(BIN)/python $(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

.venv-proto/.stamp: tools/proto.lock
	$(PYTHON) tools/interpreter.py
	$(PYTHON) -m venv .venv-proto
	.venv-proto/bin/python $(PIP) --require-hashes -r tools/proto.lock
	@touch $@

.venv-lock/.stamp: Makefile
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) "uv>=0.13,<0.14"
	@touch $@
