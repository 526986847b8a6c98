# Everything runs from a virtual environment in the checkout; `make` alone lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FIDELITY := .venv-fidelity

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help demo up test lint types imports docs fidelity bench lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maskrelay needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## start everything, segment real photographs, verify the callback, print a table, stop
	$(BIN)/python -m maskrelay.stack demo

up: $(READY) ## run the whole service in the foreground (PORT, DATA, MASKRELAY_*)
	$(BIN)/python -m maskrelay.stack up

test: $(READY) lint types imports ## lint, types, import contracts and every test
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY) ## write docs/settings.md and docs/errors.md anew from the code
	$(BIN)/python docs/generate.py

fidelity: $(READY) ## compare the simulator with the real serving stack, in an environment of its own
	$(PYTHON) -m venv --clear $(FIDELITY)
	$(FIDELITY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement tests/fidelity/requirements.lock
	$(BIN)/python -m pytest tests/fidelity/against_the_server.py

bench: $(READY) ## compare with the ways in use, on this machine (some 15 minutes)
	@for what in cpu capacity latency backlog trouble; do $(BIN)/python -m bench.$$what || exit 1; done

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) $(FIDELITY) .mypy_cache .ruff_cache .pytest_cache .hypothesis

lock: $(READY) ## resolve requirements.lock anew (needs `uv` on the PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	  --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml --output-file requirements.lock
