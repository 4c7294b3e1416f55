# make quantize            environment, installation, and both networks to certified int8 (synthetic fields)
# make quantize DATA=DIR   the same on real images: labelled parity, the certificate that counts
# make test                lint, types and the default tests, in two processes (WORKERS=1 for one)
# make test-all            with the slow suites
# make nightly             random faults over edge run, export, prune and verify: MINUTES=20, SEED=N (needs root)
# make test-nightly        what is too slow for these: built images booted under emulation
# make sbom                what a device runs, as CycloneDX files in build/sbom/
# make audit               is any of it known to be vulnerable? Silence of the advisory service is said and tolerated
PYTHON ?= python3.11
VENV ?= .venv
DATA ?=
OUT ?= build/bundles
WORKERS ?= 2
MINUTES ?= 20
SEED ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: quantize test test-all test-nightly nightly doctest lint sbom audit lock clean

quantize: $(STAMP)
	$(BIN)/convert quantize --int8 $(if $(DATA),--data $(DATA)) --out $(OUT)

# A file's tests share fixtures and stay in one process. What hangs is named, with its stack, and the rest still runs.
XDIST := -n $(WORKERS) --dist loadfile --timeout 600

test: $(STAMP) lint
	$(BIN)/python -m pytest $(XDIST) -m "not slow"

test-all: $(STAMP) lint
	$(BIN)/python -m pytest $(XDIST) -m "not nightly" --durations 40 --durations-min 10

test-nightly: $(STAMP)
	$(BIN)/python -m pytest -m nightly

nightly: $(STAMP)
	$(BIN)/python -m tests.faults.nightly --seconds $$(( $(MINUTES) * 60 )) $(if $(SEED),--seed $(SEED))

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The examples in docstrings, with `make test` and `make test-all`.
test test-all: doctest

doctest: $(STAMP)
	$(BIN)/python -m pytest --doctest-modules edge models convert docs/studies

sbom: $(STAMP)
	$(BIN)/python -m tests.install.supply_chain sbom

audit: $(STAMP)
	$(BIN)/python -m tests.install.supply_chain audit

# The lock is complete, so pip resolves nothing (--no-deps) and checks every hash.
$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# For maintainers, with uv: resolves for Python 3.11 to 3.13, x86-64 and aarch64.
lock:
	for extras in dev device device,page; do \
	  uv pip compile --quiet --universal --python-version 3.11 --extra $$(echo $$extras | sed 's/,/ --extra /') \
	    --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml \
	    -o requirements/$${extras#device,}.lock; done

clean:
	rm -rf $(VENV) build *.egg-info
