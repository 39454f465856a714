# Two commands: `make bench` and `make test`. Both do all the set-up they need.

VENV ?= .venv
PY := $(VENV)/bin/python

.PHONY: help bench test test-all clean

help:
	@echo "make bench     prove, time and compare the matmul kernels on this machine"
	@echo "make test      lint, types and tests"
	@echo "make test-all  the tests that take long, too"
	@echo "make clean     remove what these made"

bench: $(VENV)/.bench
	@sh scripts/vulkan.sh $(PY)
	@$(VENV)/bin/rusty-bench

test: $(VENV)/.test
	@sh scripts/vulkan.sh $(PY)
	@sh scripts/clang.sh
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@sh scripts/test.sh $(PY) "not slow"

test-all: $(VENV)/.test
	@sh scripts/vulkan.sh $(PY)
	@sh scripts/clang.sh
	@sh scripts/test.sh $(PY)

clean:
	rm -rf $(VENV) build dist tests/metal/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.bench: pyproject.toml constraints.txt
	@sh scripts/install.sh $(VENV) .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt tests/metal/package-lock.json
	@sh scripts/install.sh $(VENV) ".[dev]"
	@PATH="$(abspath $(VENV))/bin:$$PATH" npm ci --silent --prefix tests/metal
	@touch $@ $(VENV)/.bench
