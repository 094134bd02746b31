.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench docs release

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: $(STAMP)  ## make .venv with brainclock and everything that its tests need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo '$(PYTHON) is older than Python 3.11: make $@ PYTHON=python3.12, for example.'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: $(STAMP)  ## read the age of a simulated head, into demo/
	$(BIN)/brainclock demo -o demo

test: $(STAMP)  ## run every test
	$(BIN)/python -m pytest

lint: $(STAMP)  ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## measure against named rivals; takes minutes; three more want real scans
	@for script in $(filter-out benchmarks/mask.py benchmarks/fit_trajectories.py benchmarks/pretrain.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(STAMP)  ## write the generated pages anew, build the site into build/site, check all pages and links
	@for script in docs/make_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env docs build/site
	$(BIN)/python -m pytest --quiet tests/unit/docs tests/unit/test_house.py
	@echo 'Open build/site/index.html'

release: $(STAMP)  ## build wheel and sdist into dist/ and try them in a new environment, without a network
	BASE=$(PYTHON) .ci/release
