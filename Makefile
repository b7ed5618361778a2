# make quickstart · make test · make check · make fix · make docs
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help quickstart test check fix docs clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

quickstart: .venv/run  ## from nothing to a passed report on this CPU: two minutes, 6.5 GB in ~/.cache
	$(BIN)/recipe-run setup cpu
	$(BIN)/recipe-run recipe=internvl3-tiny hardware=cpu

test: .venv/dev  ## every test, those on real vLLM too
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	tools/browser.sh
	$(BIN)/recipe-run setup cpu
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term $(PYTEST)

check: .venv/dev  ## style, types, docs, and the tests that need no vLLM and no browser
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not real and not browser" $(PYTEST)

fix: .venv/dev  ## mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python docs/generate.py

docs: .venv/dev  ## the site, in site/
	$(BIN)/mkdocs build --strict

clean:  ## remove what was made here; `recipe-run setup --remove` removes the environments in ~/.cache
	rm -rf .venv site dist build .coverage* .pytest_cache .mypy_cache .ruff_cache

.venv/run .venv/dev: .venv/%: tools/%.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "recipe-runner needs Python 3.11 or later: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
