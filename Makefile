.DEFAULT_GOAL := help
.PHONY: help serve models switch unit test check format coverage test-python312 test-hardening test-large test-ray soak export-model export-plan train-model eval-model bench bench-peers bench-aiperf rerank-bulk settings image check-deploy audit sbom lock clean

# A pyenv shim on PATH may point to no Python, so each candidate is run. Pyenv's Pythons are found without being selected.
runs = $(shell for each in python$(1) $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1)); do "$$each" -c "" 2> /dev/null && echo "$$each" && break; done)
ifndef PYTHON
PYTHON := $(or $(call runs,3.11),$(call runs,3.12))
endif
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := $(VENV)-clients/.done $(VENV)-clients-cohere5/.done $(VENV)-clients-cohere7/.done
NPM := .tools/axe/.done .tools/npm-clients/.done
DOCKER ?= docker
HAS_LIBPYTHON := import ctypes.util, os, sys, sysconfig; sys.exit(not (os.path.isfile(os.path.join(sysconfig.get_config_var("LIBDIR"), "libpython3.12.so.1.0")) or ctypes.util.find_library("python3.12")))
PIP := -m pip install --disable-pip-version-check
# requirements/NAME.lock has what the extra NAME adds to the locks below it. facade.lock is the lowest.
locked = --quiet --no-deps --only-binary :all: --require-hashes $(foreach lock,$(1),--requirement requirements/$(lock).lock)
SERVING := facade openvino triton
PROJECT := --quiet --no-deps --no-build-isolation --editable .
LOCKS := pyproject.toml $(wildcard requirements/*.lock)

# The shell's `bundle` is the folder of MODEL's bundle, which is exported if it is not there. Without MODEL, nothing.
FIND = $(BIN)/python -m scripts.models --find "$(MODEL)" $(if $(PRECISION),--precision "$(PRECISION)") $(if $(NAME),--name "$(NAME)")
EXPORTED = $(if $(MODEL),bundle="$$($(FIND))" || exit 2; \
	if [ -z "$$bundle" ]; then $(MAKE) --no-print-directory export-model OUT= || exit 2; bundle="$$($(FIND))" || exit 2; fi; )

UNIT := tests/unit/facade tests/unit/reranker tests/unit/rerank_text tests/unit/serving $(wildcard tests/unit/test_*.py)
# Tests that take long run with ALL, and where ARGS asks for some.
WITHOUT_LONG = $(if $(ALL)$(ARGS),, and not long)
SIDE_BY_SIDE = --numprocesses 2 --dist loadfile -m "not alone and not large and not deploy$(WITHOUT_LONG)"
# Pytest exits with 5 where it ran no test. With ARGS that is expected: a test runs either beside others or alone.
MAY_BE_NONE = $(if $(ARGS),|| [ $$? -eq 5 ])

serve: $(VENV)/.serve ## Start Triton and the HTTP API in the foreground, with the default model or another one, exported at its first start: [MODEL=<hub id, folder or exported model>] [PRECISION=…] [NAME=org/name]. Ctrl-C stops both.
	@$(EXPORTED)exec $(if $(MODEL),env -u NIM_MODEL_NAME RERANKER_MODEL="$$bundle") $(BIN)/python -m scripts.serve

models: $(VENV)/.serve ## List the exported models: [REMOVE=<name>] removes one.
	@$(BIN)/python -m scripts.models $(if $(REMOVE),--remove "$(REMOVE)")

switch: $(VENV)/.serve ## Switch a server that was started with MODEL to another model, without a failed request: MODEL=<as of serve> [PRECISION=…] [NAME=…].
	@$(if $(MODEL),,echo "switch: which model? make switch MODEL=<hub id, folder or exported model>; make models lists those" >&2; exit 2;) \
	$(EXPORTED)exec env -u NIM_MODEL_NAME RERANKER_MODEL="$$bundle" $(BIN)/python -m scripts.switch_model

unit: $(VENV)/.test ## Run the unit tests of what serves, without torch and Triton (one minute): [ARGS=…].
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --without-torch $(or $(ARGS),$(UNIT))

test: $(VENV)/.dev $(CLIENTS) $(NPM) $(VENV)-retrieval/.done ## Run the tests against a real Triton (10 minutes): [ARGS=…] [ALL=1: also those that take long, 8 minutes more].
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS) $(MAY_BE_NONE)
	$(BIN)/python -m pytest -m "alone$(WITHOUT_LONG)" $(ARGS) $(MAY_BE_NONE)

check: $(VENV)/.dev ## Run everything that a change has to pass: format, lint, types, imports, all tests, deployment files.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) test ALL=1
	$(MAKE) test-python312
	@if $(MAKE) --silent .tools/.done .tools/audit/.done; then $(MAKE) check-deploy; else echo "check-deploy is left out: what it needs can't be installed here" >&2; fi

format: $(VENV)/.dev ## Format the code and apply the linter's fixes.
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

coverage: $(VENV)/.dev ## Measure the coverage of the unit and contract tests: [ARGS=…].
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --without-torch --cov --cov-report=term $(UNIT) tests/contract $(ARGS)

# The tests that need no torch, and one real Triton. `make test` runs all tests on the other Python.
test-python312: ## Run the tests of what serves on Python 3.12, where it is installed.
	@$(eval PYTHON312 := $(call runs,3.12))
	@if [ -z "$(PYTHON312)" ]; then echo "test-python312 is left out: no Python 3.12 is installed here" >&2; \
	elif ! "$(PYTHON312)" -c '$(HAS_LIBPYTHON)'; then \
		echo "test-python312 is left out: $(PYTHON312) has no libpython3.12.so.1.0, which Triton's Python backend needs" >&2; \
	else $(MAKE) --no-print-directory PYTHON312="$(PYTHON312)" $(VENV)-312/.done && \
		$(VENV)-312/bin/python -m pytest $(SIDE_BY_SIDE) $(UNIT) tests/contract; fi

test-hardening: $(VENV)/.dev ## Run the tests of overload, faults, bad input, access, fleets and bad versions in full length (11 minutes).
	$(BIN)/python -m pytest --full --timeout 900 tests/hardening tests/triton/test_fleet.py tests/triton/test_bad_versions.py

test-large: $(VENV)/.dev ## Run the tests of models of real size (20 GB of memory and disk, some minutes).
	$(BIN)/python -m pytest -m large tests/large

test-ray: $(VENV)/.dev $(VENV)-ray/.done ## Run the tests of bulk ranking on Ray, which gets its own environment (900 MB).
	$(BIN)/python -m pytest -m large tests/ray

soak: $(VENV)/.dev ## Load a server for half an hour and check that its memory stays flat: [ARGS="--minutes 30 --json FILE"].
	@$(BIN)/python -m scripts.soak $(ARGS)

export-model: $(VENV)/.dev ## Export a model into the cache, or as a bundle into a folder: MODEL=<hub id or folder> [NAME=org/name] [PRECISION=fp32|fp16|bf16|int8] [OUT=folder] [LONGEST=tokens] [CALIBRATION=file].
	@$(BIN)/python -m scripts.export_model --model "$(MODEL)" $(if $(NAME),--name "$(NAME)") $(if $(PRECISION),--precision "$(PRECISION)") $(if $(OUT),--out "$(OUT)") $(if $(LONGEST),--longest "$(LONGEST)") $(if $(CALIBRATION),--calibration "$(CALIBRATION)") $(ARGS)

export-plan: $(VENV)/.dev ## Write TensorRT's command and profiles for a bundle, and build the engine where TensorRT is installed: [BUNDLE=folder] [PRECISION=fp16] [OUT=folder].
	@$(BIN)/python -m scripts.export_plan $(if $(BUNDLE),--bundle "$(BUNDLE)") $(if $(PRECISION),--precision "$(PRECISION)") $(if $(OUT),--out "$(OUT)") $(ARGS)

train-model: $(VENV)/.dev ## Train and calibrate the default model's checkpoint (needs the data sets): [OUT=folder] [ARGS=--resume].
	$(BIN)/python -m scripts.train_model --out "$(or $(OUT),.work/checkpoint)" $(ARGS)
	$(BIN)/python -m scripts.calibrate_model --checkpoint "$(or $(OUT),.work/checkpoint)" --plot docs/reliability.png

eval-model: $(VENV)/.dev ## Measure a bundle's ranking quality (needs the data sets): [ARGS=…].
	$(BIN)/python -m scripts.evaluate $(ARGS)

bench: $(VENV)/.dev ## Measure a server over HTTP (needs the data sets): [URL=http://…] [REPORT=docs/benchmarks.md] [ARGS=…].
	$(BIN)/python -m scripts.bench $(if $(URL),--url "$(URL)") $(if $(REPORT),--report "$(REPORT)") $(ARGS)

bench-peers: $(VENV)/.dev ## Measure this server beside its peers, which are installed into .bench (9 GB): [MODEL=xlmr-base|xlmr-large|modernbert-base|llama-1b|qwen3-0.6b] [REPORT=docs/benchmarks.md] [ARGS=…].
	$(BIN)/python -m scripts.bench_peers $(if $(MODEL),--model "$(MODEL)") $(if $(REPORT),--report "$(REPORT)") $(ARGS)

bench-aiperf: $(VENV)/.dev ## Measure a running server with NVIDIA's AIPerf, which is installed into .bench (1.2 GB): [URL=http://…] [ARGS="--passages 32 --concurrency 4"].
	@$(BIN)/python -m scripts.bench_aiperf $(if $(URL),--url "$(URL)") $(ARGS)

rerank-bulk: $(if $(RAY),$(VENV)-ray/.done,$(VENV)/.bulk) ## Rank a file of rows: IN=<Parquet, JSON lines, CSV, TSV, folders> OUT=<file> [KEEP=columns] [URL=http://…] [RAY=local|<address>] [ARGS=…]; or a TREC run: IN=<run> QUERIES=<file> CORPUS=<files> OUT=<run>.
	@$(VENV)$(if $(RAY),-ray)/bin/python -m scripts.rerank_bulk $(IN) --out "$(OUT)" $(if $(QUERIES),--queries "$(QUERIES)") $(if $(CORPUS),--corpus $(CORPUS)) $(if $(KEEP),--keep "$(KEEP)") $(if $(URL),--url "$(URL)") $(if $(RAY),--ray "$(RAY)") $(ARGS)

settings: $(VENV)/.dev ## Write docs/settings.md from the declarations of the settings.
	@$(BIN)/python -m scripts.settings_page

image: ## Build a container image (needs Docker): [TARGET=gpu|cpu|facade] [ARGS=--build-arg TRITON_DIGEST=@sha256:…].
	$(DOCKER) build --file Dockerfile.triton --target "$(or $(TARGET),gpu)" --tag "triton-reranker:$(or $(TARGET),gpu)" --build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" --build-arg REVISION="$$(git rev-parse HEAD 2> /dev/null || echo unknown)" $(ARGS) .

check-deploy: $(VENV)/.dev .tools/.done .tools/audit/.done ## Check the files for Docker, Kubernetes, KServe, Envoy and Prometheus, and send requests through Envoy.
	.tools/venv/bin/python -m scripts.deploy.check
	$(BIN)/python -m pytest -m deploy tests/deploy

# Strict: a package that the database does not know fails. A PyPI mirror may have no database.
audit: .tools/audit/.done ## Look up the locked packages in PyPI's list of known vulnerabilities: [ARGS="--vulnerability-service osv"].
	.tools/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --aliases on $(addprefix --requirement ,$(wildcard requirements/*.lock)) $(ARGS)

sbom: .tools/serving/.done ## Write the software bill of materials of what serves, as CycloneDX JSON: [OUT=sbom.json].
	.tools/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-format JSON --output-file "$(or $(OUT),sbom.json)" .tools/serving

# Pins stay unless ARGS or pyproject.toml change them. All extras are resolved together first, so that the locks agree.
lock: .tools/audit/.done ## Lock the packages that pyproject.toml names, with hashes: [ARGS=--upgrade] [ARGS="--upgrade-package NAME"].
	@echo "Resolving the locks (half a minute) ..."
	@mkdir -p requirements && sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' /dev/null $(filter-out %/gpu.lock,$(wildcard requirements/*.lock)) > .tools/together.txt
	@$(RESOLVE) $(PYTHONS) --extra dev --extra ray --output-file .tools/together.txt $(ARGS)
	@$(call lock,facade,otel) $(PYTHONS)
	@$(call lock,openvino,openvino,facade) $(PYTHONS)
	@$(call lock,triton,triton,facade openvino) $(PYTHONS)
	@$(call lock,bulk,bulk,facade) $(PYTHONS)
	@$(call lock,test,test,$(SERVING) bulk) $(PYTHONS)
	@$(call lock,dev,dev,$(SERVING) bulk test) $(PYTHONS) --no-emit-package torch
	@$(call lock,ray,ray,facade openvino bulk) $(PYTHONS)
	@$(call lock,gpu,gpu,facade openvino) --no-config --python-version 3.12 --python-platform x86_64-manylinux_2_39 $(ARGS)
	@sed -i "s/ ; python_full_version < '3.13' and .* == 'linux' / /" requirements/*.lock

RESOLVE = echo 'setuptools>=77' | .tools/audit/bin/uv pip compile --quiet --no-header --no-annotate pyproject.toml -
PYTHONS := --universal --python-version 3.11
lock = $(RESOLVE) --extra $(2) --generate-hashes --constraint .tools/together.txt --output-file requirements/$(1).lock \
	$$(sed -n 's/^\([^ ]*\)==.*/--no-emit-package \1/p' /dev/null $(3:%=requirements/%.lock))

help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean: ## Remove environments and caches. Bundles and checkpoints stay.
	rm -rf $(VENV) $(VENV)-clients* $(VENV)-retrieval $(VENV)-ray $(VENV)-312 .bench .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "neither Python 3.11 nor 3.12 was found: install one of them, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@command -v "$(PYTHON)" > /dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or 3.12, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || { echo "$(PYTHON) is neither Python 3.11 nor 3.12 (Triton needs NumPy 1 here, which has no build for 3.13): make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "Making the environment $(VENV) ..."
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(LOCKS) | $(VENV)/bin/python
	@echo "Installing what serving needs (some 700 MB, half a minute) ..."
	@$(BIN)/python $(PIP) $(call locked,$(SERVING))
	@$(BIN)/python $(PIP) $(PROJECT)
	@touch $@

$(VENV)/.bulk: $(VENV)/.serve
	@$(BIN)/python $(PIP) $(call locked,bulk)
	@touch $@

$(VENV)/.test: $(VENV)/.bulk
	@echo "Installing what the tests of what serves need (70 MB, ten seconds) ..."
	@$(BIN)/python $(PIP) $(call locked,test)
	@touch $@

# No lock has torch's CPU build: PyPI's own build for Linux needs gigabytes of CUDA. What both builds need is in dev.lock.
$(VENV)/.dev: $(VENV)/.test
	@echo "Installing what tests and export need (torch and more, one or two minutes) ..."
	@$(BIN)/python $(PIP) $(call locked,dev)
	@$(BIN)/python $(PIP) --quiet torch==2.13.0
	@touch $@

$(VENV)-312/.done: $(LOCKS)
	@echo "Installing what serves and its tests for Python 3.12 (some 700 MB, a minute) ..."
	@"$(PYTHON312)" -m venv --clear $(VENV)-312
	@$(VENV)-312/bin/python $(PIP) $(call locked,$(SERVING) bulk test)
	@$(VENV)-312/bin/python $(PIP) $(PROJECT)
	@touch $@

# Ray is large, and a cluster's workers need no test packages, so it has its own environment.
$(VENV)-ray/.done: $(LOCKS) | $(VENV)/bin/python
	@echo "Installing Ray and what bulk work needs (some 900 MB, a minute) ..."
	@$(PYTHON) -m venv --clear $(VENV)-ray
	@$(VENV)-ray/bin/python $(PIP) $(call locked,facade openvino bulk ray)
	@$(VENV)-ray/bin/python $(PIP) $(PROJECT)
	@touch $@

# The file names every package, so pip resolves nothing.
.tools/.done: scripts/deploy/requirements.txt | $(VENV)/bin/python
	@echo "Installing what checks deployment files (some 300 MB, half a minute) ..."
	@$(PYTHON) -m venv --clear .tools/venv
	@.tools/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --requirement scripts/deploy/requirements.txt
	@touch $@

.tools/audit/.done: scripts/audit/requirements.txt | $(VENV)/bin/python
	@echo "Installing what audits dependencies (some 70 MB, ten seconds) ..."
	@$(PYTHON) -m venv --clear .tools/audit
	@.tools/audit/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --requirement scripts/audit/requirements.txt
	@touch $@

# The rules of accessibility for tests/browser, and the rerank clients of npm. Packages are unpacked; their install scripts don't run.
.tools/axe/.done: tests/browser/axe/package-lock.json
.tools/npm-clients/.done: tests/clients/npm/package-lock.json
$(NPM):
	@rm -rf $(@D) && mkdir -p $(@D) && cp $(<D)/package.json $(<D)/package-lock.json $(@D)
	@if ! command -v npm > /dev/null; then echo "tests that need packages of $(<D) are left out: npm is not installed here" >&2; \
	elif npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund > $(@D)/npm.log 2>&1; then touch $@; \
	else echo "tests that need packages of $(<D) are left out: npm can't install them here ($(@D)/npm.log)" >&2; fi

# What `make serve` installs, without pip.
.tools/serving/.done: $(LOCKS) .tools/audit/.done
	@echo "Installing what serves and nothing else (some 620 MB, half a minute) ..."
	@$(PYTHON) -m venv --clear --without-pip .tools/serving
	@.tools/audit/bin/python -m pip --python .tools/serving/bin/python install --disable-pip-version-check $(call locked,$(SERVING))
	@.tools/audit/bin/python -m pip --python .tools/serving/bin/python install --disable-pip-version-check $(PROJECT)
	@touch $@

# The clients pin other versions than the server, so they have their own environment; three of them, since they pin three majors of cohere.
$(VENV)-clients/.done: tests/clients/requirements.lock | $(VENV)/bin/python
$(VENV)-clients-cohere5/.done: tests/clients/requirements-cohere5.lock | $(VENV)/bin/python
$(VENV)-clients-cohere7/.done: tests/clients/requirements-cohere7.lock | $(VENV)/bin/python
$(CLIENTS):
	@echo "Installing real client libraries of $< (200 to 700 MB, a minute) ..."
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --disable-pip-version-check --requirement $<
	@touch $@

# BEIR and MTEB need torch and more of $(VENV), so this environment sees its packages. The file names all others, so pip resolves nothing.
$(VENV)-retrieval/.done: tests/clients/retrieval.lock $(VENV)/.dev
	@echo "Installing BEIR, MTEB and trec_eval (some 350 MB, half a minute) ..."
	@$(BIN)/python -m venv --clear $(VENV)-retrieval
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > "$$(echo $(VENV)-retrieval/lib/python3*/site-packages)/dev.pth"
	@$(VENV)-retrieval/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --requirement tests/clients/retrieval.lock
	@touch $@
