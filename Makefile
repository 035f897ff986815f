# Every task of the project. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
PYTEST := $(BIN)/pytest

# Processes start in a third of the time from compiled modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test fmt lint types check contracts e2e bench conformance autolog clients exports ray image-test environments docs ui lock new-domain clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.runtime: requirements/runtime.lock requirements/build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trimtab needs Python 3.11 or newer; set PYTHON=/path/to/it.")'
	@test -x $(UV) || { echo "Making .venv"; $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet "uv>=0.9"; }
	@echo "Installing what runs"
	@$(UV) pip install --quiet --compile-bytecode -r requirements/build.lock
	@$(UV) pip install --quiet --compile-bytecode --no-build-isolation -r requirements/runtime.lock
	@$(UV) pip install --quiet --no-build-isolation --no-deps -e .
	@$(BIN)/python -m compileall -q src/trimtab
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.lock
	@echo "Installing what tests"
	@$(UV) pip install --quiet --compile-bytecode --no-build-isolation -r requirements/dev.lock
	@touch $@

setup: .venv/.dev ui ## Make .venv with everything, build the UI
	@$(BIN)/python tools/browser.py

ui: .venv/.runtime ## Build the web UI where its sources changed
	@$(BIN)/python ui/build.py

demo: .venv/.runtime ui ## Run the whole loop on real data
	@$(BIN)/trimtab demo $(DEMO)

# Those that kill servers or drive a browser have the machine to themselves.
ALONE := tests/chaos tests/e2e

test: setup ## Run every test
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(ALONE))
	@$(PYTEST) $(ALONE)

fmt: .venv/.dev ## Format the code
	@$(BIN)/ruff format src tests bench tools examples
	@$(BIN)/ruff check --fix --quiet src tests bench tools examples

lint: .venv/.dev ## Check style
	@$(BIN)/ruff format --check src tests bench tools examples
	@$(BIN)/ruff check src tests bench tools examples

types: .venv/.dev ## Check types
	@$(BIN)/pyright

contracts: .venv/.dev ## Check that imports only point down
	@$(BIN)/lint-imports --no-cache

check: lint types contracts test ## All that CI runs

e2e: setup ## Run the tests with a real browser and the real loop
	@$(PYTEST) tests/e2e

bench: setup ## Measure ours beside the peers
	@for file in bench/bench_*.py; do $(BIN)/python $$file; done

conformance: .venv/.dev ## Compare the MLflow API with MLflow's own server: make conformance MLFLOW=/path/to/python
	@test -n "$(MLFLOW)" || { echo "Set MLFLOW to an interpreter with mlflow installed; see tests/wire/differential/README.md."; exit 2; }
	@$(BIN)/python -m tests.wire.differential live --mlflow $(MLFLOW) $(ARGS)

.venv-autolog/.done: requirements/dev.lock requirements/build.lock requirements/autolog.lock
	@echo "Making .venv-autolog: several gigabytes"
	@$(PYTHON) -m venv .venv-autolog
	@.venv-autolog/bin/python -m pip install --quiet -r requirements/build.lock
	@.venv-autolog/bin/python -m pip install --quiet --no-build-isolation -r requirements/dev.lock -r requirements/autolog.lock
	@.venv-autolog/bin/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

autolog: .venv-autolog/.done ## Test autologging by the large libraries, in an environment of their own
	@.venv-autolog/bin/python -m pytest tests/wire/autolog tests/wire/mlflow/test_autolog.py

.venv-exports/.done: .venv/.dev requirements/exports.lock
	@$(PYTHON) -m venv --without-pip .venv-exports
	@$(UV) pip install --quiet --python .venv-exports/bin/python --no-deps -r requirements/exports.lock
	@touch $@

exports: .venv-exports/.done ## Test exports with real proxies and the real schemas of clusters
	@$(PYTEST) tests/domains/deploy/exports

.venv-ray/.done: requirements/ray.lock | .venv/.dev
	@echo "Making .venv-ray: half a gigabyte"
	@$(UV) venv --quiet --allow-existing .venv-ray
	@$(UV) pip install --quiet --python .venv-ray/bin/python -r requirements/ray.lock
	@touch $@

ray: .venv-ray/.done ## Test batches on Ray and the export for Ray Serve with the real one, in an environment of its own
	@TRIMTAB_RAY=$(CURDIR)/.venv-ray $(PYTEST) tests/domains/deploy/batch/test_ray.py tests/domains/deploy/exports/test_ray_serve.py

# A Debian with the Python of the tests. MIRROR is debootstrap's, by default the one that apt has here.
MIRROR ?= $(shell sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
.make/image-root/.done:
	@command -v buildah >/dev/null && command -v debootstrap >/dev/null || { echo "Install buildah and debootstrap, and run this as root."; exit 2; }
	@mkdir -p .make && debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm .make/image-root $(MIRROR)
	@touch $@

image-test: .venv/.dev .make/image-root/.done ## Build a packaged model's image and ask it; needs root, buildah, debootstrap
	@TRIMTAB_IMAGE_ROOT=$(CURDIR)/.make/image-root $(PYTEST) -s tests/domains/deploy/exports/test_image.py

.venv-clients/.done: requirements/clients.lock | .venv/.dev
	@echo "Making .venv-clients"
	@$(UV) venv --quiet --allow-existing .venv-clients
	@$(UV) pip install --quiet --python .venv-clients/bin/python -r requirements/clients.lock
	@touch $@

clients: .venv-clients/.done ## Test inference with KServe's and Amazon's own clients, in an environment of their own
	@TRIMTAB_CLIENTS_PYTHON=$(CURDIR)/.venv-clients/bin/python $(PYTEST) tests/serving/protocols/test_other_clients.py

environments: .venv/.dev ## Test environments of models with packages from the real index
	@TRIMTAB_TEST_INDEX=1 $(PYTEST) -s tests/domains/registry/test_package_index.py

docs: .venv/.dev ## Generate the reference
	@$(BIN)/python tools/reference.py

lock: .venv/.runtime ## Resolve the pinned requirements anew
	@cd requirements && ../$(UV) pip compile -q --universal --python-version 3.11 --no-annotate --no-header build.in -o build.lock
	@$(UV) pip compile -q --universal --python-version 3.11 --no-annotate --no-header --extra postgres --extra demo pyproject.toml -o requirements/runtime.lock
	@$(UV) pip compile -q --universal --python-version 3.11 --no-annotate --no-header --extra postgres --extra demo --extra xgboost --extra lightgbm --extra compile --extra grpc --group dev pyproject.toml -c requirements/runtime.lock -c requirements/build.lock -o requirements/dev.lock
	@$(UV) pip compile -q --python-version 3.11 --no-annotate --no-header requirements/clients.in -o requirements/clients.lock
	@$(UV) pip compile -q --python-version 3.11 --no-annotate --no-header requirements/ray.in pyproject.toml -c requirements/dev.lock -o requirements/ray.lock
	@rm -f requirements/autolog.lock
	@$(UV) pip compile -q --python-version 3.11 --no-annotate --no-header $(addprefix --find-links ,$(PIP_FIND_LINKS)) requirements/autolog.in -c requirements/dev.lock -o requirements/autolog.lock
	@sed -i '/^nvidia-/d; /^cuda-/d; /^triton=/d; /^--find-links/d; s/+cpu//' requirements/autolog.lock # for processors alone

new-domain: ## Lay out a domain: make new-domain NAME=noun
	@$(PYTHON) tools/new_domain.py $(NAME)

clean: ## Remove what was built
	rm -rf .venv .venv-autolog .venv-clients .venv-exports .venv-ray ui/node_modules src/trimtab/web/static .make
