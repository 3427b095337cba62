# `make demo` and `make test` do all their own set-up in .venv; the others use it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat pyproject.toml | cksum | cut -d' ' -f1)

.PHONY: demo test lab dashboard bench lint audit docs images browser

demo: $(READY) images
	$(BIN)/explorer demo

test: $(READY) images browser
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -m "not long and not browser" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "browser and not long" -n 2 --dist loadfile

lab: $(READY)
	$(BIN)/explorer lab

dashboard: $(READY)
	$(BIN)/explorer dashboard

bench: $(READY)
	$(BIN)/explorer bench

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

audit: $(READY)
	@test -x $(VENV)/audit/bin/pip-audit || ($(PYTHON) -m venv $(VENV)/audit && $(VENV)/audit/bin/pip install --quiet "pip-audit>=2.9")
	$(VENV)/audit/bin/pip-audit --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# torch and torchvision are named together with the project, so that pip finds one matching pair
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 2)
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $$(sh .ci/torch) -e ".[test]"
	@rm -f $(VENV)/.ready-*; touch $@

# Debian's packages for real images, a browser and a proxy, where apt and root are there; tests that lack them skip with a reason
images:
	@test -e /usr/share/datasets/fashion-mnist || sh .ci/apt dataset-fashion-mnist

browser:
	@command -v chromium >/dev/null || sh .ci/apt chromium
	@test -x /usr/sbin/nginx || command -v nginx >/dev/null || sh .ci/apt nginx-light

# pages and API reference, in site/
docs: $(READY)
	@$(BIN)/python -c "import mkdocs, mkdocstrings" 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/mkdocs build --strict --quiet
