# Every target sets up what it needs: a virtual environment in .venv, made once and again when the pins change.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
BARE := .venv/.bare
INSTALLED := .venv/.installed
SIZE ?= small
JOBS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo study test check site bench advisories clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# what runs the program; what develops it (browser, linters, tests) comes on top
$(BARE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[weights]'
	@touch $@

$(INSTALLED): $(BARE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(BARE)  ## draw a data set, train ADDNet on it, show the figures (a few minutes)
	$(BIN)/addnet train experiment=demo

study: $(BARE)  ## the study: SIZE=tiny|small|full DATA=faces JOBS=2 ARGS='minutes=120'; the same line goes on
	$(BIN)/addnet study size=$(SIZE) n_jobs=$(JOBS) $(if $(DATA),data_dir=$(DATA)) $(ARGS)

test: $(INSTALLED)  ## run all tests
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## lint and type-check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict

site: $(INSTALLED)  ## the documentation as a site, in outputs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo outputs/site/index.html

bench: $(INSTALLED)  ## measure every part beside what is used instead (minutes; leave the machine alone)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/run.py

advisories: $(INSTALLED)  ## look up known faults of what is installed and of the lower bounds (needs the network)
	@test -x .venv-advisories/bin/pip-audit || { $(PYTHON) -m venv .venv-advisories && \
	  .venv-advisories/bin/python -m pip install --quiet 'pip-audit>=2.7'; }
	@.venv-advisories/bin/python scripts/advisories.py $(BIN)/python

clean:  ## remove the environment and caches; runs in outputs/ stay
	rm -rf .venv .venv-advisories .pytest_cache .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
