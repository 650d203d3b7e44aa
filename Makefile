# `make demo` takes a trained network to Verilog and runs digits through it; `make bitstream` builds
# one for a board; `make test` passes the tests; `make docs` lays the pages in build/docs. All lay
# what they need in .venv, the first time only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MNIST := examples/mnist
DEMO := build/demo
BOARD := ulx3s-85f

.PHONY: demo bitstream test docs typings system clean

demo: $(VENV)/installed
	$(BIN)/quinnoa compile $(MNIST)/tfc_w1a1.onnx -o $(DEMO) --fold $(MNIST)/tfc_fold.toml \
		--family xc7 --top 1
	$(BIN)/quinnoa simulate $(DEMO) --input $(MNIST)/digits.npy --labels $(MNIST)/labels.npy
	@echo "open $(CURDIR)/$(DEMO)/report.html"

bitstream: $(VENV)/installed-pnr
	$(BIN)/quinnoa build $(MNIST)/tfc_w1a1.onnx --board $(BOARD) -o build/$(BOARD) --fold $(MNIST)/tfc_fold.toml \
		--images $(MNIST)/digits.npy --labels $(MNIST)/labels.npy

test: $(VENV)/installed-dev typings
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

docs: $(VENV)/installed-dev
	$(BIN)/sphinx-build -W --keep-going -q docs build/docs
	@echo "open $(CURDIR)/build/docs/index.html"

$(VENV)/installed: pyproject.toml | system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-pnr: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[pnr]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed-pnr
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# What pip cannot bring.
system:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is missing; name one: make PYTHON=python3.12" >&2; exit 1; }
	@missing=; \
	for tool in g++ make; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	test -z "$$missing" || \
		{ echo "missing:$$missing (Debian, Ubuntu: apt-get install$$missing)" >&2; exit 1; }

# The links by which mypy finds the folders under one name.
typings:
	@rm -rf typings && mkdir -p typings/quinnoa
	@for file in quinnoa/*.py quinnoa/py.typed; do ln -s ../../$$file typings/quinnoa/; done
	@for folder in rtl graph platforms sim; do ln -s ../../$$folder typings/quinnoa/; done

clean:
	rm -rf build dist typings .mypy_cache .pytest_cache .ruff_cache sim_build
