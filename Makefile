# Two commands for newcomers: `make demo` and `make test`. The others serve those who change the code.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test editors dist installed vsix lint bench clean

demo: .venv/demo.stamp  ## index a real project, complete, check and rename in it (ARGS=PATH for your own)
	$(BIN)/engram-ls demo $(ARGS)

test: .venv/dev.stamp  ## values, meeting and wire tests (ARGS='tests/context -k rename' for some)
	$(BIN)/python -m pytest $(or $(ARGS),tests)

EDITORS ?= .editors
editors: .venv/dev.stamp  ## our clients in VS Code, Neovim and Emacs themselves, which are installed first (Debian, as root)
	$(BIN)/python tests/editors/install.py $(EDITORS)
	ENGRAM_EDITORS=$(EDITORS) $(BIN)/python -m pytest $(or $(ARGS),tests/editors)

WITH_NODE = cd editors/vscode && export PATH="$(abspath $(EDITORS))/vscode/bin:$$PATH" &&
vsix:  ## the extension for VS Code, editors/vscode/engram-ls.vsix (Node 22 or newer)
	$(WITH_NODE) npm ci --ignore-scripts --no-audit --no-fund && npm run package

dist: .venv/dev.stamp vsix  ## what is published, in dist/: wheel, source distribution, and the extension with the wheel in it
	rm -rf dist && $(BIN)/python -m build --outdir dist .
	$(WITH_NODE) npm run package -- --wheel ../../dist/*.whl --out ../../dist/engram-ls.vsix && rm -r server

installed: dist  ## what is published, installed as people do: pip, uv, pipx, and without a network
	ENGRAM_DIST=dist $(BIN)/python -m pytest tests/installation

lint: .venv/dev.stamp  ## ruff and pyright, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "engram-ls needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: .venv/bin/python pyproject.toml
	$(PIP) -e .
	touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml tests/constraints.txt
	$(PIP) -e '.[dev]' -c tests/constraints.txt
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist build
